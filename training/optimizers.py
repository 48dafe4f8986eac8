"""Which optimizer moves which weights: Muon the matrices inside the network, AdamW the rest."""

from typing import Any

import torch
from torch import Tensor

from training.config import OptimizerConfig


class KernelMuon(torch.optim.Muon):
    """Muon (Jordan et al. 2024) for linear layers and convolutions: a kernel is a matrix of its outputs by the rest.

    The rate is scaled to the size of AdamW's steps (Liu et al. 2025), so that one schedule serves both.
    """

    def __init__(self, weights: list[Tensor], weight_decay: float) -> None:
        self.weights = weights
        self.matrices = [as_matrix(weight.detach()) for weight in weights]
        super().__init__(self.matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw")

    def step(self, closure: Any = None) -> Any:
        """One step, by the gradients of the weights."""
        for matrix, weight in zip(self.matrices, self.weights, strict=True):
            matrix.grad = None if weight.grad is None else as_matrix(weight.grad)
        return super().step(closure)


def as_matrix(kernel: Tensor) -> Tensor:
    """A view of ``kernel`` [O, I] or [O, I, h, w] (channels last) as [O, ...]."""
    return kernel if kernel.ndim == 2 else kernel.permute(0, 2, 3, 1).flatten(1)


def make_optimizers(unet: torch.nn.Module, config: OptimizerConfig) -> list[torch.optim.Optimizer]:
    """The optimizers of ``unet``: AdamW for its first and last layer, embeddings of conditions, norms and biases."""
    named = {name: weight for name, weight in unet.named_parameters() if weight.requires_grad}
    inner = [
        name
        for name, weight in named.items()
        if weight.ndim in (2, 4)
        and name.startswith(("down_blocks", "mid_block", "up_blocks", "detail.inner"))
    ]
    if config.matrices == "adamw":
        inner = []
    rest = [weight for name, weight in named.items() if name not in set(inner)]
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(rest, betas=(0.9, 0.99), weight_decay=config.weight_decay, fused=True)
    ]
    if inner:
        optimizers.append(KernelMuon([named[name] for name in inner], config.weight_decay))
    return optimizers
