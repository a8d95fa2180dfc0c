"""The pool with Ray's actors: on one node, on a cluster that grows while it works, and on one that loses a node.

The nodes of the cluster are processes of this machine (`ray.cluster_utils`), each with a raylet of its own.
"""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sena.data import actors as module
from sena.data import pool
from sena.data.blame import Work
from sena.data.config import ComputeConfig, RayConfig
from sena.data.pool import work_off
from sena.data.run_stage import Dropped
from sena.errors import SenaError
from sena.runs import tables
from tests.data import workers
from tests.data.test_processes import ROOT, Run

pytestmark = pytest.mark.slow


class OnRay(Run):
    """As `Run`, by actors."""

    address: str | None = None
    on_gpu = False

    def work(self) -> list[Work]:
        config = self.config.model_copy(update={"kind": "ray", "ray": RayConfig(address=self.address, num_cpus=1)})
        works = [Work(place, tuple(part), config.retries) for place, part in enumerate(self.parts)]
        with module.actors(config, self.make, self.order, 1, self.on_gpu) as crew:
            return work_off(crew, works, config, self.told.append, self.said.append)


@pytest.fixture(scope="class")
def ray() -> Iterator[Any]:
    """A Ray of the program's own, which the crews join."""
    import ray

    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, object_store_memory=module.STORE_BYTES)
    yield ray
    ray.shutdown()


@pytest.mark.usefixtures("ray")
class TestOneNode:
    def test_actors_make_what_one_makes_alone(self, tmp_path: Path) -> None:
        run = OnRay(tmp_path, "a b c", "d e f", "slow g", "slow h")
        assert run.work() == []
        assert sum(made["made"] for made in run.told) == 10
        for shard in range(4):
            assert run.made(shard) == run.alone(shard)
        assert len({made["pid"] for made in run.told}) == 2

    def test_an_actor_that_is_killed_costs_one_more_try(self, tmp_path: Path) -> None:
        run = OnRay(tmp_path, "a", "first b")
        assert run.work() == []
        [line] = run.said
        assert line.startswith("  a worker was lost (ActorDiedError) at shard 1")
        assert run.made(1)["manifest.json"]

    def test_a_poisoned_image_costs_only_itself(self, tmp_path: Path) -> None:
        run = OnRay(tmp_path, "a b killer d", retries=0)
        assert run.work() == []
        drops = tables.read(tmp_path / "many" / "shards" / "00000" / "drops.parquet", Dropped)
        assert [(drop.image_id, drop.reason) for drop in drops] == [("killer", "worker died")]

    def test_an_actor_that_hangs_is_ended_and_replaced(self, tmp_path: Path) -> None:
        run = OnRay(tmp_path, "a", "hang", timeout_minutes=0.3)
        assert run.work() == []
        assert run.said == ["  a worker gave no answer in 0.3 minutes at shard 1, which is tried again"]

    def test_faults_and_mistakes(self, tmp_path: Path) -> None:
        run = OnRay(tmp_path, "fault", retries=0)
        assert run.work() == []
        assert "failed with ZeroDivisionError: a fault of ours" in run.said[0]
        with pytest.raises(SenaError, match="No space left: free some"):
            OnRay(tmp_path, "mistake", "a").work()
        with pytest.raises(SenaError, match=r"No worker could be made ready, in 2 tries; .*MemoryError"):
            OnRay(tmp_path, "a", make=workers.never, retries=1).work()

    def test_an_actor_computes_with_the_runs_threads(self, tmp_path: Path) -> None:
        """Ray itself sets OMP_NUM_THREADS to the actor's processors, which is one here."""
        run = OnRay(tmp_path, "a", "b", make=workers.with_threads)
        assert run.work() == []
        assert [made["threads"] for made in run.told] == [3, 3]

    def test_all_processors_are_given_back(self, ray: Any, tmp_path: Path) -> None:
        assert OnRay(tmp_path, "a", "b").work() == []
        begun = time.monotonic()
        while ray.available_resources().get("CPU") != 2:
            assert time.monotonic() - begun < 20
            time.sleep(0.2)


