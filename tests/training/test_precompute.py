"""Precomputed samples: the same batches and the same loss as from pictures, made once, and read without encoders."""

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler, UNet2DConditionModel
from torch.nn import functional as F

from editworld_core.engines.place import DTYPES, Place
from editworld_core.errors import BadInputError, EngineUnavailableError
from tests.engines.tiny_sd import tiny_sd15, tiny_sdxl
from tests.training.tiny_data_set import make_data_set
from training.data.samples import Draw, LatentBatch, Samples, open_samples
from training.data.settings import DataSettings
from training.precompute import Report, main, precompute

DRAWS = [
    Draw(0, False, True, True, 1),
    Draw(1, True, True, True, 2),
    Draw(2, False, False, True, 3),
    Draw(3, True, True, False, 4),
]


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data_set(tmp_path_factory.mktemp("data") / "set", [(40, 40)] * 6)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("model")
    tiny_sd15(folder / "tokens").save_pretrained(folder / "sd15")
    tiny_sdxl(folder / "tokens").save_pretrained(folder / "sdxl")
    return {name: folder / name for name in ("sd15", "sdxl")}


def _make(data_set: Path, model: Path, folder: Path, dtype: str = "fp32", **options: bool) -> Report:
    return precompute(data_set, str(model), folder, Place(dtype=DTYPES[dtype]), resolution=32, **options)


def _open(data_set: Path, model: Path, folder: Path | None = None, dtype: str = "fp32") -> Samples:
    settings = DataSettings(data_set, folder, resolution=32, use_masks=True)
    return open_samples(settings, str(model), Place(dtype=DTYPES[dtype]), 4, 0)


def _loss(model: Path, batch: LatentBatch) -> float:
    """The loss of InstructPix2Pix, written out; the masks weigh, so that they count as well."""
    unet = UNet2DConditionModel.from_pretrained(model, subfolder="unet")
    scheduler = DDPMScheduler.from_pretrained(model, subfolder="scheduler")
    keep = torch.tensor([float(draw.keep_image) for draw in batch.draws]).view(-1, 1, 1, 1)
    generators = [torch.Generator().manual_seed(draw.seed) for draw in batch.draws]
    shape = batch.target_mean.shape[1:]
    sampled, noise = (torch.stack([torch.randn(shape, generator=g) for g in generators]) for _ in range(2))
    latents = (batch.target_mean.float() + batch.target_std.float() * sampled) * 0.18215
    timesteps = torch.tensor([20, 400, 700, 990])
    inputs = torch.cat([scheduler.add_noise(latents, noise, timesteps), batch.source.float() * keep], 1)
    added = {name: value.float() for name, value in batch.added.items()}
    with torch.no_grad():
        predicted = unet(inputs, timesteps, batch.context.float(), added_cond_kwargs=added or None).sample
    assert batch.mask is not None
    return float((F.mse_loss(predicted, noise, reduction="none") * (1 + batch.mask.float())).mean())


