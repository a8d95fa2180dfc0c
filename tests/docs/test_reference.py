"""docs/reference/ and the picture of the rooms say what the code says."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

import make_reference  # pyright: ignore[reportMissingImports]
from sena.config import Config
from tests.docs.page import DOCS


class Inner(Config):
    """A group."""

    size: int = Field(default=3, ge=1, lt=9)
    """How large."""


class Sample(Config):
    """One key of every sort."""

    many: tuple[Inner, ...]
    """Several | of them."""
    maybe: Inner | None = None
    """One or none."""
    word: Literal["a", "b"] | None = "a"
    """A choice."""


@pytest.mark.parametrize("name", make_reference.pages())
def test_the_committed_file_is_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text() == make_reference.pages()[name], "type: make reference"


def test_groups_are_opened_and_types_told_in_words() -> None:
    """`many` and `maybe` are keys themselves, since both may be replaced whole; 3 is at least 1 and less than 9."""
    found = [pair for name, field in Sample.model_fields.items() for pair in make_reference.keys(name, field)]
    told = {path: make_reference.takes(field) for path, field in found}
    assert told == {
        "many": "list of: group",
        "many[].size": "whole number, at least 1, less than 9",
        "maybe": "group or null",
        "maybe.size": "whole number, at least 1, less than 9",
        "word": "`a`, `b` or null",
    }


def test_a_type_without_words_is_an_error() -> None:
    class Strange(Config):
        value: bytes = b""

    with pytest.raises(TypeError, match="no words for the type"):
        make_reference.takes(Strange.model_fields["value"])
