"""Reuse of a UNet's deep features between denoising steps (DeepCache, Ma et al., CVPR 2024).

What the deep levels see changes slowly from step to step, what the top level sees does not. So the deep levels are run
at every n-th step only; between, the top level gets what they said last.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn


class DeepCache:
    """Runs ``unet`` in full, or with its deep levels remembered; see ``shallow``."""

    def __init__(self, unet: Any) -> None:
        self.unet = unet
        self.kept: Tensor | None = None

    @contextmanager
    def remembering(self) -> Iterator[None]:
        """Remember, from every full forward pass inside the block, what the deep levels give to the last up block."""

        def remember(_: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            self.kept = named["hidden_states"] if "hidden_states" in named else given[0]

        hook = self.unet.up_blocks[-1].register_forward_pre_hook(remember, with_kwargs=True)
        try:
            yield
        finally:
            hook.remove()
            self.kept = None

    @contextmanager
    def shallow(self) -> Iterator[None]:
        """Inside the block ``unet`` runs its top level only, with the deep features of the last full pass.

        Raises:
            ValueError: there was none.
        """
        if self.kept is None:
            raise ValueError("Run a full step first; there are no deep features to reuse.")
        unet = self.unet
        top = unet.down_blocks[0]
        whole = unet.down_blocks, unet.mid_block, unet.up_blocks, top.downsamplers
        try:
            unet.down_blocks, unet.up_blocks = nn.ModuleList([top]), nn.ModuleList([unet.up_blocks[-1]])
            unet.mid_block, top.downsamplers = _Remembered(self.kept), None
            yield
        finally:
            unet.down_blocks, unet.mid_block, unet.up_blocks, top.downsamplers = whole


class _Remembered(nn.Module):
    """Stands in for everything below the top level."""

    def __init__(self, features: Tensor) -> None:
        super().__init__()
        self.features = features

    def forward(self, *_: Any, **__: Any) -> Tensor:
        return self.features
