"""Near-duplicates: pairs whose pictures both look the same everywhere, and triplets that say the same.

Two pictures are near if none of 16x16 cells differs by more than 12 of 255 levels in its mean colour. Saving as JPEG,
resizing and noise stay far below that; another object of a tenth of the picture's side does not. Unlike a perceptual
hash it sees colour, and is not led astray by pictures that are mostly flat. Mirrored or cropped copies are not found.
Texts are near if instruction and captions all are, by MiniLM, as in the text stage.

Groups have a head, the first of its kind, and who is near to it, so that no chain of small steps joins what is far
apart. Pictures are never held: a pair is 1.5 kB and a triplet's texts 2.3 kB, in files.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CELLS, COARSE = 16, 4
LEVELS = 12
ROWS, COLUMNS = 256, 2048
DESCRIPTOR = 2 * CELLS * CELLS * 3  # bytes of a pair

Alike = Callable[[NDArray[np.intp], NDArray[np.intp]], NDArray[np.bool_]]
"""From the places of rows and of columns to bool [rows, columns]: which are near."""


def describe_pair(original: Image.Image, target: Image.Image) -> bytes:
    """The mean colours of the cells of both pictures, ``DESCRIPTOR`` bytes."""
    return b"".join(
        image.convert("RGB").resize((CELLS, CELLS), Image.Resampling.BOX).tobytes()
        for image in (original, target)
    )


def alike_pictures(pairs: NDArray[np.uint8], levels: int = LEVELS) -> Alike:
    """The nearness of ``pairs`` [n, DESCRIPTOR].

    A coarse cell is the mean of 4x4 cells, so if no cell differs by more than ``levels`` no coarse cell does, and their
    squares cannot add up to more: one matrix product rules out nearly all pairs, and never a near one.
    """
    most = 2 * COARSE * COARSE * 3 * levels**2

    def coarse(places: NDArray[np.intp]) -> NDArray[np.float32]:
        step = CELLS // COARSE
        cells = pairs[places].reshape(len(places), 2, COARSE, step, COARSE, step, 3)
        means: NDArray[np.float32] = cells.mean((3, 5), dtype=np.float32).reshape(len(places), -1)
        return means

    def near(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        a, b = coarse(rows), coarse(columns)
        squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * a @ b.T
        found = squares <= most + 1  # floats of this size are exact to about a quarter
        for row in range(len(rows)):
            hits = np.flatnonzero(found[row])
            differences = np.abs(pairs[columns[hits]].astype(np.int16) - pairs[rows[row]])
            found[row, hits] = differences.max(1, initial=0) <= levels
        return found

    return near


def alike_texts(vectors: NDArray[np.float16], similar: float) -> Alike:
    """The nearness of unit ``vectors`` [n, 3, d] of three texts: each text's cosine is at least ``similar``."""

    def near(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.bool_]:
        a, b = vectors[rows].astype(np.float32), vectors[columns].astype(np.float32)
        found = np.ones((len(rows), len(columns)), bool)
        for text in range(a.shape[1]):
            found &= a[:, text] @ b[:, text].T >= similar
        return found

    return near


def heads(count: int, alike: Alike) -> NDArray[np.intp]:
    """Of each of ``count`` items the place of the head of its group: the first earlier head that is near, or itself."""
    head = np.arange(count)
    found = np.empty(0, np.intp)
    for start in range(0, count, ROWS):
        rows = np.arange(start, min(start + ROWS, count))
        columns = np.concatenate([found, rows])
        near = np.concatenate(
            [alike(rows, columns[first : first + COLUMNS]) for first in range(0, len(columns), COLUMNS)],
            axis=1,
        )
        is_head = np.ones(len(columns), bool)
        is_head[len(found) :] = False
        for place, row in enumerate(rows):
            hits = np.flatnonzero(near[place] & is_head)
            if len(hits):
                head[row] = columns[hits[0]]
            else:
                is_head[len(found) + place] = True
        found = columns[is_head]
    return head


def groups(head: NDArray[np.intp]) -> list[list[int]]:
    """The groups of at least two, as places in order, the largest first."""
    members: dict[int, list[int]] = {}
    for place, first in enumerate(head.tolist()):
        members.setdefault(first, []).append(place)
    return sorted(
        (group for group in members.values() if len(group) > 1), key=lambda group: (-len(group), group)
    )
