"""The recorder of joint attention against a plain softmax, on tiny random transformers of diffusers."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import Flux2Transformer2DModel, FluxTransformer2DModel, QwenImageTransformer2DModel

from editworld_core.attention import AttentionRecorder
from editworld_core.joint_attention import double_stream_layers, joint_probabilities, watching_joint
from editworld_core.masks import mask_from_maps

TEXT, CHANNELS, WIDTH = 11, 8, 12
MODULES = {
    "qwen": "diffusers.models.transformers.transformer_qwenimage",
    "flux": "diffusers.models.transformers.transformer_flux",
    "flux2": "diffusers.models.transformers.transformer_flux2",
}
Kind = str
Grid = tuple[int, int]


def _transformer(kind: Kind, layers: int = 2) -> torch.nn.Module:
    torch.manual_seed(0)
    common = {
        "in_channels": CHANNELS,
        "num_layers": layers,
        "attention_head_dim": 16,
        "num_attention_heads": 3,
        "joint_attention_dim": WIDTH,
    }
    if kind == "qwen":
        model = QwenImageTransformer2DModel(
            **common, patch_size=1, out_channels=CHANNELS, axes_dims_rope=(4, 6, 6), zero_cond_t=True
        )
    elif kind == "flux":
        model = FluxTransformer2DModel(
            **common, num_single_layers=2, pooled_projection_dim=10, axes_dims_rope=(4, 6, 6)
        )
    else:
        model = Flux2Transformer2DModel(
            **common,
            num_single_layers=2,
            axes_dims_rope=(4, 4, 4, 4),
            timestep_guidance_channels=16,
            guidance_embeds=False,
        )
    for name, parameter in model.named_parameters():  # far from the uniform attention that a fresh model has
        torch.nn.init.normal_(parameter, mean=1.5 if ".attn.norm_" in name else 0.0, std=0.4)
    return model.eval()


def _ids(grid: Grid, picture: int, axes: int) -> torch.Tensor:
    ids = torch.zeros(*grid, axes)
    ids[..., 0], ids[..., 1], ids[..., 2] = (
        picture,
        torch.arange(grid[0])[:, None],
        torch.arange(grid[1])[None],
    )
    return ids.reshape(-1, axes)


def _inputs(kind: Kind, grid: Grid, reference: Grid, seed: int = 1, text: int = TEXT) -> dict[str, Any]:
    """What a pipeline passes: the new picture's latents first, then those of the reference picture."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    tokens = grid[0] * grid[1] + reference[0] * reference[1]
    given = {
        "hidden_states": noise(1, tokens, CHANNELS),
        "encoder_hidden_states": noise(1, text, WIDTH),
        "timestep": torch.tensor([0.7]),
        "return_dict": False,
    }
    if kind == "qwen":
        return given | {"img_shapes": [[(1, *grid), (1, *reference)]]}
    axes = 3 if kind == "flux" else 4
    picture_ids = torch.cat([_ids(grid, 0, axes), _ids(reference, 1, axes)])
    text_ids = torch.zeros(text, axes)
    if kind == "flux2":
        text_ids[:, 3] = torch.arange(text)
    given |= {"img_ids": picture_ids, "txt_ids": text_ids}
    return given | ({"pooled_projections": noise(1, 10)} if kind == "flux" else {})


@contextmanager
def _queries_and_keys(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[tuple[torch.Tensor, ...]]]:
    """The very tensors that the model gives to its attention function, layer after layer."""
    module, seen = import_module(MODULES[kind]), []
    inside: Callable[..., torch.Tensor] = module.dispatch_attention_fn

    def spy(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **options: Any) -> torch.Tensor:
        seen.append((query.clone(), key.clone(), options.get("attn_mask")))
        return inside(query, key, value, **options)

    with monkeypatch.context() as patch:
        patch.setattr(module, "dispatch_attention_fn", spy)
        yield seen


def _plain(
    query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, text: int, grid: Grid
) -> np.ndarray:
    """Softmax over all keys, head by head, by its definition: [text, h, w]."""
    heads = []
    for head in range(query.shape[2]):
        scores = query[0, :, head].double() @ key[0, :, head].double().T / query.shape[-1] ** 0.5
        exponents = torch.exp(scores)
        if mask is not None:
            exponents = exponents * mask.reshape(1, -1)
        heads.append(exponents / exponents.sum(-1, keepdim=True))
    mean = torch.stack(heads).mean(0)
    return mean[text : text + grid[0] * grid[1], :text].T.reshape(text, *grid).numpy()


