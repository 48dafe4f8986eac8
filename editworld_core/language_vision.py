"""A vision-language model on this machine: shown pictures, it answers by schema, whatever it is.

The frame of the JSON is written for it. It fills in texts by free generation up to the closing quotation mark, and
chooses among the values of an enumeration by their likelihood, so that a small model answers in form as well.
"""

import base64
import io
import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

from PIL import Image

from editworld_core.engines.hub import loading
from editworld_core.errors import BadInputError
from editworld_core.language import (
    TRIES,
    Check,
    Counts,
    Message,
    Schema,
    clean,
    until_accepted,
    with_schema,
)

if TYPE_CHECKING:
    import torch

LONGEST_TEXT = 400  # characters


class LocalVisionModel:
    """A model of transformers' image-text-to-text classes (SmolVLM, Qwen-VL, LLaVA …): a folder or a hub id."""

    source: Literal["local"] = "local"

    def __init__(self, name: str, device: str | None = None, tries: int = TRIES) -> None:
        """
        Args:
            name: folder or hub id; reports call a folder by its name alone.
            device: of torch; None takes the best there is.
            tries: how often to ask at most.
        """
        folder = Path(name).expanduser()
        self.name = folder.resolve().name if folder.is_dir() else name
        self._where = str(folder) if folder.is_dir() else name
        self._device, self._tries, self._busy = device, tries, Lock()
        self.counts = Counts()

    @cached_property
    def parts(self) -> tuple[Any, Any]:
        """Processor and model, loaded when first needed.

        Raises:
            EngineUnavailableError: they are missing or damaged, or it is another kind of model.
        """
        import torch
        from transformers import AutoModelForImageTextToText, AutoProcessor

        from editworld_core.engines.place import best_place

        device = self._device or best_place().device
        dtype = torch.float32 if device == "cpu" else torch.bfloat16
        with loading(self._where):
            processor = AutoProcessor.from_pretrained(self._where)
            model = AutoModelForImageTextToText.from_pretrained(self._where, dtype=dtype)
        return processor, model.eval().requires_grad_(False).to(device)

    def complete(
        self,
        messages: Sequence[Message],
        schema: Schema,
        check: Check | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """See ``LanguageModel.complete``; the schema is an object of texts, enumerations and booleans.

        Raises:
            BadInputError: the schema has other kinds of values.
        """
        import torch

        def answer(talk: list[Message]) -> str:
            with torch.random.fork_rng(), torch.inference_mode():
                torch.manual_seed(0 if seed is None else seed)
                writer = _Writer(*self.parts, _seen(talk), temperature)
                return json.dumps(writer.fill(schema), ensure_ascii=False)

        with self._busy:
            return until_accepted(
                answer, self.name, self.counts, with_schema(messages, schema), schema, check, self._tries
            )


class _Writer:
    """Writes one answer after one talk."""

    def __init__(self, processor: Any, model: Any, talk: list[dict[str, Any]], temperature: float) -> None:
        self._model, self._tokenizer, self._temperature = model, processor.tokenizer, temperature
        inputs = processor.apply_chat_template(
            talk, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
        self._inputs = {
            name: value.to(model.device, model.dtype) if value.is_floating_point() else value.to(model.device)
            for name, value in inputs.items()
        }

    def fill(self, schema: Schema) -> dict[str, Any]:
        """An object with the properties of ``schema``."""
        value: dict[str, Any] = {}
        text = "{"
        for name, sub in schema["properties"].items():
            text += f'{", " if value else ""}"{name}": '
            if "enum" in sub or sub.get("type") == "boolean":
                value[name] = self._choose(text, sub.get("enum", [True, False]))
            elif sub.get("type") == "string":
                value[name] = self._write(f'{text}"', sub.get("maxLength", LONGEST_TEXT))
            else:
                raise BadInputError(
                    f"A local vision-language model cannot fill in {name!r}: ask for texts and enumerations."
                )
            text += json.dumps(value[name], ensure_ascii=False)
        return value

    def _write(self, text: str, longest: int) -> str:
        inputs = self._after(self._ids(text))
        start = inputs["input_ids"].shape[1]
        sampled = {"do_sample": True, "temperature": self._temperature} if self._temperature > 0 else {}
        out = self._model.generate(
            **inputs,
            max_new_tokens=max(1, longest // 3),  # a token rarely is shorter
            stop_strings=['"', "\n"],
            tokenizer=self._tokenizer,
            **(sampled or {"do_sample": False}),
        )
        written = self._tokenizer.decode(out[0, start:], skip_special_tokens=True)
        said = written.partition('"')[0].partition("\n")[0].replace("\N{REPLACEMENT CHARACTER}", "")
        return clean(said.replace("\\", ""))[:longest]

    def _choose(self, text: str, options: Sequence[Any]) -> Any:
        """The likeliest of ``options``, by the log-probability of its tokens."""
        spelled = [json.dumps(option, ensure_ascii=False) for option in options]
        before = self._ids(text)
        likely = [self._likelihood(before, self._ids(text + option)) for option in spelled]
        return options[max(range(len(options)), key=likely.__getitem__)]

    def _likelihood(self, before: list[int], ids: list[int]) -> float:
        import torch

        shared = next(
            (place for place, pair in enumerate(zip(before, ids, strict=False)) if pair[0] != pair[1]),
            min(len(before), len(ids)),
        )
        chosen = torch.tensor(ids[shared:], device=self._model.device)
        logits = self._model(**self._after(ids)).logits[0, -len(chosen) - 1 : -1].float()
        return float(logits.log_softmax(-1).gather(1, chosen[:, None]).sum())

    def _after(self, ids: list[int]) -> "dict[str, torch.Tensor]":
        """The talk with ``ids`` behind it, in everything that has a place for each token."""
        import torch

        talk = self._inputs["input_ids"]
        more = torch.tensor([ids], device=talk.device)
        values = {"input_ids": more, "attention_mask": torch.ones_like(more)}
        return {
            name: torch.cat([value, values.get(name, torch.zeros_like(more)).to(value.dtype)], 1)
            if value.shape == talk.shape
            else value
            for name, value in self._inputs.items()
        }

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _seen(talk: Sequence[Message]) -> list[dict[str, Any]]:
    """The talk as processors of transformers take it, pictures decoded."""
    return [{"role": message["role"], "content": _parts(message["content"])} for message in talk]


def _parts(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [
        {"type": "image", "image": _decoded(part["image_url"]["url"])}
        if part["type"] == "image_url"
        else part
        for part in content
    ]


def _decoded(url: str) -> Image.Image:
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return image.convert("RGB")
