"""The base of every component's configuration: frozen, and a key that nobody knows is an error, not a silence."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Lives beside its component; a recipe only composes them. Every field has a description, which the docs print."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
