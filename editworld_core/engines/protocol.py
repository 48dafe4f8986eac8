"""What an engine is: something that edits an image by instruction."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from editworld_core.settings import EditSettings, Speed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from editworld_core.attention import AttentionRecorder

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` at every step's end; what it raises stops the edit."""


@dataclass(frozen=True)
class EngineInfo:
    """What a user wants to know before the first edit.

    Attributes:
        id: the name to choose it by.
        title: one line that says what it is.
        licence: SPDX id or name of the licence of the weights.
        weights: where the weights come from: "in this package", a hub id, a folder.
        native_size: side in pixels of the square it was trained on.
        multiple: height and width must be multiples of this.
        memory_gib: memory an edit needs at the native size, without offloading.
        records_attention: whether a recorder sees which words acted where.
        steps, text_guidance, image_guidance: its defaults.
        fast_steps: steps of the preset ``fast``; None if they are the same.
        commercial: whether the licence of the weights allows commercial use.
        takes_negative: whether it listens to what the picture should not show.
        redraws: whether drawing the inside of the mask once more makes its edits better.
        wants_outcome: whether it edits better when told the think step's outcome than the user's own words.
        memory_model_gib, memory_sequential_gib: device memory with the offload presets; None if they do not apply.
    """

    id: str
    title: str
    licence: str
    weights: str
    native_size: int
    multiple: int
    memory_gib: float
    records_attention: bool
    steps: int
    text_guidance: float
    image_guidance: float
    fast_steps: int | None = None
    commercial: bool = True
    takes_negative: bool = False
    redraws: bool = True
    wants_outcome: bool = True
    memory_model_gib: float | None = None
    memory_sequential_gib: float | None = None

    def steps_of(self, speed: Speed) -> int:
        """The default number of denoising steps of a preset."""
        return self.fast_steps if speed == "fast" and self.fast_steps else self.steps


@dataclass(frozen=True)
class Token:
    """One word of an instruction and the context positions of its tokens."""

    word: str
    positions: tuple[int, ...]


class Engine(Protocol):
    """Edits at the size of the image it is given, which must be a multiple of ``info.multiple``."""

    @property
    def info(self) -> EngineInfo:
        """What a user wants to know before the first edit."""
        ...

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        recorder: "AttentionRecorder | None" = None,
        progress: Progress | None = None,
    ) -> Image.Image:
        """The picture after ``instruction``: RGB, same size as ``image``."""
        ...

    def inpaint(
        self,
        image: Image.Image,
        edited: Image.Image,
        mask: "NDArray[np.bool_]",
        instruction: str,
        settings: EditSettings,
        progress: Progress | None = None,
    ) -> Image.Image:
        """Denoise again inside ``mask`` [H, W], guided by ``edited``; outside it the latents are ``image``'s."""
        ...

    def tokens(self, instruction: str) -> list[Token]:
        """The words of ``instruction`` with the positions of their tokens in the text encoder's context."""
        ...
