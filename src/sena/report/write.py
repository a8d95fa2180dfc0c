"""The page of a run: one file that opens by double click, needs no network and runs no script."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sena import files
from sena.images.kinds import told
from sena.report import costs, words
from sena.report.gallery import Look, OpenImage, Pictures, clip
from sena.report.page import build
from sena.report.read import read_rounds
from sena.runs.folder import RunFolder
from sena.text import printable

__all__ = ["Look", "write_report"]

HERE = Path(__file__).parent
MOST_BYTES = 24_000_000
PICTURE_BYTES = 12_000_000
PAIRS_A_ROUND = (24, 8, 2, 0)  # fewer where the page would grow too large
PAIRS_IN_ALL = 240


def write_report(
    run: RunFolder,
    open_image: OpenImage | None = None,
    look: Look | None = None,
    reference: Mapping[str, tuple[float, float]] | None = None,
) -> Path:
    """Write `run.report` of whatever the run holds by now. Returns its path.

    Without `open_image`, or where it fails, a placeholder says so; without `look` spoiled pictures are not shown.
    `reference` maps pair ids to the summed log-probabilities of chosen and rejected under the reference.
    """
    rounds = read_rounds(run)
    pictures = Pictures(open_image, look, PICTURE_BYTES)
    page = ""
    for most in PAIRS_A_ROUND:
        fitting = min(most, PAIRS_IN_ALL // max(1, len(rounds)))
        page = render(build(run, rounds, pictures, reference or {}, fitting))
        if len(page.encode()) <= MOST_BYTES:
            break
    files.write_text(run.report, page)
    return run.report


def render(values: Mapping[str, Any]) -> str:
    """The template filled in: every text is escaped and freed of control characters, whoever wrote it."""
    import jinja2
    from markupsafe import Markup

    loader = jinja2.FileSystemLoader(HERE)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        finalize=_plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clip=clip,
        told=told,
        number=words.number,
        interval=words.interval,
        duration=costs.duration,
        size=costs.size,
        svg=Markup,
    )
    css = Markup((HERE / "report.css").read_text())  # ours, so not escaped
    return environment.get_template("report.html.jinja").render(css=css, **values)


def _plain(value: Any) -> Any:
    return printable(value) if type(value) is str else value
