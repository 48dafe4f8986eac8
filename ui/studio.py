"""The one thing that visitors share: the editor with its engines. It keeps nothing of anyone's."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from PIL import Image

from editworld_core.engines.protocol import EngineInfo, Progress
from editworld_core.errors import BadInputError, EditWorldError, EngineUnavailableError
from editworld_core.masks import Mask
from editworld_core.settings import EditSettings
from ui import zero
from ui.line import HEARTBEAT, Line
from ui.running import background
from ui.wording import not_ready

if TYPE_CHECKING:
    from editworld_core.editor import EditResult
    from editworld_core.engines.registry import EngineRow
    from editworld_core.post_edit import PostEdit
    from editworld_core.think import Thought

log = logging.getLogger(__name__)


class Editor(Protocol):
    """What the page asks of ``WorldEditor``."""

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings = ...,
        progress: Progress | None = None,
        hand: Mask | None = None,
    ) -> "EditResult":
        """``image`` after ``instruction``."""
        ...

    def refine(
        self,
        result: "EditResult",
        settings: EditSettings,
        progress: Progress | None = None,
        hand: Mask | None = None,
    ) -> "EditResult":
        """``result`` with another mask, feather or post-edit, on the same edit."""
        ...


class PointSegmenter(Protocol):
    """What the page asks of a segmenter: the thing that was clicked on."""

    def at_points(
        self, image: Image.Image, points: Sequence[tuple[int, int]], labels: Sequence[bool]
    ) -> Mask:
        """The segment, bool [H, W], at the points (x, y) that belong to it, True, and not at those that do not."""
        ...


class Think(Protocol):
    """``editworld_core.think.think``."""

    def __call__(self, instruction: str, image: Image.Image | None = None) -> "Thought":
        """What ``instruction`` would do."""
        ...


@dataclass(frozen=True)
class OwnEngine:
    """An engine that whoever serves the page has named, and the LoRA weights on top of it."""

    row: "EngineRow"
    lora: str = ""
    lora_scale: float = 1.0


def _segmenter(name: str) -> PointSegmenter:
    from editworld_core.segmentation import load_segmenter

    return load_segmenter(name)


def _think(instruction: str, image: Image.Image | None = None) -> "Thought":
    from editworld_core.think import think

    return think(instruction, image)


class Studio:
    """An editor that loads its engine beside the page and works for one visitor at a time, whose ``turn`` it is."""

    def __init__(
        self,
        editor: Editor,
        rows: "Sequence[EngineRow]",
        load: Callable[[], object],
        own: OwnEngine | None = None,
        segmenter: Callable[[str], PointSegmenter] = _segmenter,
        think: Think = _think,
        sends: str = "",
    ) -> None:
        """Nothing is loaded before ``start``.

        Args:
            rows: the engines to offer, at least one ready.
            load: makes the default engine ready to use.
            own: one more engine, which the page opens with.
            segmenter: gets the segmenter of that name.
            think: what the think panel asks.
            sends: what ``think`` gives to a language model elsewhere: "your words", or "your words and your picture".
        """
        self.editor, self.think, self.sends = editor, think, sends
        self.own = own
        others = [row for row in rows if own is None or row.info.id != own.row.info.id]
        self.rows = (*([own.row] if own else []), *others)
        self._segmenter = segmenter
        self._selecting = threading.Lock()
        self._line = Line()
        self._load = load
        self._loading = background(self._warm)

    def start(self) -> None:
        """Begin to load the default engine."""
        self._loading.start()

    def _warm(self) -> None:
        try:
            self._load()
        except EditWorldError as error:  # the first edit says it again, to someone who can read it
            log.warning("%s", error)

    @property
    def default(self) -> EngineInfo:
        """The engine that the page opens with: the server's own, else the first that is ready, else the first."""
        if self.own:
            return self.own.row.info
        return next((row for row in self.rows if row.ready), self.rows[0]).info

    def row(self, engine: str) -> "EngineRow":
        """The engine called ``engine``.

        Raises:
            BadInputError: the page does not offer it.
        """
        for row in self.rows:
            if row.info.id == engine:
                return row
        raise BadInputError(f"There is no engine named {engine!r} here; choose one from the list.")

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        progress: Progress,
        hand: Mask | None = None,
    ) -> "EditResult":
        """``WorldEditor.edit``, to be called in one's turn.

        Raises:
            EditWorldError: as the editor does; ``EngineUnavailableError`` before that, if the engine cannot be used.
        """
        row = self.row(settings.engine)
        if not row.usable:
            raise EngineUnavailableError(not_ready(row))
        if self.own and row is self.own.row:
            settings = replace(settings, lora=self.own.lora, lora_scale=self.own.lora_scale)
        return zero.run(
            self.editor.edit,
            progress,
            zero.needs_gpu(settings),
            image=image,
            instruction=instruction,
            settings=settings,
            hand=hand,
        )

    def refine(
        self, result: "EditResult", settings: EditSettings, progress: Progress, hand: Mask | None = None
    ) -> "EditResult":
        """``WorldEditor.refine``, to be called in one's turn."""
        return zero.run(
            self.editor.refine,
            progress,
            zero.needs_gpu(settings),
            result=result,
            settings=settings,
            hand=hand,
        )

    def post_edit(
        self,
        original: Image.Image,
        edited: Image.Image,
        instruction: str,
        settings: EditSettings,
        progress: Progress,
        hand: Mask | None = None,
    ) -> "PostEdit":
        """``post_edit_any``, to be called in one's turn."""
        from editworld_core.post_edit import post_edit_any

        progress(0, 0)  # it has no steps of its own at which it could be stopped
        return zero.run(
            post_edit_any,
            progress,
            zero.needs_gpu(settings),
            original=original,
            edited=edited,
            instruction=instruction,
            settings=settings,
            hand=hand,
        )

    def select(
        self, image: Image.Image, points: Sequence[tuple[int, int]], labels: Sequence[bool], segmenter: str
    ) -> Mask:
        """``at_points`` of the segmenter of that name, for one visitor at a time; no turn is needed.

        Raises:
            EditWorldError: the segmenter cannot be used.
        """
        with self._selecting:
            return self._segmenter(segmenter).at_points(image, points, labels)

    @contextmanager
    def turn(self, progress: Progress) -> Iterator[None]:
        """Wait until everybody who came before is done and the engine is loaded; ``progress`` may end it by raising."""
        with self._line.turn(lambda: progress(0, 0)):
            while self._loading.is_alive():
                progress(0, 0)
                self._loading.join(HEARTBEAT)
            yield
