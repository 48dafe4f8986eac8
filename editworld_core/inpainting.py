"""Redrawing the inside of a mask (EditWorld, section 3.4): the last step of the post-edit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from PIL import Image

from editworld_core.engines.protocol import Engine, Progress
from editworld_core.errors import BadInputError
from editworld_core.images import carry_change, native_size
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from editworld_core.engines.place import Place


class Inpainter(Protocol):
    """Draws the masked part of an edited picture once more, so that it fits what is around it."""

    def inpaint(
        self,
        original: Image.Image,
        edited: Image.Image,
        mask: Mask,
        instruction: str,
        progress: Progress | None = None,
    ) -> Image.Image:
        """The edit again, held to ``original`` outside ``mask`` [H, W]; what lies outside is for the caller to keep.

        Args:
            original, edited: RGB pictures of H x W pixels, before and after ``instruction``.
            progress: called at every step's end; what it raises stops the work.
        """
        ...


@dataclass(frozen=True)
class EngineInpainter:
    """The engine's own masked re-denoising, at its native size, guided by the edited picture.

    The change that it makes is carried to the size of the upload (``images.carry_change``).
    """

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
        before, after = (_at(image, size) for image in (original, edited))
        # A cell that the mask only touches is redrawn too: the composite cuts along the true outline.
        cover = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0
        redrawn = self.engine.inpaint(before, after, cover, instruction, self.settings, progress)
        return carry_change(original, before, redrawn)


@dataclass(frozen=True)
class NoInpainter:
    """Leaves the edited picture as it is: for results of editors that are not here."""

    def inpaint(
        self,
        original: Image.Image,
        edited: Image.Image,
        mask: Mask,
        instruction: str,
        progress: Progress | None = None,
    ) -> Image.Image:
        """``edited``."""
        return edited


def load_inpainter(
    name: str, engine: Engine | None, settings: EditSettings, place: "Place | None" = None
) -> Inpainter:
    """The inpainter that ``name`` means; see ``EditSettings.inpainter``.

    Args:
        name: ``auto``, ``engine``, ``none``, ``controlnet-sd15``, ``controlnet-sdxl``, or a folder
            (``controlnet_inpainting.load_model``).
        engine: what made the edit; None if it was made elsewhere.
        settings: how to inpaint.
        place: where a ControlNet computes; None takes the best that is there.

    Raises:
        BadInputError: there is no engine to inpaint with.
        EngineUnavailableError: the inpainter is unknown, its weights are missing or damaged, or memory is too small.
    """
    if name == "none" or (name == "auto" and (engine is None or not engine.info.redraws)):
        return NoInpainter()
    if name in ("auto", "engine"):
        if engine is None:
            raise BadInputError(
                "Without an engine there is none to inpaint with: choose the inpainter none, controlnet-sd15, "
                "controlnet-sdxl or a folder."
            )
        return EngineInpainter(engine, settings)
    from editworld_core.controlnet_inpainting import ControlNetInpainter, load_model
    from editworld_core.engines.place import best_place

    return ControlNetInpainter(load_model(name, place or best_place()), settings)


def _at(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
