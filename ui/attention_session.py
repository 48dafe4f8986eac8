"""What one visitor looks at in the Attention tab. Nobody else ever sees it."""

import io
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from editworld_core.laboratory.study import Study, View
from editworld_core.mask_files import read_mask
from editworld_core.masks import Mask

ALL_STEPS = 0  # the step slider's place for their mean


@dataclass
class LabSession:
    """One visitor's edit under study.

    Attributes:
        study: the edit; None before the first.
        second: the edit by another instruction that it is compared with, or None.
        truth: where the picture truly changes, bool [H, W]; None if that is not known.
    """

    study: Study | None = None
    second: Study | None = None
    truth: Mask | None = None
    # removed when the session is forgotten, and at the latest when the program ends
    _folder: tempfile.TemporaryDirectory = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="editworld-attention-"), repr=False
    )
    _files: int = 0

    def open(self, study: Study) -> None:
        """Look at ``study``, and at no other; what is true of it is not known yet."""
        self.study, self.second, self.truth = study, None, None

    def know(self, study: Study, path: str | None) -> None:
        """Take the true mask of ``study`` from a file; None if there is none.

        Raises:
            BadInputError: it cannot be used with the picture; then there is none.
        """
        height, width = study.size
        self.truth = None
        self.truth = read_mask(path, (width, height)) if path else None

    def keep_picture(self, name: str, picture: Image.Image) -> Path:
        """A PNG file of ``picture``."""
        buffer = io.BytesIO()
        picture.save(buffer, "PNG")
        return self.keep(name, buffer.getvalue())

    def keep(self, name: str, content: bytes) -> Path:
        """A file of that name."""
        self._files += 1
        path = Path(self._folder.name) / str(self._files) / name
        path.parent.mkdir()
        path.write_bytes(content)
        return path

    def pack(self, name: str, files: Mapping[str, bytes]) -> Path:
        """A zip called ``name``.zip of ``files``, in a folder of that name."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:  # all of them are squeezed already
            for each, content in files.items():
                archive.writestr(f"{name}/{each}", content)
        return self.keep(f"{name}.zip", buffer.getvalue())

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()


def layers_at(study: Study, cells: int) -> tuple[str, ...]:
    """The recorded layers whose longer side is ``cells``."""
    return tuple(name for name, grid in study.layers.items() if max(grid) == cells)


def usual_cells(study: Study) -> int:
    """The resolution that the edit's own mask was made at."""
    return max(study.layers[study.checked(View()).layers[0]])


def view_of(
    study: Study,
    words: list[str],
    cells: int | None,
    layers: list[str] | None,
    step: float | None,
    rule: str,
    threshold: float,
) -> View:
    """The view that the fields say; what they say of another edit is left out.

    Args:
        step: place among the recorded steps from 1, or ``ALL_STEPS``.
    """
    there = layers_at(study, int(cells or usual_cells(study)))
    chosen = tuple(name for name in layers or () if name in there)
    outer = tuple(name for name in there if "mid_block" not in name)
    view = View(
        words=tuple(word for word in words or () if word in study.words),
        layers=chosen or outer or there or study.checked(View()).layers,
        rule="paper" if rule == "paper" else "otsu",
        threshold=threshold,
    )
    recorded = study.steps(view)
    place = min(int(step or ALL_STEPS), len(recorded))
    return view if place == ALL_STEPS else replace(view, steps=(recorded[place - 1],))
