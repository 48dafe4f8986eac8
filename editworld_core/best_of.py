"""Best of N at inference: the same edit N times, differently, and of these the one that a scorer likes best.

What differs is the seed. The bundled engine draws in one step, and its edits hardly differ by the seed; what changes
them is the wording. So, if such an engine is told something that the simulator knows, the candidates after the first
are other wordings of it. Steps and guidance can be varied as well; with that engine more of either makes the error
larger (``docs/ablations.md``, the number of denoising steps, guidance).

The scorers:

- ``agreement``, the default, needs no weights: the correlation between where the engine changed the picture and where
  the instruction's words looked. An edit that lets its words' place alone, or repaints others, scores low. Another
  wording must beat the user's own, the first, by ``scorers.LEAD``. Best of four wordings on 196 held-out worlds (scenes
  6 to 9 of each dynamic, seed 0), before post-edit: better than the first in 28, worse in 13, the same in the others;
  the mean error inside the true mask goes from 0.0538 to 0.0531. Without the lead it is 90, 64 and 0.0534. The lead was
  found with an earlier engine, with which to take the candidate that changed most, that is nearest to the others, or
  that is sharpest was no better than the first. It is a small gain for four times the time: think of it as insurance.
- ``preserve`` needs none either: the least drift outside the mask, among those that change something inside it.
- ``clip``: the cosine of CLIP with the outcome, as the think step or the user puts it.
- ``judge``: a language model that sees pictures grades them.
"""

import re
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from editworld_core.comparing import Edit, change_inside, next_seeds, seconds
from editworld_core.errors import BadInputError
from editworld_core.images import Source, check_instruction, read_image
from editworld_core.scorers import Scorer
from editworld_core.settings import LARGEST_SEED, EditSettings

if TYPE_CHECKING:
    from editworld_core.editor import EditResult
    from editworld_core.engines.protocol import EngineInfo, Progress
    from editworld_core.masks import Mask

MOST = 16
Vary = Literal["auto", "seed", "words", "guidance", "steps"]
FACTORS = (1.0, 1.25, 0.8, 1.5, 0.65, 1.75)
"""Of the text guidance, one after the other; beyond them they begin again, with other seeds."""
STEPS = (1, 2, 4, 8)
"""Multiples of the number of steps, likewise."""
HARDLY = "This engine draws in one step, where another seed changes little; another wording may change more."
PLAIN = 3  # other wordings that are tried: the simulator's plain commands, which its phrasings begin with
QUALIFIERS = frozenset(
    "left right bigger smaller larger but except only without while not nothing stays".split()
)
"""Words that say which thing is meant or what must stay; other wordings would lose them."""


@dataclass(frozen=True)
class Candidate:
    """One of the edits.

    Attributes:
        result: the edit.
        score: the scorer's; the higher the better.
        change: mean absolute change inside the mask, 0..1.
    """

    result: "EditResult"
    score: float
    change: float

    @property
    def settings(self) -> EditSettings:
        """As they were used, with seed and outcome."""
        return self.result.settings

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        used = self.settings
        return {
            "score": self.score,
            "seed": used.seed,
            "steps": used.steps,
            "text_guidance": used.text_guidance,
            "told": used.outcome or self.result.instruction,
            "change": self.change,
            "mask_share": float(self.result.mask.mean()),
            "psnr_outside": self.result.drift.psnr_edited,
            "seconds": seconds(self.result),
        }


@dataclass(frozen=True)
class BestOf:
    """All candidates, in the order in which they were made, and the place of the best one.

    ``note`` is a sentence for the user if there is something to say, else empty.
    """

    candidates: tuple[Candidate, ...]
    place: int
    scorer: str
    note: str = ""

    @property
    def best(self) -> "EditResult":
        """The result to keep."""
        return self.candidates[self.place].result


