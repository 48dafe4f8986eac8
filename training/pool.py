"""Simulated pairs rendered once and kept on disk, so that training never waits for the simulator."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from editworld_core.errors import BadInputError
from editworld_core.simulation.scatter import CELL
from editworld_core.simulation.world import SimulatedPair, dynamic_names, simulate
from training.config import DataConfig

TOLERANCE = 8
"""Levels by which a pixel rendered again may differ, as with another version of OpenCV, ..."""
STRAYS = 0.001
"""... and the share of pixels that may differ by more."""
OF_THE_DRAW = ("unaffected", "hard", "hard_times")
"""Settings of the data that leave the rendered pairs as they are."""


@dataclass(frozen=True)
class PairPool:
    """``before`` and ``after`` are uint8 [N, S, S, 3], ``masks`` packed bits [N, S, S / 8], ``phrasings`` one tuple of
    instructions a pair, ``names`` the dynamic of each."""

    before: NDArray[np.uint8]
    after: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    phrasings: list[tuple[str, ...]]
    names: list[str]

    def __len__(self) -> int:
        return len(self.names)


def open_pool(
    folder: Path,
    config: DataConfig,
    photos: Sequence[Path] = (),
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> PairPool:
    """Open the pool in ``folder``, first rendering what is missing of it; a broken-off rendering goes on.

    Raises:
        BadInputError: the folder holds a pool made with other settings or by another simulator.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = config.dynamics or dynamic_names()
    rendered = {name: value for name, value in asdict(config).items() if name not in OF_THE_DRAW}
    recipe = {**rendered, "dynamics": list(names), "photos": len(photos), "luck": CELL}
    _check_recipe(folder / "pool.json", recipe)
    pool = _arrays(folder, config)
    items = folder / "items.jsonl"
    done = _count_items(items)
    render = partial(_render, names, config, tuple(photos))
    _check_worlds(folder, pool[1], map(render, range(min(done, len(names)))))
    with items.open("a", encoding="utf-8") as log, ProcessPoolExecutor(workers) as executor:
        for index, pair in _rendered(executor, render, range(done, config.pairs)):
            pool[0][index], pool[1][index] = pair.before, pair.after
            pool[2][index] = np.packbits(pair.mask, axis=-1)
            log.write(json.dumps({"dynamic": pair.dynamic, "phrasings": pair.phrasings}) + "\n")
            log.flush()
            if progress is not None:
                progress(index + 1, config.pairs)
    lines = [json.loads(line) for line in items.read_text(encoding="utf-8").splitlines()[: config.pairs]]
    return PairPool(*pool, [tuple(line["phrasings"]) for line in lines], [line["dynamic"] for line in lines])


def _check_recipe(path: Path, recipe: dict[str, object]) -> None:
    text = json.dumps(recipe, indent=1)
    if not path.exists():
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise BadInputError(
            f"{path.parent} holds pairs made with other settings: name another --pool folder."
        )


def _check_worlds(folder: Path, after: NDArray[np.uint8], again: Iterable[SimulatedPair]) -> None:
    """Compare the first pairs of ``after`` [N, S, S, 3], one of each dynamic, with those that are rendered now."""
    for stored, pair in zip(after, again, strict=False):
        differs = np.abs(stored.astype(np.int16) - pair.after) > TOLERANCE
        if differs.mean() > STRAYS:
            raise BadInputError(
                f"{folder} holds pairs of an earlier version of the simulator, which draws {pair.dynamic!r} "
                "differently now: name another --pool folder."
            )


def _arrays(folder: Path, config: DataConfig) -> tuple[NDArray[np.uint8], ...]:
    size = config.size
    shapes = {"before": (size, size, 3), "after": (size, size, 3), "masks": (size, size // 8)}
    arrays = []
    for name, shape in shapes.items():
        path = folder / f"{name}.npy"
        arrays.append(
            np.lib.format.open_memmap(path, mode="r+")
            if path.exists()
            else np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(config.pairs, *shape))
        )
    return tuple(arrays)


def _count_items(path: Path) -> int:
    """Whole lines of ``path``; a torn last one is cut off."""
    if not path.exists():
        return 0
    data = path.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if whole != data:
        path.write_bytes(whole)
    return whole.count(b"\n")


def _rendered(
    executor: ProcessPoolExecutor, render: Callable[[int], SimulatedPair], wanted: range
) -> Iterator[tuple[int, SimulatedPair]]:
    for start in range(wanted.start, wanted.stop, 256):
        block = range(start, min(start + 256, wanted.stop))
        yield from zip(block, executor.map(render, block, chunksize=16), strict=True)


def _render(names: Sequence[str], config: DataConfig, photos: Sequence[Path], index: int) -> SimulatedPair:
    name = names[index % len(names)]
    seed = config.seed * 1_000_000 + index // len(names)
    return simulate(name, seed, size=config.size, photos=photos, luck=luck_of(config, index))


def luck_of(config: DataConfig, index: int) -> NDArray[np.float32]:
    """What is left to chance in the pair ``index``: numbers of the standard normal distribution, [S / 4, S / 4]."""
    side = config.size // CELL
    return np.random.default_rng([config.seed, index]).standard_normal((side, side), dtype=np.float32)
