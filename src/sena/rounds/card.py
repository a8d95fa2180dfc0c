"""The model card that goes with every round's model: what it came from, how, and what was measured."""

from __future__ import annotations

from typing import Any

import yaml

from sena.recipes.recipe import Recipe

_TEXT = """---
{head}---

# {name}, after {rounds} of self-evolution

Made by [sena](https://arxiv.org/abs/2412.15650) from `{base}`. The training data are preference pairs that the model
made itself from {images} unlabelled images in this round: questions that it asked and checked, answers that it
enhanced with its own descriptions (chosen), and answers under a corrupted picture (rejected). No human label, no other
model.

- recipe: `recipe.yaml` of the run (seed {seed}, {method} training, learning rate {rate:g}, beta {beta:g})
- pairs trained on: {pairs}
- {measured}

{use}"""
_PAIRS_TEXT = """---
{head}---

# {name}, trained on preference pairs

Made with [sena](https://arxiv.org/abs/2412.15650) from `{base}`, by direct preference optimization on the pairs of a
file.

- pairs: {pairs}, from `{file}`
- settings: `recipe.yaml` of the run (seed {seed}, {method} training, learning rate {rate:g}, beta {beta:g})
- {measured}

{use}"""
_USE = """## Use

```python
import sena

print(sena.ask("PATH_OF_THIS_FOLDER", ["photo.jpg"], "What is in this picture?")[0])
```

The licence of the base model holds for this one too.
"""


def model_card(recipe: Recipe, number: int, images: int, pairs: int) -> str:
    """README.md with the metadata that the hub reads. `number` is the round, `images` and `pairs` are its counts."""
    return _TEXT.format(
        head=_head(recipe, "self-evolution"),
        name=recipe.model.name,
        rounds=f"{number} round" + ("s" if number > 1 else ""),
        base=recipe.model.name,
        images=images,
        seed=recipe.run.seed,
        method=recipe.train.method,
        rate=recipe.train.learning_rate,
        beta=recipe.dpo.beta,
        pairs=pairs,
        measured=_measured(recipe),
        use=_USE,
    )


def pairs_card(recipe: Recipe, file: str, pairs: int) -> str:
    """README.md of a model trained on the pairs of a file, of whose making nothing is known here."""
    return _PAIRS_TEXT.format(
        head=_head(recipe, "preference-optimization"),
        name=recipe.model.name,
        base=recipe.model.name,
        file=file,
        seed=recipe.run.seed,
        method=recipe.train.method,
        rate=recipe.train.learning_rate,
        beta=recipe.dpo.beta,
        pairs=pairs,
        measured=_measured(recipe),
        use=_USE,
    )


def _head(recipe: Recipe, tag: str) -> str:
    local = recipe.model.name == "mini" or recipe.model.name.startswith((".", "/", "~"))
    head: dict[str, Any] = {
        "library_name": "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["sena", "dpo", tag],
    }
    if not local:  # the hub takes only names of its own here
        head = {"base_model": recipe.model.name, "base_model_relation": "finetune", **head}
    return yaml.safe_dump(head, sort_keys=False)


def _measured(recipe: Recipe) -> str:
    names = ", ".join(recipe.eval.benchmarks)
    return f"measured with {names}: see evidence.json beside this folder" if names else "not measured"
