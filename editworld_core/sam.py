"""Segment Anything as a segmenter: SAM (Kirillov et al., 2023) and SAM 2 (Ravi et al., 2024).

The picture is encoded once and asked about many times: by a grid of points, by points inside the attention mask and
its box, or by clicks. What the model is, ``sam_models`` knows; where its weights come from, ``sam_weights``.
"""

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from editworld_core.errors import EngineUnavailableError
from editworld_core.masks import Map, Mask, enlarge_mask, mask_iou, shrunk
from editworld_core.sam_models import Encoded, PromptedModel, Prompts
from editworld_core.segmentation import Segment, check_points

LARGEST = 1024  # pixels; larger pictures are segmented at this longer side, four times finer than SAM's masks
PROMPTS_AT_ONCE = 16  # the decoder takes about 40 MB for each
MASKS_AT_ONCE = 16
PICTURES_KEPT = 4  # encoded pictures, 4 to 16 MB each: both sides of an edit, and what is clicked on


class _Found(NamedTuple):
    mask: Mask
    stability: float
    predicted_iou: float


class EncodedPictures:
    """The pictures that a model saw last, so that each is encoded once; safe to use from several threads."""

    def __init__(self, model: PromptedModel) -> None:
        self._model = model
        self._kept: OrderedDict[bytes, Encoded] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, image: Image.Image) -> Encoded:
        key = hashlib.blake2b(image.tobytes() + repr(image.size).encode()).digest()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._model.encode(image)
            self._kept.move_to_end(key)
            while len(self._kept) > PICTURES_KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]


@dataclass(frozen=True)
class SamSegmenter:
    """Segments by SAM or SAM 2.

    Attributes:
        model: does the arithmetic.
        grid: points a side of the automatic grid; SAM's own 32 cost minutes on a CPU and find mostly what the
            prompt does not mean.
        inside: points taken inside the prompt.
        least_iou, least_stability: masks below are dropped. A little less than SAM's mask generator asks for (0.88
            and 0.95), for here the overlap with the prompt chooses.
        offset: of the logits, for the stability.
        same: masks with a greater IoU are one.
    """

    model: PromptedModel
    grid: int = 8
    inside: int = 8
    least_iou: float = 0.8
    least_stability: float = 0.9
    offset: float = 1.0
    same: float = 0.9
    _seen: EncodedPictures = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_seen", EncodedPictures(self.model))

    @property
    def name(self) -> str:
        """See ``Segmenter``."""
        return self.model.name

    def segments(self, image: Image.Image, prompt: Mask, heat: Map | None = None) -> list[Segment]:
        """See ``Segmenter``."""
        if not prompt.any():
            return []
        with _memory(self.name):
            encoded = self._seen[image.convert("RGB")]
            asked = _prompts(prompt, heat, self.grid, self.inside)
            found = [each for prompts in asked for each in self._found(encoded, prompts)]
        segments = []
        for mask, stability, predicted in _distinct(found, self.same):
            whole = enlarge_mask(mask, prompt.shape)
            segments.append(Segment(whole, mask_iou(whole, prompt), stability, predicted))
        return segments

    def at_points(
        self, image: Image.Image, points: Sequence[tuple[int, int]], labels: Sequence[bool]
    ) -> Mask:
        """See ``Segmenter``; one click is ambiguous, so of its three masks that with the highest predicted IoU."""
        check_points(image, points, labels)
        with _memory(self.name):
            return self._at_points(image, points, labels)

    def _at_points(
        self, image: Image.Image, points: Sequence[tuple[int, int]], labels: Sequence[bool]
    ) -> Mask:
        encoded = self._seen[image.convert("RGB")]
        asked = Prompts(
            points=np.asarray(points, np.float64)[None], labels=np.asarray(labels, np.int64)[None]
        )
        logits, predicted = self.model.decode(encoded, *asked.scaled(encoded), several=len(points) == 1)
        best = int(predicted[0].argmax())
        mask = self.model.enlarge(logits[:, best : best + 1], encoded, encoded.size)[0, 0] > 0
        return np.asarray(mask.cpu().numpy(), bool)

    def _found(self, encoded: Encoded, prompts: Prompts) -> Iterator[_Found]:
        """The masks of ``prompts`` that are good enough, on a grid of at most ``LARGEST`` pixels a side."""
        height, width = encoded.size
        size = shrunk((width, height), LARGEST)[::-1]
        for some in prompts.split(PROMPTS_AT_ONCE):
            logits, predicted = self.model.decode(encoded, *some.scaled(encoded), several=True)
            good = predicted >= self.least_iou
            if not good.any():
                continue
            for coarse, iou in zip(
                logits[good].split(MASKS_AT_ONCE), predicted[good].split(MASKS_AT_ONCE), strict=True
            ):
                fine = self.model.enlarge(coarse[None], encoded, size)[0]
                stability = stability_scores(fine, self.offset)
                for index in torch.nonzero(stability >= self.least_stability).ravel().tolist():
                    mask = np.asarray((fine[index] > 0).cpu().numpy(), bool)
                    yield _Found(mask, float(stability[index]), float(iou[index]))


