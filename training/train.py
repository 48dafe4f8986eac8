"""Train an engine: ``python -m training.train --config training/configs/pocket.yaml -o RUN``.

A configuration whose ``model`` has a ``base`` fine-tunes that Stable Diffusion pipeline; any other trains a pocket
engine from simulated worlds. On several GPUs or machines: ``accelerate launch -m training.train …``, with RUN on a disk
that all of them see.

RUN holds ``checkpoints/`` (everything a resumed run needs), ``engine/`` (the EMA weights in diffusers format, what
``--engine RUN/engine`` loads; ``lora/`` if LoRA weights are trained), ``log.csv``, TensorBoard events and pictures of
held-out edits.
"""

import argparse
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editworld_core.errors import BadInputError, EditWorldError
from training.config import TrainConfig, read_config, read_yaml

if TYPE_CHECKING:
    from training.finetune.config import FinetuneConfig
    from training.task import Task


def run(
    config: "TrainConfig | FinetuneConfig",
    folder: Path,
    *,
    resume: bool = False,
    max_minutes: float | None = None,
    photos: tuple[Path, ...] = (),
    pool_folder: Path | None = None,
    start_from: Path | None = None,
) -> None:
    """Train until the last step or ``max_minutes``, whichever comes first.

    Args:
        photos, pool_folder, start_from: for pocket engines; see ``open_pocket_task``.

    Raises:
        BadInputError: there is a run in ``folder`` and ``resume`` is off, or the other way about; or a setting does
            not suit the model, the data or the machine.
        EditWorldError: another process trains in ``folder``; or the loss is not finite, and the last good checkpoint
            stays.
        EngineUnavailableError: weights cannot be loaded.
    """
    if resume and start_from is not None:
        raise BadInputError("A resumed run has its own weights: leave out --start-from, or --resume.")
    if not isinstance(config, TrainConfig) and (photos or pool_folder or start_from):
        raise BadInputError("--photos, --pool and --start-from are for pocket engines: leave them out.")
    _check_folder(folder, resume)
    with _one_at_a_time(folder):
        if isinstance(config, TrainConfig):
            from training.pocket_task import open_pocket_task

            _train(
                open_pocket_task(config, folder, photos, pool_folder, start_from), folder, resume, max_minutes
            )
        else:
            from training.finetune.task import open_finetune_task

            _train(open_finetune_task(config), folder, resume, max_minutes)


def _train(task: "Task", folder: Path, resume: bool, max_minutes: float | None) -> None:
    from training.loop import Trainer, start_accelerator, train
    from training.watch import Log, progress_bar

    accelerator = start_accelerator(task.recipe)
    trainer = Trainer(task, folder, accelerator)
    if resume:
        trainer.resume()
    if not accelerator.is_main_process:
        train(trainer, None, max_minutes, lambda done, total: None)
        return
    log = Log(folder, trainer.step, task.columns, task.wandb)
    try:
        train(trainer, log, max_minutes, progress_bar("training"))
    finally:
        log.close()


def _is_main() -> bool:
    """Whether this is the first process of the run, as launchers say."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold the run's folder; the system lets go when the process ends, however it ends."""
    from editworld_core.datagen.records import locked, writing

    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if not _is_main():
        yield
        return
    with locked(folder):
        yield


def _check_folder(folder: Path, resume: bool) -> None:
    from training.checkpoints import steps_of

    there = bool(steps_of(folder)) or (folder / "checkpoint.pt").exists()
    if there and not resume:
        raise BadInputError(
            f"{folder} holds a run already: add --resume to go on with it, or name another folder."
        )
    if resume and not there:
        raise BadInputError(
            f"{folder} holds no checkpoint to resume: leave --resume out to start a run there."
        )


def _read(path: Path) -> "TrainConfig | FinetuneConfig":
    model = read_yaml(path).get("model")
    if not isinstance(model, dict) or "base" not in model:
        return read_config(path)
    from training.finetune.config import read_finetune_config

    return read_finetune_config(path)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status of DESIGN section 8."""
    chosen = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("accelerate").setLevel(logging.WARNING)  # it names every file of a checkpoint
    try:
        config = _read(chosen.config)
        if chosen.push_to_hub:
            _check_push(config, chosen.push_to_hub)
        run(
            config,
            chosen.output,
            resume=chosen.resume,
            max_minutes=chosen.max_minutes,
            photos=_photos(chosen.photos),
            pool_folder=chosen.pool,
            start_from=chosen.start_from,
        )
        if chosen.push_to_hub and not isinstance(config, TrainConfig) and _is_main():
            _push(config, chosen.output, chosen.push_to_hub)
    except BadInputError as error:
        print(error, file=sys.stderr)
        return 2
    except (EditWorldError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="YAML file of settings")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="RUN", help="folder of the run")
    parser.add_argument("--resume", action="store_true", help="go on with the run in RUN")
    parser.add_argument("--max-minutes", type=float, help="stop and save after this long")
    parser.add_argument(
        "--push-to-hub", metavar="ID", help="then send the engine or LoRA there, private if new"
    )
    pocket = parser.add_argument_group("pocket engines only")
    pocket.add_argument("--photos", type=Path, help="folder of JPEG photos for backdrops")
    pocket.add_argument("--pool", type=Path, help="folder of rendered pairs; default RUN/pool")
    pocket.add_argument(
        "--start-from", type=Path, metavar="ENGINE", help="engine folder whose weights to begin with"
    )
    return parser


def _photos(folder: Path | None) -> tuple[Path, ...]:
    photos = tuple(sorted(folder.glob("*.jpg"))) if folder else ()
    if folder and not photos:
        raise BadInputError(f"{folder} holds no .jpg files: name a folder of photos, or leave --photos out.")
    return photos


def _check_push(config: Any, repository: str) -> None:
    from editworld_core.datagen.formats.hub import check_push

    if isinstance(config, TrainConfig):
        raise BadInputError("A pocket engine needs this program to run: leave out --push-to-hub.")
    check_push(repository)


def _push(config: "FinetuneConfig", folder: Path, repository: str) -> None:
    from training.finetune.push import push_model

    print(push_model(folder / ("lora" if config.model.lora_rank else "engine"), repository), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
