"""The inpainters: ours against diffusers' pipelines called by hand on the same tiny weights, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionXLControlNetInpaintPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPImageProcessor,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from editworld_core import controlnet_inpainting
from editworld_core.controlnet_inpainting import (
    FAMILIES,
    ControlNetInpainter,
    canny_edges,
    controlnet_rows,
    load_model,
    whole_cells,
)
from editworld_core.engines.place import Place
from editworld_core.errors import BadInputError, EditCancelledError, EngineUnavailableError
from editworld_core.inpainting import EngineInpainter, NoInpainter, load_inpainter
from editworld_core.masks import Mask
from editworld_core.post_edit import post_edit
from editworld_core.segmentation import ClassicalSegmenter
from editworld_core.settings import EditSettings
from tests.engines.tiny_sd import tiny_tokenizer

SIDE = 32
SETTINGS = EditSettings(
    seed=3, inpaint_steps=5, inpaint_strength=0.8, canny_scale=0.7, image_prompt_scale=0.6
)
BLOCKS: dict[str, Any] = {
    "block_out_channels": (16, 32),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "attention_head_dim": 4,
    "norm_num_groups": 8,
}
XL: dict[str, Any] = {
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "transformer_layers_per_block": (1, 2),
    "projection_class_embeddings_input_dim": 80,
}


def tiny_pipeline(folder: Path, xl: bool, channels: int = 9) -> Any:
    """A ControlNet inpainting pipeline with random weights, of the class and with the parts of a real one."""
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer(folder)
    blocks = BLOCKS | {"cross_attention_dim": 64 if xl else 32} | (XL if xl else {})
    text = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=32,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    controlnet = ControlNetModel(in_channels=4, conditioning_embedding_out_channels=(16, 32), **blocks)
    for parameter in controlnet.parameters():  # a newborn ControlNet ends in zeros and says nothing
        if not parameter.any():
            torch.nn.init.normal_(parameter, std=0.3)
    parts: dict[str, Any] = {
        "vae": AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=4,
        ),
        "text_encoder": CLIPTextModel(text),
        "tokenizer": tokenizer,
        "unet": UNet2DConditionModel(
            sample_size=SIDE // 2,
            in_channels=channels,
            out_channels=4,
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            **blocks,
        ),
        "controlnet": controlnet,
    }
    if xl:
        pipeline = StableDiffusionXLControlNetInpaintPipeline(
            **parts,
            text_encoder_2=CLIPTextModelWithProjection(text),
            tokenizer_2=tokenizer,
            scheduler=EulerDiscreteScheduler(beta_schedule="scaled_linear"),
            add_watermarker=False,
        )
    else:
        pipeline = StableDiffusionControlNetInpaintPipeline(
            **parts,
            scheduler=DDIMScheduler(beta_schedule="scaled_linear", clip_sample=False),
            safety_checker=None,
            feature_extractor=CLIPImageProcessor(size=32, crop_size=32),
            requires_safety_checker=False,
        )
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval()
    return pipeline


def write_adapter(unet: UNet2DConditionModel, folder: Path) -> None:
    """An IP-Adapter for ``unet`` in the format of h94/IP-Adapter: keys and values of every cross-attention by its
    number among all attentions, and a projection of the picture's embedding to four tokens."""
    torch.manual_seed(1)
    width = unet.config.cross_attention_dim
    weights = {
        "image_proj.proj.weight": torch.randn(4 * width, 24),
        "image_proj.proj.bias": torch.randn(4 * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    modules = dict(unet.named_modules())
    for number, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            shape = modules[name.removesuffix(".processor")].to_k.weight.shape
            weights[f"ip_adapter.{number}.to_k_ip.weight"] = torch.randn(shape)
            weights[f"ip_adapter.{number}.to_v_ip.weight"] = torch.randn(shape)
    folder.mkdir()
    save_file(weights, folder / "ip-adapter.safetensors")
    vision = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=37,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=32,
        patch_size=8,
        projection_dim=24,
    )
    CLIPVisionModelWithProjection(vision).eval().save_pretrained(folder / "image_encoder")


def tiny_folder(folder: Path, xl: bool, **options: Any) -> Path:
    pipeline = tiny_pipeline(folder / "tokenizer", xl, **options)
    pipeline.save_pretrained(folder)
    write_adapter(pipeline.unet, folder / "ip_adapter")
    return folder


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved inpainter of either family."""
    return tiny_folder(tmp_path_factory.mktemp("inpainters") / request.param, request.param == "sdxl")


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("inpainters") / "one", xl=False)


def inpainter(folder: Path, settings: EditSettings = SETTINGS, **changes: Any) -> ControlNetInpainter:
    found = load_inpainter(str(folder), None, replace(settings, **changes), Place())
    assert isinstance(found, ControlNetInpainter)
    return found


def scene(size: tuple[int, int] = (SIDE, SIDE), ball: str = "red") -> Image.Image:
    """A gradient with a disc of colour ``ball``."""
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    picture = np.rint(np.stack([x, y, 1 - x], -1) * 255).astype(np.uint8)
    colour = {"red": (220, 20, 20), "white": (255, 255, 255), "black": (0, 0, 0)}[ball]
    centre = (size[0] // 2, size[1] // 2)
    cv2.circle(picture, centre, min(size) // (3 if ball == "red" else 5), colour, -1)
    return Image.fromarray(picture)


def square(size: tuple[int, int] = (SIDE, SIDE)) -> Mask:
    mask = np.zeros(size[::-1], bool)
    mask[size[1] // 4 : 3 * size[1] // 4, size[0] // 4 : 3 * size[0] // 4] = True
    return mask


def difference(one: Image.Image, other: Image.Image) -> float:
    return float(np.abs(np.asarray(one, float) - np.asarray(other, float)).mean())


# Against diffusers


def by_hand(
    folder: Path, original: Image.Image, edited: Image.Image, mask: Mask, prompt: str, settings: EditSettings
) -> Image.Image:
    """The paper's last step in diffusers' own words; pictures and mask fit the model already."""
    xl = (folder / "text_encoder_2").exists()
    pipeline = (
        StableDiffusionXLControlNetInpaintPipeline if xl else StableDiffusionControlNetInpaintPipeline
    ).from_pretrained(folder, **({"add_watermarker": False} if xl else {"safety_checker": None}))
    pipeline.load_ip_adapter(str(folder), subfolder="ip_adapter", weight_name="ip-adapter.safetensors")
    pipeline.set_ip_adapter_scale(settings.image_prompt_scale)
    pipeline.set_progress_bar_config(disable=True)
    edges = cv2.Canny(np.asarray(edited), 100, 200)
    negative = "monochrome, lowres, bad anatomy, worst quality, low quality"
    return pipeline(
        prompt,
        negative_prompt=f"{settings.negative}, {negative}" if settings.negative else negative,
        image=Image.fromarray(np.where(mask[..., None], np.asarray(edited), np.asarray(original))),
        mask_image=Image.fromarray(np.where(mask, 255, 0).astype(np.uint8)),
        control_image=Image.fromarray(cv2.cvtColor(edges, cv2.COLOR_GRAY2RGB)),
        ip_adapter_image=original,
        strength=settings.inpaint_strength,
        num_inference_steps=settings.inpaint_steps,
        guidance_scale=5.0 if xl else 7.5,
        controlnet_conditioning_scale=float(settings.canny_scale),
        generator=torch.Generator().manual_seed(settings.seed or 0),
    ).images[0]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "the snowman melts"),
        ({"inpaint_strength": 1.0, "seed": 9, "negative": "blurred rain"}, "the snowman melts"),
        ({"canny_scale": 0.0, "image_prompt_scale": 1.3}, "the snowman melts"),
        ({"canny_scale": 1, "image_prompt_scale": 1, "inpaint_strength": 1}, "the snowman melts"),
        ({"outcome": "the sun comes out"}, "the sun comes out"),
    ],
)
def test_it_draws_what_diffusers_draws(folder: Path, changes: dict[str, Any], told: str) -> None:
    settings = replace(SETTINGS, **changes)
    before, after = scene(), scene(ball="white")
    ours = inpainter(folder, settings).inpaint(before, after, square(), "the snowman melts")
    theirs = by_hand(folder, before, after, square(), told, settings)
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))
    assert difference(ours, after) > 5  # something was drawn


def test_a_model_without_mask_channels_does_too(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "four", xl=False, channels=4)
    before, after = scene(), scene(ball="white")
    ours = inpainter(folder).inpaint(before, after, square(), "rain")
    assert np.array_equal(
        np.asarray(ours), np.asarray(by_hand(folder, before, after, square(), "rain", SETTINGS))
    )


def test_a_pickled_adapter_and_an_image_encoder_of_the_pipelines_own_load_as_well(
    folder: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    flat = load_file(other / "ip_adapter" / "ip-adapter.safetensors")
    nested: dict[str, dict[str, torch.Tensor]] = {"image_proj": {}, "ip_adapter": {}}
    for name, value in flat.items():
        part, key = name.split(".", 1)
        nested[part][key] = value
    torch.save(nested, other / "ip_adapter" / "ip-adapter.bin")
    (other / "ip_adapter" / "ip-adapter.safetensors").unlink()
    shutil.move(other / "ip_adapter" / "image_encoder", other / "image_encoder")
    index = json.loads((other / "model_index.json").read_text())
    index["image_encoder"] = ["transformers", "CLIPVisionModelWithProjection"]
    (other / "model_index.json").write_text(json.dumps(index))
    pictures = [
        inpainter(each).inpaint(scene(), scene(ball="white"), square(), "rain") for each in (folder, other)
    ]
    assert np.array_equal(*map(np.asarray, pictures))


# What steers


def test_the_edges_of_the_edit_steer(sd15: Path) -> None:
    """The same edit but for lines outside the mask, which only the ControlNet sees."""
    plain = scene(ball="white")
    lined = np.asarray(plain).copy()
    lined[: SIDE // 5, ::4] = 0
    pictures = {
        scale: [
            inpainter(sd15, canny_scale=scale).inpaint(scene(), edited, square(), "rain")
            for edited in (plain, Image.fromarray(lined))
        ]
        for scale in (0.0, 1.0)
    }
    assert difference(*pictures[0.0]) == 0
    assert difference(*pictures[1.0]) > 1


def test_the_original_is_seen_by_the_image_prompt_scale(sd15: Path) -> None:
    """Originals that differ only where the edit covers them."""
    edited = scene(ball="white")
    covered = [
        scene(),
        Image.fromarray(np.where(square()[..., None], 0, np.asarray(scene())).astype(np.uint8)),
    ]
    pictures = {
        scale: [
            inpainter(sd15, image_prompt_scale=scale).inpaint(original, edited, square(), "rain")
            for original in covered
        ]
        for scale in (0.0, 1.0)
    }
    assert difference(*pictures[0.0]) == 0
    assert difference(*pictures[1.0]) > 0.1
    assert difference(pictures[0.0][0], pictures[1.0][0]) > 1


def test_what_the_edit_shows_outside_the_mask_is_not_seen(sd15: Path) -> None:
    """Without edges to follow, drift of the editor outside the mask makes no difference."""
    before, after = scene(), scene(ball="white")
    drifted = np.clip(np.asarray(after, int) + np.where(square()[..., None], 0, 25), 0, 255).astype(np.uint8)
    one, other = (
        inpainter(sd15, canny_scale=0.0).inpaint(before, edited, square(), "rain")
        for edited in (after, Image.fromarray(drifted))
    )
    assert difference(one, other) == 0


def test_seed_and_settings_decide_and_nothing_else(sd15: Path) -> None:
    def draw(**changes: Any) -> Image.Image:
        return inpainter(sd15, **changes).inpaint(scene(), scene(ball="white"), square(), "rain")

    first = draw()
    assert difference(first, draw(seed=4)) > 0.1
    assert difference(first, draw(inpaint_strength=0.4)) > 0.1
    assert difference(first, draw()) == 0  # what other calls set in the pipeline is forgotten


# Sizes, masks, strengths, progress


@pytest.mark.parametrize("size", [(64, 64), (150, 90), (40, 57), (700, 500), (8, 64)])
def test_any_size_comes_back_at_its_own(folder: Path, size: tuple[int, int]) -> None:
    before, after = scene(size), scene(size, "white")
    redrawn = inpainter(folder, inpaint_steps=2).inpaint(before, after, square(size), "rain")
    assert redrawn.size == size
    assert redrawn.mode == "RGB"
    assert difference(redrawn, after) > 1


def test_masks_of_nothing_and_of_everything(sd15: Path) -> None:
    before, after = scene(), scene(ball="white")
    nothing, everything = np.zeros((SIDE, SIDE), bool), np.ones((SIDE, SIDE), bool)
    assert inpainter(sd15).inpaint(before, after, nothing, "rain") is after
    redrawn = inpainter(sd15).inpaint(before, after, everything, "rain")
    assert np.array_equal(
        np.asarray(redrawn), np.asarray(by_hand(sd15, before, after, everything, "rain", SETTINGS))
    )


@pytest.mark.parametrize(
    ("strength", "steps", "drawn"),
    [
        (0.0, 5, 0),
        (0.001, 5, 0),
        (0.01, 5, 1),
        (1 / 49, 49, 1),
        (0.3, 1, 1),
        (0.5, 4, 2),
        (1.0, 1, 1),
        (0.8, 50, 40),
    ],
)
def test_however_weak_at_least_one_step_is_drawn(
    sd15: Path, strength: float, steps: int | None, drawn: int
) -> None:
    seen: list[tuple[int, int]] = []
    edited = scene(ball="white")
    found = inpainter(sd15, inpaint_strength=strength, inpaint_steps=steps).inpaint(
        scene(), edited, square(), "rain", lambda done, total: seen.append((done, total))
    )
    assert seen == [(step + 1, drawn) for step in range(drawn)]
    assert (found is edited) == (drawn == 0)


@pytest.mark.parametrize("stop", [EditCancelledError("stopped"), KeyboardInterrupt()])
def test_what_progress_raises_stops_the_work_and_the_next_call_is_as_ever(
    folder: Path, stop: BaseException
) -> None:
    before, after = scene(), scene(ball="white")
    first = inpainter(folder).inpaint(before, after, square(), "rain")
    seen = []

    def progress(done: int, total: int) -> None:
        seen.append(done)
        if done == 2:
            raise stop

    with pytest.raises(type(stop)):
        inpainter(folder).inpaint(before, after, square(), "rain", progress)
    assert seen == [1, 2]
    assert difference(first, inpainter(folder).inpaint(before, after, square(), "rain")) == 0


def test_an_offloaded_model_that_was_stopped_leaves_the_device(folder: Path) -> None:
    """With the processor as the device: what diffusers would move is seen by its hooks."""
    before, after = scene(), scene(ball="white")
    first = inpainter(folder).inpaint(before, after, square(), "rain")
    offloaded = inpainter(folder)
    pipeline = offloaded.model.pipeline
    pipeline.enable_model_cpu_offload(device="cpu")
    hooks = list(pipeline._all_hooks)
    order = [type(hook.model).__name__ for hook in hooks]
    assert order.index("CLIPVisionModelWithProjection") < order.index("UNet2DConditionModel")

    def stop(done: int, total: int) -> None:
        raise EditCancelledError("stopped")

    with pytest.raises(EditCancelledError):
        offloaded.inpaint(before, after, square(), "rain", stop)
    assert not set(map(id, hooks)) & set(map(id, pipeline._all_hooks))  # all taken off and put on anew
    assert difference(first, offloaded.inpaint(before, after, square(), "rain")) == 0
    pipeline.remove_all_hooks()
    pipeline._all_hooks = []


def test_cells_cover_the_mask_and_no_more_than_they_must() -> None:
    line = np.zeros((100, 60), bool)
    line[:, 33] = True
    cells = whole_cells(line, (48, 80), 8)
    assert cells.shape == (80, 48)
    assert cells[:, 24:32].all()  # pixel 33 of 60 is pixel 26 of 48
    assert cells.sum() == 80 * 8


def test_edges_are_the_papers() -> None:
    picture = Image.new("RGB", (32, 32), "black")
    picture.paste("white", (16, 0, 32, 32))
    edges = np.asarray(canny_edges(picture))
    assert edges.shape == (32, 32, 3)
    assert set(np.unique(edges)) == {0, 255}
    assert set(np.flatnonzero(edges[16, :, 0])) <= {15, 16}
    faint = Image.new("RGB", (32, 32), (100, 100, 100))
    faint.paste((120, 120, 120), (16, 0, 32, 32))  # a gradient of 80, below both thresholds
    assert not np.asarray(canny_edges(faint)).any()


def test_half_precision_draws_nearly_the_same(folder: Path) -> None:
    before, after = scene(), scene(ball="white")
    coarse = load_inpainter(str(folder), None, SETTINGS, Place(dtype=torch.bfloat16))
    fine = inpainter(folder).inpaint(before, after, square(), "rain")
    assert difference(coarse.inpaint(before, after, square(), "rain"), fine) < 12


def test_after_the_post_edit_what_is_outside_is_untouched(folder: Path) -> None:
    size = (90, 70)
    original, edited = scene(size), scene(size, "black")
    result = post_edit(
        original,
        edited,
        square(size),
        None,
        "rain",
        segmenter=ClassicalSegmenter(),
        inpainter=inpainter(folder, inpaint_steps=2),
        feather=2,
    )
    assert 0 < result.mask.mean() < 1
    outside = ~result.mask
    assert np.array_equal(np.asarray(result.final)[outside], np.asarray(original)[outside])
    assert difference(result.final, original) > 0.5


# Choosing and loading


def test_a_model_is_loaded_once_until_another_takes_its_place(sd15: Path, tmp_path: Path) -> None:
    first = load_model(str(sd15), Place())
    assert load_model(str(sd15), Place()) is first
    load_model(str(shutil.copytree(sd15, tmp_path / "other")), Place())
    assert len(controlnet_inpainting._kept) == 1
    assert load_model(str(sd15), Place()) is not first


def test_names_choose_inpainters(sd15: Path) -> None:
    assert isinstance(load_inpainter("none", None, SETTINGS), NoInpainter)
    with pytest.raises(BadInputError, match="Without an engine"):
        load_inpainter("engine", None, SETTINGS)
    assert isinstance(load_inpainter("auto", None, SETTINGS), NoInpainter)


def test_the_engine_inpaints_with_itself(sd15: Path) -> None:
    from editworld_core.engines.registry import load_engine

    pocket = load_engine("pocket")
    own = load_inpainter("engine", pocket, SETTINGS)
    assert isinstance(own, EngineInpainter)
    assert own.engine is pocket
    assert isinstance(load_inpainter("auto", pocket, SETTINGS), NoInpainter)  # which makes its edits worse
    redrawing = SimpleNamespace(info=replace(pocket.info, redraws=True))
    assert isinstance(load_inpainter("auto", redrawing, SETTINGS), EngineInpainter)
    assert isinstance(load_inpainter(str(sd15), pocket, SETTINGS, Place()), ControlNetInpainter)


def _into_hub_cache(cache: Path, hub_id: str, folder: Path, under: str = "") -> None:
    """Lay ``folder`` where the hub's client keeps what it has downloaded."""
    revision = "0" * 40
    home = cache / f"models--{hub_id.replace('/', '--')}"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text(revision)
    shutil.copytree(folder, home / "snapshots" / revision / under)


def test_from_the_hub_come_the_parts_of_three_models(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The tiny weights lie in the hub's cache under the real names, in the folders of the real models."""
    family = FAMILIES[(folder / "text_encoder_2").exists()]
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE"):
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", str(tmp_path / "hub"))
    monkeypatch.setattr("editworld_core.engines.place.free_memory_gib", lambda device: 1000.0)
    base, adapter = (
        shutil.copytree(folder / part, tmp_path / (part or "base")) for part in ("", "ip_adapter")
    )
    for part in ("ip_adapter", "controlnet"):
        shutil.rmtree(base / part)
    (adapter / "ip-adapter.safetensors").rename(adapter / family.adapter_file)
    _into_hub_cache(tmp_path / "hub", family.info.weights, base)
    _into_hub_cache(tmp_path / "hub", family.controlnet, folder / "controlnet")
    assert not any(row.ready for row in controlnet_rows())
    _into_hub_cache(tmp_path / "hub", family.adapter, adapter, family.adapter_folder)
    assert [row.info.id for row in controlnet_rows() if row.ready] == [family.info.id]
    found = load_inpainter(family.info.id, None, SETTINGS, Place())
    pictures = [
        each.inpaint(scene(), scene(ball="white"), square(), "rain") for each in (found, inpainter(folder))
    ]
    assert difference(*pictures) == 0


def test_the_list_states_licence_and_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for row, family in zip(controlnet_rows(), FAMILIES, strict=True):
        assert "OpenRAIL" in row.info.licence
        assert "Apache-2.0" in row.info.licence
        assert not row.ready
        assert family.controlnet in row.why


def _refused(name: str | Path) -> EngineUnavailableError:
    with pytest.raises(EngineUnavailableError) as caught:
        load_inpainter(str(name), None, SETTINGS, Place())
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert ": " in sentence  # what is wrong: what to do
    assert "\n" not in sentence
    return caught.value


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.info.id)
def test_without_network_the_weights_are_named(
    family: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("editworld_core.engines.place.free_memory_gib", lambda device: 1000.0)
    sentence = str(_refused(family.info.id))
    assert family.controlnet in sentence
    assert "hub cannot be reached" in sentence


def test_too_little_memory_is_said_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("editworld_core.engines.place.free_memory_gib", lambda device: 2.0)
    assert "needs about 32 GiB of memory and 2 GiB are free" in str(_refused("controlnet-sdxl"))


def _not_an_inpainter(folder: Path) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = "StableDiffusionPipeline"
    (folder / "model_index.json").write_text(json.dumps(index))


def _damaged(part: str) -> Callable[[Path], None]:
    def cut(folder: Path) -> None:
        path = folder / part
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return cut


def _no_adapter(folder: Path) -> None:
    shutil.rmtree(folder / "ip_adapter")


def _two_adapters(folder: Path) -> None:
    shutil.copy(folder / "ip_adapter" / "ip-adapter.safetensors", folder / "ip_adapter" / "plus.safetensors")


def _adapter_of_another_model(folder: Path) -> None:
    path = folder / "ip_adapter" / "ip-adapter.safetensors"
    save_file(
        {
            name: torch.zeros(*value.shape[:-1], value.shape[-1] + 8)
            for name, value in load_file(path).items()
        },
        path,
    )


def _no_adapter_at_all(folder: Path) -> None:
    save_file({"lora.down.weight": torch.zeros(4, 4)}, folder / "ip_adapter" / "ip-adapter.safetensors")


def _pickled_code(folder: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (folder / "ran",))

    (folder / "ip_adapter" / "ip-adapter.safetensors").unlink()
    torch.save({"image_proj": Evil(), "ip_adapter": {}}, folder / "ip_adapter" / "ip-adapter.bin")


def _no_image_encoder(folder: Path) -> None:
    shutil.rmtree(folder / "ip_adapter" / "image_encoder")


def _no_controlnet(folder: Path) -> None:
    shutil.rmtree(folder / "controlnet")


def _foreign_controlnet(folder: Path) -> None:
    ControlNetModel(
        in_channels=4, conditioning_embedding_out_channels=(16, 32), cross_attention_dim=48, **BLOCKS
    ).save_pretrained(folder / "controlnet")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "There is no inpainter"),
        (lambda folder: (folder / "model_index.json").unlink(), "model_index.json"),
        (_damaged("model_index.json"), "model_index.json"),
        (_not_an_inpainter, "holds a StableDiffusionPipeline"),
        (_damaged("unet/diffusion_pytorch_model.safetensors"), "damaged"),
        (_damaged("controlnet/diffusion_pytorch_model.safetensors"), "damaged"),
        (_damaged("ip_adapter/ip-adapter.safetensors"), "damaged"),
        (_damaged("ip_adapter/image_encoder/model.safetensors"), "damaged"),
        (_no_adapter, "needs one file of IP-Adapter weights in its folder ip_adapter and has 0"),
        (_two_adapters, "and has 2"),
        (_adapter_of_another_model, "does not fit the model"),
        (_no_adapter_at_all, "does not fit the model"),
        (_pickled_code, "ip-adapter.bin"),
        (_no_image_encoder, "image_encoder"),
        (_no_controlnet, "controlnet"),
        (_foreign_controlnet, "ControlNet"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_wrong_with_a_folder_is_said(
    sd15: Path, tmp_path: Path, harm: Callable[[Path], None], said: str
) -> None:
    folder = shutil.copytree(sd15, tmp_path / "harmed")
    harm(folder)
    sentence = str(_refused(folder))
    assert said in sentence
    assert not (folder / "ran").exists()


def test_a_unet_that_cannot_inpaint_is_refused(tmp_path: Path) -> None:
    sentence = str(_refused(tiny_folder(tmp_path / "eight", xl=False, channels=8)))
    assert "8 input channels and cannot inpaint: take one with 4 or 9" in sentence
