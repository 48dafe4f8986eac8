"""Which words act where: a recorder of the cross-attention of any diffusers UNet.

The model's own attention is left to do its work; beside it, for the wanted layers, the softmax of queries and keys is
computed once more for the conditional branch only. The output stays bit-identical and what is kept is small.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from diffusers import UNet2DConditionModel
    from diffusers.models.attention_processor import Attention

    OnAttention = Callable[[str, Attention, torch.Tensor, torch.Tensor, torch.Tensor | None], None]


@dataclass(frozen=True)
class AttentionMaps:
    """Cross-attention of one edit.

    Attributes:
        layers: by layer name, float32 [steps, positions, h, w]: softmax probabilities of the context positions, mean
            over heads, conditional branch only. Over all positions of the context they sum to 1.
        numbers: by layer name, the numbers from 1 of the denoising steps that ``layers`` holds; a layer that is not
            in it has every step. A layer that a short cut leaves out at some steps has gaps.
    """

    layers: Mapping[str, NDArray[np.float32]]
    numbers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def steps_of(self, layer: str) -> tuple[int, ...]:
        """The numbers from 1 of the denoising steps that are there of ``layer``, in their order."""
        return self.numbers.get(layer) or tuple(range(1, len(self.layers[layer]) + 1))

    def nearest(self, cells: int) -> tuple[str, ...]:
        """The layers of the down and up blocks whose longer side is nearest to ``cells``, as the paper uses 16x16."""
        sides = {name: max(stack.shape[2:]) for name, stack in self.layers.items() if "mid_block" not in name}
        best = min(sides.values(), key=lambda side: (abs(np.log(side / cells)), -side))
        return tuple(name for name, side in sides.items() if side == best)

    def map(
        self,
        positions: Sequence[int],
        layers: Sequence[str] | None = None,
        steps: Sequence[int] | None = None,
        cells: int = 16,
    ) -> NDArray[np.float32]:
        """Probability of ``positions`` [h, w], summed over them, averaged over layers and steps.

        Args:
            positions: places in the text encoder's context.
            layers: names of layers of one resolution; None takes ``nearest(cells)``.
            steps: indices of recorded steps; None takes all.
        """
        names = layers or self.nearest(cells)
        chosen = slice(None) if steps is None else list(steps)
        stacks = [self.layers[name][chosen][:, list(positions)].sum(1).mean(0) for name in names]
        return np.mean(stacks, axis=0, dtype=np.float32)


@dataclass
class AttentionRecorder:
    """Records while a UNet is watched; give a fresh one to every edit.

    Attributes:
        max_cells: layers with a longer side than this are not recorded.
        positions: context positions to keep; None keeps all.
    """

    max_cells: int = 32
    positions: Sequence[int] | None = None
    _steps: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)
    _numbers: dict[str, list[int]] = field(default_factory=dict)
    _passes: int = 0

    @contextmanager
    def watch(self, unet: "UNet2DConditionModel", grid: tuple[int, int]) -> Iterator["AttentionRecorder"]:
        """Record every forward pass of ``unet`` inside the block as one step.

        Args:
            unet: any diffusers UNet with cross-attention; the first item of each batch must be the conditional branch.
            grid: height and width of its latents.
        """

        def count(*_: Any) -> None:
            self._passes += 1

        def record(
            name: str,
            attn: "Attention",
            hidden: "torch.Tensor",
            context: "torch.Tensor",
            mask: "torch.Tensor | None",
        ) -> None:
            height, width = grid_of(hidden.shape[1], grid)
            if max(height, width) > self.max_cells:
                return
            probabilities = attention_probabilities(
                attn, hidden[:1], context[:1], None if mask is None else mask[: attn.heads]
            )[0]
            if self.positions is not None:
                probabilities = probabilities[:, list(self.positions)]
            self.keep(name, probabilities.T.reshape(-1, height, width))

        # A short cut may leave layers out of a pass, so the passes are counted and not the layer's own calls.
        counting = unet.register_forward_pre_hook(count)
        try:
            with watching(unet, record):
                yield self
        finally:
            counting.remove()

    def keep(self, layer: str, map: "torch.Tensor") -> None:
        """Add one step's probabilities [positions, h, w] of ``layer``."""
        steps = self._steps.setdefault(layer, [])
        steps.append(map.float().cpu().numpy())
        self._numbers.setdefault(layer, []).append(self._passes or len(steps))

    @property
    def saw_something(self) -> bool:
        """Whether there are maps."""
        return bool(self._steps)

    def maps(self) -> AttentionMaps:
        """What was recorded.

        Raises:
            ValueError: nothing was.
        """
        if not self._steps:
            raise ValueError("No attention was recorded; run an edit with this recorder first.")
        return AttentionMaps(
            {name: np.stack(steps) for name, steps in self._steps.items()},
            {name: tuple(numbers) for name, numbers in self._numbers.items()},
        )


