"""How a run is going: a CSV, TensorBoard events, and held-out edits as numbers and as a picture."""

import csv
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from editworld_core.errors import BadInputError

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from editworld_core.engines.protocol import Progress
    from editworld_core.simulation.world import SimulatedPair
    from training.pocket_task import PocketTask


class Log:
    """``log.csv`` and TensorBoard events in ``folder``. A resumed run drops the rows after its checkpoint."""

    def __init__(self, folder: Path, step: int, columns: Sequence[str], wandb: str = "") -> None:
        """Go on after ``step``; ``wandb`` names a project at Weights & Biases to report to, or is empty.

        Raises:
            BadInputError: the package wandb is not installed.
        """
        from torch.utils.tensorboard import SummaryWriter

        self._wandb = _open_wandb(folder, wandb) if wandb else None
        path = folder / "log.csv"
        kept: list[dict[str, str]] = []
        if step and path.exists():
            with path.open(newline="", encoding="utf-8") as old:
                rows = [row for row in csv.DictReader(old) if (row["step"] or "").isdigit()]
            kept = [row for row in rows if int(row["step"]) <= step]
        self._file = path.open("w", newline="", encoding="utf-8")
        self._csv = csv.DictWriter(self._file, columns, extrasaction="ignore")
        self._csv.writeheader()
        self._csv.writerows(kept)
        self._file.flush()
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add one row of ``values`` and a point to each of their curves."""
        self._csv.writerow({"step": step, **{name: f"{value:.6g}" for name, value in values.items()}})
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)
        if self._wandb is not None:
            self._wandb.log(values, step=step)

    def close(self) -> None:
        """Flush and close them all."""
        self._file.close()
        self._board.close()
        if self._wandb is not None:
            self._wandb.finish()


def check_wandb() -> None:
    """Refuse at once what would fail later.

    Raises:
        BadInputError: the package wandb is not installed.
    """
    if find_spec("wandb") is None:
        raise BadInputError("The package wandb is not installed: install it, or leave log.wandb empty.")


def _open_wandb(folder: Path, project: str) -> Any:
    """A run there, which a resumed run here goes on with."""
    check_wandb()
    import wandb

    return wandb.init(project=project, id=folder.resolve().name, resume="allow", dir=str(folder))


def progress_bar(title: str) -> "Progress":
    """A bar on standard error, to be told what is done and how much there is."""
    from tqdm import tqdm

    bar = tqdm(desc=title, unit="", file=sys.stderr, mininterval=2)

    def show(done: int, total: int) -> None:
        bar.total, bar.n = total, done
        bar.refresh() if done == total else bar.update(0)

    return show


def held_out_scores(task: "PocketTask", step: int, folder: Path) -> dict[str, float]:
    """Edit a few held-out scenes of every dynamic and draw them as ``held_out-STEP.png``.

    The scores are those of ``editworld_core evaluate simulated``, on fewer scenes and without post-edit.
    """

    config = task.config
    scenes = _scenes(config.data.size, config.data.dynamics, config.watch.held_out_scenes)
    errors, psnrs, rows = [], [], []
    for start in range(0, len(scenes), 16):
        part = scenes[start : start + 16]
        for pair, edited in zip(part, _edit(task, part), strict=True):
            errors.append(_relative_error(pair, edited))
            if not pair.mask.all():
                rest = np.square(edited.astype(float) - pair.before)[~pair.mask].mean()
                psnrs.append(10 * np.log10(255**2 / max(rest, 1e-3)))
            rows.append(np.concatenate([pair.before, edited, pair.after], axis=1)[::2, ::2])
    _grid(rows).save(folder / f"held_out-{step:06d}.png")
    scores = {
        "held_out_success": float(np.mean(np.array(errors) <= 0.5)),
        "held_out_relative_error": float(np.mean(errors)),
    }
    return {**scores, "held_out_psnr_outside": float(np.median(psnrs))} if psnrs else scores


def _scenes(size: int, names: tuple[str, ...], count: int) -> "list[SimulatedPair]":
    from editworld_core.simulation.world import dynamic_names, simulate

    return [
        simulate(name, seed, split="held_out", size=size)
        for name in names or dynamic_names()
        for seed in range(count)
    ]


def _edit(task: "PocketTask", pairs: "list[SimulatedPair]") -> list[NDArray[np.uint8]]:
    import torch

    from editworld_core.sampling import Guidance, denoise

    encoder, codec = task.batches.encoder, task.batches.codec
    pixels = (
        torch.from_numpy(np.stack([pair.before for pair in pairs]).transpose(0, 3, 1, 2)).float() / 127.5 - 1
    )
    latents = denoise(
        task.model,
        task.scheduler,
        codec.encode(pixels.to(task.model.device)),
        encoder.encode([pair.instruction for pair in pairs]),
        encoder.nothing([pair.instruction for pair in pairs]),
        steps=task.config.watch.sampling_steps,
        guidance=Guidance(task.config.watch.text_guidance, 1.0),
        generator=torch.Generator().manual_seed(0),
    )
    return list(_to_uint8(codec.decode(latents)))


def _to_uint8(pixels: "torch.Tensor") -> NDArray[np.uint8]:
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _relative_error(pair: "SimulatedPair", edited: NDArray[np.uint8]) -> float:
    truth = pair.after[pair.mask].astype(float)
    return float(
        np.abs(edited[pair.mask] - truth).mean() / max(np.abs(pair.before[pair.mask] - truth).mean(), 1e-6)
    )


def _grid(rows: list[NDArray[np.uint8]], columns: int = 4) -> "Image.Image":
    from PIL import Image

    blank = np.full_like(rows[0], 255)
    padded = rows + [blank] * (-len(rows) % columns)
    lines = [np.concatenate(padded[i : i + columns], axis=1) for i in range(0, len(padded), columns)]
    return Image.fromarray(np.concatenate(lines))
