"""Muon on kernels against Muon on plain matrices, and which weights it moves; the schedule of the rate."""

import pytest
import torch

from editworld_core.engines.build import build_unet
from training.config import OptimizerConfig, TrainConfig
from training.optimizers import KernelMuon, make_optimizers
from training.pocket_task import learning_rate


def test_a_kernel_moves_as_the_matrix_of_its_outputs_would() -> None:
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(4, 6, 3).to(memory_format=torch.channels_last)
    matrix = torch.nn.Parameter(conv.weight.detach().permute(0, 2, 3, 1).reshape(6, 36).clone())
    ours = KernelMuon([conv.weight], weight_decay=0.1)
    plain = torch.optim.Muon([matrix], weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        gradient = torch.randn(6, 4, 3, 3)
        conv.weight.grad = gradient.contiguous(memory_format=torch.channels_last)
        matrix.grad = gradient.permute(0, 2, 3, 1).reshape(6, 36)
        ours.step()
        plain.step()
    torch.testing.assert_close(conv.weight.permute(0, 2, 3, 1).reshape(6, 36), matrix)


@pytest.mark.parametrize("matrices", ["muon", "adamw"])
def test_every_weight_is_moved_by_one_optimizer(matrices: str) -> None:
    unet = build_unet((32, 32), 1, 2, 8).to(memory_format=torch.channels_last)
    before = {name: weight.detach().clone() for name, weight in unet.named_parameters()}
    optimizers = make_optimizers(unet, OptimizerConfig(matrices=matrices))
    assert len(optimizers) == (2 if matrices == "muon" else 1)
    for weight in unet.parameters():
        weight.grad = torch.ones_like(weight)
    for optimizer in optimizers:
        optimizer.step()
    still = [name for name, weight in unet.named_parameters() if torch.equal(weight, before[name])]
    assert not still
    moved = [id(weight) for group in optimizers[0].param_groups for weight in group["params"]]
    moved += [id(weight) for weight in optimizers[1].weights] if matrices == "muon" else []
    assert sorted(moved) == sorted(id(weight) for weight in unet.parameters())


def test_the_rate_warms_up_stays_and_decays() -> None:
    chosen = OptimizerConfig(
        learning_rate=1.0, final_learning_rate=0.1, warmup_steps=10, steps=100, decay_share=0.5
    )
    config = TrainConfig(optimizer=chosen)
    assert learning_rate(0, config) == pytest.approx(0.1)
    assert learning_rate(9, config) == learning_rate(50, config) == pytest.approx(1.0)
    assert learning_rate(75, config) == pytest.approx(0.55)
    assert learning_rate(100, config) == pytest.approx(0.1)