def _attention_layers(transformer: torch.nn.Module) -> list[str]:
    singles = len(getattr(transformer, "single_transformer_blocks", ()))
    doubles = len(transformer.transformer_blocks)
    return [f"transformer_blocks.{i}.attn" for i in range(doubles)] + [
        f"single_transformer_blocks.{i}.attn" for i in range(singles)
    ]


@pytest.mark.parametrize("kind", MODULES)
@pytest.mark.parametrize("grid, reference", [((4, 4), (4, 4)), ((3, 7), (5, 4)), ((8, 2), (6, 3))])
def test_maps_equal_a_plain_softmax_of_the_very_queries_and_keys(
    kind: Kind, grid: Grid, reference: Grid, monkeypatch: pytest.MonkeyPatch
) -> None:
    transformer, given = _transformer(kind), _inputs(kind, grid, reference)
    layers = _attention_layers(transformer)
    recorder = AttentionRecorder()
    with torch.no_grad():
        untouched = transformer(**given)[0]
        with (
            _queries_and_keys(kind, monkeypatch) as seen,
            watching_joint(recorder, transformer, grid, range(2, 9), layers),
        ):
            watched = transformer(**given)[0]
    assert torch.equal(watched, untouched)
    maps = recorder.maps()
    assert list(maps.layers) == layers
    assert len(seen) == len(layers)
    for name, (query, key, mask) in zip(layers, seen, strict=True):
        expected = _plain(query, key, mask, TEXT, grid)[2:9]
        assert maps.layers[name].shape == (1, 7, *grid)
        assert maps.layers[name].dtype == np.float32
        np.testing.assert_allclose(maps.layers[name][0], expected, atol=2e-6)
        assert expected.std() > 0.002  # the softmax is far from uniform, so agreement means something


@pytest.mark.parametrize("kind", MODULES)
def test_only_the_call_with_the_words_is_recorded(kind: Kind) -> None:
    transformer, grid = _transformer(kind), (3, 5)
    words, nothing = _inputs(kind, grid, (4, 4)), _inputs(kind, grid, (4, 4), seed=2, text=5)
    nothing |= {"hidden_states": words["hidden_states"]}
    both, alone = AttentionRecorder(), AttentionRecorder()
    with torch.no_grad():
        with watching_joint(both, transformer, grid, range(1, 4)):
            for _ in range(3):
                transformer(**words)
                transformer(**nothing)
        with watching_joint(alone, transformer, grid, range(1, 4)):
            transformer(**words)
    for name, stack in both.maps().layers.items():
        assert stack.shape == (3, 3, *grid)
        for step in stack:
            np.testing.assert_array_equal(step, alone.maps().layers[name][0])


def test_positions_may_count_from_the_end_of_the_text() -> None:
    transformer, grid = _transformer("qwen"), (3, 5)
    given = _inputs("qwen", grid, (4, 4))
    kept = []
    for positions in (range(TEXT - 6, TEXT - 2), range(-6, -2)):
        recorder = AttentionRecorder()
        with torch.no_grad(), watching_joint(recorder, transformer, grid, positions):
            transformer(**given)
        kept.append(recorder.maps().layers["transformer_blocks.0.attn"])
    np.testing.assert_array_equal(*kept)


def test_the_recorder_chooses_among_the_positions() -> None:
    transformer, grid = _transformer("flux2"), (3, 5)
    given, kept = _inputs("flux2", grid, (4, 4)), []
    for chosen in (None, range(2), [3, 1]):
        recorder = AttentionRecorder(positions=chosen)
        with torch.no_grad(), watching_joint(recorder, transformer, grid, range(4, 9)):
            transformer(**given)
        kept.append(recorder.maps().layers["transformer_blocks.0.attn"][0])
    np.testing.assert_array_equal(kept[1], kept[0][:2])
    np.testing.assert_array_equal(kept[2], kept[0][[3, 1]])


