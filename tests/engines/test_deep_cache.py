"""Remembered deep features: exact when nothing changed, and less work."""

from typing import Any

import pytest
import torch

from editworld_core.engines.deep_cache import DeepCache
from editworld_core.engines.parts import TextConditions
from editworld_core.sampling import Guidance, Shortcuts, denoise
from tests.engines.tiny_sd import tiny_unet


@pytest.fixture(scope="module")
def unet() -> Any:
    torch.manual_seed(0)
    return tiny_unet(block_out_channels=(16, 32, 32), **_THREE_LEVELS).eval()


_THREE_LEVELS = {
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
}


def _inputs(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sample = torch.randn(2, 8, height, width, generator=generator)
    return sample, torch.tensor(500), torch.randn(2, 7, 32, generator=generator)


@pytest.mark.parametrize("size", [(16, 16), (12, 20), (13, 18)])
def test_a_shallow_pass_equals_a_full_one_if_nothing_changed(unet: Any, size: tuple[int, int]) -> None:
    inputs, cache = _inputs(*size), DeepCache(unet)
    with torch.no_grad(), cache.remembering():
        full = unet(*inputs).sample
        with cache.shallow():
            shallow = unet(*inputs).sample
        again = unet(*inputs).sample
    assert torch.equal(shallow, full)
    assert torch.equal(again, full)


def test_a_shallow_pass_sees_what_is_new_at_the_top_and_runs_nothing_below(unet: Any) -> None:
    sample, timestep, context = _inputs(16, 16)
    runs: list[str] = []
    hook = unet.mid_block.register_forward_hook(lambda *_: runs.append("mid"))
    cache = DeepCache(unet)
    with torch.no_grad(), cache.remembering():
        full = unet(sample, timestep, context).sample
        with cache.shallow():
            shallow = unet(sample + 0.1, timestep, context).sample
    hook.remove()
    assert runs == ["mid"]
    assert not torch.equal(shallow, full)


def test_the_unet_is_whole_again_even_after_an_error(unet: Any) -> None:
    parts = unet.down_blocks, unet.mid_block, unet.up_blocks, unet.down_blocks[0].downsamplers
    cache = DeepCache(unet)
    with pytest.raises(ValueError, match="full step first"), cache.shallow():
        pass
    with torch.no_grad(), cache.remembering():
        unet(*_inputs(16, 16))
        with pytest.raises(RuntimeError), cache.shallow():
            unet(*_inputs(8, 8))  # the remembered features have another size
    now = unet.down_blocks, unet.mid_block, unet.up_blocks, unet.down_blocks[0].downsamplers
    assert all(a is b for a, b in zip(parts, now, strict=True))


def test_guidance_in_an_interval_runs_the_conditional_branch_alone_outside_it(unet: Any) -> None:
    from diffusers import DDIMScheduler

    sizes: list[int] = []
    hook = unet.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    generator = torch.Generator().manual_seed(0)
    words, empty = torch.randn(2, 1, 7, 32, generator=generator)
    denoise(
        unet,
        DDIMScheduler(),
        torch.randn(1, 4, 16, 16, generator=generator),
        TextConditions(words, {}),
        TextConditions(empty, {}),
        steps=5,
        guidance=Guidance(5.0, 1.5),
        generator=generator,
        shortcuts=Shortcuts(guided=(0.2, 0.6)),
    )
    hook.remove()
    assert sizes == [1, 3, 3, 1, 1]


def test_deep_levels_run_again_when_the_branches_change(unet: Any) -> None:
    from diffusers import DDIMScheduler

    runs: list[int] = []
    hook = unet.mid_block.register_forward_hook(lambda _, given, out: runs.append(len(out)))
    generator = torch.Generator().manual_seed(0)
    words, empty = torch.randn(2, 1, 7, 32, generator=generator)
    denoise(
        unet,
        DDIMScheduler(),
        torch.randn(1, 4, 16, 16, generator=generator),
        TextConditions(words, {}),
        TextConditions(empty, {}),
        steps=6,
        guidance=Guidance(5.0, 1.5),
        generator=generator,
        shortcuts=Shortcuts(guided=(0.0, 0.5), deep_every=2),
    )
    hook.remove()
    assert runs == [3, 3, 1, 1]  # steps 0 and 2, the change at step 3, step 4
