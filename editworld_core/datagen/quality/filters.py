"""Filters: conditions such as ``sharpness>=50`` that every triplet of a good data set meets."""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from editworld_core.datagen.quality.measures import MEASURES, Values
from editworld_core.errors import BadInputError

COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
}


@dataclass(frozen=True)
class Filter:
    """``name`` of a measure, a sign of ``COMPARISONS``, and the number that values are compared with."""

    name: str
    sign: str
    number: float

    def __str__(self) -> str:
        return f"{self.name}{self.sign}{self.number:g}"

    def holds(self, values: Values) -> bool | None:
        """Whether a triplet meets it; None if it has no such value."""
        value = values.get(self.name)
        return None if value is None else COMPARISONS[self.sign](value, self.number)


def read_filter(text: str, absent: Collection[str] = ()) -> Filter:
    """Read a filter.

    >>> read_filter("sharpness >= 50")
    Filter(name='sharpness', sign='>=', number=50.0)

    Args:
        text: a name, a comparison and a number.
        absent: measures that this report does not have.

    Raises:
        BadInputError: it is none; the sentence lists the names.
    """
    names = ", ".join(name for name in MEASURES if name not in absent)
    match = re.fullmatch(r"\s*([a-z_]+)\s*(>=|<=|>|<)\s*(\S+)\s*", text)
    if match is None:
        raise BadInputError(f"{text!r} is no filter; write one such as 'sharpness>=50', with one of {names}.")
    name, sign, number = match.groups()
    if name not in MEASURES:
        raise BadInputError(f"There is no score {name!r} to filter by; take one of {names}.")
    if name in absent:
        raise BadInputError(f"The score {name!r} is absent from this report; take one of {names}.")
    try:
        value = float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInputError(f"{number!r} in the filter {text!r} is no number; give one, with one of {names}.")
    return Filter(name, sign, value)


@dataclass(frozen=True)
class Sifted:
    """What filters did.

    Attributes:
        filters: as text.
        failing: ids of triplets that fail at least one, in the order of the data set.
        by_filter: how many fail each.
        without: how many have no value for a filter, which therefore says nothing of them.
        dropped: failing ones that now have the verdict ``drop`` in the recheck log.
        left: failing ones that were not dropped, since a reviewer has decided on them or holds them.
    """

    filters: tuple[str, ...]
    failing: tuple[str, ...]
    by_filter: Mapping[str, int]
    without: Mapping[str, int]
    dropped: int = 0
    left: int = 0


def sift(rows: Sequence[tuple[str, Values]], filters: Sequence[Filter]) -> Sifted:
    """Let ``rows`` of ids and values through ``filters``."""
    outcomes = {str(one): [one.holds(values) for _, values in rows] for one in filters}
    failing = [
        item
        for place, (item, _) in enumerate(rows)
        if any(found[place] is False for found in outcomes.values())
    ]
    return Sifted(
        tuple(outcomes),
        tuple(failing),
        {name: found.count(False) for name, found in outcomes.items()},
        {name: found.count(None) for name, found in outcomes.items()},
    )
