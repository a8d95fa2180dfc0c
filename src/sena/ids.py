"""Ids come from content and lineage, so they are the same on every machine and never hold a worker or a line number."""

from __future__ import annotations

import hashlib


def of_bytes(data: bytes) -> str:
    """The id of a file: the first 16 hex digits of its SHA-256 (64 bits; a clash among 10^6 files has odds of 3e-8)."""
    return hashlib.sha256(data).hexdigest()[:16]


def child(parent: str, what: str, index: int = 0) -> str:
    """The id of the `index`-th `what` made from `parent`."""
    return of_bytes(f"{parent}/{what}/{index}".encode())
