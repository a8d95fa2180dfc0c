"""The `images` section: defaults, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from sena.images.config import ImagesConfig, LimitsConfig, SourceConfig


def test_defaults() -> None:
    config = ImagesConfig.model_validate({"sources": [{"name": "photos", "path": "~/photos"}]})
    assert (config.sources[0].kind, config.limits) == ("folder", LimitsConfig())


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"sources": []}, "at least 1 item"),
        ({"sources": [{"name": "a"}]}, "source 'a' of kind folder needs a path"),
        ({"sources": [{"name": "a", "path": "x", "root": "y"}]}, "root belongs to kind llava665k and list only"),
        ({"sources": [{"name": "a", "path": "x", "split": "test"}]}, "split belongs to kind hf only"),
        ({"sources": [{"name": "a", "path": "x"}, {"name": "a", "path": "y"}]}, "more than one source is called a"),
        ({"sources": [{"name": "", "path": "x"}]}, "at least 1 character"),
        ({"sources": [{"name": "a", "path": "x", "knd": "mini"}]}, "Extra inputs"),
        ({"sources": [{"name": "a", "kind": "mini"}], "limits": {"max_pixels": 200_000_000}}, "less than or equal"),
        ({"sources": [{"name": "a", "kind": "mini"}], "limits": {"formats": ["TIFF"]}}, "'JPEG', 'PNG'"),
    ],
)
def test_refusals(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ImagesConfig.model_validate(section)


@pytest.mark.parametrize("component", [SourceConfig, LimitsConfig, ImagesConfig])
def test_every_field_is_described(component: Any) -> None:
    assert all(field.description for field in component.model_fields.values())
