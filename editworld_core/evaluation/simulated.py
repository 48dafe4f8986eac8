"""How well an editor does on the held-out worlds, where the true picture and the true mask are known.

A scene succeeds if the mean absolute error to the true target inside the true mask is at most half of what
the unedited picture has there. What must not change is measured outside the true mask, on local dynamics.
"""

import csv
import io
import json
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.datagen.contact_sheet import draw_sheet
from editworld_core.datagen.records import encode_png, write_file
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError
from editworld_core.evaluation.showcase import Showcase
from editworld_core.metrics import mask_iou, psnr, st_lpips_outside
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import SCENES, held_out_pair, held_out_scenes
from editworld_core.simulation.world import SimulatedPair, get_dynamic

if TYPE_CHECKING:
    from editworld_core.editor import EditResult

SUCCESS = 0.5  # of the unedited picture's error
MOST_DB = 100.0  # stands for the infinite PSNR of identical pictures, which JSON cannot say
DIGITS = 4


class Editor(Protocol):
    """What is measured: ``WorldEditor``, or anything that edits like it."""

    def edit(self, image: Image.Image, instruction: str, settings: EditSettings) -> "EditResult":
        """Edit ``image``; the result has its size."""
        ...


@dataclass(frozen=True)
class SceneRow:
    """What one scene gave.

    Errors are mean absolute errors to the true target inside the true mask, 0..1. Measures outside it, and the
    IoU of masks, are None for dynamics that touch the whole picture.
    """

    dynamic: str
    category: str
    seed: int
    instruction: str
    mask_share: float
    error_source: float
    error_edited: float
    error_final: float
    success: bool
    psnr_outside: float | None
    mask_source: str
    iou_attention: float | None
    iou_final: float | None
    st_lpips_edited: float | None
    st_lpips_final: float | None
    seconds: float


@dataclass(frozen=True)
class SimulatedReport:
    """The scenes' rows, and the pictures of a few of them."""

    rows: tuple[SceneRow, ...]
    settings: EditSettings
    showcase: Showcase = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """The summary, ready for JSON: rates and means over the scenes, medians of PSNR (dB) and time (s).

        A value is None where no scene has it.
        """
        rows = self.rows
        return {
            "success": {
                "overall": _mean(row.success for row in rows),
                "by_category": _success_by(rows, "category"),
                "by_dynamic": _success_by(rows, "dynamic"),
            },
            "psnr_outside": _median(row.psnr_outside for row in rows),
            "mask_iou": {
                "attention": _mean(row.iou_attention for row in rows),
                "final": _mean(row.iou_final for row in rows),
            },
            "st_lpips_outside": {
                "edited": _mean(row.st_lpips_edited for row in rows),
                "final": _mean(row.st_lpips_final for row in rows),
            },
            "seconds_per_edit": _median(row.seconds for row in rows),
        }

    def write(self, folder: Path) -> None:
        """Write ``report.json``, ``report.csv`` (a row a scene) and ``sheet.png`` into ``folder``.

        Raises:
            EditWorldError: the folder cannot be written.
        """
        content = {**self.as_dict(), "scenes": len(self.rows), "settings": asdict(self.settings)}
        write_file(folder / "report.json", f"{json.dumps(content, indent=2)}\n".encode())
        write_file(folder / "report.csv", self._csv().encode())
        write_file(folder / "sheet.png", encode_png(self.sheet()))

    def _csv(self) -> str:
        out = io.StringIO()
        table = csv.DictWriter(out, [entry.name for entry in fields(SceneRow)], lineterminator="\n")
        table.writeheader()
        for row in self.rows:
            table.writerow(
                {name: round(v, DIGITS) if isinstance(v, float) else v for name, v in asdict(row).items()}
            )
        return out.getvalue()

    def sheet(self) -> Image.Image:
        """A page with the worst, some random and the best scenes: source, edited, final, mask, truth."""
        heading = f"{self.settings.engine}: source, edited, final, mask, truth"
        return draw_sheet(heading, self.showcase.panels(), columns=2)


