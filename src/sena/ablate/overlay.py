"""A recipe as it is played in the miniature world: the demo's scale and words, the recipe's method.

Compared are methods, so what differs is how pairs are made and what is learned from them. The number of pictures, the
benchmark and the way of training (all weights) are the demo's; prompts are too, since the miniature knows no others.
A recipe of more or fewer rounds shares the same pictures among them. A learning rate counts as a multiple of `sena`'s.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sena.recipes import load
from sena.recipes.load import Override
from sena.recipes.recipe import Recipe, load_recipe

BASIS = "sena"
METHOD = ("question", "check", "describe", "enhance", "corruption", "samples", "filters", "pair", "dpo", "alignment")
TRAINED = ("train.schedule", "train.warmup", "train.epochs", "train.weight_decay")
WORDS = ("prompt", "prompts", "yes_prompt", "label", "prefix", "suffix", "max_new_tokens")
IMAGES = 900
QUIRKS = "sena-as-released"


def in_miniature(name: str, base: str, seed: int, settings: tuple[str, ...] = ()) -> Recipe:
    """The recipe `name` (shipped, a file, or `quirk:a.b`) for one run; `settings` hold for all recipes of a table."""
    changes = _quirk(name) if name.startswith("quirk:") else _changes(name)
    typed = [load.parse_set(setting) for setting in settings]
    own = [
        Override("model.name", base, "--bases"),
        Override("run.seed", seed, "--seeds"),
        Override("eval.blind", False, "ablate"),
    ]
    data, origins = load.read("demo", [*changes, *own, *typed])
    return load.validate(Recipe, data, origins)


def quirks() -> list[str]:
    """One recipe for each quirk of the released code that the miniature can play: `quirk:check.blind`, ..."""
    return [f"quirk:{change.path}" for change in _changes(QUIRKS)]


def _quirk(name: str) -> list[Override]:
    wanted = name.removeprefix("quirk:")
    found = [change for change in _changes(QUIRKS) if change.path == wanted]
    if not found:
        from sena.errors import RecipeError

        known = ", ".join(change.path for change in _changes(QUIRKS))
        raise RecipeError(f"{name} is no quirk of the released code: known are {known}")
    return found


def _changes(name: str) -> list[Override]:
    """What makes the recipe another method than `sena`, in the demo's scale."""
    there, here = (_flat(load_recipe(each, model="mini", images="mini")) for each in (name, BASIS))
    flag = Path(name).stem
    changes = [Override(key, value, flag) for key, value in there.items() if here.get(key) != value and _method(key)]
    if there["train.learning_rate"] != here["train.learning_rate"]:
        times = there["train.learning_rate"] / here["train.learning_rate"]
        changes.append(Override("train.learning_rate", times * demo_rate(), flag))
    if there["run.rounds"] != here["run.rounds"]:
        rounds = there["run.rounds"]
        changes += [
            Override("run.rounds", rounds, flag),
            Override("run.images_per_round", max(1, IMAGES // rounds), flag),
        ]
    return changes


def demo_rate() -> float:
    return load_recipe("demo").train.learning_rate


def _method(key: str) -> bool:
    group, _, rest = key.partition(".")
    return key in TRAINED or (group in METHOD and rest.rpartition(".")[2] not in WORDS)


def _flat(recipe: Recipe) -> dict[str, Any]:
    """Dotted settings; questions that people gave are the miniature's own, so their sources' names say nothing."""
    flat: dict[str, Any] = {}
    for group, values in recipe.model_dump(mode="json").items():
        flat |= {f"{group}.{key}": value for key, value in values.items()}
    given = flat.get("question.given")
    if given is not None:
        flat["question.given"] = {"max_per_image": given["max_per_image"]}
    return flat
