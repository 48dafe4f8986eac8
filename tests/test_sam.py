"""SAM and SAM 2 against the unmodified packages, on tiny random weights saved in the real formats."""

import json
import pickle
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from segment_anything import SamPredictor, sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.utils.amg import calculate_stability_score
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModel,
    Sam2Config,
    Sam2ImageProcessor,
    Sam2Model,
    Sam2Processor,
    Sam2VideoConfig,
    Sam2VideoModel,
    SamConfig,
    SamImageProcessor,
    SamModel,
    SamProcessor,
)

from editworld_core import sam, sam_here, sam_weights
from editworld_core.errors import BadInputError, EngineUnavailableError
from editworld_core.masks import mask_iou
from editworld_core.sam import SamSegmenter, points_inside, stability_scores
from editworld_core.sam_models import Encoded, OriginalSam, Prompts, TransformersSam
from editworld_core.segmentation import choose_segment, load_segmenter

SIDE = 128  # pixels of the tiny models' square
SIZES = [(90, 120), (150, 100), (64, 64)]


@cache
def original_sam() -> Sam:
    """``segment_anything`` in small: the published architecture with narrow, shallow parts."""
    torch.manual_seed(0)
    model = Sam(
        ImageEncoderViT(
            img_size=SIDE,
            patch_size=16,
            embed_dim=32,
            depth=3,
            num_heads=2,
            out_chans=32,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=3,
            global_attn_indexes=(1,),
        ),
        PromptEncoder(32, (SIDE // 16, SIDE // 16), (SIDE, SIDE), 8),
        MaskDecoder(
            transformer_dim=32,
            transformer=TwoWayTransformer(depth=2, embedding_dim=32, num_heads=8, mlp_dim=48),
            iou_head_hidden_dim=24,
        ),
    )
    shake(model)
    return model.eval()


def shake(model: torch.nn.Module) -> None:
    """Random values in every weight, also in those that start at zero, so that each has a say."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.3 * torch.randn(value.shape, generator=generator) / max(1, value.ndim)


@cache
def hub_sam() -> tuple[SamModel, SamProcessor]:
    config = SamConfig(
        vision_config={
            "hidden_size": 32, "output_channels": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
            "image_size": SIDE, "window_size": 3, "global_attn_indexes": [1], "num_pos_feats": 16,
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": SIDE, "mask_input_channels": 8},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 48, "num_attention_heads": 4, "iou_head_hidden_dim": 24},
    )  # fmt: skip
    torch.manual_seed(0)
    model = SamModel(config).eval()
    shake(model)
    square = {"height": SIDE, "width": SIDE}
    images = SamImageProcessor(size={"longest_edge": SIDE}, pad_size=square)
    return model, SamProcessor(images)


def sam2_parts() -> dict[str, Any]:
    return {
        "vision_config": {
            "backbone_config": {
                "model_type": "sam2_hiera_det_model", "hidden_size": 8, "image_size": [SIDE, SIDE],
                "blocks_per_stage": [1, 1, 2, 1], "embed_dim_per_stage": [8, 16, 32, 64],
                "num_attention_heads_per_stage": [1, 1, 2, 2], "window_size_per_stage": [4, 4, 4, 4],
                "global_attention_blocks": [3],
            },
            "backbone_channel_list": [64, 32, 16, 8], "fpn_hidden_size": 32,
            "backbone_feature_sizes": [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
        },
        "prompt_encoder_config": {"hidden_size": 32, "image_size": SIDE, "mask_input_channels": 8},
        "mask_decoder_config": {
            "hidden_size": 32, "mlp_dim": 48, "num_attention_heads": 4, "iou_head_hidden_dim": 24,
        },
    }  # fmt: skip


@cache
def hub_sam2() -> tuple[Sam2Model, Sam2Processor]:
    torch.manual_seed(0)
    model = Sam2Model(Sam2Config(**sam2_parts())).eval()
    shake(model)
    return model, Sam2Processor(Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}))


def picture(size: tuple[int, int]) -> Image.Image:
    """Random blobs, (H, W) = ``size``."""
    small = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    return Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each model in the format in which it is published."""
    base = tmp_path_factory.mktemp("weights")
    state = original_sam().state_dict()
    torch.save(state, base / "sam_tiny.pth")
    save_file(state, base / "sam_tiny.safetensors")
    for name, (model, processor) in (("sam", hub_sam()), ("sam2", hub_sam2())):
        model.save_pretrained(base / name)
        processor.save_pretrained(base / name)
    return base


Reference = Callable[[Image.Image, Any, Any, Any, bool], tuple[np.ndarray, np.ndarray]]


def by_predictor(image: Image.Image, points: Any, labels: Any, box: Any, several: bool) -> Any:
    predictor = SamPredictor(original_sam())
    predictor.set_image(np.asarray(image))
    given = [None if value is None else np.asarray(value) for value in (points, labels, box)]
    logits, scores, _ = predictor.predict(*given, multimask_output=several, return_logits=True)
    return logits, scores


def by_processor(
    make: Callable[[], Any], image: Image.Image, points: Any, labels: Any, box: Any, several: bool
) -> Any:
    model, processor = make()
    wrapped = {
        "input_points": None if points is None else [[[list(map(float, p)) for p in points]]],
        "input_labels": None if labels is None else [[list(map(int, labels))]],
        "input_boxes": None if box is None else [[list(map(float, box))]],
    }
    inputs = processor(images=image, return_tensors="pt", **wrapped)
    sizes = [inputs[key] for key in ("original_sizes", "reshaped_input_sizes") if key in inputs]
    call = {
        k: v
        for k, v in inputs.items()
        if k not in ("original_sizes", "reshaped_input_sizes") and v is not None
    }
    with torch.no_grad():
        found = model(**call, multimask_output=several)
    logits = processor.post_process_masks(found.pred_masks, *sizes, binarize=False)[0][0]
    return logits.numpy(), found.iou_scores[0, 0].numpy()


REFERENCES: dict[str, Reference] = {
    "sam_tiny.pth": by_predictor,
    "sam_tiny.safetensors": by_predictor,
    "sam": partial(by_processor, hub_sam),
    "sam2": partial(by_processor, hub_sam2),
}
PROMPTS = {
    "point": ([(40, 30)], [1], None),
    "points": ([(40, 30), (60, 50), (5, 8)], [1, 1, 0], None),
    "box": (None, None, [10, 12, 58, 50]),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("several", [True, False])
@pytest.mark.parametrize("name", REFERENCES)
def test_masks_equal_those_of_the_unmodified_package(
    folder: Path, name: str, several: bool, prompt: str, size: tuple[int, int]
) -> None:
    points, labels, box = PROMPTS[prompt]
    image = picture(size)
    model = load_segmenter(str(folder / name)).model
    encoded = model.encode(image)
    asked = Prompts(
        None if points is None else np.asarray([points], float),
        None if labels is None else np.asarray([labels]),
        None if box is None else np.asarray([box], float),
    )
    logits, scores = model.decode(encoded, *asked.scaled(encoded), several=several)
    fine = model.enlarge(logits, encoded, size)[0].numpy()
    expected, expected_scores = REFERENCES[name](image, points, labels, box, several)
    assert fine.shape == expected.shape == (3 if several else 1, *size)
    assert expected.std() > 0.01
    np.testing.assert_allclose(fine, expected, atol=1e-4 * np.abs(expected).max())
    np.testing.assert_allclose(scores[0].numpy(), expected_scores, atol=1e-5)
    assert ((fine > 0) != (expected > 0)).mean() < 1e-3  # a logit of about zero may fall either way


@pytest.mark.parametrize("name", ["sam_tiny.pth", "sam", "sam2"])
def test_clicks_equal_the_unmodified_package(folder: Path, name: str) -> None:
    image = picture((90, 120))
    segmenter = load_segmenter(str(folder / name))
    logits, scores = REFERENCES[name](image, [(40, 30)], [1], None, True)
    assert mask_iou(segmenter.at_points(image, [(40, 30)], [True]), logits[scores.argmax()] > 0) > 0.999
    logits, _ = REFERENCES[name](image, [(40, 30), (90, 60)], [1, 0], None, False)
    assert mask_iou(segmenter.at_points(image, [(40, 30), (90, 60)], [True, False]), logits[0] > 0) > 0.999


def test_prompts_in_batches_give_what_each_gives_alone(folder: Path) -> None:
    for name in ("sam_tiny.pth", "sam", "sam2"):
        model = sam_weights.load_sam(str(folder / name)).model
        encoded = model.encode(picture((90, 120)))
        asked = Prompts(np.random.default_rng(0).integers(0, 90, (9, 1, 2)).astype(float))
        whole, _ = model.decode(encoded, *asked.scaled(encoded), several=True)
        parts = [model.decode(encoded, *part.scaled(encoded), several=True)[0] for part in asked.split(2)]
        torch.testing.assert_close(whole, torch.cat(parts), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["sam_tiny.pth", "sam", "sam2"])
def test_a_picture_is_encoded_once(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    segmenter = sam_weights.load_sam(str(folder / name))
    seen: list[Image.Image] = []
    encode = type(segmenter.model).encode
    monkeypatch.setattr(type(segmenter.model), "encode", lambda self, it: seen.append(it) or encode(self, it))
    first, second = picture((90, 120)), picture((100, 70))
    prompt = np.zeros((90, 120), bool)
    prompt[20:50, 30:70] = True
    for image in (first, second, first.copy()):
        segmenter.at_points(image, [(40, 30)], [True])
    segmenter.segments(first, prompt)
    assert len(seen) == 2
    for shade in range(sam.PICTURES_KEPT):
        segmenter.at_points(Image.new("RGB", (32, 32), (shade, 0, 0)), [(4, 3)], [True])
    segmenter.at_points(first, [(40, 30)], [True])
    assert len(seen) == 2 + sam.PICTURES_KEPT + 1  # the oldest picture was dropped


def test_stability_equals_the_packages() -> None:
    logits = torch.randn(5, 20, 30, generator=torch.Generator().manual_seed(0)) * 3
    expected = calculate_stability_score(logits, 0.0, 1.0)
    torch.testing.assert_close(stability_scores(logits, 1.0), expected)
    assert stability_scores(torch.full((1, 4, 4), -9.0), 1.0).tolist() == [0]


class Discs:
    """A model by the book instead of by weights: about each point or box centre three discs of known logits."""

    name = "discs"

    def encode(self, image: Image.Image) -> Encoded:
        return Encoded(None, (image.height, image.width), (image.height, image.width))

    def decode(self, encoded: Any, points: Any, labels: Any, boxes: Any, several: bool) -> Any:
        centres = points.mean(1) if boxes is None else (boxes[:, :2] + boxes[:, 2:]) / 2
        rows, columns = torch.meshgrid(*(torch.arange(float(side)) for side in encoded.size), indexing="ij")
        distance = torch.hypot(columns - centres[:, 0, None, None], rows - centres[:, 1, None, None])
        radii = torch.tensor([6.0, 18.0, 60.0]) if several else torch.tensor([18.0])
        sharpness = torch.tensor([3.0, 3.0, 0.05]) if several else torch.tensor([3.0])
        logits = (radii[None, :, None, None] - distance[:, None]) * sharpness[None, :, None, None]
        return logits, torch.tensor([0.5, 0.95, 0.9])[: len(radii)].expand(len(centres), -1)

    def enlarge(self, logits: Any, encoded: Any, size: tuple[int, int]) -> Any:
        return torch.nn.functional.interpolate(logits, size, mode="bilinear", align_corners=False)


def test_bad_and_double_masks_are_dropped_and_the_numbers_are_told() -> None:
    prompt = np.zeros((120, 160), bool)
    prompt[40:76, 60:96] = True
    segments = SamSegmenter(Discs()).segments(Image.new("RGB", (160, 120)), prompt)
    assert segments
    assert all(segment.predicted_iou == pytest.approx(0.95) for segment in segments)  # 0.5 is too low
    assert all(segment.stability > 0.9 for segment in segments)  # the blurred disc is not
    assert all(segment.overlap == mask_iou(segment.mask, prompt) for segment in segments)
    pairs = [(a, b) for index, a in enumerate(segments) for b in segments[:index]]
    assert all(mask_iou(a.mask, b.mask) <= 0.91 for a, b in pairs)
    best = choose_segment(segments, prompt)
    assert best.overlap == max(segment.overlap for segment in segments) > 0.6
    assert SamSegmenter(Discs()).segments(Image.new("RGB", (160, 120)), np.zeros((120, 160), bool)) == []


def test_large_pictures_give_masks_of_their_size() -> None:
    prompt = np.zeros((300, 1500), bool)
    prompt[100:200, 700:800] = True
    segments = SamSegmenter(Discs(), grid=2, least_stability=0).segments(
        Image.new("RGB", (1500, 300)), prompt
    )
    assert segments
    assert all(segment.mask.shape == prompt.shape for segment in segments)


def test_the_same_question_has_the_same_answer(folder: Path) -> None:
    prompt = np.zeros((90, 120), bool)
    prompt[20:50, 30:70] = True
    heat = np.random.default_rng(0).random(prompt.shape, np.float32)
    for name in ("sam_tiny.pth", "sam", "sam2"):
        loose = [
            SamSegmenter(
                sam_weights.load_sam(str(folder / name)).model, grid=3, least_iou=-99, least_stability=0
            )
            for _ in range(2)
        ]
        first, second = (each.segments(picture((90, 120)), prompt, heat) for each in loose)
        assert len(first) > 3
        assert all((a.mask == b.mask).all() for a, b in zip(first, second, strict=True))


def test_points_lie_inside_spread_and_where_it_is_hot() -> None:
    prompt = np.zeros((60, 80), bool)
    prompt[10:50, 20:70] = True
    points = points_inside(prompt, None, 8)
    assert len(points) == 8
    assert all(prompt[y, x] for x, y in points)
    gaps = np.linalg.norm(points[:, None] - points, axis=-1)[np.triu_indices(8, 1)]
    assert gaps.min() > np.sqrt(prompt.sum() / (8 * np.pi))
    heat = np.zeros(prompt.shape, np.float32)
    heat[30, 60] = 1
    assert points_inside(prompt, heat, 1).tolist() == [[60, 30]]
    assert points_inside(np.ones((3, 3), bool), None, 8)[0].tolist() == [1, 1]


# ---- loading


@pytest.mark.parametrize("size", ["vit_b", "vit_l", "vit_h"])
def test_the_published_sizes_are_told_by_their_shapes(size: str) -> None:
    with torch.device("meta"):
        real = sam_model_registry[size]()
    state = real.state_dict()
    ours = sam_weights.build_sam({key: tuple(value.shape) for key, value in state.items()})
    assert {k: v.shape for k, v in ours.state_dict().items()} == {k: v.shape for k, v in state.items()}
    for attribute in ("num_heads", "scale"):
        ways = [[getattr(b.attn, attribute) for b in model.image_encoder.blocks] for model in (ours, real)]
        assert ways[0] == ways[1]
    assert [b.window_size for b in ours.image_encoder.blocks] == [
        b.window_size for b in real.image_encoder.blocks
    ]
    assert ours.image_encoder.img_size == real.image_encoder.img_size == 1024
    assert ours.mask_decoder.transformer.num_heads == real.mask_decoder.transformer.num_heads
    assert str(ours) == str(real)
    width, depth = real.image_encoder.patch_embed.proj.out_channels, len(real.image_encoder.blocks)
    assert sam_weights.SIZES[width, depth] == size


def test_a_video_models_folder_is_sam_2(tmp_path: Path) -> None:
    """The hub's SAM 2 repositories hold the video model and say so in config.json."""
    torch.manual_seed(0)
    video = Sam2VideoModel(Sam2VideoConfig(**sam2_parts(), image_size=SIDE, memory_attention_hidden_size=32,
        memory_attention_num_layers=1, memory_attention_feed_forward_hidden_size=32, memory_encoder_hidden_size=32,
        memory_encoder_output_channels=16, mask_downsampler_embed_dim=32, memory_fuser_embed_dim=32,
        memory_fuser_intermediate_dim=32, memory_attention_rope_feat_sizes=[8, 8]))  # fmt: skip
    video.save_pretrained(tmp_path)
    Sam2ImageProcessor(size={"height": SIDE, "width": SIDE}).save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "sam2_video"
    model = sam_weights.load_transformers(str(tmp_path)).model
    state = video.state_dict()
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, state[key])


def refused(name: object, *words: str, kind: type[Exception] = EngineUnavailableError) -> None:
    with pytest.raises(kind) as caught:
        load_segmenter(str(name))
    sentence = str(caught.value)
    assert all(word in sentence for word in (*words, str(name))), sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")


def test_loaded_once_and_named(folder: Path) -> None:
    assert load_segmenter(str(folder / "sam2")) is load_segmenter(str(folder / "sam2"))
    assert load_segmenter(str(folder / "sam2")).name == "SAM 2 sam2"
    assert isinstance(load_segmenter(str(folder / "sam_tiny.pth")).model, OriginalSam)
    assert isinstance(load_segmenter(str(folder / "sam")).model, TransformersSam)


def test_auto_takes_what_is_there(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.delenv("EDITWORLD_SAM", raising=False)
    assert load_segmenter("auto").name == load_segmenter().name == "classical"
    monkeypatch.setenv("EDITWORLD_SAM", str(folder / "sam_tiny.pth"))
    assert load_segmenter("auto").name.startswith("SAM")
    monkeypatch.setenv("EDITWORLD_SAM", str(folder / "nothing.pth"))
    with pytest.raises(BadInputError, match="no checkpoint"):
        load_segmenter("auto")  # never silently the classical one


def test_auto_finds_the_hubs_cache(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    snapshot = tmp_path / "models--facebook--sam-vit-base" / "snapshots" / ("0" * 40)
    snapshot.parent.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    snapshot.symlink_to(folder / "sam")
    monkeypatch.delenv("EDITWORLD_SAM", raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert sam_here.find_sam() == "facebook/sam-vit-base"
    assert load_segmenter("auto").name == "SAM sam-vit-base"


def test_bad_checkpoints_are_refused_in_a_sentence(folder: Path, tmp_path: Path) -> None:
    whole = (folder / "sam_tiny.pth").read_bytes()
    for name, data in (
        ("cut.pth", whole[: len(whole) // 2]),
        ("empty.pth", b""),
        ("text.pth", b"not weights at all"),
        ("cut.safetensors", (folder / "sam_tiny.safetensors").read_bytes()[:1000]),
    ):
        (tmp_path / name).write_bytes(data)
        refused(tmp_path / name, "damaged")


class Trap:
    """A pickle that runs code when it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


def test_a_pickle_with_code_is_not_run(tmp_path: Path) -> None:
    mark, plain, zipped = tmp_path / "ran", tmp_path / "plain.pth", tmp_path / "zipped.pth"
    plain.write_bytes(pickle.dumps({"image_encoder": Trap(mark)}, protocol=2))
    torch.save({"image_encoder": Trap(mark)}, zipped)
    refused(plain, "more than weights")
    refused(zipped, "more than weights")
    assert not mark.exists()


def test_other_models_are_refused(folder: Path, tmp_path: Path) -> None:
    torch.save({"model": {"weight": torch.zeros(2)}}, tmp_path / "sam2.1_hiera_small.pt")
    refused(tmp_path / "sam2.1_hiera_small.pt", "facebook/sam2.1-hiera-small")
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")
    refused(tmp_path / "other.pth", "no checkpoint of segment-anything")
    state = original_sam().state_dict()
    torch.save({key: value for key, value in state.items() if "iou_token" not in key}, tmp_path / "less.pth")
    refused(tmp_path / "less.pth", "no checkpoint of segment-anything")
    config = CLIPVisionConfig(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    CLIPVisionModel(config).save_pretrained(tmp_path / "clip")
    refused(tmp_path / "clip", "clip_vision_model", "not SAM")


def test_bad_folders_are_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "config.json")
    for name in ("sam", "sam2"):
        model, processor = hub_sam() if name == "sam" else hub_sam2()
        model.save_pretrained(tmp_path / name)
        refused(tmp_path / name)  # no processor
        processor.save_pretrained(tmp_path / name)
        weights = tmp_path / name / "model.safetensors"
        data = weights.read_bytes()
        weights.write_bytes(data[: len(data) // 2])
        refused(tmp_path / name, "damaged")
        weights.unlink()
        refused(tmp_path / name)
        state = {
            k: v.clone()
            for k, v in model.state_dict().items()
            if "iou_token" not in k and "shared_emb" not in k
        }
        save_file(state, weights, {"format": "pt"})
        refused(tmp_path / name, "incomplete")
        (tmp_path / name / "config.json").write_text("{")
        refused(tmp_path / name, "config.json")


def test_missing_names_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    refused(tmp_path / "sam_vit_b.pth", "no checkpoint", kind=BadInputError)
    refused("weights/sam_vit_b.pth", "no checkpoint", kind=BadInputError)
    refused("no such thing", "auto", kind=BadInputError)
    refused("", "auto", kind=BadInputError)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    refused("facebook/sam-vit-huge", "network")


def test_a_licence_gate_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import httpx
    import huggingface_hub
    from huggingface_hub.errors import GatedRepoError

    def gated(*_: object, **__: object) -> str:
        raise GatedRepoError(
            "403", response=httpx.Response(403, request=httpx.Request("HEAD", "https://hub"))
        )

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", gated)
    refused("facebook/sam-behind-a-gate", "licence", "hf auth login")


def test_clicks_from_which_nothing_follows_are_refused(folder: Path) -> None:
    segmenter = load_segmenter(str(folder / "sam"))
    for points, labels in (([], []), ([(1, 1)], [False]), ([(50, 1)], [True]), ([(1, 1)], [])):
        with pytest.raises(BadInputError):
            segmenter.at_points(picture((40, 50)), points, labels)
