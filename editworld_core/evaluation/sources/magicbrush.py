"""MagicBrush's test and development sets as its archive holds them: a folder with ``edit_turns.json``.

    edit_turns.json             a list of turns: input, mask, output (names of pictures), instruction
    global_descriptions.json    captions by session and picture; not in every split
    images/139306/139306-input.png, 139306-mask1.png, 139306-output1.png, …

The keys and folders were verified in public code that reads them; the archive itself is not public.
"""

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from editworld_core.datagen.formats.item import BadItem
from editworld_core.errors import BadInputError
from editworld_core.evaluation.sources.columns import magicbrush_mask
from editworld_core.evaluation.sources.dataset import Kind, Listed
from editworld_core.evaluation.sources.entry import Entry, file, inside, sentence, text
from editworld_core.evaluation.sources.rows import read_json_rows

TURNS, CAPTIONS = "edit_turns.json", "global_descriptions.json"


def knows(path: Path) -> bool:
    """Whether it is such a folder."""
    return (path / TURNS).is_file()


def read(path: Path) -> Listed:
    """Every turn, from the true picture of the turn before.

    Raises:
        BadInputError: a file is damaged, or a path leads out of the folder.
    """
    captions: dict[str, Any] = {}
    if (path / CAPTIONS).is_file():
        for session in read_json_rows(path / CAPTIONS):
            captions |= session
    try:
        entries = [
            _entry(path, number, turn, captions)
            for number, turn in enumerate(read_json_rows(path / TURNS), 1)
        ]
    except BadItem as bad:
        raise BadInputError(sentence(bad)) from bad
    return Listed([entry.item for entry in entries], Counter(), skip_missing=True)


def _entry(root: Path, number: int, turn: Mapping[str, Any], captions: Mapping[str, Any]) -> Entry:
    where = f"turn {number} of {TURNS}"
    before, after, mask = (text(turn, name) for name in ("input", "output", "mask"))
    images = root / "images" / before.split("-")[0]

    def picture(name: str, what: str) -> Any:
        return file(
            inside(root, (images / name).relative_to(root).as_posix(), where), f"the {what} of {where}"
        )

    if not before or not after or not text(turn, "instruction"):
        raise BadItem("text damaged", f"{where} lacks its input, output or instruction")
    turns = re.findall(r"\d+", after)
    return Entry(
        where=where,
        id=Path(after).stem,
        instruction=text(turn, "instruction"),
        original=picture(before, "original"),
        target=picture(after, "target"),
        mask=picture(mask, "mask") if mask else None,
        to_mask=magicbrush_mask,
        category=f"turn {turns[-1]}" if turns else "",
        caption_before=text(captions, before),
        caption_after=text(captions, after),
    )


KIND = Kind("magicbrush", f"MagicBrush's folder with {TURNS}", knows, read)
