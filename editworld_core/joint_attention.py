"""Which words act where in a multimodal diffusion transformer (MM-DiT; Esser et al. 2024).

These models have no cross-attention: in every block the words, the picture in the making and the pictures it is made
from attend to one another in one softmax. What a word does to a place of the new picture is still there, as the
probability with which that place's query takes that word's key. This module reads it off for the transformers of
Qwen-Image, FLUX.1 and FLUX.2, whose order is the same: text, new picture, reference pictures.

Nothing of the model is replaced. Hooks take the queries and keys where the model has just normalised them, and the
softmax is computed once more beside the model's own, a few rows at a time, for a few layers. The model's output stays
bit-identical, and of N queries and keys no N x N matrix is ever kept.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from editworld_core.attention import AttentionRecorder

RECORDED = 5
"""At most so many layers are recorded unless told otherwise. At 1024 pixels with one reference picture (8,704 keys,
4,096 queries, bf16 on a CPU) one takes 0.35 of the time of the model's attention there, and 140 MiB while it works."""
SCORES = 2**22
"""So many scores are computed at once."""

Rotate = Callable[[Tensor, Any, int], Tensor]
"""``rotate(x, rope, start)``: rotary embedding of x [1, n, heads, d] at ``start`` of the joint sequence."""


def double_stream_layers(transformer: nn.Module, every: int | None = None) -> tuple[str, ...]:
    """Names of the attention of every ``every``-th double-stream block, from the middle of the first stretch on.

    Args:
        transformer: of Qwen-Image, FLUX.1 or FLUX.2.
        every: 1 takes all of them; None takes at most ``RECORDED``.
    """
    count = len(transformer.transformer_blocks)
    step = every or math.ceil(count / RECORDED)
    return tuple(f"transformer_blocks.{i}.attn" for i in range(min(step // 2, count - 1), count, step))


@contextmanager
def watching_joint(
    recorder: AttentionRecorder,
    transformer: nn.Module,
    grid: tuple[int, int],
    positions: range,
    layers: Sequence[str] | None = None,
) -> Iterator[AttentionRecorder]:
    """Record every denoising step of ``transformer`` inside the block.

    The maps have the grid of the packed latents, whatever the recorder's ``max_cells``. They are probabilities after
    the softmax over *all* keys: text, new picture and reference pictures. So over the recorded positions they sum to
    less than 1, and only their shape over the picture has a meaning, not their height beside another model's.

    Guidance calls the transformer twice a step, with the words and without; the first text that is seen is taken for
    the words, and calls with another one are left alone.

    Args:
        recorder: receives ``float32 [positions, h, w]`` by layer and step, mean over heads, first of the batch; its
            own ``positions`` choose among the ``positions`` given here, counted from the first of them.
        transformer: diffusers' ``QwenImageTransformer2DModel``, ``FluxTransformer2DModel`` or
            ``Flux2Transformer2DModel``.
        grid: height and width of the new picture's packed latents.
        positions: the wanted places in the text; from its end if negative, as an instruction stands behind a template
            whose length varies.
        layers: names of attention layers, double-stream or single-stream; None takes ``double_stream_layers``.

    Raises:
        ValueError: the transformer is of another class, or the grid or the positions do not fit what it is given.
    """
    rotate, turn = _rotation(transformer), _Turn()
    names = double_stream_layers(transformer) if layers is None else layers
    handles = [transformer.register_forward_pre_hook(turn.begin, with_kwargs=True)]
    try:
        for name in names:
            layer = transformer.get_submodule(name)
            handles += _Tap(name, recorder, turn, grid, positions, rotate).attach(layer)
        yield recorder
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def joint_probabilities(query: Tensor, key: Tensor, columns: slice, mask: Tensor | None = None) -> Tensor:
    """Softmax probabilities of some keys among all keys, mean over heads: float32 [queries, columns].

    p_ij = exp(q_i k_j / sqrt(d) - logsumexp_n(q_i k_n / sqrt(d))), computed for a few queries at a time.

    Args:
        query: [queries, heads, d], after normalisation and rotary embedding.
        key: [keys, heads, d], likewise.
        columns: the wanted keys.
        mask: bool [keys], False for keys that nobody may attend to.
    """
    queries = query.transpose(0, 1) * query.shape[-1] ** -0.5
    keys = key.permute(1, 2, 0).contiguous()  # [heads, d, keys], laid out once for all products
    hidden = None if mask is None else ~mask
    wanted = keys[..., columns].float()
    parts = []
    for rows in queries.split(max(1, SCORES // (keys.shape[0] * keys.shape[2])), dim=1):
        scores = (rows @ keys).float()
        chosen = rows.float() @ wanted  # exact also where the model computes in bf16
        if hidden is not None:
            scores = scores.masked_fill(hidden, -torch.inf)
            chosen = chosen.masked_fill(hidden[columns], -torch.inf)
        parts.append((chosen - scores.logsumexp(-1, keepdim=True)).exp().mean(0))
    return torch.cat(parts)


class _Turn:
    """Knows of the transformer's current call how long the text is, and whether it is the one with the words."""

    def __init__(self) -> None:
        self.words: Tensor | None = None
        self.conditional = False
        self.text = 0

    def begin(self, _: nn.Module, __: tuple[Any, ...], given: dict[str, Any]) -> None:
        told = given["encoder_hidden_states"]
        if self.words is None:
            self.words = told
        self.conditional = told is self.words
        self.text = told.shape[1]


@dataclass
class _Tap:
    """Takes queries and keys of one attention layer, and gives their probabilities to the recorder."""

    name: str
    recorder: AttentionRecorder
    turn: _Turn
    grid: tuple[int, int]
    positions: range
    rotate: Rotate
    caught: dict[str, Tensor] = field(default_factory=dict)

    def attach(self, layer: nn.Module) -> list[Any]:
        """Hooks on the layer's normalisations and on its end."""
        norms = [
            name for name in ("norm_q", "norm_k", "norm_added_k") if getattr(layer, name, None) is not None
        ]
        handles = [getattr(layer, name).register_forward_hook(self._catch(name)) for name in norms]
        return [*handles, layer.register_forward_hook(self._finish, with_kwargs=True)]

    def _catch(self, norm: str) -> Callable[[nn.Module, Any, Tensor], None]:
        def hook(_: nn.Module, __: Any, out: Tensor) -> None:
            if self.turn.conditional:
                self.caught[norm] = out[:1]

        return hook

    def _finish(self, _: nn.Module, __: Any, given: dict[str, Any], ___: Any) -> None:
        if not self.turn.conditional:
            return
        text, cells = self.turn.text, self.grid[0] * self.grid[1]
        query, key = self.caught["norm_q"], self.caught["norm_k"]
        if "norm_added_k" in self.caught:  # double-stream: the words have projections of their own
            key = torch.cat([self.caught["norm_added_k"], key], dim=1)
        else:
            query = query[:, text:]
        self.caught.clear()
        rope = given["image_rotary_emb"]
        probabilities = joint_probabilities(
            self.rotate(query[:, :cells], rope, text)[0],
            self.rotate(key, rope, 0)[0],
            self._columns(),
            _key_mask(given.get("encoder_hidden_states_mask"), key.shape[1]),
        )
        if len(probabilities) != cells:
            raise ValueError(
                f"A grid of {self.grid[0]}x{self.grid[1]} has more cells than {self.name} has queries."
            )
        if self.recorder.positions is not None:
            probabilities = probabilities[:, list(self.recorder.positions)]
        self.recorder.keep(self.name, probabilities.T.reshape(-1, *self.grid))

    def _columns(self) -> slice:
        behind = self.turn.text if self.positions.start < 0 else 0
        start, stop = behind + self.positions.start, behind + self.positions.stop
        if not 0 <= start < stop <= self.turn.text:
            raise ValueError(
                f"The positions {self.positions} do not lie in a text of {self.turn.text} tokens."
            )
        return slice(start, stop)


def _key_mask(text: Tensor | None, keys: int) -> Tensor | None:
    """Qwen-Image's mask of padded words [B, text] as a mask of all keys of the first of the batch."""
    if text is None:
        return None
    pictures = torch.ones(keys - text.shape[1], dtype=torch.bool, device=text.device)
    return torch.cat([text[0].bool(), pictures])


def _rotation(transformer: nn.Module) -> Rotate:
    from diffusers import Flux2Transformer2DModel, FluxTransformer2DModel, QwenImageTransformer2DModel
    from diffusers.models.embeddings import apply_rotary_emb
    from diffusers.models.transformers.transformer_qwenimage import apply_rotary_emb_qwen

    def flux(x: Tensor, rope: tuple[Tensor, Tensor], start: int) -> Tensor:
        cos, sin = (table[start : start + x.shape[1]] for table in rope)
        return apply_rotary_emb(x, (cos, sin), sequence_dim=1)  # type: ignore[no-any-return]

    def qwen(x: Tensor, rope: tuple[Tensor, Tensor], start: int) -> Tensor:
        pictures, text = rope
        table = torch.cat([text, pictures])[start : start + x.shape[1]]
        return apply_rotary_emb_qwen(x, table, use_real=False)  # type: ignore[return-value]

    if isinstance(transformer, QwenImageTransformer2DModel):
        return qwen
    if isinstance(transformer, FluxTransformer2DModel | Flux2Transformer2DModel):
        return flux
    raise ValueError(f"The joint attention of {type(transformer).__name__} is not known.")
