"""Recipes as users write them, with small models in place of the real one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, field_validator

from sena.config import Config
from sena.errors import RecipeError
from sena.recipes import load as loading
from sena.recipes.load import Override, differing_keys, dump, load, parse_set, path_of, shipped


class Source(Config):
    path: str
    weight: float = Field(1.0, gt=0)


class Images(Config):
    sources: tuple[Source, ...] = ()
    minimum_side: int = Field(32, ge=1)


class Lora(Config):
    rank: int = Field(8, ge=1)


class Train(Config):
    learning_rate: float = Field(2e-6, ge=0)
    beta: float = 0.1
    batch: int | Literal["auto"] = "auto"
    on_unsettled: Literal["drop", "keep_last"] = "drop"
    lora: Lora | None = None
    freeze_vision: bool = True

    @field_validator("beta")
    @classmethod
    def _positive(cls, beta: float) -> float:
        if beta <= 0:
            raise ValueError("with beta 0 nothing is learned; 0.1 is usual")
        return beta


class Noise(Config):
    kind: Literal["noise"] = "noise"
    step: int = Field(600, ge=0, le=999)


class Blur(Config):
    kind: Literal["blur"] = "blur"
    radius: float = 3.0


class Small(Config):
    name: str = "small"
    images: Images = Images()
    train: Train = Train()
    corruption: Annotated[Noise | Blur, Field(discriminator="kind")] = Noise()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, and one shipped recipe `base`."""
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "base.yaml").write_text("train:\n  learning_rate: 1e-5\n  beta: 0.2\n")
    (tmp_path / "shipped" / "sena-7b.yaml").write_text("extends: base\n")
    monkeypatch.setattr(loading, "FOLDER", tmp_path / "shipped")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def faults(text: str, *overrides: str | Override) -> str:
    Path("my.yaml").write_text(text)
    with pytest.raises(RecipeError) as caught:
        load(Small, "my.yaml", overrides)
    return str(caught.value)


def test_layers_merge_deeply_and_lists_replace(folder: Path) -> None:
    (folder / "a.yaml").write_text("extends: base\nname: a\nimages: {sources: [{path: x}, {path: y}]}\n")
    (folder / "b.yaml").write_text("extends: a.yaml\nimages:\n  sources: [{path: z}]\ntrain:\n  beta: 0.3\n")
    recipe, origins = load(Small, "b.yaml", ["train.batch=4", "train.lora={rank: 2}"])
    assert recipe == Small(
        name="a",
        images=Images(sources=(Source(path="z"),)),
        train=Train(learning_rate=1e-5, beta=0.3, batch=4, lora=Lora(rank=2)),
    )
    assert str(origins["train.learning_rate"]) == "base.yaml line 2"
    assert str(origins["train.beta"]) == "b.yaml line 5"
    assert str(origins["name"]) == "a.yaml line 2"
    assert str(origins["train.batch"]) == "--set train.batch=4"
    assert "images.sources.1.path" not in origins


