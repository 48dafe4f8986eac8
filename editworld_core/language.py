"""Language models that answer in JSON: what one is, and how its answers are checked.

A model is asked with chat messages and a JSON schema. What it answers is data from a stranger: it is parsed
leniently, checked strictly, and rejected with a reason that is told back to it, a few times at most. The think step
and the writing of data sets both ask through here. ``language_server`` has the client of a server, ``language_local``
a model on this machine.
"""

import base64
import io
import json
import logging
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from PIL import Image

from editworld_core.errors import EditWorldError

log = logging.getLogger(__name__)

Message = Mapping[str, Any]
"""``{"role": "system" | "user" | "assistant", "content": text or a list of parts}``, as in the OpenAI protocol."""

Schema = Mapping[str, Any]
"""A JSON schema of objects, arrays, strings, numbers, booleans and enumerations, with lengths and ``required``."""

Check = Callable[[dict[str, Any]], None]
"""Raises ValueError with the reason if an answer of the right form is not good enough."""

TRIES = 3
PICTURE_SIDE = 768  # pixels: what vision models look at anyway, and a tenth of a megabyte


@dataclass
class Counts:
    """How often a model was asked, and what became of the answers; ``reasons`` says why some were rejected."""

    asked: int = 0
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)


class LanguageModel(Protocol):
    """Something that answers chat messages with a JSON object."""

    @property
    def name(self) -> str:
        """Which model it is, for records and messages."""
        ...

    @property
    def source(self) -> Literal["server", "local"]:
        """Where it runs."""
        ...

    @property
    def counts(self) -> Counts:
        """What it was asked so far."""
        ...

    def complete(
        self,
        messages: Sequence[Message],
        schema: Schema,
        check: Check | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
    ) -> dict[str, Any]:
        """An answer that fits ``schema`` and passes ``check``.

        Args:
            messages: the talk so far, the last one from the user.
            schema: of the answer, an object.
            check: what else must hold.
            temperature: 0 takes the likeliest words; more draws them.
            seed: fixes the draw, where the model can.

        Raises:
            BadInputError: the model cannot be asked so.
            EngineUnavailableError: the weights of a local model are missing.
            EditWorldError: no answer, or none that fits after a few tries.
        """
        ...


def read_json(text: str) -> dict[str, Any]:
    """The first JSON object in ``text``, whatever stands around it: fences, greetings, a model's reasoning.

    >>> read_json('Sure! ```json\\n{"a": 1}\\n```')
    {'a': 1}

    Raises:
        ValueError: there is none.
    """
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
    decoder = json.JSONDecoder(strict=False)
    for brace in [match.start() for match in re.finditer(r"\{", text)][:64]:
        try:
            value, _ = decoder.raw_decode(text, brace)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            return value
    raise ValueError("there is no JSON object in it")


def fit(value: Any, schema: Schema, where: str = "the answer") -> Any:
    """``value`` as ``schema`` wants it.

    Unknown names are left out, space around texts is removed, control characters become spaces, and enumerated
    values are recognised whatever their case and punctuation. Everything else that differs is refused.

    Raises:
        ValueError: it does not fit; the text says where and why.
    """
    if "enum" in schema:
        spelled = {_letters(str(option)): option for option in schema["enum"]}
        if _letters(str(value)) not in spelled:
            raise ValueError(f"{where} must be one of {', '.join(map(str, schema['enum']))}")
        return spelled[_letters(str(value))]
    kind = schema.get("type", "object")
    if kind == "object":
        return _fit_object(value, schema, where)
    if kind == "array":
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list")
        _check_length(len(value), schema, "Items", where)
        return [fit(item, schema["items"], f"{where}[{place}]") for place, item in enumerate(value)]
    if kind == "string":
        if not isinstance(value, str):
            raise ValueError(f"{where} must be a text")
        text = clean(value)
        _check_length(len(text), schema, "Length", where)
        return text
    kinds: dict[str, type | tuple[type, ...]] = {"number": (int, float), "integer": int, "boolean": bool}
    if not isinstance(value, kinds[kind]) or (isinstance(value, bool) and kind != "boolean"):
        raise ValueError(f"{where} must be of type {kind}")
    return value


def _fit_object(value: Any, schema: Schema, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{where} must be an object")
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        raise ValueError(f"{where} has no {missing[0]!r}")
    return {name: fit(value[name], sub, name) for name, sub in schema["properties"].items() if name in value}


def _check_length(length: int, schema: Schema, unit: str, where: str) -> None:
    named = "items" if unit == "Items" else "characters"
    if length < schema.get(f"min{unit}", 0):
        raise ValueError(f"{where} needs at least {schema[f'min{unit}']} {named}, not {length}")
    if length > schema.get(f"max{unit}", length):
        raise ValueError(f"{where} may have at most {schema[f'max{unit}']} {named}, not {length}")


def _letters(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def clean(text: str) -> str:
    """``text`` on one line: control and invisible formatting characters become spaces, spaces are single."""
    visible = (" " if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp", "Co") else c for c in text)
    return " ".join("".join(visible).split())


def until_accepted(
    answer: Callable[[list[Message]], str],
    name: str,
    counts: Counts,
    messages: Sequence[Message],
    schema: Schema,
    check: Check | None,
    tries: int = TRIES,
) -> dict[str, Any]:
    """Ask with ``answer`` until what comes back fits, telling the model each time why it was rejected.

    Raises:
        EditWorldError: none of ``tries`` answers fits.
    """
    talk, reason = list(messages), ""
    for _ in range(tries):
        counts.asked += 1
        try:
            text = answer(talk)
        except EditWorldError:
            counts.failed += 1
            raise
        try:
            value: dict[str, Any] = fit(read_json(text), schema)
            if check is not None:
                check(value)
        except ValueError as error:
            reason = clean(str(error))[:200]
            counts.rejected += 1
            counts.reasons[reason] += 1
            log.info("an answer of %s was rejected: %s", name, reason)
            talk = [
                *messages,
                {"role": "assistant", "content": text[:2000] or "(nothing)"},
                {"role": "user", "content": f"Rejected: {reason}. Answer again, with the JSON object only."},
            ]
        else:
            counts.accepted += 1
            return value
    raise EditWorldError(
        f"The language model {name} gave no usable answer in {tries} tries (the last time, {reason}): "
        "try another model."
    )


def with_schema(messages: Sequence[Message], schema: Schema) -> list[Message]:
    """``messages`` with a system message that says which JSON object is wanted; any model understands that."""
    wish = f"Answer with one JSON object and nothing else. Its JSON schema: {json.dumps(dict(schema))}"
    first = messages[0] if messages else {"role": "user"}
    if first["role"] == "system":
        return [{"role": "system", "content": f"{first['content']}\n\n{wish}"}, *messages[1:]]
    return [{"role": "system", "content": wish}, *messages]


def picture_part(image: Image.Image, side: int = PICTURE_SIDE) -> dict[str, Any]:
    """The part of a message that shows ``image``: a JPEG in a data URL, at most ``side`` pixels a side."""
    small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=90)
    url = f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}
