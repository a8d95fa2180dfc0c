"""The local engine: a model in this process that reads each picture once for all prompts on it.

Every request is cut behind its picture, each (picture, corruption) is read once, and the rest is decoded or scored in
batches behind the kept keys and values (prefix.py, decode.py, scoring.py). A model that cannot do this, found out on
the first request (trust.py), and requests without a picture take the plain paths: transformers' `generate` (plain.py),
and a whole row for each answer (models/logprobs.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import torch

from sena.engines import memory, plain, trust
from sena.engines.base import OpenImage
from sena.engines.decode import decode
from sena.engines.looks import Looks
from sena.engines.prefix import Branch, Prefixes, cut
from sena.engines.sampling import GumbelNoise
from sena.engines.scoring import score, with_answer
from sena.errors import SenaError
from sena.models import encode
from sena.models.logprobs import Sequence as Scored
from sena.models.logprobs import log_probabilities
from sena.models.vlm import VLM
from sena.records import Reply, Request, Score

__all__ = ["GumbelNoise", "LocalEngine"]

T = TypeVar("T")
R = TypeVar("R")
Whole = tuple[Request, encode.Pixels | None]
"""A request and its picture as the model takes it."""


@dataclass(slots=True)
class LocalEngine:
    """Answers with a model in this process. `batch` prompts go together; it only shrinks, when memory runs out.

    `cache_gb` bounds keys and values (see memory.py). `path` is `shared`, `plain`, or empty before the first picture,
    and `why` says why it is plain; setting `path` beforehand decides it.
    """

    vlm: VLM
    batch: int = 32
    cache_gb: float = 0.0
    offers: frozenset[Literal["generate", "score"]] = frozenset({"generate", "score"})
    halvings: int = 0
    path: Literal["", "shared", "plain"] = ""
    why: str = ""
    prefixes: Prefixes = field(default_factory=Prefixes)
    _budget: memory.Budget | None = None
    _looks: Looks = field(default_factory=Looks)
    _window: bool = False

    @contextlib.contextmanager
    def window(self) -> Iterator[None]:
        """Keep pictures and prefixes from call to call inside of it. It starts and ends with none, so that what comes
        out depends on the requests inside alone; image ids have to mean the same pictures throughout."""
        self._forget()
        self._window = True
        try:
            yield
        finally:
            self._window = False
            self._forget()

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        """Greedy for temperature 0, else sampled with the request's own seed. The order of the requests is kept.

        Batches follow from the requests (and those before in the window) alone: those of equal limits together, so that
        a short answer does not wait for a long description.
        """
        made = self._all(requests, open_image, self._shared, self._plain)
        return [plain.reply(self.vlm, request, row) for request, row in zip(requests, made, strict=True)]

    def score(self, requests: Sequence[Request], open_image: OpenImage) -> list[Score]:
        """Log-probabilities of the requests' given answers, under their (perhaps corrupted) pictures."""
        return self._all(requests, open_image, self._score_shared, self._score_plain)

    def _all(
        self,
        requests: Sequence[Request],
        open_image: OpenImage,
        shared: Callable[[list[Branch]], list[R]],
        whole: Callable[[list[Whole]], list[R]],
    ) -> list[R]:
        """What `shared` makes of the requests that share prefixes and `whole` of the others, in their order."""
        made: dict[int, R] = {}
        branches, rest = self._cut(requests, open_image)
        for part in self._parts(branches):
            made |= self._batches(part, lambda place: _kind(requests[place]), shared)
        jobs = {place: (requests[place], self._looks.at(self.vlm, requests[place], open_image)) for place in rest}
        made |= self._batches(jobs, lambda place: _kind(requests[place]), whole)
        if not self._window:
            self._forget()
        return [made[place] for place in range(len(requests))]

    def _cut(self, requests: Sequence[Request], open_image: OpenImage) -> tuple[dict[int, Branch], list[int]]:
        """Requests to be shared, cut behind their pictures, and the places of the others."""
        branches: dict[int, Branch] = {}
        for place, request in enumerate(requests):
            pixels = None if self.path == "plain" else self._looks.at(self.vlm, request, open_image)
            if pixels is None:
                continue
            branch = cut(self.vlm, request, pixels)
            if not self.path:
                self._decide(branch)
            if self.path == "shared":
                branches[place] = branch
        return branches, [place for place in range(len(requests)) if place not in branches]

    @torch.inference_mode()
    def _decide(self, branch: Branch) -> None:
        try:
            self.why = trust.why_not(self.vlm, branch)
        except torch.OutOfMemoryError:
            self.why = "memory ran out when it was tried"
        self.path = "plain" if self.why else "shared"

    def _parts(self, branches: dict[int, Branch]) -> list[dict[int, Branch]]:
        """Branches whose prefixes fit the memory together, picture by picture, so that each is read once."""
        room = self._memory().kept // memory.bytes_per_token(self.vlm)
        parts: list[dict[int, Branch]] = []
        part_of: dict[object, int] = {}
        used = room
        for branch in branches.values():
            if branch.key not in part_of:
                used += branch.shared
                if used > room:
                    parts.append({})
                    used = branch.shared
                part_of[branch.key] = len(parts) - 1
        for place, branch in branches.items():
            parts[part_of[branch.key]][place] = branch
        return parts

    def _batches(
        self, jobs: dict[int, T], kind: Callable[[int], tuple[int, bool]], work: Callable[[list[T]], list[R]]
    ) -> dict[int, R]:
        """`work` done on `jobs`, those of one kind together, in batches that shrink when memory runs out."""
        kinds: dict[tuple[int, bool], list[int]] = {}
        for place in sorted(jobs):
            kinds.setdefault(kind(place), []).append(place)
        made: dict[int, R] = {}
        for _, places in sorted(kinds.items()):
            while places:
                head = places[: self.batch]
                try:
                    done = work([jobs[place] for place in head])
                except torch.OutOfMemoryError as error:
                    self._halve(error)
                    continue
                made.update(zip(head, done, strict=False))
                places = places[len(done) :]
        return made

    @torch.inference_mode()
    def _shared(self, branches: list[Branch]) -> list[list[int]]:
        """New ids of the first branches, as many as fit the working memory."""
        branches = branches[: self._rows(branches, branches[0].request.max_new_tokens)]
        return decode(self.vlm, branches, self.prefixes.get(self.vlm, branches, self._memory().kept))

    @torch.inference_mode()
    def _score_shared(self, branches: list[Branch]) -> list[Score]:
        """Scores of the first branches, as many as fit the working memory."""
        answered = [with_answer(self.vlm, branch) for branch in branches]
        answered = answered[: self._rows([branch for branch, _ in answered], 0)]
        branches, answers = [branch for branch, _ in answered], [answer for _, answer in answered]
        prefixes = self.prefixes.get(self.vlm, branches, self._memory().kept)
        return _scores([branch.request for branch in branches], *score(self.vlm, branches, answers, prefixes))

    def _rows(self, branches: Sequence[Branch], extra: int) -> int:
        """How many of the branches go together, with `extra` tokens behind each."""
        slots = max(branch.shared for branch in branches) + max(len(branch.text) for branch in branches) + extra
        return max(1, self._memory().working // (memory.bytes_per_token(self.vlm) * slots))

    @torch.inference_mode()
    def _plain(self, jobs: list[Whole]) -> list[list[int]]:
        prompts = [encode.prompt_ids(self.vlm, request.prompt, pixels) for request, pixels in jobs]
        return plain.answer(self.vlm, [request for request, _ in jobs], prompts, [pixels for _, pixels in jobs])

    @torch.inference_mode()
    def _score_plain(self, jobs: list[Whole]) -> list[Score]:
        rows = []
        for request, seen in jobs:
            prompt = encode.prompt_ids(self.vlm, request.prompt, seen)
            answer = encode.answer_ids(self.vlm, request.prompt, request.answer or "", seen)
            rows.append(Scored(prompt, answer, seen))
        return _scores([request for request, _ in jobs], *log_probabilities(self.vlm, rows))

    def _memory(self) -> memory.Budget:
        if self._budget is None:
            self._budget = memory.budget(self.vlm, self.cache_gb)
        return self._budget

    def _halve(self, error: torch.OutOfMemoryError) -> None:
        self.prefixes.clear()
        if self.batch == 1:
            raise SenaError(f"{self.vlm.name} does not fit the device even with one prompt at a time") from error
        self.batch //= 2
        self.halvings += 1
        self._memory().halve()
        torch.cuda.empty_cache()

    def _forget(self) -> None:
        self.prefixes.clear()
        self._looks.clear()


def _scores(requests: Sequence[Request], sums: torch.Tensor, counts: torch.Tensor) -> list[Score]:
    return [
        Score(request.id, total, total / count, count)
        for request, total, count in zip(requests, sums.tolist(), counts.tolist(), strict=True)
    ]


def _kind(request: Request) -> tuple[int, bool]:
    """What the requests of a batch have in common: their limit, and whether they have a picture."""
    return (request.max_new_tokens, request.image is None)
