"""What the simulation's shortcuts leave out, what is reached for by hand, and all of it for a few images."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from PIL import Image as PIL

import scale
import scale_far
import scale_world
from sena import ids
from sena.data import shards
from sena.data.make_pairs import Tables, make_pairs
from sena.engines.scripted import ScriptedEngine
from sena.records import Image
from sena.stages.base import Context


def drawn(count: int) -> list[Image]:
    source = scale_world.Records(count)
    made = [Image(ids.of_bytes(source.read(path)), source.name, path, "", 64, 64) for path in source.list()]
    return sorted(made, key=lambda image: image.id)


def texts(tables: Tables, name: str) -> dict[str, object]:
    """The records by id, but for what chance decides: which describe prompt was taken, and seeds."""
    chance = {"prompt", "describe_prompt", "corruption_seed"}
    found = {}
    for record in getattr(tables, name):
        kept = {each.name: getattr(record, each.name) for each in fields(record) if each.name not in chance}
        found[record.id] = kept
    return found


def test_a_copied_shard_has_the_rows_that_the_stages_would_have_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the rule by which a tenth of the pairs is dropped, since it looks at the name."""
    script = scale_world.script
    monkeypatch.setattr(scale_world, "script", lambda request: script(replace(request, image=f"f{request.image}"[:17])))
    picture = PIL.new("RGB", (8, 8))
    images, stages = drawn(40), scale_world.recipe_for(40, 20, 1).stages()
    rest = (ScriptedEngine(lambda request: scale_world.script(request)), lambda _: picture, stages, Context(0, 1), 8)
    copies = scale_world.Copies(10, {})
    copies(images[:20], *rest)
    copied, made = copies(images[20:], *rest), make_pairs(images[20:], *rest)
    for name in shards.KINDS:
        assert texts(copied, name) == texts(made, name)
    assert len(made.pairs) == 40
    assert len(made.replies) == 140


def test_shards_with_failures_to_come_go_through_the_stages() -> None:
    """The one that a worker dies of is not copied, nor taken for a mould; every second one is not copied either."""
    images, asked = drawn(40), list[str]()
    stages = scale_world.recipe_for(40, 10, 1).stages()

    def script(request: scale_world.Request) -> str:
        asked.append(request.image or "")
        return scale_world.script(request)

    copies = scale_world.Copies(2, {images[15].id: "killed"})
    for start in (0, 10, 20, 30):
        copies(
            images[start : start + 10],
            ScriptedEngine(script),
            lambda _: PIL.new("RGB", (8, 8)),
            stages,
            Context(0, 1),
            5,
        )
    through = [any(image.id in asked for image in images[start : start + 10]) for start in (0, 10, 20, 30)]
    assert through == [True, True, True, False]


def result(images: int, memory: float) -> dict[str, object]:
    phase = {"rss_peak": memory * 1e9, "processor_seconds": images / 1000}
    return {
        "images": images,
        "shards": images // 500,
        "memory": [{"worker": 0.5e9}],
        "phases": dict.fromkeys(("draw_images", "work_off", "compact", "tell"), phase),
        "driver": {"processor_seconds_a_shard": 0.01},
        "files": {
            "in_shards": 6 * images // 500, "seconds_to_list": 1.2, "joined": {"pairs.parquet": 200 * images},
            "bytes_in_shards": {"pairs.parquet": 300 * images},
        },
        "funnel": {"replies": 7 * images},
        "bytes": {"manifest.json": 500, "metrics.jsonl": 1500},
    }  # fmt: skip


def test_reached_for_by_hand() -> None:
    """0.4 GB at 100,000 and 1.3 at a million: 1e-6 GB an image, so 100.3 GB at 10^8. 12,000 files take 1.2 s."""
    found = scale_far.reckon(result(100_000, 0.4), result(1_000_000, 1.3))
    far = {line["what"]: line["far"] for line in found["lines"]}
    assert far["driver's memory, drawing, GB"] == pytest.approx(100.3)
    assert far["a worker's memory, GB (flat in a run)"] == 0.5
    assert far["driver's memory, joining, GB"] == pytest.approx(1.3 + 3 * 400 * 7 * 99e6 / 256 / 1e9)
    assert far["joined tables, GB"] == pytest.approx(20)
    assert far["manifest.json and metrics.jsonl, MB"] == pytest.approx(0.002)
    small = found["shards"][1]
    assert (small["shards"], small["files"], small["driver_can"]) == (200_000, 1_200_000, 100)
    assert small["hours_to_list"] == pytest.approx(120 / 3600)
    assert small["shards_a_second"] == pytest.approx(256 / (500 * 0.069))
    assert 0 < found["drawing"]["processor_seconds_a_picture"] < 1


@pytest.mark.slow
def test_the_command_on_few_images(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On Ray, with a death, a fault of the engine, and the driver killed; every image is there in the end."""
    out = tmp_path / "few.json"
    scale.main(["--images", "600", "--shard", "50", "--json", str(out)])
    found = json.loads(out.read_text())
    assert found["funnel"]["images"] == found["funnel"]["answers"] == 600
    assert found["files"]["in_shards"] == 12 * 6
    assert 0 < found["killed_at_shards"] < 12
    assert set(found["resume"]) == {"shards_known", "first_shard"}
    assert found["memory"][-1]["worker"] > 0
    assert "12 shards of 50" in capsys.readouterr().out
