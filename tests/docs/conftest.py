"""The scripts that write parts of the docs lie beside the package, so their folder is put on the path."""

from __future__ import annotations

import sys

from tests.architecture.source import ROOT

sys.path.insert(0, str(ROOT / "scripts"))
