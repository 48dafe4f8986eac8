"""The perceptual error against the measure that the evaluation takes, the structural one against scikit-image's."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.metrics import structural_similarity
from torch import Tensor
from torch.nn import functional as F

from editworld_core.metrics import st_lpips
from training.batches import window_around
from training.config import LossConfig
from training.objective import WINDOW, Batch, perceptual_error, relative_error, structural_error

TOP, LEFT = 40, 100


@pytest.fixture(scope="module")
def photo() -> Tensor:
    """[1, 3, 256, 256] in -1..1."""
    pixels = np.ascontiguousarray(data.astronaut()[:256, :256])
    return torch.from_numpy(pixels).permute(2, 0, 1)[None] / 127.5 - 1


def batch_of(target: Tensor, mask: Tensor) -> Batch:
    nothing = torch.zeros(1)
    return Batch(
        source=-target,
        target=target,
        mask=mask,
        weight=torch.ones_like(mask),
        context=nothing,
        pooled=nothing,
        content=nothing,
        keep_image=nothing,
        timesteps=nothing,
        noise=nothing,
        window=torch.tensor([[TOP, LEFT]]),
    )


def test_it_is_the_evaluations_measure_of_the_window(photo: Tensor) -> None:
    def part(pictures: Tensor) -> Image.Image:
        window = pictures[0, :, TOP : TOP + WINDOW, LEFT : LEFT + WINDOW]
        return Image.fromarray(((window + 1) * 127.5).round().byte().permute(1, 2, 0).numpy())

    mirrored = photo.flip(3)
    batch = batch_of(photo, torch.ones(1, 1, 256, 256))
    expected = st_lpips(part(mirrored), part(photo))
    assert float(perceptual_error(mirrored, batch)) == pytest.approx(expected, rel=1e-4)


def test_a_ghost_counts_more_than_a_tint_of_the_same_mean_error(photo: Tensor) -> None:
    target = torch.full_like(photo, 0.2)
    batch = batch_of(target, torch.ones(1, 1, 256, 256))
    trace = photo - photo.mean()
    ghost = target + 0.2 * trace
    tint = target + 0.2 * trace.abs().mean()
    mean = LossConfig(squared=0, outside=0)
    assert relative_error(ghost, batch, mean) == pytest.approx(
        float(relative_error(tint, batch, mean)), rel=0.01
    )
    assert perceptual_error(ghost, batch) > 3 * perceptual_error(tint, batch)


def test_its_gradient_leads_to_the_target_within_the_window(photo: Tensor) -> None:
    batch = batch_of(photo, torch.ones(1, 1, 256, 256))
    predicted = torch.zeros_like(photo, requires_grad=True)
    before = perceptual_error(predicted, batch)
    before.backward()
    slope = predicted.grad
    assert slope is not None
    assert slope[..., TOP : TOP + WINDOW, LEFT : LEFT + WINDOW].any()
    assert not slope[..., :LEFT].any()
    assert perceptual_error(predicted.detach() - 20 * slope, batch) < 0.98 * before.detach()


def test_the_structural_error_is_ssim_without_brightness(photo: Tensor) -> None:
    blurred = F.avg_pool2d(photo, 5, 1, 2) + 0.3
    similar = structural_similarity(
        blurred[0].double().numpy(),
        photo[0].double().numpy(),
        win_size=7,
        data_range=2,
        K1=1e6,  # so large that brightness does not count
        channel_axis=0,
        use_sample_covariance=False,
        full=True,
    )[1][:, 3:-3:4, 3:-3:4]
    everywhere = batch_of(photo, torch.ones(1, 1, 256, 256))
    assert float(structural_error(blurred, everywhere)) == pytest.approx(1 - similar.mean(), rel=1e-3)
    upper = torch.zeros(1, 1, 256, 256)
    upper[:, :, :128] = 1
    covered = np.r_[np.ones(31), 4 / 7]  # squares begin at every fourth row, the last of these at 124
    expected = 1 - np.average(similar[:, :32].mean((0, 2)), weights=covered)
    assert float(structural_error(blurred, batch_of(photo, upper))) == pytest.approx(expected, rel=1e-3)


def test_a_trace_counts_more_where_it_should_be_flat(photo: Tensor) -> None:
    everywhere = torch.ones(1, 1, 256, 256)
    trace = 0.1 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))
    flat = torch.full_like(photo, 0.2)
    seen = float(structural_error(flat + trace, batch_of(flat, everywhere)))
    hidden = float(structural_error(photo + trace, batch_of(photo, everywhere)))
    assert seen > 1.5 * hidden > 0


def test_a_window_lies_in_the_picture_and_holds_some_of_the_mask() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((200, 300), bool)
    mask[190:, 3] = True
    corners = [window_around(mask, rng) for _ in range(20)]
    assert all(mask[top : top + WINDOW, left : left + WINDOW].any() for top, left in corners)
    assert all(0 <= top <= 200 - WINDOW and 0 <= left <= 300 - WINDOW for top, left in corners)
    anywhere = {window_around(np.zeros((200, 300), bool), rng) for _ in range(20)}
    assert len(anywhere) > 10
