"""What is measured of an edit: one module a family; ``choose_measures`` says which can be taken here."""

from editworld_core.evaluation.measures.base import Measure
from editworld_core.evaluation.measures.registry import choose_measures, models_of
from editworld_core.evaluation.measures.table import SCORES, VALUES, names_of

__all__ = ["SCORES", "VALUES", "Measure", "choose_measures", "models_of", "names_of"]
