"""Latents from seeds, for runs that are about training and not about data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.config import build
from training.data.order import Draw
from training.finetune.config import FinetuneConfig


def finetune_config(base: Path, **more: Any) -> FinetuneConfig:
    """Six steps of a batch of 4 on ``base``; ``more`` are parts of the configuration."""
    values: dict[str, Any] = {
        "precision": "fp32",
        "model": {"base": str(base)},
        "data": {"dataset": "none", "use_masks": True},
        "optimizer": {"steps": 6, "batch_size": 4, "micro_batch_size": 4, "learning_rate": 1e-3},
    }
    for name, part in more.items():
        values[name] = values.get(name, {}) | part if isinstance(part, dict) else part
    return build(FinetuneConfig, values)


class TinySamples:
    """See ``training.data``: 10 pairs of 8x8 latents, of which every third picture and every fourth text is dropped."""

    def __init__(self, batch_size: int, xl: bool = False) -> None:
        self.batch_size, self.xl = batch_size, xl

    def __len__(self) -> int:
        return 10

    def draw(self, step: int) -> list[Draw]:
        numbers = range(step * self.batch_size, (step + 1) * self.batch_size)
        return [Draw(n % 10, False, n % 4 != 1, n % 3 != 1, 1000 + n) for n in numbers]

    def load(self, draws: Sequence[Draw]) -> Any:
        from training.data.samples import LatentBatch

        width = 64 if self.xl else 32
        items = [self._item(draw.row, width) for draw in draws]
        kept = torch.tensor([float(draw.keep_text) for draw in draws]).view(-1, 1, 1)
        return LatentBatch(
            target_mean=torch.stack([item[0] for item in items]),
            target_std=torch.stack([item[1].abs() for item in items]),
            source=torch.stack([item[2] for item in items]),
            mask=torch.stack([(item[3][:1] > 0).float() for item in items]),
            context=torch.stack([item[4] for item in items]) * kept,
            added={
                "text_embeds": torch.stack([item[5] for item in items]),
                "time_ids": torch.tensor([[64.0, 64, 0, 0, 64, 64]] * len(draws)),
            }
            if self.xl
            else {},
            draws=tuple(draws),
        )

    @staticmethod
    def _item(row: int, width: int) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(row)
        latents = [torch.randn(4, 8, 8, generator=generator) for _ in range(4)]
        return [*latents, torch.randn(7, width, generator=generator), torch.randn(32, generator=generator)]
