"""What all stages do alike: name and seed a request, and note which replies were cut."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sena.records import Reply, Request, Row
from sena.seeds import derive
from sena.stages.base import Context


@dataclass(frozen=True, slots=True)
class Asking:
    """Whose request it is: `part` tells the requests of one `ask` apart, `attempt` those of one row that came again."""

    stage: str
    part: str
    attempt: int = 0

    def request(self, row: Row, context: Context, prompt: str, max_new_tokens: int) -> Request:
        """A greedy request about the row's clean picture. Its seed comes from what it asks, not from when or where."""
        seed = derive(
            context.run_seed, context.round, row.image_id, self.stage, self.attempt, f"{row.number}/{self.part}"
        )
        name = f"{row.id}/{self.stage}/{self.attempt}/{self.part}"
        return Request(id=name, prompt=prompt, image=row.image_id, max_new_tokens=max_new_tokens, seed=seed)


def cut_with(row: Row, replies: Mapping[str, Reply]) -> tuple[str, ...]:
    """The row's `cut` with the fields added whose reply ran into its token limit."""
    return tuple(dict.fromkeys((*row.cut, *(field for field, reply in replies.items() if not reply.finished))))
