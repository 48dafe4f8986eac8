"""Which engines there are, and getting one by its id or folder."""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from threading import Lock

from editworld_core.engines.protocol import Engine, EngineInfo
from editworld_core.errors import EngineUnavailableError

POCKET = "pocket"
_loading = Lock()


@dataclass(frozen=True)
class EngineRow:
    """A line of the list of engines: whether it can be used now, and if not ``why``."""

    info: EngineInfo
    ready: bool
    why: str


def pocket_folder() -> Path:
    """Where the bundled engine lies."""
    return Path(str(files("editworld_core"))) / "assets" / "pocket"


def engine_rows() -> list[EngineRow]:
    """All registered engines; nothing is loaded for it."""
    info = EngineInfo(
        id=POCKET,
        title="small UNet for 256x256, trained on simulated worlds; runs on a CPU without a network",
        licence="Apache-2.0",
        weights="in this package",
        native_size=256,
        multiple=32,
        memory_gib=1.0,
        records_attention=True,
        steps=1,
        text_guidance=1.0,
        image_guidance=1.0,
    )
    ready = (pocket_folder() / "model_index.json").exists()
    return [
        EngineRow(
            info,
            ready,
            "" if ready else "its weights are not in this installation: install the package again",
        )
    ]


def load_engine(name: str) -> Engine:
    """The engine with the id ``name``, or the one in the folder ``name``; loaded once and kept.

    Raises:
        EngineUnavailableError: there is no such engine, or its weights are missing or damaged.
    """
    with _loading:
        return _load(name)


@lru_cache(maxsize=2)
def _load(name: str) -> Engine:
    rows = {row.info.id: row for row in engine_rows()}
    folder = pocket_folder() if name == POCKET else Path(name).expanduser()
    if name in rows and not rows[name].ready:
        raise EngineUnavailableError(f"The engine {name} is not ready: {rows[name].why}.")
    if name not in rows and not folder.is_dir():
        raise EngineUnavailableError(
            f"There is no engine {name!r}: choose {', '.join(rows)} or name a folder that holds one."
        )
    from editworld_core.engines.unet import load_unet_engine

    if name in rows:
        return load_unet_engine(folder, name, rows[name].info.title, rows[name].info.licence)
    return load_unet_engine(folder, name, "an engine of your own", "see its folder")
