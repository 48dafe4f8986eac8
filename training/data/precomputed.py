"""The folder that ``training.precompute`` writes, and reading from it.

    DIR/
      index.json            what it was made of, and the keys of every row's pictures, mask and text
      000000.safetensors …  the tensors by key

A key is a hash of everything that a tensor depends on: the file's or text's content, the size, the model's revision,
the number format. So whatever has not changed is found again, and equal texts and pictures are there once.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from editworld_core.datagen.records import write_file
from editworld_core.errors import BadInputError
from training.data.order import names_a_side
from training.data.rows import Row
from training.data.store import Shards

Which = Literal["original", "target"]
INDEX = "index.json"
FORMAT = "editworld-latents"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class Keys:
    """Where a row's tensors are."""

    original: str
    target: str
    mask: str | None
    text: str


@dataclass(frozen=True)
class Precomputed:
    """The folder's content: ``keys`` of each of ``rows``, ``nothing`` of no text; ``about`` says how it was made."""

    shards: Shards
    about: dict[str, Any]
    rows: list[Row]
    keys: list[Keys]
    nothing: str

    def picture(self, row: int, which: Which, what: str, flip: bool) -> Tensor:
        """``mean`` or ``std`` of the posterior of a row's ``original`` or ``target``: [C, h, w]."""
        return self.shards[picture_name(getattr(self.keys[row], which), what, flip)]

    def mask(self, row: int) -> Tensor:
        """The mask of a row that has one: [1, h, w]."""
        return self.shards[f"{self.keys[row].mask}.mask"]

    def words(self, row: int | None) -> tuple[Tensor, ...]:
        """The embeddings of a row's instruction, or of nothing: [L, D], and for SDXL the pooled ones [P]."""
        key = self.nothing if row is None else self.keys[row].text
        return tuple(self.shards[name] for name in text_names(key, self.about["xl"]))

    def names(self) -> Iterator[str]:
        """Everything that the folder must hold."""
        yield from text_names(self.nothing, self.about["xl"])
        for row, keys in zip(self.rows, self.keys, strict=True):
            yield from text_names(keys.text, self.about["xl"])
            if keys.mask is not None:
                yield f"{keys.mask}.mask"
            for flip in (
                (False, True) if self.about["flips"] and not names_a_side(row.instruction) else (False,)
            ):
                yield picture_name(keys.original, "mean", flip)
                yield picture_name(keys.target, "mean", flip)
                yield picture_name(keys.target, "std", flip)


def picture_name(key: str, what: str, flip: bool) -> str:
    """The name of a picture's tensor."""
    return f"{key}.{'flip.' if flip else ''}{what}"


def text_names(key: str, xl: bool) -> tuple[str, ...]:
    """The names of a text's tensors."""
    return (f"{key}.context", f"{key}.pooled") if xl else (f"{key}.context",)


def write_index(precomputed: Precomputed) -> None:
    """Write ``index.json`` whole or not at all; what it names must be there."""
    rows = [
        asdict(row) | {"keys": asdict(keys)}
        for row, keys in zip(precomputed.rows, precomputed.keys, strict=True)
    ]
    head = {"format": FORMAT, "version": FORMAT_VERSION, **precomputed.about, "nothing": precomputed.nothing}
    content = json.dumps(head | {"rows": rows}, ensure_ascii=False)
    write_file(precomputed.shards.folder / INDEX, content.encode())


def read_precomputed(folder: Path) -> Precomputed:
    """Open the folder; nothing but its index and the heads of its shards is read.

    Raises:
        BadInputError: it is missing, damaged, or not finished.
    """
    again = "run training.precompute again"
    try:
        index = json.loads((folder / INDEX).read_bytes())
    except FileNotFoundError:
        what = "is not finished, or not precomputed" if folder.exists() else "does not exist"
        raise BadInputError(f"{folder} {what}: run training.precompute with -o {folder}.") from None
    except (OSError, ValueError) as error:
        raise BadInputError(f"{folder / INDEX} cannot be read ({type(error).__name__}): {again}.") from error
    if not isinstance(index, dict) or (index.get("format"), index.get("version")) != (FORMAT, FORMAT_VERSION):
        raise BadInputError(f"{folder / INDEX} is not an index that this program reads: {again}.")
    entries, nothing = index.pop("rows"), index.pop("nothing")
    keys = [Keys(**entry.pop("keys")) for entry in entries]
    rows = [Row(**entry | {"size": tuple(entry["size"])}) for entry in entries]
    precomputed = Precomputed(Shards(folder), index, rows, keys, nothing)
    if not all(name in precomputed.shards for name in precomputed.names()):
        raise BadInputError(f"{folder} has lost a part of its shards: {again}.")
    return precomputed
