"""What a training step costs: ours beside the loop of diffusers' InstructPix2Pix example, on the same model and data.

Both in one run on one machine, with random weights at the size of Stable Diffusion 1.5, the same batch, optimizer,
clipping and moving average. Ours reads what ``training.precompute`` made of the same pictures, the cost of which is in
the report. Checkpoints are in neither. The factors lead from the example to ours one by one: the number format is
measured by running the example in it; each of the next replaces what a part of the example's step takes by what it
takes in ours; ``rest`` is all else, so that they multiply to ``ratio``.
"""

import json
import math
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.measure import in_fresh_process, peak_gib

Report = dict[str, Any]
FREE_GIB = 21
"""Of memory that the full size takes: weights, gradients, two moments and an average in fp32, and the encoders."""

FACTORS = {
    "precomputed_latents": ("the latents are precomputed", "vae", None),
    "cached_text": ("the texts are precomputed", "text", None),
    "read_ahead": ("reading from memory maps in a thread", "data", "waiting"),
    "fused_adamw": ("AdamW in one pass", "optimizer", "optimizer"),
    "ema_foreach": ("the average in one call", "ema", "ema"),
}
"""By name: in words, and the part of the example's step that gives way to one of ours."""


def train_benchmark(size: int, batch: int, accumulate: int, steps: int, threads: int, tiny: bool) -> Report:
    """The report; see the module.

    Args:
        size: side of the pictures in pixels.
        batch: pictures at once.
        accumulate: so many batches make a step, as in the paper's preset, which sees 64 pictures a step.
        steps: that are measured, after one that is not.
        threads: of every contender.
        tiny: a tiny model in place of Stable Diffusion 1.5, to try the benchmark itself.

    Raises:
        EngineUnavailableError: there is too little memory for the full size.
    """
    from benchmarks.train_models import save_parts

    if not tiny:
        _check_memory()
    with tempfile.TemporaryDirectory() as folder:
        save_parts(Path(folder) / "model", tiny)
        common = {
            "model": f"{folder}/model",
            "dataset": f"{folder}/pairs",
            "latents": f"{folder}/latents",
            "size": size,
            "batch": batch,
            "accumulate": accumulate,
            "steps": steps,
            "warm_up": 1,
            "threads": threads,
            "tiny": tiny,
            "dtype": _fastest(),
        }
        prepared = _run("train", common | {"what": "prepare"})
        theirs = _run("contender_train", common | {"dtype": "fp32"})
        same = theirs if common["dtype"] == "fp32" else _run("contender_train", common)
        ours = _run("train", common | {"what": "train"})
    return _report(common, prepared, theirs, same, ours)


def _run(module: str, asked: Report) -> Report:
    return in_fresh_process(f"benchmarks.{module}", asked)


def _fastest() -> str:
    from editworld_core.engines.place import multiplies_bf16

    return "bf16" if multiplies_bf16() else "fp32"


def _check_memory() -> None:
    from editworld_core.engines.place import free_memory_gib
    from editworld_core.errors import EngineUnavailableError

    free = free_memory_gib("cpu")
    if free is not None and free < FREE_GIB:
        raise EngineUnavailableError(
            f"This needs {FREE_GIB} GiB of free memory and {free:.0f} are free: close other programs, or take --tiny."
        )


def _report(common: Report, prepared: Report, theirs: Report, same: Report, ours: Report) -> Report:
    kept = ("size", "batch", "accumulate", "steps", "threads", "dtype", "tiny")
    batch = _pictures_a_step(common)
    return {
        "ratio": theirs["seconds"] / ours["seconds"],
        "ratio_same_dtype": same["seconds"] / ours["seconds"],
        "factors": factors(theirs["seconds"], same, ours),
        "samples_per_second": batch / ours["seconds"],
        "samples_per_second_diffusers": batch / theirs["seconds"],
        "samples_per_second_diffusers_same_dtype": batch / same["seconds"],
        "peak_gib": ours["peak_gib"],
        "peak_gib_diffusers": theirs["peak_gib"],
        "peak_gib_diffusers_same_dtype": same["peak_gib"],
        "precompute_seconds_per_triplet": prepared["seconds"] / prepared["triplets"],
        "loss": ours["loss"],
        "loss_diffusers": theirs["loss"],
        "parts": ours["parts"],
        "parts_diffusers": theirs["parts"],
        "parts_diffusers_same_dtype": same["parts"],
        **{name: common[name] for name in kept},
    }


def factors(theirs: float, same: Report, ours: Report) -> dict[str, float]:
    """How much each difference makes a step faster, on top of those before it.

    Args:
        theirs: seconds of the example's step.
        same: its step and parts in our number format.
        ours: our step and parts.
    """
    found = {"bf16": theirs / same["seconds"]}
    left = same["seconds"]
    for name, (_, given, taken) in FACTORS.items():
        less = left - same["parts"][given] + (ours["parts"].get(taken, 0.0) if taken else 0.0)
        found[name], left = left / less, less
    found["rest"] = left / ours["seconds"]
    return found


def main(asked: Report) -> Report:
    """One part of the benchmark in a process of its own: ``prepare`` the data, or ``train`` with ours."""
    import torch

    torch.set_num_threads(asked["threads"])
    return _prepare(asked) if asked["what"] == "prepare" else _train(asked)


