"""A few edits on one page to look at: the worst, some that chance chose, and the best."""

import random
from collections.abc import Callable, Sequence

from PIL import Image

from editworld_core.datagen.contact_sheet import Panel, draw_sheet, thumbnail
from editworld_core.evaluation.record import Outcome, Scored

KEPT = 8  # edits of each kind

OutcomeOf = Callable[[Scored], Outcome | None]


def draw_worst_and_best(heading: str, scored: Sequence[Scored], outcome_of: OutcomeOf) -> Image.Image | None:
    """The sheet with source, edited, final, mask and truth; None if no edit has a truth to compare with.

    Edits are ranked by the error that remains as a share of the unedited picture's: 0 is perfect, 1 is no better than
    doing nothing.
    """
    panels = [
        _panel(kind, score, one, found)
        for kind, score, one in chosen(scored)
        if (found := outcome_of(one)) is not None
    ]
    return draw_sheet(f"{heading}: source, edited, final, mask, truth", panels, columns=2) if panels else None


def chosen(scored: Sequence[Scored]) -> list[tuple[str, float, Scored]]:
    """Which edits, each once: (kind, score, edit), the worst first, then the random ones, then the best."""
    found = ((_remaining(one), place) for place, one in enumerate(scored))
    known = sorted(((score, place) for score, place in found if score is not None), reverse=True)
    drawn = sorted(random.Random(0).sample(known, min(KEPT, len(known))), reverse=True)
    kept: dict[int, tuple[str, float, Scored]] = {}
    for kind, part in (("worst", known[:KEPT]), ("random", drawn), ("best", known[-KEPT:])):
        for score, place in part:
            kept.setdefault(place, (kind, score, scored[place]))
    return list(kept.values())


def _remaining(one: Scored) -> float | None:
    error, source = one.values.get("error_edited"), one.values.get("error_source")
    return None if error is None or source is None else error / max(source, 1e-6)


def _panel(kind: str, score: float, one: Scored, outcome: Outcome) -> Panel:
    shown = [outcome.original, outcome.edited, outcome.final, Image.fromarray(outcome.mask)]
    target = one.item.read().target
    assert target is not None  # else there would be no error
    shown.append(target)
    title = f"{kind}: {one.item.id.replace('_', ' ')} · {100 * score:.0f}% of the error remains"
    return Panel(title, [thumbnail(picture) for picture in shown], f"“{one.item.instruction}”")
