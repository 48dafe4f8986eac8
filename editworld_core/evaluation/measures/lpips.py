"""LPIPS v0.1 on AlexNet (Zhang et al. 2018), for machines that have its weights; nothing is downloaded.

The network's weights are torchvision's, in torch's cache; the weights of the five linear layers lie in the packages
lpips (BSD-2) and torchmetrics (Apache-2.0).
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from editworld_core.engines.hub import loading
from editworld_core.errors import EngineUnavailableError
from editworld_core.images import to_float

LINEAR = {"lpips": "weights/v0.1/alex.pth", "torchmetrics": "functional/image/lpips_models/alex.pth"}
CUTS = (2, 5, 8, 10, 12)  # ends of the five slices of AlexNet's features, each after a ReLU
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # ImageNet's colours on pixels in -1..1
LEAST_SIDE = 63  # pixels; smaller pictures leave AlexNet's pooling nothing


def load_lpips() -> Callable[[Image.Image, Image.Image], float]:
    """The distance of two pictures of one size, 0 if they are equal.

    Raises:
        EngineUnavailableError: weights are missing or damaged.
    """
    import torch
    from torchvision.models import AlexNet_Weights, alexnet

    network = Path(torch.hub.get_dir()) / "checkpoints" / Path(AlexNet_Weights.IMAGENET1K_V1.url).name
    if not network.is_file():
        raise EngineUnavailableError(
            f"LPIPS needs torchvision's AlexNet, which is not in torch's cache: put {network.name} into its folder "
            "hub/checkpoints (TORCH_HOME says where), or use ST-LPIPS."
        )
    linear = _linear_weights()
    with loading("LPIPS"):
        with torch.device("meta"):
            model = alexnet(weights=None)
        saved = torch.load(network, map_location="cpu", weights_only=True)
        model.load_state_dict(saved, assign=True)
        state = torch.load(linear, map_location="cpu", weights_only=True)
        weights = [state[f"lin{layer}.model.1.weight"] for layer in range(len(CUTS))]
    layers = model.features.eval().requires_grad_(False)

    def distance(a: Image.Image, b: Image.Image) -> float:
        x = torch.from_numpy(np.stack([_input(a), _input(b)])).permute(0, 3, 1, 2)
        total, start = 0.0, 0
        with torch.inference_mode():
            for cut, weight in zip(CUTS, weights, strict=True):
                x = layers[start:cut](x)
                unit = x / (x.square().sum(1, keepdim=True).sqrt() + 1e-8)
                total += float(((unit[:1] - unit[1:]).square() * weight).sum(1).mean())
                start = cut
        return total

    return distance


def _linear_weights() -> Path:
    for package, file in LINEAR.items():
        spec = find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            if (Path(folder) / file).is_file():
                return Path(folder) / file
    raise EngineUnavailableError(
        "LPIPS needs the weights of its linear layers: pip install --no-deps lpips, or use ST-LPIPS."
    )


def _input(image: Image.Image) -> np.ndarray[tuple[int, int, int], np.dtype[np.float32]]:
    """The picture [h, w, 3], its colours as AlexNet was trained on them; enlarged if it is under 63 pixels a side."""
    size = (max(LEAST_SIDE, image.width), max(LEAST_SIDE, image.height))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray((2 * to_float(image) - 1 - SHIFT) / SCALE, np.float32)
