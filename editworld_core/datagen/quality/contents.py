"""What a report says, in numbers, before it becomes a page, a JSON object and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from editworld_core.categories import Category
from editworld_core.datagen.quality.balance import Balance, balance
from editworld_core.datagen.quality.filters import Sifted
from editworld_core.datagen.quality.findings import Finding, find
from editworld_core.datagen.quality.measures import MEASURES
from editworld_core.datagen.quality.measuring import Measured, Row
from editworld_core.datagen.quality.near_duplicates import groups
from editworld_core.datagen.quality.spread import Ends, ends, spread
from editworld_core.masks import STOP_WORDS

SAMPLES = 3  # of each end of each measure
GROUPS = 6  # of near-duplicates shown, of each kind
NO_VALUE = "no triplet of this data set has what it measures, such as a mask"


@dataclass(frozen=True)
class Contents:
    """A report.

    Attributes:
        name: of the data set.
        rows: one a triplet.
        dropped: how many triplets reviewers dropped, which are left out of everything else.
        accepted, empty: how many reviewers accepted, and how many have no instruction.
        instructions: how many different ones there are.
        balances: of categories, branches, kinds of sentence, dynamics and keywords.
        vocabulary: content words of the instructions.
        stored: values of the scores in the records by stage and name.
        groups: of near-duplicates as places of rows, by ``pictures`` and ``texts``.
        absent: why a measure is not there, by name.
        sifted: what the filters did, if there were any.
    """

    name: str
    rows: Sequence[Row]
    dropped: int
    accepted: int
    empty: int
    instructions: int
    balances: Mapping[str, Balance]
    vocabulary: Balance
    stored: Mapping[str, Sequence[float]]
    groups: Mapping[str, Sequence[Sequence[int]]]
    findings: Sequence[Finding]
    absent: Mapping[str, str]
    ends: Mapping[str, Ends]
    sifted: Sifted | None = None

    @property
    def summary(self) -> str:
        """One sentence under the title."""
        parts = [f"{len(self.rows):,} triplets", f"{self.instructions:,} different instructions"]
        if self.accepted:
            parts.append(f"{self.accepted:,} accepted by reviewers")
        if self.dropped:
            parts.append(f"{self.dropped:,} more dropped by them and left out here")
        if self.empty:
            parts.append(f"{self.empty:,} without an instruction")
        return f"{', '.join(parts)}."

    def values(self, name: str) -> list[float]:
        """The values of a measure that are there."""
        return [value for row in self.rows if (value := row.values.get(name)) is not None]

    def by_category(self, name: str) -> dict[str, list[float]]:
        """The same by category, in the paper's order, without empty ones."""
        found: dict[str, list[float]] = {category.value: [] for category in Category}
        for row in self.rows:
            value = row.values.get(name)
            if value is not None:
                found[row.category].append(value)
        return {category: values for category, values in found.items() if values}

    @property
    def shown_groups(self) -> dict[str, Sequence[Sequence[int]]]:
        """The near-duplicates that the page shows."""
        return {kind: found[:GROUPS] for kind, found in self.groups.items()}

    def sample_ids(self) -> set[str]:
        """The ids of the triplets whose pictures the page shows."""
        places = {
            place for found in self.ends.values() for place in (*found.lowest, *found.highest, *found.drawn)
        }
        places |= {place for found in self.shown_groups.values() for group in found for place in group[:3]}
        return {self.rows[place].id for place in places}

    def to_json(self) -> dict[str, Any]:
        """All but the single rows, which are in the table."""
        return {
            "data_set": self.name,
            "triplets": len(self.rows),
            "dropped_by_reviewers": self.dropped,
            "accepted_by_reviewers": self.accepted,
            "without_instruction": self.empty,
            "different_instructions": self.instructions,
            "content_words": len(self.vocabulary.counts),
            "balance": {name: asdict(found) for name, found in self.balances.items()},
            "scores": {name: asdict(spread(values)) for name in MEASURES if (values := self.values(name))},
            "absent": dict(self.absent),
            "stored_scores": {name: asdict(spread(values)) for name, values in self.stored.items()},
            "near_duplicates": {
                kind: [[self.rows[place].id for place in group] for group in found]
                for kind, found in self.groups.items()
            },
            "findings": [asdict(finding) for finding in self.findings],
            "filters": asdict(self.sifted) if self.sifted else None,
        }


def to_contents(name: str, measured: Measured, dropped: int, absent: Mapping[str, str]) -> Contents:
    """What ``measured`` amounts to; measures without any value join those that are ``absent``."""
    rows, tallies = measured.rows, measured.tallies
    present = [name for name in MEASURES if any(row.values.get(name) is not None for row in rows)]
    reasons = {name: absent.get(name, NO_VALUE) for name in MEASURES if name not in present}
    categories = {category.value: tallies["category"][category.value] for category in Category}
    kinds = {kind: tallies["kind"][kind] for kind in ("command", "question", "statement")}
    return Contents(
        name=name,
        rows=rows,
        dropped=dropped,
        accepted=tallies["verdict"]["accept"],
        empty=measured.empty,
        instructions=measured.instructions,
        balances={
            "category": balance(categories),
            "branch": balance(tallies["branch"]),
            "kind": balance(kinds),
            "dynamic": balance(tallies["dynamic"]),
            "keyword": balance(tallies["keyword"]),
        },
        vocabulary=balance({word: n for word, n in measured.vocabulary.items() if word not in STOP_WORDS}),
        stored={name: measured.stored[name] for name in sorted(measured.stored)},
        groups={kind: groups(head) for kind, head in measured.heads.items()},
        findings=find(measured),
        absent=reasons,
        ends={
            name: ends([row.values.get(name) for row in rows], SAMPLES, seed)
            for seed, name in enumerate(present)
            if not _is_constant(rows, name)
        },
    )


def _is_constant(rows: Sequence[Row], name: str) -> bool:
    """Whether there is nothing to choose between: the page then shows no samples."""
    return len({row.values.get(name) for row in rows} - {None}) < 2
