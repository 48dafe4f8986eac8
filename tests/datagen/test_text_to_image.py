"""The stages of the text-to-image branch against diffusers' pipelines called by hand on the same tiny weights."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from diffusers import (
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLControlNetInpaintPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
)
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen import text_to_image
from editworld_core.datagen.keyword_masks import keyword_mask, recording
from editworld_core.datagen.pair_models import load_models, names_in, revisions
from editworld_core.datagen.pair_records import (
    PairRecord,
    draw_seed,
    mask_keywords,
    pair_id,
    seeds_of,
    to_triplet,
)
from editworld_core.datagen.pair_settings import PairSettings, setting_fields
from editworld_core.datagen.quadruple import Quadruple, make_quadruple
from editworld_core.datagen.scoring import structure
from editworld_core.datagen.text_to_image import draw_original, draw_target, make_pair, redraw_original
from editworld_core.datagen.triplet import Triplet
from editworld_core.engines.place import Place
from editworld_core.errors import BadInputError, EditWorldError, EngineUnavailableError
from tests.datagen.tiny_pair_models import save_models

SETTINGS = PairSettings(
    seed=4,
    steps=3,
    originals=3,
    redrawn_originals=2,
    targets=3,
    guided_targets=2,
    mask_threshold=1.0,
    refine_strength=0.7,
)
CLASSES = {
    "sd15": (
        StableDiffusionPipeline,
        StableDiffusionInpaintPipeline,
        StableDiffusionImg2ImgPipeline,
        StableDiffusionControlNetInpaintPipeline,
        {"safety_checker": None},
    ),
    "sdxl": (
        StableDiffusionXLPipeline,
        StableDiffusionXLInpaintPipeline,
        StableDiffusionXLImg2ImgPipeline,
        StableDiffusionXLControlNetInpaintPipeline,
        {"add_watermarker": False},
    ),
}


def quadruple(keywords=("snowman",), before="A tiny snowman; the red sun", number=0) -> Quadruple:
    return make_quadruple(
        Category.PHYSICAL_TRANS,
        before,
        "the sun comes out",
        f"the snowman melts, puddle {number}",
        keywords,
        "local",
        "by hand",
        0,
    )


QUADRUPLE = quadruple()


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def kind(request):
    return request.param


@pytest.fixture(scope="module")
def folder(kind, tmp_path_factory):
    return save_models(tmp_path_factory.mktemp("models") / kind, kind)


@pytest.fixture(scope="module")
def models(folder):
    return load_models(names_in(folder), Place())


@pytest.fixture(scope="module")
def records(models):
    """What is known after each stage, by its name."""
    record, found = PairRecord(QUADRUPLE), {}
    for stage in text_to_image.STAGES:
        record = found[stage.__name__] = stage(record, models, SETTINGS)
    return found


def fresh(folder, kind, which, part="draw"):
    """A pipeline of diffusers, loaded anew."""
    *classes, options = CLASSES[kind]
    pipeline = classes[which].from_pretrained(folder / part, **options)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def seed(stage, number):
    return draw_seed(SETTINGS.seed, QUADRUPLE, stage, number)


def generator(stage, number):
    return torch.Generator().manual_seed(seed(stage, number))


def near(a: Image.Image, b: Image.Image) -> bool:
    """Equal but for rounding."""
    return a.size == b.size and int(np.abs(np.asarray(a, int) - np.asarray(b, int)).max()) <= 1


def chosen(record, stage):
    return int(np.argmax([draw.total for draw in record.draws[stage]]))


def test_the_original_is_the_draw_of_diffusers_that_fits_its_caption_best(folder, kind, models, records):
    pipeline = fresh(folder, kind, 0)
    drawn = [
        pipeline(
            QUADRUPLE.original_caption,
            num_inference_steps=3,
            guidance_scale=7.5,
            generator=generator("draw_original", number),
        ).images[0]
        for number in range(3)
    ]
    fits = models.clip.similarity(drawn, QUADRUPLE.original_caption)
    record = records["draw_original"]
    assert [draw.total for draw in record.draws["draw_original"]] == pytest.approx(fits, abs=1e-3)
    assert near(record.original, drawn[int(np.argmax(fits))])
    assert len({image.tobytes() for image in drawn}) == 3  # the seeds do vary


def test_the_mask_is_that_of_the_chosen_draw(folder, kind, records):
    pipeline, record = fresh(folder, kind, 0), records["draw_original"]
    masks = []
    for number in range(3):
        with recording(pipeline.unet, (16, 16), 1, [6]) as alone:  # where "snowman" is
            pipeline(
                QUADRUPLE.original_caption,
                num_inference_steps=3,
                guidance_scale=7.5,
                generator=generator("draw_original", number),
            )
        cells = keyword_mask(alone[0].maps(), {"snowman": [0]}, threshold=1.0)
        masks.append(cells.repeat(2, 0).repeat(2, 1))
    number = chosen(record, "draw_original")
    assert np.array_equal(masks[number], record.mask)
    assert not any(np.array_equal(masks[other], record.mask) for other in {0, 1, 2} - {number})
    assert 0 < record.mask.mean() < 1


@pytest.mark.parametrize("stage", ["redraw_original", "draw_target"])
def test_what_is_drawn_inside_the_mask_is_what_diffusers_draws(folder, kind, models, records, stage):
    start = records["draw_original" if stage == "redraw_original" else "redraw_original"]
    told = QUADRUPLE.original_caption if stage == "redraw_original" else QUADRUPLE.target_caption
    number = chosen(records[stage], stage)
    by_hand = fresh(folder, kind, 1)(
        told,
        image=start.original,
        mask_image=Image.fromarray(start.mask),
        width=32,
        height=32,
        num_inference_steps=3,
        guidance_scale=7.5,
        strength=1.0,
        generator=generator(stage, number),
    ).images[0]
    record = records[stage]
    assert near(record.original if stage == "redraw_original" else record.target, by_hand)


def test_latents_outside_the_mask_are_the_originals(models, records, monkeypatch):
    decoded = []
    vae = models.inpaint.vae
    decode = vae.decode

    def see(latents, *more, **named):
        decoded.append(latents)
        return decode(latents, *more, **named)

    monkeypatch.setattr(vae, "decode", see)
    start = records["redraw_original"]
    draw_target(start, models, SETTINGS)
    pixels = torch.from_numpy(np.array(start.original)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        original = vae.encode(pixels).latent_dist.mode()[0].numpy()
    outside = ~start.mask[::2, ::2]
    assert len(decoded) == 3
    for latents in decoded:
        assert np.allclose(latents[0].numpy()[:, outside], original[:, outside], atol=1e-4)
        assert np.abs(latents[0].numpy()[:, ~outside] - original[:, ~outside]).mean() > 0.1


def test_the_target_is_chosen_by_text_image_and_structure(models, records):
    before, record = records["redraw_original"], records["draw_target"]
    draws, number = record.draws["draw_target"], chosen(records["draw_target"], "draw_target")
    for draw in draws:
        assert draw.total == pytest.approx(sum(draw.scores.values()))  # 1:1:1
    scores = draws[number].scores
    assert scores["clip_text"] == pytest.approx(
        models.clip.similarity([record.target], QUADRUPLE.target_caption)[0], abs=1e-5
    )
    assert scores["clip_image"] == pytest.approx(
        models.clip.similarity([record.target], before.original)[0], abs=1e-5
    )
    assert scores["structure"] == structure(record.target, before.original, 1e-3)
    only = replace(SETTINGS, target_text_weight=0, target_image_weight=0, target_structure_weight=-1)
    again = draw_target(before, models, only)
    least = int(np.argmin([draw.scores["structure"] for draw in draws]))
    assert chosen(again, "draw_target") == least
    assert structure(again.target, before.original) == pytest.approx(draws[least].scores["structure"])


@pytest.mark.parametrize("stage", ["refine_original", "refine_target"])
def test_a_refinement_is_that_of_diffusers_with_the_words_behind(folder, kind, records, stage):
    start = records["draw_target" if stage == "refine_original" else "guide_target"]
    which = stage.removeprefix("refine_")
    by_hand = fresh(folder, kind, 2)(
        getattr(QUADRUPLE, f"{which}_caption") + ", realistic",
        image=getattr(start, which),
        num_inference_steps=3,
        guidance_scale=7.5,
        strength=0.7,
        generator=generator(stage, 0),
    ).images[0]
    assert near(getattr(records[stage], which), by_hand)


def test_the_guided_target_is_that_of_diffusers_with_controlnet_and_ip_adapter(folder, kind, models, records):
    before, record = records["refine_original"], records["guide_target"]
    draws, number = record.draws["guide_target"], chosen(records["guide_target"], "guide_target")
    pipeline = fresh(folder, kind, 3, "controlnet")
    pipeline.load_ip_adapter(
        str(folder / "controlnet"), subfolder="ip_adapter", weight_name="ip-adapter.safetensors"
    )
    pixels = np.asarray(before.original), np.asarray(before.target)
    edges = cv2.Canny(pixels[1], 100, 200)
    by_hand = pipeline(
        QUADRUPLE.target_caption,
        negative_prompt="monochrome, lowres, bad anatomy, worst quality, low quality",
        image=Image.fromarray(np.where(before.mask[..., None], pixels[1], pixels[0])),
        mask_image=Image.fromarray(before.mask),
        control_image=Image.fromarray(np.stack([edges] * 3, -1)),
        ip_adapter_image=before.original,
        strength=1.0,
        controlnet_conditioning_scale=1.0,
        num_inference_steps=3,
        guidance_scale=5.0 if kind == "sdxl" else 7.5,
        generator=generator("guide_target", number),
    ).images[0]
    assert near(record.target, by_hand)
    for draw in draws:
        assert draw.total == pytest.approx(draw.scores["clip_image"] + 4 * draw.scores["clip_text"])


def test_pairs_of_any_batch_are_equal_but_for_rounding(models, records):
    batched = draw_original(PairRecord(QUADRUPLE), replace(models, batch=2), SETTINGS)
    assert near(batched.original, records["draw_original"].original)
    assert np.mean(batched.mask != records["draw_original"].mask) < 0.02
    together = draw_target(records["redraw_original"], replace(models, batch=3), SETTINGS)
    assert near(together.target, records["draw_target"].target)


def test_the_record_has_every_draw_with_its_seed_and_scores(folder, models, records):
    versions = revisions(names_in(folder))
    triplet = Triplet.from_line(to_triplet(records["refine_target"], SETTINGS, versions).to_line())
    assert triplet.branch == "text_to_image"
    assert triplet.models == versions
    assert triplet.id == pair_id(QUADRUPLE, SETTINGS, versions)
    counts = {"draw_original": 3, "redraw_original": 2, "draw_target": 3, "guide_target": 2}
    for stage, count in counts.items():
        totals = [triplet.scores[f"draws/{stage}.{number}/total"] for number in range(count)]
        assert f"draws/{stage}.{count}/total" not in triplet.scores
        assert len(set(totals)) == count  # other seeds, other pictures
        assert [triplet.seeds[f"{stage}.{number}"] for number in range(count)] == [
            draw.seed for draw in records[stage].draws[stage]
        ]
    assert len(set(triplet.seeds.values())) == len(triplet.seeds) == 12
    original, target = records["refine_target"].original, records["refine_target"].target
    assert triplet.scores["clip_image"] == pytest.approx(models.clip.similarity([target], original)[0])
    assert triplet.recipe["settings"]["mask_threshold"] == 1.0
    json.dumps(triplet.recipe)


def test_stages_out_of_order_say_so(models):
    with pytest.raises(ValueError, match="no original yet"):
        redraw_original(PairRecord(QUADRUPLE), models, SETTINGS)


def test_a_keyword_that_is_nowhere_stops_the_pair_before_anything_is_drawn(models, monkeypatch):
    monkeypatch.setattr(type(models.draw), "__call__", None)
    with pytest.raises(BadInputError, match="'moon' is not in the caption"):
        make_pair(quadruple(("snowman", "moon")), models, SETTINGS)


def test_an_empty_mask_stops_the_pair(models):
    with pytest.raises(BadInputError, match="no mask"):
        draw_original(PairRecord(QUADRUPLE), models, replace(SETTINGS, originals=1, mask_threshold=50))


def test_scores_that_are_no_numbers_stop_the_run(models):
    weights = models.clip.model.visual_projection.weight
    kept = weights.detach().clone()
    with torch.no_grad():
        weights.fill_(float("nan"))
    try:
        with pytest.raises(EditWorldError, match="is no number"):
            draw_original(PairRecord(QUADRUPLE), models, replace(SETTINGS, originals=1))
    finally:
        with torch.no_grad():
            weights.copy_(kept)


# Two models


def test_one_model_draws_and_another_redraws(tmp_path):
    names = names_in(save_models(tmp_path, "paper"))
    models = load_models(names, Place())
    assert isinstance(models.draw, StableDiffusionPipeline)
    assert isinstance(models.inpaint, StableDiffusionXLInpaintPipeline)
    assert models.inpaint.unet is models.refine.unet is not models.draw.unet
    stages = []
    quick = replace(SETTINGS, steps=2, originals=1, redrawn_originals=1, targets=1, guided_targets=1)
    record = make_pair(QUADRUPLE, models, quick, stages.append)
    assert stages == [
        "draw_original",
        "redraw_original",
        "draw_target",
        "refine_original",
        "guide_target",
        "refine_target",
    ]
    assert record.original.size == record.target.size == (32, 32)
    again = make_pair(QUADRUPLE, models, quick)
    assert again.target.tobytes() == record.target.tobytes()
    assert again.draws == record.draws


# Settings, seeds, ids, refusals


def test_the_defaults_are_the_papers():
    settings = PairSettings()
    assert (settings.originals, settings.redrawn_originals, settings.targets, settings.guided_targets) == (
        10,
        5,
        10,
        5,
    )
    assert (settings.steps, settings.guidance, settings.mask_threshold, settings.mask_cells) == (
        50,
        7.5,
        0.8125,
        16,
    )
    assert (settings.refine_strength, settings.refine_words) == (0.5, ", realistic")
    assert (settings.guided_text_weight, settings.guided_image_weight) == (4, 1)
    assert settings.structure_constant == 1e-3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0),
        ("originals", 0),
        ("refine_strength", 0.001),
        ("inpaint_strength", 1.5),
        ("mask_threshold", float("nan")),
        ("seed", -1),
        ("refine_words", "x" * 201),
    ],
)
def test_a_setting_that_cannot_be_is_named(name, value):
    with pytest.raises(BadInputError, match=name):
        PairSettings(**{name: value})


def test_every_setting_says_what_it_is():
    assert all(entry.metadata["about"] and entry.type in (int, float, str) for entry in setting_fields())


def test_seeds_differ_by_draw_stage_quadruple_and_run():
    settings = PairSettings()
    runs = [
        seeds_of(each, replace(settings, seed=number))
        for number in range(3)
        for each in (QUADRUPLE, quadruple(number=1))
    ]
    values = [value for run in runs for value in run.values()]
    assert len(values) == len(set(values)) == 6 * 32
    assert seeds_of(QUADRUPLE, settings) == runs[0]


def test_ids_depend_on_all_that_makes_the_pair():
    ids = {
        pair_id(QUADRUPLE, SETTINGS, {"draw": "a"}),
        pair_id(QUADRUPLE, SETTINGS, {"draw": "b"}),
        pair_id(QUADRUPLE, replace(SETTINGS, guidance=7.0), {"draw": "a"}),
        pair_id(quadruple(number=1), SETTINGS, {"draw": "a"}),
    }
    assert len(ids) == 4


def test_what_the_picture_only_gains_has_no_place_in_the_original():
    assert mask_keywords(quadruple(("snowman", "puddle", "Red Sun"))) == ("snowman", "Red Sun")
    assert mask_keywords(quadruple(("snowman", "moon"))) == ("snowman", "moon")
    assert mask_keywords(quadruple(("puddle",))) == ("puddle",)  # to be refused by its name


def test_a_folder_without_a_part_is_refused_by_name(tmp_path):
    for part in ("draw", "clip"):
        (tmp_path / part).mkdir()
    with pytest.raises(EngineUnavailableError, match="no folder controlnet"):
        names_in(tmp_path)


def test_an_editing_model_is_no_model_that_draws(tmp_path):
    from tests.engines.tiny_sd import tiny_sd15

    save_models(tmp_path, "sd15")
    names = names_in(tmp_path)
    other = tmp_path / "other"
    tiny_sd15(other).save_pretrained(other)
    with pytest.raises(EngineUnavailableError, match="does not draw from text"):
        load_models(replace(names, draw=str(other)), Place())


def test_other_weights_are_another_revision(tmp_path):
    names = names_in(save_models(tmp_path, "sd15"))
    before = revisions(names)
    assert revisions(names) == before
    weights = next((tmp_path / "draw" / "unet").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert {name for name, value in revisions(names).items() if value != before[name]} == {"draw", "redraw"}


def test_too_little_memory_is_one_sentence(tmp_path):
    names = replace(names_in(save_models(tmp_path, "sd15")), memory_gib=1e6)
    with pytest.raises(EngineUnavailableError, match="GiB are free"):
        load_models(names, Place())