def evaluate_simulated(
    editor: Editor,
    settings: EditSettings,
    names: Sequence[str] | None = None,
    scenes: int = SCENES,
    progress: Progress | None = None,
) -> SimulatedReport:
    """Edit the held-out worlds and compare with what truly happens.

    Args:
        editor: what is measured.
        settings: of every edit; if they leave the seed open, each scene uses its own, which repeats.
        names: dynamics to measure; None takes all, which only is the held-out set.
        scenes: how many of each.
        progress: called after each scene with the numbers done and in all; what it raises stops it.

    Raises:
        BadInputError: a name is unknown or ``scenes`` is not positive.
        EditWorldError: the editor failed, or the held-out photographs are missing.
    """
    if scenes < 1:
        raise BadInputError(f"The number of scenes must be at least 1, not {scenes}.")
    try:
        todo = list(held_out_scenes(names, scenes))
    except ValueError as error:
        raise BadInputError(str(error)) from error
    rows: list[SceneRow] = []
    showcase = Showcase()
    for done, (name, seed) in enumerate(todo, 1):
        pair = held_out_pair(name, seed)
        own = replace(settings, seed=seed) if settings.seed is None else settings
        start = time.perf_counter()
        result = editor.edit(Image.fromarray(pair.before), pair.instruction, own)
        rows.append(_measure(pair, result, time.perf_counter() - start))
        showcase.see(rows[-1].error_edited / max(rows[-1].error_source, 1e-6), pair, result)
        if progress is not None:
            progress(done, len(todo))
    return SimulatedReport(tuple(rows), settings, showcase)


def _measure(pair: SimulatedPair, result: "EditResult", seconds: float) -> SceneRow:
    source, edited, final = (np.asarray(image) for image in (result.original, result.edited, result.final))
    errors = [_error_inside(image, pair) for image in (source, edited, final)]
    outside = (
        _measure_outside(pair, result) if get_dynamic(pair.dynamic).local and not pair.mask.all() else {}
    )
    return SceneRow(
        dynamic=pair.dynamic,
        category=pair.category.value,
        seed=pair.seed,
        instruction=pair.instruction,
        mask_share=float(pair.mask.mean()),
        error_source=errors[0],
        error_edited=errors[1],
        error_final=errors[2],
        success=errors[1] <= SUCCESS * errors[0],
        mask_source=result.mask_source,
        seconds=seconds,
        **{name: outside.get(name) for name in _OUTSIDE},
    )


_OUTSIDE = ("psnr_outside", "iou_attention", "iou_final", "st_lpips_edited", "st_lpips_final")


def _measure_outside(pair: SimulatedPair, result: "EditResult") -> dict[str, float]:
    """What only makes sense where a part of the picture must stay."""
    original = result.original
    return {
        "psnr_outside": min(MOST_DB, psnr(original, result.edited, ~pair.mask)),
        "iou_attention": mask_iou(result.attention_mask, pair.mask),
        "iou_final": mask_iou(result.mask, pair.mask),
        "st_lpips_edited": st_lpips_outside(original, result.edited, pair.mask),
        "st_lpips_final": st_lpips_outside(original, result.final, pair.mask),
    }


def _error_inside(image: NDArray[np.uint8], pair: SimulatedPair) -> float:
    """Mean absolute error to the true target inside the true mask, 0..1; 0 if the mask is empty."""
    if not pair.mask.any():
        return 0.0
    difference = image[pair.mask].astype(np.float32) - pair.after[pair.mask]
    return float(np.abs(difference).mean() / 255)


def _success_by(rows: Iterable[SceneRow], key: str) -> dict[str, float | None]:
    groups: dict[str, list[bool]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, key)].append(row.success)
    return {name: _mean(group) for name, group in sorted(groups.items())}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(fmean(known), DIGITS) if known else None


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), DIGITS) if known else None
