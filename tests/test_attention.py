"""The recorder against a plain softmax, on tiny random UNets of diffusers."""

import numpy as np
import pytest
import torch
from diffusers import UNet2DConditionModel

from editworld_core.attention import AttentionMaps, AttentionRecorder, grid_of
from editworld_core.engines.deep_cache import DeepCache

POSITIONS, WIDTH = 7, 24


@pytest.fixture(scope="module")
def unet() -> UNet2DConditionModel:
    torch.manual_seed(0)
    return UNet2DConditionModel(
        in_channels=8,
        out_channels=4,
        block_out_channels=(16, 32),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=WIDTH,
        attention_head_dim=4,
        norm_num_groups=8,
    ).eval()


def _inputs(height: int, width: int, branches: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return (
        torch.randn(branches, 8, height, width, generator=generator),
        torch.randn(branches, POSITIONS, WIDTH, generator=generator),
    )


@pytest.mark.parametrize("grid", [(16, 16), (8, 24), (12, 20)])
def test_maps_equal_a_plain_softmax_of_queries_and_keys(
    unet: UNet2DConditionModel, grid: tuple[int, int]
) -> None:
    sample, context = _inputs(*grid)
    seen: dict[str, np.ndarray] = {}

    def plain(name: str, layer: torch.nn.Module):  # type: ignore[no-untyped-def]
        def hook(_: torch.nn.Module, args: tuple, kwargs: dict, __: torch.Tensor) -> None:
            hidden = args[0] if args else kwargs["hidden_states"]
            told = kwargs["encoder_hidden_states"]
            heads = []
            for query, key in zip(
                layer.to_q(hidden[:1]).chunk(layer.heads, -1),
                layer.to_k(told[:1]).chunk(layer.heads, -1),
                strict=True,
            ):
                scores = query[0] @ key[0].T / query.shape[-1] ** 0.5
                exponents = torch.exp(scores - scores.max(-1, keepdim=True).values)
                heads.append(exponents / exponents.sum(-1, keepdim=True))
            seen[name] = torch.stack(heads).mean(0).T.detach().numpy()

        return hook

    hooks = [
        layer.register_forward_hook(plain(name, layer), with_kwargs=True)
        for name, layer in unet.named_modules()
        if name.endswith("attn2")
    ]
    recorder = AttentionRecorder()
    with torch.no_grad(), recorder.watch(unet, grid):
        unet(sample, 5, context)
    for hook in hooks:
        hook.remove()
    layers = recorder.maps().layers
    assert set(layers) == set(seen)
    for name, stack in layers.items():
        np.testing.assert_allclose(stack[0].reshape(POSITIONS, -1), seen[name], atol=1e-6)
        np.testing.assert_allclose(stack.sum(1), 1, atol=1e-5)


def test_the_output_is_bit_identical_and_the_processors_come_back(unet: UNet2DConditionModel) -> None:
    sample, context = _inputs(16, 16)
    before = dict(unet.attn_processors)
    with torch.no_grad():
        plain = unet(sample, 5, context).sample
        with AttentionRecorder().watch(unet, (16, 16)):
            recorded = unet(sample, 5, context).sample
    assert torch.equal(plain, recorded)
    assert all(unet.attn_processors[name] is processor for name, processor in before.items())


def test_only_the_conditional_branch_is_recorded(unet: UNet2DConditionModel) -> None:
    sample, context = _inputs(16, 16)
    alone, together = AttentionRecorder(), AttentionRecorder()
    with torch.no_grad():
        with alone.watch(unet, (16, 16)):
            unet(sample[:1], 5, context[:1])
        with together.watch(unet, (16, 16)):
            unet(sample, 5, context)
    for name, stack in alone.maps().layers.items():
        np.testing.assert_allclose(stack, together.maps().layers[name], atol=1e-5)


def test_steps_tokens_and_large_layers(unet: UNet2DConditionModel) -> None:
    sample, context = _inputs(16, 16)
    recorder = AttentionRecorder(max_cells=8, positions=[2, 5])
    with torch.no_grad(), recorder.watch(unet, (16, 16)):
        for timestep in (9, 5, 1):
            unet(sample, timestep, context)
    assert {stack.shape for stack in recorder.maps().layers.values()} == {(3, 2, 8, 8)}


def test_a_map_sums_positions_and_averages_layers_and_steps() -> None:
    values = np.random.default_rng(0).random((2, 4, 16, 16)).astype(np.float32)
    maps = AttentionMaps({"down": values, "up": 3 * values, "mid_block": values[..., :8, :8]})
    expected = 2 * (values[1, 1] + values[1, 3])
    np.testing.assert_allclose(maps.map([1, 3], steps=[1]), expected, rtol=1e-5)


def test_nothing_recorded_is_said() -> None:
    with pytest.raises(ValueError, match="No attention was recorded"):
        AttentionRecorder().maps()


@pytest.mark.parametrize(
    ("cells", "grid", "expected"), [(60, (12, 20), (6, 10)), (15, (12, 20), (3, 5)), (9, (5, 5), (3, 3))]
)
def test_grid_of_a_layer(cells: int, grid: tuple[int, int], expected: tuple[int, int]) -> None:
    assert grid_of(cells, grid) == expected


def test_layers_that_a_short_cut_leaves_out_know_which_steps_they_were_in(unet: UNet2DConditionModel) -> None:
    sample, context = _inputs(16, 16)
    recorder, cache = AttentionRecorder(), DeepCache(unet)
    with torch.no_grad(), recorder.watch(unet, (16, 16)), cache.remembering():
        unet(sample, 9, context)
        with cache.shallow():
            unet(sample, 5, context)
        unet(sample, 1, context)
    maps = recorder.maps()
    steps = {stack.shape[-1]: maps.steps_of(name) for name, stack in maps.layers.items()}
    assert steps == {16: (1, 2, 3), 8: (1, 3)}
    unet(sample, 1, context)  # outside the block nothing counts
    assert recorder.maps().numbers == maps.numbers
