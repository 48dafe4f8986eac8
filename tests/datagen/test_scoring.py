"""Scores of draws: CLIP against transformers' own similarity, the structure term against its definition."""

import numpy as np
import pytest
import torch
from PIL import Image

from editworld_core.datagen.scoring import load_clip, structure
from editworld_core.errors import EngineUnavailableError
from tests.datagen.tiny_pair_models import save_clip


def picture(seed: int, size=(40, 30)) -> Image.Image:
    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder)
    return folder


def test_similarities_are_those_of_transformers(folder):
    from transformers import CLIPModel, CLIPProcessor

    scorer, pictures = load_clip(str(folder)), [picture(seed) for seed in range(3)]
    model = CLIPModel.from_pretrained(folder)
    inputs = CLIPProcessor.from_pretrained(folder)(
        text=["the sun comes out"], images=pictures, return_tensors="pt", padding=True
    )
    with torch.no_grad():
        out = model(**inputs)
        expected = (out.logits_per_image / model.logit_scale.exp())[:, 0]
        between = torch.cosine_similarity(out.image_embeds, out.image_embeds[2:3])
    assert scorer.similarity(pictures, "the sun comes out") == pytest.approx(expected.tolist(), abs=1e-5)
    assert scorer.similarity(pictures, pictures[2]) == pytest.approx(between.tolist(), abs=1e-5)
    assert len({round(value, 6) for value in expected.tolist()}) == 3


def test_a_long_text_is_cut_not_refused(folder):
    assert np.isfinite(load_clip(str(folder)).similarity([picture(0)], "zebra " * 100)).all()


def test_no_clip_is_one_sentence(tmp_path):
    with pytest.raises(EngineUnavailableError) as refusal:
        load_clip(str(tmp_path))
    assert "\n" not in str(refusal.value)


def structure_by_definition(a: Image.Image, b: Image.Image, constant: float) -> float:
    """Wang et al. 2004, equation 10, window by window."""
    x, y = (np.asarray(image.convert("L"), float) / 255 for image in (a, b))
    line = np.exp(-0.5 * ((np.arange(11) - 5) / 1.5) ** 2)
    weights = np.outer(line, line) / np.outer(line, line).sum()
    terms = []
    for row in range(x.shape[0] - 10):
        for column in range(x.shape[1] - 10):
            p, q = (each[row : row + 11, column : column + 11] for each in (x, y))
            mean_p, mean_q = (weights * p).sum(), (weights * q).sum()
            covariance = (weights * (p - mean_p) * (q - mean_q)).sum()
            deviations = [np.sqrt((weights * (e - m) ** 2).sum()) for e, m in ((p, mean_p), (q, mean_q))]
            terms.append((covariance + constant) / (deviations[0] * deviations[1] + constant))
    return float(np.mean(terms))


@pytest.mark.parametrize("constant", [1e-3, 0.05])
def test_structure_is_as_defined(constant):
    a, b = picture(0), picture(1)
    assert structure(a, b, constant) == pytest.approx(structure_by_definition(a, b, constant), abs=1e-6)


def test_structure_sees_structure_and_neither_light_nor_contrast():
    a = picture(0)
    paler = Image.fromarray((np.asarray(a) // 2 + 100).astype(np.uint8))
    negative = Image.fromarray(255 - np.asarray(a))
    assert structure(a, a) == pytest.approx(1)
    assert structure(a, paler) > 0.9
    assert structure(a, negative) < -0.5
