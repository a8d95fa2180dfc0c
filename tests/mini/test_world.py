"""The miniature world: the same every time, four pools apart, companions as often as stated."""

import hashlib
import subprocess
import sys

import pytest

from sena.mini import language, lessons, world
from sena.mini.source import MiniSource, parse_name

SAMPLE = 400


def companion_rate(pool: str) -> float:
    things = [thing for index in range(SAMPLE) for thing in world.make_scene(pool, index).things]
    hosts = [thing for thing in things if thing.kind in world.HOSTS]
    return sum(thing.companion is not None for thing in hosts) / len(hosts)


def test_a_scene_and_its_bytes_are_the_same_every_time():
    first, again = world.make_scene("evaluation", 7), world.make_scene("evaluation", 7)
    assert first == again
    assert world.render_png(first) == world.render_png(again)


def test_pictures_are_unique_and_pools_share_none():
    """By construction: a scene's random numbers start from (pool number, index), and pool numbers differ."""
    assert len(set(world.POOLS.values())) == len(world.POOLS) == 4
    prints = {
        hashlib.sha256(world.paint(world.make_scene(pool, index)).tobytes()).digest()
        for pool in world.POOLS
        for index in range(SAMPLE)
    }
    assert len(prints) == 4 * SAMPLE


@pytest.mark.parametrize(("pool", "low", "high"), [("pretrain", 0.94, 1.0), ("unlabelled", 0.31, 0.39)])
def test_companions_stand_by_their_hosts_as_often_as_stated(pool, low, high):
    """About 820 hosts in 400 scenes: two standard errors are .034 at .35 and .012 at .97."""
    assert low < companion_rate(pool) < high


def test_tuning_and_evaluation_are_made_like_unlabelled():
    assert world.TOGETHER["unlabelled"] == world.TOGETHER["tuning"] == world.TOGETHER["evaluation"]


def test_no_two_things_of_a_scene_share_kind_or_cell():
    for index in range(SAMPLE):
        things = world.make_scene("tuning", index).things
        assert 2 <= len(things) <= 4
        assert len({thing.kind for thing in things}) == len({thing.cell for thing in things}) == len(things)
        assert [thing.cell for thing in things] == sorted(thing.cell for thing in things)


def test_the_source_lists_names_and_reads_png():
    source = MiniSource()
    names = source.list()
    assert len(names) == 20_000
    assert (names[0], names[-1]) == ("unlabelled/000000.png", "unlabelled/019999.png")
    assert source.read(names[3]).startswith(b"\x89PNG")
    assert parse_name("tuning/000012") == ("tuning", 12)


@pytest.mark.parametrize("name", ["evaluation/000000.png", "../secret", "unlabelled/1.png"])
def test_the_source_reads_only_its_own_pool(name):
    with pytest.raises(ValueError, match=r"miniature world|another"):
        MiniSource().read(name)


def test_the_world_loads_no_torch():
    code = "import sys, sena.mini.world, sena.mini.bench, sena.mini.source; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_yes_no_lessons_tell_nothing_by_their_word():
    """Each of 13 words is drawn about 460 times in 6,000; three standard errors of its yes share are .07."""
    import numpy as np

    scenes = [world.make_scene("pretrain", index) for index in range(3000)]
    tutor, rng = lessons.Tutor(lessons.presence(scenes)), np.random.RandomState(0)
    said: dict[str, list[bool]] = {word: [] for word in world.WORDS}
    for scene in scenes * 2:
        found = tutor.yes_no(scene, rng)
        said[found.subject].append(found.answer == "yes")
    for word, answers in said.items():
        assert abs(sum(answers) / len(answers) - 0.5) < 0.08, word


def test_every_lesson_is_true():
    import numpy as np

    scenes = [world.make_scene("pretrain", index) for index in range(200)]
    tutor, rng = lessons.Tutor(lessons.presence(scenes)), np.random.RandomState(1)
    for scene in scenes:
        asked = tutor.asked(scene, rng)
        assert asked.answer == language.true_answer(scene, asked.sort, asked.subject)
        described = tutor.describe(scene, rng)
        assert described.answer == language.caption(scene)