def grid_of(queries: int, grid: tuple[int, int]) -> tuple[int, int]:
    """The height and width of a layer with ``queries`` cells in a UNet that halves ``grid`` some number of times.

    Raises:
        ValueError: no number of halvings gives that many cells.
    """
    height, width = grid
    while height * width > queries:
        height, width = -(-height // 2), -(-width // 2)
    if height * width != queries:
        raise ValueError(f"No halving of {grid[0]}x{grid[1]} has {queries} cells.")
    return height, width


def attention_probabilities(
    attn: "Attention",
    hidden: "torch.Tensor",
    context: "torch.Tensor",
    mask: "torch.Tensor | None" = None,
) -> "torch.Tensor":
    """Softmax of queries and keys, mean over heads: [B, queries, positions], differentiable.

    Args:
        hidden: [B, queries, C], what the layer's queries are made of.
        context: [B, positions, D], the text encoder's output.
        mask: added to the scores, broadcastable to [B * heads, queries, positions].
    """
    import torch

    batch, queries, _ = hidden.shape
    query = attn.to_q(hidden).view(batch, queries, attn.heads, -1).transpose(1, 2)
    key = attn.to_k(context).view(batch, context.shape[1], attn.heads, -1).transpose(1, 2)
    scores = query @ key.transpose(-1, -2) * attn.scale
    if mask is not None:
        scores = scores + mask.view(batch, attn.heads, -1, context.shape[1])
    return torch.softmax(scores.float(), dim=-1).mean(1)


class _Watched:
    """An attention processor that does what the one inside does, and then tells what it was given."""

    def __init__(self, name: str, inside: Any, tell: "OnAttention") -> None:
        self.name, self.inside, self.tell = name, inside, tell

    def __call__(
        self,
        attn: "Attention",
        hidden_states: "torch.Tensor",
        encoder_hidden_states: Any = None,
        attention_mask: "torch.Tensor | None" = None,
        *args: Any,
        **kwargs: Any,
    ) -> "torch.Tensor":
        out = self.inside(attn, hidden_states, encoder_hidden_states, attention_mask, *args, **kwargs)
        # With an IP-Adapter the context is a pair of text and image embeddings.
        context = (
            encoder_hidden_states[0] if isinstance(encoder_hidden_states, tuple) else encoder_hidden_states
        )
        self.tell(self.name, attn, hidden_states, context, attention_mask)
        return out


@contextmanager
def watching(unet: "UNet2DConditionModel", tell: "OnAttention") -> Iterator[None]:
    """Call ``tell(layer, attn, hidden, context, mask)`` after every cross-attention of ``unet`` inside the block."""
    before = dict(unet.attn_processors)
    watched = {
        name: _Watched(name.removesuffix(".processor"), inside, tell) if ".attn2." in name else inside
        for name, inside in before.items()
    }
    unet.set_attn_processor(watched)
    try:
        yield
    finally:
        unet.set_attn_processor(before)
