"""A judge: any model behind an OpenAI-compatible endpoint. Its replies are kept, so that nothing is asked twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sena.errors import SenaError
from sena.evals.judged import VERSION
from sena.evals.kept import add_rows, read_rows
from sena.evals.suite import Answer, Record

KEY = "OPENAI_API_KEY"
AT_ONCE = 8
MAX_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Judge:
    """Where the judge answers, and which model it is. Its key is taken from the environment variable OPENAI_API_KEY."""

    url: str
    model: str


def judged(
    records: Sequence[Record],
    prompt: Callable[[Answer], str],
    judge: Judge,
    kept: Path | None = None,
    on_done: Callable[[int], None] = lambda count: None,
) -> list[Record]:
    """The records with the judge's raw reply to every answer. `kept` holds earlier replies, one a line, and grows.

    A reply is used again only for the same judge, version and prompt. Raises SenaError when the judge cannot be asked.
    """
    prompts = {answer.id: prompt(answer) for record in records for answer in record.answers}
    verdicts = _earlier(kept, judge, prompts)
    waiting = [name for name in prompts if name not in verdicts]
    if waiting:
        ask = _asker(judge)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for start in range(0, len(waiting), AT_ONCE):
                part = waiting[start : start + AT_ONCE]
                found = dict(zip(part, pool.map(lambda name: ask(prompts[name]), part), strict=True))
                _keep(kept, judge, found, prompts)
                verdicts |= found
                on_done(len(part))
    return [
        replace(record, answers=tuple(replace(each, verdict=verdicts[each.id]) for each in record.answers))
        for record in records
    ]


def _asker(judge: Judge) -> Callable[[str], str]:
    try:
        import openai
    except ImportError as error:
        raise SenaError("A judge is asked through the package openai: pip install 'sena[server]'") from error
    client = openai.OpenAI(base_url=judge.url, api_key=os.environ.get(KEY) or "none", max_retries=4, timeout=120)

    def ask(prompt: str) -> str:
        turns: Any = [{"role": "user", "content": prompt}]
        try:
            made = client.chat.completions.create(
                model=judge.model, messages=turns, temperature=0, max_tokens=MAX_TOKENS
            )
        except openai.AuthenticationError as error:
            raise SenaError(f"The judge at {judge.url} refuses the key: put one into the variable {KEY}") from error
        except openai.APIConnectionError as error:
            raise SenaError(f"The judge at {judge.url} does not answer: is the address right?") from error
        except openai.OpenAIError as error:
            raise SenaError(
                f"The judge {judge.model} at {judge.url} failed ({error}): its replies so far are kept"
            ) from error
        return made.choices[0].message.content or ""

    return ask


def _line(judge: Judge, name: str, prompt: str) -> dict[str, str]:
    asked = hashlib.sha256(prompt.encode()).hexdigest()[:16]
    return {"id": name, "judge": judge.model, "version": VERSION, "asked": asked}


def _earlier(kept: Path | None, judge: Judge, prompts: dict[str, str]) -> dict[str, str]:
    """Replies in `kept` that answer just these prompts."""
    found: dict[str, str] = {}
    for row in read_rows(kept) if kept else []:
        name = row.get("id", "")
        if name in prompts and _line(judge, name, prompts[name]).items() <= row.items():
            found[name] = row["reply"]
    return found


def _keep(kept: Path | None, judge: Judge, found: dict[str, str], prompts: dict[str, str]) -> None:
    if kept is not None:
        rows = [{**_line(judge, name, prompts[name]), "reply": reply} for name, reply in found.items()]
        add_rows(kept, rows)
