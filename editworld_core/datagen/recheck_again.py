"""Making a rechecked triplet again: the same dynamic of the simulator in another scene."""

from itertools import count
from pathlib import Path

from editworld_core.datagen.records import open_data_set
from editworld_core.datagen.simulate import SCENES_A_SEED, Scene, make
from editworld_core.datagen.triplet import Triplet
from editworld_core.simulation.world import dynamic_names

SETTINGS = {"branch": "simulation", "recheck": "regenerate"}  # what ``dataset.json`` notes


def add_another_scene(folder: Path, triplet: Triplet) -> str | None:
    """Add a new scene of the triplet's dynamic to the data set.

    The scene seeds are counted down from the end of the run's range, where no run arrives.

    Returns:
        The id of the new triplet; None if it cannot be made here: the triplet was not simulated, or from photographs
        or by a simulator that are not here.

    Raises:
        EditWorldError: another process is adding to the data set, or it cannot be written.
    """
    scene = _scene(triplet)
    if scene is None:
        return None
    end = (scene.seed // SCENES_A_SEED + 1) * SCENES_A_SEED
    with open_data_set(folder, SETTINGS) as writer:
        others = (Scene(scene.dynamic, end - step, scene.size, (), None) for step in count(1))
        made = make(next(other for other in others if other.id() not in writer))
        writer.add(made.triplet, made.original, made.target, made.mask)
    return made.triplet.id


def _scene(triplet: Triplet) -> Scene | None:
    """The order that the triplet was made by, if it can be given again."""
    dynamic, size, seed = (
        triplet.recipe.get("dynamic"),
        triplet.recipe.get("size"),
        triplet.seeds.get("scene"),
    )
    if triplet.branch != "simulation" or dynamic not in dynamic_names():
        return None
    if not isinstance(dynamic, str) or not isinstance(size, int) or not isinstance(seed, int):
        return None
    scene = Scene(dynamic, seed, size, (), None)
    return scene if scene.recipe() == triplet.recipe else None
