"""What a setup's edits depend on beside the settings' words: which weights they mean here, and where it computes.

Two names of the same weights are one identity, and other weights under the same name are another one. So an engine that
was trained further is evaluated anew, and one that was moved is not. The code is known by its version only: who changes
how an edit is made keeps the edits elsewhere.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from editworld_core import __version__
from editworld_core.errors import EngineUnavailableError
from editworld_core.settings import EditSettings

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".json", ".txt", ".model", ".gguf")
CHUNK = 2**22  # bytes
NO_FILES = (
    "",
    "auto",
    "engine",
    "none",
    "classical",
    "controlnet-sd15",
    "controlnet-sdxl",
)  # whatever folder has such a name


def identity_of(settings: EditSettings) -> Mapping[str, Any]:
    """Everything that decides an edit with ``settings``, apart from the item, ready for JSON.

    Raises:
        EngineUnavailableError: there is no such engine, or it is not on this machine and cannot be fetched.
    """
    from editworld_core.engines.place import best_place
    from editworld_core.engines.registry import POCKET, pocket_folder, row_for
    from editworld_core.sam_here import find_sam

    place = best_place()
    engine = str(pocket_folder()) if settings.engine == POCKET else row_for(settings.engine).info.weights
    segmenter = settings.segmenter
    if segmenter == "auto":
        segmenter = find_sam() or "classical"
    return asdict(settings) | {
        "version": __version__,
        "place": [place.device.split(":")[0], str(place.dtype)],
        "engine": _engine_identity(engine),
        "lora": weights_identity(settings.lora),
        "segmenter": weights_identity(segmenter),
        "inpainter": weights_identity(settings.inpainter),
    }


def _engine_identity(source: str) -> str:
    from editworld_core.engines.hub import is_hub_id, read_index

    if is_hub_id(source):
        read_index(source)  # which fetches what says the revision, as loading will
    return weights_identity(source)


def weights_identity(name: str) -> str:
    """Of a file or a folder the hash of its weights, of a hub id its revision if that is known, else ``name``.

    Raises:
        EngineUnavailableError: a file cannot be read.
    """
    path = Path(name).expanduser()
    if name in NO_FILES or not path.exists():
        return f"{name}@{_revision(name)}" if "/" in name else name
    try:
        files = [(file, file.stat()) for file in ([path] if path.is_file() else sorted(_files(path)))]
        parts = [
            f"{file.relative_to(path).as_posix()} {_file_hash(file, stat.st_size, stat.st_mtime_ns)}"
            for file, stat in files
        ]
    except OSError as error:
        raise EngineUnavailableError(
            f"The weights in {name} cannot be read ({error.strerror}); check their rights."
        ) from error
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=16).hexdigest()


def _files(folder: Path) -> list[Path]:
    return [
        file
        for file in folder.rglob("*")
        if file.suffix in WEIGHTS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    ]


@lru_cache(maxsize=1024)
def _file_hash(path: Path, size: int, changed: int) -> str:
    """``size`` and ``changed`` are those of the file, so that another content under its name is read again."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _revision(hub_id: str) -> str:
    """The revision of the model in the hub's cache on this machine; empty if it is not there."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=hub_id, repo_type="model")
    try:
        return (Path(constants.HF_HUB_CACHE) / folder / "refs" / "main").read_text().strip()
    except OSError:
        return ""
