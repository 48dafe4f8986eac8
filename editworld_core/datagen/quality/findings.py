"""What stands out in a data set: a sentence each, and the filter that leaves the triplets concerned out."""

from dataclasses import dataclass

from editworld_core.categories import Category
from editworld_core.datagen.quality.measuring import Measured

FAINT = 0.01  # of ST-LPIPS; nobody sees such a change
BLURRED = 0.5  # of the original's sharpness


@dataclass(frozen=True)
class Finding:
    """A sentence; ``filter`` is for ``--filter``, or empty if none helps."""

    text: str
    filter: str = ""


def find(measured: Measured) -> list[Finding]:
    """What a person should look at first."""
    found = [_counted(measured, *check) for check in _CHECKS]
    missing = [category.value for category in Category if not measured.tallies["category"][category.value]]
    if measured.empty:
        found.append(
            Finding(f"{_triplets(measured.empty)} no instruction yet: write one in the recheck, or drop it.")
        )
    if missing and measured.rows:
        found.append(Finding(f"There is nothing of {', '.join(missing)}."))
    return [finding for finding in found if finding is not None]


_CHECKS = (
    ("readable", "<", 1.0, "pictures that are missing, damaged, or not of their mask's size", "readable>=1"),
    ("repeats_pictures", ">", 0.0, "nearly the pictures of an earlier one", "repeats_pictures<=0"),
    ("repeats_texts", ">", 0.0, "nearly the texts of an earlier one", "repeats_texts<=0"),
    ("st_lpips", "<", FAINT, "pictures between which nothing visible changes", f"st_lpips>={FAINT}"),
    (
        "sharpness_ratio",
        "<",
        BLURRED,
        "a target less than half as sharp as its original",
        f"sharpness_ratio>={BLURRED}",
    ),
    (
        "coherence",
        "<",
        0.0,
        "an instruction nearer to the original caption than to the target's",
        "coherence>=0",
    ),
    ("keywords_found", "<", 1.0, "a keyword that stands in no caption", "keywords_found>=1"),
)


def _counted(
    measured: Measured, name: str, sign: str, limit: float, what: str, remedy: str
) -> Finding | None:
    values = [value for row in measured.rows if (value := row.values.get(name)) is not None]
    count = sum(value < limit if sign == "<" else value > limit for value in values)
    return Finding(f"{_triplets(count)} {what}.", remedy) if count else None


def _triplets(count: int) -> str:
    return "1 triplet has" if count == 1 else f"{count:,} triplets have"
