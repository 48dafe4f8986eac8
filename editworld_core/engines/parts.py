"""What a UNet engine is made of besides the UNet: a codec for pictures and an encoder for words."""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True)
class TextConditions:
    """What the UNet is told.

    Attributes:
        context: [B, L, D], for cross-attention.
        added: further conditions, each with the batch first: ``class_labels``, or SDXL's ``text_embeds`` and
            ``time_ids``.
    """

    context: Tensor
    added: dict[str, Tensor]

    def arguments(self, like: Tensor) -> dict[str, Any]:
        """Arguments of a diffusers UNet's forward pass, on the device and in the format of ``like``."""
        added = {name: value.to(like) for name, value in self.added.items()}
        told: dict[str, Any] = {"encoder_hidden_states": self.context.to(like)}
        if "class_labels" in added:
            told["class_labels"] = added.pop("class_labels")
        if added:
            told["added_cond_kwargs"] = added
        return told


def joined(conditions: list[TextConditions]) -> TextConditions:
    """All of them as one batch, in their order."""
    import torch

    added = {name: torch.cat([each.added[name] for each in conditions]) for name in conditions[0].added}
    return TextConditions(torch.cat([each.context for each in conditions]), added)


class Codec(Protocol):
    """Between pixels [B, 3, H, W] in -1..1 and latents [B, C, H / factor, W / factor]."""

    @property
    def factor(self) -> int:
        """Pixels a side of one latent cell."""
        ...

    def condition(self, pixels: Tensor) -> Tensor:
        """What the UNet is shown as the picture before."""
        ...

    def encode(self, pixels: Tensor) -> Tensor:
        """Latents as the UNet draws them."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """The picture that ``latents`` stand for."""
        ...


class TextEncoder(Protocol):
    """Turns words into what the UNet is told."""

    def encode(self, texts: list[str], size: tuple[int, int]) -> TextConditions:
        """Conditions of ``texts``, a batch, for pictures of ``size`` = (height, width) pixels."""
        ...

    def nothing(self, texts: list[str], size: tuple[int, int]) -> TextConditions:
        """Conditions of the unconditional branch: of no words, or of what ``texts`` say should not be there."""
        ...

    def offsets(self, text: str) -> list[tuple[int, int]]:
        """Start and end in ``text`` of the token at each context position; (0, 0) for special tokens."""
        ...
