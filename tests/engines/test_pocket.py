"""The pocket engine's own parts: the source is given back, the detail layers, an old engine as a start."""

from pathlib import Path

import pytest
import torch

from editworld_core.engines.build import build_unet, save_pocket
from editworld_core.engines.pocket import DetailLayers, from_quarters, load_pocket_unet, to_quarters


def _call(unet: torch.nn.Module, latents: torch.Tensor) -> torch.Tensor:
    count, width = len(latents), 384
    generator = torch.Generator().manual_seed(1)
    context = torch.randn(count, 48, width, generator=generator)
    pooled = torch.randn(count, width, generator=generator)
    with torch.no_grad():
        return unet(latents, torch.tensor([999, 3]), context, class_labels=pooled).sample


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(2, 24, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("detail", [True, False])
def test_an_untrained_network_gives_back_its_source(latents: torch.Tensor, detail: bool) -> None:
    unet = build_unet((16, 32), 1, 2, 2, detail).eval()
    assert torch.equal(_call(unet, latents), latents[:, 12:])


def test_quarters_are_the_pixels_of_half_the_factor() -> None:
    pixels = torch.randn(2, 3, 32, 64)
    latents = torch.nn.functional.pixel_unshuffle(pixels, 8)
    quarters = to_quarters(latents)
    assert torch.equal(quarters, torch.nn.functional.pixel_unshuffle(pixels, 4))
    assert torch.equal(from_quarters(quarters), latents)


def test_detail_adds_to_what_the_rest_predicts(latents: torch.Tensor, tmp_path: Path) -> None:
    unet = build_unet((16, 32), 1, 2, 2).eval()
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    whole = _call(unet, latents)
    save_pocket(unet, tmp_path / "engine")
    saved = load_pocket_unet(tmp_path / "engine")
    assert (_call(saved, latents) - whole).abs().max() < 0.02  # saved in half precision
    torch.nn.init.zeros_(unet.detail.last.weight)
    torch.nn.init.zeros_(unet.detail.last.bias)
    assert (_call(unet, latents) - whole).abs().max() > 0.01


def test_of_the_noise_the_detail_layers_see_where_its_mean_is_rare() -> None:
    layers = DetailLayers(48)
    torch.nn.init.normal_(layers.last.weight)
    generator = torch.Generator().manual_seed(2)
    told, *pictures = (torch.randn(1, count, 8, 8, generator=generator) for count in (128, 48, 48, 48))
    source, predicted, noise = pictures
    quarters = to_quarters(noise)
    quarters -= quarters.mean(1, keepdim=True)

    def drawn(mean: float) -> torch.Tensor:
        """What is drawn if one quarter's mean is so many standard deviations above the others."""
        lucky = quarters.clone()
        lucky[0, :, 3, 5] += mean / 12**0.5
        with torch.no_grad():
            return layers(told, source, predicted, from_quarters(lucky))

    torch.testing.assert_close(drawn(1.9), drawn(0))
    changed = to_quarters((drawn(3) - drawn(0)).abs()).sum(1)[0]
    assert changed[3, 5] > 0.01
