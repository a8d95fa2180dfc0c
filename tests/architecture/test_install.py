"""The lock file is complete and true, and the Makefile installs once."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.architecture.source import ROOT

LINES = [line for line in (ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]
LOCKED = {canonicalize_name(name): Version(number) for name, number in (line.split("==") for line in LINES)}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_lock_holds_names_and_versions_only() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)] == []


def test_the_lock_is_what_the_tests_run_on() -> None:
    """Local parts of a version (the CPU build of torch) are not compared: TORCH_INDEX chooses them."""
    installed = {name: Version(version(name)).public for name in LOCKED}
    assert installed == {name: str(number) for name, number in LOCKED.items()}


def test_all_that_sena_needs_is_locked() -> None:
    """From pyproject's requirements and extras on, every requirement of a requirement that counts on this machine.

    Beside torch goes what only its own build knows (CUDA libraries): installed with it, not locked.
    """
    extras = [each for extra in PROJECT["optional-dependencies"].values() for each in extra]
    wanted = [*PROJECT["dependencies"], *(each for each in extras if not each.startswith("sena["))]
    seen: set[str] = set()
    missing: set[str] = set()
    while wanted:
        requirement = Requirement(wanted.pop())
        name = canonicalize_name(requirement.name)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        if name not in LOCKED or LOCKED[name] not in requirement.specifier:
            missing.add(str(requirement))
        elif name not in seen:
            seen.add(name)
            wanted += distribution(name).requires or []
    assert {each for each in missing if not each.startswith(("nvidia-", "cuda-", "triton"))} == set()


def test_make_installs_once_and_takes_torch_from_where_it_is_told(tmp_path: Path) -> None:
    """With a stand-in for pip that writes down what it is asked."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"

    def install(index: str = "") -> list[str]:
        arguments = ["make", f"PYTHON={base}", "PIP=echo PIP", f"TORCH_INDEX={index}", "install"]
        done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=True)
        return [line for line in done.stdout.splitlines() if line.startswith("PIP")]

    torch = f"PIP install torch=={LOCKED[canonicalize_name('torch')]}"
    others = ["PIP install -r requirements.lock", "PIP install --no-deps --no-build-isolation -e ."]
    others.append("PIP install --no-deps --upgrade --target .venv/torchvision torchvision==0.28.0 num2words==0.5.14")
    assert install() == [torch, *others]
    assert install() == []
    (tmp_path / ".venv" / ".installed").unlink()
    assert install("elsewhere") == [f"{torch} --index-url elsewhere", *others]
