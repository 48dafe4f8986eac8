"""Steps and their batches: order, drops, flips, buckets, and what the tensors hold, against diffusers' own parts."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from torch.nn import functional as F

from editworld_core.datagen.recheck import Recheck
from editworld_core.datagen.records import read_triplets
from editworld_core.datagen.triplet import image_path
from editworld_core.engines.place import Place
from editworld_core.engines.registry import load_engine
from editworld_core.errors import BadInputError
from tests.engines.tiny_sd import tiny_sd15, tiny_sdxl
from tests.training.tiny_data_set import make_data_set
from training.data.order import Chances, Order, names_a_side
from training.data.pictures import read_mask
from training.data.rows import aspect_sizes, nearest_size, read_rows
from training.data.samples import Draw, open_samples
from training.data.settings import DataSettings

NO_DROPS = {"drop_text": 0.0, "drop_image": 0.0, "drop_both": 0.0}


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data_set(tmp_path_factory.mktemp("data") / "set", [(40, 40)] * 6)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_sd15(folder / "tokens").save_pretrained(folder / "sd15")
    return folder / "sd15"


def test_every_item_is_seen_once_an_epoch_in_another_order() -> None:
    order = Order([0] * 12, [True] * 12, Chances(0, 0, 0, 0), batch_size=4, seed=1)
    epochs = [
        [draw.row for step in range(3 * epoch, 3 * epoch + 3) for draw in order.draw(step)]
        for epoch in range(3)
    ]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_a_step_is_a_function_of_seed_and_step() -> None:
    def order(seed: int) -> Order:
        return Order(["a"] * 5 + ["b"] * 3, [True] * 8, Chances(0.5, 0.2, 0.2, 0.2), 4, seed)

    forwards = order(7)
    steps = [forwards.draw(step) for step in range(20)]
    assert [order(7).draw(step) for step in reversed(range(20))] == steps[::-1]
    assert order(8).draw(3) != steps[3]
    assert len({draw.seed for step in steps for draw in step}) == 80


@pytest.mark.parametrize("counts", [{"a": 11}, {"a": 2}, {"a": 10, "b": 3, "c": 1}, {"a": 1, "b": 1}])
def test_batches_are_full_and_of_one_size_and_all_items_are_seen_equally_often(
    counts: dict[str, int],
) -> None:
    groups = [name for name, count in counts.items() for _ in range(count)]
    order = Order(groups, [True] * len(groups), Chances(0, 0, 0, 0), batch_size=4, seed=0)
    steps = 25 * len(groups)  # 100 epochs
    seen: Counter[int] = Counter()
    for step in range(steps):
        rows = [draw.row for draw in order.draw(step)]
        assert len(rows) == 4
        assert len({groups[row] for row in rows}) == 1
        seen.update(rows)
    assert set(seen) == set(range(len(groups)))
    assert all(abs(count - 100) <= 4 for count in seen.values())


def test_drops_and_flips_have_their_shares_and_sides_are_left_alone() -> None:
    may_flip = [row % 2 == 0 for row in range(64)]
    order = Order([0] * 64, may_flip, Chances(0.5, 0.05, 0.1, 0.15), batch_size=64, seed=0)
    draws = [draw for step in range(200) for draw in order.draw(step)]
    shares = Counter((draw.keep_text, draw.keep_image) for draw in draws)
    expected = {(False, True): 0.05, (True, False): 0.1, (False, False): 0.15, (True, True): 0.7}
    for kept, share in expected.items():
        assert shares[kept] / len(draws) == pytest.approx(share, abs=0.01)
    assert not any(draw.flip for draw in draws if draw.row % 2)
    assert np.mean([draw.flip for draw in draws if draw.row % 2 == 0]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    "text", ["The LEFT door opens", "turn it anti-clockwise", "counterclockwise", "westwards"]
)
def test_sides_are_recognised(text: str) -> None:
    assert names_a_side(text)
    assert not names_a_side("brightly lit, as bright as a beast at its cleft")


def test_sizes_have_about_the_same_area_and_suit_the_shape() -> None:
    sizes = aspect_sizes(512, 64)
    assert (512, 512) in sizes
    assert (640, 384) in sizes
    assert all(side % 64 == 0 for size in sizes for side in size)
    assert all(0.7 * 512**2 < width * height <= 512**2 for width, height in sizes)
    assert nearest_size((1000, 1000), sizes) == (512, 512)
    assert nearest_size((1920, 1080), sizes) == (640, 384)
    assert nearest_size((300, 900), sizes) == (256, 832)
    assert aspect_sizes(64, 64) == [(64, 64)]


def test_rows_follow_the_recheck_and_skip_what_has_no_instruction(tmp_path: Path) -> None:
    folder = make_data_set(tmp_path / "set", [(16, 16)] * 6)
    items = [triplet.id for triplet in read_triplets(folder)]
    desk = Recheck(folder, "Ada")
    desk.rewrite(items[0], "the snow melts")
    desk.accept(items[0])
    desk.drop(items[1])
    rows = read_rows(folder, 16, 4, buckets=False, accepted_only=False)
    assert [row.id for row in rows] == [items[0], items[3], items[4], items[5]]
    assert rows[0].instruction == "the snow melts"
    assert [row.id for row in read_rows(folder, 16, 4, buckets=False, accepted_only=True)] == [items[0]]
    with pytest.raises(BadInputError, match="no multiple of 4"):
        read_rows(folder, 18, 4, buckets=False, accepted_only=False)
    desk.drop(items[0])
    with pytest.raises(BadInputError, match="no accepted triplet"):
        read_rows(folder, 16, 4, buckets=False, accepted_only=True)


def test_a_batch_holds_what_diffusers_parts_say(data_set: Path, model: Path) -> None:
    settings = DataSettings(data_set, resolution=32, use_masks=True, **NO_DROPS)
    samples = open_samples(settings, str(model), Place(), 4, 0)
    assert len(samples) == 5  # one has no instruction
    draws = [Draw(0, False, True, True, 1), Draw(1, True, False, True, 2)]
    batch = samples.load(draws)

    from diffusers import StableDiffusionInstructPix2PixPipeline

    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(model, safety_checker=None)
    triplets = list(read_triplets(data_set))
    for index, (triplet, flip) in enumerate(zip(triplets, (False, True), strict=False)):
        for name, mean in (("original", batch.source), ("target", batch.target_mean)):
            picture = Image.open(data_set / image_path(triplet.id, name)).resize(
                (32, 32), Image.Resampling.LANCZOS
            )
            picture = ImageOps.mirror(picture) if flip else picture
            pixels = pipeline.image_processor.preprocess(picture)
            with torch.no_grad():
                posterior = pipeline.vae.encode(pixels).latent_dist
            torch.testing.assert_close(mean[index], posterior.mode()[0], atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(batch.target_std[index], posterior.std[0], atol=1e-4, rtol=1e-3)
    tokens = pipeline.tokenizer(
        ["melt the snowman", ""], padding="max_length", max_length=77, return_tensors="pt"
    )
    with torch.no_grad():
        context = pipeline.text_encoder(tokens.input_ids)[0]
    torch.testing.assert_close(batch.context, context, atol=1e-5, rtol=1e-4)
    assert batch.added == {}
    assert batch.draws == tuple(draws)
    assert batch.mask is not None
    assert batch.mask.shape == (2, 1, 16, 16)
    assert batch.mask[0, 0, :8, :4].min() == 1
    assert batch.mask[1, 0, :8, -4:].min() == 1  # mirrored
    assert batch.mask.float().mean() == pytest.approx(1 / 8, abs=0.01)


def test_pictures_are_cut_to_their_bucket(tmp_path: Path, model: Path) -> None:
    folder = make_data_set(tmp_path / "set", [(60, 30), (30, 60), (40, 40)] * 2)
    settings = DataSettings(folder, resolution=32, aspect_buckets=True, use_masks=True, horizontal_flip=False)
    samples = open_samples(settings, str(model), Place(), 3, 0)
    shapes = set()
    for step in range(12):
        batch = samples.load(samples.draw(step))
        assert batch.mask is not None
        assert batch.target_mean.shape == batch.source.shape
        assert batch.mask.shape[2:] == batch.source.shape[2:]
        torch.testing.assert_close(batch.mask.float().mean(), torch.tensor(1 / 8), atol=0.03, rtol=0)
        shapes.add(tuple(batch.source.shape[2:]))
    assert len(shapes) == 3
    assert (16, 16) in shapes
    assert all(180 < height * width <= 256 for height, width in shapes)


def test_sdxl_is_told_its_sizes_and_what_its_engine_takes_for_nothing(data_set: Path, tmp_path: Path) -> None:
    tiny_sdxl(tmp_path / "tokens").save_pretrained(tmp_path / "sdxl")
    samples = open_samples(DataSettings(data_set, resolution=32), str(tmp_path / "sdxl"), Place(), 2, 0)
    batch = samples.load([Draw(0, False, True, True, 1), Draw(0, False, False, True, 2)])
    encoder = load_engine(str(tmp_path / "sdxl"), place=Place()).encoder
    told, nothing = encoder.encode(["melt the snowman"], (32, 32)), encoder.nothing([""], (32, 32))
    torch.testing.assert_close(batch.context, torch.cat([told.context, nothing.context]))
    for name in ("text_embeds", "time_ids"):
        torch.testing.assert_close(batch.added[name], torch.cat([told.added[name], nothing.added[name]]))


def test_masks_that_nobody_knows(tmp_path: Path, model: Path) -> None:
    folder = make_data_set(tmp_path / "set", [(32, 32)] * 2, masks=False)
    with pytest.raises(BadInputError, match="has no masks"):
        open_samples(DataSettings(folder, resolution=32, use_masks=True), str(model), Place(), 2, 0)
    make_data_set(folder, [(32, 32)] * 3)  # adds one
    samples = open_samples(DataSettings(folder, resolution=32), str(model), Place(), 2, 0)
    assert samples.load([Draw(0, False, True, True, 1)]).mask is None


def test_masks_are_averaged_over_cells(tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 2, (32, 32)).astype(bool)
    Image.fromarray(array).save(tmp_path / "mask.png")
    cells = read_mask(tmp_path / "mask.png", (32, 32), 8)
    expected = F.interpolate(torch.from_numpy(array).float()[None, None], (4, 4), mode="area")[0]
    torch.testing.assert_close(cells.float(), expected, atol=1e-3, rtol=0)
