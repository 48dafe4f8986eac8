"""The seven categories of world instructions (EditWorld, table 1), spelled as the paper spells them."""

from enum import StrEnum


class Category(StrEnum):
    LONG_TERM = "Long-Term"
    PHYSICAL_TRANS = "Physical-Trans"
    IMPLICIT_LOGIC = "Implicit-Logic"
    STORY_TYPE = "Story-Type"
    REAL_TO_VIRTUAL = "Real-to-Virtual"
    SPATIAL_TRANS = "Spatial-Trans"
    EXAGGERATION = "Exaggeration"
