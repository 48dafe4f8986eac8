"""The perceptual error against the measure that the evaluation takes, the structural one against scikit-image's."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from skimage.metrics import structural_similarity
from skimage.transform import downscale_local_mean
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


def contrast_and_structure(predicted: Tensor, target: Tensor) -> np.ndarray:
    """scikit-image's SSIM of squares of seven pixels, every fourth one, without brightness: [3, rows, columns]."""
    return structural_similarity(
        predicted[0].double().numpy(),
        target[0].double().numpy(),
        win_size=7,
        data_range=2,
        K1=1e6,  # so large that brightness does not count
        channel_axis=0,
        use_sample_covariance=False,
        full=True,
    )[1][:, 3:-3:4, 3:-3:4]


def smaller(pictures: Tensor, times: int) -> Tensor:
    return torch.from_numpy(downscale_local_mean(pictures.numpy(), (1, 1, times, times)))


def test_the_structural_error_is_ssim_without_brightness_at_four_sizes(photo: Tensor) -> None:
    blurred = F.avg_pool2d(photo, 5, 1, 2) + 0.3
    sizes = (contrast_and_structure(smaller(blurred, times), smaller(photo, times)) for times in (1, 2, 4, 8))
    everywhere = batch_of(photo, torch.ones(1, 1, 256, 256))
    expected = 1 - np.mean([size.mean() for size in sizes])
    assert float(structural_error(blurred, everywhere)) == pytest.approx(expected, rel=1e-3)


def test_the_structural_error_is_that_of_the_mask(photo: Tensor) -> None:
    """Squares begin at every fourth row; of the last one that reaches into the upper half four of seven rows do."""
    blurred, upper = F.avg_pool2d(photo, 5, 1, 2), torch.zeros(1, 1, 256, 256)
    upper[:, :, :128] = 1
    found = []
    for times in (1, 2, 4, 8):
        similar = contrast_and_structure(smaller(blurred, times), smaller(photo, times))
        rows = 32 // times
        covered = np.r_[np.ones(rows - 1), 4 / 7]
        found.append(1 - np.average(similar[:, :rows].mean((0, 2)), weights=covered))
    assert float(structural_error(blurred, batch_of(photo, upper))) == pytest.approx(np.mean(found), rel=1e-3)


def test_a_trace_counts_more_where_it_should_be_flat(photo: Tensor) -> None:
    everywhere = torch.ones(1, 1, 256, 256)
    trace = 0.1 * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))
    flat = torch.full_like(photo, 0.2)
    seen = float(structural_error(flat + trace, batch_of(flat, everywhere)))
    hidden = float(structural_error(photo + trace, batch_of(photo, everywhere)))
    assert seen > 1.5 * hidden > 0


def test_a_pale_soft_trace_shows_in_smaller_pictures(photo: Tensor) -> None:
    away = torch.linspace(-128, 128, 256)
    trace = 0.15 * torch.exp(-((away[:, None] ** 2 + away**2) / (2 * 24**2))).expand_as(photo)
    flat = torch.full_like(photo, 0.2)
    seen = float(structural_error(flat + trace, batch_of(flat, torch.ones(1, 1, 256, 256))))
    assert seen > 3 * (1 - contrast_and_structure(flat + trace, flat).mean())


def test_a_window_lies_in_the_picture_and_holds_some_of_the_mask() -> None:
    rng = np.random.default_rng(0)
    mask = np.zeros((200, 300), bool)
    mask[190:, 3] = True
    corners = [window_around(mask, rng) for _ in range(20)]
    assert all(mask[top : top + WINDOW, left : left + WINDOW].any() for top, left in corners)
    assert all(0 <= top <= 200 - WINDOW and 0 <= left <= 300 - WINDOW for top, left in corners)
    anywhere = {window_around(np.zeros((200, 300), bool), rng) for _ in range(20)}
    assert len(anywhere) > 10
