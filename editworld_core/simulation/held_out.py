"""The held-out set ``simulated``: the worlds on which editors are measured and which training never shows.

The set is this recipe, not images: every dynamic, the seeds 0 … 19, full strength, 256x256, with the held-out
phrasings, palettes and photographs. ``tests/evaluation/held_out.json`` remembers what it looks like, so that
nobody changes it unawares.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec

from editworld_core.errors import EditWorldError
from editworld_core.simulation.world import SimulatedPair, dynamic_names, get_dynamic, simulate

SCENES = 20
SIZE = 256


def held_out_scenes(names: Sequence[str] | None = None, scenes: int = SCENES) -> Iterator[tuple[str, int]]:
    """The scenes of the set as (dynamic, seed), one dynamic after the other.

    Args:
        names: the dynamics to take; None takes all, which only is the held-out set.
        scenes: how many scenes of each, the first ones.

    Raises:
        ValueError: a name is unknown.
    """
    chosen = dynamic_names() if names is None else tuple(get_dynamic(name).name for name in names)
    return ((name, seed) for name in chosen for seed in range(scenes))


def held_out_pair(name: str, seed: int) -> SimulatedPair:
    """The pair of one scene of the set.

    Raises:
        EditWorldError: scikit-image, whose photographs are part of the set, is missing.
    """
    if find_spec("skimage") is None:
        raise EditWorldError(
            "The held-out worlds need scikit-image's photographs; install it with pip install scikit-image."
        )
    return simulate(name, seed, split="held_out", size=SIZE)


def held_out_pairs(names: Sequence[str] | None = None, scenes: int = SCENES) -> Iterator[SimulatedPair]:
    """The pairs of ``held_out_scenes``, made one at a time."""
    return (held_out_pair(name, seed) for name, seed in held_out_scenes(names, scenes))
