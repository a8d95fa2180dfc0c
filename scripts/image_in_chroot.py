"""Plays the Dockerfile step by step in a root folder, as root, where no Docker daemon is at hand.

    debootstrap --variant=minbase --include=ca-certificates trixie ROOT        # and a Python in ROOT/usr/local
    python scripts/image_in_chroot.py ROOT build TORCH_INDEX=ADDRESS           # as --build-arg
    python scripts/image_in_chroot.py ROOT run evolve demo --out runs/demo     # as docker run

What FROM names is not fetched: ROOT is taken for it. Of this machine the steps see /proc, /dev and the network alone.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

CHECKOUT = Path(__file__).parents[1]
IGNORED = shutil.ignore_patterns(
    "__pycache__", "*.egg-info"
)  # what .dockerignore holds back of a folder that it lets in


@dataclass(slots=True)
class Image:
    """What the instructions so far have set."""

    root: Path
    given: dict[str, str]
    env: dict[str, str] = field(default_factory=lambda: {"PATH": "/usr/local/bin:/usr/bin:/usr/sbin:/bin:/sbin"})
    arguments: dict[str, str] = field(default_factory=dict)
    folder: PurePosixPath = field(default_factory=lambda: PurePosixPath("/"))
    user: str = "root"
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    def set(self, kind: str, rest: str) -> None:
        """An instruction that changes no file but makes its folder. Raises ValueError for one that is not known."""
        match kind:
            case "ARG":
                name, _, value = rest.partition("=")
                self.arguments[name] = self.given.get(name, value)
            case "ENV":
                self.env |= dict(each.split("=", 1) for each in shlex.split(rest))
            case "WORKDIR":
                self.folder /= rest
                self.place().mkdir(parents=True, exist_ok=True)
            case "USER":
                self.user = rest
            case "ENTRYPOINT":
                self.entrypoint = tuple(json.loads(rest))
            case "CMD":
                self.command = tuple(json.loads(rest))
            case _:
                raise ValueError(f"{kind} is not known here")

    def place(self, path: str = ".") -> Path:
        """Where a path of the image lies on this machine."""
        return self.root / (self.folder / path).relative_to("/")

    def copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for source in map(CHECKOUT.joinpath, sources):
            if source.is_dir():
                shutil.copytree(source, self.place(target), ignore=IGNORED, dirs_exist_ok=True)
            else:
                shutil.copy(source, self.place(target))

    def call(self, command: list[str], more: dict[str, str]) -> None:
        """Run a command inside, its /proc and /dev gone with it. Raises CalledProcessError."""
        home = {"HOME": "/root" if self.user == "root" else f"/home/{self.user}"}
        settings = [f"{name}={value}" for name, value in {**home, **more, **self.env}.items()]
        inside = ["/bin/sh", "-c", f"cd {self.folder} && exec {shlex.join(command)}"]
        chroot = ["chroot", f"--userspec={self.user}", str(self.root), "env", "-i", *settings, *inside]
        mounts = f"mount -t proc proc {self.root}/proc && mount --rbind /dev {self.root}/dev"
        subprocess.run(
            ["unshare", "--mount", "--pid", "--fork", "sh", "-c", f"{mounts} && {shlex.join(chroot)}"], check=True
        )


def play(image: Image, is_build: bool) -> None:
    """All instructions in order; those that change files only while the image is built."""
    text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", (CHECKOUT / "Dockerfile").read_text(), flags=re.MULTILINE))
    for kind, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip()):
        if kind == "RUN" and is_build:
            print(f"RUN {rest}", flush=True)
            image.call(["/bin/sh", "-c", rest], {**image.given, **image.arguments})
        elif kind == "COPY" and is_build:
            image.copy(rest)
        elif kind not in ("FROM", "RUN", "COPY"):
            image.set(kind, rest)


if __name__ == "__main__":
    place, verb, *words = sys.argv[1:]
    image = Image(Path(place).resolve(), dict(word.split("=", 1) for word in words) if verb == "build" else {})
    play(image, verb == "build")
    if verb == "run":
        image.call([*image.entrypoint, *(words or image.command)], {})
