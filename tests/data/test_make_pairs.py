"""The data half with canned replies: what becomes of each image can be read off the script."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image as PIL

from sena.data import shards
from sena.data.make_pairs import Tables, make_pairs
from sena.data.run_stage import Dropped, run_stage
from sena.engines.scripted import ScriptedEngine
from sena.errors import ImageError, RunFolderError, SenaError
from sena.images.kinds import shown
from sena.recipes.recipe import Recipe, load_recipe
from sena.records import Again, Corruption, Drop, Image, Pair, Reply, Request, Row
from sena.runs.folder import RoundFolder
from sena.stages.base import Context

CONTEXT = Context(run_seed=0, round=1)
CHINESE = {
    "question": "图里有什么动物？",
    "check": "QUESTION：\n图里有什么动物？",
    "clean description": "一只猫坐在沙发上。",
    "clean answer": "猫",
    "enhance": "Improved answer：一只猫",
    "noisy description": "一只狗站在草地上。",
    "noisy answer": "狗",
}
ENGLISH = {
    "question": "What animal is there?",
    "check": "QUESTION: What animal is there?",
    "clean description": "A cat sits on a sofa.",
    "clean answer": "cat",
    "enhance": "Improved answer: a cat",
    "noisy description": "A dog stands on grass.",
    "noisy answer": "a dog",
}


def images(*names: str) -> list[Image]:
    return [Image(name, "folder", f"{name}.png", "00", 8, 8) for name in names]


def open_image(name: str) -> PIL.Image:
    if name == "gone":
        raise ImageError("missing", "gone.png")
    return PIL.new("RGB", (8, 8))


def recipe(*settings: str) -> Recipe:
    return load_recipe("sena", images="mini", settings=settings)


def sort_of(request: Request) -> str:
    """Which call of the method this is, told from its id `row/stage/attempt/part` and its corruption."""
    _, stage, _, part = request.id.split("/")
    if stage in ("question", "check", "enhance"):
        return stage
    kind = "description" if part.startswith("desc") else "answer"
    return f"{'noisy' if request.corruption else 'clean'} {kind}"


def scripted(texts: dict[str, str], changes: dict[tuple[str, str], str | Reply] | None = None) -> ScriptedEngine:
    def script(request: Request) -> str | Reply:
        sort = sort_of(request)
        return (changes or {}).get((request.image or "", sort), texts[sort])

    return ScriptedEngine(script)


def run(engine: ScriptedEngine, names: list[str], *settings: str, window: int = 2) -> Tables:
    return make_pairs(images(*names), engine, open_image, recipe(*settings).stages(), CONTEXT, window)


@pytest.mark.parametrize("texts", [CHINESE, ENGLISH], ids=["chinese", "english"])
def test_a_row_becomes_two_pairs(texts: dict[str, str]) -> None:
    tables = run(scripted(texts), ["a"])
    assert tables.drops == []
    described, answered = sorted(tables.pairs, key=lambda pair: pair.kind, reverse=True)
    assert (described.kind, described.chosen, described.rejected) == (
        "description",
        texts["clean description"],
        texts["noisy description"],
    )
    better = texts["enhance"].replace("：", ":").partition(":")[2].strip()
    assert (answered.kind, answered.chosen, answered.rejected, answered.plain) == (
        "answer",
        better,
        texts["noisy answer"],
        texts["clean answer"],
    )
    prompts = {said.prompt for said in tables.replies if said.corruption}
    assert prompts == {described.prompt, answered.prompt}
    assert answered.prompt.startswith(texts["question"])
    assert {said.corruption_seed for said in tables.replies if said.corruption} == {answered.corruption_seed}


def test_nothing_vanishes() -> None:
    """Six images: one whole, one unreadable, one without question, one unsettled, one cut, one with equal answers."""
    changes: dict[tuple[str, str], str | Reply] = {
        ("mute", "question"): "A cat.",
        ("lost", "check"): "QUESTION: Who painted it?",
        ("long", "noisy description"): Reply("", "A dog that", finished=False),
        ("same", "noisy answer"): "A cat.",
    }
    settled = iter(range(100))

    def script(request: Request) -> str | Reply:
        if (request.image, sort_of(request)) == ("lost", "check"):
            return f"QUESTION: Who painted number {next(settled)}?"
        return changes.get((request.image or "", sort_of(request)), ENGLISH[sort_of(request)])

    tables = run(ScriptedEngine(script), ["good", "gone", "mute", "lost", "long", "same"])
    ended = {(drop.image_id, drop.kind, drop.stage, drop.reason) for drop in tables.drops}
    assert ended == {
        ("gone", "image", "open", "missing"),
        ("mute", "row", "question", "no question"),
        ("lost", "row", "check", "not settled"),
        ("long", "description", "filter", "truncated"),
        ("same", "answer", "filter", "identical"),
    }
    assert sorted((pair.image_id, pair.kind) for pair in tables.pairs) == [
        ("good", "answer"),
        ("good", "description"),
        ("long", "answer"),
        ("same", "description"),
    ]
    lost = next(drop for drop in tables.drops if drop.image_id == "lost")
    assert sum(said.image_id == "lost" and said.stage == "check" for said in tables.replies) == 3
    assert "painted" in lost.prompt


def test_windows_and_neighbours_change_nothing() -> None:
    names = [f"i{number}" for number in range(7)]
    whole = run(scripted(ENGLISH), names, window=7)
    for window in (1, 3):
        parts = run(scripted(ENGLISH), names, window=window)
        assert parts.pairs == whole.pairs
        assert sorted(parts.replies, key=lambda said: said.id) == sorted(whole.replies, key=lambda said: said.id)
    alone = run(scripted(ENGLISH), ["i3"])
    assert alone.pairs == [pair for pair in whole.pairs if pair.image_id == "i3"]


def test_seeds_differ_by_round_and_image() -> None:
    stages = recipe().stages()
    first = make_pairs(images("a", "b"), scripted(ENGLISH), open_image, stages, CONTEXT, 8)
    second = make_pairs(images("a"), scripted(ENGLISH), open_image, stages, Context(0, 2), 8)
    seeds = {(pair.image_id, pair.corruption_seed) for pair in first.pairs + second.pairs}
    assert len({seed for _, seed in seeds}) == 3


def test_no_image_asks_the_rejected_half_without_its_picture() -> None:
    asked: list[Request] = []

    def script(request: Request) -> str:
        asked.append(request)
        return ENGLISH[sort_of(request)]

    tables = run(ScriptedEngine(script), ["a", "b"], "corruption.kind=no_image")
    blind = [request for request in asked if request.image is None]
    assert {request.id.split("/")[1] for request in blind} == {"reject"}
    assert len(blind) == len(tables.pairs) == 4
    assert {(pair.image_id, pair.corruption, pair.strength) for pair in tables.pairs} == {
        ("a", "no_image", 0.0),
        ("b", "no_image", 0.0),
    }
    assert {said.corruption for said in tables.replies if said.stage == "reject"} == {"no_image"}


def test_other_image_shows_another_of_the_round_whoever_does_the_work() -> None:
    """Six images in the round, two in the shard: what is shown instead is drawn from all, and is the seed's choice."""
    names = tuple("abcdef")
    stages = recipe("corruption.kind=other_image").stages()
    context = Context(0, 1, names)
    whole = make_pairs(images(*names), scripted(ENGLISH), open_image, stages, context, 6)
    part = make_pairs(images("b", "e"), scripted(ENGLISH), open_image, stages, context, 1)
    assert part.pairs == [pair for pair in whole.pairs if pair.image_id in "be"]
    by_row = {pair.row_id: pair for pair in whole.pairs}
    seen = {}
    for said in whole.replies:
        if said.stage == "reject":
            pair = by_row[said.id.split("/")[0]]
            spoiled = Corruption(pair.corruption, pair.strength, pair.corruption_seed)
            assert said.image_id == shown(pair.image_id, spoiled, names) != pair.image_id
            seen[pair.image_id] = said.image_id
    assert len(seen) == 6
    assert len(set(seen.values())) > 1
    with pytest.raises(SenaError, match="a second picture"):
        make_pairs(images("a"), scripted(ENGLISH), open_image, stages, Context(0, 1, ("a",)), 1)


