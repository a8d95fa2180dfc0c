"""Seeds come from what is being made, never from order, worker or shard."""

from __future__ import annotations

import hashlib


def derive(*parts: str | int | float) -> int:
    """A seed in [0, 2**63) from its parts, e.g. `derive(run_seed, round, image_id, "corrupt")`.

    Parts are joined with a separator that no id holds, so that ("a", "bc") and ("ab", "c") differ.
    """
    text = "\x1f".join(repr(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def pick(count: int, *parts: str | int | float) -> int:
    """An index in [0, count), as seeded as `derive`. 2**63 is so much larger than any count that the bias is nil."""
    return derive(*parts) % count
