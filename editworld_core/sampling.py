"""The denoising loop of InstructPix2Pix (Brooks et al. 2023, equation 3): one for every UNet engine."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from editworld_core.engines.pocket import TextConditions
from editworld_core.engines.protocol import Progress

if TYPE_CHECKING:
    from editworld_core.attention import AttentionRecorder


@dataclass(frozen=True)
class Guidance:
    """How strongly to follow the instruction (``text``, s_T) and to hold on to the picture (``image``, s_I)."""

    text: float
    image: float

    def branches(self) -> list[tuple[float, bool, bool]]:
        """The branches that matter as (weight, sees the text, sees the image); the conditional one comes first.

        ``none + s_I (image - none) + s_T (both - image)``, ordered by branch, weighs them s_T, s_I - s_T and 1 - s_I.
        A branch of weight zero is not run, which changes nothing but the time.
        """
        weighed = [
            (self.text, True, True),
            (self.image - self.text, False, True),
            (1 - self.image, False, False),
        ]
        return weighed[:1] + [branch for branch in weighed[1:] if branch[0] != 0]


@dataclass(frozen=True)
class Redraw:
    """A second denoising that starts from a picture there is and changes only a part of it.

    Attributes:
        start: latents [B, C, h, w] that the denoising starts from, after noise is added.
        strength: share of the steps that are run, 0..1.
        keep: latents [B, C, h, w] that stand outside ``mask``.
        mask: [B, 1, h, w], 1 where to redraw.
    """

    start: Tensor
    strength: float
    keep: Tensor
    mask: Tensor


@torch.no_grad()
def denoise(
    unet: Any,
    scheduler: Any,
    source: Tensor,
    told: TextConditions,
    nothing: TextConditions,
    *,
    steps: int,
    guidance: Guidance,
    generator: torch.Generator,
    redraw: Redraw | None = None,
    recorder: "AttentionRecorder | None" = None,
    progress: Progress | None = None,
) -> Tensor:
    """Draw the picture after the instruction.

    Args:
        unet: takes [noisy latents, source latents] along the channels.
        scheduler: any diffusers scheduler, of the prediction type that the UNet was trained for.
        source: latents [B, C, h, w] of the picture before.
        told: the instruction's embedding, batch B.
        nothing: the embedding of no instruction, batch B.
        generator: source of all noise: the same seed gives the same result.
        progress: called at every step's end; what it raises stops the loop.

    Returns:
        Latents [B, C, h, w].
    """
    branches = guidance.branches()
    images = torch.cat([source if sees_image else torch.zeros_like(source) for _, _, sees_image in branches])
    texts = _join([told if sees_text else nothing for _, sees_text, _ in branches])
    weights = [weight for weight, _, _ in branches]
    noise = torch.randn(source.shape, generator=generator, dtype=source.dtype)
    scheduler.set_timesteps(steps)
    timesteps = list(_timesteps(scheduler, redraw))
    latents = (
        noise * scheduler.init_noise_sigma
        if redraw is None
        else scheduler.add_noise(redraw.start, noise, timesteps[0][None])
    )
    with recorder.watch(unet, source.shape[2:]) if recorder else nullcontext():
        for done, timestep in enumerate(timesteps, start=1):
            if redraw is not None:
                kept = scheduler.add_noise(redraw.keep, noise, timestep[None])
                latents = redraw.mask * latents + (1 - redraw.mask) * kept
            noisy = scheduler.scale_model_input(torch.cat([latents] * len(branches)), timestep)
            predicted = unet(torch.cat([noisy, images], dim=1), timestep, texts.context, **texts.added).sample
            guided = sum(
                weight * part for weight, part in zip(weights, predicted.chunk(len(branches)), strict=True)
            )
            latents = scheduler.step(guided, timestep, latents).prev_sample
            if progress is not None:
                progress(done, len(timesteps))
    return latents if redraw is None else redraw.mask * latents + (1 - redraw.mask) * redraw.keep


def _timesteps(scheduler: Any, redraw: Redraw | None) -> Iterator[Tensor]:
    skipped = (
        0
        if redraw is None
        else len(scheduler.timesteps) - max(1, round(redraw.strength * len(scheduler.timesteps)))
    )
    yield from scheduler.timesteps[skipped:]


def _join(conditions: list[TextConditions]) -> TextConditions:
    added = {name: torch.cat([each.added[name] for each in conditions]) for name in conditions[0].added}
    return TextConditions(torch.cat([each.context for each in conditions]), added)
