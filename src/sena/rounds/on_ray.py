"""A launcher by Ray Train, as torchrun is one: `python -m sena.rounds.on_ray ADDRESS PROCESSES DEVICE -m PROGRAM ...`.

For machines that only Ray reaches. Ray's TorchTrainer places the workers, has them form a process group and ends all
when one fails; each then is a rank like any other. Checkpoints, and going on from them, are ours: Ray retries nothing.
What ranks tell comes through a queue of Ray's, and from there to standard output, as from ranks of torchrun.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import sena
from sena.align.ranks import PATIENCE
from sena.data.actors import cluster
from sena.errors import SenaError
from sena.rounds import launch, rank
from sena.rounds.worker import take_place

NAME = "ray"
"""Ray Train's own folder in the run folder, which holds nothing of ours and is removed at the end."""
SWITCHES = {
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "86400",  # how long the cluster has to grow until all workers have room
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    "RAY_TRAIN_METRICS_ENABLED": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
"""What Ray Train reads from the environment."""


def main(arguments: list[str]) -> None:
    """Run the rank that the program names in so many workers; `auto` is one for each GPU of the cluster.

    Raises SenaError when the cluster cannot be reached, and Ray's TrainingFailedError when a worker fails.
    """
    os.environ |= SWITCHES
    address, processes, device, *program = arguments
    run, number, part = program[-3:]
    with cluster(None if address == launch.ALONE else address, 1 if processes == "auto" else int(processes)) as ray:
        has = ray.cluster_resources()
        on_gpu = device == "cuda" or (device == "auto" and has.get("GPU", 0) > 0)
        count = max(1, int(has.get("GPU", 0) if on_gpu else 1)) if processes == "auto" else int(processes)
        room = int(has.get("GPU" if on_gpu else "CPU", 0))
        if room < count:
            rank.write(
                {"event": "say", "text": f"  Ray has room for {room} of {count} workers: they wait", "style": ""}
            )
        order = {"version": sena.__version__, "folder": os.getcwd(), "rank": (Path(run), int(number), part)}
        _fit(order, count, on_gpu)


def _fit(order: dict[str, Any], count: int, on_gpu: bool) -> None:
    from ray.exceptions import RayError
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.util.queue import Queue

    ear, storage = Queue(actor_options={"num_cpus": 0}), order["rank"][0]
    listener = threading.Thread(target=_hand_on, args=(ear,), daemon=True)
    listener.start()
    trainer = TorchTrainer(
        work,
        train_loop_config={**order, "ear": ear},
        torch_config=TorchConfig(timeout_s=int(PATIENCE.total_seconds())),
        scaling_config=ScalingConfig(num_workers=count, use_gpu=on_gpu),
        run_config=RunConfig(
            name=NAME,
            storage_path=str(storage),
            failure_config=FailureConfig(max_failures=0, max_preemption_failures=0, controller_failure_limit=0),
        ),
    )
    try:
        trainer.fit()
    finally:
        with contextlib.suppress(RayError):  # its own end would hide why training ended
            ear.put(None)
        listener.join()
        shutil.rmtree(storage / NAME, ignore_errors=True)


def work(order: dict[str, Any]) -> None:
    """One rank, in a worker where Ray Train has formed the process group and set RANK and what belongs to it."""
    with rank.telling(order["ear"].put):
        take_place(order["version"], order["folder"])
        path, number, part = order["rank"]
        rank.work(path, number, part, order["ear"].put)


def _hand_on(ear: Any) -> None:
    """Until the end, which is None."""
    while (event := ear.get()) is not None:
        rank.write(event)


if __name__ == "__main__":
    from sena.rounds import on_ray  # by its name, since what is of the program itself Ray sends by value

    try:
        on_ray.main(sys.argv[1:])
    except SenaError as error:
        rank.write({"event": "failed", "kind": "mistake", "text": str(error)})
        sys.exit(1)
