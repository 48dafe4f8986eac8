"""Which engines there are, and getting one by its id, folder, file or hub id."""

from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from editworld_core.engines.protocol import Engine, EngineInfo
from editworld_core.errors import EngineUnavailableError

if TYPE_CHECKING:
    from editworld_core.engines.place import Place

POCKET = "pocket"
_loading = Lock()
_kept: "dict[tuple[str, str, float, Place], Engine]" = {}

# What is stated of memory is counted from the parameters at two bytes each, with what an edit at the native size needs
# beside them; it was not measured.
CATALOGUE = (
    EngineInfo(
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
        redraws=False,
        wants_outcome=False,
    ),
    EngineInfo(
        id="instruct-pix2pix",
        title="InstructPix2Pix on Stable Diffusion 1.5, 512x512",
        licence="MIT, on a base under CreativeML OpenRAIL-M",
        weights="timbrooks/instruct-pix2pix",
        native_size=512,
        multiple=8,
        memory_gib=4.0,
        records_attention=True,
        steps=100,
        text_guidance=7.5,
        image_guidance=1.5,
        fast_steps=20,
        takes_negative=True,
        memory_model_gib=3.0,
        memory_sequential_gib=1.5,
    ),
    EngineInfo(
        id="magicbrush",
        title="InstructPix2Pix fine-tuned on MagicBrush's hand-made edits, 512x512",
        licence="CC-BY-4.0, on a base under CreativeML OpenRAIL-M",
        weights="vinesmsuic/magicbrush-jul7",
        native_size=512,
        multiple=8,
        memory_gib=4.0,
        records_attention=True,
        steps=100,
        text_guidance=7.5,
        image_guidance=1.5,
        fast_steps=20,
        takes_negative=True,
        memory_model_gib=3.0,
        memory_sequential_gib=1.5,
    ),
    EngineInfo(
        id="sdxl-instruct-pix2pix",
        title="InstructPix2Pix on Stable Diffusion XL, 768x768",
        licence="CreativeML OpenRAIL++-M",
        weights="diffusers/sdxl-instructpix2pix-768",
        native_size=768,
        multiple=8,
        memory_gib=9.0,
        records_attention=True,
        steps=100,
        text_guidance=5.0,
        image_guidance=1.5,
        fast_steps=20,
        takes_negative=True,
        memory_model_gib=7.0,
        memory_sequential_gib=3.0,
    ),
    EngineInfo(
        id="qwen-image-edit",
        title="Qwen-Image-Edit 2511, 20 billion parameters, 1024x1024",
        licence="Apache-2.0",
        weights="Qwen/Qwen-Image-Edit-2511",
        native_size=1024,
        multiple=32,
        memory_gib=60.0,
        records_attention=True,
        steps=40,
        text_guidance=4.0,
        image_guidance=1.0,
        takes_negative=True,
        memory_model_gib=44.0,
        memory_sequential_gib=4.0,
    ),
    EngineInfo(
        id="flux2-klein",
        title="FLUX.2 klein, 4 billion parameters, four steps, 1024x1024",
        licence="Apache-2.0",
        weights="black-forest-labs/FLUX.2-klein-4B",
        native_size=1024,
        multiple=16,
        memory_gib=18.0,
        records_attention=True,
        steps=4,
        text_guidance=1.0,
        image_guidance=1.0,
        memory_model_gib=10.0,
        memory_sequential_gib=3.0,
    ),
    EngineInfo(
        id="flux-kontext",
        title="FLUX.1 Kontext dev, 12 billion parameters, 1024x1024",
        licence="FLUX.1 [dev] Non-Commercial License",
        weights="black-forest-labs/FLUX.1-Kontext-dev",
        native_size=1024,
        multiple=16,
        memory_gib=36.0,
        records_attention=True,
        steps=28,
        text_guidance=2.5,
        image_guidance=1.0,
        commercial=False,
        takes_negative=True,
        memory_model_gib=26.0,
        memory_sequential_gib=3.0,
    ),
)


