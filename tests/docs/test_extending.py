"""The examples of docs/extending.md run as they stand, top to bottom, in a process of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, SOURCE
from tests.docs.page import DOCS, blocks

PAGE = DOCS / "extending.md"


@pytest.mark.slow
def test_the_examples_run(tmp_path: Path) -> None:
    code = tmp_path / "page.py"
    code.write_text("\n\n".join(blocks(PAGE, "python")))
    done = subprocess.run(
        [sys.executable, str(code)],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "vipllava" / "model.safetensors").is_file()  # the last example was reached


def test_the_places_that_it_names_are_there() -> None:
    """`KINDS` in `images/kinds.py`: each such name stands in that file."""
    named = re.findall(r"((?:`\w+(?:\.\w+)?`(?: and )?)+) in `([\w/]+\.py)`", PAGE.read_text())
    assert len(named) >= 9
    for names, file in named:
        text = (SOURCE / file if (SOURCE / file).is_file() else ROOT / file).read_text()
        for name in re.findall(r"\w+", names.replace("DpoConfig.", "")):
            assert name == "and" or name in text, f"{name} in {file}"
