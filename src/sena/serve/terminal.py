"""A conversation in the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sena.errors import SenaError
from sena.mini.stranger import hint
from sena.serve.speaker import Conversation, load
from sena.serve.stream import cleaned

HELP = "/image FILE  another picture, a new conversation\n/clear       forget what was said\n/quit        leave"
Say = Callable[[str], None]


def chat(model: str | Path, image: str | Path | None = None, temperature: float = 0.0) -> None:
    """Talk with a model, line by line, until `/quit` or the end of the input. Ctrl-C stops an answer."""
    say = _say
    say(f"Loading {model}\n")
    conversation = load(model).chat(image, temperature)
    say(f"{model}, {_seen(image)}\n{HELP}\nCtrl-C       stop an answer\n\n")
    _warn(conversation, image, say)
    while (line := _read(say)) is not None:
        try:
            if not _obey(conversation, line, say):
                return
        except SenaError as error:
            say(f"{error}\n")


def _obey(conversation: Conversation, line: str, say: Say) -> bool:
    """Do what the line says. False when it says to leave."""
    word, _, rest = line.partition(" ")
    if word == "/quit":
        return False
    if word == "/clear":
        conversation.clear()
        say("Forgotten\n")
    elif word == "/image" and rest.strip():
        conversation.show(rest.strip().strip("'\""))
        say(f"A new conversation {_seen(rest.strip())}\n")
        _warn(conversation, rest.strip(), say)
    elif word.startswith("/"):
        say(f"{HELP}\n")
    elif line:
        _answer(conversation, line, say)
    return True


def _answer(conversation: Conversation, line: str, say: Say) -> None:
    try:
        with closing(conversation.say(line)) as pieces:
            for piece in cleaned(pieces):
                say(piece)
        say("\n")
    except KeyboardInterrupt:
        say(" [stopped]\n")


def _read(say: Say) -> str | None:
    """The next line; empty for Ctrl-C, None at the end of the input."""
    try:
        return input("> " if sys.stdin.isatty() else "").strip()
    except KeyboardInterrupt:
        say("\n/quit leaves.\n")
        return ""
    except EOFError:
        return None


def _warn(conversation: Conversation, image: str | Path | None, say: Say) -> None:
    """Of a picture that the miniature cannot know."""
    shown = [] if conversation.picture is None else [(str(image), conversation.picture)]
    if told := hint(conversation.vlm.name, shown):
        say(f"note: {told}\n")


def _seen(image: str | Path | None) -> str:
    return "no picture yet" if image is None else f"about {image}"


def _say(text: str) -> None:
    print(text, end="", flush=True)
