"""Measures against torchmetrics, scikit-image, transformers and plain definitions."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.classification import binary_jaccard_index
from torchmetrics.functional.image import (
    learned_perceptual_image_patch_similarity,
    structural_similarity_index_measure,
)
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as torch_psnr,
)
from torchmetrics.functional.multimodal import clip_score

from editworld_core.evaluation.measures import VALUES, choose_measures, models_of, names_of
from editworld_core.evaluation.measures.clip import clip_measure, direction
from editworld_core.evaluation.measures.geometry import cost_measure, geometry_measure
from editworld_core.evaluation.measures.masks import masks_measure
from editworld_core.evaluation.measures.perceptual import lpips_measure, st_lpips_measure
from editworld_core.evaluation.measures.pixels import pixels_measure, ssim_map
from editworld_core.evaluation.measures.truth import truth_measure
from editworld_core.evaluation.record import Pictures
from editworld_core.metrics import st_lpips_outside
from tests.datagen.tiny_pair_models import save_clip
from tests.evaluation.some import picture, some_item, some_outcome, some_pictures


def take(measure, item=None, pictures=None, outcome=None):
    """The values of an item, with what every measure must keep to."""
    values = measure.measure(item or some_item(), pictures or some_pictures(), outcome or some_outcome())
    assert set(values) == set(measure.names) == set(names_of(measure.name))
    assert all(value is None or math.isfinite(value) for value in values.values())
    return values


def tensor(image: Image.Image) -> torch.Tensor:
    """[1, 3, H, W] in 0..1, double."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].double() / 255


def test_psnr_is_that_of_scikit_image_and_torchmetrics():
    pictures, outcome = some_pictures(), some_outcome()
    values = take(pixels_measure())
    original, target, edited = (
        np.asarray(image) for image in (pictures.original, pictures.target, outcome.edited)
    )
    mask = pictures.mask
    assert values["psnr_outside_edited"] == pytest.approx(
        peak_signal_noise_ratio(original[~mask], edited[~mask]), abs=1e-4
    )
    assert values["psnr_inside_edited"] == pytest.approx(
        float(torch_psnr(torch.tensor(edited[mask]) / 255, torch.tensor(target[mask]) / 255, data_range=1.0)),
        abs=1e-3,
    )
    assert values["psnr_outside_final"] > values["psnr_outside_edited"]


def test_ssim_is_that_of_torchmetrics():
    a, b = picture(0), picture(1)
    near = Image.blend(a, b, 0.3)
    _, full = structural_similarity_index_measure(
        tensor(a), tensor(near), data_range=1.0, return_full_image=True
    )
    inner = slice(5, -5)  # at the border the two continue the picture in different ways
    ours = ssim_map(a, near)[inner, inner]
    assert ours == pytest.approx(full[0].mean(0).numpy()[inner, inner], abs=1e-5)
    assert 0.2 < ours.mean() < 0.98


def test_ssim_inside_and_outside_are_means_of_scikit_images_map():
    pictures, outcome = some_pictures(), some_outcome()
    values = take(pixels_measure())

    def expected(a, b, mask):
        """Beyond the mask both pictures are ``a``."""
        a, b = np.asarray(a) / 255, np.asarray(b) / 255
        b = np.where(mask[..., None], b, a)
        options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "full": True}
        maps = [structural_similarity(a[..., c], b[..., c], data_range=1, **options)[1] for c in range(3)]
        return np.mean(maps, axis=0)[mask].mean()

    outside = expected(pictures.original, outcome.edited, ~pictures.mask)
    inside = expected(pictures.target, outcome.final, pictures.mask)
    assert values["ssim_outside_edited"] == pytest.approx(outside, abs=1e-9)
    assert values["ssim_inside_final"] == pytest.approx(inside, abs=1e-9)


def test_without_a_true_mask_it_is_the_outcomes_and_without_a_target_nothing_is_inside():
    values = take(pixels_measure(), pictures=Pictures(picture(0)))
    assert values["psnr_outside_final"] == 100
    assert values["ssim_outside_final"] == pytest.approx(1)
    assert values["psnr_outside_edited"] < 40
    assert values["psnr_inside_edited"] is values["ssim_inside_final"] is None


def test_tiny_pictures_have_no_ssim():
    small = picture(0, (8, 6))
    mask = np.zeros((6, 8), bool)
    mask[2:4] = True
    outcome = some_outcome(original=small, edited=picture(1, (8, 6)), final=small, mask=mask)
    values = take(pixels_measure(), pictures=Pictures(small, small, mask), outcome=outcome)
    assert values["ssim_outside_edited"] is None
    assert values["psnr_outside_edited"] < 40


