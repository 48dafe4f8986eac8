"""Best of N and strength, for ``edit``."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from editworld_core.commands.options import number
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from PIL import Image

    from editworld_core.best_of import BestOf
    from editworld_core.editor import EditResult, WorldEditor
    from editworld_core.engines.protocol import Progress
    from editworld_core.masks import Mask

# here once more, since importing them takes a second
SCORERS = ("agreement", "preserve", "clip", "judge")
VARY = ("auto", "seed", "words", "guidance", "steps")


def add_choice_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--best-of",
        type=number(int, 1, 16),
        metavar="N",
        default=1,
        help="edit N times and keep the best; prints the others' scores with --json",
    )
    group.add_argument(
        "--scorer",
        choices=SCORERS,
        default=SCORERS[0],
        help="what decides; 'agreement', of the change with where the words looked, needs no weights",
    )
    group.add_argument(
        "--vary",
        choices=VARY,
        default=VARY[0],
        help="what differs; 'auto' is other wordings for one-step engines, if there are any, else the seed",
    )
    group.add_argument(
        "--clip", metavar="NAME", default="", help="CLIP model of --scorer clip: folder or hub id"
    )
    group.add_argument(
        "--strength",
        type=number(float, 0, 1),
        metavar="X",
        default=1.0,
        help="how far the change goes: scaled, which is right for light and weather, a dissolve for what moves",
    )


def choose(
    call: argparse.Namespace,
    editor: "WorldEditor",
    image: "Image.Image",
    instruction: str,
    settings: EditSettings,
    progress: "Progress",
    hand: "Mask | None",
) -> "BestOf":
    """The edit, or the best of several, as the command line asks for it."""
    from editworld_core.best_of import best_of
    from editworld_core.engines.registry import row_for
    from editworld_core.scorers import load_scorer

    outcome = settings.outcome
    if call.scorer == "clip" and not outcome:
        from editworld_core.think import think

        outcome = think(instruction, image).outcome
    return best_of(
        image,
        instruction,
        settings,
        call.best_of,
        load_scorer(call.scorer, call.clip, outcome),
        editor.edit,
        row_for(settings.engine).info,
        vary=call.vary,
        progress=progress,
        hand=hand,
    )


def shown_at(result: "EditResult", strength: float) -> "Image.Image":
    """The final picture as far as ``strength``; what that is worth is said on standard error."""
    if strength == 1:
        return result.final
    from editworld_core.strength import NOTE, at_strength

    print(NOTE, file=sys.stderr)
    return at_strength(result.original, result.final, strength)


def chosen_as_dict(chosen: "BestOf") -> dict[str, Any]:
    """What there is to say of the choice, for JSON."""
    return {
        "scorer": chosen.scorer,
        "chosen": chosen.place,
        "candidates": [candidate.as_dict() for candidate in chosen.candidates],
        "note": chosen.note,
    }
