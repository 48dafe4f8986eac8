"""The pocket engine's own parts: the source is given back, the detail layers, an old engine as a start."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from editworld_core.engines.build import build_unet, save_pocket
from editworld_core.engines.pocket import (
    DetailLayers,
    PixelLayers,
    SpaceToDepthCodec,
    from_quarters,
    load_pocket_unet,
    positions,
    to_quarters,
)
from editworld_core.errors import EngineUnavailableError


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
    for layer in (unet.detail.pixels.erase, unet.detail.pixels.last, unet.detail.last):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
        rest = _call(unet, latents)
        assert (rest - whole).abs().max() > 0.01
        whole = rest


def test_an_engine_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    save_pocket(build_unet((16, 32), 1, 2, 2), tmp_path / "engine")
    (path,) = (tmp_path / "engine" / "unet").glob("*.safetensors")
    weights = load_file(path)
    del weights["detail.pixels.erase.weight"]
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(EngineUnavailableError, match="older version"):
        load_pocket_unet(tmp_path / "engine")


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
            return layers(told, source, predicted, from_quarters(lucky))[0]

    torch.testing.assert_close(drawn(1.9), drawn(0))
    changed = to_quarters((drawn(3) - drawn(0)).abs()).sum(1)[0]
    assert changed[3, 5] > 0.01


def test_pixel_layers_draw_each_pixel_in_its_place() -> None:
    layers = PixelLayers(64, 48)
    for weight in layers.parameters():
        torch.nn.init.zeros_(weight)
    with torch.no_grad():
        for colour in range(
            3
        ):  # from the told channels, source and prediction take the source, and hand it on
            layers.first.weight[colour, layers.told + colour, 1, 1] = 1
            layers.last.weight[colour, colour, 1, 1] = 1
    generator = torch.Generator().manual_seed(3)
    source, predicted = (torch.randn(2, 192, 8, 8, generator=generator) for _ in range(2))
    hidden = torch.randn(2, 64, 16, 16, generator=generator)
    torch.testing.assert_close(layers(hidden, source, predicted)[0], source.relu())
    with torch.no_grad():  # the channels that are told of the first of a quarter's sixteen pixels
        layers.first.weight.zero_()
        layers.first.weight[0, 0, 1, 1] = 1
        layers.expand.weight[0, 0] = 1
    red = SpaceToDepthCodec(8).decode(layers(hidden, source, predicted)[0])[:, 0]
    torch.testing.assert_close(red[:, ::4, ::4], hidden[:, 0].relu())
    assert red.count_nonzero() == hidden[:, 0].relu().count_nonzero()


def test_what_is_erased_leaves_nothing_of_the_source(latents: torch.Tensor) -> None:
    unet = build_unet((16, 32), 1, 2, 2).eval()
    erase = unet.detail.pixels.erase
    torch.nn.init.constant_(erase.bias, 20)
    assert not _call(unet, latents).any()
    torch.nn.init.zeros_(erase.bias)
    torch.nn.init.normal_(erase.weight)
    given, source = (SpaceToDepthCodec(2).decode(each) for each in (_call(unet, latents), latents[:, 12:]))
    kept = given / source
    assert kept.std() > 0.1
    torch.testing.assert_close(kept, kept[:, :1].expand_as(kept), rtol=1e-3, atol=1e-3)  # all three colours


def test_positions_are_shares_of_the_frame() -> None:
    places = positions(3, 8)
    assert places.shape == (20, 3, 8)
    angle = np.pi * 3.5 / 8  # the fourth of eight columns, in the middle of the three rows
    for octave in range(5):
        assert places[octave, 1, 3].item() == pytest.approx(np.sin(np.pi * 2**octave / 2), abs=1e-5)
        assert places[5 + octave, 1, 3].item() == pytest.approx(np.cos(np.pi * 2**octave / 2), abs=1e-5)
        assert places[10 + octave, 1, 3].item() == pytest.approx(np.sin(2**octave * angle), abs=1e-5)
        assert places[15 + octave, 1, 3].item() == pytest.approx(np.cos(2**octave * angle), abs=1e-5)
    torch.testing.assert_close(positions(9, 24)[:, 4, 10], places[:, 1, 3])  # another size of the same frame
    cells = positions(32, 64).flatten(1)
    assert torch.cdist(cells.T, cells.T).fill_diagonal_(1).min() > 0.1
