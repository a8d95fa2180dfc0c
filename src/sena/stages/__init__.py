"""The method as pure functions: what is asked of the model, and what its replies make of a row."""

from sena.stages.config import StagesConfig
from sena.stages.filters import sift
from sena.stages.pair import pairs_of
from sena.stages.pipeline import first_rows, make_stages

__all__ = ["StagesConfig", "first_rows", "make_stages", "pairs_of", "sift"]
