"""Writes the hashes of world, benchmark and base into docs/mini-world.md, between the two `frozen` marks.

Run it only when the evidence is begun anew: a loop result belongs to the hashes it was made under.
"""

from __future__ import annotations

import re
from pathlib import Path

from sena.mini.frozen import frozen

DOCUMENT = Path(__file__).parents[1] / "docs" / "mini-world.md"


def main() -> None:
    rows = "\n".join(f"| {name} | `{sha256}` |" for name, sha256 in frozen().items())
    table = f"<!-- frozen -->\n| what | sha256 |\n|---|---|\n{rows}\n<!-- /frozen -->"
    text = DOCUMENT.read_text(encoding="utf-8")
    DOCUMENT.write_text(re.sub(r"<!-- frozen -->.*<!-- /frozen -->", table, text, flags=re.DOTALL), encoding="utf-8")
    print(rows)


if __name__ == "__main__":
    main()
