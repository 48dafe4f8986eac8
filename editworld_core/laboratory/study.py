"""The recorded attention of one edit: a heat map of each word, at any layer, resolution and step, and the mask of it.

>>> study = study_edit("snowman.png", "the sun comes out", EditSettings(steps=8))
>>> study.heat(View(words=("sun",), steps=(1,)))
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError
from editworld_core.masks import PAPER_FACTOR, Map, Mask, enlarge, heat_from_maps, mask_from_maps
from editworld_core.settings import EditSettings, MaskRule

if TYPE_CHECKING:
    from editworld_core.attention import AttentionMaps
    from editworld_core.editor import EditResult, WorldEditor
    from editworld_core.images import Source
    from editworld_core.post_edit import EditMasks

CELLS = 16


@dataclass(frozen=True)
class View:
    """Which part of a recording to look at, and how a mask is made of it.

    Attributes:
        words: those that act together; empty takes the words that made the edit's mask.
        layers: names of layers, whose mean is taken; empty takes those of the down and up blocks whose longer side is
            nearest to ``cells``.
        cells: see ``layers``.
        steps: numbers from 1 of denoising steps, whose mean is taken; empty takes all that were recorded.
        rule, threshold: how the maps become a mask, see ``EditSettings.mask_rule`` and ``mask_threshold``.
    """

    words: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    cells: int = CELLS
    steps: tuple[int, ...] = ()
    rule: MaskRule = "otsu"
    threshold: float = PAPER_FACTOR


class Study:
    """The attention of one edit."""

    def __init__(self, result: "EditResult") -> None:
        """Open ``result``.

        Raises:
            BadInputError: no attention was recorded.
        """
        if result.attention is None or not result.words:
            raise BadInputError(_unseen(result.settings.engine))
        self.result = result
        self.attention: AttentionMaps = result.attention
        spoken = [token.word for token in result.words if any(map(str.isalnum, token.word))]
        self.words = tuple(dict.fromkeys([*spoken, *result.keywords]))

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture, (H, W)."""
        return self.result.original.height, self.result.original.width

    @property
    def layers(self) -> dict[str, tuple[int, int]]:
        """The recorded layers and the grid (h, w) of each."""
        return {name: stack.shape[2:] for name, stack in self.attention.layers.items()}

    @property
    def resolutions(self) -> tuple[int, ...]:
        """The longer sides of the recorded grids, in cells, finest first."""
        return tuple(sorted({max(grid) for grid in self.layers.values()}, reverse=True))

    @property
    def usual(self) -> View:
        """What made the edit's own mask."""
        settings = self.result.settings
        return View(words=self.result.keywords, rule=settings.mask_rule, threshold=settings.mask_threshold)

    def checked(self, view: View) -> View:
        """``view`` with words, layers and steps spelled out.

        Raises:
            BadInputError: it names a word, a layer or a step that was not recorded.
        """
        words = view.words or self.result.keywords
        _known("word", words, self.words, "is not in the instruction")
        _known("layer", view.layers, tuple(self.layers), "was not recorded")
        layers = view.layers or self.attention.nearest(view.cells)
        recorded = tuple(sorted({step for name in layers for step in self.attention.steps_of(name)}))
        _known("step", view.steps, recorded, "was not recorded")
        return replace(view, words=tuple(words), layers=tuple(layers), steps=view.steps or recorded)

    def steps(self, view: View) -> tuple[int, ...]:
        """The numbers from 1 of the steps at which the layers of ``view`` were recorded."""
        return self.checked(replace(view, steps=())).steps

    def maps(self, view: View) -> list[Map]:
        """One map [h, w] for each occurrence of each word of ``view``, in the order of the instruction: the probability
        with which a cell attends to the word, mean over layers and steps; on the finest of the layers' grids."""
        view = self.checked(view)
        return [self._map(token.positions, view) for token in self.result.words if token.word in view.words]

    def heat(self, view: View, size: tuple[int, int] | None = None) -> Map:
        """Where the words of ``view`` acted together, [H, W] in 0..1 of their maximum.

        Args:
            size: another grid (H, W) than the picture's.
        """
        return heat_from_maps(self.maps(view), size or self.size)

    def mask(self, view: View, size: tuple[int, int] | None = None) -> Mask:
        """The mask [H, W] that ``view`` gives, ``size`` as above; that of ``usual`` is the edit's own mask."""
        return mask_from_maps(self.maps(view), view.rule, view.threshold, size or self.size)

    def segments(self, view: View) -> "EditMasks":
        """The segments of both pictures that the post-edit proposes and chooses for the mask of ``view``.

        Raises:
            EngineUnavailableError: the segmenter's weights are missing or damaged.
        """
        from editworld_core.inpainting import NoInpainter
        from editworld_core.post_edit import post_edit
        from editworld_core.segmentation import load_segmenter

        result, mask = self.result, self.mask(view)
        settings, heat = result.settings, self.heat(view)
        same = np.array_equal(mask, result.attention_mask) and np.array_equal(heat, result.heat)
        if same and result.found is not None and result.hand is None:
            return result.found
        return post_edit(
            result.original,
            result.edited,
            mask,
            heat,
            result.instruction,
            segmenter=load_segmenter(settings.segmenter),
            inpainter=NoInpainter(),
            feather=settings.feather,
            align=settings.align,
            segment_area=settings.segment_area,
        ).found

    def _map(self, positions: Sequence[int], view: View) -> Map:
        maps = []
        for name in view.layers:
            steps = [i for i, step in enumerate(self.attention.steps_of(name)) if step in view.steps]
            if steps:
                maps.append(self.attention.map(positions, [name], steps))
        finest = max((map.shape for map in maps), key=max)
        return np.mean(
            [map if map.shape == finest else enlarge(map, finest) for map in maps], axis=0, dtype=np.float32
        )


def study_edit(
    image: "Source",
    instruction: str,
    settings: EditSettings | None = None,
    progress: Progress | None = None,
    editor: "WorldEditor | None" = None,
) -> Study:
    """Edit ``image`` and open the attention of the edit; the arguments are those of ``WorldEditor.edit``.

    Raises:
        BadInputError: the engine does not record attention; or as ``WorldEditor.edit`` does.
        EngineUnavailableError: the engine is unknown or not ready.
    """
    from editworld_core.editor import WorldEditor

    settings, editor = settings or EditSettings(), editor or WorldEditor()
    info = editor.engine(settings.engine, settings.lora, settings.lora_scale).info
    if not info.records_attention:
        raise BadInputError(_unseen(settings.engine))
    return Study(editor.edit(image, instruction, settings, progress))


def _unseen(engine: str) -> str:
    return f"The engine {engine} does not show which words act where; choose one that does, such as pocket."


def _known(kind: str, asked: Sequence[object], known: Sequence[object], complaint: str) -> None:
    for each in asked:
        if each not in known:
            raise BadInputError(
                f"The {kind} {each!r} {complaint}: choose among {', '.join(map(str, known))}."
            )
