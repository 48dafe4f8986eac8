"""Edits of the held-out worlds, made once: on disk, so that no table and no later call makes them again."""

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.datagen.records import write_file
from editworld_core.engines.protocol import Token
from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.evaluation.identity import identity_of
from editworld_core.settings import EditSettings
from editworld_core.simulation.held_out import held_out_pair, held_out_scenes

if TYPE_CHECKING:
    from editworld_core.attention import AttentionMaps
    from editworld_core.editor import EditResult, WorldEditor
    from editworld_core.simulation.world import SimulatedPair

Scene = tuple[str, int]
"""A dynamic and a seed."""


@dataclass(frozen=True)
class Edit:
    """What an engine made of a scene, without post-edit.

    Attributes:
        original, edited: RGB, of one size.
        told: what the engine was told.
        words: of it, with their context positions.
        attention: what the recorder saw, or None.
        seconds: of the edit alone.
    """

    original: Image.Image
    edited: Image.Image
    told: str
    words: tuple[Token, ...]
    attention: "AttentionMaps | None"
    seconds: float


@lru_cache(maxsize=64)
def pair_of(scene: Scene) -> "SimulatedPair":
    """The held-out pair of a scene."""
    return held_out_pair(*scene)


class Edits:
    """The scenes of one call, and their edits by one engine, kept in a folder."""

    def __init__(
        self,
        editor: "WorldEditor",
        folder: Path,
        engine: str,
        *,
        names: Sequence[str] | None = None,
        scenes: int = 2,
        seed: int = 0,
    ) -> None:
        """``scenes`` of each of the dynamics ``names`` (None for all) are edited by ``engine`` with ``seed``.

        Raises:
            BadInputError: a name is unknown.
        """
        self.editor, self.folder = editor, folder
        self.settings = EditSettings(engine=engine, seed=seed, post_edit=False)
        self.weights: str = identity_of(self.settings)["engine"]
        try:
            self.scenes: list[Scene] = list(held_out_scenes(names, scenes))
        except ValueError as error:
            raise BadInputError(str(error)) from error
        self.by_default: dict[Scene, dict[str, Any]] = {}
        self.setup = {
            "engine": engine,
            "weights": self.weights,
            "scenes": scenes,
            "dynamics": sorted({name for name, _ in self.scenes}),
            "seed": seed,
        }

    @property
    def engine(self) -> Any:
        """The engine itself."""
        return self.editor.engine(self.settings.engine)

    def get(self, scene: Scene, told: str = "", **changes: Any) -> Edit:
        """The edit of ``scene``, made or read.

        Args:
            told: what the engine is told; empty for the scene's own instruction.
            changes: settings that differ from the engine's defaults.
        """
        pair = pair_of(scene)
        settings, told = replace(self.settings, **changes), told or pair.instruction
        path = self.folder / f"{self._key(pair, told, settings)}.npz"
        if path.exists():
            return _read(path, Image.fromarray(pair.before), told)
        edit = _taken(self.editor.edit(Image.fromarray(pair.before), told, settings))
        write_file(path, _packed(edit))
        return edit

    def _key(self, pair: "SimulatedPair", told: str, settings: EditSettings) -> str:
        chosen = [getattr(settings, name) for name in _DECIDES]
        before = hashlib.sha256(pair.before.tobytes()).hexdigest()
        return hashlib.sha256(json.dumps([self.weights, before, told, chosen]).encode()).hexdigest()[:24]


_DECIDES = ("engine", "speed", "steps", "text_guidance", "image_guidance", "seed")


def _taken(result: "EditResult") -> Edit:
    return Edit(
        original=result.original,
        edited=result.edited,
        told=result.instruction,
        words=result.words,
        attention=result.attention,
        seconds=result.timings["edit"],
    )


def _packed(edit: Edit) -> bytes:
    about = {"seconds": edit.seconds, "words": [[token.word, *token.positions] for token in edit.words]}
    layers: Mapping[str, Any] = edit.attention.layers if edit.attention else {}
    out = io.BytesIO()
    np.savez(
        out,
        edited=np.asarray(edit.edited),
        about=np.array(json.dumps(about)),
        **{f"/{k}": v for k, v in layers.items()},
    )
    return out.getvalue()


def _read(path: Path, original: Image.Image, told: str) -> Edit:
    from editworld_core.attention import AttentionMaps

    try:
        with np.load(path) as kept:
            about = json.loads(str(kept["about"]))
            layers: dict[str, NDArray[np.float32]] = {k[1:]: kept[k] for k in kept.files if k.startswith("/")}
            edited = Image.fromarray(kept["edited"])
    except (ValueError, KeyError, EOFError, OSError) as error:
        raise EditWorldError(f"{path} is damaged: delete it and run the command again.") from error
    words = tuple(Token(word, tuple(positions)) for word, *positions in about["words"])
    return Edit(original, edited, told, words, AttentionMaps(layers) if layers else None, about["seconds"])
