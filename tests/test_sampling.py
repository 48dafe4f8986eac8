"""The denoising loop against the textbook's three branches, and its promises: seed, cancel, redraw."""

from typing import Any

import pytest
import torch

from editworld_core.engines.build import build_scheduler, build_unet
from editworld_core.engines.parts import TextConditions
from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec, recolour
from editworld_core.errors import EditCancelledError
from editworld_core.sampling import Guidance, Redraw, denoise


@pytest.fixture(scope="module")
def unet() -> Any:
    torch.manual_seed(0)
    unet = build_unet(channels=(16, 32), layers_per_block=1, heads=2, codec_factor=2).eval()
    for parameter in unet.conv_out.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    return unet


@pytest.fixture(scope="module")
def told() -> TextConditions:
    generator = torch.Generator().manual_seed(2)
    return TextConditions(
        torch.randn(1, 48, 384, generator=generator),
        {"class_labels": torch.randn(1, 384, generator=generator)},
    )


def _source(height: int = 16, width: int = 16) -> torch.Tensor:
    return torch.rand(1, 12, height, width, generator=torch.Generator().manual_seed(3)) * 2 - 1


def _denoise(
    unet: Any, told: TextConditions, guidance: Guidance, seed: int = 0, **options: Any
) -> torch.Tensor:
    return denoise(
        unet,
        build_scheduler(),
        options.pop("source", _source()),
        told,
        MiniLMEncoder().nothing([""]),
        steps=4,
        guidance=guidance,
        generator=torch.Generator().manual_seed(seed),
        **options,
    )


def _three_branches(unet: Any, told: TextConditions, text: float, image: float) -> torch.Tensor:
    """Equation 3 of InstructPix2Pix, one branch at a time."""
    source, scheduler = _source(), build_scheduler()
    latents = torch.randn(source.shape, generator=torch.Generator().manual_seed(0))
    scheduler.set_timesteps(4)
    for timestep in scheduler.timesteps:

        def predict(picture: torch.Tensor, context: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
            return unet(torch.cat([latents, picture], 1), timestep, context, class_labels=pooled).sample  # noqa: B023

        zeros = torch.zeros(1, 48, 384), torch.zeros(1, 384)
        both = predict(source, told.context, told.added["class_labels"])
        picture, none = predict(source, *zeros), predict(torch.zeros_like(source), *zeros)
        guided = none + image * (picture - none) + text * (both - picture)
        latents = scheduler.step(guided, timestep, latents).prev_sample
    return latents


@pytest.mark.parametrize(("text", "image"), [(3.0, 1.5), (2.0, 1.0), (1.5, 1.5), (1.0, 1.0)])
def test_guidance_is_equation_3_though_branches_of_no_weight_are_left_out(
    unet: Any, told: TextConditions, text: float, image: float
) -> None:
    with torch.no_grad():
        expected = _three_branches(unet, told, text, image)
    torch.testing.assert_close(_denoise(unet, told, Guidance(text, image)), expected, atol=2e-4, rtol=1e-3)


def test_only_branches_that_matter_are_run() -> None:
    assert [len(Guidance(*pair).branches()) for pair in ((3, 1.5), (3, 1), (1.5, 1.5), (1, 1))] == [
        3,
        2,
        2,
        1,
    ]


def test_the_seed_decides(unet: Any, told: TextConditions) -> None:
    first, again, other = (_denoise(unet, told, Guidance(2, 1), seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_stop_comes_at_the_step_s_end(unet: Any, told: TextConditions) -> None:
    steps: list[int] = []

    def stop_at_two(done: int, total: int) -> None:
        steps.append(done)
        if done == 2:
            raise EditCancelledError("stopped")

    with pytest.raises(EditCancelledError):
        _denoise(unet, told, Guidance(2, 1), progress=stop_at_two)
    assert steps == [1, 2]


def test_redrawing_leaves_the_rest_alone(unet: Any, told: TextConditions) -> None:
    source = _source()
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:9, 6:12] = 1
    result = _denoise(unet, told, Guidance(2, 1), redraw=Redraw(source + 0.1, 0.5, source, mask))
    outside = (mask == 0).expand_as(source)
    assert torch.equal(result[outside], source[outside])
    assert not torch.equal(result[~outside], source[~outside])


def test_an_untrained_unet_gives_back_its_source(told: TextConditions) -> None:
    fresh = build_unet(channels=(16, 32), layers_per_block=1, heads=2, codec_factor=2).eval()
    torch.testing.assert_close(_denoise(fresh, told, Guidance(2, 1)), _source(), atol=1e-5, rtol=0)


def test_the_codec_loses_nothing_and_recolours_pixels() -> None:
    pixels = torch.rand(2, 3, 24, 40) * 2 - 1
    codec = SpaceToDepthCodec(8)
    latents = codec.encode(pixels)
    assert torch.equal(codec.decode(latents), pixels)
    affine = torch.zeros(2, 12, 3, 5)
    affine[:, [0, 4, 8]] = -0.5
    affine[:, 9:] = 0.25
    kept, offset = recolour(latents, affine)
    torch.testing.assert_close(codec.decode(kept), 0.5 * pixels)
    torch.testing.assert_close(codec.decode(offset), torch.full_like(pixels, 0.25))
