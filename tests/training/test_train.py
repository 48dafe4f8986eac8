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

from editworld_core.engines.place import Place
from editworld_core.engines.registry import load_engine
from editworld_core.settings import EditSettings

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
    done = _train(config, run)
    assert done.returncode == 0, done.stderr
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


def test_a_killed_run_resumes_to_the_same_weights(config: Path, unbroken: Path, tmp_path: Path) -> None:
    run = tmp_path / "killed"
    process = subprocess.Popen(_command(config, run), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 240
    while not (run / "checkpoint.pt").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    resumed = _train(config, run, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    states = [torch.load(each / "checkpoint.pt", weights_only=True) for each in (unbroken, run)]
    assert states[0]["step"] == states[1]["step"] == 8
    for name, weight in states[0]["unet"].items():
        assert torch.equal(weight, states[1]["unet"][name]), name
    for first, second in zip(states[0]["ema"], states[1]["ema"], strict=True):
        assert torch.equal(first, second)


@pytest.mark.parametrize(
    ("text", "more", "sentence"),
    [
        ("optimizer: {speed: 3}", (), "There is no setting optimizer.speed"),
        ("seed: [", (), "is not valid YAML"),
        ("threads: many", (), "threads must be a number"),
        ("", ("--resume",), "holds no checkpoint.pt to resume"),
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
    before = (unbroken / "checkpoint.pt").read_bytes()
    refused = _train(config, unbroken)
    assert refused.returncode == 2
    assert "add --resume" in refused.stderr
    assert (unbroken / "checkpoint.pt").read_bytes() == before


def test_a_run_starts_from_an_engine_of_its_architecture(
    config: Path, unbroken: Path, tmp_path: Path
) -> None:
    run = tmp_path / "next"
    done = _train(config, run, "--start-from", str(unbroken / "engine"), "--max-minutes", "0")
    assert done.returncode == 0, done.stderr
    given = load_engine(str(unbroken / "engine"), place=Place()).unet.state_dict()
    first = torch.load(run / "checkpoint.pt", weights_only=True)
    assert first["step"] == 1
    started = {name: (weight - given[name]).abs().max() for name, weight in first["unet"].items()}
    assert max(started.values()) < 2e-3  # one step of the warm-up away
    other = tmp_path / "wider.yaml"
    other.write_text(TINY.replace("[32, 32]", "[32, 64]"))
    refused = _train(other, tmp_path / "wider", "--start-from", str(unbroken / "engine"))
    assert refused.returncode == 2
    assert "another architecture" in refused.stderr
