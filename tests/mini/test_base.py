"""The tokenizer, the lessons' layout, and the shipped base model."""

import numpy as np
import pytest
import torch

from sena.mini import build, card, eye, language, lessons, mini_folder, prompts, tongue, world
from sena.mini.bench import MiniBench
from sena.mini.judge import Runner, records
from sena.mini.parse import parse
from sena.mini.probe import companion_probe


@pytest.fixture(scope="module")
def processor():
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(mini_folder())


@pytest.fixture(scope="module")
def runner():
    return Runner.load(str(mini_folder()))


def every_text() -> list[str]:
    scenes = [world.make_scene("pretrain", index) for index in range(60)]
    tutor, rng = lessons.Tutor(lessons.presence(scenes)), np.random.RandomState(0)
    turns = [turn for scene in scenes for turn in tutor.turns(scene, rng)]
    return [text for turn in turns for text in (turn.user, turn.answer)]


def test_every_lesson_survives_the_tokenizer(processor):
    tokenizer = processor.tokenizer
    for text in every_text():
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert tokenizer(tokenizer.decode(ids))["input_ids"] == ids
        assert tokenizer.unk_token_id not in ids


def test_prompt_and_answer_encode_alike_together_and_apart(processor):
    tokenizer = processor.tokenizer
    for text in every_text()[::7]:
        prompt = f"<s>user : <image>\n{text} assistant :"
        together = tokenizer(f"{prompt} at top a red ball .</s>")["input_ids"]
        assert together == tokenizer(prompt)["input_ids"] + tokenizer("at top a red ball .</s>")["input_ids"]


def test_a_user_may_write_as_people_do(processor):
    tokenizer = processor.tokenizer
    assert tokenizer("Is there a Fork?")["input_ids"] == tokenizer("is there a fork ?")["input_ids"]


def test_the_template_puts_the_picture_first_and_opens_the_answer(processor):
    turn = [{"role": "user", "content": [{"type": "text", "text": "is there a fork ?"}, {"type": "image"}]}]
    text = processor.apply_chat_template(turn, add_generation_prompt=True)
    assert text == "<s>user : <image>\nis there a fork ? assistant :"
    picture = world.render(world.make_scene("tuning", 0))
    ids = processor(text=text, images=picture)["input_ids"][0]
    said = processor.tokenizer.convert_ids_to_tokens(ids)
    assert said == ["<s>", "user", ":", *["<image>"] * 9, "is", "there", "a", "fork", "?", "assistant", ":"]
    assert tongue.PREFIX == 12


def test_the_processor_reads_pixels_as_training_did(processor):
    scene = world.make_scene("tuning", 0)
    read = processor.image_processor(world.render(scene), return_tensors="pt")["pixel_values"]
    assert torch.allclose(read, torch.from_numpy(build.normalise(world.paint(scene)[None])), atol=1e-6)


def test_a_turn_is_learned_as_it_is_asked_alone():
    """The loss over two turns in one sequence equals the mean over each turn's own tokens in sequences of one turn."""
    torch.manual_seed(0)
    model = build.make_model(0).eval()
    scene = world.make_scene("pretrain", 0)
    writer = tongue.Writer(language.vocabulary())
    turns = [lessons.Turn(prompts.describe_prompt(0), language.caption(scene)), lessons.Turn("is there a ball ?", "no")]
    pixels = torch.from_numpy(build.normalise(world.paint(scene)[None]))
    with torch.no_grad():
        seen = eye.features(model.model.vision_tower, pixels)
        batches = [writer.batch([turns]), writer.batch([turns[:1]]), writer.batch([turns[1:]])]
        losses = [float(tongue.answer_loss(model, seen, batch)) for batch in batches]
    sizes = [int((batch.labels != tongue.IGNORED).sum()) for batch in batches]
    assert losses[0] * sizes[0] == pytest.approx(losses[1] * sizes[1] + losses[2] * sizes[2], rel=1e-5)


def test_noise_keeps_the_share_of_signal_that_the_schedule_states():
    """Steps 500 and 600 keep .744799 and .539118 of the variance (worked in double precision)."""
    kept = build.kept_signal()
    assert kept[500] == pytest.approx(0.744799, abs=1e-6)
    assert kept[600] == pytest.approx(0.539118, abs=1e-6)


def test_the_card_states_the_hash_of_the_weights():
    assert card.card_sha256(mini_folder()) == card.weights_sha256(mini_folder())


def test_the_base_is_small_and_holds_no_pickle():
    files = {path.name: path.stat().st_size for path in mini_folder().iterdir()}
    assert files["model.safetensors"] < 8_000_000
    assert {name.rsplit(".", 1)[-1] for name in files} <= {"safetensors", "json", "jinja", "md"}


def test_the_base_is_competent_and_makes_companions_up(runner):
    """On 60 tuning scenes: the bounds are those that the base was made for, with room for chance."""
    found = {name: value["value"] for name, value in MiniBench().summarise(
        records(runner, MiniBench(), "tuning", 60)
    ).items()}  # fmt: skip
    assert 0.04 < found["chair_i"] < 0.35
    assert found["coverage"] > 0.9
    assert found["attribute"] > 0.95
    assert found["vqa"] > 0.8
    assert found["parsed"] > 0.95
    assert found["pope_random"] > 0.85
    assert found["pope_popular"] > 0.85


def test_the_base_describes_a_scene(runner):
    bench = MiniBench()
    item = bench.items("tuning", 1)[0]
    text = runner.run(bench.ask(item)[:1], bench)[0].text
    assert parse(text).complete
    assert {thing.kind for thing in item.scene.things} <= {mention.word for mention in parse(text).mentions}


def test_the_eye_sees_the_companion(runner):
    """The fault lies in the tongue: a linear reading of the eye's features tells whether the companion is there."""
    assert companion_probe(runner.model) > 0.98


def test_requests_with_and_without_picture_may_be_mixed(runner):
    bench = MiniBench()
    seen, blind = (
        bench.ask(bench.items("tuning", 1)[0])[1:3],
        MiniBench(blind="none").ask(bench.items("tuning", 1)[0])[:2],
    )
    mixed = runner.run([seen[0], blind[0], seen[1], blind[1]], bench)
    assert [reply.id for reply in mixed] == [seen[0].id, blind[0].id, seen[1].id, blind[1].id]
