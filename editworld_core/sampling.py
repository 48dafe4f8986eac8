"""The denoising loop of InstructPix2Pix (Brooks et al. 2023, equation 3): one for every UNet engine."""

from collections.abc import Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from editworld_core.engines.deep_cache import DeepCache
from editworld_core.engines.parts import TextConditions, joined
from editworld_core.engines.protocol import Progress

if TYPE_CHECKING:
    from editworld_core.attention import AttentionRecorder

Branch = tuple[bool, bool]
"""Whether a branch of the guidance sees the text, and whether it sees the image."""
BOTH, IMAGE, NONE = (True, True), (False, True), (False, False)


@dataclass(frozen=True)
class Guidance:
    """How strongly to follow the instruction (``text``, s_T) and to hold on to the picture (``image``, s_I)."""

    text: float
    image: float

    def branches(self) -> tuple[Branch, ...]:
        """The branches that matter; the conditional one comes first.

        ``none + s_I (image - none) + s_T (both - image)``, ordered by branch, weighs them s_T, s_I - s_T and 1 - s_I.
        A branch of weight zero is not run, which changes nothing but the time.
        """
        needed = BOTH, IMAGE if self.text != self.image else None, NONE if self.image != 1 else None
        return tuple(branch for branch in needed if branch)

    def combine(self, predicted: Mapping[Branch, Tensor]) -> Tensor:
        """The guided prediction, of what each of ``branches`` predicts; summed as diffusers sums it."""
        both = predicted[BOTH]
        if NONE not in predicted:
            image = predicted.get(IMAGE, both)
            return image + self.text * (both - image)
        none = predicted[NONE]
        if IMAGE not in predicted:
            return none + self.text * (both - none)
        image = predicted[IMAGE]
        return none + self.text * (both - image) + self.image * (image - none)


UNGUIDED = Guidance(1.0, 1.0)


@dataclass(frozen=True)
class Shortcuts:
    """What saves time at the price of a slightly different picture; the defaults save nothing.

    Attributes:
        guided: from which to which share of the steps guidance is applied (Kynkäänniemi et al. 2024); outside, the
            conditional branch alone is run.
        deep_every: the UNet's deep levels are run at every so many steps (``engines.deep_cache``).
    """

    guided: tuple[float, float] = (0.0, 1.0)
    deep_every: int = 1


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
    shortcuts: Shortcuts | None = None,
    redraw: Redraw | None = None,
    recorder: "AttentionRecorder | None" = None,
    progress: Progress | None = None,
) -> Tensor:
    """Draw the picture after the instruction.

    Args:
        unet: takes [noisy latents, source latents] along the channels.
        scheduler: any diffusers scheduler, of the prediction type that the UNet was trained for.
        source: [B, C, h, w], the picture before as the UNet is shown it, in the format that the latents are kept in;
            the UNet computes in its own.
        told: the instruction's embedding, batch B.
        nothing: the embedding of no instruction, batch B.
        generator: source of all noise: the same seed gives the same result.
        shortcuts: None takes none.
        progress: called at every step's end; what it raises stops the loop.

    Returns:
        Latents [B, C, h, w].
    """
    from diffusers.utils.torch_utils import randn_tensor

    shortcuts = shortcuts or Shortcuts()
    noise = randn_tensor(source.shape, generator=generator, device=source.device, dtype=source.dtype)
    scheduler.set_timesteps(steps, device=source.device)
    timesteps = scheduler.timesteps[_skipped(len(scheduler.timesteps), redraw) :]
    latents = (
        noise * scheduler.init_noise_sigma
        if redraw is None
        else scheduler.add_noise(redraw.start, noise, timesteps[:1])
    )
    options = {"generator": generator} if "generator" in signature(scheduler.step).parameters else {}
    predictor = _Predictor(unet, source, told, nothing)
    with ExitStack() as stack:
        stack.enter_context(recorder.watch(unet, source.shape[2:]) if recorder else nullcontext())
        stack.enter_context(predictor.cache.remembering() if shortcuts.deep_every > 1 else nullcontext())
        for done, timestep in enumerate(timesteps):
            if redraw is not None:
                kept = scheduler.add_noise(redraw.keep, noise, timestep[None])
                latents = redraw.mask * latents + (1 - redraw.mask) * kept
            first, last = (share * len(timesteps) for share in shortcuts.guided)
            noisy = scheduler.scale_model_input(latents, timestep)
            guided = predictor.predict(
                noisy,
                timestep,
                guidance if first <= done < last else UNGUIDED,
                deep=done % shortcuts.deep_every == 0,
            )
            latents = scheduler.step(guided, timestep, latents, **options).prev_sample
            if progress is not None:
                progress(done + 1, len(timesteps))
    return latents if redraw is None else redraw.mask * latents + (1 - redraw.mask) * redraw.keep


class _Predictor:
    """The UNet's guided prediction; what does not change from step to step is made once."""

    def __init__(self, unet: Any, source: Tensor, told: TextConditions, nothing: TextConditions) -> None:
        self.unet, self.source, self.told, self.nothing = unet, source, told, nothing
        self.cache = DeepCache(unet)
        self.branches: tuple[Branch, ...] = ()

    def predict(self, noisy: Tensor, timestep: Tensor, guidance: Guidance, deep: bool) -> Tensor:
        """The guided prediction; ``deep`` says whether the deep levels must be run."""
        branches = guidance.branches()
        if branches != self.branches:  # what is remembered is of other branches
            self._prepare(branches)
            deep = True
        with nullcontext() if deep else self.cache.shallow():
            sample = torch.cat([torch.cat([noisy] * len(branches)), self.images], dim=1)
            if not getattr(self.unet, "takes_any_format", False):
                sample = sample.to(self.unet.dtype)
            predicted = self.unet(sample, timestep, **self.texts).sample.to(noisy.dtype)
        return guidance.combine(dict(zip(branches, predicted.chunk(len(branches)), strict=True)))

    def _prepare(self, branches: tuple[Branch, ...]) -> None:
        self.branches = branches
        nowhere = torch.zeros_like(self.source)
        self.images = torch.cat([self.source if sees_image else nowhere for _, sees_image in branches])
        told = joined([self.told if sees_text else self.nothing for sees_text, _ in branches])
        self.texts = told.arguments(self.images.to(self.unet.dtype))


def _skipped(steps: int, redraw: Redraw | None) -> int:
    return 0 if redraw is None else steps - max(1, round(redraw.strength * steps))
