"""How well a drawn picture fits: to a text and to another picture by CLIP, and by the structure term of SSIM."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.engines.hub import is_hub_id, loading

if TYPE_CHECKING:
    import torch

WINDOW = 11  # pixels: the window of SSIM and its standard deviation (Wang et al. 2004, section III C)
SIGMA = 1.5


@dataclass(frozen=True, eq=False)
class ClipScorer:
    """A CLIP model (Radford et al. 2021), loaded once and always in fp32: the best of ten is decided by its digits.

    Attributes:
        name: hub id or folder it came from; scores of different CLIP models cannot be compared.
        model: ``transformers.CLIPModel``.
        processor: its tokenizer and image processor.
    """

    name: str
    model: Any
    processor: Any
    device: str = "cpu"

    def embed_text(self, text: str) -> "torch.Tensor":
        """The unit vector [D] of ``text``; what lies beyond the model's 77 tokens is left out."""
        import torch

        inputs = self.processor.tokenizer(
            [text],
            padding=True,
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings,
            return_tensors="pt",
        )
        with torch.inference_mode():
            features = self.model.get_text_features(**inputs.to(self.device)).pooler_output
        return _unit(features)[0]

    def embed_images(self, images: Sequence[Image.Image]) -> "torch.Tensor":
        """The unit vectors [N, D] of ``images``."""
        import torch

        inputs = self.processor.image_processor(
            [image.convert("RGB") for image in images], return_tensors="pt"
        )
        with torch.inference_mode():
            features = self.model.get_image_features(inputs.pixel_values.to(self.device)).pooler_output
        return _unit(features)

    def similarity(self, images: Sequence[Image.Image], other: str | Image.Image) -> list[float]:
        """Cosine in -1..1 of each of ``images`` with a text or a picture."""
        vector = self.embed_text(other) if isinstance(other, str) else self.embed_images([other])[0]
        return [float(value) for value in self.embed_images(images) @ vector]


def _unit(features: "torch.Tensor") -> "torch.Tensor":
    return (features / features.norm(dim=-1, keepdim=True)).cpu()


def load_clip(name: str, device: str = "cpu") -> ClipScorer:
    """The CLIP model in a folder that ``save_pretrained`` wrote, or with a hub id.

    Raises:
        EngineUnavailableError: it is not there, damaged, or no CLIP.
    """
    import torch
    from transformers import CLIPModel, CLIPProcessor

    source = name if is_hub_id(name) else str(Path(name).expanduser())
    with loading(name):
        model = CLIPModel.from_pretrained(source, dtype=torch.float32).eval().to(device)
        return ClipScorer(name, model, CLIPProcessor.from_pretrained(source), device)


def structure(a: Image.Image, b: Image.Image, constant: float = 1e-3) -> float:
    """The structure term of SSIM, -1..1: (cov(a, b) + C3) / (std(a) std(b) + C3), mean over Gaussian windows.

    (Wang et al. 2004, equation 10, on the pictures' grey levels in 0..1.)

    Args:
        a, b: of one size, at least 11 pixels each way.
        constant: C3.
    """
    x, y = (np.asarray(image.convert("L"), np.float64) / 255 for image in (a, b))
    mean_x, mean_y = _blur(x), _blur(y)
    covariance = _blur(x * y) - mean_x * mean_y
    deviations = np.sqrt(np.maximum(_blur(x * x) - mean_x**2, 0) * np.maximum(_blur(y * y) - mean_y**2, 0))
    return float(((covariance + constant) / (deviations + constant)).mean())


def _blur(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian means over the windows that lie inside the picture."""
    edge = WINDOW // 2
    blurred: NDArray[np.float64] = cv2.GaussianBlur(values, (WINDOW, WINDOW), SIGMA)
    return blurred[edge:-edge, edge:-edge]
