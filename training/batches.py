"""From a step's number to its batch: all chance comes from (seed, step), which makes runs resumable."""

import re
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from editworld_core.engines.pocket import MiniLMEncoder, SpaceToDepthCodec
from editworld_core.errors import BadInputError
from editworld_core.masks import content_words
from editworld_core.simulation.scatter import CELL
from editworld_core.simulation.world import get_dynamic
from training.config import TrainConfig
from training.data.order import NAMES_A_SIDE
from training.novelty import novelty
from training.objective import WINDOW, Batch
from training.pool import PairPool, luck_of
from training.unaffected import instruction_of_another, unknown_instruction


class Batches:
    """Batches of ``pool`` for the run of ``config``."""

    def __init__(
        self,
        pool: PairPool,
        config: TrainConfig,
        encoder: MiniLMEncoder,
        codec: SpaceToDepthCodec,
        train_timesteps: int,
    ) -> None:
        self.pool, self.config, self.encoder, self.codec = pool, config, encoder, codec
        self.train_timesteps = train_timesteps
        self.embed = lru_cache(maxsize=20_000)(self._embed)
        if unknown := set(config.data.hard) - set(pool.names):
            raise BadInputError(f"There are no pairs of {min(unknown)!r}: correct data.hard.")
        weights = np.where(np.isin(pool.names, config.data.hard), config.data.hard_times, 1.0)
        self._chances = weights / weights.sum()

    def __call__(self, step: int) -> Batch:
        """The batch of ``step``, 0-based."""
        rng = np.random.default_rng([self.config.seed, step])
        count = self.config.optimizer.batch_size
        rows = np.sort(rng.choice(len(self.pool), count, replace=False, p=self._chances))
        texts = [self.pool.phrasings[row][rng.integers(len(self.pool.phrasings[row]))] for row in rows]
        flips = [
            self.config.data.horizontal_flip
            and rng.random() < 0.5
            and not NAMES_A_SIDE.search(text)
            and not get_dynamic(self.pool.names[row]).photo  # whose moon and sun have their side
            for row, text in zip(rows, texts, strict=True)
        ]
        source, target, mask = (self._pictures(rows, flips, part) for part in ("before", "after", "masks"))
        for index in np.flatnonzero(rng.random(count) < self.config.data.unaffected):
            texts[index] = self._instruction_without_effect(rows[index], rng)
            target[index], mask[index] = source[index], 0
        keep_text, keep_image = self._dropout(rng, count)
        context, pooled, content = (torch.stack(parts) for parts in zip(*map(self.embed, texts), strict=True))
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        noise = torch.randn(source.shape, generator=generator)
        return Batch(
            source=source,
            target=target,
            mask=mask,
            context=context * keep_text[:, None, None],
            pooled=pooled * keep_text[:, None],
            content=content * keep_text[:, None],
            keep_image=keep_image[:, None, None, None],
            timesteps=self._timesteps(rng, count),
            weight=1 + self.config.loss.novel * novelty(source, target),
            noise=self.codec.encode(with_luck(noise, self._luck(rows, flips))),
            window=torch.tensor([window_around(each, rng) for each in mask[:, 0].numpy()]),
        )

    def _luck(self, rows: np.ndarray, flips: list[bool]) -> Tensor:
        """What was left to chance in the pairs of ``rows``, [B, S / 4, S / 4]."""
        fields = [luck_of(self.config.data, row) for row in rows]
        return torch.from_numpy(
            np.stack([f[:, ::-1] if flip else f for f, flip in zip(fields, flips, strict=True)])
        )

    def _instruction_without_effect(self, row: int, rng: np.random.Generator) -> str:
        if rng.random() < 0.5:
            return unknown_instruction(rng)
        return instruction_of_another(row, self.pool.names, self.pool.phrasings, _is_local, rng)

    def _pictures(self, rows: np.ndarray, flips: list[bool], part: str) -> Tensor:
        stack = np.asarray(getattr(self.pool, part)[rows])
        if part == "masks":
            stack = np.unpackbits(stack, axis=-1)[..., None]
        flipped = [picture[:, ::-1] if flip else picture for picture, flip in zip(stack, flips, strict=True)]
        pixels = torch.from_numpy(np.ascontiguousarray(np.stack(flipped).transpose(0, 3, 1, 2))).float()
        return pixels if part == "masks" else pixels / 127.5 - 1

    def _dropout(self, rng: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Which items keep their text and which their picture: 1 or 0 each, [B]."""
        chosen = self.config.optimizer
        draw = rng.random(count)
        edges = np.cumsum([chosen.drop_text, chosen.drop_image, chosen.drop_both])
        no_text = (draw < edges[0]) | ((draw >= edges[1]) & (draw < edges[2]))
        no_image = (draw >= edges[0]) & (draw < edges[2])
        return torch.from_numpy(~no_text).float(), torch.from_numpy(~no_image).float()

    def _timesteps(self, rng: np.random.Generator, count: int) -> Tensor:
        """Evenly spread noise levels, a share of them at pure noise, where every sampling begins."""
        levels = rng.integers(self.train_timesteps, size=count)
        levels[rng.random(count) < self.config.loss.pure_noise] = self.train_timesteps - 1
        return torch.from_numpy(levels)

    def _embed(self, text: str) -> tuple[Tensor, Tensor, Tensor]:
        told = self.encoder.encode([text])
        wanted = content_words(re.findall(r"[\w'-]+", text))
        content = torch.zeros(self.encoder.length)
        for position, (start, end) in enumerate(self.encoder.offsets(text)):
            word = next((w for w in re.finditer(r"[\w'-]+", text) if w.start() <= start < w.end()), None)
            content[position] = float(end > start and word is not None and word.group() in wanted)
        return told.context[0], told.added["class_labels"][0], content


def with_luck(noise: Tensor, luck: Tensor) -> Tensor:
    """``noise`` [B, 3, H, W] whose means over cells of four by four pixels are ``luck`` [B, H / 4, W / 4].

    If both are standard normal, so is what comes of them: ``luck`` takes the place of a cell's mean, which is as normal
    and independent of the rest.
    """
    means = F.avg_pool2d(noise.mean(1, keepdim=True), CELL)
    wanted = luck[:, None] / (3 * CELL**2) ** 0.5
    return noise + F.interpolate(wanted - means, scale_factor=CELL, mode="nearest")


def window_around(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int]:
    """Top and left of a window of ``WINDOW`` pixels inside the picture that holds a random pixel of ``mask`` [H, W], or
    any pixel if it is empty."""
    inside = np.flatnonzero(mask)
    pixel = rng.choice(inside) if len(inside) else rng.integers(mask.size)
    corner = np.array(np.unravel_index(pixel, mask.shape)) - WINDOW // 2
    top, left = np.clip(corner, 0, np.maximum(np.array(mask.shape) - WINDOW, 0))
    return int(top), int(left)


def _is_local(dynamic: str) -> bool:
    return get_dynamic(dynamic).local
