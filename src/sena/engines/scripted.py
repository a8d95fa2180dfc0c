"""An engine of canned replies: for tests, for dry runs of a recipe, and for measuring everything but the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from sena.engines.base import OpenImage
from sena.records import Reply, Request, Score


@dataclass(frozen=True, slots=True)
class ScriptedEngine:
    """`script` says what to answer. A plain text is a finished answer; a Reply is passed on with its request's id."""

    script: Callable[[Request], str | Reply]
    offers: frozenset[Literal["generate", "score"]] = frozenset({"generate"})

    def generate(self, requests: Sequence[Request], open_image: OpenImage) -> list[Reply]:
        """One reply a request, in their order. The pictures are never opened."""
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        said = self.script(request)
        if isinstance(said, Reply):
            return Reply(request.id, said.text, said.finished, said.tokens, said.stable)
        return Reply(request.id, said)

    def score(self, requests: Sequence[Request], open_image: OpenImage) -> list[Score]:
        """A script has no probabilities. Raises NotImplementedError; `offers` says so beforehand."""
        raise NotImplementedError("a scripted engine cannot score")
