"""Shared tiny models, made once a session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.skips import pytest_make_collect_report, pytest_runtest_makereport  # noqa: F401  (hooks for every test)

if TYPE_CHECKING:
    from sena.models.vlm import VLM
    from tests.bucket import Bucket, Server

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models are many times slower with two threads on a busy machine


FAMILIES = Path(__file__).parent / "families"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Other families need torchvision, which the rest has to do without: they are run when asked for by path alone."""
    asked = [Path(each.partition("::")[0]).resolve() for each in config.args]
    return True if collection_path == FAMILIES and not any(each.is_relative_to(FAMILIES) for each in asked) else None


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny LLaVA with its processor. Read only: it is shared by the whole session."""
    from tests.tiny import tiny_llava

    return tiny_llava(tmp_path_factory.mktemp("tiny-llava"))


@pytest.fixture(scope="session")
def wide_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny LLaVA of 64 channels, the fewest that 4 bits take. Read only."""
    from tests.tiny import tiny_llava

    return tiny_llava(tmp_path_factory.mktemp("wide-llava"), width=64)


@pytest.fixture
def tiny(tiny_folder: Path) -> VLM:
    """A freshly loaded tiny LLaVA, which a test may change."""
    from sena.models.load import load

    return load(str(tiny_folder), dtype="float32", device="cpu")


@pytest.fixture(scope="session")
def object_store() -> Iterator[Server]:
    """An S3 on loopback, to which the environment leads from now on."""
    from tests.bucket import served

    with served() as server:
        yield server


@pytest.fixture
def bucket(object_store: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A fresh bucket, and a fresh cache for copies of runs."""
    from tests.bucket import new_bucket

    monkeypatch.setenv("SENA_CACHE", str(tmp_path / "cache"))
    return new_bucket(object_store, f"bucket-{len(object_store.buckets)}")
