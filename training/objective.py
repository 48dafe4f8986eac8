"""What a step learns: the picture after, where it changed and where it did not, and where the words act."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from editworld_core.metrics import perceptual_distance
from training.config import LossConfig

WINDOW = 96
"""Side in pixels of the part of a pair whose perceptual error is taken; the whole would more than double a step's."""
STRUCTURE = 7
"""Side in pixels of the squares in which the structural error compares two pictures; they overlap by half."""
LEVELS = 4
"""At how many sizes it compares them, each half of the one before."""
SMALLEST_CHANGE = 0.1
"""Mean absolute change (of 2, the range of pixels) below which a pair's error is no longer scaled up."""


@dataclass(frozen=True)
class Batch:
    """One step's pairs and conditions.

    Attributes:
        source, target: [B, 3, H, W] in -1..1.
        mask: [B, 1, H, W], 1 where the pair differs.
        weight: [B, 1, H, W], how much a pixel counts inside the mask.
        context: [B, L, D] and ``pooled`` [B, D], the instruction's embeddings, zero where the text was dropped.
        content: [B, L], 1 at the tokens of content words, zero where the text was dropped.
        keep_image: [B, 1, 1, 1], 0 where the source was dropped.
        timesteps: [B].
        noise: like the latents.
        window: [B, 2], top and left of the part of ``WINDOW`` pixels whose perceptual error is taken.
    """

    source: Tensor
    target: Tensor
    mask: Tensor
    weight: Tensor
    context: Tensor
    pooled: Tensor
    content: Tensor
    keep_image: Tensor
    timesteps: Tensor
    noise: Tensor
    window: Tensor


def relative_error(predicted: Tensor, batch: Batch, config: LossConfig) -> Tensor:
    """The error inside the mask as a share of the unedited picture's, plus what changed outside.

    A local edit counts as much as a global one and a faint one as much as a strong one: it is the quantity that the
    held-out evaluation judges. ``edges`` weighs the error's differences between neighbouring pixels inside the mask,
    which are large where something is blurred.
    """
    inside, outside = batch.mask * batch.weight, 1 - batch.mask
    error, change = (predicted - batch.target).abs(), (batch.source - batch.target).abs()
    absolute = _mean(error, inside) / _mean(change, inside).clamp_min(SMALLEST_CHANGE)
    squared = _mean(error**2, inside) / _mean(change**2, inside).clamp_min(SMALLEST_CHANGE**2)
    drift = _mean(error, outside)
    loss = config.absolute * absolute + config.squared * squared + config.outside * drift
    if config.edges:
        blur = _mean(_steps(predicted - batch.target), inside)
        loss = loss + config.edges * blur / _mean(change, inside).clamp_min(SMALLEST_CHANGE)
    return loss.mean()


def perceptual_error(predicted: Tensor, batch: Batch) -> Tensor:
    """Shift-tolerant LPIPS (Ghildyal and Liu 2022) to the target in each pair's window.

    It sees blur, and the ghost of what has gone, for which a mean error is small.
    """

    def seen(pictures: Tensor) -> Tensor:
        places = batch.window.tolist()
        parts = [
            each[:, top : top + WINDOW, left : left + WINDOW]
            for each, (top, left) in zip(pictures, places, strict=True)
        ]
        return torch.stack(parts).contiguous(memory_format=torch.channels_last)

    return perceptual_distance(seen(predicted), seen(batch.target)).mean()


def structural_error(predicted: Tensor, batch: Batch) -> Tensor:
    """One minus the contrast and structure of SSIM (Wang et al. 2004) to the target, in each pair's mask.

    A trace in what should be flat is a small error and plain to see: here it is large. A pale and soft one is so in the
    smaller pictures only, hence ``LEVELS``, as in multi-scale SSIM (Wang et al. 2003), but their mean.
    """
    errors, pictures = [], [predicted, batch.target, batch.mask]
    for _ in range(LEVELS):
        errors.append(_structural_error(*pictures))
        pictures = [F.avg_pool2d(each, 2) for each in pictures]
    return torch.stack(errors).mean()


def _structural_error(predicted: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    def around(values: Tensor) -> Tensor:
        return F.avg_pool2d(values, STRUCTURE, (STRUCTURE + 1) // 2)

    constant = (0.03 * 2) ** 2  # of SSIM, for pictures in -1..1
    means = around(predicted), around(target)
    covariance = around(predicted * target) - means[0] * means[1]
    variances = around(predicted**2) - means[0] ** 2 + around(target**2) - means[1] ** 2
    return _mean(1 - (2 * covariance + constant) / (variances + constant), around(mask)).mean()


def _steps(values: Tensor) -> Tensor:
    """How much ``values`` [B, C, H, W] differ from those to the right and below, absolute and summed."""
    right = F.pad(values.diff(dim=3).abs(), (0, 1))
    below = F.pad(values.diff(dim=2).abs(), (0, 0, 0, 1))
    return right + below


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean of ``values`` [B, 3, H, W] over the pixels of ``where``: [B]."""
    return (values * where).sum((1, 2, 3)) / (3 * where.sum((1, 2, 3))).clamp_min(1)


def grounding(maps: list[Tensor], grid: tuple[int, int], batch: Batch) -> Tensor:
    """Draw the attention of content words into the true mask, as TokenCompose (Wang et al. 2023) does.

    Two terms: each word's attention should lie inside the mask, and where it lies the words together should take it
    from the padding.

    Args:
        maps: attention probabilities [B, h w, L] of layers of one resolution, ``grid`` = (h, w).
    """
    inside = F.interpolate(batch.mask, grid, mode="area").flatten(1)
    has_text = batch.content.sum(1) > 0
    losses = []
    for probabilities in maps:
        share = (probabilities * inside[..., None]).sum(1) / probabilities.sum(1).clamp_min(1e-6)
        words = ((1 - share) ** 2 * batch.content).sum(1) / batch.content.sum(1).clamp_min(1)
        together = (probabilities * batch.content[:, None]).sum(-1).clamp(1e-4, 1 - 1e-4)
        cells = F.binary_cross_entropy(together, inside, reduction="none").mean(1)
        losses.append(((words + cells) * has_text).sum() / has_text.sum().clamp_min(1))
    return torch.stack(losses).mean()
