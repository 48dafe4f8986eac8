"""Drawing anew inside a mask (EditWorld, section 3.4, last step)."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from PIL import Image

from editworld_core.engines.protocol import Engine, Progress
from editworld_core.images import carry_change, native_size
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings


class Inpainter(Protocol):
    """Draws the inside of a mask, guided by an edited picture."""

    def inpaint(
        self,
        original: Image.Image,
        edited: Image.Image,
        mask: Mask,
        instruction: str,
        progress: Progress | None = None,
    ) -> Image.Image:
        """``edited`` with the inside of ``mask`` [H, W] drawn anew, to join ``original`` outside; RGB, same size."""
        ...


@dataclass(frozen=True)
class NoInpainter:
    """Leaves the edited picture as it is: for edits made elsewhere, without an engine."""

    def inpaint(
        self,
        original: Image.Image,
        edited: Image.Image,
        mask: Mask,
        instruction: str,
        progress: Progress | None = None,
    ) -> Image.Image:
        """See ``Inpainter``."""
        return edited


@dataclass(frozen=True)
class EngineInpainter:
    """The engine's own masked re-denoising, at its native size, carried to the size of the upload."""

    engine: Engine
    settings: EditSettings

    def inpaint(
        self,
        original: Image.Image,
        edited: Image.Image,
        mask: Mask,
        instruction: str,
        progress: Progress | None = None,
    ) -> Image.Image:
        """See ``Inpainter``."""
        info = self.engine.info
        size = native_size(original.size, info.native_size, info.multiple)
        small, small_edited = (picture.resize(size, Image.Resampling.LANCZOS) for picture in (original, edited))
        small_mask = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        drawn = self.engine.inpaint(small, small_edited, small_mask, instruction, self.settings, progress)
        return carry_change(edited, small_edited, drawn)
