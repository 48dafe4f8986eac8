"""Tiny real runs: train, be killed, resume, load, edit."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from editworld_core.engines.place import Place
from editworld_core.engines.registry import load_engine
from editworld_core.settings import EditSettings
from training.checkpoints import path_of, steps_of
from training.train import main

TINY = """
threads: 1
model: {channels: [32, 32], layers_per_block: 1, heads: 2, codec_factor: 8}
data: {pairs: 12, size: 64, dynamics: [melt_snowman, turn_around]}
optimizer: {batch_size: 4, steps: 8, warmup_steps: 2}
watch: {checkpoint_minutes: 0, log_steps: 1, held_out_steps: 4, sampling_steps: 2}
"""


def _train(config: Path, run: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(_command(config, run, *more), capture_output=True, text=True, timeout=300)


def _command(config: Path, run: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "training.train", "--config", str(config), "-o", str(run), *more]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def unbroken(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "unbroken"
    assert main(_command(config, run)[3:]) == 0
    return run


def test_a_run_leaves_an_engine_that_edits(unbroken: Path) -> None:
    engine = load_engine(str(unbroken / "engine"))
    edited = engine.edit(
        Image.new("RGB", (64, 96), "teal"), "melt the snowman", EditSettings(steps=2, seed=1)
    )
    assert edited.size == (64, 96)
    rows = list(csv.DictReader((unbroken / "log.csv").open()))
    assert [int(row["step"]) for row in rows if row["loss"]] == list(range(1, 9))
    assert [int(row["step"]) for row in rows if row["held_out_success"]] == [4, 8]
    assert Image.open(unbroken / "held_out-000008.png").width > 64


def _last(run: Path) -> tuple[int, dict[str, torch.Tensor]]:
    """The step of the last checkpoint, and its weights and averages."""
    step = steps_of(run)[-1]
    folder = path_of(run, step)
    averages = {f"ema.{name}": value for name, value in load_file(folder / "ema-0.safetensors").items()}
    return step, load_file(folder / "model.safetensors") | averages


def _assert_same(run: Path, other: Path) -> None:
    (step, weights), (other_step, others) = _last(run), _last(other)
    assert step == other_step
    assert weights.keys() == others.keys()
    for name, weight in weights.items():
        assert torch.equal(weight, others[name]), name


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_weights(config: Path, unbroken: Path, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    process = subprocess.Popen(_command(config, run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not steps_of(run) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert steps_of(run)[-1] < 8
    resumed = _train(config, run, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert _last(run)[0] == 8
    _assert_same(run, unbroken)


def test_a_run_of_version_1_is_taken_up(config: Path, unbroken: Path, tmp_path: Path) -> None:
    half = tmp_path / "half"
    assert main([*_command(config, half)[3:], "--max-minutes", "0"]) == 0
    folder = path_of(half, 1)
    averages = load_file(folder / "ema-0.safetensors")
    state = {
        "step": 1,
        "unet": load_file(folder / "model.safetensors"),
        "ema": [averages[str(i)] for i in range(len(averages))],
        "optimizers": [
            torch.load(folder / name, weights_only=True) for name in ("optimizer.bin", "optimizer_1.bin")
        ],
    }
    old = tmp_path / "old"
    old.mkdir()
    torch.save(state, old / "checkpoint.pt")
    assert main([*_command(config, old)[3:], "--resume"]) == 0
    _assert_same(old, unbroken)


@pytest.mark.parametrize(
    ("text", "more", "sentence"),
    [
        ("optimizer: {speed: 3}", (), "There is no setting optimizer.speed"),
        ("seed: [", (), "is not valid YAML"),
        ("threads: many", (), "threads must be a number"),
        ("data: {hard_times: 0}", (), "data.hard_times must be at least 1"),
        (TINY.replace("steps: 8", "only: [details], steps: 8"), (), "No weight's name begins with 'details'"),
        ("", ("--resume",), "holds no checkpoint to resume"),
        ("", ("--resume", "--start-from", "engine"), "leave out --start-from, or --resume"),
    ],
)
def test_refusals_are_one_sentence(tmp_path: Path, text: str, more: tuple[str, ...], sentence: str) -> None:
    config = tmp_path / "config.yaml"
    config.write_text(text)
    refused = _train(config, tmp_path / "run", *more)
    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert refused.stdout == ""


def test_a_run_is_not_overwritten(config: Path, unbroken: Path) -> None:
    before = _last(unbroken)
    refused = _train(config, unbroken)
    assert refused.returncode == 2
    assert "add --resume" in refused.stderr
    assert _last(unbroken)[0] == before[0]
    assert all(torch.equal(weight, before[1][name]) for name, weight in _last(unbroken)[1].items())


def test_a_run_starts_from_an_engine_of_its_architecture(
    config: Path, unbroken: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "next"
    start_from = ["--start-from", str(unbroken / "engine")]
    assert main([*_command(config, run)[3:], *start_from, "--max-minutes", "0"]) == 0
    given = load_engine(str(unbroken / "engine"), place=Place()).unet.state_dict()
    assert _last(run)[0] == 1
    first = load_file(path_of(run, 1) / "model.safetensors")
    started = {name: (weight - given[name]).abs().max() for name, weight in first.items()}
    assert max(started.values()) < 2e-3  # one step of the warm-up away
    other = tmp_path / "wider.yaml"
    other.write_text(TINY.replace("[32, 32]", "[32, 64]"))
    assert main([*_command(other, tmp_path / "wider")[3:], *start_from]) == 2
    assert "another architecture" in capsys.readouterr().err


def test_only_some_weights_are_trained_and_a_resumed_run_still_has_the_others(
    config: Path, unbroken: Path, tmp_path: Path
) -> None:
    detail, run = tmp_path / "detail.yaml", tmp_path / "run"
    detail.write_text(TINY.replace("warmup_steps: 2", "warmup_steps: 2, only: [detail.]"))
    start_from = ["--start-from", str(unbroken / "engine")]
    assert main([*_command(detail, run)[3:], *start_from, "--max-minutes", "0"]) == 0
    assert main([*_command(detail, run)[3:], "--resume"]) == 0
    given, trained = (
        load_engine(str(each / "engine"), place=Place()).unet.state_dict() for each in (unbroken, run)
    )
    changed = {name for name, weight in trained.items() if not torch.equal(weight, given[name])}
    assert changed == {name for name in given if name.startswith("detail.")}
