"""The post-edit on simulated worlds, whose true picture and true mask are known, behind an engine that drifts."""

import io
import time

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editworld_core.alignment import Alignment
from editworld_core.engines.protocol import Engine
from editworld_core.errors import BadInputError, EditCancelledError
from editworld_core.images import composite
from editworld_core.inpainting import EngineInpainter, NoInpainter
from editworld_core.masks import Map, Mask, enlarge, mask_from_maps, mask_iou, normalise
from editworld_core.metrics import psnr, st_lpips_outside
from editworld_core.post_edit import PostEdit, post_edit, post_edit_any
from editworld_core.segmentation import ClassicalSegmenter
from editworld_core.settings import EditSettings, HandRule
from editworld_core.simulation.held_out import held_out_pair
from editworld_core.simulation.world import SimulatedPair, simulate

LOCAL = ("melt_snowman", "grow_tree", "become_robot", "wilt_flower", "take_off", "eat_food")


def blobs(rng: np.random.Generator, size: tuple[int, int], cells: int, strength: float) -> np.ndarray:
    small = rng.normal(size=(cells, cells, 3)).astype(np.float32)
    return strength * cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


def drifting(pair: SimulatedPair, seed: int) -> Image.Image:
    """The true target as an imperfect engine paints it: blurred inside, tinted, blotched and noisy everywhere."""
    rng = np.random.default_rng(seed)
    before, after = (np.float32(picture) / 255 for picture in (pair.before, pair.after))
    blend = cv2.GaussianBlur(pair.mask.astype(np.float32), (0, 0), 2)[..., None]
    image = before + blend * (0.85 * cv2.GaussianBlur(after, (0, 0), 1.5) + 0.15 * before - before)
    image = image * rng.uniform(0.96, 1.04, 3) + rng.uniform(-0.02, 0.02, 3)
    image += blobs(rng, pair.mask.shape, 6, 0.015) + blobs(rng, pair.mask.shape, 24, 0.015)
    image += rng.normal(0, 0.012, image.shape)
    return Image.fromarray(np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8))


def attention(pair: SimulatedPair, seed: int) -> Map:
    """A 16x16 map of where the true mask is: soft, noisy, and with a leak."""
    rng = np.random.default_rng(seed)
    inside = cv2.resize(pair.mask.astype(np.float32), (16, 16), interpolation=cv2.INTER_AREA)
    map = 0.2 + cv2.GaussianBlur(inside, (0, 0), 0.8) + np.abs(rng.normal(0, 0.05, (16, 16)))
    row, column = rng.integers(0, 15, 2)
    map[row : row + 2, column : column + 2] += 0.2
    return (0.1 * map).astype(np.float32)


def edit_of(name: str, seed: int = 1) -> tuple[SimulatedPair, Image.Image, Image.Image, Mask, Map]:
    pair = simulate(name, seed)
    map = attention(pair, seed)
    prompt = mask_from_maps([map], "otsu", 0.8125, pair.mask.shape)
    heat = enlarge(normalise(map), pair.mask.shape)
    return pair, Image.fromarray(pair.before), drifting(pair, seed), prompt, heat


def kept(original: Image.Image, edited: Image.Image, prompt: Mask, heat: Map | None) -> PostEdit:
    return post_edit(
        original,
        edited,
        prompt,
        heat,
        "the sun comes out",
        segmenter=ClassicalSegmenter(),
        inpainter=NoInpainter(),
        feather=6,
    )


def outside_is_untouched(original: Image.Image, result: PostEdit) -> bool:
    return bool((np.asarray(result.final)[~result.mask] == np.asarray(original)[~result.mask]).all())


@pytest.mark.parametrize("name", LOCAL)
def test_final_mask_is_near_the_true_one_and_the_rest_is_the_uploads(name: str) -> None:
    pair, original, edited, prompt, heat = edit_of(name)
    result = kept(original, edited, prompt, heat)
    assert mask_iou(result.mask, pair.mask) > 0.7
    assert outside_is_untouched(original, result)
    unlike = [
        np.abs(np.asarray(image, float) - pair.after)[pair.mask].mean()
        for image in (original, edited, result.final)
    ]
    assert unlike[2] < 0.5 * unlike[0]  # the edit survives: feather and mask cost little of it
    for segment in (result.segment_original, result.segment_edited):
        assert segment.mask.shape == pair.mask.shape
        assert 0.4 < segment.overlap <= 1


