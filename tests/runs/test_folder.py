"""A run folder is made whole, opened by its own version only, and worked on by one process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sena import files
from sena.errors import RunFolderError
from sena.runs import folder


def test_create_and_open(tmp_path: Path) -> None:
    run = folder.create_run(tmp_path / "run", "run: {}\n", {"seed": 3})
    assert folder.open_run(tmp_path / "run") == run
    assert json.loads(run.manifest.read_text()) == {"schema": 1, "seed": 3}
    for number in (0, 10, 2):
        run.round(number).path.mkdir()
    assert [each.number for each in run.rounds()] == [0, 2, 10]


def test_other_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="is not a run folder"):
        folder.open_run(tmp_path)
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(RunFolderError, match="holds other files: choose an empty or new folder"):
        folder.create_run(tmp_path, "", {})
    files.write_json(tmp_path / "manifest.json", {"schema": 99})
    with pytest.raises(RunFolderError, match="schema 99, this one has 1"):
        folder.open_run(tmp_path)


def test_two_processes_cannot_work_in_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from sena.errors import SenaError; from sena.runs.folder import locked\n"
        "try:\n  with locked(Path(sys.argv[1])): print('in')\nexcept SenaError as error: print(error)"
    )
    with folder.locked(tmp_path):
        other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
        assert "is in use by process" in other.stdout
    other = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert other.stdout == "in\n"
