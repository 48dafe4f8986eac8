"""What a report says, before it is drawn as a page, as JSON, as CSV or as LaTeX."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from editworld_core.evaluation.measures.base import EDITED, FINAL
from editworld_core.evaluation.measures.table import SCORES, VALUES, Score
from editworld_core.evaluation.record import Item, Scored, Setup
from editworld_core.evaluation.statistics import Mean, means, paired

FAMILIES = {"clip": "CLIP", "dino": "DINO", "judge": "MLLM", "lpips": "LPIPS", "st_lpips": "ST-LPIPS"}


@dataclass(frozen=True)
class Contents:
    """Scores of one data set, in their order.

    Attributes:
        scored: one an item and setup.
        about: see ``write_report``.
        absent: by family why it was not measured.
    """

    scored: Sequence[Scored]
    about: Mapping[str, Any] = field(default_factory=dict)
    absent: Mapping[str, str] = field(default_factory=dict)

    @property
    def data_set(self) -> str:
        """Its name."""
        return str(self.about.get("data_set", "data set"))

    @property
    def models(self) -> Mapping[str, str]:
        """The weights behind the numbers, by family."""
        return dict(self.about.get("models", {}))

    @cached_property
    def setups(self) -> dict[str, Setup]:
        """By label."""
        return {one.setup.label: one.setup for one in self.scored}

    @cached_property
    def items(self) -> dict[str, Item]:
        """By id."""
        return {one.item.id: one.item for one in self.scored}

    @cached_property
    def of_setup(self) -> dict[str, list[Scored]]:
        """By label, failures too."""
        return {label: [one for one in self.scored if one.setup.label == label] for label in self.setups}

    @cached_property
    def failures(self) -> list[Scored]:
        """Edits that were refused."""
        return [one for one in self.scored if one.failure]

    @cached_property
    def names(self) -> list[str]:
        """The values that somebody has, in the order of the table."""
        present = {name for one in self.scored for name, value in one.values.items() if value is not None}
        return [name for name in VALUES if name in present]

    @cached_property
    def scores(self) -> list[Score]:
        """The scores that somebody has."""
        return [score for score in SCORES if any(name in self.names for name in score.names)]

    @cached_property
    def overall(self) -> dict[str, dict[str, Mean]]:
        """By setup and name."""
        return {label: means(own, self.names) for label, own in self.of_setup.items()}

    @cached_property
    def rows(self) -> dict[tuple[str, str], dict[str, dict[str, Mean]]]:
        """By branch and category, and then by setup and name."""
        keys = sorted({key_of(one) for one in self.scored})
        return {
            key: {
                label: means([one for one in own if key_of(one) == key], self.names)
                for label, own in self.of_setup.items()
            }
            for key in keys
        }

    @cached_property
    def reference(self) -> str:
        """The setup that the others are compared with: the first."""
        return next(iter(self.setups), "")

    @cached_property
    def differences(self) -> dict[str, dict[str, Mean]]:
        """By setup and name by how much it exceeds the reference, on the items that both have."""
        return {
            label: paired(self.scored, self.reference, label, self.names)
            for label in self.setups
            if label != self.reference
        }

    def sides_of(self, label: str) -> tuple[str, ...]:
        """``edited`` and ``final``, or without a post-edit ``edited`` only, since both then are the same picture."""
        return (EDITED, FINAL) if self.setups[label].settings.post_edit else (EDITED,)

    def names_of(self, label: str, score: Score) -> list[str]:
        """The values of ``score`` that say something of the setup ``label``."""
        return [name for name in score.names if VALUES[name].side in ("", *self.sides_of(label))]

    def models_in(self, scores: Sequence[Score]) -> str:
        """The models behind ``scores``, as a sentence; empty if there are none."""
        families = dict.fromkeys(score.family for score in scores if score.family in self.models)
        named = "; ".join(f"{FAMILIES.get(family, family)} by {self.models[family]}" for family in families)
        return f"{named}." if named else ""

    def title_of(self, score: Score) -> str:
        """The score's title with the model behind it, without which its numbers mean nothing."""
        model = self.models.get(score.family)
        return f"{score.title} ({model})" if model else score.title


def key_of(one: Scored) -> tuple[str, str]:
    """Branch and category."""
    return one.item.branch, one.item.category
