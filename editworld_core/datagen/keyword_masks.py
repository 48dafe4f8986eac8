"""Where the keywords of a caption are in the picture that is drawn from it, by cross-attention.

The published script looked tokens up by the number of the word, so that every word of several tokens before a keyword
moved the mask to something else, and a keyword that is not in the caption gave an empty mask without a word. Here the
tokenizer says where its tokens stand in the text, and both are errors.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from editworld_core.attention import (
    AttentionMaps,
    AttentionRecorder,
    attention_probabilities,
    grid_of,
    watching,
)
from editworld_core.errors import BadInputError
from editworld_core.masks import Mask

if TYPE_CHECKING:
    import torch
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention

TINY = 1e-30  # what a map that is zero everywhere is divided by


def keyword_positions(caption: str, keyword: str, offsets: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The context positions of every token of every place where ``keyword`` stands in ``caption``.

    Upper and lower case are one; a keyword of several words is found as a whole, and only as whole words.

    Args:
        offsets: start and end in ``caption`` of the token at each position, (0, 0) for what is no text.

    Raises:
        BadInputError: the keyword is not in the caption, or only where the model does not read any more.
    """
    words = r"\s+".join(map(re.escape, keyword.split()))
    found = re.finditer(rf"(?<!\w){words}(?!\w)", caption, re.IGNORECASE) if words else ()
    places = [match.span() for match in found]
    if not places:
        raise BadInputError(
            f"The keyword {keyword!r} is not in the caption {caption!r}; name what changes as the caption does."
        )
    positions = tuple(
        position
        for position, (start, end) in enumerate(offsets)
        if start < end and any(start < last and first < end for first, last in places)
    )
    if not positions:
        raise BadInputError(
            f"The keyword {keyword!r} stands behind the {len(offsets)} tokens of the caption {caption!r} that the "
            "model reads; shorten the caption."
        )
    return positions


def keyword_groups(
    caption: str, keywords: Sequence[str], offsets: Sequence[tuple[int, int]]
) -> tuple[list[int], dict[str, tuple[int, ...]]]:
    """The context positions of all ``keywords`` together, and by keyword which of these are its own.

    Raises:
        BadInputError: there is no keyword, or one is not in the caption.
    """
    if not keywords:
        raise BadInputError(f"The caption {caption!r} has no keywords; name at least one thing that changes.")
    found = {keyword: keyword_positions(caption, keyword, offsets) for keyword in keywords}
    together = sorted({position for positions in found.values() for position in positions})
    return together, {keyword: tuple(map(together.index, positions)) for keyword, positions in found.items()}


@contextmanager
def recording(
    unet: "UNet2DConditionModel",
    grid: tuple[int, int],
    count: int,
    positions: Sequence[int],
    max_cells: int = 32,
) -> Iterator[list[AttentionRecorder]]:
    """Fresh recorders for ``count`` pictures that are drawn at once, a list in their order.

    With classifier-free guidance diffusers puts the branch without a prompt first and the conditional one last; without
    guidance there is only that one. So the last ``count`` items of every batch are recorded.

    Args:
        grid: height and width of the latents.
        positions: context positions to keep, in this order; all 77 of ten draws would fill a gigabyte.
        max_cells: layers with a longer side than this are not recorded.
    """
    recorders = [AttentionRecorder(max_cells, positions) for _ in range(count)]

    def record(
        name: str,
        attn: "Attention",
        hidden: "torch.Tensor",
        context: "torch.Tensor",
        mask: "torch.Tensor | None",
    ) -> None:
        height, width = grid_of(hidden.shape[1], grid)
        if max(height, width) > max_cells:
            return
        last = None if mask is None else mask[-count * attn.heads :]
        probabilities = attention_probabilities(attn, hidden[-count:], context[-count:], last)
        for recorder, each in zip(recorders, probabilities[..., list(positions)], strict=True):
            recorder.keep(name, each.T.reshape(-1, height, width))

    with watching(unet, record):
        yield recorders


def keyword_mask(
    maps: AttentionMaps, groups: Mapping[str, Sequence[int]], threshold: float = 0.8125, cells: int = 16
) -> Mask:
    """Where any keyword draws attention, ``bool [h, w]`` on the grid of the maps (EditWorld, section 3.2).

    Each keyword's map, averaged over heads, steps and the layers of the down and up blocks nearest to ``cells`` cells
    wide, is scaled by its maximum; its mask is where it exceeds ``threshold`` times its mean; the masks are united.

    Args:
        groups: by keyword, which of the positions in ``maps`` are its own; its attention is the sum over them.

    Raises:
        BadInputError: no cell exceeds the threshold.
    """
    union: Any = False
    for positions in groups.values():
        heat = maps.map(positions, cells=cells)
        heat = heat / max(float(heat.max()), TINY)
        union = union | (heat > threshold * heat.mean())
    if not np.any(union):
        raise BadInputError(
            f"The attention to {', '.join(groups)} exceeds {threshold} times its mean nowhere, so there is no mask; "
            "lower mask_threshold."
        )
    return np.asarray(union, bool)
