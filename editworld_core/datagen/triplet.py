"""A triplet, one item of a data set, and how it is written as a line of text."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from editworld_core.categories import Category

Branch = Literal["text_to_image", "video", "simulation"]


@dataclass(frozen=True)
class Triplet:
    """One item: a pair of images and the instruction that leads from the first to the second.

    Attributes:
        id: 16 hexadecimal digits, the hash of ``branch``, ``recipe``, ``seeds`` and ``models``.
        branch: where it came from.
        category: one of the seven kinds of world instruction.
        instruction: what happens.
        original_caption, target_caption: what the world looks like before and afterwards.
        keywords: the nouns of what changes.
        original_image, target_image, mask: PNG files relative to the folder, with ``/``; ``mask`` is white
            where the pair truly differs, or None if nobody knows.
        recipe: everything else that made the item, such as the dynamic and its strength.
        seeds: by purpose.
        models: the revision of everything that made the item, by name.
        scores: by metric.
        recheck: the human verdict; None before there is one.
    """

    id: str
    branch: Branch
    category: Category
    instruction: str
    original_caption: str
    target_caption: str
    keywords: tuple[str, ...]
    original_image: str
    target_image: str
    mask: str | None
    recipe: Mapping[str, Any]
    seeds: Mapping[str, int]
    models: Mapping[str, str]
    scores: Mapping[str, float] = field(default_factory=dict)
    recheck: str | None = None

    def to_line(self) -> str:
        """The manifest line, without its newline."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @staticmethod
    def from_line(line: str) -> "Triplet":
        """Read what ``to_line`` wrote.

        Raises:
            ValueError: it is no such line; the text says what is wrong with it.
        """
        values = json.loads(line)
        _check_fields(values)
        values["category"] = Category(values["category"])
        values["keywords"] = tuple(values["keywords"])
        return Triplet(**values)


_KINDS: dict[str, Any] = {
    **dict.fromkeys(("id", "branch", "category", "instruction", "original_caption", "target_caption"), str),
    **dict.fromkeys(("original_image", "target_image"), str),
    **dict.fromkeys(("mask", "recheck"), (str, type(None))),
    **dict.fromkeys(("recipe", "seeds", "models", "scores"), dict),
    "keywords": list,
}


def _check_fields(values: Any) -> None:
    names = {entry.name for entry in fields(Triplet)}
    if not isinstance(values, dict) or values.keys() != names:
        raise ValueError("its fields are not those of a triplet")
    for name, kind in _KINDS.items():
        if not isinstance(values[name], kind):
            raise ValueError(f"its {name} has the wrong type")
    if values["branch"] not in get_args(Branch):
        raise ValueError(f"there is no branch {values['branch']!r}")
    if not all(isinstance(word, str) for word in values["keywords"]):
        raise ValueError("its keywords have the wrong type")
    for path in (values["original_image"], values["target_image"], values["mask"]):
        if path is not None and (PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts):
            raise ValueError(f"{path!r} leads out of the folder")


def item_id(
    branch: Branch, recipe: Mapping[str, Any], seeds: Mapping[str, int], models: Mapping[str, str]
) -> str:
    """The id of the item that these make, whatever machine it is made on."""
    made_of = json.dumps([branch, recipe, seeds, models], sort_keys=True)
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]


def image_path(item: str, what: Literal["original", "target", "mask"]) -> str:
    """Where an image of the item with this id lies in its data set."""
    return f"shards/{item[:2]}/{item}_{what}.png"
