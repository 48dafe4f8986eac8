"""The quality report's measures: each against something independent."""

import io
from dataclasses import replace

import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from editworld_core.datagen.quality.balance import balance
from editworld_core.datagen.quality.filters import read_filter, sift
from editworld_core.datagen.quality.gauges import clip_gauge, coherence, read_values, text_descriptor
from editworld_core.datagen.quality.items import Item
from editworld_core.datagen.quality.measuring import stage_of
from editworld_core.datagen.quality.near_duplicates import (
    CELLS,
    DESCRIPTOR,
    LEVELS,
    alike_pictures,
    alike_texts,
    describe_pair,
    groups,
    heads,
)
from editworld_core.datagen.quality.sharpness import sharpness
from editworld_core.datagen.quality.spread import ends, histogram, spread
from editworld_core.datagen.quality.wording import complexity, kind_of
from editworld_core.datagen.records import read_triplets
from editworld_core.datagen.scoring import load_clip
from editworld_core.errors import BadInputError
from editworld_core.simulation.world import dynamic_names, get_dynamic
from tests.datagen.test_formats import make_data_set
from tests.datagen.tiny_pair_models import save_clip


def noise(seed: int, size=(64, 48)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8))


def test_sharpness_is_the_variance_of_the_laplacian_and_falls_with_blur():
    picture = noise(0)
    grey = np.asarray(picture.convert("L"), float)
    assert sharpness(picture) == pytest.approx(scipy.ndimage.laplace(grey, mode="mirror").var())
    blurred = [sharpness(picture.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 4)]
    assert blurred == sorted(blurred, reverse=True)
    assert sharpness(Image.new("RGB", (9, 9), "teal")) == 0


@given(st.lists(st.integers(0, 50), min_size=2, max_size=12).filter(any))
def test_evenness_is_scipys_entropy_by_its_greatest_value(counts):
    found = balance({f"value {place}": count for place, count in enumerate(counts)}).evenness
    assert found == pytest.approx(scipy.stats.entropy(counts, base=len(counts)), abs=1e-9)


def test_one_value_or_none_has_no_evenness_and_the_commonest_comes_first():
    assert balance({"a": 3}).evenness is None
    assert balance({}).evenness is None
    assert list(balance({"b": 1, "a": 1, "c": 5}).counts) == ["c", "a", "b"]


@pytest.mark.parametrize(
    ("instruction", "kind"),
    [
        ("Please melt the snowman", "command"),
        ("turn it into a pencil sketch", "command"),
        ("Make it night!", "command"),
        ("What happens in a hundred years?", "question"),
        ("the sun comes out", "statement"),
        ("Nobody waters the tulip for two weeks.", "statement"),
        ("", "statement"),
    ],
)
def test_commands_and_causes(instruction, kind):
    assert kind_of(instruction) == kind


def test_the_first_phrasing_of_nearly_every_dynamic_is_its_plain_command():
    first = [kind_of(get_dynamic(name).phrasings[0].format_map(Anything())) for name in dynamic_names()]
    assert first.count("command") >= 0.9 * len(first)


class Anything(dict):
    def __missing__(self, key):
        return "it"


def test_complexity_counts_words_letters_and_sentences():
    values = complexity("The cat sat. The cat ran!")
    assert (values["words"], values["distinct_words"], values["type_token_ratio"]) == (6, 4, 4 / 6)
    letters, sentences = 100 * 18 / 6, 100 * 2 / 6
    assert values["reading_grade"] == pytest.approx(0.0588 * letters - 0.296 * sentences - 15.8)
    assert set(complexity(" … ").values()) == {None}


def test_pictures_are_near_if_they_look_the_same_everywhere():
    original, target = (noise(seed, (16, 12)).resize((256, 192), Image.Resampling.BICUBIC) for seed in (0, 1))
    jpeg = io.BytesIO()
    original.save(jpeg, "JPEG", quality=60)
    other = original.copy()
    other.paste((255, 0, 255), (40, 40, 66, 60))  # a tenth of a side
    pairs = [
        (original, target),
        (Image.open(jpeg), target.resize((512, 384))),
        (original, original),
        (other, target),
        (target, original),
    ]
    described = np.stack([np.frombuffer(describe_pair(*pair), np.uint8) for pair in pairs])
    assert groups(heads(len(pairs), alike_pictures(described))) == [[0, 1]]


def test_the_fast_way_rules_out_no_near_pair():
    generator = np.random.default_rng(0)
    base = generator.integers(20, 235, (3, DESCRIPTOR))
    pairs = np.concatenate([base + generator.integers(-r, r + 1, base.shape) for r in (5, 6, 7, 12)])
    pairs = np.concatenate([pairs, base + LEVELS, base + LEVELS + 1]).astype(np.uint8)
    places = np.arange(len(pairs))
    expected = np.abs(pairs[:, None].astype(int) - pairs).max(-1) <= LEVELS
    assert (alike_pictures(pairs)(places, places) == expected).all()
    assert 0 < expected.sum() - len(pairs) < expected.size
    assert DESCRIPTOR == 2 * 3 * CELLS**2


