"""The page of a run: one file that opens by double click, needs no network and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sena import files
from sena.images.kinds import told
from sena.progress import duration
from sena.report import costs, meanings, words
from sena.report.differ import clip
from sena.report.entries import Scores, short
from sena.report.explorer import script_json
from sena.report.gallery import Look, OpenImage, Pictures
from sena.report.page import build
from sena.report.read import read_rounds
from sena.runs.folder import RunFolder
from sena.text import printable

__all__ = ["Look", "write_report"]

HERE = Path(__file__).parent
MOST_BYTES = 24_000_000
PICTURE_BYTES = 10_000_000
PAIRS_A_ROUND = (150, 40, 8, 0)  # fewer where the page would grow too large
PAIRS_IN_ALL = 600
ASIDE = "report-pictures"
"""Beside the page: pictures that it has no room for."""
POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data: {pictures}; script-src '{script}'; {connect}"
    "base-uri 'none'; form-action 'none'"
)


def write_report(
    run: RunFolder, open_image: OpenImage | None = None, look: Look | None = None, reference: Scores | None = None
) -> Path:
    """Write `run.report` of whatever the run holds by now. Returns its path.

    Without `open_image`, or where it fails, a placeholder says so; without `look` spoiled pictures are not shown.
    Without `reference` log-probabilities are those that the run keeps.
    """
    rounds = read_rounds(run)
    pictures = Pictures(open_image, look, PICTURE_BYTES, run.path / ASIDE)
    page = ""
    for most in PAIRS_A_ROUND:
        fitting = min(most, PAIRS_IN_ALL // max(1, len(rounds)))
        page = render(build(run, rounds, pictures, reference, fitting))
        if len(page.encode()) <= MOST_BYTES:
            break
    files.write_text(run.report, page)
    return run.report


def render(values: Mapping[str, Any], template: str = "report.html.jinja") -> str:
    """A template filled in: every text is escaped and freed of control characters, whoever wrote it."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        finalize=_plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clip=clip,
        short=short,
        told=told,
        number=words.number,
        interval=words.interval,
        duration=duration,
        size=costs.size,
        svg=Markup,
        script_json=lambda value: Markup(script_json(value)),  # escaped there for a script element
    )
    css, script = ((HERE / name).read_text() for name in ("report.css", "explore.js"))  # ours, so not escaped
    ours = {
        "css": Markup(css),
        "script": Markup(script),
        "policy": _policy(script, values),
        "signs": words.SIGNS,
        "legend": meanings.LEGEND,
    }
    return environment.get_template(template).render(ours, **values)


def _policy(script: str, values: Mapping[str, Any]) -> str:
    """What the page may load: nothing but its own script, known by its hash, and pictures inside it or beside it.
    The viewer's page, which has a server, may ask that one too."""
    is_served = bool(values.get("data", {}).get("remote"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    connect = "connect-src 'self'; " if is_served else ""
    return POLICY.format(script=f"sha256-{digest}", connect=connect, pictures="'self'" if is_served else "file: 'self'")


def _plain(value: Any) -> Any:
    return printable(value) if type(value) is str else value