def returned(pair: SimulatedPair, seed: int) -> tuple[Image.Image, Alignment]:
    """The true target as an editor elsewhere returns it, and how it lies: shifted by up to 3 pixels, zoomed by up to
    2%, blurred, tinted, noisy, saved as JPEG 85."""
    rng = np.random.default_rng(seed)
    (dx, dy), scale = rng.uniform(-3, 3, 2), rng.uniform(0.98, 1.02)
    size, centre = pair.after.shape[1::-1], (np.array(pair.after.shape[1::-1]) - 1) / 2
    matrix = cv2.getRotationMatrix2D(tuple(centre), 0, scale)
    matrix[:, 2] += dx, dy
    image = cv2.warpAffine(
        np.float32(pair.after), matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    image = cv2.GaussianBlur(image, (0, 0), 0.6) * rng.uniform(0.95, 1.05, 3) + rng.uniform(-6, 6, 3)
    image += rng.normal(0, 3, image.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return Image.open(file).convert("RGB"), Alignment((dx, dy), scale)


@pytest.mark.parametrize("tinted", [True, False])
def test_a_picture_edited_elsewhere_is_aligned_and_only_its_edit_kept(tinted: bool) -> None:
    overlaps, unlike = [], []
    for seed, name in enumerate(LOCAL):
        pair = held_out_pair(name, seed)
        original, (edited, truth) = Image.fromarray(pair.before), returned(pair, seed)
        result = post_edit_any(original, edited, pair.instruction, EditSettings(match_colours=tinted))
        assert psnr(original, edited, ~pair.mask) < 35
        assert psnr(original, result.final, ~result.mask) == float("inf")
        assert psnr(original, result.final, ~pair.mask) > psnr(original, edited, ~pair.mask) + 8
        assert result.alignment is not None
        assert result.alignment.shift == pytest.approx(truth.shift, abs=0.5)
        overlaps.append(mask_iou(result.mask, pair.mask))
        assert overlaps[-1] > 0.6
        before, after, final = (
            np.abs(np.asarray(image, float) - pair.after)[pair.mask].mean()
            for image in (original, edited, result.final)
        )
        assert final < 0.5 * before  # the edit succeeded
        unlike.append((after, final))
    assert np.mean(overlaps) > 0.8
    edited_error, final_error = np.mean(unlike, axis=0)
    assert final_error < (0.75 if tinted else 0.9) * edited_error


def test_without_alignment_a_moved_picture_gives_worse_masks() -> None:
    pair = held_out_pair("eat_food", 1)
    original, edited = Image.fromarray(pair.before), returned(pair, 2)[0]
    aligned, as_it_came = (
        post_edit_any(original, edited, "eat", EditSettings(align=align)) for align in (True, False)
    )
    assert as_it_came.alignment is None
    assert mask_iou(aligned.mask, pair.mask) > mask_iou(as_it_came.mask, pair.mask) + 0.1


@pytest.mark.parametrize("attended", [True, False])
def test_what_vanished_leaves_no_outline(attended: bool) -> None:
    pair = held_out_pair("pop_balloon", 2)
    original, target = Image.fromarray(pair.before), Image.fromarray(pair.after)
    if attended:
        map = attention(pair, 2)
        prompt = mask_from_maps([map], "otsu", 0.8125, pair.mask.shape)
        result = kept(original, target, prompt, enlarge(normalise(map), pair.mask.shape))
    else:
        result = post_edit_any(original, target, "the balloon pops")
    error = np.abs(np.asarray(result.final, float) - pair.after).max(-1)
    soft = np.abs(np.asarray(composite(original, target, result.mask, 6), float) - pair.after).max(-1)
    assert (error > 40).sum() < 0.25 * (soft > 40).sum()


def test_what_vanished_leaves_no_rim_where_attention_ends_too_soon() -> None:
    rows, columns = np.mgrid[:256, :256]
    away = np.hypot(rows - 128, columns - 128)
    heat = (away < 39).astype(np.float32)
    plain = np.full((256, 256, 3), 200, np.uint8)
    ball = np.where(away[..., None] < 40.5, np.uint8(40), plain)
    result = kept(Image.fromarray(ball), Image.fromarray(plain), heat > 0.5, heat)
    assert np.asarray(result.final).min() > 100  # 40 is left of the ball without what differs beside the mask
    assert result.mask.sum() < (away < 43).sum()


@pytest.mark.parametrize("size", [(256, 256), (248, 256), (128, 128), (512, 520)])
def test_a_picture_of_another_size_is_brought_to_the_uploads(size: tuple[int, int]) -> None:
    pair = held_out_pair("melt_snowman", 3)
    original, target = Image.fromarray(pair.before), Image.fromarray(pair.after)
    result = post_edit_any(original, target.resize(size, Image.Resampling.LANCZOS), "the snowman melts")
    assert result.final.size == result.edited.size == original.size
    assert outside_is_untouched(original, result)
    assert mask_iou(result.mask, pair.mask) > 0.85


def test_other_proportions_are_refused() -> None:
    with pytest.raises(BadInputError, match="same proportions"):
        post_edit_any(Image.new("RGB", (90, 60)), Image.new("RGB", (90, 90)), "x")


def test_a_mask_by_hand_replaces_or_joins_and_is_grown() -> None:
    pair, original, edited, prompt, heat = edit_of("melt_snowman")
    hand = np.zeros(pair.mask.shape, bool)
    hand[10:60, 180:240] = True
    automatic = kept(original, edited, prompt, heat)

    def by_hand(rule: HandRule, grow: int, feather: int = 0) -> PostEdit:
        settings = EditSettings(hand_rule=rule, grow=grow, feather=feather, align=False)
        return post_edit_any(original, edited, "the sun comes out", settings, hand)

    replaced = by_hand("replace", 0)
    assert (replaced.mask == hand).all()
    assert (np.asarray(replaced.final)[hand] == np.asarray(edited)[hand]).all()
    assert outside_is_untouched(original, replaced)
    joined = by_hand("join", 0)
    assert (joined.mask & hand == hand).all()
    assert mask_iou(joined.mask & ~hand, automatic.mask & ~hand) > 0.8
    square = cv2.getStructuringElement(cv2.MORPH_RECT, (9, 9))
    assert by_hand("replace", -4).mask[14:56, 184:236].all()
    assert by_hand("replace", -4).mask.sum() == 42 * 52
    wide = by_hand("replace", 4).mask
    assert (wide & ~cv2.dilate(hand.astype(np.uint8), square).astype(bool)).sum() == 0
    assert wide[6:64, 184:236].all()
    assert by_hand("join", 5).mask.sum() > joined.mask.sum()


def test_masks_of_the_post_edit_beat_those_of_attention() -> None:
    scores = []
    for name in LOCAL:
        pair, original, edited, prompt, heat = edit_of(name, 2)
        scores.append(
            (mask_iou(prompt, pair.mask), mask_iou(kept(original, edited, prompt, heat).mask, pair.mask))
        )
    before, after = np.mean(scores, axis=0)
    assert after > before
    assert after > 0.78


def test_post_edit_lowers_the_perceptual_drift_by_more_than_half() -> None:
    pair, original, edited, prompt, heat = edit_of("melt_snowman", 3)
    final = kept(original, edited, prompt, heat).final
    assert st_lpips_outside(original, final, pair.mask) < 0.5 * st_lpips_outside(original, edited, pair.mask)


def test_drift_far_from_the_attention_is_undone_though_it_is_strong() -> None:
    _, original, edited, prompt, heat = edit_of("melt_snowman", 4)
    far = np.unravel_index(
        int(np.argmax(cv2.distanceTransform((~prompt).astype(np.uint8), cv2.DIST_L2, 5))), prompt.shape
    )
    pixels = np.array(edited)
    pixels[max(far[0] - 6, 0) : far[0] + 6, max(far[1] - 6, 0) : far[1] + 6] = (255, 0, 255)
    result = kept(original, Image.fromarray(pixels), prompt, np.where(prompt, heat, 0).astype(np.float32))
    assert not result.mask[far]


def test_a_flood_of_the_lower_part_is_a_region() -> None:
    pair, original, *_ = edit_of("melt_snowman", 5)
    pixels, truth = np.array(original), np.zeros(pair.mask.shape, bool)
    truth[154:] = True
    water = np.float32([70, 110, 150]) + 20 * np.sin(np.arange(102) / 3)[:, None, None]
    pixels[truth] = np.clip(0.15 * pixels[154:] + 0.85 * water, 0, 255).astype(np.uint8).reshape(-1, 3)
    map = 0.02 + cv2.resize(truth.astype(np.float32), (16, 16), interpolation=cv2.INTER_AREA)
    prompt = mask_from_maps([map], "otsu", 0.8125, truth.shape)
    result = kept(original, Image.fromarray(pixels), prompt, enlarge(normalise(map), truth.shape))
    assert mask_iou(result.mask, truth) > 0.9
    assert outside_is_untouched(original, result)


@pytest.mark.parametrize("named", [True, False])
def test_an_edit_of_everything_keeps_the_engines_picture(named: bool) -> None:
    _, original, _, prompt, heat = edit_of("melt_snowman")
    night = Image.fromarray((np.asarray(original) * np.float32([0.25, 0.3, 0.5])).astype(np.uint8))
    prompt = np.ones_like(prompt) if named else prompt  # attention may miss that it is night everywhere
    result = kept(original, night, prompt, heat)
    assert result.mask.all()
    assert result.final.tobytes() == night.tobytes()
    assert result.alignment is None


@pytest.mark.parametrize("flat", [True, False])
def test_a_faint_edit_of_everything_is_one_if_the_words_looked_everywhere(flat: bool) -> None:
    _, original, _, prompt, heat = edit_of("melt_snowman")
    mellow = np.asarray(original) + np.float32([23, 0, -23])
    edited = Image.fromarray(np.clip(mellow, 0, 255).astype(np.uint8))
    everywhere = 1 - 0.1 * heat  # one word of several has left a prompt nevertheless
    assert kept(original, edited, prompt, everywhere if flat else heat).mask.all() == flat


def test_a_moved_edit_of_everything_is_kept_as_it_came() -> None:
    _, original, _, prompt, heat = edit_of("melt_snowman")
    night = (np.asarray(original) * np.float32([0.25, 0.3, 0.5])).astype(np.uint8)
    moved = Image.fromarray(np.roll(night, 5, axis=1))  # undone, a strip of day would be left
    result = kept(original, moved, prompt, heat)
    assert result.final.tobytes() == moved.tobytes()
    assert result.alignment is None


def test_an_empty_prompt_falls_back_on_what_changed() -> None:
    pair, original, edited, prompt, _ = edit_of("become_robot")
    result = kept(original, edited, np.zeros_like(prompt), None)
    assert mask_iou(result.mask, pair.mask) > 0.5
    assert outside_is_untouched(original, result)


@pytest.mark.parametrize("attended", [True, False])
def test_where_nothing_changed_the_upload_comes_back(attended: bool) -> None:
    _, original, _, prompt, heat = edit_of("become_robot")
    prompt = prompt if attended else np.zeros_like(prompt)
    result = kept(original, original.copy(), prompt, heat if attended else None)
    assert not result.mask.any()
    assert result.final.tobytes() == original.tobytes()


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(8, 150), st.integers(8, 150)),
    st.integers(0, 2**31),
    st.sampled_from(["none", "some", "all"]),
    st.booleans(),
)
def test_any_size_and_prompt(size: tuple[int, int], seed: int, share: str, known: bool) -> None:
    rng = np.random.default_rng(seed)
    original, edited = (Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)) for _ in range(2))
    prompt = {"none": np.zeros(size, bool), "some": rng.random(size) < 0.3, "all": np.ones(size, bool)}[share]
    result = kept(original, edited, prompt, rng.random(size).astype(np.float32) if known else None)
    assert result.final.size == original.size
    assert result.mask.shape == size
    assert outside_is_untouched(original, result)


