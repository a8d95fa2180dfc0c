"""Reads the records of a JSON list one at a time: the annotation file of LLaVA-665K is 1 GB and would fill several."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from sena.errors import SenaError

CHUNK = 1 << 20
"""Characters that are read at a time."""
LONGEST = 1 << 26
"""Characters of the longest record. One that does not end within them is taken for broken."""
_SPACE = " \t\r\n"
_GOES_ON = ("", ".", "e", "E")
_LONGEST_WORD = 20
"""A fault that lies this far before the end of what was read is no matter of reading on."""


def records(path: Path) -> Iterator[Any]:
    """Every item of the list that the file holds, in order. Memory holds one record and one chunk.

    Raises SenaError naming line and column when the file cannot be read, is no JSON, or is no list.
    """
    try:
        with open(path, encoding="utf-8-sig") as handle:
            yield from _Reader(path, handle).items()
    except (UnicodeDecodeError, RecursionError) as error:
        raise SenaError(f"{path} is not a JSON text: download it again") from error
    except OSError as error:
        raise SenaError(f"{path} cannot be read ({error.strerror}): check the path") from error


class _Reader:
    """A window on the text: `text` from `at` on is not yet taken, `line` and `column` say where `text` begins."""

    def __init__(self, path: Path, handle: TextIO) -> None:
        self.path, self.handle = path, handle
        self.text, self.at = "", 0
        self.line, self.column = 1, 0
        self.ended = False
        self.decoder = json.JSONDecoder()

    def items(self) -> Iterator[Any]:
        if self._next_letter() != "[":
            if not self._next_letter():
                raise self._broken("the file is empty", self.at)
            raise SenaError(f"{self.path} is no list of records: name a file that begins with [")
        self.at += 1
        if self._next_letter() != "]":
            yield self._item()
            while self._next_letter() == ",":
                self.at += 1
                self._next_letter()
                yield self._item()
        if self._next_letter() != "]":
            raise self._broken("Expecting ',' delimiter", self.at)
        self.at += 1
        if self._next_letter():
            raise self._broken("Extra data", self.at)

    def _next_letter(self) -> str:
        """The next character that is no white space, which stays; nothing at the end of the file."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in _SPACE:
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self._more():
                return ""

    def _item(self) -> Any:
        """One whole value. A number near the end of what was read may go on behind it (0 of 0.5), so more is read."""
        while True:
            try:
                value, end = self.decoder.raw_decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if not self._may_go_on(error) or not self._more():
                    raise self._broken(error.msg, error.pos) from error
                continue
            whole = self.text[end : end + 1] not in _GOES_ON or end + _LONGEST_WORD < len(self.text)
            if whole or not self._more():
                self.at = end
                return value

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        near_the_end = error.pos + _LONGEST_WORD >= len(self.text)
        return (near_the_end or error.msg.startswith("Unterminated string")) and len(self.text) - self.at < LONGEST

    def _more(self) -> bool:
        """Read on, at least as much as is still waiting, so that a long record is not read over and over."""
        piece = "" if self.ended else self.handle.read(max(CHUNK, len(self.text) - self.at))
        if not piece:  # the text stays, for whoever says where it is broken
            self.ended = True
            return False
        taken, self.text = self.text[: self.at], self.text[self.at :]
        lines = taken.count("\n")
        self.line += lines
        self.column = len(taken) - taken.rfind("\n") - 1 if lines else self.column + len(taken)
        self.text, self.at = self.text + piece, 0
        return True

    def _broken(self, what: str, place: int) -> SenaError:
        before = self.text[:place]
        lines = before.count("\n")
        column = place - before.rfind("\n") if lines else self.column + place + 1
        where = f"line {self.line + lines}, column {column}"
        return SenaError(f"{self.path} is not valid JSON ({where}: {what}): download it again")