def test_padded_words_take_no_part(monkeypatch: pytest.MonkeyPatch) -> None:
    transformer, grid = _transformer("qwen"), (3, 5)
    given = _inputs("qwen", grid, (4, 4))
    present = torch.ones(1, TEXT, dtype=torch.bool)
    present[:, [1, 9, 10]] = False
    recorder = AttentionRecorder()
    with (
        torch.no_grad(),
        _queries_and_keys("qwen", monkeypatch) as seen,
        watching_joint(recorder, transformer, grid, range(TEXT), ["transformer_blocks.1.attn"]),
    ):
        transformer(**given, encoder_hidden_states_mask=present)
    stack = recorder.maps().layers["transformer_blocks.1.attn"][0]
    np.testing.assert_allclose(stack, _plain(*seen[1], TEXT, grid), atol=2e-6)
    assert not stack[[1, 9, 10]].any()


@pytest.mark.parametrize("kind", MODULES)
def test_nothing_stays_behind_even_after_an_exception(kind: Kind) -> None:
    transformer, grid = _transformer(kind), (3, 5)
    processors = dict(transformer.attn_processors)

    def hooks() -> int:
        return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in transformer.modules())

    before = hooks()
    with watching_joint(AttentionRecorder(), transformer, grid, range(3)):
        assert hooks() > before
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match="more cells"),  # raised by a hook, inside the model
        watching_joint(AttentionRecorder(), transformer, (30, 50), range(3)),
    ):
        transformer(**_inputs(kind, grid, (4, 4)))
    assert hooks() == before
    assert transformer.attn_processors == processors


def test_layers_are_spread_over_the_double_stream_blocks() -> None:
    assert double_stream_layers(_transformer("flux2")) == (
        "transformer_blocks.0.attn",
        "transformer_blocks.1.attn",
    )
    names = double_stream_layers(_transformer("flux", layers=11), every=4)
    assert names == ("transformer_blocks.2.attn", "transformer_blocks.6.attn", "transformer_blocks.10.attn")
    assert len(double_stream_layers(_transformer("qwen", layers=23))) == 5
    assert double_stream_layers(_transformer("qwen", layers=1), every=9) == ("transformer_blocks.0.attn",)


def test_what_does_not_fit_is_refused() -> None:
    transformer, grid = _transformer("flux"), (3, 5)
    other = watching_joint(AttentionRecorder(), torch.nn.Linear(2, 2), grid, range(3))
    with pytest.raises(ValueError, match="Linear is not known"):
        other.__enter__()
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match="do not lie in a text of 11 tokens"),
        watching_joint(AttentionRecorder(), transformer, grid, range(9, 12)),
    ):
        transformer(**_inputs("flux", grid, (4, 4)))


def test_chunks_give_what_one_softmax_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(n, 4, 16, generator=generator) * 3 for n in (50, 90))
    whole = torch.softmax(torch.einsum("qhd,khd->hqk", query, key) / 4, -1).mean(0)[:, 5:20]
    monkeypatch.setattr("editworld_core.joint_attention.SCORES", 4 * 90 * 7)  # seven rows at a time
    torch.testing.assert_close(joint_probabilities(query, key, slice(5, 20)), whole, atol=1e-6, rtol=1e-5)


def test_half_precision_stays_near_single_precision() -> None:
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(n, 4, 16, generator=generator) for n in (50, 90))
    half = joint_probabilities(query.bfloat16(), key.bfloat16(), slice(0, 20))
    exact = joint_probabilities(query.bfloat16().float(), key.bfloat16().float(), slice(0, 20))
    assert half.dtype == torch.float32
    assert (half - exact).abs().max() < 0.02 * exact.max()


def test_the_maps_make_masks() -> None:
    transformer, grid = _transformer("flux2"), (6, 9)
    recorder = AttentionRecorder()
    with torch.no_grad(), watching_joint(recorder, transformer, grid, range(2, 6)):
        transformer(**_inputs("flux2", grid, (4, 4)))
    maps = [recorder.maps().map([position]) for position in (0, 2)]
    assert all(map.shape == grid for map in maps)
    for rule in ("paper", "otsu"):
        mask = mask_from_maps(maps, rule, 0.8125, (96, 144))
        assert mask.shape == (96, 144)
        assert mask.any()