def test_a_row_ends_whose_other_image_can_no_longer_be_read() -> None:
    """Half of the round's images are gone since they were drawn. Rows that would show one of them end, the others go
    on, and which ones is the seed's choice, whoever does the work."""
    names, gone = tuple("abcdefgh"), tuple("pqrstuvw")
    stages = recipe("corruption.kind=other_image").stages()
    context = Context(0, 1, (*names, *gone))
    made = make_pairs(
        images(*names), scripted(ENGLISH), lambda name: open_image("gone" if name in gone else name), stages, context, 3
    )
    ended = {drop.image_id for drop in made.drops}
    assert {(drop.stage, drop.reason) for drop in made.drops} == {("reject", "other image unreadable")}
    assert len(made.pairs) == 2 * (8 - len(ended))
    whole = make_pairs(images(*names), scripted(ENGLISH), open_image, stages, context, 8)
    for pair in whole.pairs:
        spoiled = Corruption(pair.corruption, pair.strength, pair.corruption_seed)
        assert (shown(pair.image_id, spoiled, context.images) in gone) == (pair.image_id in ended)
    assert 0 < len(ended) < 8


def test_a_stage_that_never_ends_is_ended() -> None:
    class Stubborn:
        name = "stubborn"
        reads: tuple[str, ...] = ()
        writes: tuple[str, ...] = ()

        def ask(self, row: Row, context: Context) -> list[Request]:
            return [Request(f"{row.id}/stubborn/0/0", "?", row.image_id)]

        def take(self, row: Row, replies: object, context: Context) -> list[Row] | Drop | Again:
            return Again(row)

    engine = ScriptedEngine(lambda request: "x")
    outcome = run_stage(Stubborn(), [Row("r", "a")], engine, open_image, CONTEXT, most=5)
    assert (len(outcome.said), [drop.reason for drop in outcome.drops]) == (5, ["asked too often"])


