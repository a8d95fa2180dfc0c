"""References: computed once, gone on with after a kill, refused when they are another's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sena.align import plain, reference
from sena.align.reference import Reference
from sena.errors import NonFiniteError, RunFolderError, SenaError
from sena.models.vlm import VLM
from tests.align.world import open_image, some_pairs


class Counted:
    """The plain forward, counting pairs; stops the run after `limit` of them as a kill would."""

    def __init__(self, limit: int = 10**9) -> None:
        self.limit, self.pairs = limit, 0

    def __call__(self, vlm: VLM, pairs: list[plain.Encoded]) -> plain.LogProbs:  # type: ignore[override]
        if self.pairs >= self.limit:
            raise KeyboardInterrupt
        self.pairs += len(pairs)
        return plain.log_probabilities(vlm, pairs)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "PAIRS_PER_PART", 4)


def test_values_and_reuse(tiny: VLM, tmp_path: Path) -> None:
    pairs, first, second = some_pairs(images=5), Counted(), Counted()
    found = reference.compute(tiny, pairs, open_image, tmp_path, 2, first)
    again = reference.compute(tiny, list(reversed(pairs)), open_image, tmp_path, 3, second)
    assert found == again
    assert (first.pairs, second.pairs) == (10, 0)
    with torch.no_grad():
        live = plain.log_probabilities(tiny, plain.encode_pairs(tiny, pairs, open_image))
    for number, pair in enumerate(pairs):
        assert found[pair.id].chosen == pytest.approx(float(live.chosen[number]), abs=1e-4)
        assert found[pair.id].rejected_tokens == int(live.rejected_tokens[number])


def test_a_kill_costs_one_part_and_changes_no_bit(tiny: VLM, tmp_path: Path) -> None:
    pairs = some_pairs(images=5)
    whole = reference.compute(tiny, pairs, open_image, tmp_path / "whole", 2)
    with pytest.raises(KeyboardInterrupt):
        reference.compute(tiny, pairs, open_image, tmp_path / "killed", 2, Counted(limit=6))
    with pytest.raises(RunFolderError, match="not finished"):
        reference.read(tmp_path / "killed")
    rest = Counted()
    assert reference.compute(tiny, pairs, open_image, tmp_path / "killed", 2, rest) == whole
    assert rest.pairs == 6
    for path in sorted((tmp_path / "whole").iterdir()):
        assert path.read_bytes() == (tmp_path / "killed" / path.name).read_bytes()


@pytest.mark.parametrize("most", [1, 2])
def test_beyond_the_memory_batches_are_halved(tiny: VLM, tmp_path: Path, most: int) -> None:
    """Batches of 4 where image3's pairs fit with `most` at a time only: its part is scored in halves, or in quarters,
    to the bit what such batches give, and the others as they come."""

    def tight(vlm: VLM, pairs: list[plain.Encoded]) -> plain.LogProbs:
        if len(pairs) > most and any(each.pair.image_id == "image3" for each in pairs):
            raise torch.OutOfMemoryError("no room")
        return plain.log_probabilities(vlm, pairs)

    told: list[tuple[int, int, int]] = []
    pairs = some_pairs(images=5)
    found = reference.compute(tiny, pairs, open_image, tmp_path / "a", 4, tight, lambda *part: told.append(part))  # type: ignore[arg-type]
    assert told == [(4, 10, 0), (8, 10, 3 - most), (10, 10, 0)]
    whole, small = (reference.compute(tiny, pairs, open_image, tmp_path / f"{n}", n) for n in (4, most))
    for pair in pairs:
        assert found[pair.id] == (small if pair.image_id in ("image2", "image3") else whole)[pair.id]


def test_a_single_pair_beyond_the_memory_is_told(tiny: VLM, tmp_path: Path) -> None:
    def full(vlm: VLM, pairs: list[plain.Encoded]) -> plain.LogProbs:
        raise torch.OutOfMemoryError("no room")

    with pytest.raises(SenaError, match="out of memory with a single pair"):
        reference.compute(tiny, some_pairs(images=2), open_image, tmp_path, 2, full)  # type: ignore[arg-type]


def test_other_pairs_are_refused(tiny: VLM, tmp_path: Path) -> None:
    reference.compute(tiny, some_pairs(images=2), open_image, tmp_path, 2)
    with pytest.raises(RunFolderError, match="the pairs changed"):
        reference.compute(tiny, some_pairs(images=3), open_image, tmp_path, 2)


def test_another_model_or_template_is_refused(tiny: VLM, tmp_path: Path) -> None:
    from dataclasses import replace

    pairs = some_pairs(images=2)
    reference.compute(tiny, pairs, open_image, tmp_path, 2)
    tiny.template = replace(tiny.template, before_image="Hello. " + tiny.template.before_image)
    with pytest.raises(RunFolderError, match="the template or the processor changed"):
        reference.compute(tiny, pairs, open_image, tmp_path, 2)
    with torch.no_grad():
        tiny.model.lm_head.weight[0, 0] += 1e-3
    with pytest.raises(RunFolderError, match="the model and the template"):
        reference.compute(tiny, pairs, open_image, tmp_path, 2)


def test_no_number_names_the_pair(tiny: VLM, tmp_path: Path) -> None:
    def broken(vlm: VLM, pairs: list[plain.Encoded]) -> plain.LogProbs:
        found = plain.log_probabilities(vlm, pairs)
        found.chosen[[each.pair.id == "pair10" for each in pairs]] = float("nan")
        return found

    with pytest.raises(NonFiniteError, match=r"to pair10:"):
        reference.compute(tiny, some_pairs(images=2), open_image, tmp_path, 2, broken)  # type: ignore[arg-type]


def test_share_preferred() -> None:
    """-1 > -2 is preferred, -3 < -2 is not, a tie is not: 1 of 3."""
    pairs = {"a": (-1.0, -2.0), "b": (-3.0, -2.0), "c": (-2.0, -2.0)}
    found = {name: Reference(chosen, rejected, 1, 1) for name, (chosen, rejected) in pairs.items()}
    assert reference.share_preferred(found) == pytest.approx(1 / 3)
    assert reference.share_preferred({}) == 0.0


def test_nothing_but_parquet_and_json(tiny: VLM, tmp_path: Path) -> None:
    reference.compute(tiny, some_pairs(images=3), open_image, tmp_path, 2)
    for path in tmp_path.iterdir():
        assert path.read_bytes().startswith(b"PAR1" if path.suffix == ".parquet" else b"{")
