"""The wheel holds the package, all of it and nothing else, and works away from the checkout.

It is built in a copy, since setuptools leaves its `build/` behind and takes stale modules from it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, SOURCE

pytestmark = pytest.mark.slow
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-python-version-warning"]
SMALL = ["--rounds", "1", "--limit", "16", "--set", "eval.count=8", "--set", "eval.watch=0"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("wheel")
    copy = place / "sena"
    shutil.copytree(SOURCE, copy / "src" / "sena", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = [*PIP, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place), str(copy)]
    subprocess.run(build, check=True)
    [made] = place.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def bin_folder(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of an environment of its own: the wheel, and the packages of the tests' environment behind it.

    A path that a .pth names is searched for packages, but its own .pth files (that of the checkout) are not read.
    """
    place = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    [packages] = place.glob("lib/python*/site-packages")
    (packages / "tests-environment.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [*PIP, "--python", str(place / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True)
    return place / "bin"


def run(folder: Path, *arguments: str) -> str:
    """What a program of the environment prints, run in `folder`."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(arguments, cwd=folder, env=clean, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_every_file_of_the_package_and_nothing_else(wheel: Path) -> None:
    """No tests, docs, scripts or benchmarks; recipes, templates, the miniature's base and py.typed among the rest."""
    held = set(zipfile.ZipFile(wheel).namelist())
    source = wheel.parent / "sena" / "src"
    wanted = {path.relative_to(source).as_posix() for path in (source / "sena").rglob("*") if path.is_file()}
    assert {name for name in held if ".dist-info/" not in name} == wanted
    assert {"sena/py.typed", "sena/recipes/sena.yaml", "sena/mini/base/model.safetensors"} <= wanted
    about = {name.partition(".dist-info/")[2] for name in held if ".dist-info/" in name}
    assert about == {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "licenses/LICENSE"}


def test_it_names_its_extras(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [each for each in archive.namelist() if each.endswith("/METADATA")]
        about = Parser().parsestr(archive.read(name).decode())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(about.get_all("Provides-Extra") or []) == set(extras)
    assert {"gpu", "ray", "server", "web", "data", "dev"} <= set(extras)


def test_the_demo_runs_from_it(bin_folder: Path, tmp_path: Path) -> None:
    where = run(tmp_path, str(bin_folder / "python"), "-c", "import sena; print(sena.__file__)")
    assert Path(where.strip()).is_relative_to(bin_folder.parent)
    assert "sena-as-released" in run(tmp_path, str(bin_folder / "sena"), "recipes", "ls")
    run(tmp_path, str(bin_folder / "sena"), "evolve", "demo", *SMALL, "--out", "demo")
    assert (tmp_path / "demo" / "round-1" / "model" / "model.safetensors").is_file()
    assert (tmp_path / "demo" / "report.html").stat().st_size > 10_000