def _prepare(asked: Report) -> Report:
    from editworld_core.datagen.simulate import generate_simulated
    from editworld_core.engines.place import DTYPES, Place
    from training.precompute import precompute

    each = _pictures_a_step(asked)
    pairs = each * max(
        2, math.ceil(8 / each)
    )  # whole steps, since the example takes a short one at an epoch's end
    generate_simulated(Path(asked["dataset"]), pairs, size=max(64, asked["size"]))
    report = precompute(
        Path(asked["dataset"]),
        asked["model"],
        Path(asked["latents"]),
        Place(dtype=DTYPES[asked["dtype"]]),
        resolution=asked["size"],
    )
    return {"seconds": report.seconds, "triplets": report.triplets, "peak_gib": peak_gib()}


def _pictures_a_step(asked: Report) -> int:
    return int(asked["batch"] * asked["accumulate"])


def _train(asked: Report) -> Report:
    """Steps of the trainer that ``training.train`` runs, on a UNet made in memory."""
    from benchmarks.train_models import Stopwatch
    from training.loop import Trainer, start_accelerator

    with tempfile.TemporaryDirectory() as folder:
        task = _task(asked)
        trainer = Trainer(task, Path(folder), start_accelerator(task.recipe))
        watch, times = Stopwatch(), []
        for step in range(asked["warm_up"] + asked["steps"]):
            if step == asked["warm_up"]:
                for owner, method, part in (
                    (task.samples, "load", "load"),
                    (trainer.model, "forward", "forward"),
                    (trainer.accelerator, "backward", "backward"),
                    (trainer.accelerator, "clip_grad_norm_", "clip"),
                    *((each.optimizer, "step", "optimizer") for each in trainer.optimizers),
                    (trainer.ema, "update", "ema"),
                ):
                    watch.watch(owner, method, part)
                _watch_waiting(task, watch)
            started = time.perf_counter()
            trainer.train_step()
            times.append(time.perf_counter() - started)
        loss = trainer.means()["loss"]  # refuses what is not finite
    return {
        "seconds": median(times[asked["warm_up"] :]),
        "parts": watch.per_step(asked["steps"]),
        "peak_gib": peak_gib(),
        "loss": loss,
    }


def _task(asked: Report) -> Any:
    from benchmarks.train_models import make_scheduler, make_unet, shape_of
    from editworld_core.engines.place import DTYPES, Place
    from training.data.samples import open_samples
    from training.data.settings import DataSettings
    from training.finetune.config import FinetuneConfig, ModelSettings, OptimizerSettings
    from training.finetune.model import Base
    from training.finetune.task import FinetuneTask

    config = FinetuneConfig(
        model=ModelSettings(base=asked["model"]),
        data=DataSettings(Path(asked["dataset"]), Path(asked["latents"]), asked["size"]),
        precision=asked["dtype"],
        optimizer=OptimizerSettings(
            learning_rate=1e-4,
            steps=asked["warm_up"] + asked["steps"],
            batch_size=_pictures_a_step(asked),
            micro_batch_size=asked["batch"],
            weight_decay=1e-2,
        ),
    )
    unet, scheduler = make_unet(asked["tiny"]), make_scheduler()
    vae = {"scaling_factor": 0.18215, **shape_of(asked["tiny"]).vae}
    base = Base(asked["model"], False, unet.train(), scheduler, False, vae)
    samples = open_samples(
        config.data, asked["model"], Place(dtype=DTYPES[asked["dtype"]]), _pictures_a_step(asked), config.seed
    )
    return FinetuneTask(config, base, samples, asked["dtype"])


def _watch_waiting(task: Any, watch: Any) -> None:
    """Count how long a step waits for its batches."""
    inner = task.micro_batches

    class Batches:
        def __init__(self, *which: int) -> None:
            self.batches = inner(*which)
            self.fetch = lambda: next(self.batches, None)
            watch.watch(self, "fetch", "waiting")

        def __iter__(self) -> Any:
            while (batch := self.fetch()) is not None:
                yield batch

    task.micro_batches = Batches


def in_words(report: Report) -> str:
    """The report as a table for people."""
    what = "a tiny model" if report["tiny"] else "Stable Diffusion 1.5, random weights"
    lines = [
        f"{what}, {report['size']}x{report['size']}, {report['accumulate']} batches of {report['batch']} a step, "
        f"{report['threads']} threads",
        "                              samples/s   peak GiB",
    ]
    for title, suffix in (
        ("diffusers' example, fp32", "_diffusers"),
        (f"diffusers' example, {report['dtype']}", "_diffusers_same_dtype"),
        (f"ours, {report['dtype']}", ""),
    ):
        lines.append(
            f"{title:<28} {report[f'samples_per_second{suffix}']:>10.3f} {report[f'peak_gib{suffix}']:>10.2f}"
        )
    lines += [
        f"ours is {report['ratio']:.2f}x faster, {report['ratio_same_dtype']:.2f}x in the same number format",
        f"precomputing took {report['precompute_seconds_per_triplet']:.2f} s a triplet, mirrored as well",
        "",
        "what makes it faster, one upon the other",
    ]
    titles = {"bf16": f"arithmetic in {report['dtype']}", "rest": "all else"}
    for name, factor in report["factors"].items():
        lines.append(f"  {titles.get(name) or FACTORS[name][0]:<40} {factor:>6.2f}x")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
