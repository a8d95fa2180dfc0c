"""The card that goes with a round's model: what it came from, how it was made, what was dropped, what was measured.

No path of this machine stands in it, since it is made to be given away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sena import files, stores
from sena.recipes import load as recipes
from sena.recipes.recipe import Recipe
from sena.records import Image, Pair
from sena.report.meanings import ARROWS, in_order, metric
from sena.runs import tables
from sena.runs.folder import RunFolder

Json = dict[str, Any]
HERE = "."
_USE = """## Use

```python
from transformers import AutoModelForImageTextToText, AutoProcessor

name = "{place}"
model = AutoModelForImageTextToText.from_pretrained(name)
processor = AutoProcessor.from_pretrained(name)
content = [{{"type": "image", "url": "photo.jpg"}}, {{"type": "text", "text": "What is in this picture?"}}]
inputs = processor.apply_chat_template(
    [{{"role": "user", "content": content}}],
    add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
).to(model.device, model.dtype)
answer = model.generate(**inputs, max_new_tokens=128, do_sample=False)
print(processor.decode(answer[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))
```

With sena: `sena chat {place} --image photo.jpg`. The licence of the base model holds for this one too.
"""


def write_card(run: RunFolder, recipe: Recipe, number: int) -> None:
    """README.md of the model of round `number`, from all that the run folder knows by now."""
    files.write_text(run.round(number).model / "README.md", card(run, recipe, number))


def card(run: RunFolder, recipe: Recipe, number: int, place: str = HERE) -> str:
    """The text. `place` is the folder or hub name under which the model will be found."""
    folder = run.round(number)
    imported = _json(folder.path / "imported.json")
    pairs = len(tables.read(folder.table("pairs"), Pair))
    if imported:
        return pairs_card(recipe, imported["file"], pairs, _results(run, number), place)
    return model_card(
        recipe,
        number,
        len(tables.read(folder.images, Image)),
        pairs,
        _funnel(_json(folder.funnel)) + _results(run, number),
        place,
    )


def model_card(recipe: Recipe, number: int, images: int, pairs: int, more: str = "", place: str = HERE) -> str:
    """README.md with the metadata that the hub reads. `number` is the round, `images` and `pairs` are its counts."""
    name = _name(recipe)
    rounds = f"{number} round" + ("s" if number > 1 else "")
    sources = ", ".join(f"{source.name} ({source.kind})" for source in recipe.images.sources)
    spoiled = f"{recipe.corruption.kind}, strength {recipe.corruption.strength:g}"
    return f"""{_head(recipe, "self-evolution")}
# {name}, after {rounds} of self-evolution

Made by [sena](https://arxiv.org/abs/2412.15650) from `{name}`. The training data are preference pairs that the model
made itself from {images} unlabelled images in this round: questions that it asked and checked, answers that it
enhanced with its own descriptions (chosen), and answers under a corrupted picture (rejected). No human label, no other
model.

## Data and recipe

- images: {images} a round, new ones every round, from {sources}
- pairs trained on in this round: {pairs}
- rejected answers under: {spoiled}
{_settings(recipe)}
{more or _UNMEASURED}
{_USE.format(place=place)}"""


def pairs_card(recipe: Recipe, file: str, pairs: int, more: str = "", place: str = HERE) -> str:
    """README.md of a model trained on the pairs of a file, of whose making nothing is known here."""
    name = _name(recipe)
    return f"""{_head(recipe, "preference-optimization")}
# {name}, trained on preference pairs

Made with [sena](https://arxiv.org/abs/2412.15650) from `{name}`, by direct preference optimization on the pairs of a
file.

## Data and recipe

- pairs: {pairs}, from `{file}`
{_settings(recipe)}
{more or _UNMEASURED}
{_USE.format(place=place)}"""


_UNMEASURED = "Not measured.\n"


def _settings(recipe: Recipe) -> str:
    dpo, train = recipe.dpo, recipe.train
    terms = f"preference loss {dpo.loss} (weight {dpo.weight:g}, beta {dpo.beta:g})"
    return (
        f"- {terms}, image content alignment (weight {recipe.alignment.weight:g})\n"
        f"- {train.method} training, learning rate {train.learning_rate:g}, seed {recipe.run.seed}\n"
    )


def _head(recipe: Recipe, tag: str) -> str:
    head: Json = {
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["sena", "dpo", tag],
    }
    if not _is_local(recipe):  # the hub takes only names of its own here
        head = {"base_model": recipe.model.name, "base_model_relation": "finetune", **head}
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n"


def _is_local(recipe: Recipe) -> bool:
    name = recipe.model.name
    return name == "mini" or name.startswith((".", "/", "~")) or stores.is_address(name) or Path(name).is_dir()


def _name(recipe: Recipe) -> str:
    return Path(recipe.model.name).name if _is_local(recipe) else recipe.model.name


def _funnel(funnel: Json) -> str:
    """What became of the images, stage by stage."""
    if not funnel:
        return ""
    steps = [(name, funnel[name]) for name in ("images", "questions", "answers", "pairs") if name in funnel]
    lines = [f"{' → '.join(f'{count} {name}' for name, count in steps)}", ""]
    dropped = [
        f"| {stage} | {reason} | {count} |"
        for stage, reasons in funnel.get("dropped", {}).items()
        for reason, count in reasons.items()
    ]
    table = ["| dropped at | because | rows |", "|---|---|---:|", *dropped, ""] if dropped else []
    return "\n".join(["## From images to pairs", "", *lines, *table, ""])


def _results(run: RunFolder, number: int) -> str:
    """Each benchmark's metrics over the rounds, with 95 % intervals; the last column compares with the base."""
    rounds = [found for each in range(number + 1) if (found := _json(run.round(each).evidence))]
    tables_ = [_benchmark(name, rounds) for name in (rounds[-1]["benchmarks"] if rounds else {})]
    return "\n".join(["## Results", "", *tables_]) if tables_ else ""


def _benchmark(name: str, rounds: list[Json]) -> str:
    rounds = [each for each in rounds if name in each["benchmarks"]]
    heads = ["base" if each["round"] == 0 else f"round {each['round']}" for each in rounds]
    last = rounds[-1]["benchmarks"][name]
    lines = [f"`{name}`, value and 95 % interval:", "", f"| metric | {' | '.join(heads)} | against base |"]
    lines.append(f"|---|{'---:|' * (len(heads) + 1)}")
    for key in in_order(list(last["metrics"])):
        cells = [_figure(each["benchmarks"][name]["metrics"].get(key)) for each in rounds]
        difference = _figure(last.get("to_base", {}).get(key), "+")
        arrow = ARROWS[metric(key).better]
        lines.append(f"| {key}{arrow} | {' | '.join(cells)} | {difference} |")
    return "\n".join([*lines, ""])


def _figure(figure: Json | None, sign: str = "") -> str:
    if figure is None:
        return ""
    return f"{figure['value']:{sign}.3f} ({figure['low']:{sign}.3f} to {figure['high']:{sign}.3f})"


def _json(path: Path) -> Json:
    return files.read_json(path) if path.is_file() else {}


def recipe_of(run: RunFolder) -> Recipe:
    """The recipe that a run was begun with."""
    return recipes.load(Recipe, run.recipe)[0]
