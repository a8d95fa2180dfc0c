"""A run's model or pairs on the Hugging Face hub: private unless told otherwise."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sena.errors import SenaError
from sena.recipes import names
from sena.rounds.card import card, recipe_of
from sena.rounds.export import export
from sena.runs.folder import RunFolder, open_run

CARD = "README.md"
_PAIRS = """{head}
# Preference pairs of a self-evolution run

{count} pairs of answers to one question about one picture, the better one first, made by a vision-language model from
unlabelled images with [sena](https://arxiv.org/abs/2412.15650). The layout is that of TRL's conversational preferences,
the pictures are inside:

```python
from datasets import load_dataset

pairs = load_dataset("{repo}", split="train")
```

The rights in the pictures are those of whoever made them.
"""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What went, or would go: name in the repository and bytes of each file. `url` is empty after a dry run."""

    repo: str
    kind: str
    public: bool
    files: tuple[tuple[str, int], ...]
    url: str = ""


def push(run: str | Path, repo: str, *, pairs: bool = False, public: bool = False, dry_run: bool = False) -> Pushed:
    """Put the model that a run stands by (or the pairs of its last round, pictures included) into `repo`.

    The model goes as it lies, with a card that names `repo`; nothing else of the run does. A dry run only says what
    would go, and asks no network. Raises SenaError when there is nothing to push, when the hub says no, and when the
    repository is public but `public` is not given.
    """
    folder = open_run(Path(run).expanduser())
    with tempfile.TemporaryDirectory(prefix="sena-push-") as place:
        found = _pairs(run, repo, Path(place) / "pairs") if pairs else _model(folder, repo)
        kind = "dataset" if pairs else "model"
        sizes = tuple(
            (name, len(data) if isinstance(data, bytes) else data.stat().st_size) for name, data in found.items()
        )
        url = "" if dry_run else _upload(repo, kind, public, found)
    return Pushed(repo, kind, public, sizes, url)


def _model(run: RunFolder, repo: str) -> dict[str, Path | bytes]:
    """Names and places of the model's files; the card is made for the repository."""
    folder = Path(names.model_or_run(str(run.path)))
    number = int(folder.parent.name.removeprefix("round-"))
    found: dict[str, Path | bytes] = {
        path.name: path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")
    }
    return {**found, CARD: card(run, recipe_of(run), number, repo).encode()}


def _pairs(run: str | Path, repo: str, place: Path) -> dict[str, Path | bytes]:
    made = export(run, "trl", place)
    head = yaml.safe_dump({"task_categories": ["image-text-to-text"], "tags": ["sena", "dpo", "trl"]}, sort_keys=False)
    text = _PAIRS.format(head=f"---\n{head}---\n", count=made.pairs, repo=repo)
    return {CARD: text.encode(), "data/train.parquet": place / "pairs.parquet"}


def _upload(repo: str, kind: str, public: bool, found: dict[str, Path | bytes]) -> str:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api: Any = HfApi()
    try:
        api.create_repo(repo, repo_type=kind, private=not public, exist_ok=True)
        if not public and not api.repo_info(repo, repo_type=kind).private:
            raise SenaError(f"{repo} is public already: give --public if that is meant, or another name")
        operations = [CommitOperationAdd(name, data) for name, data in found.items()]
        done = api.create_commit(repo, operations, repo_type=kind, commit_message="Made with sena")
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled, OSError) as error:
        text = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise SenaError(
            f"The hub did not take {repo} ({text}): check the name, and log in with `hf auth login`"
        ) from error
    return str(done.commit_url)
