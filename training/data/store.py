"""Tensors by key in a folder: shards that are written once, whole or not at all, and read through memory maps.

A shard is a safetensors file. A key names its content for good, so nothing is ever changed: a killed run loses at most
the shard in the making, and what is there needs not be made again.
"""

from collections.abc import Collection, Iterable
from functools import lru_cache
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from editworld_core.datagen.records import write_file, writing
from editworld_core.errors import BadInputError

SHARD_BYTES = 64 * 2**20
OPEN_SHARDS = 256


class Shards:
    """The tensors in ``folder``; those of damaged shards, which nothing of ours leaves behind, are not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._shard_of: dict[str, str] = {}
        self._open = lru_cache(maxsize=OPEN_SHARDS)(self._map)
        for path in sorted(folder.glob("*.safetensors")):
            self._index(path.name)

    def __contains__(self, key: object) -> bool:
        return key in self._shard_of

    def __getitem__(self, key: str) -> Tensor:
        """The tensor, in memory that is mapped from the file: not to be written to.

        Raises:
            BadInputError: its shard has been lost or damaged.
        """
        try:
            tensor: Tensor = self._open(self._shard_of[key]).get_tensor(key)
        except (OSError, SafetensorError) as error:
            raise BadInputError(
                f"{self.folder / self._shard_of[key]} is lost or damaged: run training.precompute again."
            ) from error
        return tensor

    def add(self, tensors: dict[str, Tensor]) -> None:
        """Write one shard.

        Raises:
            EditWorldError: the disk is full or not writable.
        """
        numbers = (int(path.stem) for path in self.folder.glob("*.safetensors") if path.stem.isdecimal())
        name = f"{max(numbers, default=-1) + 1:06}.safetensors"
        write_file(self.folder / name, save(tensors))
        self._index(name)

    def keep_only(self, wanted: Collection[str]) -> None:
        """Remove the shards that hold none of ``wanted``."""
        used = {self._shard_of[key] for key in wanted}
        self._open.cache_clear()
        for path in self.folder.glob("*.safetensors"):
            if path.name not in used:
                with writing(self.folder):
                    path.unlink()
        self._shard_of = {key: name for key, name in self._shard_of.items() if name in used}

    def _index(self, name: str) -> None:
        try:
            keys: Iterable[str] = self._open(name).keys()
        except (OSError, SafetensorError):
            return
        self._shard_of |= dict.fromkeys(keys, name)

    def _map(self, name: str) -> Any:
        return safe_open(self.folder / name, "pt")


class ShardWriter:
    """Gathers tensors into shards of ``SHARD_BYTES``, or of what a minute brought; a context that writes the rest."""

    def __init__(self, shards: Shards, seconds: float = 60.0) -> None:
        self._shards, self._seconds = shards, seconds
        self._begin()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is there, also when the work was stopped."""
        if self._waiting:
            self._flush()

    def put(self, tensors: dict[str, Tensor]) -> None:
        """Take tensors that belong together."""
        self._waiting |= {key: tensor.contiguous().clone() for key, tensor in tensors.items()}
        self._bytes += sum(tensor.nbytes for tensor in tensors.values())
        if self._bytes >= SHARD_BYTES or monotonic() - self._since > self._seconds:
            self._flush()

    def _flush(self) -> None:
        self._shards.add(self._waiting)
        self._begin()

    def _begin(self) -> None:
        self._waiting: dict[str, Tensor] = {}
        self._bytes, self._since = 0, monotonic()