def test_later_overrides_win_and_other_flags_name_themselves(folder: Path) -> None:
    recipe, _ = load(Small, "base", ["train.beta=1", "train.beta=2", Override("name", "m", "--name m")])
    assert (recipe.train.beta, recipe.name) == (2, "m")
    assert faults("", Override("images.minimum_side", 0, "--side 0")) == (
        "--side 0: images.minimum_side must be 1 or more, not 0"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "train:\n  learning_rte: 1\n",
            "my.yaml line 2: train.learning_rte is not a setting; did you mean train.learning_rate?",
        ),
        ("train: {lr: 1}\n", "my.yaml line 1: train.lr is not a setting; did you mean train.learning_rate?"),
        ("trian: {beta: 1}\n", "my.yaml line 1: trian is not a setting; did you mean train?"),
        ("rank: 4\n", "my.yaml line 1: rank is not a setting; did you mean train.lora.rank?"),
        (
            "train: {lora: {rnak: 4}}\n",
            "my.yaml line 1: train.lora.rnak is not a setting; did you mean train.lora.rank?",
        ),
        (
            "images: {colour: 1}\n",
            "my.yaml line 1: images.colour is not a setting; images has images.sources, images.minimum_side",
        ),
        ("qqqq: 1\n", "my.yaml line 1: qqqq is not a setting; a recipe has name, images, train, corruption"),
        (
            "train.beta: 1\n",
            "my.yaml line 1: train.beta is a setting inside a group; "
            'write "train: {beta: ...}" or indent it below train:',
        ),
        ("train:\n  learning_rate: -1\n", "my.yaml line 2: train.learning_rate must be 0 or more, not -1"),
        ("train:\n  learning_rate: fast\n", "my.yaml line 2: train.learning_rate must be a number, not 'fast'"),
        ("train: {batch: some}\n", "my.yaml line 1: train.batch must be a whole number or one of 'auto', not 'some'"),
        (
            "train: {on_unsettled: no}\n",
            "my.yaml line 1: train.on_unsettled must be one of 'drop', 'keep_last', not 'no'",
        ),
        ("train: {freeze_vision: 7}\n", "my.yaml line 1: train.freeze_vision must be true or false, not 7"),
        ("train:\n", "my.yaml line 1: train is empty; write a setting below it or remove it"),
        ("train: 3\n", "my.yaml line 1: train must be a group of settings, not 3"),
        ("name: 3\n", "my.yaml line 1: name must be text, not 3"),
        ("images: {sources: x}\n", "my.yaml line 1: images.sources must be a list, not 'x'"),
        ("images:\n  sources:\n  - weight: 1\n", "my.yaml line 3: images.sources.0.path is missing; write it"),
        (
            "images: {sources: [{path: x, weight: 0}]}\n",
            "my.yaml line 1: images.sources.0.weight must be more than 0, not 0",
        ),
        (
            "train: {beta: 0}\n",
            "my.yaml line 1: train.beta is not possible: with beta 0 nothing is learned; 0.1 is usual",
        ),
        ("corruption:\n  kind: noise\n  step: 1000\n", "my.yaml line 3: corruption.step must be 999 or less, not 1000"),
        (
            "corruption:\n  kind: fog\n",
            "my.yaml line 1: corruption must be a group whose kind is one of 'noise', 'blur', not a group of settings",
        ),
    ],
)
def test_a_fault_is_said_with_place_and_mend(folder: Path, text: str, said: str) -> None:
    assert faults(text) == said


def test_all_faults_come_at_once_in_the_order_of_the_file(folder: Path) -> None:
    said = faults("train:\n  beta: -1\n  rate: 3\nname: [a]\n", "images.minimum_side=no")
    assert [line.partition(":")[0] for line in said.splitlines()] == [
        "--set images.minimum_side=no",
        "my.yaml line 2",
        "my.yaml line 3",
        "my.yaml line 4",
    ]


def test_a_fault_of_a_lower_file_names_that_file(folder: Path) -> None:
    (folder / "low.yaml").write_text("\n\ntrain:\n  beta: x\n")
    assert faults("extends: low.yaml\n").startswith("low.yaml line 4: train.beta must be")
    Path("my.yaml").write_text("extends: low.yaml\ntrain: {beta: 1}\n")
    assert load(Small, "my.yaml")[0].train.beta == 1


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("train.learning_rte=1", "--set train.learning_rte=1: train.learning_rte is not a setting; did you mean"),
        ("train.beta", "--set train.beta: write it as --set group.setting=value"),
        ("=3", "--set =3: write it as"),
        ("train..beta=3", "--set train..beta=3: write it as"),
        ("train.beta=[1", "--set train.beta=[1 line 1: this is not valid YAML"),
        ("train.beta.x=1", "--set train.beta.x=1: train.beta must be a number, not a group of settings"),
        ("train=", "--set train=: train is empty"),
    ],
)
def test_a_bad_flag_is_named(folder: Path, flag: str, said: str) -> None:
    assert faults("name: a\n", flag).startswith(said)


