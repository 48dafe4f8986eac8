"""Our Stable Diffusion path against diffusers' own pipelines on the same weights, and what it refuses."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)
from PIL import Image

from editworld_core.attention import AttentionRecorder
from editworld_core.engines.load import load
from editworld_core.engines.place import Place
from editworld_core.engines.registry import row_for
from editworld_core.engines.stable_diffusion import FAST
from editworld_core.engines.unet import UNetEngine
from editworld_core.errors import EngineUnavailableError
from editworld_core.sampling import Guidance, denoise
from editworld_core.settings import EditSettings
from tests.engines.original_format import into_hub_cache, original_weights
from tests.engines.tiny_sd import tiny_sd15, tiny_sdxl

EXACT = EditSettings(speed="exact", steps=4, seed=3, text_guidance=7.5, image_guidance=1.5)
SCHEDULERS = [
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
]


def picture(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def model(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Any, UNetEngine]:
    """Which family, the unmodified pipeline, and our engine on the same saved weights."""
    folder = tmp_path_factory.mktemp("models")
    pipeline = {"sd15": tiny_sd15, "sdxl": tiny_sdxl}[request.param](folder / "tokenizer")
    pipeline.set_progress_bar_config(disable=True)
    pipeline.save_pretrained(folder / request.param)
    return request.param, pipeline, _engine(folder / request.param)


def _engine(folder: Path, **options: Any) -> UNetEngine:
    engine = load(str(folder), row_for(str(folder)).info, Place(), **options)
    assert isinstance(engine, UNetEngine)
    return engine


def _latents(
    engine: UNetEngine, images: list[Image.Image], texts: list[str], settings: EditSettings
) -> torch.Tensor:
    """What ``engine`` draws, before it is decoded."""
    seen: list[torch.Tensor] = []
    decode = engine.codec.decode

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(engine.codec, name)

        def decode(self, latents: torch.Tensor) -> torch.Tensor:
            seen.append(latents)
            return decode(latents)

    replace(engine, codec=Spy()).edit_batch(images, texts, settings)
    return seen[0]


def _theirs(
    family: str, pipeline: Any, images: list[Image.Image], texts: list[str], settings: EditSettings
) -> Any:
    size = {"height": images[0].height, "width": images[0].width} if family == "sdxl" else {}
    return pipeline(
        texts,
        image=images,
        num_inference_steps=settings.steps,
        guidance_scale=settings.text_guidance,
        image_guidance_scale=settings.image_guidance,
        negative_prompt=[settings.negative] * len(texts) if settings.negative else None,
        generator=torch.Generator().manual_seed(settings.seed or 0),
        output_type="latent",
        **size,
    ).images


def _assert_equal(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Within 1e-4 of the latents' scale, which random weights drive up to 20."""
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= 1e-4 * max(1.0, float(theirs.std()))


@pytest.mark.parametrize("scheduler", SCHEDULERS, ids=lambda kind: kind.__name__)
def test_every_scheduler_gives_what_diffusers_gives(
    model: tuple[str, Any, UNetEngine], scheduler: Any
) -> None:
    family, pipeline, engine = model
    pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
    ours = _latents(
        replace(engine, scheduler=pipeline.scheduler), [picture(64, 64)], ["the sun comes out"], EXACT
    )
    theirs = _theirs(family, pipeline, [picture(64, 64)], ["the sun comes out"], EXACT)
    _assert_equal(ours, theirs)


@pytest.mark.parametrize(
    ("size", "settings", "batch"),
    [
        ((96, 64), EXACT, 1),
        ((64, 112), replace(EXACT, negative="blurred rain"), 1),
        ((68, 76), replace(EXACT, text_guidance=3.0, image_guidance=1.0), 1),
        ((64, 64), replace(EXACT, text_guidance=2.0, image_guidance=2.0), 1),
        ((80, 64), replace(EXACT, negative="rain"), 3),
    ],
)
def test_sizes_negative_prompts_guidances_and_batches_give_what_diffusers_gives(
    model: tuple[str, Any, UNetEngine], size: tuple[int, int], settings: EditSettings, batch: int
) -> None:
    family, pipeline, engine = model
    pipeline.scheduler = engine.scheduler
    images = [picture(*size, seed) for seed in range(batch)]
    texts = ["the sun comes out", "snowman melts", "rain"][:batch]
    ours, theirs = (
        _latents(engine, images, texts, settings),
        _theirs(family, pipeline, images, texts, settings),
    )
    _assert_equal(ours, theirs)


