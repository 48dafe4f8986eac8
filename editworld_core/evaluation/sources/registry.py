"""Which kind of data set a name or a folder means."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from editworld_core.errors import BadInputError
from editworld_core.evaluation.sources import (
    columns,
    krisbench,
    magicbrush,
    own,
    paper,
    picabench,
    risebench,
    simulated,
)
from editworld_core.evaluation.sources.dataset import DataSet, Kind, Listed, gather
from editworld_core.simulation.held_out import SCENES

KINDS: tuple[Kind, ...] = (
    own.KIND,
    paper.KIND,
    magicbrush.KIND,
    picabench.KIND,
    krisbench.KIND,
    risebench.KIND,
    *columns.KINDS,
)


def read_data_set(
    name: str,
    *,
    limit: int | None = None,
    dynamics: Sequence[str] | None = None,
    scenes: int = SCENES,
    progress: Callable[[int, int], None] | None = None,
) -> DataSet:
    """The data set called ``simulated``, or the one in the folder or file ``name``.

    Args:
        limit: take only so many items, evenly spread.
        dynamics, scenes: of the held-out worlds, see ``sources.simulated``.
        progress: called after each item whose files were read with the numbers done and in all.

    Raises:
        BadInputError: there is none, it is damaged, or it is empty.
    """
    return gather(list_data_set(name, dynamics, scenes), limit, progress)


def list_data_set(name: str, dynamics: Sequence[str] | None = None, scenes: int = SCENES) -> Listed:
    """What ``read_data_set`` would read, before any picture is; raises as it does."""
    if name == simulated.NAME:
        return simulated.read(dynamics, scenes)
    path = Path(name).expanduser()
    if dynamics:
        raise BadInputError(f"Dynamics can be chosen of the data set {simulated.NAME} only, not of {name}.")
    if not path.exists():
        raise BadInputError(
            f"There is no data set {name!r}: name {simulated.NAME}, or give an existing folder or file."
        )
    kind = next((kind for kind in KINDS if kind.knows(path)), None)
    if kind is None:
        raise BadInputError(
            f"{name} is no data set that is known here: give {', '.join(kind.title for kind in KINDS)}."
        )
    return replace(kind.read(path), name=path.resolve().name, kind=kind.name)
