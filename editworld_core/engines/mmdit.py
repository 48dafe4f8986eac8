"""Engines around today's editing pipelines of diffusers: Qwen-Image-Edit, FLUX.2 klein and FLUX.1 Kontext.

Their sampling is diffusers' own and is left as it is. What differs between them is how they are told things: which
argument is the guidance, where in the text the instruction stands, what their inpainting pipeline wants. A ``Family``
says that of one class of pipeline; the engine does the rest once for all.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from editworld_core.engines.hub import is_hub_id, loading, read_index
from editworld_core.engines.place import Place
from editworld_core.engines.protocol import EngineInfo, Progress, Token
from editworld_core.engines.unet import words_at
from editworld_core.errors import BadInputError, EngineUnavailableError
from editworld_core.settings import EditSettings

if TYPE_CHECKING:
    from editworld_core.attention import AttentionRecorder

REDRAW_STRENGTH = 0.25
"""Share of the steps that a masked re-denoising runs: enough to close seams, too little to forget the edit."""
TEXT_LENGTH = 512
"""Tokens to which FLUX pads and cuts its text."""
NEGATIVE_GUIDANCE = 2.0
"""Kontext's guidance is distilled and knows no negative text; with one, it runs a second branch at this scale."""


@dataclass(frozen=True)
class Text:
    """What a pipeline really tokenises for an instruction.

    Attributes:
        whole: the instruction inside its template.
        start: where the instruction begins in it.
        tokenizer: the tokenizer that reads it.
        length: tokens to which it is padded and cut; None for neither.
    """

    whole: str
    start: int
    tokenizer: Any
    length: int | None = None


class Family(Protocol):
    """How one class of editing pipeline is called."""

    pipeline: str
    inpainter: str

    def describe(self, pipe: Any) -> dict[str, Any]:
        """Fields of ``EngineInfo`` that follow from the class and its configuration."""
        ...

    def guidance(self, pipe: Any, scale: float, negative: str) -> dict[str, Any]:
        """Arguments for the guidance scale and for what should not be in the picture."""
        ...

    def size(self, size: tuple[int, int]) -> dict[str, Any]:
        """Arguments that make the pipeline draw ``size`` = (width, height) and nothing else."""
        ...

    def redraw(self, inpainter: Any, pipe: Any, image: Image.Image) -> dict[str, Any]:
        """Further arguments of the inpainting pipeline, ``image`` being the picture before the edit."""
        ...

    def text(self, pipe: Any, instruction: str) -> Text:
        """What is tokenised; the text that the transformer is given ends with it."""
        ...


class QwenImageEdit:
    """Qwen-Image-Edit 2509 and 2511: true classifier-free guidance, Qwen2.5-VL reads picture and instruction."""

    pipeline = "QwenImageEditPlusPipeline"
    inpainter = "QwenImageEditInpaintPipeline"
    seen = "Picture 1: <|vision_start|><|image_pad|><|vision_end|>"

    def describe(self, pipe: Any) -> dict[str, Any]:
        """Its reference picture has sides of 32 pixels' multiples: a new one of others would not lie on it."""
        multiple = 4 * pipe.vae_scale_factor
        return {"steps": 40, "text_guidance": 4.0, "multiple": multiple, "takes_negative": True}

    def guidance(self, pipe: Any, scale: float, negative: str) -> dict[str, Any]:
        """Without a negative text of one space there would be no guidance at all."""
        return {"true_cfg_scale": scale, "negative_prompt": (negative or " ") if scale > 1 else None}

    def size(self, size: tuple[int, int]) -> dict[str, Any]:
        """The new picture's; the reference is always brought to about a megapixel."""
        return {"width": size[0], "height": size[1]}

    def redraw(self, inpainter: Any, pipe: Any, image: Image.Image) -> dict[str, Any]:
        """diffusers' inpainting is of the first Qwen-Image-Edit: here it talks as the later ones were taught."""
        inpainter.prompt_template_encode = pipe.prompt_template_encode.replace("{}", self.seen + "{}")
        return {}

    def text(self, pipe: Any, instruction: str) -> Text:
        """The picture's tokens stand before the instruction, so their number does not matter from the end."""
        head, tail = pipe.prompt_template_encode.split("{}")
        head += self.seen
        return Text(head + instruction + tail, len(head), pipe.processor.tokenizer)


