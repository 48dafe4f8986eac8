"""What a step minimises: the error of the UNet's prediction, weighted by noise level and by the true mask."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from training.finetune.config import ObjectiveSettings

if TYPE_CHECKING:
    from training.data.order import Draw


@dataclass(frozen=True)
class Noise:
    """What chance brings to a batch.

    Attributes:
        timesteps: [B], evenly spread over the scheduler's.
        posterior: [B, C, h, w], standard normal, for the sample of the VAE's posterior.
        added: [B, C, h, w], standard normal, the noise that is added to it.
    """

    timesteps: Tensor
    posterior: Tensor
    added: Tensor


def draw_noise(draws: "Sequence[Draw]", shape: Sequence[int], train_timesteps: int) -> Noise:
    """The noise of each item from its own seed, so that it does not depend on how a batch is cut.

    Args:
        shape: of one item's latents, (C, h, w).
        train_timesteps: of the scheduler.
    """
    timesteps, posterior, added = [], [], []
    for draw in draws:
        generator = torch.Generator().manual_seed(draw.seed)
        timesteps.append(torch.randint(train_timesteps, (), generator=generator))
        posterior.append(torch.randn(*shape, generator=generator))
        added.append(torch.randn(*shape, generator=generator))
    return Noise(torch.stack(timesteps), torch.stack(posterior), torch.stack(added))


def wanted(scheduler: Any, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
    """What the UNet should predict, by ``scheduler.config.prediction_type``; v is of Salimans and Ho (2022)."""
    kind = scheduler.config.prediction_type
    if kind == "epsilon":
        return noise
    return latents if kind == "sample" else scheduler.get_velocity(latents, noise, timesteps)


def min_snr_weights(snr: Tensor, gamma: float, prediction: str) -> Tensor:
    """Min-SNR weights (Hang et al. 2023, section 3.4): min(SNR, gamma) on the error of the clean latents, which is
    that over SNR on the error of epsilon, and over SNR + 1 on that of v. All ones if ``gamma`` is 0.

    Args:
        snr: signal-to-noise ratios [B]; 0, pure noise, may be among them.
    """
    if not gamma:
        return torch.ones_like(snr)
    if prediction == "epsilon":
        return (gamma / snr).clamp_max(1)
    clamped = snr.clamp_max(gamma)
    return clamped if prediction == "sample" else clamped / (snr + 1)


def item_errors(
    predicted: Tensor, target: Tensor, mask: Tensor | None, settings: ObjectiveSettings
) -> Tensor:
    """Mean squared error of each item [B] of ``predicted`` and ``target`` [B, C, h, w].

    With a mask [B, 1, h, w] in 0..1, its inside counts 1 + ``mask_weight`` times; the weights' mean is one in every
    item, so that small edits do not count less than large ones.
    """
    errors = (predicted.float() - target.float()).square()
    if mask is not None and settings.mask_weight:
        weights = 1 + settings.mask_weight * mask
        errors = errors * (weights / weights.mean((2, 3), keepdim=True))
    return errors.mean((1, 2, 3))