def test_groups_are_those_of_a_plain_loop_over_many_blocks():
    values = np.random.default_rng(1).uniform(0, 60, 900)

    def near(a, b):
        return abs(a - b) < 0.05

    expected: list[int] = []
    for place, value in enumerate(values):
        found = [head for head in sorted(set(expected)) if near(values[head], value)]
        expected.append(found[0] if found else place)
    head = heads(len(values), lambda rows, columns: near(values[rows][:, None], values[columns]))
    assert head.tolist() == expected
    assert sum(map(len, groups(head))) == sum(
        expected.count(one) for one in set(expected) if expected.count(one) > 1
    )


def test_texts_are_near_if_all_three_are():
    units = np.eye(4, dtype=np.float16)[[[0, 1, 2], [0, 1, 2], [0, 1, 3]]]
    assert heads(3, alike_texts(units, 0.8)).tolist() == [0, 0, 2]


def test_spread_histogram_and_ends():
    values = [3.0, 1.0, 2.0, 2.0, 9.0]
    found = spread(values)
    assert (found.median, found.least, found.greatest, found.mean) == (2, 1, 9, np.mean(values))
    counts, edges = histogram(values)
    assert (counts, edges[0], edges[-1]) == ([1, 2, 1, 0, 0, 0, 0, 0, 1], 0.5, 9.5)
    assert sum(histogram(np.linspace(0, 1, 77).tolist())[0]) == 77
    assert histogram([0.25, 0.25])[0] == [2]
    sought = ends([None, *values], 2, seed=0)
    assert sought.lowest[0] == 2
    assert sought.highest == [5, 1]
    assert 0 not in (*sought.lowest, *sought.highest, *sought.drawn)


def test_scores_of_draws_are_gathered_by_stage():
    assert stage_of("draws/draw_target.12/total") == "draw_target/total"
    assert [stage_of(name) for name in ("alignment", "draws/odd", "draws/a/b")] == [
        "alignment",
        "draws/odd",
        "draws/a/b",
    ]


def test_filters_say_who_fails_and_what_they_cannot_tell():
    rows = [("a", {"words": 3.0}), ("b", {"words": 9.0, "mask_share": 0.5}), ("c", {"mask_share": 0.1})]
    found = sift(rows, [read_filter("words < 5"), read_filter("mask_share>=0.2")])
    assert found.failing == ("b", "c")
    assert found.by_filter == {"words<5": 1, "mask_share>=0.2": 1}
    assert found.without == {"words<5": 1, "mask_share>=0.2": 1}


@pytest.mark.parametrize(
    "text", ["beauty>=1", "words>=", "words", "words>=many", "words>=nan", "words=1", "clip_text>0"]
)
def test_a_filter_that_cannot_be_used_is_one_sentence_with_the_names(text):
    with pytest.raises(BadInputError) as refusal:
        read_filter(text, absent=("clip_text",))
    assert "sharpness_ratio" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert "words, distinct_words" in str(refusal.value)


def test_coherence_is_higher_for_what_becomes(tmp_path):
    make_data_set(tmp_path / "set", 1)
    (one,) = read_triplets(tmp_path / "set")
    before, after = "a snowman on a meadow", "a puddle of water on a meadow"
    texts = [
        replace(one, original_caption=before, target_caption=after, instruction=told)
        for told in (after, before, "")
    ]
    items = [Item(tmp_path, text) for text in texts]
    stored = text_descriptor().measure(items)
    values = [
        coherence(text, np.frombuffer(vectors, np.float16).reshape(3, -1))
        for text, vectors in zip(texts, stored, strict=True)
    ]
    assert values[0] == pytest.approx(-values[1], abs=2e-3)
    assert values[0] > 0.1
    assert values[2] is None


def test_clip_scores_are_those_of_plain_transformers(tmp_path):
    from transformers import CLIPModel, CLIPProcessor

    save_clip(tmp_path / "clip")
    make_data_set(tmp_path / "set", 2)
    items = [Item(tmp_path / "set", triplet) for triplet in read_triplets(tmp_path / "set")]
    gauge = clip_gauge(load_clip(str(tmp_path / "clip")))
    found = [read_values(stored) for stored in gauge.measure(items)]
    model, processor = (kind.from_pretrained(tmp_path / "clip") for kind in (CLIPModel, CLIPProcessor))
    for item, values in zip(items, found, strict=True):
        one, pictures = item.triplet, item.pictures
        inputs = processor(
            text=[one.original_caption, one.target_caption],
            images=[pictures.original, pictures.target],
            return_tensors="pt",
            padding=True,
        )
        with torch.no_grad():
            out = model(**inputs)
        cosine = torch.nn.functional.cosine_similarity
        images, texts = out.image_embeds, out.text_embeds
        assert values["clip_text"] == pytest.approx(float(cosine(images[1], texts[1], 0)), abs=1e-5)
        assert values["clip_image"] == pytest.approx(float(cosine(images[0], images[1], 0)), abs=1e-5)
        direction = float(cosine(images[1] - images[0], texts[1] - texts[0], 0))
        assert values["clip_direction"] == pytest.approx(direction, abs=1e-3)
