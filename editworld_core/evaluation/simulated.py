"""An editor on the held-out worlds, where the true picture and the true mask are known, in one call.

A scene succeeds if the mean absolute error to the true target inside the true mask is at most half of what the unedited
picture has there. What must not change is measured outside the true mask, on local dynamics.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from editworld_core.engines.protocol import Progress
from editworld_core.evaluation.measures import choose_measures
from editworld_core.evaluation.measures.pixels import MOST_DB
from editworld_core.evaluation.measures.truth import SUCCESS
from editworld_core.evaluation.record import Scored, Setup
from editworld_core.evaluation.report import summary
from editworld_core.evaluation.run import Editor, run
from editworld_core.evaluation.scoring_run import score
from editworld_core.evaluation.sources.registry import read_data_set
from editworld_core.evaluation.sources.simulated import NAME
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import SCENES

__all__ = ["MOST_DB", "SUCCESS", "evaluate_simulated", "score_simulated"]


def evaluate_simulated(
    editor: Editor,
    settings: EditSettings,
    names: Sequence[str] | None = None,
    scenes: int = SCENES,
    progress: Progress | None = None,
    quick: bool = False,
) -> dict[str, Any]:
    """Edit the held-out worlds and say how well, as ``report.summary`` does. Nothing is kept.

    Args:
        editor: what is measured.
        settings: of every edit; if they leave the seed open, each scene uses its own, which repeats.
        names: dynamics to measure; None takes all, which only is the held-out set.
        scenes: how many of each.
        progress: called after each scene with the numbers done and in all; what it raises stops it.
        quick: leave out ST-LPIPS, which takes most of the measuring.

    Raises:
        BadInputError: a name is unknown or ``scenes`` is not positive.
        EditWorldError: the editor failed on every scene, or the held-out photographs are missing.
    """
    return summary(score_simulated(editor, settings, names, scenes, progress, quick))


def score_simulated(
    editor: Editor,
    settings: EditSettings,
    names: Sequence[str] | None = None,
    scenes: int = SCENES,
    progress: Progress | None = None,
    quick: bool = False,
) -> list[Scored]:
    """The same scene by scene."""
    items = read_data_set(NAME, dynamics=names, scenes=scenes).items
    with TemporaryDirectory() as folder:
        done = run(items, [Setup(settings.engine, settings)], Path(folder), editor, progress)
        return score(done, choose_measures(quick=quick)[0], Path(folder))[0]
