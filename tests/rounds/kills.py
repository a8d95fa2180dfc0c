"""Kills a run with SIGKILL, goes on with it, and compares what is left with an undisturbed run, byte for byte.

`python -m tests.rounds.kills --kills 20` does so at random moments of a demo-sized run; test_kill.py at chosen ones.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

SENA = ("-c", "from sena.cli import main; main()")
DEMO = ("evolve", "demo", "--set", "engine.threads=1")


def command(arguments: Sequence[str], out: Path, program: Sequence[str] = SENA) -> list[str]:
    return [sys.executable, *program, *arguments, "--out", str(out)]


def finish(arguments: Sequence[str], out: Path, program: Sequence[str] = SENA) -> str:
    """Run to the end; what was printed. Raises AssertionError with the output when the program fails."""
    done = subprocess.run(command(arguments, out, program), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kill_when(
    arguments: Sequence[str], out: Path, moment: Callable[[Path], bool], program: Sequence[str] = SENA
) -> bool:
    """Start the run and SIGKILL it as soon as `moment` is seen. False when it was over before."""
    process = subprocess.Popen(command(arguments, out, program), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while process.poll() is None:
            if moment(out):
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.002)
    finally:
        process.kill()
        process.wait()
    return False


def after(seconds: float) -> Callable[[Path], bool]:
    """The moment `seconds` after the program's first word in the log: what it needs to start is no risk."""
    sizes: list[int] = []
    begun: list[float] = []

    def moment(run: Path) -> bool:
        log = run / "log.txt"
        sizes.append(log.stat().st_size if log.exists() else 0)
        if sizes[-1] > sizes[0] and not begun:
            begun.append(time.monotonic())
        return bool(begun) and time.monotonic() - begun[0] > seconds

    return moment


def results(run: Path) -> dict[str, bytes]:
    """Every file of every round: tables, raw replies, references, weights, evidence."""
    return {
        str(path.relative_to(run)): path.read_bytes() for path in sorted(run.glob("round-*/**/*")) if path.is_file()
    }


def differences(one: Path, other: Path) -> list[str]:
    """Files that only one run has, or that differ."""
    before, after = results(one), results(other)
    return [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        start = time.monotonic()
        finish(DEMO, whole)
        seconds = time.monotonic() - start
        done = 0
        while done < options.kills and kill_when(DEMO, killed, after(chance.uniform(0, 3 * seconds / options.kills))):
            done += 1
            print(f"kill {done}: {len(results(killed))} files there", flush=True)
        finish(DEMO, killed)
        wrong = differences(whole, killed)
        print(f"{done} kills of a run of {seconds:.0f} s; files that differ: {wrong or 'none'}")
        sys.exit(bool(wrong) or done < options.kills)


if __name__ == "__main__":
    main()
