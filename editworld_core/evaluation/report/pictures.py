"""The small pictures of a report, as files beside the page so that it stays light with thousands of them."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from editworld_core.datagen.quality.samples import overlay, shrink
from editworld_core.datagen.records import write_file, writing
from editworld_core.evaluation.measures.answers import Answer, AnswerBook
from editworld_core.evaluation.measures.judge import answers_about
from editworld_core.evaluation.record import Outcome, Pictures, Scored
from editworld_core.masks import Mask

SIDE = 256  # pixels of the longer side
TRUE_LINE = (67, 217, 200)  # the outline of the true mask


@dataclass(frozen=True)
class Shown:
    """What the page shows of one item and setup.

    Attributes:
        size: of the small pictures.
        pictures: names of files by column: original, edited, final, mask, truth; without those that there are not.
        edited, final: what judges said of either picture.
    """

    size: tuple[int, int]
    pictures: Mapping[str, str]
    edited: Sequence[Answer] = ()
    final: Sequence[Answer] = ()


def write_pictures(
    folder: Path,
    scored: Sequence[Scored],
    outcome_of: Callable[[Scored], Outcome | None],
    book: AnswerBook,
) -> dict[tuple[str, str], Shown]:
    """Write the small pictures into ``folder``, and remove those of an earlier report; by item and setup.

    Raises:
        EditWorldError: the folder cannot be written.
    """
    shown: dict[tuple[str, str], Shown] = {}
    ordered = sorted(range(len(scored)), key=lambda place: scored[place].item.id)
    for _, group in groupby((scored[place] for place in ordered), key=lambda one: one.item.id):
        members = list(group)
        pictures = members[0].item.read()
        common = _write_all(folder, members[0].item.id, _common(pictures))
        for one in members:
            outcome = outcome_of(one)
            own: dict[str, str] = {}
            if outcome is not None:
                drawn = _own(outcome, pictures.mask)
                own = _write_all(folder, f"{one.item.id}\n{one.setup.label}", drawn)
            shown[one.item.id, one.setup.label] = Shown(
                shrink(pictures.original, SIDE).size, common | own, *_answers(one, outcome, book)
            )
    _clear(folder, {name for one in shown.values() for name in one.pictures.values()})
    return shown


def _common(pictures: Pictures) -> dict[str, Image.Image]:
    drawn = {"original": shrink(pictures.original, SIDE)}
    if pictures.target is not None:
        drawn["truth"] = shrink(pictures.target, SIDE)
    return drawn


def _own(outcome: Outcome, truth: Mask | None) -> dict[str, Image.Image]:
    small = shrink(outcome.edited, SIDE)
    mask = overlay(small, outcome.mask)
    return {
        "edited": small,
        "final": shrink(outcome.final, SIDE),
        "mask": mask if truth is None else outlined(mask, truth),
    }


def outlined(picture: Image.Image, mask: Mask) -> Image.Image:
    """``picture`` with the outline of ``mask`` [H, W], which may have another size."""
    inside = cv2.resize(mask.astype(np.uint8), picture.size, interpolation=cv2.INTER_AREA)
    contours, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    pixels = np.array(picture)
    return Image.fromarray(cv2.drawContours(pixels, contours, -1, TRUE_LINE, 1))


def _answers(
    one: Scored, outcome: Outcome | None, book: AnswerBook
) -> tuple[Sequence[Answer], Sequence[Answer]]:
    if outcome is None or not len(book):
        return (), ()
    edited, final = (
        answers_about(one.item, outcome.original, image, book) for image in (outcome.edited, outcome.final)
    )
    return edited, final


def _write_all(folder: Path, key: str, drawn: Mapping[str, Image.Image]) -> dict[str, str]:
    start = sha256(key.encode()).hexdigest()[:16]
    names = {column: f"{start}-{column}.jpg" for column in drawn}
    for column, picture in drawn.items():
        out = io.BytesIO()
        picture.save(out, "JPEG", quality=86)
        write_file(folder / names[column], out.getvalue())
    return names


def _clear(folder: Path, kept: set[str]) -> None:
    with writing(folder):
        for path in folder.glob("*-*.jpg"):
            if path.name not in kept:
                path.unlink()
