"""The batches of a fine-tuning run: latents, masks and text embeddings, read or made for the draws of a step."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from editworld_core.engines.hub import is_hub_id
from editworld_core.engines.place import Place
from editworld_core.errors import BadInputError
from training.data.order import Chances, Draw, Order, names_a_side
from training.data.parts import NOTHING, FrozenParts, Words, find_parts
from training.data.pictures import read_mask, read_pixels
from training.data.precomputed import Precomputed, Which, read_precomputed
from training.data.rows import Row, Size, fingerprint, read_rows
from training.data.settings import DataSettings

__all__ = ["Draw", "ImageSamples", "LatentBatch", "LatentSamples", "Samples", "open_samples"]

READERS = 4  # threads that decode pictures


@dataclass(frozen=True)
class LatentBatch:
    """What a model is shown; tensors are on the CPU, in the number format of the autoencoder and the text encoder.

    Attributes:
        target_mean, target_std: [B, C, h, w], of the autoencoder's posterior of the picture after, not scaled.
        source: [B, C, h, w], the posterior's mode of the picture before, not scaled, and not yet dropped.
        mask: [B, 1, h, w] in 0..1, the share of each cell in which the pair truly differs, one where nobody knows;
            None if it was not asked for.
        context: [B, L, D], text embeddings: of nothing where the text is dropped.
        added: of SDXL, ``text_embeds`` [B, P] and ``time_ids`` [B, 6]; otherwise empty.
        draws: which items these are.
    """

    target_mean: Tensor
    target_std: Tensor
    source: Tensor
    mask: Tensor | None
    context: Tensor
    added: dict[str, Tensor]
    draws: tuple[Draw, ...]


class Samples(Protocol):
    """A data set, as a run sees it."""

    def __len__(self) -> int:
        """How many triplets there are."""
        ...

    def draw(self, step: int) -> list[Draw]:
        """The global batch of ``step``, 0-based; all its pictures have one size."""
        ...

    def load(self, draws: Sequence[Draw]) -> LatentBatch:
        """What these items are, in their order."""
        ...


class ImageSamples:
    """Encodes pictures and texts each time, with parts of the model that stay in memory."""

    def __init__(
        self,
        dataset: Path,
        rows: Sequence[Row],
        parts: FrozenParts,
        settings: DataSettings,
        batch_size: int,
        seed: int,
    ) -> None:
        self.draw = _order(rows, settings, batch_size, seed).draw
        self._dataset, self._rows, self._parts = dataset, rows, parts
        self._masks = settings.use_masks
        self._readers = ThreadPoolExecutor(READERS)
        self._embed = lru_cache(maxsize=512)(lambda text: parts.embed([text])[0])

    def __len__(self) -> int:
        return len(self._rows)

    def load(self, draws: Sequence[Draw]) -> LatentBatch:
        """See ``Samples``."""
        rows = [self._rows[draw.row] for draw in draws]
        target_mean, target_std = self._parts.moments(self._pixels([row.target for row in rows], draws))
        source, _ = self._parts.moments(self._pixels([row.original for row in rows], draws))
        masks = None
        if self._masks:
            masks = [self._mask(row, target_mean.shape[2:]) for row in rows]
        texts = [
            row.instruction if draw.keep_text else NOTHING for row, draw in zip(rows, draws, strict=True)
        ]
        words = [self._embed(text) for text in texts]
        return _batch(draws, rows[0].size, target_mean, target_std, source, masks, words)

    def _pixels(self, names: Sequence[str], draws: Sequence[Draw]) -> Tensor:
        paths = [self._dataset / name for name in names]
        sizes, flips = [self._rows[draw.row].size for draw in draws], [draw.flip for draw in draws]
        return torch.stack(list(self._readers.map(read_pixels, paths, sizes, flips)))

    def _mask(self, row: Row, cells: Sequence[int]) -> Tensor:
        if row.mask is None:
            return torch.ones(1, *cells, dtype=torch.float16)
        return read_mask(self._dataset / row.mask, row.size, row.size[0] // cells[1])


class LatentSamples:
    """Reads what ``training.precompute`` made; needs neither autoencoder nor text encoder."""

    def __init__(self, precomputed: Precomputed, settings: DataSettings, batch_size: int, seed: int) -> None:
        self.draw = _order(precomputed.rows, settings, batch_size, seed).draw
        self._from, self._masks = precomputed, settings.use_masks

    def __len__(self) -> int:
        return len(self._from.rows)

    def load(self, draws: Sequence[Draw]) -> LatentBatch:
        """See ``Samples``."""
        latents, rows = self._from, [self._from.rows[draw.row] for draw in draws]

        def pictures(which: Which, what: str) -> Tensor:
            return torch.stack([latents.picture(draw.row, which, what, draw.flip) for draw in draws])

        target_mean, target_std = pictures("target", "mean"), pictures("target", "std")
        masks = None
        if self._masks:
            whole = torch.ones(1, *target_mean.shape[2:], dtype=torch.float16)
            masks = [
                whole if row.mask is None else latents.mask(draw.row)
                for row, draw in zip(rows, draws, strict=True)
            ]
        words = [latents.words(draw.row if draw.keep_text else None) for draw in draws]
        return _batch(
            draws, rows[0].size, target_mean, target_std, pictures("original", "mean"), masks, words
        )


def _order(rows: Sequence[Row], settings: DataSettings, batch_size: int, seed: int) -> Order:
    if settings.use_masks and not any(row.mask for row in rows):
        raise BadInputError(f"{settings.dataset} has no masks: set data.use_masks to false, or take another.")
    flip = 0.5 if settings.horizontal_flip else 0.0
    chances = Chances(flip, settings.drop_text, settings.drop_image, settings.drop_both)
    may_flip = [not names_a_side(row.instruction) for row in rows]
    return Order([row.size for row in rows], may_flip, chances, batch_size, seed)


def _batch(
    draws: Sequence[Draw],
    size: Size,
    target_mean: Tensor,
    target_std: Tensor,
    source: Tensor,
    masks: Sequence[Tensor] | None,
    words: Sequence[Words],
) -> LatentBatch:
    context, *pooled = (torch.stack(parts) for parts in zip(*words, strict=True))
    added = {}
    if pooled:
        width, height = size
        time_ids = torch.tensor([[height, width, 0, 0, height, width]], dtype=torch.float32)
        added = {"text_embeds": pooled[0], "time_ids": time_ids.repeat(len(draws), 1)}
    mask = None
    if masks is not None:
        mask = torch.stack(
            [mask.flip(-1) if draw.flip else mask for mask, draw in zip(masks, draws, strict=True)]
        )
    return LatentBatch(target_mean, target_std, source, mask, context, added, tuple(draws))


def open_samples(
    settings: DataSettings, model: str, place: Place, batch_size: int, seed: int
) -> "ImageSamples | LatentSamples":
    """The samples of a run, precomputed or not.

    Args:
        model: folder in diffusers format or hub id, of which autoencoder and text encoders are taken; if the samples
            are precomputed, these need not be there.
        place: where they compute.
        batch_size: items of a step, on all devices together.
        seed: of the run.

    Raises:
        BadInputError: the data set or the precomputed folder cannot be used so.
        EngineUnavailableError: a part of the model is missing.
    """
    if settings.precomputed is not None:
        precomputed = read_precomputed(settings.precomputed)
        _check_settings(precomputed, settings, model)
        return LatentSamples(precomputed, settings, batch_size, seed)
    folder = find_parts(model)
    rows = read_rows(
        settings.dataset,
        settings.resolution,
        folder.multiple,
        settings.aspect_buckets,
        settings.accepted_only,
    )
    return ImageSamples(settings.dataset, rows, folder.load(place), settings, batch_size, seed)


def _check_settings(precomputed: Precomputed, settings: DataSettings, model: str) -> None:
    """Refuse to train on something else than the settings say."""
    folder, made = settings.precomputed, precomputed.about
    for name in ("resolution", "aspect_buckets", "accepted_only"):
        if made[name] != getattr(settings, name):
            raise BadInputError(
                f"{folder} was made with {name} {made[name]}: set data.{name} to it, or run training.precompute again."
            )
    if settings.horizontal_flip and not made["flips"]:
        raise BadInputError(
            f"{folder} has no mirrored pictures: set data.horizontal_flip to false, or run training.precompute without "
            "--no-flip."
        )
    if settings.dataset.exists() and fingerprint(settings.dataset) != made["fingerprint"]:
        raise BadInputError(
            f"{folder} was not made from what {settings.dataset} holds now: run training.precompute again, "
            "which makes only what is new."
        )
    if not _same_parts(made, model):
        raise BadInputError(
            f"{folder} was made with other parts than those of {model}: run training.precompute with --model {model}."
        )


def _same_parts(made: dict[str, object], model: str) -> bool:
    """Whether the parts are the same; those that are not on this machine cannot differ."""
    if is_hub_id(model):
        return made["model"] == model
    parts = find_parts(model)
    return all(
        here in (None, there)
        for here, there in (
            (parts.vae_revision, made["vae_revision"]),
            (parts.text_revision, made["text_revision"]),
        )
    )
