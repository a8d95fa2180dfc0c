"""What the evidence rests on is what the documentation says it is."""

from pathlib import Path

from sena.mini.frozen import frozen

DOCUMENT = Path(__file__).parents[2] / "docs" / "mini-world.md"


def test_the_documented_hashes_are_those_of_the_files():
    """A change here is allowed only with the evidence begun anew: run `python scripts/freeze_mini.py` then."""
    text = DOCUMENT.read_text(encoding="utf-8")
    for name, sha256 in frozen().items():
        assert f"| {name} | `{sha256}` |" in text, name
