"""Features that see whether two frames show the same things: AlexNet, which is always there, or a better network."""

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from editworld_core.datagen.frame_pairs import Features, Frames, Scores

if TYPE_CHECKING:
    import torch

CELLS = 8  # features of AlexNet are averaged in so many cells a side
BATCH = 8
ALEXNET = "st-lpips-alexnet"


def load_features(name: str | None = None) -> tuple[str, Features]:
    """The features called ``name``, and what records call them.

    Args:
        name: folder or hub id of a vision model of transformers, such as CLIP or DINOv2; None takes AlexNet.

    Raises:
        EngineUnavailableError: the weights are missing or damaged.
    """
    return (ALEXNET, alexnet_features) if name is None else (name, VisionModel(name))


def alexnet_features(frames: Frames) -> Scores:
    """The third layer of the shift-tolerant AlexNet of ``metrics``, cell by cell.

    Of its five layers the third tells simulated events best from other scenes.

    Args:
        frames: uint8 [n, h, w, 3] RGB.

    Returns:
        Unit vectors float32 [n, CELLS * CELLS * 384]; their dot product is the mean cosine of the cells.

    Raises:
        EditWorldError: the package with the weights is missing.
    """
    import torch
    from torch.nn import functional as F

    from editworld_core.metrics import shift_tolerant_alexnet, st_lpips_weights

    weights, vectors = st_lpips_weights(), []
    with torch.inference_mode():
        for start in range(0, len(frames), BATCH):
            pictures = torch.from_numpy(frames[start : start + BATCH]).permute(0, 3, 1, 2) / 127.5 - 1
            cells = F.adaptive_avg_pool2d(shift_tolerant_alexnet(pictures, weights)[2], CELLS)
            vectors.append(F.normalize(cells, dim=1).flatten(1) / CELLS)
    return torch.cat(vectors).numpy()


class VisionModel:
    """The embedding of a frame by a vision model of transformers: a folder or a hub id."""

    def __init__(self, name: str, dtype: "torch.dtype | None" = None) -> None:
        """
        Args:
            name: folder or hub id.
            dtype: of the weights; None takes the fastest that is safe here.

        Raises:
            EngineUnavailableError: the weights are missing or damaged.
        """
        from transformers import AutoImageProcessor, AutoModel

        from editworld_core.engines.hub import loading
        from editworld_core.engines.place import best_place

        place = best_place()
        self._dtype = dtype or place.dtype
        with loading(name):
            self._processor = AutoImageProcessor.from_pretrained(name)
            model = AutoModel.from_pretrained(name, dtype=self._dtype)
        self._model: Any = model.eval().requires_grad_(False).to(place.device)
        self._place = place

    def __call__(self, frames: Frames) -> Scores:
        """Unit vectors float32 [n, d] of frames uint8 [n, h, w, 3]."""
        import torch

        vectors = []
        with torch.inference_mode():
            for start in range(0, len(frames), BATCH):
                images = [Image.fromarray(frame) for frame in frames[start : start + BATCH]]
                pixels = self._processor(images=images, return_tensors="pt")["pixel_values"]
                vectors.append(self._embed(pixels.to(self._place.device, self._dtype)).float().cpu())
        units = torch.nn.functional.normalize(torch.cat(vectors), dim=1)
        return np.asarray(units, np.float32)

    def _embed(self, pixels: "torch.Tensor") -> "torch.Tensor":
        """CLIP's image embedding, or what other models pool over the picture."""
        if hasattr(self._model, "get_image_features"):
            return self._model.get_image_features(pixel_values=pixels).pooler_output  # type: ignore[no-any-return]
        out = self._model(pixel_values=pixels)
        pooled = out.get("pooler_output")
        return out.last_hidden_state[:, 0] if pooled is None else pooled  # type: ignore[no-any-return]
