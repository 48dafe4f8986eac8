"""The experiment from the command line: arm by arm, each kept in a file, so that a run that was broken off goes on."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.data_quality.arms import ARMS, Arm, few_wordings
from benchmarks.tables import Table
from editworld_core.datagen.records import write_file
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError

if TYPE_CHECKING:
    from editworld_core.engines.pocket import MiniLMEncoder
    from training.config import TrainConfig
    from training.pool import PairPool

CELL = 16  # pixels of a cell of the model's second level


def data_benchmark(
    folder: Path,
    names: Sequence[str],
    *,
    pairs: int,
    steps: int,
    size: int,
    scenes: int,
    threads: int,
    photos: Sequence[Path] = (),
    progress: Progress,
) -> list[Table]:
    """Train and measure the arms that are not in ``folder`` yet, and write the tables of all that are.

    Args:
        folder: gets ``arms/NAME.json`` and ``arms/NAME/engine`` for each, ``data.md``, ``data.json``, ``data.svg``.
        names: of the arms; none means all that can be made.
        pairs: simulated pairs of the whole pool.
        steps: of every training.
        size: side of pairs and scenes in pixels.
        scenes: held-out scenes of each dynamic.
        photos: for the arm that has photographs as backdrops; without any it is left out.
        progress: called with the steps done and in all.

    Raises:
        BadInputError: an arm is unknown, the size cannot be, or the folder holds arms made with other settings.
    """
    from benchmarks.data_quality.models import RememberingEncoder, small_config
    from training.pool import open_pool

    if size % CELL:
        raise BadInputError(f"The side must be a multiple of {CELL} pixels, not {size}.")
    arms = _chosen(names, bool(photos))
    config = small_config(pairs, steps, size, threads)
    setup = {"pairs": pairs, "steps": steps, "size": size, "scenes": scenes}
    missing = [arm for arm in arms if _kept(folder, arm, setup) is None]
    encoder = RememberingEncoder()
    for done, arm in enumerate(missing):

        def tell(step: int, of: int, done: int = done) -> None:
            progress(done * of + step, len(missing) * of)

        place, backdrops = ("pool-photos", photos) if arm.photos else ("pool", ())
        pool = open_pool(folder / place, config.data, backdrops, workers=threads)
        _run(folder, arm, pool, encoder, config, setup, tell)
    return _write(folder, setup)


def _chosen(names: Sequence[str], has_photos: bool) -> list[Arm]:
    known = {arm.name: arm for arm in ARMS}
    for name in names:
        if name not in known:
            raise BadInputError(f"There is no arm {name!r}; choose from {', '.join(known)}.")
        if known[name].photos and not has_photos:
            raise BadInputError(f"The arm {name} needs --photos with a folder of JPEG photos.")
    if names:
        return [arm for arm in ARMS if arm.name in names]
    return [arm for arm in ARMS if has_photos or not arm.photos]


def _kept(folder: Path, arm: Arm, setup: dict[str, int]) -> dict[str, Any] | None:
    """What was found of ``arm`` before; None if nothing was."""
    path = folder / "arms" / f"{arm.name}.json"
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadInputError(f"{path} is damaged: delete it and run the command again.") from error
    if found["setup"] != setup:
        raise BadInputError(f"{folder} holds arms made with other settings: name another folder.")
    return found


def _run(
    folder: Path,
    arm: Arm,
    pool: "PairPool",
    encoder: "MiniLMEncoder",
    config: "TrainConfig",
    setup: dict[str, int],
    progress: Progress,
) -> None:
    from benchmarks.data_quality.models import score, train_small
    from editworld_core.engines.registry import load_engine

    own = few_wordings(arm.change(pool, np.random.default_rng(1)), np.random.default_rng(0))
    home = folder / "arms" / arm.name
    trained = train_small(replace(config, seed=arm.seed), own, encoder, home, progress)
    rows = score(load_engine(str(home / "engine")), setup["size"], setup["scenes"])
    found = {"arm": arm.name, "setup": setup, "pairs": len(own), **trained, "scenes": rows}
    write_file(folder / "arms" / f"{arm.name}.json", f"{json.dumps(found, indent=1)}\n".encode())


def _write(folder: Path, setup: dict[str, int]) -> list[Table]:
    from benchmarks.data_quality.report import findings, in_page, plot, tables

    found = {arm.name: kept for arm in ARMS if (kept := _kept(folder, arm, setup)) is not None}
    made = tables(found)
    report = {"setup": setup, "findings": findings(made), "tables": [table.as_dict() for table in made]}
    write_file(folder / "data.json", f"{json.dumps(report, indent=1)}\n".encode())
    drawn = plot(found)
    if drawn:
        write_file(folder / "data.svg", drawn.encode())
    page = in_page(made, {"data": "data.svg"} if drawn else None)
    write_file(folder / "data.md", f"{page}\n".encode())
    return made