@pytest.mark.parametrize("everywhere", ["mask", "dynamic"])
def test_an_edit_about_the_whole_picture_has_no_outside(everywhere):
    pictures, item = some_pictures(), some_item()
    if everywhere == "mask":
        pictures = replace(pictures, mask=np.ones_like(pictures.mask))
    else:
        item = some_item(about={"dynamic": "dusk", "local": False})
    values = take(pixels_measure(), item, pictures) | take(masks_measure(), item, pictures)
    values |= take(st_lpips_measure(), item, pictures)
    assert all(values[name] is None for name in values if "outside" in name or "iou" in name)
    assert values["psnr_inside_edited"] is not None
    assert values["st_lpips_edited"] > 0


def test_mask_iou_is_torchmetrics_jaccard_index():
    pictures, outcome = some_pictures(), some_outcome()
    values = take(masks_measure())
    for name, mask in (("mask_iou_attention", outcome.attention_mask), ("mask_iou_final", outcome.mask)):
        expected = binary_jaccard_index(torch.tensor(mask).int(), torch.tensor(pictures.mask).int())
        assert values[name] == pytest.approx(float(expected), abs=1e-6)
        assert 0 < values[name] < 1
    assert values["mask_share"] == outcome.mask.mean()
    assert take(masks_measure(), pictures=Pictures(picture(0)))["mask_iou_final"] is None


@pytest.mark.parametrize("share, success", [(0.0, 0.0), (0.4, 0.0), (0.6, 1.0), (1.0, 1.0)])
def test_success_is_half_of_the_unedited_pictures_error(share, success):
    pictures = some_pictures()
    edited = Image.blend(pictures.original, pictures.target, share)
    values = take(truth_measure(), outcome=some_outcome(edited=edited, final=pictures.original))
    difference = np.abs(np.asarray(edited, float) - np.asarray(pictures.target, float))[pictures.mask]
    assert values["error_edited"] == pytest.approx(difference.mean() / 255, abs=1e-6)
    assert values["error_final"] == values["error_source"]
    assert (values["success_edited"], values["success_final"]) == (success, 0)
    assert set(take(truth_measure(), pictures=Pictures(picture(0))).values()) == {None}


def test_geometry_and_time_are_the_outcomes():
    assert take(geometry_measure()) == {"shift": 5.0, "zoom": pytest.approx(2.0), "scale": 0.98}
    assert take(cost_measure()) == {"seconds": 2.5}


def test_st_lpips_outside_is_that_of_the_drift_report():
    pictures, outcome = some_pictures(), some_outcome()
    values = take(st_lpips_measure())
    for side, image in (("edited", outcome.edited), ("final", outcome.final)):
        expected = st_lpips_outside(pictures.original, image, pictures.mask)
        assert values[f"st_lpips_outside_{side}"] == pytest.approx(expected)
    assert values["st_lpips_edited"] > values["st_lpips_outside_edited"]


@pytest.fixture(scope="module")
def alexnet(tmp_path_factory):
    """Torch's cache with an AlexNet of random weights in it, saved as torchvision's is."""
    from torchvision.models import alexnet as build

    folder = tmp_path_factory.mktemp("torch") / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    with torch.device("meta"):
        model = build(weights=None)
    dice = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(empty.shape, generator=dice) * 0.05
        if "features" in name
        else torch.zeros(empty.shape)
        for name, empty in model.state_dict().items()
    }
    torch.save(state, folder / "alexnet-owt-7be5be79.pth")
    return folder.parent.parent


def test_lpips_is_that_of_torchmetrics(alexnet, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(alexnet))
    outcome = some_outcome()
    values = take(lpips_measure())
    expected = learned_perceptual_image_patch_similarity(
        tensor(outcome.original).float(), tensor(outcome.edited).float(), net_type="alex", normalize=True
    )
    assert values["lpips_edited"] == pytest.approx(float(expected), rel=1e-4)
    assert values["lpips_outside_edited"] < values["lpips_edited"]
    assert "lpips" not in choose_measures()[1]


def test_lpips_without_weights_is_absent_with_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    measures, absent = choose_measures()
    assert "alexnet" in absent["lpips"]
    assert "lpips" not in [measure.name for measure in measures]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder)
    return folder


class ForTorchmetrics(torch.nn.Module):
    """A CLIP model whose features are tensors, as torchmetrics expects them of older versions of transformers.

    With ``sign`` -1 the texts' point the other way, since torchmetrics makes scores below 0 to 0.
    """

    def __init__(self, folder, sign):
        from transformers import CLIPModel

        super().__init__()
        self.model = CLIPModel.from_pretrained(folder).requires_grad_(False)
        self.config, self.sign = self.model.config, sign

    def get_image_features(self, pixels):
        return self.model.get_image_features(pixels).pooler_output

    def get_text_features(self, ids, attention_mask):
        return self.sign * self.model.get_text_features(ids, attention_mask).pooler_output