class Flux2Klein:
    """FLUX.2 klein: distilled to four steps without guidance, or its base with guidance; Qwen3 reads."""

    pipeline = "Flux2KleinPipeline"
    inpainter = "Flux2KleinInpaintPipeline"

    def describe(self, pipe: Any) -> dict[str, Any]:
        """The distilled ones need no guidance and know none."""
        distilled = bool(pipe.config.is_distilled)
        return {
            "steps": 4 if distilled else 50,
            "text_guidance": 1.0 if distilled else 4.0,
            "multiple": 2 * pipe.vae_scale_factor,
            "takes_negative": not distilled,
        }

    @torch.no_grad()
    def guidance(self, pipe: Any, scale: float, negative: str) -> dict[str, Any]:
        """A negative text goes in as embeddings, in place of those of no words."""
        if pipe.config.is_distilled:
            return {"guidance_scale": 1.0}
        guidance: dict[str, Any] = {"guidance_scale": scale}
        if negative and scale > 1:
            guidance["negative_prompt_embeds"] = pipe.encode_prompt(
                negative, max_sequence_length=TEXT_LENGTH
            )[0]
        return guidance

    def size(self, size: tuple[int, int]) -> dict[str, Any]:
        """Of the new picture."""
        if min(size) < 64 or max(size) > 8 * min(size):
            raise BadInputError(
                f"FLUX.2 klein edits pictures of at least 64 pixels a side, no side over 8 times the other, "
                f"not {size[0]}x{size[1]}: crop the picture."
            )
        return {"width": size[0], "height": size[1], "max_sequence_length": TEXT_LENGTH}

    def redraw(self, inpainter: Any, pipe: Any, image: Image.Image) -> dict[str, Any]:
        """It takes what it redraws for its reference."""
        return {}

    def text(self, pipe: Any, instruction: str) -> Text:
        """The chat template of Qwen3, without thinking."""
        mark = "\ue000"  # of the private use area, so that no template contains it
        templated = pipe.tokenizer.apply_chat_template(
            [{"role": "user", "content": mark}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        head, tail = templated.split(mark)
        return Text(head + instruction + tail, len(head), pipe.tokenizer, TEXT_LENGTH)


class FluxKontext:
    """FLUX.1 Kontext dev: distilled guidance, T5 reads, CLIP sets the tone."""

    pipeline = "FluxKontextPipeline"
    inpainter = "FluxKontextInpaintPipeline"

    def describe(self, pipe: Any) -> dict[str, Any]:
        """As its model card has it."""
        multiple = 2 * pipe.vae_scale_factor
        return {"steps": 28, "text_guidance": 2.5, "multiple": multiple, "takes_negative": True}

    def guidance(self, pipe: Any, scale: float, negative: str) -> dict[str, Any]:
        """A negative text doubles the time."""
        guidance: dict[str, Any] = {"guidance_scale": scale}
        return guidance | (
            {"negative_prompt": negative, "true_cfg_scale": NEGATIVE_GUIDANCE} if negative else {}
        )

    def size(self, size: tuple[int, int]) -> dict[str, Any]:
        """Of the new picture and of the reference; the pipeline would change both to sizes it prefers."""
        width, height = size
        own = {"width": width, "height": height, "max_area": width * height, "_auto_resize": False}
        return own | {"max_sequence_length": TEXT_LENGTH}

    def redraw(self, inpainter: Any, pipe: Any, image: Image.Image) -> dict[str, Any]:
        """The instruction is about the picture before, so that stays the reference."""
        return {"image_reference": image}

    def text(self, pipe: Any, instruction: str) -> Text:
        """T5 reads the bare instruction."""
        return Text(instruction, 0, pipe.tokenizer_2, TEXT_LENGTH)


FAMILIES: dict[str, Family] = {
    family.pipeline: family for family in (QwenImageEdit(), Flux2Klein(), FluxKontext())
}
PIPELINE_CLASSES = tuple(FAMILIES)


@dataclass(frozen=True)
class PipelineEngine:
    """A pipeline of diffusers that edits by instruction; see ``engines.protocol.Engine``.

    Attributes:
        pipeline: of one of ``PIPELINE_CLASSES``.
        layers: names of the attention layers that a recorder sees; None takes some double-stream ones.
    """

    info: EngineInfo
    pipeline: Any
    layers: Sequence[str] | None = None

    def edit(
        self,
        image: Image.Image,
        instruction: str,
        settings: EditSettings,
        recorder: "AttentionRecorder | None" = None,
        progress: Progress | None = None,
    ) -> Image.Image:
        """The picture after ``instruction``: what the unmodified pipeline gives for the same seed, at ``image``'s size.

        Of ``settings`` the steps, text guidance, negative text and seed count; None means ``info``'s default.
        """
        arguments = self._arguments(image, instruction, settings)
        with self._recording(recorder, instruction, image):
            edited = self._run(self.pipeline, settings, progress, image=image, **arguments)
        return _at(edited, image.size)

    def inpaint(
        self,
        image: Image.Image,
        edited: Image.Image,
        mask: NDArray[np.bool_],
        instruction: str,
        settings: EditSettings,
        progress: Progress | None = None,
    ) -> Image.Image:
        """Denoise ``edited`` once more inside ``mask`` [H, W], held to ``image`` outside (EditWorld, section 3.4).

        By the inpainting pipeline of the same class, on the same weights. Kontext sees ``image`` as its reference.
        FLUX.2 klein and Qwen-Image-Edit see what they redraw, and Qwen-Image-Edit does it at about a megapixel
        whatever the size; diffusers leaves no choice there.
        """
        import diffusers

        arguments = self._arguments(image, instruction, settings)
        inpainter = getattr(diffusers, self._family.inpainter).from_pipe(self.pipeline)
        inpainter.set_progress_bar_config(disable=True)
        cover = Image.fromarray(mask.astype(np.uint8) * 255)
        arguments |= self._family.redraw(inpainter, self.pipeline, image)
        redrawn = self._run(
            inpainter,
            # Fewer steps would leave none to run, or only the one from pure noise, which knows nothing of the edit.
            replace(settings, steps=max(self._steps(settings), math.ceil(1 / REDRAW_STRENGTH))),
            progress,
            image=Image.composite(edited, image, cover),
            mask_image=cover,
            strength=REDRAW_STRENGTH,
            **arguments,
        )
        return _at(redrawn, image.size)

    def tokens(self, instruction: str) -> list[Token]:
        """The words of ``instruction`` and where each stands among the positions that a recorder keeps.

        Those are the instruction's own: position 0 is its first token, and the template around it is not recorded.
        """
        offsets, kept = self._offsets(instruction)
        return words_at(instruction, offsets[kept.start : kept.stop])

    def text_positions(self, instruction: str) -> range:
        """Where the instruction's tokens stand in the transformer's text, counted from its end: -1 is the last."""
        offsets, kept = self._offsets(instruction)
        return range(kept.start - len(offsets), kept.stop - len(offsets))

    @property
    def _family(self) -> Family:
        return FAMILIES[type(self.pipeline).__name__]

    def _steps(self, settings: EditSettings) -> int:
        return settings.steps or self.info.steps_of(settings.speed)

    def _offsets(self, instruction: str) -> tuple[list[tuple[int, int]], range]:
        """Start and end in ``instruction`` of every token of the whole text, and which tokens are the instruction's."""
        text = self._family.text(self.pipeline, instruction)
        padded = (
            {"padding": "max_length", "truncation": True, "max_length": text.length} if text.length else {}
        )
        found = text.tokenizer(text.whole, return_offsets_mapping=True, **padded)["offset_mapping"]
        offsets = [_within(instruction, start - text.start, end - text.start) for start, end in found]
        own = [i for i, (start, end) in enumerate(offsets) if start < end]
        return offsets, range(own[0], own[-1] + 1) if own else range(0)

    @contextmanager
    def _recording(
        self, recorder: "AttentionRecorder | None", instruction: str, image: Image.Image
    ) -> Iterator[None]:
        positions = self.text_positions(instruction) if recorder and self.info.records_attention else range(0)
        if recorder is None or not positions:
            yield
            return
        from editworld_core.joint_attention import watching_joint

        cell = 2 * self.pipeline.vae_scale_factor
        grid = image.height // cell, image.width // cell
        with watching_joint(recorder, self.pipeline.transformer, grid, positions, self.layers):
            yield

    def _arguments(self, image: Image.Image, instruction: str, settings: EditSettings) -> dict[str, Any]:
        """What edit and inpainting are told alike."""
        width, height = image.size
        if width % self.info.multiple or height % self.info.multiple:
            raise BadInputError(
                f"{self.info.id} edits multiples of {self.info.multiple} pixels, not {width}x{height}: resize it."
            )
        size = self._family.size(image.size)
        tokenizer = self._family.text(self.pipeline, "").tokenizer
        for text in (instruction, settings.negative):
            _refuse_control_tokens(tokenizer, text)
        scale = self.info.text_guidance if settings.text_guidance is None else settings.text_guidance
        return {"prompt": instruction} | size | self._family.guidance(self.pipeline, scale, settings.negative)

    def _run(
        self, pipeline: Any, settings: EditSettings, progress: Progress | None, **arguments: Any
    ) -> Image.Image:
        def step_done(pipe: Any, step: int, _: Any, kept: dict[str, Any]) -> dict[str, Any]:
            if progress:
                progress(step + 1, pipe.num_timesteps)
            return kept

        try:
            return pipeline(  # type: ignore[no-any-return]
                **arguments,
                num_inference_steps=self._steps(settings),
                generator=torch.Generator().manual_seed(settings.seed or 0),
                callback_on_step_end=step_done,
            ).images[0]
        except torch.OutOfMemoryError as error:
            raise EngineUnavailableError(
                f"There is not enough memory for an edit with {self.info.id}: close other programs, take the offload "
                "preset 'model' or 'sequential', or a smaller engine."
            ) from error
        finally:
            self.pipeline.maybe_free_model_hooks()  # what was interrupted is still on the device


def load_pipeline_engine(
    source: str, info: EngineInfo, place: Place, lora: str = "", lora_scale: float = 1.0
) -> PipelineEngine:
    """Load an editing pipeline of one of ``PIPELINE_CLASSES``.

    Args:
        source: a folder in diffusers format, or a hub id.
        info: what is known of it; steps, guidance and sizes are filled in from the weights' class and configuration.
        place: where it computes. A compiled transformer cannot be watched, so it records no attention.
        lora: LoRA weights to fuse in: a file, a folder or a hub id; empty for none.
        lora_scale: how much of them.

    Raises:
        EngineUnavailableError: weights are missing, damaged, or of another kind.
    """
    import diffusers
    import transformers

    from editworld_core.engines.lora import fuse_lora

    kind = read_index(source)["_class_name"]
    if kind not in FAMILIES:
        raise EngineUnavailableError(
            f"{source} holds a {kind}, which is another kind of model: name a {', '.join(PIPELINE_CLASSES)}."
        )
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    path = source if is_hub_id(source) else Path(source).expanduser()
    with loading(source):
        pipeline = getattr(diffusers, kind).from_pretrained(path, dtype=place.dtype, use_safetensors=True)
    if lora:
        fuse_lora(pipeline, source, lora, lora_scale)
    pipeline.set_progress_bar_config(disable=True)
    with loading(source):  # weights that the files lack show themselves here
        place.settle(pipeline)
    if place.compile:
        pipeline.transformer.compile_repeated_blocks()
    family = FAMILIES[kind]
    fast = family.text(pipeline, "").tokenizer.is_fast  # only these know where their tokens stand
    described = family.describe(pipeline) | {
        "records_attention": fast and not place.compile,
        "fast_steps": None,
    }
    return PipelineEngine(replace(info, native_size=1024, **described), pipeline)


def _at(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)


def _within(text: str, start: int, end: int) -> tuple[int, int]:
    """The part of a token's start and end that lies in ``text``, without the space that some tokens begin with."""
    start, end = max(start, 0), min(end, len(text))
    start += len(text[start:end]) - len(text[start:end].lstrip())
    return (start, end) if start < end else (0, 0)


def _refuse_control_tokens(tokenizer: Any, text: str) -> None:
    """Text is data: the tokens by which a language model is steered do not come from it."""
    control = [token for token in tokenizer.get_added_vocab() if token.startswith("<") and token in text]
    if control:
        raise BadInputError(f"The text contains {control[0]!r}, which steers the model itself: leave it out.")
