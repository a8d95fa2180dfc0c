"""A launcher of two ranks of which the second has room for one pair at a time, from its fifth batch on.

`python -m tests.rounds.tight -m sena.rounds.rank RUN ROUND PART` starts torchrun, and that this program as ranks.
"""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Sequence

import torch

from sena.align import plain
from sena.align.tree_forward import TreeForward
from sena.models.vlm import VLM

calls = 0
roomy = TreeForward.__call__


def tight(forward: TreeForward, vlm: VLM, pairs: Sequence[plain.Encoded]) -> plain.LogProbs:
    global calls
    if torch.is_grad_enabled():
        calls += 1
        if os.environ["RANK"] == "1" and calls > 4 and len(pairs) > 1:
            raise torch.OutOfMemoryError
    return roomy(forward, vlm, pairs)


if __name__ == "__main__" and "RANK" in os.environ:
    TreeForward.__call__ = tight  # type: ignore[method-assign]
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
elif __name__ == "__main__":
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    sys.exit(subprocess.call([*torchrun, "-m", "tests.rounds.tight", *sys.argv[1:]]))
