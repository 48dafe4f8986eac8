"""A triplet on its way through the measures: its files are read once, and hashed to know what has been measured."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from editworld_core.datagen.pair_records import keyword_mask_path
from editworld_core.datagen.records import load_images
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError
from editworld_core.masks import Mask


@dataclass(frozen=True)
class Pictures:
    """Original and target (RGB, of one size), and the mask ``bool [H, W]`` on their pixels if there is one."""

    original: Image.Image
    target: Image.Image
    mask: Mask | None


class Item:
    """A triplet as its reviewers left it, in the data set ``folder``."""

    def __init__(self, folder: Path, triplet: Triplet) -> None:
        self.folder = folder
        self.triplet = triplet

    @cached_property
    def mask_path(self) -> str | None:
        """Of the true mask, or of the keyword mask, where a pair of the text-to-image branch is meant to differ."""
        if self.triplet.mask is None and self.triplet.branch == "text_to_image":
            path = keyword_mask_path(self.triplet.id)
            return path if (self.folder / path).exists() else None
        return self.triplet.mask

    @cached_property
    def pictures(self) -> Pictures | None:
        """The pictures; None if a file cannot be read, or the mask is not of their size. A target of another size is
        brought to the original's."""
        try:
            original, target, found = load_images(self.folder, replace(self.triplet, mask=self.mask_path))
        except BadInputError:
            return None
        if target.size != original.size:
            target = target.resize(original.size, Image.Resampling.LANCZOS)
        if found is None:
            return Pictures(original, target, None)
        return Pictures(original, target, np.asarray(found) > 127) if found.size == original.size else None

    @cached_property
    def picture_content(self) -> str:
        """The hash of the picture files; a missing one has a hash too."""
        paths = (self.triplet.original_image, self.triplet.target_image, self.mask_path)
        return _hash(*(b"" if path is None else _read(self.folder / path) for path in paths))

    @cached_property
    def text_content(self) -> str:
        """The hash of the texts and keywords."""
        one = self.triplet
        texts = [one.instruction, one.original_caption, one.target_caption, *one.keywords]
        return _hash(json.dumps(texts).encode())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b"missing"


def _hash(*contents: bytes) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for content in contents:
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()
