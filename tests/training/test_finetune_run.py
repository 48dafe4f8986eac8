"""Tiny real runs of fine-tuning: to the end, killed, resumed, on two processes, refused."""

import csv
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers import StableDiffusionInstructPix2PixPipeline
from PIL import Image
from safetensors.torch import load_file
from torch.utils._python_dispatch import TorchDispatchMode

from editworld_core.datagen.records import locked
from editworld_core.datagen.simulate import generate_simulated
from editworld_core.engines.load import load
from editworld_core.engines.place import Place
from editworld_core.engines.registry import row_for
from editworld_core.errors import EditWorldError
from editworld_core.settings import EditSettings
from tests.engines.tiny_sd import tiny_sd15, tiny_sdxl
from tests.training.tiny_samples import TinySamples, finetune_config
from training import checkpoints
from training.finetune.model import load_base
from training.finetune.task import FinetuneTask
from training.loop import Trainer, start_accelerator, train
from training.train import main

SETTINGS = EditSettings(steps=2, seed=1)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sd15")
    tiny_sd15(folder / "tokenizer").save_pretrained(folder / "model")
    (folder / "model" / "README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    return folder / "model"


@pytest.fixture(scope="module")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "worlds"
    generate_simulated(folder, 6, dynamics=["melt_snowman", "turn_around"], size=64)
    return folder


@pytest.fixture(scope="module")
def settings(base: Path, data_set: Path) -> dict[str, Any]:
    return {
        "precision": "fp32",
        "model": {"base": str(base)},
        "data": {"dataset": str(data_set), "resolution": 16, "use_masks": True},
        "objective": {"min_snr_gamma": 5.0, "mask_weight": 1.0},
        "optimizer": {"steps": 6, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 1e-4},
        "checkpoints": {"steps": 2},
        "log": {"steps": 1},
    }


def _write(folder: Path, settings: dict[str, Any], **more: Any) -> Path:
    """A configuration file of ``settings``, changed by the parts ``more``."""
    folder.mkdir(parents=True, exist_ok=True)
    values = dict(settings)
    for name, part in more.items():
        values[name] = values.get(name, {}) | part if isinstance(part, dict) else part
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    return folder / "config.yaml"


def _run(config: Path, run: Path, *more: str) -> int:
    return main(["--config", str(config), "-o", str(run), *more])


@pytest.fixture(scope="module")
def unbroken(settings: dict[str, Any], data_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unbroken")
    validation = {"dataset": str(data_set), "items": 2, "every": 4, "steps": 2}
    assert _run(_write(folder, settings, validation=validation), folder / "run") == 0
    return folder / "run"


def _weights(run: Path) -> dict[str, torch.Tensor]:
    """Weights and averages of the last checkpoint."""
    folder = checkpoints.path_of(run, checkpoints.steps_of(run)[-1])
    averages = {f"ema.{name}": value for name, value in load_file(folder / "ema-0.safetensors").items()}
    return load_file(folder / "model.safetensors") | averages


def _assert_close(run: Path, other: Path, tolerance: float) -> None:
    ours, theirs = _weights(run), _weights(other)
    assert checkpoints.steps_of(run)[-1] == checkpoints.steps_of(other)[-1]
    assert ours.keys() == theirs.keys()
    assert max(float((ours[name] - theirs[name]).abs().max()) for name in ours) <= tolerance


def test_a_run_leaves_an_engine_a_log_a_picture_and_a_card(unbroken: Path, base: Path) -> None:
    engine = load(str(unbroken / "engine"), row_for(str(unbroken / "engine")).info, Place())
    assert engine.edit(Image.new("RGB", (64, 96), "teal"), "the snowman melts", SETTINGS).size == (64, 96)
    assert engine.info.native_size == 16
    pipeline = StableDiffusionInstructPix2PixPipeline.from_pretrained(unbroken / "engine")
    averaged = dict(zip((name for name, _ in pipeline.unet.named_parameters()), range(10_000), strict=False))
    before = StableDiffusionInstructPix2PixPipeline.from_pretrained(base).unet.state_dict()
    weights = _weights(unbroken)
    for name, index in averaged.items():
        torch.testing.assert_close(
            pipeline.unet.state_dict()[name], weights[f"ema.{index}"], rtol=1e-3, atol=1e-5
        )
    assert any(not torch.equal(before[name], weights[name]) for name in before)
    rows = list(csv.DictReader((unbroken / "log.csv").open()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [int(row["step"]) for row in rows if row["st_lpips_target"]] == [4, 6]
    assert all(row["mask_iou"] and row["psnr_outside"] for row in rows if row["st_lpips_target"])
    assert Image.open(unbroken / "validation-000006.png").width > 300
    card = (unbroken / "engine" / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert "base_model" not in head  # which the hub wants to be one of its own
    assert head["license_name"] == "cc0-1.0"
    for words in (
        "6 steps of 4 pictures",
        "`worlds`, 6 pairs",
        "6 by simulation",
        "IoU of the attention mask",
    ):
        assert words in card
    assert str(base.parent) not in card


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(
    settings: dict[str, Any], unbroken: Path, tmp_path: Path
) -> None:
    config = _write(tmp_path, settings)
    assert _run(config, tmp_path / "run", "--max-minutes", "0") == 0
    assert checkpoints.steps_of(tmp_path / "run") == [1]
    assert _run(config, tmp_path / "run", "--resume") == 0
    _assert_close(tmp_path / "run", unbroken, 0)
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))
    assert [int(row["step"]) for row in rows] == [1, 2, 3, 4, 5, 6]


KILLED = """
import os, signal, sys
from training import checkpoints, ema
from training.train import main

def save(self, path):
    if "00000004" in str(path):
        path.write_bytes(b"half of it")
        os.kill(os.getpid(), signal.SIGKILL)
    whole(self, path)

def finish(part):
    if "00000004" in part.name:
        os.kill(os.getpid(), signal.SIGKILL)
    return named(part)

whole, named = ema.Ema.save, checkpoints.finish
if sys.argv[1] == "half":
    ema.Ema.save = save
else:
    checkpoints.finish = finish
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["half", "unnamed"])
def test_a_kill_while_a_checkpoint_is_written_leaves_the_last_good_one(
    settings: dict[str, Any], unbroken: Path, tmp_path: Path, moment: str
) -> None:
    config = _write(tmp_path, settings)
    call = [sys.executable, "-c", KILLED, moment, "--config", str(config), "-o", str(tmp_path / "run")]
    killed = subprocess.run(call, capture_output=True, text=True, timeout=300)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert checkpoints.steps_of(tmp_path / "run") == [2]
    assert (tmp_path / "run" / "checkpoints" / ".step-00000004.part").exists()
    assert _run(config, tmp_path / "run", "--resume") == 0
    _assert_close(tmp_path / "run", unbroken, 0)
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))


def _launched(*call: str) -> "subprocess.CompletedProcess[str]":
    """``training.train`` with the arguments ``call``, as two processes on one thread each."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    launch = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(port)]
    return subprocess.run(
        [sys.executable, *launch, *call],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"},
    )


@pytest.mark.slow
def test_two_processes_give_what_one_gives(settings: dict[str, Any], tmp_path: Path) -> None:
    config = _write(tmp_path, settings)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # another order of summing is a difference of its own
    assert _run(config, tmp_path / "one") == 0
    torch.set_num_threads(threads)
    done = _launched("-m", "training.train", "--config", str(config), "-o", str(tmp_path / "two"))
    assert done.returncode == 0, done.stderr
    last = checkpoints.path_of(tmp_path / "two", 6)
    assert {path.name for path in last.glob("random_states_*")} == {
        "random_states_0.pkl",
        "random_states_1.pkl",
    }
    _assert_close(tmp_path / "two", tmp_path / "one", 1e-5)


@pytest.mark.slow
def test_fsdp_gives_what_one_process_gives_and_goes_on(settings: dict[str, Any], tmp_path: Path) -> None:
    """Weights, moments and average are shared out to two processes; the engine that they write is whole."""
    short = {"steps": 2, "batch_size": 4, "micro_batch_size": 2, "learning_rate": 1e-4}
    longer = short | {"steps": 4}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert _run(_write(tmp_path / "all", settings, optimizer=longer), tmp_path / "one") == 0
    torch.set_num_threads(threads)
    for optimizer, more in ((short, []), (longer, ["--resume"])):
        config = _write(tmp_path / "some", settings, optimizer=optimizer)
        done = _launched(
            "-m", "tests.training.fsdp_here", "--config", str(config), "-o", str(tmp_path / "two"), *more
        )
        assert done.returncode == 0, done.stderr
    assert len(list(checkpoints.path_of(tmp_path / "two", 4).glob("ema-*"))) == 2
    one, two = (
        load_file(tmp_path / run / "engine" / "unet" / "diffusion_pytorch_model.safetensors")
        for run in ("one", "two")
    )
    assert one.keys() == two.keys()
    apart = torch.cat([(one[name].float() - two[name].float()).abs().flatten() for name in one])
    assert apart.mean() < 1e-6  # four steps move a weight by 4e-4; halves are rounded


def test_one_of_several_that_finds_no_others_is_refused(
    settings: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As if each of two processes trained alone, in one folder."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _run(_write(tmp_path, settings), tmp_path / "run") == 2
    assert "2 processes were launched" in capsys.readouterr().err


def test_how_a_batch_is_cut_does_not_matter(settings: dict[str, Any], unbroken: Path, tmp_path: Path) -> None:
    assert _run(_write(tmp_path, settings, optimizer={"micro_batch_size": 4}), tmp_path / "run") == 0
    _assert_close(tmp_path / "run", unbroken, 1e-5)


def test_checkpoints_are_kept_as_asked(settings: dict[str, Any], tmp_path: Path) -> None:
    config = _write(tmp_path, settings, checkpoints={"steps": 1, "keep": 2, "keep_every": 3})
    assert _run(config, tmp_path / "run") == 0
    assert checkpoints.steps_of(tmp_path / "run") == [3, 5, 6]


def test_a_lora_run_saves_the_lora_alone_and_goes_on(
    settings: dict[str, Any], base: Path, tmp_path: Path
) -> None:
    config = _write(tmp_path, settings, model={"lora_rank": 2}, precision="bf16")
    assert _run(config, tmp_path / "whole") == 0
    assert _run(config, tmp_path / "parts", "--max-minutes", "0") == 0
    assert _run(config, tmp_path / "parts", "--resume") == 0
    _assert_close(tmp_path / "parts", tmp_path / "whole", 0)
    assert all(
        "lora" in name for name in load_file(checkpoints.path_of(tmp_path / "whole", 6) / "model.safetensors")
    )
    assert not (tmp_path / "whole" / "engine").exists()
    lora = tmp_path / "whole" / "lora"
    assert "LoRA weights of rank 2" in (lora / "README.md").read_text()
    engine = load(str(base), row_for(str(base)).info, Place(), lora=str(lora))
    plain = load(str(base), row_for(str(base)).info, Place())
    picture = Image.new("RGB", (64, 64), "teal")
    edits = [each.edit(picture, "the snowman melts", SETTINGS).tobytes() for each in (engine, plain)]
    assert edits[0] != edits[1]


def test_sdxl_trains_with_validation(settings: dict[str, Any], data_set: Path, tmp_path: Path) -> None:
    tiny_sdxl(tmp_path / "tokenizer").save_pretrained(tmp_path / "model")
    config = _write(
        tmp_path,
        settings,
        model={"base": str(tmp_path / "model"), "gradient_checkpointing": True},
        optimizer={"steps": 2},
        validation={"dataset": str(data_set), "items": 1, "steps": 1},
    )
    assert _run(config, tmp_path / "run") == 0
    engine = tmp_path / "run" / "engine"
    loaded = load(str(engine), row_for(str(engine)).info, Place())
    assert loaded.edit(Image.new("RGB", (64, 64)), "rain", SETTINGS).size == (64, 64)


def test_a_disk_that_takes_nothing_is_named(base: Path, tmp_path: Path) -> None:
    config = finetune_config(base, optimizer={"steps": 1})
    task = FinetuneTask(config, load_base(config), TinySamples(4), "fp32")
    trainer = Trainer(task, tmp_path, start_accelerator(task.recipe))
    (tmp_path / "checkpoints").write_text("in the way")
    with pytest.raises(
        EditWorldError, match=r"What was trained up to step 0 cannot be saved in .*File exists"
    ):
        trainer.save()


class Casts(TorchDispatchMode):
    """Counts the casts to bf16 of tensors of one shape."""

    def __init__(self, shape: torch.Size) -> None:
        super().__init__()
        self.shape, self.count = shape, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        if func is torch.ops.aten._to_copy.default and given.shape == self.shape:
            self.count += given.dtype is torch.bfloat16
        return given


def test_a_step_casts_its_weights_once_however_many_batches_it_has(base: Path, tmp_path: Path) -> None:
    config = finetune_config(base, precision="bf16", optimizer={"micro_batch_size": 1})
    task = FinetuneTask(config, load_base(config), TinySamples(4), "bf16")
    trainer = Trainer(task, tmp_path, start_accelerator(task.recipe))
    with Casts(task.model.conv_in.weight.shape) as casts:
        for step in range(1, 3):
            trainer.train_step()
            assert casts.count == step


class SpoiledSamples(TinySamples):
    """From the fourth step on, a latent is infinite."""

    def load(self, draws: Any) -> Any:
        batch = super().load(draws)
        spoiled = draws[0].seed >= 1000 + 3 * self.batch_size
        return replace(batch, target_mean=batch.target_mean * float("inf")) if spoiled else batch


def test_a_loss_that_is_no_number_stops_and_keeps_what_is_good(base: Path, tmp_path: Path) -> None:
    config = finetune_config(base, checkpoints={"steps": 1, "keep": 9}, log={"steps": 10})
    task = FinetuneTask(config, load_base(config), SpoiledSamples(4), "fp32")
    trainer = Trainer(task, tmp_path, start_accelerator(task.recipe))
    with pytest.raises(EditWorldError, match="The loss is nan at step 3: lower the learning rate and resume"):
        train(trainer, None, None, lambda done, total: None)
    assert checkpoints.steps_of(tmp_path) == [1, 2, 3]
    assert all(torch.isfinite(weight).all() for weight in _weights(tmp_path).values())


def test_two_runs_in_one_folder_are_refused(
    settings: dict[str, Any], unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _write(tmp_path, settings)
    with locked(unbroken):
        assert _run(config, unbroken, "--resume") == 1
    assert "Another process is" in capsys.readouterr().err
    assert _run(config, unbroken) == 2
    assert "add --resume" in capsys.readouterr().err


def test_a_checkpoint_of_another_model_is_refused(
    settings: dict[str, Any], unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _write(tmp_path, settings, model={"lora_rank": 2})
    assert _run(config, unbroken, "--resume") == 2
    assert "does not fit this configuration" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "arguments", "status", "sentence"),
    [
        ({"data": {"dataset": "nowhere"}}, (), 2, "nowhere"),
        ({"model": {"base": "nowhere"}}, (), 1, "nowhere is not an engine folder"),
        ({"optimizer": {"name": "adamw8bit"}}, (), 2, "bitsandbytes is not installed"),
        ({"log": {"wandb": "project"}}, (), 2, "wandb is not installed"),
        ({"precision": "fp16"}, (), 2, "does not train in fp16"),
        ({"validation": {"dataset": "nowhere"}}, (), 2, "nowhere"),
        ({}, ("--resume",), 2, "no checkpoint to resume"),
        ({}, ("--pool", "x"), 2, "are for pocket engines"),
        ({}, ("--push-to-hub", "no repository"), 2, "write it as owner/name"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    settings: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, Any],
    arguments: tuple[str, ...],
    status: int,
    sentence: str,
) -> None:
    assert _run(_write(tmp_path, settings, **more), tmp_path / "run", *arguments) == status
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert sentence in told
    assert not (tmp_path / "run" / "checkpoints").exists()
