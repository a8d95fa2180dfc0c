"""The schedule's arithmetic by hand, what a stage is counted to do, and the command on a very tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import count
import generate
import schedule
import small_llava
from schedule import Cost, Extent, Timed
from sena.align.config import TrainConfig
from sena.engines.local import LocalEngine

TINY = Extent(images=3, batch=2, trained=2, repeats=1)


def test_a_mix_is_of_images_with_one_and_two_pairs() -> None:
    """1.6 pairs: 60 % of 18,000 images have two. 9,600 pairs a round are 75 steps of 128, with a checkpoint after 20,
    40 and 60 of them.
    """
    found = schedule.times(1.6, TrainConfig())
    assert found == pytest.approx(
        {
            "image": 18_000,
            "round": 3,
            "step": 225,
            "checkpoint": 9,
            "image of 1 pair": 7_200,
            "image of 2 pairs": 10_800,
        }
    )
    assert schedule.times(2, TrainConfig())["image of 2 pairs"] == 18_000
    assert schedule.kinds_of([1, 1.6, 2]) == [1, 2]
    assert schedule.kinds_of([0.5]) == [1]


def test_minutes_by_hand() -> None:
    """18,000 questions at 0.01 s, three times heavier on the 7B: 9 minutes. 225 steps at 2 s: 7.5 minutes. Training
    of 7,200 and 10,800 images at 0.1 and 0.2 s: 48 minutes. 3 hashes of 20 s: a minute.
    """
    costs = [
        Cost("question", "", "image", 0.01, 2, 6, "operations", 0.001),
        Cost("training", "", "image of 1 pair", 0.1),
        Cost("training", "", "image of 2 pairs", 0.2),
        Cost("training", "", "image of 4 pairs", 100.0),
        Cost("training", "", "step", 2.0),
        Cost("other", "", "round", 20.0),
    ]
    found = schedule.minutes(costs, 1.6)
    assert {part: found[part] for part in ("question", "training", "other")} == pytest.approx(
        {"question": 9.0, "training": 55.5, "other": 1.0}
    )
    assert found["all"] == pytest.approx(65.5)
    assert schedule.minutes(costs, 1.6, least=True)["all"] == pytest.approx(0.3)


def test_a_stages_load(model_folder: Path, tmp_path: Path) -> None:
    """The engine reads two prefixes an image, as counted; what is generated goes through but for each last token."""
    images, stages = generate.prepare(tmp_path, 3)
    vlm = generate.open_model(model_folder, "cpu")
    timed = Timed(LocalEngine(vlm, batch=2), alone=False)
    generate.run(timed, images, tmp_path, stages)
    asked = [request for request, _ in timed.made.values()]
    bench = schedule.Bench(vlm, tmp_path, [image.id for image in images], stages)
    by_stage = {
        stage: schedule.stage_loads(vlm, [each for each in asked if schedule.stage_of(each) == stage], 2, bench)
        for stage in schedule.STAGES
    }
    loads = [load for loads in by_stage.values() for load in loads]
    branches = cut_all(bench, asked)
    fed = sum(request.max_new_tokens - 1 for request in asked)
    assert len(asked) == 3 * 8
    assert sum(load.pictures for load in loads) == timed.engine.prefixes.read == 6
    assert sum(load.work.tokens for load in loads) == 6 * branches[0].shared + sum(len(b.text) for b in branches) + fed
    assert sum(load.predicted for load in loads) == 6 + sum(request.max_new_tokens for request in asked)
    # in batches of two, 16 tokens of three questions are two readings and 2 x 15 steps behind one reading of pictures
    assert len(by_stage["question"]) == 1 + 2 * 16


def cut_all(bench: schedule.Bench, asked: list[schedule.Request]) -> list[schedule.prefix.Branch]:
    pixels = schedule.encode.process(bench.vlm, bench.open_image(bench.images[0]))
    return [schedule.prefix.cut(bench.vlm, request, pixels) for request in asked]


def test_what_rows_see_behind_a_prefix(model_folder: Path, tmp_path: Path) -> None:
    """A text of 2 tokens behind a prefix of P sees (P + 1) + (P + 2); the token after it P + 3."""
    _, stages = generate.prepare(tmp_path, 1)
    bench = schedule.Bench(generate.open_model(model_folder, "cpu"), tmp_path, ["image000"], stages)
    branch = cut_all(bench, [schedule.Request("a", "bird", "image000")])[0]
    before, text = branch.shared, len(branch.text)
    first, step = schedule.decode_loads([branch, branch], 2)
    assert first.work == (2 * text, 2 * sum(range(before + 1, before + text + 1)))
    assert first.held == 2 * before
    assert step == count.decode_step([before + text] * 2)


def test_the_command(model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All parts take time and add up; a mix lies between its two kinds; projected times go by what was counted."""
    out = tmp_path / "schedule.json"
    words = ["--small", "--model", str(model_folder), "--device", "cpu", "--threads", "1", "--json", str(out)]
    schedule.main([*words, "--pairs", "1", "1.6", "2"], TINY)
    found, shown = json.loads(out.read_text()), capsys.readouterr().out
    for table in (found["minutes"], found["least_minutes_on_one_h100"]):
        for told in table.values():
            assert sum(told[part] for part in schedule.PARTS) == pytest.approx(told["all"])
        one, mix, two = (table[mean]["reference"] for mean in ("1", "1.6", "2"))
        assert mix == pytest.approx(0.4 * one + 0.6 * two)
    assert all(found["minutes"]["2"][part] > 0 for part in schedule.PARTS)
    for cost in found["costs"]:
        assert cost["projected"] == pytest.approx(cost["seconds"] * cost["there"] / cost["here"])
    assert found["projected"]
    assert "PROJECTION" in shown
    assert f"{found['minutes']['1.6']['all']:,.1f}" in shown
    assert all(part in shown for part in schedule.PARTS)


def test_an_h100_at_the_least() -> None:
    """A step of one row moves the 7B's 6.6 G weights at 2 bytes and 3.35 TB a second, 4 ms; a picture of 612 tokens is
    8.4 T operations at 989 T a second, 8.5 ms."""
    config = small_llava.seven_b()
    step = count.forward(config, count.decode_step([612]))
    assert schedule.least_seconds(step) == pytest.approx(4.1e-3, rel=0.03)
    picture = count.forward(config, count.Load(1, schedule.of_rows([612]), 1))
    assert schedule.least_seconds(picture) == pytest.approx(8.5e-3, rel=0.01)
