"""Recipes side by side in the miniature world, over base models and seeds: cells and their table."""

from sena.ablate.run import ablate

__all__ = ["ablate"]
