"""Conversations: streamed, in several turns, stopped amid an answer; and the loop of the terminal."""

from __future__ import annotations

import io
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import sena
from sena.errors import SenaError
from sena.mini import mini_folder, world
from sena.models import encode
from sena.models.vlm import VLM
from sena.serve import terminal
from sena.serve.speaker import Conversation, Speaker, load
from sena.serve.stream import cleaned
from tests.serve.make import finished_run

DESCRIBE = "describe this picture . answer in one sentence ."


@pytest.fixture(scope="module")
def mini() -> Speaker:
    return load("mini")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    (tmp_path / "scene.png").write_bytes(world.render_png(world.make_scene("evaluation", 0)))
    return tmp_path / "scene.png"


def test_pieces_join_to_what_ask_says(mini: Speaker, picture: Path) -> None:
    pieces = list(mini.chat(picture).say(DESCRIBE))
    assert len(pieces) > 10
    assert "".join(pieces) == mini.ask(picture, DESCRIBE) == sena.ask("mini", [picture], DESCRIBE)[0]


def test_letters_of_several_bytes_come_whole(tiny: VLM, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte-level tokenizer needs three tokens for a Chinese letter: no piece holds half of one."""
    text = "红色 ball, 球。"
    answer = encode.answer_ids(tiny, "?", text)

    def generate(**inputs: object) -> None:
        for token in ([1], *([each] for each in answer)):
            inputs["streamer"].put(torch.tensor(token))  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError("worn out")

    monkeypatch.setattr(tiny.model, "generate", generate)
    talk, said = Conversation(tiny), []
    with pytest.raises(ValueError, match="worn out"):  # what the model raises comes out, behind what it said
        said.extend(talk.say("?"))
    assert "".join(said) == text
    assert "红" in said
    assert not any("\ufffd" in piece for piece in said)
    assert talk.turns == [("?", text)]


def test_the_next_turn_sees_those_before(mini: Speaker, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[int]] = []
    generate = mini.vlm.model.generate

    def watched(**inputs: torch.Tensor) -> object:
        seen.append(inputs["input_ids"][0].tolist())
        return generate(**inputs)

    monkeypatch.setattr(mini.vlm.model, "generate", watched)
    talk = mini.chat(picture)
    first = talk.ask("is there a cup ? answer in one word .")
    talk.ask(DESCRIBE)
    text = mini.vlm.tokenizer.decode(seen[1])
    assert f"answer in one word . assistant : {first} </s> <s> user : {DESCRIBE} assistant :" in text
    assert seen[1].count(mini.vlm.image_id) == 9  # one picture, before the first turn
    talk.clear()
    talk.ask(DESCRIBE)
    assert "one word" not in mini.vlm.tokenizer.decode(seen[2])


def test_closing_the_iterator_stops_the_model(mini: Speaker, picture: Path) -> None:
    talk = mini.chat(picture)
    pieces = talk.say(DESCRIBE)
    first = next(pieces)
    pieces.close()
    assert len(talk.turns) == 1
    assert talk.turns[0][1].startswith(first)
    assert len(talk.turns[0][1]) < len(mini.ask(picture, DESCRIBE))


def test_same_seed_same_words_and_temperature_matters(mini: Speaker, picture: Path) -> None:
    def said(temperature: float, seed: int) -> str:
        return Conversation(mini.vlm, mini.chat(picture).picture, temperature, seed=seed).ask(DESCRIBE)

    assert said(1.5, 1) == said(1.5, 1)
    assert len({said(3.0, seed) for seed in range(4)}) > 1


def test_a_conversation_too_long_is_told(mini: Speaker, picture: Path) -> None:
    talk = mini.chat(picture)
    talk.turns.append(("a " * 250, "a " * 250))  # the miniature reads 512 tokens
    with pytest.raises(SenaError, match=r"has 5\d\d tokens and .* reads 512: clear it and begin anew"):
        talk.ask(DESCRIBE)


def test_a_template_of_one_turn_is_told(tiny: VLM) -> None:
    from dataclasses import replace

    talk = Conversation(tiny.with_template(replace(tiny.template, between="")), turns=[("a", "b")])
    with pytest.raises(SenaError, match="knows one question only: clear the conversation first"):
        talk.ask("c")


def test_no_control_character_comes_through() -> None:
    """Whole, cut at any place, and unfinished."""
    hostile = "red\x1b[31m ball\x1b]0;title\x07 and\x1b[2J\x9b1m more\x08\x00\r\n\u202eend\x1b["
    wanted = "red ball and more\nend"
    for size in range(1, len(hostile)):
        pieces = [hostile[start : start + size] for start in range(0, len(hostile), size)]
        found = "".join(cleaned(pieces))
        assert not any(c in found for c in "\x1b\x9b\x07\x08\x00\r\u202e")
        assert found.replace("1m", "") == wanted  # only the one-byte sequence may leave its letters behind
    assert list(cleaned(["a ", "", "b"])) == ["a ", "b"]


def talk(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lines: str, image: Path) -> str:
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    terminal.chat("mini", image)
    return capsys.readouterr().out


def test_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], picture: Path, tmp_path: Path, mini: Speaker
) -> None:
    other = tmp_path / "other one.png"
    other.write_bytes(world.render_png(world.make_scene("evaluation", 1)))
    lines = [DESCRIBE, "", "/image nowhere.png", f"/image {other}", DESCRIBE, "/clear", "/what", "/quit", "not read"]
    out = talk(monkeypatch, capsys, "\n".join(lines), picture)
    assert mini.ask(picture, DESCRIBE) in out
    assert mini.ask(other, DESCRIBE) in out
    assert "nowhere.png cannot be read (No such file or directory): check the path" in out
    assert out.index(mini.ask(picture, DESCRIBE)) < out.index("A new conversation") < out.index("Forgotten")
    assert out.count("/quit") == 2  # at the start and for /what
    assert "not read" not in out
    assert mini.ask(picture, DESCRIBE) in talk(monkeypatch, capsys, DESCRIBE, picture)  # the input's end is a way out


def test_ctrl_c_stops_the_answer_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], picture: Path
) -> None:
    say, answers = Conversation.say, []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job's children ignore it

    def interrupted(self: Conversation, text: str) -> Iterator[str]:
        for piece in say(self, text):
            yield piece
            if not answers:
                answers.append(text)
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Conversation, "say", interrupted)
    try:
        out = talk(monkeypatch, capsys, f"{DESCRIBE}\n{DESCRIBE}\n/quit\n", picture)
    finally:
        signal.signal(signal.SIGINT, before)
    _, rest = out.split(" [stopped]\n")
    assert rest.strip().endswith(".")  # the second answer came whole


@pytest.mark.slow
def test_command_line(picture: Path, tmp_path: Path) -> None:
    run = finished_run(tmp_path / "run").path
    code = [sys.executable, "-c", "from sena.cli import main; main()", "chat", str(run), "--image", str(picture)]
    done = subprocess.run(code, input=f"{DESCRIBE}\n", capture_output=True, text=True, check=True)
    assert sena.ask(mini_folder(), [picture], DESCRIBE)[0] in done.stdout
