"""Segments against the true alpha of rendered sprites."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editworld_core.errors import BadInputError
from editworld_core.masks import Mask, grown, mask_iou
from editworld_core.pixels import to_image
from editworld_core.segmentation import ClassicalSegmenter, Segment, choose_segment
from editworld_core.simulation.backdrops import make_backdrop
from editworld_core.simulation.sprites import load_sprite, stand
from editworld_core.simulation.stage import Stage

SUBJECTS = ("snowman", "cactus", "tulip", "candle", "balloon")


def rendered(subject: str, seed: int, size: int = 256) -> tuple[Image.Image, Mask]:
    """A sprite on a procedural backdrop, and where its alpha is more than half."""
    stage = Stage(np.random.default_rng(seed), size)
    backdrop = make_backdrop(stage, ("meadow", "beach", "room"))
    sprite = load_sprite(subject, round(0.45 * size))
    picture, x, base = backdrop.picture.copy(), round(0.5 * size), round(0.9 * size)
    stand(picture, sprite, x, base)
    truth = np.zeros((size, size), bool)
    height, width = sprite.shape[:2]
    left, top = round(x - width / 2), round(base - height)
    truth[top : top + height, left : left + width] = sprite[..., 3] > 0.5
    return to_image(picture), truth


def coarse(truth: Mask, cells: int = 16) -> tuple[Mask, np.ndarray]:
    """What attention sees of it: a prompt and heat of 16x16 cells."""
    small = Image.fromarray((255 * truth).astype(np.uint8)).resize((cells, cells), Image.Resampling.BOX)
    heat = np.asarray(small.resize(truth.shape[::-1], Image.Resampling.BICUBIC), np.float32) / 255
    return heat > 0.4, heat


def candidates(image: Image.Image, prompt: Mask, heat: np.ndarray | None) -> list[Mask]:
    return [segment.mask for segment in ClassicalSegmenter().segments(image, prompt, heat)]


def best(masks: list[Mask], prompt: Mask) -> Mask:
    return choose_segment([Segment(mask, mask_iou(mask, prompt)) for mask in masks], prompt).mask


@pytest.mark.parametrize("subject", SUBJECTS)
def test_segments_follow_the_sprites_outline(subject: str) -> None:
    scores, rough = [], []
    for seed in range(4):
        image, truth = rendered(subject, seed)
        prompt, heat = coarse(truth)
        found = best(candidates(image, prompt, heat), prompt)
        scores.append(mask_iou(found, truth))
        rough.append(mask_iou(prompt, truth))
    assert np.mean(scores) > 0.75
    assert np.mean(scores) > np.mean(rough)


def test_candidates_are_masks_of_the_pictures_size_and_repeat() -> None:
    image, truth = rendered("snowman", 1, 400)
    image = image.resize((400, 300))
    prompt, heat = coarse(np.asarray(Image.fromarray(truth).resize((400, 300))))
    first, second = (candidates(image, prompt, heat) for _ in range(2))
    assert len(first) > 1
    assert all(mask.shape == (300, 400) and mask.dtype == bool and mask.any() for mask in first)
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("share", [0.0, 1.0])
@pytest.mark.parametrize("size", [(8, 8), (9, 61), (256, 256)])
def test_empty_and_full_prompts(size: tuple[int, int], share: float) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))
    prompt = np.full(size, bool(share))
    found = candidates(image, prompt, None)
    assert bool(found) == bool(share)
    assert (best(found, prompt) == prompt).all()


def test_the_background_never_wins() -> None:
    prompt = np.zeros((100, 100), bool)
    prompt[30:60, 30:60] = True
    background, thing = ~prompt, grown(prompt, 6)
    assert (best([background, thing], prompt) == thing).all()
    assert (best([np.ones_like(prompt)], prompt) == prompt).all()
    assert (best([], prompt) == prompt).all()


def test_the_greatest_overlap_wins_by_brute_force() -> None:
    rng = np.random.default_rng(0)
    prompt = rng.random((30, 30)) < 0.3
    masks = [rng.random((30, 30)) < share for share in (0.1, 0.3, 0.5)] + [
        grown(prompt, 1) & (rng.random((30, 30)) < 0.5)
    ]
    scores = [(c & prompt).sum() / (c | prompt).sum() for c in masks]
    assert best(masks, prompt) is masks[int(np.argmax(scores))]


def test_fast_enough_for_two_pictures_an_edit() -> None:
    image, truth = rendered("snowman", 2)
    prompt, heat = coarse(truth)
    ClassicalSegmenter().segments(image, prompt, heat)
    started = time.perf_counter()
    ClassicalSegmenter().segments(image, prompt, heat)
    assert time.perf_counter() - started < 1  # 0.1 s on an idle core; the rest is for busy test machines


def test_segments_say_how_good_they_are() -> None:
    image, truth = rendered("cactus", 1)
    prompt, heat = coarse(truth)
    segments = ClassicalSegmenter().segments(image, prompt, heat)
    assert all(segment.overlap == mask_iou(segment.mask, prompt) for segment in segments)
    assert all(segment.predicted_iou is None for segment in segments)
    chosen = choose_segment(segments, prompt)
    assert chosen.overlap == max(segment.overlap for segment in segments)


def test_a_clear_thing_is_stabler_than_a_prompt_on_nothing() -> None:
    """On an even picture the outline follows the prompt's, so moving the prompt moves it."""
    prompt = np.zeros((192, 192), bool)
    prompt[70:120, 60:110] = True
    even = Image.new("RGB", (192, 192), (90, 120, 90))
    thing = even.copy()
    thing.paste((220, 40, 40), (64, 66, 116, 124))
    stabilities = [
        choose_segment(ClassicalSegmenter().segments(image, prompt), prompt).stability or 0.0
        for image in (thing, even)
    ]
    assert stabilities[0] > 0.95
    assert stabilities[1] < 0.9