def test_an_unknown_recipe_lists_the_shipped_ones(folder: Path) -> None:
    assert shipped() == ["base", "sena-7b"]
    with pytest.raises(RecipeError) as caught:
        path_of("bsae")
    assert str(caught.value) == (
        "There is no recipe 'bsae': did you mean base? shipped are base, sena-7b; or give a YAML file"
    )
    assert "my.yaml line 1: There is no recipe 'sena7b.yaml': did you mean sena-7b?" in faults("extends: sena7b.yaml\n")
    with pytest.raises(RecipeError, match="is a folder"):
        path_of("shipped")
    with pytest.raises(RecipeError, match="There is no recipe ''"):
        path_of("")


def test_extends_is_found_beside_its_file_and_never_goes_in_a_circle(folder: Path) -> None:
    (folder / "deep").mkdir()
    (folder / "deep" / "one.yaml").write_text("extends: two.yaml\n")
    (folder / "deep" / "two.yaml").write_text("name: two\n")
    assert load(Small, "deep/one.yaml")[0].name == "two"
    (folder / "deep" / "two.yaml").write_text("extends: ../deep/one.yaml\n")
    with pytest.raises(RecipeError, match=r"extends itself by way of two\.yaml"):
        load(Small, "deep/one.yaml")
    assert "my.yaml extends itself" in faults("extends: my.yaml\n")
    assert "extends must be the name or file of one recipe" in faults("extends: [base]\n")


def test_a_file_that_is_no_recipe_is_refused(folder: Path) -> None:
    assert faults("- a\n- b\n").startswith("my.yaml is not a recipe")
    (folder / "picture.yaml").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(RecipeError, match="not UTF-8"):
        load(Small, "picture.yaml")
    (folder / "large.yaml").write_text("#" * (loading.LARGEST + 1))
    with pytest.raises(RecipeError, match="larger than any recipe"):
        load(Small, "large.yaml")


def test_an_empty_file_is_all_defaults_and_a_mark_at_its_start_is_no_harm(folder: Path) -> None:
    (folder / "empty.yaml").write_bytes(b"\xef\xbb\xbfname: x\n")
    assert load(Small, "empty.yaml")[0] == Small(name="x")


def test_dump_is_complete_and_comes_back(folder: Path) -> None:
    recipe, _ = load(Small, "base", ["images.sources=[{path: 'no'}]", "corruption={kind: blur, radius: 2}"])
    Path("again.yaml").write_text(dump(recipe))
    assert load(Small, "again.yaml")[0] == recipe
    assert dump(Small()).splitlines()[0] == "name: small"
    assert "  learning_rate: 2.0e-06" in dump(Small()).splitlines()


def test_differing_keys_are_dotted_settings() -> None:
    """a and b differ in beta, in the list of sources, and in the kind and the settings of the corruption."""
    a = Small(images=Images(sources=(Source(path="x"),)))
    b = Small(train=Train(beta=0.5), corruption=Blur())
    assert differing_keys(a, a) == []
    assert differing_keys(a, b) == [
        "images.sources",
        "train.beta",
        "corruption.kind",
        "corruption.step",
        "corruption.radius",
    ]
    assert differing_keys({"a": {"b": 1}}, {"a": {"b": True}, "c": float("nan")}) == ["a.b", "c"]


def test_parse_set_reads_values_as_yaml() -> None:
    assert parse_set("a.b=2e-6") == Override("a.b", 2e-6, "--set a.b=2e-6")
    assert parse_set("a=[x, no]").value == ["x", "no"]
    assert parse_set("prompt='a = {b}'").value == "a = {b}"


def test_no_torch_is_loaded() -> None:
    code = "import sys, sena.recipes.load; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_model_is_any_pydantic_model(folder: Path) -> None:
    class Loose(BaseModel):
        name: str = "loose"

    assert load(Loose, "base")[0].name == "loose"
