"""How much each corruption spoils, at each strength, seen on the user's own images without any label."""

from sena.sweeps.sweep import sweep

__all__ = ["sweep"]
