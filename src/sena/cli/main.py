"""The program `sena`: its verbs, and what becomes of an error."""

from __future__ import annotations

import sys
import traceback

import typer

from sena.cli import ablation, bench, convert, look, models, pairs_io, run, sweeping, talk
from sena.errors import Paused, SenaError

INTERRUPTED = 130
# newer typer brings a click of its own, so its errors are not those of the click that may be installed beside it
UsageMistake: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")  # pyright: ignore

app = typer.Typer(
    name="sena",
    help="A vision-language model aligns itself, from nothing but unlabelled images.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("evolve")(run.evolve)
app.command("pairs")(run.pairs)
app.command("train")(pairs_io.train)
app.command("check")(run.check)
app.command("sweep")(sweeping.sweep)
app.command("ablate")(ablation.ablate)
app.add_typer(look.recipes, name="recipes")
app.command("show")(look.show)
app.command("report")(look.report)
app.command("view")(look.view)
app.command("compare")(look.compare)
app.command("export")(pairs_io.export)
app.command("push")(pairs_io.push)
app.command("ask")(talk.ask)
app.command("chat")(talk.chat)
app.command("answer")(talk.answer)
app.command("web")(talk.web)
app.command("serve")(talk.serve)
app.command("eval")(bench.evaluate)
app.add_typer(bench.bench, name="bench")
app.command("models")(models.models)
app.command("convert")(convert.convert)
app.command("env")(look.env)


def main() -> None:
    """Run the program. Exit code 0 also where it waits for its user, 2 for a user's mistake, 130 for Ctrl-C, 1 for a
    fault of ours."""
    arguments = [each for each in sys.argv[1:] if each != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    sys.exit(run_program(arguments, debug))


def run_program(arguments: list[str], debug: bool = False) -> int:
    """The exit code. A traceback is printed only with `--debug`, and for faults that are ours."""
    try:
        result = app(arguments, standalone_mode=False)
        if result == INTERRUPTED:  # what typer makes of Ctrl-C
            return _stopped()
        return result if isinstance(result, int) else 0
    except (typer.Abort, KeyboardInterrupt):
        return _stopped()
    except UsageMistake as error:
        error.show()  # type: ignore[attr-defined]
        return 2
    except Paused as wait:
        print(wait)
        return 0
    except SenaError as error:
        if debug:
            traceback.print_exc()
        print(f"sena: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if debug:
            traceback.print_exc()
        print(
            f"sena: {type(error).__name__}: {error}\nThis is a fault of sena, not yours. What was done is kept. "
            "Run the command again with --debug to see where it happened.",
            file=sys.stderr,
        )
        return 1


def _stopped() -> int:
    print("\nStopped. What was done is kept: type the same command to go on.", file=sys.stderr)
    return INTERRUPTED