def test_the_picture_is_decoded_as_diffusers_decodes_it(model: tuple[str, Any, UNetEngine]) -> None:
    family, pipeline, engine = model
    pipeline.scheduler = engine.scheduler
    theirs = pipeline(
        "the sun comes out",
        image=picture(64, 64),
        num_inference_steps=4,
        guidance_scale=7.5,
        image_guidance_scale=1.5,
        generator=torch.Generator().manual_seed(3),
        **({"height": 64, "width": 64} if family == "sdxl" else {}),
    ).images[0]
    ours = engine.edit(picture(64, 64), "the sun comes out", EXACT)
    assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1


def test_recording_leaves_the_picture_and_finds_the_words(model: tuple[str, Any, UNetEngine]) -> None:
    _, _, engine = model
    recorder = AttentionRecorder()
    recorded = engine.edit(picture(64, 96), "the snowman melts", EXACT, recorder)
    assert recorded.tobytes() == engine.edit(picture(64, 96), "the snowman melts", EXACT).tobytes()
    words = {token.word: token.positions for token in engine.tokens("the snowman melts")}
    assert words == {"the": (1,), "snowman": (2,), "melts": (3,)}
    assert recorder.maps().map(words["snowman"], cells=24).shape == (24, 16)


def test_a_word_of_several_tokens_has_all_of_them(model: tuple[str, Any, UNetEngine]) -> None:
    assert [len(token.positions) for token in model[2].tokens("the zebra, the sun")] == [1, 5, 1, 1]


def test_fast_takes_its_own_solver_and_short_cuts(model: tuple[str, Any, UNetEngine]) -> None:
    _, _, engine = model
    fast = _latents(engine, [picture(64, 64)], ["the sun"], replace(EXACT, speed="fast"))
    told, nothing = engine.encoder.encode(["the sun"], (64, 64)), engine.encoder.nothing([""], (64, 64))
    pixels = torch.from_numpy(np.array(picture(64, 64))).permute(2, 0, 1)[None] / 127.5 - 1
    expected = denoise(
        engine.unet,
        DPMSolverMultistepScheduler.from_config(engine.scheduler.config),
        engine.codec.condition(pixels),
        told,
        nothing,
        steps=4,
        guidance=Guidance(7.5, 1.5),
        generator=torch.Generator().manual_seed(3),
        shortcuts=FAST,
    )
    _assert_equal(fast, expected)


def test_inpainting_keeps_the_latents_outside(model: tuple[str, Any, UNetEngine]) -> None:
    _, _, engine = model
    mask = np.zeros((64, 64), bool)
    mask[16:40, 20:44] = True
    before, after = picture(64, 64), picture(64, 64, 1)
    redrawn = np.asarray(engine.inpaint(before, after, mask, "rain", EXACT), int)
    pixels = torch.from_numpy(np.array(before)).permute(2, 0, 1)[None] / 127.5 - 1
    round_trip = np.asarray(_decoded(engine, pixels), int)
    far = np.ones((64, 64), bool)
    far[8:48, 12:52] = False
    inside = np.abs(redrawn - round_trip)[mask].mean()
    assert np.abs(redrawn - round_trip)[far].mean() < 0.5 * inside


def _decoded(engine: UNetEngine, pixels: torch.Tensor) -> Image.Image:
    decoded = engine.codec.decode(engine.codec.encode(pixels))
    return Image.fromarray(((decoded.clamp(-1, 1) + 1) * 127.5).round().byte()[0].permute(1, 2, 0).numpy())


# ---- LoRA


def _save_lora(pipeline: Any, folder: Path, width: int | None = None) -> dict[str, torch.Tensor]:
    """LoRA weights of rank 2 on the queries of every attention, in the format of diffusers' trainers."""
    from safetensors.torch import save_file

    generator = torch.Generator().manual_seed(5)
    weights: dict[str, torch.Tensor] = {}
    for name, layer in pipeline.unet.named_modules():
        if name.endswith("to_q"):
            wide = width or layer.in_features
            weights[f"unet.{name}.lora_A.weight"] = torch.randn(2, wide, generator=generator)
            weights[f"unet.{name}.lora_B.weight"] = torch.randn(layer.out_features, 2, generator=generator)
    folder.mkdir(exist_ok=True)
    save_file(weights, folder / "pytorch_lora_weights.safetensors")
    return weights