def stability_scores(logits: Tensor, offset: float) -> Tensor:
    """How little each mask [N, H, W] depends on the threshold: the IoU of the masks at +-``offset``, float32 [N].

    SAM, appendix B. The mask at the higher threshold lies inside the other, so the IoU is the ratio of their areas; 0
    if both are empty.
    """
    inner = (logits > offset).sum((-2, -1)).float()
    outer = (logits > -offset).sum((-2, -1)).float()
    return inner / outer.clamp(min=1)


def points_inside(prompt: Mask, heat: Map | None, count: int) -> NDArray[np.int64]:
    """At most ``count`` pixels (x, y) deep inside ``prompt`` [H, W] where ``heat`` is high, spread over it.

    Depth (distance to the outline) times heat; its highest point first, then the highest outside a disc about it, and
    so on. The discs together are as large as the prompt. Always the same points for the same prompt.
    """
    depth = cv2.distanceTransform(np.pad(prompt, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    merit = depth if heat is None else depth * np.maximum(heat, 1e-3)
    rows, columns = np.ogrid[: prompt.shape[0], : prompt.shape[1]]
    radius = np.sqrt(prompt.sum() / (np.pi * count))
    points = []
    for _ in range(count):
        y, x = divmod(int(merit.argmax()), prompt.shape[1])
        if merit[y, x] <= 0:
            break
        points.append((x, y))
        merit = np.where((columns - x) ** 2 + (rows - y) ** 2 <= radius**2, 0, merit)
    return np.asarray(points, np.int64).reshape(-1, 2)


def _prompts(prompt: Mask, heat: Map | None, grid: int, inside: int) -> list[Prompts]:
    """All that the model is asked about ``prompt``: a grid over the picture and points inside, each alone; the points
    together; its box."""
    height, width = prompt.shape
    steps = (np.arange(grid) + 0.5) / grid
    everywhere = np.stack(np.meshgrid(steps * width, steps * height), -1).reshape(-1, 2)
    within = points_inside(prompt, heat, inside)
    rows, columns = np.nonzero(prompt)
    box = np.asarray([[columns.min(), rows.min(), columns.max(), rows.max()]], np.float64)
    alone = np.concatenate([everywhere, within])[:, None]
    return [Prompts(points=alone), Prompts(points=within[None].astype(np.float64)), Prompts(boxes=box)]


def _distinct(found: Iterable[_Found], same: float) -> list[_Found]:
    """``found`` by falling predicted IoU, without those whose IoU with a better one exceeds ``same``.

    Compared on every k-th pixel, k so that the longer side has 256 of them, as SAM's own masks have.
    """
    ranked = sorted(found, key=lambda each: -each.predicted_iou)
    if not ranked:
        return []
    step = math.ceil(max(ranked[0].mask.shape) / 256)
    flat = np.stack([each.mask[::step, ::step].ravel() for each in ranked]).astype(np.float32)
    areas = flat.sum(1)
    shared = flat @ flat.T
    iou = shared / np.maximum(areas[:, None] + areas - shared, 1)
    kept: list[int] = []
    for index in range(len(ranked)):
        if areas[index] and not (iou[index, kept] > same).any():
            kept.append(index)
    return [ranked[index] for index in kept]


@contextmanager
def _memory(name: str) -> Iterator[None]:
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise EngineUnavailableError(
            f"There is not enough memory for {name}: close other programs, or take a smaller SAM."
        ) from error
