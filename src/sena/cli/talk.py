"""Verbs that speak with a model: ask, chat, answer, web, serve."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[str, typer.Argument(help="A model's folder or name, a run folder, or `mini`.")]
Port = Annotated[int, typer.Option("--port", help="Where it listens, on this machine only.", min=1, max=65535)]


def ask(
    model: Model,
    rest: Annotated[list[str], typer.Argument(metavar="IMAGE... QUESTION", help="Pictures, and the question last.")],
) -> None:
    """Ask a model one question about one or several pictures."""
    import sys

    import sena
    from sena.errors import SenaError
    from sena.mini.stranger import hint
    from sena.recipes.names import model_or_run
    from sena.serve.speaker import open_picture
    from sena.text import printable

    if len(rest) < 2:
        raise SenaError('Give at least one picture and then the question: sena ask MODEL photo.jpg "What is this?"')
    *images, question = rest
    for path, answer in zip(images, sena.ask(model, images, question), strict=True):
        print(f"{path}: {printable(answer)}" if len(images) > 1 else printable(answer))
    if told := hint(model_or_run(model), ((path, open_picture(path)) for path in images)):
        print(f"note: {printable(told)}", file=sys.stderr)


def chat(
    model: Model,
    image: Annotated[Path | None, typer.Option("--image", metavar="FILE", help="What to talk about.")] = None,
    temperature: Annotated[float, typer.Option("--temperature", help="0 takes the likeliest word.", min=0)] = 0.0,
) -> None:
    """Talk with a model about a picture."""
    import sena

    sena.chat(model, image, temperature)


def answer(
    model: Model,
    images: Annotated[Path, typer.Option("--images", metavar="DIR", help="Where picture paths start, or one picture.")],
    questions: Annotated[Path, typer.Option("--questions", metavar="FILE", help="JSONL: image, question, maybe id.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="JSONL; the same command goes on with it.")],
) -> int:
    """Answer a file of questions, or go on where it stopped. Exit code 2 when questions were left out."""
    import sys

    import sena
    from sena.text import printable

    made = sena.answer(model, images, questions, out)
    before = f", {made.found} of them from before" if made.found else ""
    print(f"{made.answers} {'answer is' if made.answers == 1 else 'answers are'} in {made.out}{before}.")
    if made.hint:
        print(f"note: {printable(made.hint)}", file=sys.stderr)
    if not made.bad:
        return 0
    left_out = made.bad.total()
    print(f"{left_out} {'question was' if left_out == 1 else 'questions were'} left out:", file=sys.stderr)
    for reason, count in made.bad.most_common():
        print(f"  {count} x {reason}", file=sys.stderr)
    print(f"  the first is {printable(made.first)}\nMend them and type the same command for the rest.", file=sys.stderr)
    return 2


def web(model: Model, port: Port = 7860) -> None:
    """A page for the browser: a run's base and rounds side by side on one picture."""
    import sena

    sena.web(model, port)


def serve(
    model: Model,
    port: Port = 8000,
    engine: Annotated[str, typer.Option("--engine", help="transformers or vllm.")] = "transformers",
) -> None:
    """An OpenAI-compatible endpoint for other programs on this machine."""
    import signal
    import sys

    import sena

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server that was started ends as well
    sena.serve(model, port, engine)
