"""What can be known about a recipe before hours are spent on it."""

from sena.checks.check import check

__all__ = ["check"]
