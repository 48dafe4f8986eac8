"""The whole way of one edit: engine, attention mask, post-edit, report (DESIGN section 1)."""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.engines.protocol import Engine, Progress, Token
from editworld_core.errors import BadInputError
from editworld_core.images import Source, carry_change, check_instruction, native_size, read_image
from editworld_core.masks import Mask, content_words, difference_mask, heat_from_maps, mask_from_maps
from editworld_core.settings import LARGEST_SEED, EditSettings, check_settings

if TYPE_CHECKING:
    from editworld_core.attention import AttentionMaps
    from editworld_core.metrics import DriftReport
    from editworld_core.post_edit import EditMasks

MaskSource = Literal["attention", "difference", "hand"]


@dataclass(frozen=True)
class EditResult:
    """Everything that one edit produced.

    Attributes:
        original, edited, final: RGB pictures of the upload's size: before, as the engine left it, after post-edit.
        instruction: as it was understood, spaces trimmed.
        settings: as they were used: defaults filled in, seed drawn.
        attention: what the recorder saw, or None for an engine that cannot be recorded.
        words: the words that the engine was told; ``keywords`` those whose attention made the mask.
        heat: float32 [H, W] in 0..1, where the keywords acted.
        attention_mask: bool [H, W], thresholded ``heat``; what the post-edit starts from.
        mask: bool [H, W]; with post-edit on, ``final`` equals ``original`` wherever it is False.
        mask_source: whether the mask came from attention, from the difference of the pictures, or all from the hand.
        hand: bool [H, W], the mask that the user drew, or None.
        timings: seconds by step.
        drift: what changed outside the mask.
        found: how post-edit came to its mask: the segments of both pictures and the chosen ones; None without it.
    """

    original: Image.Image
    edited: Image.Image
    final: Image.Image
    instruction: str
    settings: EditSettings
    attention: "AttentionMaps | None"
    words: tuple[Token, ...]
    keywords: tuple[str, ...]
    heat: NDArray[np.float32]
    attention_mask: NDArray[np.bool_]
    mask: NDArray[np.bool_]
    mask_source: MaskSource
    hand: NDArray[np.bool_] | None
    timings: Mapping[str, float]
    drift: "DriftReport"
    found: "EditMasks | None" = None


class WorldEditor:
    """Edits pictures by world instructions.

    >>> editor = WorldEditor()
    >>> result = editor.edit("snowman.png", "the sun comes out")
    >>> result.final.save("after.png")
    """

    def __init__(self, load: Callable[[str, str, float], Engine] | None = None) -> None:
        """``load`` gets an engine by its name, LoRA weights and their scale; the registry's by default."""
        self._load = load

    def engine(self, name: str, lora: str = "", lora_scale: float = 1.0) -> Engine:
        """The engine of that name (see ``EditSettings.engine``), loaded."""
        if self._load is None:
            from editworld_core.engines.registry import load_engine

            self._load = load_engine
        return self._load(name, lora, lora_scale)

    def _engine_of(self, settings: EditSettings) -> Engine:
        return self.engine(settings.engine, settings.lora, settings.lora_scale)

    def edit(
        self,
        image: Source,
        instruction: str,
        settings: EditSettings | None = None,
        progress: Progress | None = None,
        hand: Mask | None = None,
    ) -> EditResult:
        """Show ``image`` after ``instruction`` has happened.

        Args:
            image: anything that ``images.read_image`` reads, of any size.
            instruction: a command or a cause.
            settings: see ``EditSettings``; None takes its defaults.
            progress: called at every denoising step's end; what it raises stops the edit.
            hand: bool [H, W], where the user wants the change; see ``EditSettings.hand_rule``.

        Raises:
            BadInputError: the image, the instruction, a setting or ``hand`` cannot be used.
            EngineUnavailableError: the engine is unknown or not ready.
            EditCancelledError: ``progress`` raised it.
        """
        from editworld_core.attention import AttentionRecorder

        original, instruction = read_image(image), check_instruction(instruction)
        settings = check_settings(settings or EditSettings())
        told = check_instruction(settings.outcome) if settings.outcome else instruction
        _check_hand(hand, original)
        clock = _Clock()
        with clock("load"):
            engine = self._engine_of(settings)
        settings = _filled(settings, engine)
        small = original.resize(
            native_size(original.size, engine.info.native_size, engine.info.multiple),
            Image.Resampling.LANCZOS,
        )
        words = tuple(engine.tokens(told))
        _keywords(settings, words)  # refuses an unknown one before the work
        # Beyond the last word there is only padding, which is not worth its memory.
        last = max((position for token in words for position in token.positions), default=-1)
        recorder = (
            AttentionRecorder(positions=range(last + 1)) if words and engine.info.records_attention else None
        )
        with clock("edit"):
            small_after = engine.edit(small, told, settings, recorder, progress)
        with clock("carry"):
            edited = carry_change(original, small, small_after)
        return self._finish(
            original,
            edited,
            instruction,
            settings,
            recorder.maps() if recorder and recorder.saw_something else None,
            words,
            clock,
            hand,
        )

    def refine(
        self,
        result: EditResult,
        settings: EditSettings,
        progress: Progress | None = None,
        hand: Mask | None = None,
    ) -> EditResult:
        """Make mask and post-edit of ``result`` anew by ``settings`` and ``hand``, without editing again.

        Only the settings of mask and post-edit are taken from ``settings``; what decides the edit itself stays what
        ``result`` was made with.
        """
        check_settings(settings)
        _check_hand(hand, result.original)
        settings = replace(settings, **{name: getattr(result.settings, name) for name in _OF_THE_EDIT})
        clock = _Clock(
            {name: result.timings[name] for name in ("load", "edit", "carry") if name in result.timings}
        )
        return self._finish(
            result.original,
            result.edited,
            result.instruction,
            settings,
            result.attention,
            result.words,
            clock,
            hand,
            progress,
        )

    def _finish(
        self,
        original: Image.Image,
        edited: Image.Image,
        instruction: str,
        settings: EditSettings,
        attention: "AttentionMaps | None",
        words: tuple[Token, ...],
        clock: "_Clock",
        hand: Mask | None,
        progress: Progress | None = None,
    ) -> EditResult:
        from editworld_core.inpainting import load_inpainter
        from editworld_core.metrics import drift_report
        from editworld_core.post_edit import post_edit
        from editworld_core.segmentation import load_segmenter

        keywords = _keywords(settings, words)
        with clock("mask"):
            prompt, heat = _located(original, attention, words, keywords, settings)
        alignment, found = None, None
        source: MaskSource = "difference" if prompt is None else "attention"
        if settings.post_edit:
            with clock("post_edit"):
                kept = post_edit(
                    original,
                    edited,
                    prompt,
                    heat,
                    instruction,
                    segmenter=load_segmenter(settings.segmenter),
                    inpainter=load_inpainter(settings.inpainter, self._engine_of(settings), settings),
                    feather=settings.feather,
                    align=settings.align,
                    match_colours=settings.match_colours,
                    segment_area=settings.segment_area,
                    grow=settings.grow,
                    hand=hand,
                    hand_rule=settings.hand_rule,
                    progress=progress,
                )
            final, mask, prompt, alignment = kept.final, kept.mask, kept.prompt, kept.alignment
            found = kept.found
            if hand is not None and settings.hand_rule == "replace":
                source = "hand"
        else:
            prompt = difference_mask(original, edited) if prompt is None else prompt
            final, mask = edited, prompt
        with clock("report"):
            drift = drift_report(original, edited, final, mask, alignment=alignment)
        return EditResult(
            original=original,
            edited=edited,
            final=final,
            instruction=instruction,
            settings=settings,
            attention=attention,
            words=words,
            keywords=keywords,
            heat=prompt.astype(np.float32) if heat is None else heat,
            attention_mask=prompt,
            mask=mask,
            mask_source=source,
            hand=hand,
            timings=clock.seconds,
            drift=drift,
            found=found,
        )