def test_each_actor_has_a_gpu_of_its_own(tmp_path: Path) -> None:
    """Two GPUs that Ray is told of; what it makes visible to an actor is what counts."""
    import ray

    store = {"object_store_memory": module.STORE_BYTES, "include_dashboard": False}
    ray.init("local", num_cpus=4, num_gpus=2, log_to_driver=False, **store)
    try:
        run = OnRay(tmp_path, *(f"slow{number}" for number in range(4)))
        run.on_gpu = True
        assert run.work() == []
    finally:
        ray.shutdown()
    assert {made["gpu"] for made in run.told} == {"0", "1"}
    assert len({made["pid"] for made in run.told}) == 2


def test_nodes_come_and_go_while_it_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster without any room at first; then a node, a second one, and the first one's end amid its work."""
    from ray.cluster_utils import Cluster

    monkeypatch.setattr(pool, "PATIENCE", 2.0)
    store = {"object_store_memory": module.STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **store})
    run = OnRay(tmp_path, *(f"slow{number}" for number in range(12)))
    run.address = cluster.address
    nodes: list[Any] = []

    class Said(list[str]):
        def append(self, line: str) -> None:
            super().append(line)
            if "no worker has started yet" in line:
                nodes.append(cluster.add_node(num_cpus=1, **store))

    class Told(list[dict[str, Any]]):
        def append(self, made: dict[str, Any]) -> None:
            super().append(made)
            if len(self) == 2:
                nodes.append(cluster.add_node(num_cpus=1, **store))
            if len({each["pid"] for each in self}) == 2 and len(nodes) == 2:
                cluster.remove_node(nodes[0], allow_graceful=False)
                nodes.append(None)

    run.said, run.told = Said(), Told()
    try:
        assert run.work() == []
    finally:
        cluster.shutdown()
    assert len(nodes) == 3
    assert any("was lost" in line for line in run.said), run.said
    assert len([made for made in run.told if made["made"]]) == 12
    for shard in range(12):
        assert run.made(shard) == run.alone(shard)


def test_a_cluster_that_is_not_there() -> None:
    config = ComputeConfig(kind="ray", ray=RayConfig(address="127.0.0.1:1"))
    crew = module.actors(config, workers.make, {}, 1, False)
    with pytest.raises(SenaError, match=r"No Ray cluster was reached at 127.0.0.1:1"), crew:
        raise AssertionError("never reached")


def test_a_ray_of_our_own_listens_on_loopback_alone_and_has_no_dashboard(tmp_path: Path) -> None:
    """All listening sockets of the program and its children, as the kernel has them, in a process of its own since Ray
    decides on it when it is imported. 7F000001 is 127.0.0.1, the lowest byte first."""
    code = f"""
from glob import glob
import os
from pathlib import Path
from tests.data.test_actors import OnRay

def tree(process):
    children = [child for each in glob(f"/proc/{{process}}/task/*/children") for child in open(each).read().split()]
    return [process, *(every for child in children for every in tree(int(child)))]

def link(path):
    try:
        return os.readlink(path)
    except OSError:  # closed meanwhile
        return ""

class Told(list):
    def append(self, made):
        opened = [link(each) for process in tree(os.getpid()) for each in glob(f"/proc/{{process}}/fd/*")]
        own = {{each[8:-1] for each in opened if each.startswith("socket:[")}}
        lines = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/net/{{name}}").readlines()[1:]]
        commands = [open(f"/proc/{{each}}/cmdline").read() for each in tree(os.getpid())]
        assert all("--disable-frontend" in command for command in commands if "dashboard.py" in command)
        print([line[1].split(":")[0][-8:] for line in lines if line[3] == "0A" and line[9] in own])

run = OnRay(Path({str(tmp_path)!r}), "a")
run.told = Told()
run.work()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    found = ast.literal_eval(done.stdout.splitlines()[-1] if done.stdout else "[]")
    assert len(found) >= 4, done.stdout + done.stderr
    assert set(found) == {"0100007F"}
