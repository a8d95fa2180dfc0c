"""Conversations with every family: several turns as its own processor renders them, streamed as it answers at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from sena.engines.local import LocalEngine
from sena.errors import SenaError
from sena.models import encode
from sena.models.load import load
from sena.records import Request
from sena.serve.speaker import Conversation, Speaker
from tests.families.tiny import TINY

PICTURE = Image.linear_gradient("L").convert("RGB").resize((96, 60))


ONE_TURN = "PaliGemma 2"


@pytest.fixture(scope="module", params=[name for name in TINY if name != ONE_TURN])
def speaker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Speaker:
    return speaker_of(request.param, tmp_path_factory.mktemp("family") / "model")


def speaker_of(name: str, place: Path) -> Speaker:
    made = TINY[name]()
    made.model.save_pretrained(place)
    made.processor.save_pretrained(place)
    return Speaker(str(place), LocalEngine(load(str(place), "float32", "cpu")))


def test_several_turns_are_the_processors_own(speaker: Speaker) -> None:
    vlm = speaker.vlm
    said = [("What is it?", "A cup."), ("Where?", "At left.")]
    turns = []
    for number, (question, answer) in enumerate(said):
        seen = [] if number else [{"type": "image", "image": PICTURE}]
        turns.append({"role": "user", "content": [*seen, {"type": "text", "text": question}]})
        turns.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    turns.append({"role": "user", "content": [{"type": "text", "text": "Is it red?"}]})
    text = vlm.processor.apply_chat_template(turns, add_generation_prompt=True)
    text = text.replace("assistant \n", "assistant\n")  # LLaVA-OneVision opens the answer to come without a blank
    has_begin = text.startswith(vlm.tokenizer.bos_token or "<nothing>")
    wanted = vlm.processor(images=[PICTURE], text=[text], add_special_tokens=not has_begin)["input_ids"][0]
    assert encode.chat_ids(vlm, said, "Is it red?", encode.process(vlm, PICTURE)) == list(wanted)


def test_pieces_join_to_the_whole_answer(speaker: Speaker) -> None:
    """Against the engine, whose plain path is transformers' own `generate`; random weights never end by themselves."""
    request = Request("a", "What is it?", "p", max_new_tokens=12)
    speaker.engine.path = "plain"
    whole = speaker.engine.generate([request], lambda _: PICTURE)[0].text
    talk = Conversation(speaker.vlm, PICTURE, max_new_tokens=12)
    assert "".join(talk.say("What is it?")) == whole
    assert talk.ask("And this?")
    assert [question for question, _ in talk.turns] == ["What is it?", "And this?"]


def test_a_family_of_one_turn_says_so(tmp_path: Path) -> None:
    talk = Conversation(speaker_of(ONE_TURN, tmp_path).vlm, PICTURE, max_new_tokens=12)
    assert talk.ask("What is it?")
    with pytest.raises(SenaError, match="knows one question only"):
        talk.ask("And this?")
