"""How evenly a data set is spread over categories, branches, dynamics, keywords and kinds of sentence."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log


@dataclass(frozen=True)
class Balance:
    """How often each value occurs, the commonest first.

    Attributes:
        counts: by value; values that do not occur may be among them, with 0.
        evenness: normalised entropy, 1 if all values are equally common, 0 if there is only one; None if there is
            nothing to be spread over.
    """

    counts: Mapping[str, int]
    evenness: float | None


def balance(counts: Mapping[str, int]) -> Balance:
    """The balance of these counts."""
    ordered = dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
    return Balance(ordered, normalised_entropy(ordered))


def normalised_entropy(counts: Mapping[str, int]) -> float | None:
    """Shannon's entropy of the shares by its greatest possible value, log(number of values), 0..1 (Pielou 1966)."""
    total = sum(counts.values())
    if len(counts) < 2 or not total:
        return None
    shares = (count / total for count in counts.values() if count)
    return max(0.0, -sum(share * log(share) for share in shares)) / log(len(counts))
