"""An exponential moving average of the weights, in fp32."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor


def local(weight: Tensor) -> Tensor:
    """The part of ``weight`` that this process holds: all of it, unless FSDP shares it out."""
    held = weight.detach()
    return held.to_local() if hasattr(held, "to_local") else held


class Ema:
    """The average of ``weights``; with a ``decay`` of 0 there is none, and the weights themselves take its place."""

    def __init__(self, weights: Sequence[Tensor], decay: float) -> None:
        self.weights = list(weights)
        self.decay = decay
        self.averages = [local(weight).float().clone() for weight in self.weights] if decay else []

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Draw the average towards the weights after ``step`` steps; faster in the first ones."""
        if self.averages:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(self.averages, [local(weight) for weight in self.weights], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """While this lasts, the model has the averaged weights."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for weight, average in zip(self.weights, self.averages, strict=bool(self.averages)):
            kept = local(weight).clone()
            local(weight).copy_(average)
            average.copy_(kept)

    def save(self, path: Path) -> None:
        """Write the averages as safetensors."""
        from safetensors.torch import save_file

        save_file({str(i): average.contiguous() for i, average in enumerate(self.averages)}, path)

    @torch.no_grad()
    def load(self, path: Path) -> None:
        """Read what ``save`` wrote."""
        from safetensors.torch import load_file

        kept = load_file(path)
        for i, average in enumerate(self.averages):
            average.copy_(kept[str(i)])
