"""Reading other formats into a data set. What comes in is checked like any stranger's file.

Texts are data, paths stay inside the folder, pictures are decoded before they are kept. What a format does not say
is filled in and the report says so; only the category is never guessed.
"""

import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from editworld_core.categories import Category
from editworld_core.datagen.formats.item import BadItem, Found, Item, checked_pair
from editworld_core.datagen.formats.registry import get_format
from editworld_core.datagen.records import open_data_set
from editworld_core.datagen.triplet import Branch, Triplet, image_path, item_id
from editworld_core.errors import BadInputError
from editworld_core.images import check_instruction

LONGEST_LINE = 2**20  # bytes of all texts of an item; what is longer is an attack or a mistake
ID = re.compile(r"[0-9a-f]{16}")
MADE_OF = ("branch", "recipe", "seeds", "models")  # what an id is the hash of
TEXTS: dict[str, Any] = {"original_caption": "", "target_caption": "", "keywords": []}
NOTHING_KNOWN: dict[str, Any] = {"scores": {}, "recheck": None}


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        folder, format: the data set, and what was read.
        read: how many items there were.
        added: how many of them are new in the data set.
        present: how many were there already.
        skipped: why others could not be used, with counts; a damaged file counts once, whatever it held.
        filled: fields that the files did not give, each with the number of items.
        total: how many triplets the data set now has.
    """

    folder: str
    format: str
    read: int
    added: int
    present: int
    skipped: Mapping[str, int]
    filled: Mapping[str, int]
    total: int
    seconds: float


def import_data_set(
    source: Path,
    folder: Path,
    format: str,
    *,
    category: str | None = None,
    branch: Branch = "text_to_image",
    skip_bad: bool = False,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Add what ``source`` holds to the data set in ``folder``.

    Items that are there already are not added again, so the same call goes on after a kill.

    Args:
        source: a folder, or a file, in the format.
        folder: new, empty, or a data set.
        format: a name of ``registry.FORMATS``.
        category: of items whose category the files do not give.
        branch: of items whose branch the files do not give.
        skip_bad: leave out and count what cannot be used instead of refusing.
        progress: called after each item with the number read.

    Raises:
        BadInputError: ``source`` has not this format, or an item cannot be used.
        EditWorldError: the disk is full, or another process writes to the data set.
    """
    start = time.perf_counter()
    defaults = {"category": _category(category), "branch": branch}
    items = get_format(format).read(source)
    first = next(items, None)
    if first is None:
        raise BadInputError(f"{source} holds no item; give another folder.")
    skipped: Counter[str] = Counter()
    filled: Counter[str] = Counter()
    read = added = 0
    settings = {"import": format, "source": source.resolve().name, "category": category, "branch": branch}
    with open_data_set(folder, settings) as writer:
        for read, found in enumerate(chain((first,), items), 1):
            try:
                item, missing = to_item(found, defaults)
            except BadItem as bad:
                if not skip_bad:
                    raise BadInputError(_sentence(bad)) from bad
                skipped[bad.kind] += 1
            else:
                new = writer.add(item.triplet, item.original, item.target, item.mask)
                added += new
                filled.update(missing if new else ())
            if progress is not None:
                progress(read)
        total = len(writer)
    return ImportReport(
        folder=str(folder),
        format=format,
        read=read,
        added=added,
        present=read - added - sum(skipped.values()),
        skipped=dict(skipped),
        filled=dict(filled),
        total=total,
        seconds=round(time.perf_counter() - start, 2),
    )


def _sentence(bad: BadItem) -> str:
    text = " ".join(str(bad).split())
    cure = (
        "give --category" if bad.kind == "no category" else "mend it, or leave such items out with --skip-bad"
    )
    return f"{text[:1].upper()}{text[1:]}; {cure}."


def _category(name: str | None) -> str | None:
    if name is not None and name not in list(Category):
        raise BadInputError(f"There is no category {name!r}; choose one of {', '.join(Category)}.")
    return name


def to_item(found: Found | BadItem, defaults: Mapping[str, Any]) -> tuple[Item, list[str]]:
    """A checked item, and the fields that the files did not give.

    An item that says what made it keeps its id; any other gets one from its pictures and its instruction.

    Raises:
        BadItem: it cannot be used.
    """
    if isinstance(found, BadItem):
        raise found
    original, target, mask = checked_pair(found.original, found.target, found.mask, found.where)
    values = dict(found.values)
    missing = [name for name in (*defaults, *TEXTS) if name not in values]
    given = {name: value for name, value in defaults.items() if value is not None}
    values = {**TEXTS, **NOTHING_KNOWN, **given, **values}
    if "category" not in values:
        raise BadItem("no category", f"{found.where} does not say its category")
    if not all(name in values for name in ("id", "recipe", "seeds", "models")):
        values["instruction"] = _instruction(values.get("instruction"), found.where)
        values.update(recipe={"imported": _content(found, values["instruction"])}, seeds={}, models={})
        values["id"] = item_id(*(values[name] for name in MADE_OF))
        missing.append("id")
    return Item(_triplet(values, found.where, mask is not None), original, target, mask), missing


def _instruction(text: Any, where: str) -> str:
    """A stranger's instruction on one line."""
    try:
        return check_instruction(text if isinstance(text, str) else "")
    except BadInputError as error:
        reason = str(error).split(";")[0]
        raise BadItem(
            "instruction unusable", f"{where} cannot be used: {reason[:1].lower()}{reason[1:]}"
        ) from error


def _content(found: Found, instruction: str) -> str:
    parts = (found.original, found.target, instruction.encode())
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:32]


def _triplet(values: dict[str, Any], where: str, masked: bool) -> Triplet:
    item = values["id"]
    if not isinstance(item, str) or not ID.fullmatch(item):  # it becomes a path
        raise BadItem("text damaged", f"the id of {where} is not 16 hexadecimal digits")
    paths = {
        "original_image": image_path(item, "original"),
        "target_image": image_path(item, "target"),
        "mask": image_path(item, "mask") if masked else None,
    }
    try:
        line = json.dumps({**values, **paths}, ensure_ascii=False)
        length = len(line.encode())  # raises where a text is not Unicode
        triplet = Triplet.from_line(line)
    except (ValueError, TypeError) as error:
        raise BadItem("text damaged", f"the record of {where} is damaged ({_reason(error)})") from error
    if length > LONGEST_LINE:
        raise BadItem("text too long", f"the texts of {where} are longer than {LONGEST_LINE >> 10} kB")
    return triplet


def _reason(error: Exception) -> str:
    return "a text is not Unicode" if isinstance(error, UnicodeError) else str(error)
