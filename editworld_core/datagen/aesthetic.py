"""The aesthetic score by which the paper drops clips: CLIP and a head of linear layers, as LAION published it.

The head is small and has to be named, for no package carries it; without it the score is absent and nothing is dropped.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from editworld_core.errors import EngineUnavailableError

CLIP = "openai/clip-vit-large-patch14"
LEAST = 6.0  # the paper's threshold, on a scale of about 1..10


class Aesthetic:
    """Scores pictures from about 1 to 10."""

    def __init__(self, head: Path, clip: str = CLIP) -> None:
        """
        Args:
            head: state dict of the predictor, ``.safetensors`` or ``.pth``: linear layers, one after the other.
            clip: folder or hub id of the CLIP model whose image embeddings it was trained on.

        Raises:
            EngineUnavailableError: weights are missing or damaged, or do not fit together.
        """
        from transformers import AutoImageProcessor, CLIPVisionModelWithProjection

        from editworld_core.engines.hub import loading
        from editworld_core.engines.place import best_place

        self.name = f"{head.name} on {clip}"
        self._layers = _layers(head)
        self._place = best_place()
        with loading(clip):
            self._processor = AutoImageProcessor.from_pretrained(clip)
            model = CLIPVisionModelWithProjection.from_pretrained(clip, dtype=self._place.dtype)
        self._model: Any = model.eval().requires_grad_(False).to(self._place.device)
        if self._layers[0][0].shape[1] != model.config.projection_dim:
            raise EngineUnavailableError(
                f"{head} was trained on embeddings of width {self._layers[0][0].shape[1]}, {clip} has "
                f"{model.config.projection_dim}: name the CLIP model that belongs to it."
            )

    def __call__(self, images: Sequence[Image.Image]) -> list[float]:
        """The score of each picture."""
        import torch
        from torch.nn import functional as F

        pixels = self._processor(images=list(images), return_tensors="pt")["pixel_values"]
        with torch.inference_mode():
            out = self._model(pixel_values=pixels.to(self._place.device, self._place.dtype))
            values = F.normalize(out.image_embeds.float().cpu(), dim=1)
            for weight, bias in self._layers:
                values = F.linear(values, weight, bias)
        return [float(value) for value in values[:, 0]]


def _layers(head: Path) -> list[tuple[Any, Any]]:
    """Weights and biases of the head in their order; between its layers it has only dropout.

    Raises:
        EngineUnavailableError: there is no such file, or it holds something else.
    """
    import torch

    from editworld_core.engines.hub import loading

    if not head.is_file():
        raise EngineUnavailableError(f"There is no file {head}: name the weights of an aesthetic predictor.")
    with loading(str(head)):
        if head.suffix == ".safetensors":
            from safetensors.torch import load_file

            state = load_file(head)
        else:
            state = torch.load(head, map_location="cpu", weights_only=True)
        names = sorted(
            (name.removesuffix(".weight") for name in state if name.endswith(".weight")),
            key=lambda name: [int(part) for part in name.split(".") if part.isdigit()],
        )
        layers = [(state[f"{name}.weight"].float(), state[f"{name}.bias"].float()) for name in names]
    if not layers or layers[-1][0].shape[0] != 1:
        raise EngineUnavailableError(
            f"{head} is no aesthetic predictor: name one whose last layer gives a score."
        )
    return layers