def best_of(
    image: Source,
    instruction: str,
    settings: EditSettings,
    count: int,
    scorer: Scorer,
    edit: Edit,
    info: "EngineInfo",
    *,
    vary: Vary = "auto",
    progress: "Progress | None" = None,
    hand: "Mask | None" = None,
) -> BestOf:
    """Edit ``count`` times and choose. The first, which one would have made anyway, is kept unless another beats it by
    the scorer's ``lead``.

    Args:
        settings: of the first candidate; with its seed drawn if it is open.
        edit: what edits, such as ``WorldEditor().edit``.
        info: of the engine that ``settings`` name.
        vary: what differs between the candidates; see ``candidate_settings``.
        progress: called at every denoising step's end, of all candidates; what it raises ends the work.
        hand: bool [H, W], where the user wants the change.

    Raises:
        BadInputError: the image, the instruction, a setting or the count cannot be used.
        EditWorldError: as ``edit`` and ``scorer`` do.
    """
    original, instruction = read_image(image), check_instruction(instruction)
    chosen, note = candidate_settings(instruction, settings, count, info, vary)
    results = []
    for place, one in enumerate(chosen):
        results.append(edit(original, instruction, one, _of_all(progress, place, count), hand))
    scores = scorer.score(results)
    candidates = tuple(map(Candidate, results, scores, map(change_inside, results)))
    place = scores.index(max(scores))
    if scores[place] <= scores[0] + scorer.lead:
        place = 0
    return BestOf(candidates, place, scorer.name, " ".join(filter(None, (note, scorer.note))))


def _of_all(progress: "Progress | None", place: int, count: int) -> "Progress | None":
    """``progress`` of one candidate as that of all."""
    if progress is None:
        return None
    tell = progress
    return lambda done, total: tell(place * total + done, count * total)


def candidate_settings(
    instruction: str, settings: EditSettings, count: int, info: "EngineInfo", vary: Vary = "auto"
) -> tuple[list[EditSettings], str]:
    """The settings of ``count`` candidates, and a sentence for the user if there is something to say.

    The first are ``settings`` themselves. Every candidate has a seed of its own, counted on from the first. Beyond it,
    ``words`` lets the engine be told other wordings of the instruction, ``guidance`` and ``steps`` change the text
    guidance and the number of steps, and ``seed`` nothing more. ``auto`` is ``words`` for an engine that draws in one
    step, if there are other wordings, else ``seed``.

    Raises:
        BadInputError: ``count`` is not 1 to ``MOST``, or there are no other wordings for ``words``.
    """
    if not 1 <= count <= MOST:
        raise BadInputError(f"Best of must be 1 to {MOST}, not {count}.")
    drawn = secrets.randbelow(LARGEST_SEED + 1) if settings.seed is None else settings.seed
    seeds = next_seeds(drawn, count)
    one_step = (settings.steps or info.steps_of(settings.speed)) == 1
    told: tuple[str, ...] = ()
    if vary == "words" or (vary == "auto" and one_step and count > 1):
        told = () if settings.outcome else other_wordings(instruction)
    if vary == "words" and not told:
        raise BadInputError("There are no other wordings of this to try; vary the seed or the guidance.")
    changes: list[dict[str, Any]] = [{"seed": seed} for seed in seeds]
    for place, change in enumerate(changes[1:], 1):
        if told and place % (len(told) + 1):  # every so many, the user's own words again, with another seed
            change["outcome"] = told[place % (len(told) + 1) - 1]
        elif vary == "guidance":
            usual = info.text_guidance if settings.text_guidance is None else settings.text_guidance
            change["text_guidance"] = round(usual * FACTORS[place % len(FACTORS)], 3)
        elif vary == "steps":
            usual_steps = settings.steps or info.steps_of(settings.speed)
            change["steps"] = usual_steps * STEPS[place % len(STEPS)]
    note = HARDLY if one_step and count > 1 and vary in ("auto", "seed") and not told else ""
    return [replace(settings, **change) for change in changes], note


def other_wordings(instruction: str) -> tuple[str, ...]:
    """What else the simulator calls this, plainest first; empty if it does not know it, or if the instruction says
    which thing is meant or what must stay, which other wordings would lose."""
    if QUALIFIERS & set(re.findall(r"\w+", instruction.lower())):
        return ()
    from editworld_core.think_offline import OfflineThinker

    return tuple(text for text in OfflineThinker().wordings(instruction)[:PLAIN] if text != instruction)