def test_a_shard_is_done_when_its_manifest_is_there(tmp_path: Path) -> None:
    shard = images("a", "b")
    folder = RoundFolder(tmp_path, 1)
    tables = run(scripted(ENGLISH), ["a", "b"])
    assert not shards.is_done(folder.shard(0), shard)
    shards.write_shard(folder.shard(0), tables, shard, {"batch": 4})
    assert shards.is_done(folder.shard(0), shard)
    with pytest.raises(RunFolderError, match="holds other images than this round drew"):
        shards.is_done(folder.shard(0), images("a", "c"))


def test_split_is_by_id_and_the_same_for_all() -> None:
    shard = images("d", "a", "c", "b", "e")
    assert [[image.id for image in part] for part in shards.split(shard, 2)] == [["a", "b"], ["c", "d"], ["e"]]
    assert shards.split(list(reversed(shard)), 2) == shards.split(shard, 2)


def test_compact_counts_every_row(tmp_path: Path) -> None:
    from sena.runs import tables as parquet

    names = ["good", "gone", "same"]
    folder = RoundFolder(tmp_path, 1)
    parquet.write(folder.images, Image, images(*names))
    engine = scripted(ENGLISH, {("same", "noisy answer"): Reply("", "a cat", stable=False)})
    for number, part in enumerate(shards.split(images(*names), 2)):
        made = make_pairs(part, engine, open_image, recipe().stages(), CONTEXT, 2)
        shards.write_shard(folder.shard(number), made, part, {})
    funnel = shards.compact(folder, range(2))
    assert funnel["images"] == 3
    assert funnel["questions"] == funnel["answers"] == 2
    assert funnel["pairs_by_kind"] == {"answer": 1, "description": 2}
    assert funnel["dropped"] == {"filter": {"identical": 1}, "open": {"missing": 1}}
    assert funnel["reencoded_differently"] == 1.0
    assert 2 * funnel["answers"] == funnel["pairs"] + sum(funnel["dropped"]["filter"].values())


def test_a_choice_drops_the_others(tmp_path: Path) -> None:
    """Of three pairs the first in id order is kept; a shard that failed is counted with its reason."""
    from sena.runs import tables as parquet

    folder = RoundFolder(tmp_path, 1)
    parquet.write(folder.images, Image, images("good", "good2", "lost"))
    made = run(scripted(ENGLISH), ["good", "good2"])
    shards.write_shard(folder.shard(0), made, images("good", "good2"), {})
    funnel = shards.compact(folder, [0], lambda pairs: pairs[:1], [shards.given_up("lost", "shard failed")])
    kept = parquet.read(folder.table("pairs"), Pair)
    assert kept == sorted(made.pairs, key=lambda pair: pair.id)[:1]
    assert (funnel["pairs"], funnel["images_with_pairs"]) == (1, 1)
    assert funnel["dropped"]["choose"] == {"over max_pairs": len(made.pairs) - 1}
    assert funnel["dropped"]["worker"] == {"shard failed": 1}
    assert len(parquet.read(folder.table("drops"), Dropped)) == sum(
        count for reasons in funnel["dropped"].values() for count in reasons.values()
    )


def test_shards_of_a_table_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    from sena.runs import tables as parquet
    from sena.runs.stored import Stored

    all_of_them = images("a", "b", "c", "d", "e")
    parquet.write(tmp_path / "images.parquet", Image, all_of_them)
    parts = shards.split(Stored(tmp_path / "images.parquet", Image), 2)
    assert [list(part) for part in parts] == [list(part) for part in shards.split(all_of_them, 2)]
    assert parts[1:] == [all_of_them[2:4], all_of_them[4:]]
    names = [shards.Names(parts, number) for number in range(3)]
    assert [(len(each), tuple(each)) for each in names] == [(2, ("a", "b")), (2, ("c", "d")), (1, ("e",))]
