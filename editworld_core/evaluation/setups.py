"""Setups from a command line: engines, and settings in words such as ``exact: speed=exact, steps=100``."""

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from editworld_core.errors import BadInputError
from editworld_core.evaluation.record import Setup
from editworld_core.settings import EditSettings, check_settings

NAMES = tuple(field.name for field in fields(EditSettings))
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False, "none": None}


def make_setups(base: EditSettings, engines: Sequence[str], settings: Sequence[str]) -> list[Setup]:
    """One setup for each engine, and one for each text of ``settings``, which changes that of the first engine.

    An engine's label is its id, or the name of its folder.

    Raises:
        BadInputError: a text is not understood, a value cannot be, or two setups have one label.
    """
    short = [_short(engine) for engine in engines]
    names = short if len(set(short)) == len(short) else engines
    setups = [
        Setup(name, check_settings(replace(base, engine=engine)))
        for name, engine in zip(names, engines, strict=True)
    ]
    setups += [read_setup(text, setups[0].settings) for text in settings]
    labels = [setup.label for setup in setups]
    for label in labels:
        if labels.count(label) > 1:
            raise BadInputError(
                f"Two setups are called {label!r}; give each engine once and each setting its label."
            )
    return setups


def _short(engine: str) -> str:
    path = Path(engine).expanduser()
    return path.resolve().name if path.exists() else engine


def read_setup(text: str, base: EditSettings) -> Setup:
    """``base`` with the changes that ``text`` names.

    >>> read_setup("sharp: steps=4, post_edit=off", EditSettings()).settings.steps
    4

    Raises:
        BadInputError: ``text`` is not understood, or a value cannot be.
    """
    label, colon, changes = text.partition(":")
    label = " ".join(label.split())
    if not colon or not label:
        raise BadInputError(
            f"The setting {text!r} has no label: write it as 'label: name=value, name=value'."
        )
    found: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in changes.split(","))):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or name not in NAMES:
            raise BadInputError(f"There is no setting {name!r} in {text!r}: choose {', '.join(NAMES)}.")
        found[name] = _value(name, value)
    if not found:
        raise BadInputError(
            f"The setting {text!r} changes nothing: write it as 'label: name=value, name=value'."
        )
    return Setup(label, check_settings(replace(base, **found)))


def _value(name: str, text: str) -> Any:
    """The value that ``text`` means; its kind is checked with the settings."""
    if name == "keywords":
        return tuple(text.split())
    default = getattr(EditSettings(), name)
    if isinstance(default, str):
        return text
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    if re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text
