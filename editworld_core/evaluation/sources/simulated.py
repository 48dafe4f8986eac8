"""The held-out worlds, whose true pictures and masks are exact: the data set named ``simulated``."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache, partial

from PIL import Image

from editworld_core.errors import BadInputError
from editworld_core.evaluation.record import Item, Pictures
from editworld_core.evaluation.sources.dataset import Listed
from editworld_core.evaluation.sources.entry import content_hash
from editworld_core.simulation.held_out import SCENES, held_out_pair, held_out_scenes
from editworld_core.simulation.world import SimulatedPair, get_dynamic

NAME = "simulated"


def read(names: Sequence[str] | None = None, scenes: int = SCENES) -> Listed:
    """The scenes of ``names``, or of all dynamics, which only is the held-out set.

    Raises:
        BadInputError: a name is unknown or ``scenes`` is not positive.
    """
    if scenes < 1:
        raise BadInputError(f"The number of scenes must be at least 1, not {scenes}.")
    try:
        todo = held_out_scenes(names, scenes)
    except ValueError as error:
        raise BadInputError(str(error)) from error
    return Listed([partial(_item, name, seed) for name, seed in todo], Counter(), name=NAME, kind=NAME)


@lru_cache(maxsize=4)
def _pair(name: str, seed: int) -> SimulatedPair:
    return held_out_pair(name, seed)


def _item(name: str, seed: int) -> Item:
    """One scene. ``about`` says whether its dynamic is local, and whether it touches the whole picture all the same."""
    pair = _pair(name, seed)
    parts = (pair.before.tobytes(), pair.after.tobytes(), pair.mask.tobytes(), pair.instruction.encode())
    return Item(
        id=f"{name}-{seed}",
        category=pair.category.value,
        branch="simulation",
        instruction=pair.instruction,
        caption_before=pair.caption_before,
        caption_after=pair.caption_after,
        content=content_hash(*parts),
        read=partial(_pictures, name, seed),
        about={
            "keywords": list(pair.keywords),
            "dynamic": name,
            "seed": seed,
            "local": get_dynamic(name).local,
            "everywhere": bool(pair.mask.all()),
        },
    )


def _pictures(name: str, seed: int) -> Pictures:
    pair = _pair(name, seed)
    return Pictures(Image.fromarray(pair.before), Image.fromarray(pair.after), pair.mask)
