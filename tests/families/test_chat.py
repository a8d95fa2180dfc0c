"""Conversations with every family: several turns as its own processor renders them, streamed as it answers at once."""

from __future__ import annotations

import pytest
from PIL import Image

from sena.engines.local import LocalEngine
from sena.models import encode
from sena.models.load import load
from sena.records import Request
from sena.serve.speaker import Conversation, Speaker
from tests.families.tiny import TINY

PICTURE = Image.linear_gradient("L").convert("RGB").resize((96, 60))


@pytest.fixture(scope="module", params=list(TINY))
def speaker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Speaker:
    made, place = TINY[request.param](), tmp_path_factory.mktemp("family") / "model"
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
    options = {"tokenize": True, "return_dict": True, "return_tensors": "pt", "add_generation_prompt": True}
    wanted = vlm.processor.apply_chat_template(turns, **options)["input_ids"][0].tolist()
    assert encode.chat_ids(vlm, said, "Is it red?", encode.process(vlm, PICTURE)) == wanted


def test_pieces_join_to_the_whole_answer(speaker: Speaker) -> None:
    """Against the engine, whose plain path is transformers' own `generate`; random weights never end by themselves."""
    request = Request("a", "What is it?", "p", max_new_tokens=12)
    speaker.engine.path = "plain"
    whole = speaker.engine.generate([request], lambda _: PICTURE)[0].text
    talk = Conversation(speaker.vlm, PICTURE, max_new_tokens=12)
    assert "".join(talk.say("What is it?")) == whole
    assert talk.ask("And this?")
    assert [question for question, _ in talk.turns] == ["What is it?", "And this?"]