@dataclass(frozen=True)
class EngineRow:
    """A line of the list of engines: whether it can be used at once, and if not ``why``."""

    info: EngineInfo
    ready: bool
    why: str
    downloadable: bool = False

    @property
    def usable(self) -> bool:
        """Whether an edit with it can be tried: its weights are here, or come with the first use."""
        return self.ready or self.downloadable


def pocket_folder() -> Path:
    """Where the bundled engine lies."""
    return Path(str(files("editworld_core"))) / "assets" / "pocket"


def engine_rows() -> list[EngineRow]:
    """All registered engines; nothing is loaded for it and no network asked."""
    return [_row(info) for info in CATALOGUE]


def row_for(name: str) -> EngineRow:
    """The row of a registered engine, or one for the engine in a folder or file, or with a hub id.

    Raises:
        EngineUnavailableError: there is nothing of that name.
    """
    for info in CATALOGUE:
        if info.id == name:
            return _row(info)
    from editworld_core.engines.hub import is_hub_id

    if not Path(name).expanduser().exists() and not is_hub_id(name):
        raise EngineUnavailableError(
            f"There is no engine {name!r}: choose {', '.join(info.id for info in CATALOGUE)}, "
            "or name a folder that holds one, a file of weights, or a hub id."
        )
    known = next((info for info in CATALOGUE if info.weights == name), None)
    base = known or replace(
        CATALOGUE[0] if _is_pocket(Path(name).expanduser()) else CATALOGUE[1],
        title="an engine of your own",
        licence="as its own model card says",
        memory_model_gib=None,
        memory_sequential_gib=None,
        memory_gib=1.0,
    )
    return _row(replace(base, id=name, weights=name))


def _is_pocket(folder: Path) -> bool:
    from editworld_core.engines.hub import read_index

    try:
        return bool(read_index(str(folder))["_class_name"] == "PocketEngine") if folder.is_dir() else False
    except EngineUnavailableError:
        return False


def _row(info: EngineInfo) -> EngineRow:
    if info.id == POCKET:
        ready = (pocket_folder() / "model_index.json").exists()
        return EngineRow(
            info,
            ready,
            "" if ready else "its weights are not in this installation: install the package again",
        )
    if Path(info.weights).expanduser().exists():
        return EngineRow(info, True, "")
    if find_spec("huggingface_hub") is None:
        return EngineRow(info, False, "the package huggingface-hub is not installed")
    from huggingface_hub import constants

    from editworld_core.engines.hub import is_cached

    if is_cached(info.weights):
        return EngineRow(info, True, "")
    if constants.HF_HUB_OFFLINE:
        return EngineRow(
            info, False, "its weights are not on this machine, and HF_HUB_OFFLINE forbids to get them"
        )
    return EngineRow(
        info,
        False,
        f"its weights are not on this machine; the first edit gets them from the hub, {info.weights}",
        downloadable=True,
    )


def load_engine(name: str, lora: str = "", lora_scale: float = 1.0, place: "Place | None" = None) -> Engine:
    """The engine with the id ``name``, or the one in the folder or file ``name``, or with that hub id.

    It is loaded once and kept until another one takes its place.

    Args:
        lora, lora_scale: LoRA weights to add, and how much of them.
        place: where it computes; None takes the best that is there.

    Raises:
        EngineUnavailableError: there is no such engine, its weights are missing or damaged, or memory is too small.
    """
    from editworld_core.engines.place import best_place

    key = (name, lora, lora_scale, place or best_place())
    with _loading:
        if key not in _kept:
            for other in [other for other in _kept if POCKET not in (name, other[0])]:
                del _kept[other]  # two large engines may not fit; the bundled one stays beside any
            _kept[key] = _read(*key)
        return _kept[key]


def _read(name: str, lora: str, lora_scale: float, place: "Place") -> Engine:
    from editworld_core.engines.load import load

    row = row_for(name)
    if not row.usable:
        raise EngineUnavailableError(f"The engine {name} is not ready: {row.why}.")
    source = str(pocket_folder()) if name == POCKET else row.info.weights
    return load(source, row.info, place, lora, lora_scale)
