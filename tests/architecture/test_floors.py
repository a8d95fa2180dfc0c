"""A room imports only from the floors below its own (the floors are listed in pyproject.toml)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.architecture.source import FLOORS, ROOT, SOURCE


def test_rooms_import_from_floors_below_only() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_room_has_a_floor() -> None:
    named = {room for floor in FLOORS for room in floor}
    rooms = {
        f"sena.{path.stem}" for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert rooms - {"sena.__init__", "sena.__main__"} == named


def test_every_folder_of_modules_is_a_package() -> None:
    folders = {file.parent for file in SOURCE.rglob("*.py")}
    assert [
        str(folder.relative_to(SOURCE)) for folder in sorted(folders) if not (folder / "__init__.py").exists()
    ] == []
