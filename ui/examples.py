"""The examples that the page opens with."""

import json
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "examples"


@dataclass(frozen=True)
class Example:
    """A picture and what could happen in it."""

    image: Path
    instruction: str
    category: str


def load_examples(folder: Path = FOLDER) -> tuple[Example, ...]:
    """The examples listed in ``folder/examples.json``, in its order; none if there is no such file."""
    listing = folder / "examples.json"
    if not listing.exists():
        return ()
    rows = json.loads(listing.read_text(encoding="utf-8"))
    return tuple(Example(folder / row["image"], row["instruction"], row["category"]) for row in rows)