def test_clip_score_is_that_of_torchmetrics(clip_folder):
    from transformers import CLIPProcessor

    from editworld_core.datagen.scoring import load_clip

    plus, minus = (ForTorchmetrics(clip_folder, sign) for sign in (1, -1))
    processor = CLIPProcessor.from_pretrained(clip_folder)
    measure, outcome, seen = clip_measure(load_clip(str(clip_folder))), some_outcome(), set()
    for text in ("the rain", "the sun comes out", "snowman melts"):
        values = take(measure, some_item(caption_after=text))
        for side, image in (("edited", outcome.edited), ("final", outcome.final)):
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
            up, down = (float(clip_score(pixels, text, lambda m=m: (m, processor))) for m in (plus, minus))
            assert 100 * values[f"clip_score_{side}"] == pytest.approx(up - down, abs=1e-3)
            seen.add(round(up - down, 3))
    assert len(seen) == 6


def test_clip_direction_and_similarities(clip_folder):
    from transformers import CLIPModel, CLIPProcessor

    item, pictures, outcome = some_item(), some_pictures(), some_outcome()
    model, processor = CLIPModel.from_pretrained(clip_folder), CLIPProcessor.from_pretrained(clip_folder)
    inputs = processor(
        text=[item.caption_before, item.caption_after],
        images=[pictures.original, outcome.edited, pictures.target],
        return_tensors="pt",
        padding=True,
    )
    with torch.no_grad():
        out = model(**inputs)
    (original, edited, target), (before, after) = out.image_embeds, out.text_embeds
    measures, absent = choose_measures(clip=str(clip_folder), quick=True)
    assert models_of(measures) == {"clip": clip_folder.name}
    values = take(next(measure for measure in measures if measure.name == "clip"))
    cosine = torch.cosine_similarity
    assert values["clip_direction_edited"] == pytest.approx(
        float(cosine(edited - original, after - before, dim=0)), abs=1e-4
    )
    assert values["clip_target_edited"] == pytest.approx(float(cosine(edited, target, dim=0)), abs=1e-5)
    assert values["clip_original_edited"] == pytest.approx(float(cosine(edited, original, dim=0)), abs=1e-5)
    assert direction(edited - edited, after - before) is None
    assert "clip" not in absent


def test_clip_without_descriptions_only_compares_pictures(clip_folder):
    measures, _ = choose_measures(clip=str(clip_folder), quick=True)
    measure = next(measure for measure in measures if measure.name == "clip")
    values = take(measure, some_item(caption_before="", caption_after=" "), Pictures(picture(0)))
    assert {name for name, value in values.items() if value is not None} == {
        "clip_original_edited",
        "clip_original_final",
    }


def test_other_weights_are_another_version(clip_folder, tmp_path):
    from editworld_core.datagen.scoring import load_clip

    first = clip_measure(load_clip(str(clip_folder)))
    save_clip(tmp_path)
    assert clip_measure(load_clip(str(tmp_path))).version != first.version
    assert clip_measure(load_clip(str(clip_folder))).version == first.version


def test_dino_is_that_of_transformers(tmp_path):
    from transformers import AutoModel, BitImageProcessor, Dinov2Config, Dinov2Model

    torch.manual_seed(0)
    config = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=4, image_size=56, patch_size=14
    )
    Dinov2Model(config).save_pretrained(tmp_path)
    BitImageProcessor(size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}).save_pretrained(
        tmp_path
    )
    measures, absent = choose_measures(dino=str(tmp_path), quick=True)
    assert "dino" not in absent
    values = take(next(measure for measure in measures if measure.name == "dino"))

    outcome, pictures = some_outcome(), some_pictures()
    inputs = BitImageProcessor.from_pretrained(tmp_path)(
        [outcome.edited, pictures.original, pictures.target], return_tensors="pt"
    )
    with torch.no_grad():
        edited, original, target = AutoModel.from_pretrained(tmp_path)(**inputs).pooler_output
    cosine = torch.nn.functional.cosine_similarity
    assert values["dino_original_edited"] == pytest.approx(float(cosine(edited, original, dim=0)), abs=1e-4)
    assert values["dino_target_edited"] == pytest.approx(float(cosine(edited, target, dim=0)), abs=1e-4)


def test_what_is_not_measured_says_why(tmp_path):
    measures, absent = choose_measures(clip=str(tmp_path / "none"), quick=True)
    assert set(absent) == {"clip", "dino", "judge", "lpips", "st_lpips"}
    assert all(reason.endswith(".") and "\n" not in reason for reason in absent.values())
    assert {name for measure in measures for name in measure.names} <= set(VALUES)
    assert not {measure.name for measure in measures} & set(absent)


def test_a_picture_that_post_edit_left_alone_has_the_same_scores_twice():
    outcome = some_outcome()
    values = take(pixels_measure(), outcome=replace(outcome, final=outcome.edited))
    for name in values:
        if name.endswith("_edited"):
            assert values[name] == values[name.replace("_edited", "_final")]