def test_a_lora_adds_its_product_to_the_weights(tmp_path: Path) -> None:
    pipeline = tiny_sd15(tmp_path / "tokenizer")
    pipeline.save_pretrained(tmp_path / "model")
    weights = _save_lora(pipeline, tmp_path / "lora")
    engine = _engine(tmp_path / "model", lora=str(tmp_path / "lora"), lora_scale=0.5)
    layer = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q"
    product = weights[f"unet.{layer}.lora_B.weight"] @ weights[f"unet.{layer}.lora_A.weight"]
    before = pipeline.unet.get_submodule(layer).weight
    torch.testing.assert_close(engine.unet.get_submodule(layer).weight, before + 0.5 * product)


def test_a_lora_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    pipeline = tiny_sd15(tmp_path / "tokenizer")
    pipeline.save_pretrained(tmp_path / "model")
    _save_lora(pipeline, tmp_path / "wide", width=99)
    with pytest.raises(EngineUnavailableError, match="was not made for"):
        _engine(tmp_path / "model", lora=str(tmp_path / "wide"))
    with pytest.raises(EngineUnavailableError, match="There are no LoRA weights"):
        _engine(tmp_path / "model", lora=str(tmp_path / "nowhere"))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "pytorch_lora_weights.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(EngineUnavailableError, match="damaged"):
        _engine(tmp_path / "model", lora=str(tmp_path / "torn"))


# ---- what cannot be loaded


def _truncate(folder: Path) -> None:
    path = folder / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


def _lose_vae(folder: Path) -> None:
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()


def _rename_class(folder: Path) -> None:
    path = folder / "model_index.json"
    path.write_text(
        path.read_text().replace("StableDiffusionInstructPix2PixPipeline", "StableVideoDiffusionPipeline")
    )


def _poison(folder: Path) -> None:
    """A pickle that would run code, in place of the weights."""
    import os
    import pickle

    class Bomb:
        def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
            return os.system, (f"touch {folder / 'exploded'}",)

    (folder / "unet" / "diffusion_pytorch_model.safetensors").unlink()
    (folder / "unet" / "diffusion_pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_truncate, "damaged"),
        (_lose_vae, "cannot be loaded"),
        (_rename_class, "does not edit by instruction"),
        (_poison, "cannot be loaded|damaged"),
    ],
)
def test_damage_is_a_sentence(tmp_path: Path, damage: Callable[[Path], None], sentence: str) -> None:
    folder = tmp_path / "model"
    tiny_sd15(tmp_path / "tokenizer").save_pretrained(folder)
    damage(folder)
    with pytest.raises(EngineUnavailableError, match=sentence) as caught:
        _engine(folder)
    assert "\n" not in str(caught.value)
    assert not (folder / "exploded").exists()


def test_a_unet_that_cannot_see_the_picture_is_refused(tmp_path: Path) -> None:
    tiny_sd15(tmp_path / "tokenizer", in_channels=4).save_pretrained(tmp_path / "model")
    with pytest.raises(EngineUnavailableError, match="has 4 input channels, so it cannot see the picture"):
        _engine(tmp_path / "model")


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.ckpt"):
        (tmp_path / name).write_bytes(b"not weights at all")
        with pytest.raises(EngineUnavailableError, match=r"damaged|cannot be loaded"):
            load(str(tmp_path / name), row_for(str(tmp_path / name)).info, Place())
    (tmp_path / "a.txt").write_text("no")
    with pytest.raises(EngineUnavailableError, match="is no file of weights"):
        load(str(tmp_path / "a.txt"), row_for(str(tmp_path / "a.txt")).info, Place())


# ---- a single file


@pytest.mark.parametrize("ending", ["safetensors", "ckpt"])
def test_a_single_file_of_the_original_format_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    from safetensors.torch import save_file

    pipeline = tiny_sd15(tmp_path / "tokenizer")
    into_hub_cache(pipeline, "timbrooks/instruct-pix2pix", tmp_path / "cache")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    path, weights = tmp_path / f"tuned.{ending}", original_weights(pipeline)
    if ending == "ckpt":
        torch.save({"state_dict": weights}, path)
    else:
        save_file(weights, path)
    pipeline.save_pretrained(tmp_path / "model")
    engine = load(str(path), row_for(str(path)).info, Place())
    assert isinstance(engine, UNetEngine)
    told = "the sun comes out"
    expected = _engine(tmp_path / "model").edit(picture(64, 64), told, EXACT)
    assert engine.edit(picture(64, 64), told, EXACT).tobytes() == expected.tobytes()
