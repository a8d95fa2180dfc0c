"""Every family on a pretended GPU: no tensor is left behind on the CPU, and the numbers are the CPU's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.families.tiny import TINY


@pytest.mark.slow
def test_families_do_on_a_gpu_as_on_the_cpu() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.families.on_gpu"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.keys() == TINY.keys()
    for name, sides in found.items():
        cpu, gpu = sides["cpu"], sides["gpu"]
        assert (cpu.pop("devices"), gpu.pop("devices")) == (["cpu"], ["cuda:0"]), name
        assert gpu.pop("chosen") == pytest.approx(cpu.pop("chosen"), abs=1e-4), name
        assert gpu == cpu, name