def test_the_prompt_itself_stands_in_for_no_segment() -> None:
    prompt = np.zeros((20, 20), bool)
    prompt[5:9, 5:9] = True
    chosen = choose_segment([Segment(np.ones_like(prompt), 16 / 400, 1.0)], prompt)
    assert (chosen.mask == prompt).all()
    assert (chosen.overlap, chosen.stability, chosen.predicted_iou) == (1.0, None, None)


def test_the_largest_area_is_a_choice() -> None:
    prompt = np.zeros((20, 20), bool)
    prompt[5:12, 5:12] = True
    large, small = grown(prompt, 4), prompt & (np.arange(20) < 9)
    segments = [Segment(mask, mask_iou(mask, prompt)) for mask in (large, small)]
    assert choose_segment([segments[0]], prompt, 0.9) is segments[0]
    assert choose_segment([segments[0]], prompt, 0.3).stability is None
    assert choose_segment(segments, prompt, 0.3) is segments[1]


# ---- clicks


def deepest(mask: Mask) -> tuple[int, int]:
    """Where a person would click: (x, y) farthest from the outline."""
    y, x = divmod(int(depth_of(mask).argmax()), mask.shape[1])
    return x, y


def depth_of(mask: Mask) -> np.ndarray:
    """Distance to the outline, [H, W]."""
    return cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]


def test_clicks_find_the_sprite() -> None:
    """One click in the middle; then, as a person would, a second one on the largest mistake, missed or too much."""
    one, two = [], []
    segmenter = ClassicalSegmenter()
    for subject in (*SUBJECTS, "apple", "car", "duck", "teddy-bear"):
        for seed in range(3):
            image, truth = rendered(subject, seed)
            first = segmenter.at_points(image, [deepest(truth)], [True])
            missed, extra = truth & ~first, first & ~truth
            belongs = depth_of(missed).max() > depth_of(extra).max()
            points = [deepest(truth), deepest(missed if belongs else extra)]
            second = segmenter.at_points(image, points, [True, bool(belongs)])
            one.append(mask_iou(first, truth))
            two.append(mask_iou(second, truth))
    assert np.mean(one) > 0.7
    assert np.mean(two) > 0.8


def test_a_click_beside_takes_the_neighbour_out() -> None:
    """Two touching sprites of which only the first is meant."""
    size = 256
    picture = np.full((size, size, 3), (0.6, 0.75, 0.6), np.float32)
    truths = []
    for subject, x in (("apple", 90), ("egg", 160)):
        sprite = load_sprite(subject, 90)
        stand(picture, sprite, x, 200)
        height, width = sprite.shape[:2]
        left, top = round(x - width / 2), 200 - height
        truth = np.zeros((size, size), bool)
        truth[top : top + height, left : left + width] = sprite[..., 3] > 0.5
        truths.append(truth)
    image, clicks = to_image(picture), [deepest(truth) for truth in truths]
    alone = ClassicalSegmenter().at_points(image, clicks, [True, False])
    both = ClassicalSegmenter().at_points(image, clicks, [True, True])
    assert mask_iou(alone, truths[0]) > 0.75
    assert (alone & truths[1]).sum() < 0.1 * truths[1].sum()
    assert mask_iou(both, truths[0] | truths[1]) > 0.75


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_clicks_are_obeyed_on_any_picture(data: st.DataObject) -> None:
    height, width = data.draw(st.integers(8, 300)), data.draw(st.integers(8, 300))
    cells = data.draw(st.integers(1, 8))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    image = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), np.uint8)).resize((width, height))
    anywhere = st.tuples(st.integers(0, width - 1), st.integers(0, height - 1))
    points = data.draw(st.lists(anywhere, min_size=1, max_size=5, unique=True))
    labels = [True, *data.draw(st.lists(st.booleans(), min_size=len(points) - 1, max_size=len(points) - 1))]
    mask = ClassicalSegmenter().at_points(image, points, labels)
    assert (mask.shape, mask.dtype) == ((height, width), bool)
    assert all(mask[y, x] == label for (x, y), label in zip(points, labels, strict=True))


@pytest.mark.parametrize(
    ("points", "labels"),
    [([], []), ([(1, 1)], [False]), ([(50, 1)], [True]), ([(-1, 1)], [True]), ([(1, 1)], [])],
)
def test_clicks_from_which_nothing_follows_are_refused(
    points: list[tuple[int, int]], labels: list[bool]
) -> None:
    with pytest.raises(BadInputError):
        ClassicalSegmenter().at_points(Image.new("RGB", (50, 40)), points, labels)
