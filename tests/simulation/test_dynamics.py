"""The registry as a whole: enough of every kind, and texts that keep training and evaluation apart."""

import re
from collections import Counter

import pytest

from editworld_core.categories import Category
from editworld_core.simulation import dynamics  # noqa: F401  (registers them)
from editworld_core.simulation.dynamic import REGISTRY, dynamic
from editworld_core.simulation.stage import Stage


def _plain(text: str) -> str:
    return re.sub(r"[^a-z{} ]", "", text.lower()).strip()


def test_at_least_three_dynamics_a_category_and_eight_for_photos() -> None:
    count = Counter(entry.category for entry in REGISTRY.values())
    assert all(count[category] >= 3 for category in Category)
    assert sum(entry.photo for entry in REGISTRY.values()) >= 8


@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_enough_different_phrasings(name: str) -> None:
    entry = REGISTRY[name]
    phrasings, held_out = ({_plain(text) for text in texts} for texts in (entry.phrasings, entry.held_out))
    assert len(phrasings) == len(entry.phrasings) >= 10
    assert len(held_out) == len(entry.held_out) >= 4


def test_held_out_phrasings_never_occur_in_training_not_even_elsewhere() -> None:
    trained = {_plain(text): entry.name for entry in REGISTRY.values() for text in entry.phrasings}
    for entry in REGISTRY.values():
        for text in entry.held_out:
            assert _plain(text) not in trained, f"{entry.name} and {trained[_plain(text)]}: {text}"


def test_no_phrasing_means_two_dynamics() -> None:
    owner: dict[str, str] = {}
    for entry in REGISTRY.values():
        for text in (*entry.phrasings, *entry.held_out):
            assert owner.setdefault(_plain(text), entry.name) == entry.name, text


def test_night_knows_the_question_of_the_readme() -> None:
    assert "what happens when night falls?" in REGISTRY["night_falls"].phrasings


def test_photo_dynamics_ask_for_nothing_but_a_photograph() -> None:
    """Their texts have no slots to fill, so that they fit whatever picture a person uploads."""
    for entry in REGISTRY.values():
        if entry.photo:
            assert not any(
                "{" in text for text in (*entry.phrasings, *entry.held_out, entry.before, entry.after)
            )


def test_registering_refuses_too_few_phrasings_and_taken_names() -> None:
    def night_falls(stage: Stage) -> None: ...

    enough = tuple(f"phrasing {number}" for number in range(12))
    register = dynamic(
        category=Category.LONG_TERM,
        keywords=("sky",),
        before="a",
        after="b",
        phrasings=enough,
        held_out=("x", "y", "z"),
    )
    with pytest.raises(ValueError, match="already"):
        register(night_falls)  # type: ignore[arg-type]
    few = dynamic(
        category=Category.LONG_TERM,
        keywords=(),
        before="a",
        after="b",
        phrasings=enough[:5],
        held_out=("x", "y", "z"),
    )

    def something_new(stage: Stage) -> None: ...

    with pytest.raises(ValueError, match="twelve phrasings"):
        few(something_new)  # type: ignore[arg-type]
    assert "something_new" not in REGISTRY