@pytest.mark.parametrize("name", ["sd15", "sdxl"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_loss_is_that_of_training_from_pictures(
    data_set: Path, models: dict[str, Path], tmp_path: Path, name: str, dtype: str
) -> None:
    report = _make(data_set, models[name], tmp_path / "latents", dtype)
    assert (report.triplets, report.pictures_kept, report.texts_kept) == (5, 0, 0)
    assert report.texts_made == 5  # four instructions, of which one twice, and nothing
    pictures, latents = (
        _open(data_set, models[name], dtype=dtype),
        _open(data_set, models[name], tmp_path / "latents"),
    )
    assert len(pictures) == len(latents) == 5
    assert [pictures.draw(step) for step in range(5)] == [latents.draw(step) for step in range(5)]
    expected, found = pictures.load(DRAWS), latents.load(DRAWS)
    for part in ("target_mean", "target_std", "source", "context", "mask"):
        ours, theirs = getattr(found, part).float(), getattr(expected, part).float()
        torch.testing.assert_close(ours, theirs, atol=1e-4 if dtype == "fp32" else 0.05, rtol=0)
    assert abs(_loss(models[name], found) - _loss(models[name], expected)) < 1e-3
    other = latents.load([replace(draw, flip=not draw.flip and draw.row != 2) for draw in DRAWS])
    assert abs(_loss(models[name], other) - _loss(models[name], expected)) > 1e-3  # it can tell


def test_training_needs_neither_encoder(data_set: Path, models: dict[str, Path], tmp_path: Path) -> None:
    _make(data_set, models["sd15"], tmp_path / "latents")
    expected = _open(data_set, models["sd15"]).load(DRAWS)
    bare = shutil.copytree(models["sd15"], tmp_path / "bare")
    for part in ("vae", "text_encoder", "tokenizer"):
        shutil.rmtree(bare / part)
    found = _open(tmp_path / "no such data set", bare, tmp_path / "latents").load(DRAWS)
    torch.testing.assert_close(found.target_mean, expected.target_mean, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.context, expected.context, atol=1e-4, rtol=0)
    with pytest.raises(EngineUnavailableError, match="lacks its autoencoder or a text encoder"):
        _make(data_set, bare, tmp_path / "more")


def test_what_changed_is_made_again_and_nothing_else(
    data_set: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    data = shutil.copytree(data_set, tmp_path / "set")
    model = shutil.copytree(models["sd15"], tmp_path / "model")
    folder = tmp_path / "latents"
    first = _make(data, model, folder)
    # five rows of two pictures, of which one names a side and is not mirrored
    assert (first.pictures_made, first.texts_made) == (4 * 2 * 2 + 2, 5)
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
    again = _make(data, model, folder)
    assert (again.pictures_made, again.texts_made, again.pictures_kept, again.texts_kept) == (0, 0, 18, 5)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")} == before

    rows = [json.loads(line) for line in (data / "manifest.jsonl").read_text().splitlines()]
    shutil.copy(
        data / rows[4]["original_image"], data / rows[5]["target_image"]
    )  # another picture, another role
    changed = _make(data, model, folder)
    assert (changed.pictures_made, changed.texts_made) == (2, 0)
    found, expected = _open(data, model, folder).load(DRAWS), _open(data, model).load(DRAWS)
    torch.testing.assert_close(found.target_mean, expected.target_mean, atol=1e-4, rtol=0)

    _change_weights(model / "text_encoder" / "model.safetensors")
    with pytest.raises(BadInputError, match="made with other parts"):
        _open(data, model, folder)
    texts = _make(data, model, folder)
    assert (texts.pictures_made, texts.texts_made) == (0, 5)
    _change_weights(model / "vae" / "diffusion_pytorch_model.safetensors")
    pictures = _make(data, model, folder)
    assert (pictures.pictures_made, pictures.texts_made) == (16, 0)  # one is there twice
    found, expected = _open(data, model, folder).load(DRAWS), _open(data, model).load(DRAWS)
    torch.testing.assert_close(found.source, expected.source, atol=1e-4, rtol=0)
    torch.testing.assert_close(found.context, expected.context, atol=1e-4, rtol=0)


def _change_weights(path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_file({name: weight * 1.1 for name, weight in load_file(path).items()}, path, {"format": "pt"})


SLOW_DISK = """
import sys, training.data.store as store
store.SHARD_BYTES = 1
from training.precompute import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(models: dict[str, Path], tmp_path: Path) -> None:
    data = make_data_set(tmp_path / "set", [(32, 32)] * 24)
    folder = tmp_path / "latents"
    call = [
        str(data),
        "--model",
        str(models["sd15"]),
        "-o",
        str(folder),
        "--resolution",
        "32",
        "--batch",
        "1",
    ]
    run = subprocess.Popen(
        [sys.executable, "-c", SLOW_DISK, *call, "--dtype", "fp32"], stderr=subprocess.DEVNULL
    )
    while sum(1 for _ in _shards(folder)) < 40:
        assert run.poll() is None
        time.sleep(0.05)
    run.send_signal(signal.SIGKILL)
    run.wait()
    with pytest.raises(BadInputError, match="is not finished"):
        _open(data, models["sd15"], folder)
    report = _make(data, models["sd15"], folder)
    assert report.pictures_kept > 0
    assert report.pictures_made > 0
    assert report.texts_made == 0
    found, expected = _open(data, models["sd15"], folder).load(DRAWS), _open(data, models["sd15"]).load(DRAWS)
    torch.testing.assert_close(found.target_mean, expected.target_mean, atol=1e-4, rtol=0)
    assert not list(folder.glob("*.part"))


def _shards(folder: Path) -> Iterator[Path]:
    return folder.glob("*.safetensors")


def test_buckets_are_kept_apart(models: dict[str, Path], tmp_path: Path) -> None:
    data = make_data_set(tmp_path / "set", [(60, 30), (30, 60), (40, 40)] * 2)
    place, model = Place(), str(models["sdxl"])
    precompute(data, model, tmp_path / "latents", place, resolution=32, aspect_buckets=True)
    settings = [
        DataSettings(data, folder, resolution=32, aspect_buckets=True)
        for folder in (None, tmp_path / "latents")
    ]
    pictures, latents = (open_samples(each, model, place, 4, 0) for each in settings)
    for step in range(4):
        draws = pictures.draw(step)
        found, expected = latents.load(draws), pictures.load(draws)
        torch.testing.assert_close(found.source, expected.source, atol=1e-4, rtol=0)
        torch.testing.assert_close(found.added["time_ids"], expected.added["time_ids"])


def test_what_does_not_fit_the_settings_is_refused(
    data_set: Path, models: dict[str, Path], tmp_path: Path
) -> None:
    data = shutil.copytree(data_set, tmp_path / "set")
    folder, model = tmp_path / "latents", str(models["sd15"])
    _make(data, models["sd15"], folder, flips=False)

    def refusal(**settings: object) -> str:
        given = {"dataset": data, "precomputed": folder, "resolution": 32, "horizontal_flip": False}
        with pytest.raises(BadInputError) as refused:
            open_samples(DataSettings(**given | settings), model, Place(), 2, 0)  # type: ignore[arg-type]
        return str(refused.value)

    assert "has no mirrored pictures" in refusal(horizontal_flip=True)
    assert "was made with resolution 32" in refusal(resolution=64)
    assert "was made with aspect_buckets False" in refusal(aspect_buckets=True)
    assert "does not exist" in refusal(precomputed=tmp_path / "none")
    assert "is not finished" in refusal(precomputed=data)
    make_data_set(data, [(40, 40)] * 8)
    assert "was not made from what" in refusal()
    _make(data, models["sd15"], folder, flips=False)
    next(_shards(folder)).unlink()
    assert "has lost a part of its shards" in refusal()


def test_the_command(
    data_set: Path, models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = [
        str(data_set),
        "--model",
        str(models["sd15"]),
        "-o",
        str(tmp_path / "latents"),
        "--resolution",
        "32",
    ]
    assert main([*call, "--json", "--dtype", "fp32"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["triplets"], report["pictures_made"], report["texts_made"]) == (5, 18, 5)
    assert main([*call[:-1], "33"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("The resolution 33 is no multiple of 4")
    assert main([str(tmp_path), *call[1:]]) == 2
    assert main([call[0], "--model", str(tmp_path), *call[3:]]) == 1
    assert "model_index.json" in capsys.readouterr().err