def _located(
    original: Image.Image,
    attention: "AttentionMaps | None",
    words: Sequence[Token],
    keywords: Sequence[str],
    settings: EditSettings,
) -> tuple[Mask | None, NDArray[np.float32] | None]:
    """Where the keywords acted, as mask and heat [H, W]; None if no attention was seen."""
    chosen = [token for token in words if token.word in keywords]
    if attention is None or not chosen:
        return None, None
    size = (original.height, original.width)
    maps = [attention.map(token.positions) for token in chosen]
    return mask_from_maps(maps, settings.mask_rule, settings.mask_threshold, size), heat_from_maps(maps, size)


def _keywords(settings: EditSettings, words: Sequence[Token]) -> tuple[str, ...]:
    known = tuple(token.word for token in words)
    unknown = [word for word in settings.keywords if word not in known]
    if unknown:
        raise BadInputError(
            f"The word {unknown[0]!r} is not in the instruction: choose among {', '.join(known)}."
        )
    return settings.keywords or content_words(known)


_OF_THE_EDIT = (
    "engine",
    "lora",
    "lora_scale",
    "speed",
    "steps",
    "text_guidance",
    "image_guidance",
    "outcome",
    "negative",
    "seed",
)
"""The settings that decide the edit; all others belong to mask and post-edit."""


def _check_hand(hand: Mask | None, original: Image.Image) -> None:
    if hand is None:
        return
    if hand.shape != (original.height, original.width) or hand.dtype != bool:
        raise BadInputError(
            f"The mask drawn by hand is {hand.shape[1]}x{hand.shape[0]} and the picture {original.width}x"
            f"{original.height}; make them equal."
        )


def _filled(settings: EditSettings, engine: Engine) -> EditSettings:
    """``settings`` with the engine's defaults and a drawn seed in place of None."""

    def or_default(value: float | None, default: float) -> float:
        return default if value is None else value

    return replace(
        settings,
        steps=settings.steps or engine.info.steps_of(settings.speed),
        text_guidance=or_default(settings.text_guidance, engine.info.text_guidance),
        image_guidance=or_default(settings.image_guidance, engine.info.image_guidance),
        seed=secrets.randbelow(LARGEST_SEED + 1) if settings.seed is None else settings.seed,
    )


class _Clock:
    """Seconds spent by step."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = dict(seconds or {})

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - started
