"""How a run is going: a CSV, TensorBoard events, and held-out edits as numbers and as a picture."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from editworld_core.simulation.world import SimulatedPair
    from training.train import Trainer

COLUMNS = (
    "step",
    "loss",
    "error",
    "grounding",
    "gradient_norm",
    "learning_rate",
    "held_out_success",
    "held_out_relative_error",
    "held_out_psnr_outside",
)


class Log:
    """``log.csv`` and TensorBoard events in ``folder``. A resumed run drops the rows after its checkpoint."""

    def __init__(self, folder: Path, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        path = folder / "log.csv"
        kept: list[dict[str, str]] = []
        if step and path.exists():
            with path.open(newline="", encoding="utf-8") as old:
                kept = [
                    row for row in csv.DictReader(old) if row["step"].isdigit() and int(row["step"]) <= step
                ]
        self._file = path.open("w", newline="", encoding="utf-8")
        self._csv = csv.DictWriter(self._file, COLUMNS)
        self._csv.writeheader()
        self._csv.writerows(kept)
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step or None)

    def write(self, step: int, values: dict[str, float]) -> None:
        """Add one row of ``values`` and a point to each of their curves."""
        self._csv.writerow({"step": step, **{name: f"{value:.6g}" for name, value in values.items()}})
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close both."""
        self._file.close()
        self._board.close()


def held_out_scores(trainer: "Trainer", folder: Path) -> dict[str, float]:
    """Edit a few held-out scenes of every dynamic and draw them as ``held_out-STEP.png``.

    The scores are those of ``editworld_core evaluate simulated``, on fewer scenes and without post-edit.
    """

    config = trainer.config
    scenes = _scenes(config.data.size, config.data.dynamics, config.watch.held_out_scenes)
    errors, psnrs, rows = [], [], []
    for start in range(0, len(scenes), 16):
        part = scenes[start : start + 16]
        for pair, edited in zip(part, _edit(trainer, part), strict=True):
            errors.append(_relative_error(pair, edited))
            if not pair.mask.all():
                rest = np.square(edited.astype(float) - pair.before)[~pair.mask].mean()
                psnrs.append(10 * np.log10(255**2 / max(rest, 1e-3)))
            rows.append(np.concatenate([pair.before, edited, pair.after], axis=1)[::2, ::2])
    _grid(rows).save(folder / f"held_out-{trainer.step:06d}.png")
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


def _edit(trainer: "Trainer", pairs: "list[SimulatedPair]") -> list[NDArray[np.uint8]]:
    import torch

    from editworld_core.sampling import Guidance, denoise

    encoder, codec = trainer.batches.encoder, trainer.batches.codec
    pixels = (
        torch.from_numpy(np.stack([pair.before for pair in pairs]).transpose(0, 3, 1, 2)).float() / 127.5 - 1
    )
    latents = denoise(
        trainer.unet,
        trainer.scheduler,
        codec.encode(pixels),
        encoder.encode([pair.instruction for pair in pairs]),
        encoder.nothing([pair.instruction for pair in pairs]),
        steps=trainer.config.watch.sampling_steps,
        guidance=Guidance(trainer.config.watch.text_guidance, 1.0),
        generator=torch.Generator().manual_seed(0),
    )
    return list(_to_uint8(codec.decode(latents)))


def _to_uint8(pixels: "torch.Tensor") -> NDArray[np.uint8]:
    return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


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
