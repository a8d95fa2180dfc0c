"""lmms-eval asks a sena model: `lmms-eval --model sena --model_args pretrained=runs/mine --tasks pope --batch_size 32`.

lmms-eval finds `manifest` by its entry-point group `lmms_eval.models`, and through it the class `Sena`. That class is
made when it is first asked for, since its base class is lmms-eval's, which sena itself does not need.

A task asks with tuples: (context, generation settings or continuation, what finds the pictures, document, task, split).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from sena import ids
from sena.engines.base import Engine
from sena.errors import SenaError
from sena.evals.base import CHUNK
from sena.records import Request
from sena.seeds import derive

MAX_NEW_TOKENS = 1024
"""Where a task sets no limit."""
PLACE = "<image>"
"""How some tasks mark the picture's place in a prompt. Ours stands where the model's template has it."""
BETWEEN_SHOTS = "\n\n"
"""What lmms-eval stops at where a task names nothing. It parts examples, and would cut a description in paragraphs."""


def manifest() -> Any:
    """What lmms-eval registers: the model `sena`."""
    from lmms_eval.models.registry_v2 import ModelManifest  # pyright: ignore[reportMissingImports]

    return ModelManifest("sena", simple_class_path=f"{__name__}.Sena")


def __getattr__(name: str) -> Any:
    if name == "Sena":
        return _make_class()
    raise AttributeError(f"module {__name__} has no attribute {name}")


@functools.cache
def _make_class() -> type:
    from lmms_eval.api.instance import GenerationResult  # pyright: ignore[reportMissingImports]
    from lmms_eval.api.model import lmms  # pyright: ignore[reportMissingImports]

    class Sena(lmms):
        """A model's folder, hub name, run or adapter folder, or `mini`, as `pretrained`."""

        is_simple = True

        def __init__(
            self, pretrained: str, batch_size: int | str = 32, device: str = "auto", dtype: str = "auto"
        ) -> None:
            super().__init__()
            self.asking = Asking(load_engine(pretrained, batch_size, device, dtype), self.task_dict)

        def generate_until(self, requests: Sequence[Any]) -> list[str]:
            return self.asking.generate(requests, self.cache_hook.add_partial)

        def loglikelihood(self, requests: Sequence[Any]) -> list[Any]:
            """Wrapped, since lmms-eval 0.7.3 makes a text of a bare pair, which its own metrics then cannot read."""
            return [GenerationResult(pair) for pair in self.asking.losses(requests)]

        def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
            raise SenaError("sena answers one question about one picture: tasks of several rounds cannot be asked")

    Sena.__module__ = __name__
    return Sena


def load_engine(name: str, batch_size: int | str, device: str, dtype: str) -> Engine:
    """Raises SenaError when there is no such model, and for several processes, which would each do all the work."""
    from sena.engines.local import LocalEngine
    from sena.models.load import load
    from sena.recipes import names

    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise SenaError("The model sena runs in one process: start lmms-eval without accelerate or torchrun")
    batch = 32 if str(batch_size).startswith("auto") else int(batch_size)
    return LocalEngine(load(names.model_or_run(name), dtype, device), batch)


@dataclass(frozen=True, slots=True)
class Asking:
    """An engine, and the tasks' documents by task, split and number, which lmms-eval fills in before it asks."""

    engine: Engine
    documents: Mapping[str, Any]

    def generate(self, instances: Sequence[Any], remember: Callable[[str, Any, str], None]) -> list[str]:
        """One answer each, in their order, cut before the first of the task's stop texts. `remember` hears each."""
        said: list[str] = []
        for start in range(0, len(instances), CHUNK):
            pictures: dict[str, Image.Image] = {}
            part = [instance.args for instance in instances[start : start + CHUNK]]
            asked = [self._request(args, start + place, pictures) for place, args in enumerate(part)]
            replies = self.engine.generate(asked, pictures.__getitem__)
            for args, reply in zip(part, replies, strict=True):
                said.append(stopped(reply.text, args[1].get("until")))
                remember("generate_until", (args[0], args[1]), said[-1])
        return said

    def losses(self, instances: Sequence[Any]) -> list[tuple[float, bool]]:
        """Of each given answer the mean negative log-probability a token, and whether it is the greedy one. lmms-eval
        takes the least of several: it asks for losses, whatever the name of its method says."""
        found: list[tuple[float, bool]] = []
        for start in range(0, len(instances), CHUNK):
            pictures: dict[str, Image.Image] = {}
            part = [instance.args for instance in instances[start : start + CHUNK]]
            asked = [self._given(args, start + place, pictures) for place, args in enumerate(part)]
            scores = self.engine.score(asked, pictures.__getitem__)
            greedy = self.engine.generate(asked, pictures.__getitem__)
            for request, score, reply in zip(asked, scores, greedy, strict=True):
                found.append((-score.mean, reply.text.strip() == (request.answer or "")))
        return found

    def _request(self, args: tuple[Any, ...], place: int, pictures: dict[str, Image.Image]) -> Request:
        context, settings, _, number, task, split = args
        limit = int(settings.get("max_new_tokens") or MAX_NEW_TOKENS)
        warm = float(settings.get("temperature") or 0.0) if settings.get("do_sample", True) else 0.0
        seed = derive(0, "lmms", task, split, str(number), place)
        image = self._picture(args, pictures)
        return Request(str(place), plain(context), image, limit, temperature=warm, seed=seed)

    def _given(self, args: tuple[Any, ...], place: int, pictures: dict[str, Image.Image]) -> Request:
        """A continuation may be a text or, for tasks of one, what makes it of the document."""
        context, given, *rest = args
        answer = given(self._document(args)) if callable(given) else given
        image = self._picture(args, pictures) if rest else None
        return Request(str(place), plain(context), image, answer=str(answer).strip())

    def _document(self, args: tuple[Any, ...]) -> Any:
        _, _, _, number, task, split = args
        return self.documents[task][split][number]

    def _picture(self, args: tuple[Any, ...], pictures: dict[str, Image.Image]) -> str | None:
        """The name under which the document's picture was put to the others: of equal pictures the same."""
        found = args[2](self._document(args)) or []
        seen: list[Any] = list(found) if isinstance(found, list | tuple) else [found]
        if not seen:
            return None
        if len(seen) > 1 or not isinstance(seen[0], Image.Image):
            what = f"{len(seen)} of them" if len(seen) > 1 else "something else"
            raise SenaError(f"sena asks about one picture, and the task {args[4]} shows {what}: leave it out")
        picture = seen[0].convert("RGB")
        name = ids.of_bytes(f"{picture.size}".encode() + picture.tobytes())
        pictures[name] = picture
        return name


def plain(context: str) -> str:
    """The prompt without the marks of the picture's place."""
    return context.replace(PLACE, "").strip()


def stopped(text: str, until: str | Sequence[str] | None) -> str:
    """`text` up to the first of the stop texts, but for lmms-eval's own."""
    stops = [until] if isinstance(until, str) else list(until or ())
    ends = [text.find(stop) for stop in stops if stop not in ("", BETWEEN_SHOTS) and stop in text]
    return text[: min(ends, default=len(text))]
