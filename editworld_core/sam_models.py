"""SAM and SAM 2 behind one interface: encode a picture once, then ask about it many times.

Two packages do the arithmetic: ``segment_anything`` for checkpoints of the original release, and ``transformers`` for
folders and hub ids. Neither is changed; the masks are theirs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class Encoded:
    """A picture as the mask decoder sees it.

    Attributes:
        features: what the image encoder made of it; a Tensor, or SAM 2's list of them.
        size: (H, W) of the picture.
        inner: (h, w) of the picture inside the square that the encoder sees; the rest is padding.
    """

    features: Any
    size: tuple[int, int]
    inner: tuple[int, int]


class PromptedModel(Protocol):
    """A model that segments what it is pointed at."""

    @property
    def name(self) -> str:
        """What it is, for the user."""
        ...

    def encode(self, image: Image.Image) -> Encoded:
        """See the RGB ``image``; the slow part."""
        ...

    def decode(
        self,
        encoded: Encoded,
        points: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        several: bool,
    ) -> tuple[Tensor, Tensor]:
        """Masks for N prompts, each of P points or a box or both.

        Args:
            points: float32 [N, P, 2] as (x, y) in pixels of the encoder's square.
            labels: int [N, P], 1 for points inside and 0 for points outside.
            boxes: float32 [N, 4] as (left, top, right, bottom), in the same pixels.
            several: three masks a prompt (whole, part, part of a part), else one.

        Returns:
            Logits [N, M, h, w] on the decoder's coarse grid, and the IoU [N, M] that it predicts for each with the
            truth.
        """
        ...

    def enlarge(self, logits: Tensor, encoded: Encoded, size: tuple[int, int]) -> Tensor:
        """``logits`` [N, M, h, w] without the padding, on the grid ``size`` = (H, W)."""
        ...


@dataclass(frozen=True)
class OriginalSam:
    """A ``segment_anything.modeling.Sam``."""

    model: Any
    name: str

    @torch.inference_mode()
    def encode(self, image: Image.Image) -> Encoded:
        """See ``PromptedModel``."""
        from segment_anything.utils.transforms import ResizeLongestSide

        resized = ResizeLongestSide(self.model.image_encoder.img_size).apply_image(np.asarray(image))
        pixels = torch.as_tensor(resized, device=self.model.device).permute(2, 0, 1)[None]
        features = self.model.image_encoder(self.model.preprocess(pixels))
        return Encoded(features, (image.height, image.width), resized.shape[:2])

    @torch.inference_mode()
    def decode(
        self,
        encoded: Encoded,
        points: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        several: bool,
    ) -> tuple[Tensor, Tensor]:
        """See ``PromptedModel``."""
        device = self.model.device
        clicks = None if points is None or labels is None else (points.to(device), labels.to(device))
        corners = None if boxes is None else boxes.to(device)
        sparse, dense = self.model.prompt_encoder(points=clicks, boxes=corners, masks=None)
        logits, predicted = self.model.mask_decoder(
            image_embeddings=encoded.features,
            image_pe=self.model.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=several,
        )
        return logits, predicted

    def enlarge(self, logits: Tensor, encoded: Encoded, size: tuple[int, int]) -> Tensor:
        """See ``PromptedModel``."""
        masks: Tensor = self.model.postprocess_masks(logits, encoded.inner, size)
        return masks


@dataclass(frozen=True)
class TransformersSam:
    """A ``SamModel`` or ``Sam2Model`` of transformers with its processor."""

    model: Any
    processor: Any
    name: str

    @torch.inference_mode()
    def encode(self, image: Image.Image) -> Encoded:
        """See ``PromptedModel``."""
        seen = self.processor.image_processor(image, return_tensors="pt")
        pixels = seen["pixel_values"].to(self.model.device, self.model.dtype)
        inner = seen["reshaped_input_sizes"][0] if "reshaped_input_sizes" in seen else pixels.shape[-2:]
        features = self.model.get_image_embeddings(pixels)
        return Encoded(features, (image.height, image.width), (int(inner[0]), int(inner[1])))

    @torch.inference_mode()
    def decode(
        self,
        encoded: Encoded,
        points: Tensor | None,
        labels: Tensor | None,
        boxes: Tensor | None,
        several: bool,
    ) -> tuple[Tensor, Tensor]:
        """See ``PromptedModel``."""
        device = self.model.device
        given = {"input_points": points, "input_labels": labels, "input_boxes": boxes}
        prompts = {name: value[None].to(device) for name, value in given.items() if value is not None}
        found = self.model(image_embeddings=encoded.features, multimask_output=several, **prompts)
        return found.pred_masks[0], found.iou_scores[0]

    def enlarge(self, logits: Tensor, encoded: Encoded, size: tuple[int, int]) -> Tensor:
        """See ``PromptedModel``."""
        masks: Tensor = self.processor.post_process_masks(
            [logits],
            original_sizes=[list(size)],
            reshaped_input_sizes=[list(encoded.inner)],  # SAM 2 pads nothing and passes over it
            binarize=False,
        )[0]
        return masks


@dataclass(frozen=True)
class Prompts:
    """What a model is asked: N times P points, or N boxes, in pixels (x, y) of the picture.

    Attributes:
        points: float [N, P, 2], or None.
        labels: [N, P], 1 for points inside and 0 for points outside; None if all are inside.
        boxes: float [N, 4] as (left, top, right, bottom), or None.
    """

    points: NDArray[np.float64] | None = None
    labels: NDArray[np.int64] | None = None
    boxes: NDArray[np.float64] | None = None

    def scaled(self, encoded: Encoded) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Points, labels and boxes as ``PromptedModel.decode`` takes them."""
        scale = np.asarray(encoded.inner[::-1]) / np.asarray(encoded.size[::-1])
        if self.points is None:
            assert self.boxes is not None
            return None, None, torch.as_tensor(self.boxes * np.tile(scale, 2), dtype=torch.float32)
        labels = np.ones(self.points.shape[:2], np.int64) if self.labels is None else self.labels
        return torch.as_tensor(self.points * scale, dtype=torch.float32), torch.as_tensor(labels), None

    def split(self, count: int) -> Iterator["Prompts"]:
        """The same in parts of at most ``count``."""
        total = sum(len(values) for values in (self.points, self.boxes) if values is not None)
        for part in (slice(start, start + count) for start in range(0, total, count)):
            yield Prompts(
                None if self.points is None else self.points[part],
                None if self.labels is None else self.labels[part],
                None if self.boxes is None else self.boxes[part],
            )
