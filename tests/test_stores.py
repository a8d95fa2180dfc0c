"""Copies of runs in an object store, and who may work on them."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from pathlib import Path

import pytest

from sena import copies, files, owner, stores
from sena.errors import RunFolderError, SenaError
from tests.bucket import Bucket

RUN = {
    "recipe.yaml": b"a recipe",
    "manifest.json": b"{}",
    "metrics.jsonl": b"1\n",
    "round-1/images.parquet": b"images",
    "round-1/shards/00000/answers.parquet": b"answers",
    "round-1/shards/00000/manifest.json": b"whole",
    "round-1/model/config.json": b"config",
    "round-1/model/model.safetensors": b"weights",
}


@pytest.fixture
def run(bucket: Bucket) -> str:
    for name, data in RUN.items():
        bucket.put(f"runs/mine/{name}", data)
    return f"{bucket.address}/runs/mine"


def held(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}


@pytest.mark.parametrize("where", ["s3://bucket/runs/mine", "s3://bucket/runs/mine/", Path("s3://bucket/runs/mine")])
def test_a_path_says_whether_it_is_a_copy(where: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENA_CACHE", str(tmp_path))
    path = copies.place(where)
    assert path == tmp_path / "stores/s3/bucket/runs/mine"
    assert copies.address_of(path / "round-1") == "s3://bucket/runs/mine/round-1"
    assert copies.named(path) == "s3://bucket/runs/mine"
    for other in (tmp_path / "runs/mine", Path("runs/s3/mine"), Path("/")):
        assert copies.place(other) == other
        assert copies.address_of(other) is None
        assert copies.named(other) == str(other)


@pytest.mark.parametrize(
    "where", ["s3://bucket", "s3:///runs", "s3://bucket/../runs", "s3://bucket//runs", "s3://b/.r/a"]
)
def test_a_run_needs_a_folder_of_plain_names(where: str) -> None:
    with pytest.raises(SenaError, match=r"s3://bucket/folder|name a folder in a bucket"):
        copies.place(where)


def test_a_copy_is_made_to_agree_without_weights_and_joined_shards(run: str, bucket: Bucket) -> None:
    path = copies.look(run)
    assert held(path) == RUN.keys() - {"round-1/model/model.safetensors"}
    assert copies.fetch(path / "round-1/model").joinpath("model.safetensors").read_bytes() == b"weights"
    bucket.put("runs/mine/round-1/funnel.json", b"{}")
    assert held(copies.look(run)) == {*RUN, "round-1/funnel.json"}  # what is here already may stay
    bucket.delete("runs/mine/metrics.jsonl")
    bucket.put("runs/mine/round-1/images.parquet", b"imageS")  # of the same size
    os.utime(path / "recipe.yaml")
    (path / "manifest.json").write_text("[]")
    (path / "round-2/shards/00000").mkdir(parents=True)
    (path / "round-2/shards/00000/answers.parquet").write_text("half of a shard, never put")
    time.sleep(1.1)  # times in a store are whole seconds
    bucket.put("runs/mine/round-1/images.parquet", b"imageS")
    assert held(copies.look(run)) == {*RUN, "round-1/funnel.json"} - {"metrics.jsonl"}
    assert not (path / "round-2").exists()
    assert (path / "manifest.json").read_bytes() == b"{}"
    assert (path / "round-1/images.parquet").read_bytes() == b"imageS"


def test_what_is_the_same_is_not_fetched_again(run: str, bucket: Bucket) -> None:
    copies.look(run)
    del bucket.asked[:]
    copies.look(run)
    assert bucket.asked == [("GET", "?runs/mine/")]


def test_a_copy_in_which_a_run_works_is_left_alone(run: str) -> None:
    from sena.runs.folder import at_work

    with at_work(run) as path:
        (path / "round-1/half.parquet").write_text("at work")
        assert copies.look(run) == path
        assert (path / "round-1/half.parquet").exists()
    assert not (copies.look(run) / "round-1/half.parquet").exists()


def test_what_is_written_is_put_and_logs_before_it(bucket: Bucket) -> None:
    path = copies.place(f"{bucket.address}/runs/mine")
    files.write_text(path / "recipe.yaml", "a recipe")
    files.append(path / "log.txt", "one\n")
    files.append(path / "log.txt", "two\n")
    assert bucket.objects("runs/mine") == {"recipe.yaml": b"a recipe"}
    files.write_json(path / "manifest.json", {})
    assert [key for method, key in bucket.asked if method == "PUT"] == [
        f"runs/mine/{name}" for name in ("recipe.yaml", "log.txt", "manifest.json")
    ]
    assert bucket.objects("runs/mine")["log.txt"] == b"one\ntwo\n"
    files.rename(path / "recipe.yaml", path / "old.yaml")
    files.remove(path / "manifest.json")
    files.remove(path / "manifest.json")
    assert bucket.objects("runs/mine").keys() == {"old.yaml", "log.txt"}


def test_a_folder_is_whole_or_has_no_mark_of_it(bucket: Bucket) -> None:
    """The file by which a model counts as one comes last, and goes first when another takes the place."""
    path = copies.place(f"{bucket.address}/runs/mine/round-1/model")

    def fill(place: Path) -> None:
        for name in ("config.json", "model-1.safetensors", "model-2.safetensors", "tokenizer.json"):
            files.write_text(place / name, name)

    files.make_folder(path, fill)
    files.make_folder(path, lambda place: files.write_text(place / "config.json", "another"))
    puts = [(method, key.rpartition("/")[2]) for method, key in bucket.asked if method in ("PUT", "DELETE")]
    assert puts[3] == ("PUT", "config.json")
    assert puts[4] == ("DELETE", "config.json")
    assert {name for _, name in puts[:3]} == {name for _, name in puts[5:8]}
    assert puts[8:] == [("PUT", "config.json")]
    assert bucket.objects("runs/mine/round-1/model") == {"config.json": b"another"}


def test_paths_on_the_disk_ask_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "driver", None)
    files.write_json(tmp_path / "run/manifest.json", {})
    files.append(tmp_path / "run/log.txt", "one\n")
    files.make_folder(tmp_path / "run/model", lambda place: files.write_text(place / "config.json", ""))
    files.remove_tree(tmp_path / "run/model")
    assert copies.look(tmp_path / "run") == copies.fetch(tmp_path / "run") == tmp_path / "run"
    assert held(tmp_path / "run") == {"manifest.json", "log.txt"}


def test_an_address_is_never_taken_for_a_path() -> None:
    with pytest.raises(SenaError, match=r"s3://bucket/page\.html is in an object store, where this is not written"):
        files.write_text(Path("s3://bucket/page.html"), "")
    assert not Path("s3:").exists()


@pytest.mark.parametrize("name", ["../out", "a/../../out", "/etc/out", "a//b"])
def test_a_name_that_leads_out_of_the_copy_is_refused(name: str, run: str, bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(f"runs/mine/{name}", b"hostile")
    with pytest.raises(SenaError, match="which is no file of a run: remove it"):
        copies.look(run)
    assert [path for path in tmp_path.rglob("*") if path.name in ("out", "b")] == []


def test_a_reader_that_waited_leaves_a_run_alone_that_began_meanwhile(run: str) -> None:
    """It looks whether a run is at work when its turn has come, and not before."""
    from sena.runs.folder import at_work

    path = copies.place(run)
    with copies._alone(path):
        reader = threading.Thread(target=copies.look, args=(run,))
        reader.start()
        time.sleep(0.3)
        (path / "round-1").mkdir(parents=True)
        (path / "round-1/half.parquet").write_text("at work")
        lock = open(path / copies.LOCK, "a")  # noqa: SIM115
        fcntl.flock(lock, fcntl.LOCK_EX)
    reader.join()
    assert (path / "round-1/half.parquet").exists()
    lock.close()
    with at_work(run):
        assert not (path / "round-1/half.parquet").exists()


def test_a_cache_that_cannot_be_written_is_told(run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SENA_CACHE", str(tmp_path / "file"))
    with pytest.raises(SenaError, match="set SENA_CACHE to another folder"):
        copies.look(run)


def test_other_things_in_a_place_are_left_alone(bucket: Bucket) -> None:
    from sena.runs.folder import at_work

    bucket.put("photos/1.png", b"a picture")
    with pytest.raises(SenaError, match="holds other things than a run"), at_work(f"{bucket.address}/photos"):
        pass
    assert bucket.objects() == {"photos/1.png": b"a picture"}


def test_a_store_that_says_no_is_told(run: str, bucket: Bucket) -> None:
    path = copies.look(run)
    bucket.refuse = lambda method, key: (403, "AccessDenied") if method == "PUT" else None
    with pytest.raises(SenaError, match=r"s3://.*/runs/mine/result.json may not be used .*check the credentials"):
        files.write_json(path / "result.json", {})
    with pytest.raises(SenaError, match="There is no s3://no-such-bucket/runs/mine"):
        copies.look("s3://no-such-bucket/runs/mine")


def test_one_machine_works_on_a_run_at_a_time(
    run: str, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sena.runs.folder import at_work

    with at_work(run) as here:
        said = json.loads(bucket.objects("runs/mine")[owner.NAME])
        assert said["process"] == os.getpid()
        monkeypatch.setenv("SENA_CACHE", str(tmp_path / "another machine"))
        with pytest.raises(RunFolderError, match=r"runs/mine is in use by process \d+ of .* seconds ago"), at_work(run):
            pass
        assert json.loads(bucket.objects("runs/mine")[owner.NAME]) == said
        monkeypatch.setattr(owner, "FRESH", -10.0)  # it has long been silent
        with at_work(run) as there:
            assert there != here
            assert json.loads(bucket.objects("runs/mine")[owner.NAME])["folder"] == str(there)
    assert owner.NAME not in bucket.objects("runs/mine")


def test_one_that_was_silent_for_long_leaves_the_run_to_the_other(
    run: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sena.runs.folder import at_work

    def lose() -> None:
        with at_work(run) as path:
            bucket.put(f"runs/mine/{owner.NAME}", json.dumps({"process": 7, "host": "elsewhere"}).encode())
            time.sleep(2)
            files.write_json(path / "result.json", {})

    monkeypatch.setattr(owner, "BEAT", 0.5)
    with pytest.raises(SenaError, match="was taken over by process 7 of elsewhere"):
        lose()
    path = copies.place(run)
    with pytest.raises(SenaError, match="was taken over"):
        files.remove(path / "metrics.jsonl")
    with pytest.raises(SenaError, match="was taken over"):
        files.remove_tree(path / "round-1/model")
    assert {"metrics.jsonl", "round-1/model/config.json"} <= bucket.objects("runs/mine").keys()
    assert json.loads(bucket.objects("runs/mine")[owner.NAME])["process"] == 7
    assert "result.json" not in bucket.objects("runs/mine")
    bucket.delete(f"runs/mine/{owner.NAME}")
    with at_work(run) as path:
        files.write_json(path / "result.json", {})
    assert "result.json" in bucket.objects("runs/mine")


def test_logs_of_a_run_that_ended_are_put_no_more(run: str, bucket: Bucket) -> None:
    """They would lie over those of whoever goes on with it, or keep another run of this process from its store."""
    from sena.runs.folder import at_work

    def fail() -> None:
        with at_work(run) as path:
            files.append(path / "log.txt", "never put\n")
            bucket.refuse = lambda method, key: (403, "AccessDenied") if key.startswith("runs/mine") else None
            raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        fail()
    files.write_json(copies.place(f"{bucket.address}/runs/other") / "manifest.json", {})
    assert bucket.objects("runs/other").keys() == {"manifest.json"}
    assert "log.txt" not in bucket.objects("runs/mine")


def test_logs_of_a_long_step_are_put_every_minute(run: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    from sena.runs.folder import at_work

    monkeypatch.setattr(owner, "BEAT", 0.05)
    with at_work(run) as path:
        files.append(path / "log.txt", "a long step\n")
        until = time.monotonic() + 20
        while "log.txt" not in bucket.objects("runs/mine") and time.monotonic() < until:
            time.sleep(0.05)
        assert bucket.objects("runs/mine")["log.txt"] == b"a long step\n"
        (path / "workers.log").write_text("written by others")
    assert bucket.objects("runs/mine")["workers.log"] == b"written by others"