def test_at_upload_size_the_outside_is_untouched_and_the_work_is_quick() -> None:
    pair, original, edited, prompt, heat = edit_of("melt_snowman", 6)
    size = (2400, 2400)
    big = [image.resize(size, Image.Resampling.BICUBIC) for image in (original, edited)]
    big_prompt = cv2.resize(prompt.astype(np.uint8), size) > 0
    started = time.perf_counter()
    result = kept(*big, big_prompt, cv2.resize(heat, size))
    assert time.perf_counter() - started < 10  # about a second and a half on an idle core
    assert outside_is_untouched(big[0], result)
    truth = cv2.resize(pair.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
    assert mask_iou(result.mask, truth) > 0.7


@pytest.fixture(scope="module")
def newborn(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    """A small untrained pocket engine, saved and loaded as a real one; it says that nothing happens."""
    import torch

    from editworld_core.engines.build import build_unet, save_pocket
    from editworld_core.engines.registry import load_engine

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("engines") / "newborn"
    save_pocket(build_unet((32, 64), 1, 2, 8), folder)
    return load_engine(str(folder))


def test_the_engine_redraws_at_its_own_size_and_the_upload_gets_it_at_its_own(newborn: Engine) -> None:
    pair = simulate("melt_snowman", 7)
    original = Image.fromarray(pair.before).resize((500, 340), Image.Resampling.BICUBIC)
    edited = Image.new("RGB", original.size, "red")
    mask = np.zeros((340, 500), bool)
    mask[100:250, 150:350] = True
    steps: list[tuple[int, int]] = []
    redrawn = EngineInpainter(newborn, EditSettings(seed=1, steps=4)).inpaint(
        original, edited, mask, "melt the snowman", lambda done, total: steps.append((done, total))
    )
    assert redrawn.size == original.size
    assert steps
    assert steps[-1][0] == steps[-1][1]
    assert psnr(original, redrawn) > 30  # nothing happens: neither inside nor outside is red


def test_a_cancelled_redrawing_stops(newborn: Engine) -> None:
    _, original, edited, prompt, heat = edit_of("melt_snowman")

    def stop(done: int, total: int) -> None:
        raise EditCancelledError("stopped")

    with pytest.raises(EditCancelledError):
        post_edit(
            original,
            edited,
            prompt,
            heat,
            "melt",
            segmenter=ClassicalSegmenter(),
            inpainter=EngineInpainter(newborn, EditSettings(seed=1, steps=4)),
            feather=6,
            progress=stop,
        )
