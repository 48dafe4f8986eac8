"""Loss, widening, LoRA and averages against formulas written out by hand, diffusers' own code and its pipelines."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import (
    DDPMScheduler,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionXLInstructPix2PixPipeline,
    UNet2DConditionModel,
)
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel, compute_snr
from PIL import Image
from torch.nn import functional as F

from editworld_core.engines.load import load
from editworld_core.engines.place import Place
from editworld_core.engines.registry import row_for
from editworld_core.errors import BadInputError, EngineUnavailableError
from editworld_core.settings import EditSettings
from tests.engines.tiny_sd import tiny_sd15, tiny_sdxl
from tests.training.tiny_samples import TinySamples, finetune_config
from training.config import build
from training.ema import Ema
from training.finetune.config import (
    FinetuneConfig,
    ObjectiveSettings,
    OptimizerSettings,
    read_finetune_config,
)
from training.finetune.model import load_base, widen, write_engine, write_lora
from training.finetune.objective import min_snr_weights
from training.finetune.task import FinetuneTask, learning_rate

SETTINGS = EditSettings(speed="exact", steps=2, seed=3, text_guidance=3.0, image_guidance=1.5)


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def base_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    {"sd15": tiny_sd15, "sdxl": tiny_sdxl}[request.param](folder / "tokenizer").save_pretrained(
        folder / "model"
    )
    return folder / "model"


@pytest.fixture(scope="module")
def sd15(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sd15")
    tiny_sd15(folder / "tokenizer").save_pretrained(folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def text_to_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text-to-image")
    tiny_sd15(folder / "tokenizer", in_channels=4).save_pretrained(folder / "model")
    return folder / "model"


def _task(config: FinetuneConfig) -> FinetuneTask:
    base = load_base(config)
    return FinetuneTask(config, base, TinySamples(config.optimizer.batch_size, xl=base.xl), "fp32")


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("gamma", [0, 5])
def test_a_step_has_the_loss_of_the_diffusers_example(
    base_folder: Path, prediction: str, gamma: float
) -> None:
    config = finetune_config(base_folder, objective={"prediction": prediction, "min_snr_gamma": gamma})
    task = _task(config)
    batch = next(iter(task.micro_batches(0, 0, 1)))
    with torch.no_grad():
        ours = task.losses(task.model, batch)["loss"]

    scheduler = DDPMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", prediction_type=prediction
    )
    losses = []
    for i, draw in enumerate(batch.draws):
        generator = torch.Generator().manual_seed(draw.seed)
        timestep = torch.randint(1000, (), generator=generator)[None]
        posterior, noise = (torch.randn(4, 8, 8, generator=generator) for _ in range(2))
        latents = ((batch.target_mean[i] + batch.target_std[i] * posterior) * 0.18215)[None]
        noisy = scheduler.add_noise(latents, noise[None], timestep)
        source = batch.source[i][None] if draw.keep_image else torch.zeros(1, 4, 8, 8)
        added = {name: value[i][None] for name, value in batch.added.items()}
        with torch.no_grad():
            predicted = task.model(
                torch.cat([noisy, source], 1), timestep, batch.context[i][None], added_cond_kwargs=added
            ).sample
        snr = compute_snr(scheduler, timestep)
        clamped = torch.stack([snr, gamma * torch.ones_like(timestep)], 1).min(1)[0]
        target, weight = {
            "epsilon": (noise[None], clamped / snr),
            "v_prediction": (scheduler.get_velocity(latents, noise[None], timestep), clamped / (snr + 1)),
            "sample": (latents, clamped),
        }[prediction]
        losses.append(F.mse_loss(predicted, target) * (weight if gamma else 1))
    torch.testing.assert_close(
        ours, torch.cat([loss.view(1) for loss in losses]).mean(), rtol=1e-5, atol=1e-6
    )


def test_pure_noise_has_a_weight() -> None:
    snr = torch.tensor([0.0, 1.0, 100.0])
    assert min_snr_weights(snr, 5, "epsilon").tolist() == pytest.approx([1, 1, 0.05])
    assert min_snr_weights(snr, 5, "v_prediction").tolist() == pytest.approx([0, 0.5, 5 / 101])
    assert min_snr_weights(snr, 5, "sample").tolist() == pytest.approx([0, 1, 5])


def test_a_mask_weighs_its_inside_and_leaves_the_scale(sd15: Path) -> None:
    from training.finetune.objective import item_errors

    settings = ObjectiveSettings(mask_weight=3)
    mask = torch.zeros(1, 1, 4, 4)
    mask[..., :1] = 1  # a quarter
    zeros, ones = torch.zeros(1, 2, 4, 4), torch.ones(1, 2, 4, 4)
    assert item_errors(zeros, ones, mask, settings).item() == pytest.approx(1)
    assert item_errors(zeros, mask.expand_as(zeros), mask, settings).item() == pytest.approx(4 / 4 / (7 / 4))
    assert item_errors(zeros, mask.expand_as(zeros), mask, ObjectiveSettings()).item() == pytest.approx(1 / 4)


def test_a_widened_unet_draws_what_it_drew_whatever_the_picture(text_to_image: Path) -> None:
    base = load_base(finetune_config(text_to_image))
    assert base.widened
    plain = UNet2DConditionModel.from_pretrained(text_to_image, subfolder="unet")
    noisy, picture, text = torch.randn(2, 4, 8, 8), 100 * torch.randn(2, 4, 8, 8), torch.randn(2, 7, 32)
    with torch.no_grad():
        theirs = plain.eval()(noisy, 500, text).sample
        ours = base.unet.eval()(torch.cat([noisy, picture], 1), 500, text).sample
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    assert not widen(base.unet, 4)
    with pytest.raises(EngineUnavailableError, match="8 input channels, where 6 or 12"):
        widen(base.unet, 6)


def test_a_trained_engine_is_what_diffusers_loads(base_folder: Path, tmp_path: Path) -> None:
    base = load_base(finetune_config(base_folder, objective={"prediction": "v_prediction"}))
    with torch.no_grad():
        base.unet.conv_out.weight.add_(0.1)
    write_engine(base, base.unet.state_dict(), tmp_path / "engine", whole=True)
    kind = StableDiffusionXLInstructPix2PixPipeline if base.xl else StableDiffusionInstructPix2PixPipeline
    pipeline = kind.from_pretrained(tmp_path / "engine")
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    for name, weight in base.unet.state_dict().items():
        torch.testing.assert_close(pipeline.unet.state_dict()[name], weight, rtol=1e-3, atol=1e-5)
    engine = load(str(tmp_path / "engine"), row_for(str(tmp_path / "engine")).info, Place())
    assert engine.edit(Image.new("RGB", (64, 64), "teal"), "rain", SETTINGS).size == (64, 64)


def test_a_widened_engine_is_written_with_its_width(text_to_image: Path, tmp_path: Path) -> None:
    base = load_base(finetune_config(text_to_image))
    write_engine(base, base.unet.state_dict(), tmp_path / "engine", whole=True)
    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(tmp_path / "engine")
    assert pipeline.unet.config.in_channels == 8


def test_a_lora_is_loaded_as_it_was_trained(base_folder: Path, tmp_path: Path) -> None:
    config = finetune_config(base_folder, model={"lora_rank": 3})
    base = load_base(config)
    trained = {name: weight for name, weight in base.unet.named_parameters() if weight.requires_grad}
    assert all("lora" in name for name in trained)
    with torch.no_grad():
        for weight in trained.values():
            weight.normal_(std=0.2)
    write_lora(base, base.unet.state_dict(), tmp_path / "lora")
    info = row_for(str(base_folder)).info
    engine = load(str(base_folder), info, Place(), lora=str(tmp_path / "lora"))
    untouched = load(str(base_folder), info, Place())
    told = (
        {"added_cond_kwargs": {"text_embeds": torch.randn(1, 32), "time_ids": torch.ones(1, 6)}}
        if base.xl
        else {}
    )
    noisy, text = torch.randn(1, 8, 8, 8), torch.randn(1, 7, 64 if base.xl else 32)
    with torch.no_grad():
        ours, loaded, before = (
            unet.eval()(noisy, 500, text, **told).sample for unet in (base.unet, engine.unet, untouched.unet)
        )
    torch.testing.assert_close(loaded, ours, rtol=1e-4, atol=1e-4)
    assert (loaded - before).abs().max() > 1e-2


def test_the_average_is_that_of_diffusers() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 4)
    ours = Ema(list(layer.parameters()), 0.5)
    theirs = EMAModel(layer.parameters(), decay=0.5, foreach=True)
    theirs.step(layer.parameters())  # its first call only takes the weights over
    for step in range(1, 20):
        with torch.no_grad():
            layer.weight.add_(torch.randn(4, 3))
        ours.update(step)
        theirs.step(layer.parameters())
    for average, other in zip(ours.averages, theirs.shadow_params, strict=True):
        torch.testing.assert_close(average, other)
    trained = layer.weight.detach().clone()
    with ours.applied():
        torch.testing.assert_close(layer.weight, theirs.shadow_params[0])
    assert torch.equal(layer.weight, trained)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_the_rate_is_that_of_diffusers(schedule: str) -> None:
    settings = OptimizerSettings(learning_rate=1.0, schedule=schedule, warmup_steps=5, steps=50)  # type: ignore[arg-type]
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    name = "constant_with_warmup" if schedule == "constant" else schedule
    theirs = get_scheduler(name, optimizer, num_warmup_steps=5, num_training_steps=50)
    for step in range(50):
        optimizer.step()
        expected = (
            (step + 1) / 5 if step < 5 else theirs.get_last_lr()[0]
        )  # theirs begins with a step of rate 0
        assert learning_rate(step, 50, settings) == pytest.approx(expected)
        theirs.step()


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"model": {"base": "x", "size": 3}}, "no setting model.size"),
    ({"model": {}}, "model.base is missing"),
    ({"optimizer": {"steps": 4, "epochs": 2}}, "give optimizer.steps or optimizer.epochs"),
    ({"optimizer": {"steps": 4, "batch_size": 5, "micro_batch_size": 2}}, "no multiple of"),
    ({"optimizer": {"steps": 0}}, "must be at least 1"),
    ({"optimizer": {"steps": 1.5}}, "must be a whole number"),
    ({"optimizer": {"steps": 4, "learning_rate": "fast"}}, "must be a number"),
    ({"optimizer": {"steps": 4, "name": "sgd"}}, "must be one of adamw, adamw8bit"),
    ({"objective": {"prediction": "x1"}}, "must be one of base, epsilon"),
    ({"objective": {"mask_weight": 1.0}}, "needs masks"),
    ({"model": {"base": "x", "gradient_checkpointing": "yes"}}, "must be true or false"),
    ({"seed": -1}, "seed must be at least 0"),
]


@pytest.mark.parametrize(("values", "sentence"), REFUSED)
def test_wrong_settings_are_refused(values: dict[str, Any], sentence: str) -> None:
    given = {"model": {"base": "x"}, "data": {"dataset": "y"}, "optimizer": {"steps": 4}} | values
    with pytest.raises(BadInputError, match=sentence) as refused:
        build(FinetuneConfig, given)
    assert str(refused.value).count(". ") == 0


def test_text_that_looks_like_a_number_is_one() -> None:
    given = {
        "model": {"base": "x"},
        "data": {"dataset": "y"},
        "optimizer": {"steps": 4, "learning_rate": "5e-6"},
    }
    assert build(FinetuneConfig, given).optimizer.learning_rate == 5e-6


def test_bases_that_cannot_be_trained_are_refused(sd15: Path, text_to_image: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="a LoRA cannot give it eyes"):
        load_base(finetune_config(text_to_image, model={"lora_rank": 2}))
    with pytest.raises(EngineUnavailableError, match="no readable model_index"):
        load_base(finetune_config(tmp_path))
    (tmp_path / "model_index.json").write_text('{"_class_name": "FluxPipeline"}')
    with pytest.raises(EngineUnavailableError, match="holds a FluxPipeline, which cannot be trained"):
        load_base(finetune_config(tmp_path))


@pytest.mark.parametrize("name", ["paper", "sdxl", "lora", "smoke"])
def test_the_examples_are_valid(name: str) -> None:
    config = read_finetune_config(Path("training/configs") / f"{name}.yaml")
    if name == "paper":
        chosen = config.optimizer
        assert (chosen.batch_size, chosen.learning_rate, chosen.epochs) == (64, 5e-6, 100)
        assert (config.data.resolution, chosen.weight_decay) == (512, 0)
        assert config.total_steps(10_000) == 15_625
