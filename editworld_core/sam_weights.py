"""Weights of SAM and SAM 2: finding, checking and loading them."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from editworld_core.engines.hub import is_hub_id, loading
from editworld_core.engines.place import best_place
from editworld_core.errors import BadInputError, EngineUnavailableError
from editworld_core.sam import SamSegmenter
from editworld_core.sam_here import in_cache
from editworld_core.sam_models import OriginalSam, TransformersSam

CHECKPOINTS = (".pth", ".pt", ".bin", ".ckpt", ".safetensors")
MODEL_TYPES = {
    "sam": "SAM",
    "sam2": "SAM 2",
    "sam2_video": "SAM 2",
}  # the hub's SAM 2 calls itself sam2_video
SIZES = {(768, 12): "vit_b", (1024, 24): "vit_l", (1280, 32): "vit_h"}  # width and depth of the image encoder
HEADS = 8  # of the mask decoder; the one number of a checkpoint that its shapes do not tell, and always this
MEAN, SPREAD = (
    (123.675, 116.28, 103.53),
    (58.395, 57.12, 57.375),
)  # RGB in 0..255, not in the checkpoint either


def load_sam(name: str) -> SamSegmenter:
    """The segmenter whose weights ``name`` is: a checkpoint of segment-anything, a folder or a hub id.

    Raises:
        BadInputError: ``name`` is none of them.
        EngineUnavailableError: weights are missing, damaged or of another model, behind a licence, or too big.
    """
    path = Path(name).expanduser()
    device = best_place().device
    if path.is_file():
        return SamSegmenter(load_checkpoint(path, device))
    if name and path.is_dir():
        return SamSegmenter(load_transformers(str(path), device))
    if path.suffix.lower() in CHECKPOINTS:
        raise BadInputError(f"There is no checkpoint {name}: check the path.")
    if is_hub_id(name):
        return SamSegmenter(load_transformers(name, device))
    raise BadInputError(
        f"There is no segmenter {name!r}: choose 'auto', 'classical', a checkpoint of segment-anything, "
        "or a folder or hub id of SAM or SAM 2."
    )


def load_checkpoint(path: Path, device: str = "cpu") -> OriginalSam:
    """The model in a checkpoint of segment-anything's release: a pickle, of which only tensors are read, or
    safetensors. Its size is told by the shapes found there.

    Raises:
        EngineUnavailableError: it is damaged, holds more than weights, or is of another model.
    """
    state = _read_weights(path)
    try:
        model = build_sam({key: tuple(value.shape) for key, value in state.items()})
        model.load_state_dict(state, assign=True)
    except (KeyError, IndexError, ValueError, RuntimeError, ZeroDivisionError, AssertionError) as error:
        raise EngineUnavailableError(
            f"{path} is no checkpoint of segment-anything's vit_b, vit_l or vit_h: get one of these, or name a folder "
            "or hub id such as facebook/sam2.1-hiera-small."
        ) from error
    width, depth = model.image_encoder.patch_embed.proj.out_channels, len(model.image_encoder.blocks)
    with loading(str(path)):
        return OriginalSam(
            model.float().to(device).eval(), f"SAM {SIZES.get((width, depth), 'of another size')}"
        )


def _read_weights(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix.lower() == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except MemoryError as error:
        raise EngineUnavailableError(
            f"There is not enough memory for {path}: close other programs, or take a smaller SAM."
        ) from error
    except Exception as error:  # what damaged bytes raise is open-ended: zip, pickle, header, unicode …
        raise EngineUnavailableError(
            f"{path} is damaged or holds more than weights, so it was not opened: get the checkpoint again from where "
            "it came."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise EngineUnavailableError(
            f"{path} is no checkpoint of segment-anything, which holds tensors and nothing else: SAM 2 is taken as a "
            "folder or hub id, such as facebook/sam2.1-hiera-small."
        )
    return state


def build_sam(shapes: Mapping[str, tuple[int, ...]]) -> Any:
    """A ``segment_anything`` ``Sam`` of the size that the ``shapes`` of a checkpoint's tensors tell, without weights.

    Built so rather than by the package's own functions, which know three sizes and fill hundreds of megabytes with
    random numbers first.

    Raises:
        KeyError, IndexError, ValueError: a tensor is missing or of another dimension.
    """
    from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer

    def count(pattern: str) -> int:
        return 1 + max(int(match[1]) for key in shapes if (match := re.match(pattern, key)))

    width, _, patch, _ = shapes["image_encoder.patch_embed.proj.weight"]
    _, grid, _, _ = shapes["image_encoder.pos_embed"]
    blocks = [f"image_encoder.blocks.{index}" for index in range(count(r"image_encoder\.blocks\.(\d+)\."))]
    reaches = [(shapes[f"{block}.attn.rel_pos_h"][0] + 1) // 2 for block in blocks]
    channels = shapes["image_encoder.neck.0.weight"][0]
    head = r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\."
    with torch.device("meta"):
        model = Sam(
            ImageEncoderViT(
                img_size=grid * patch,
                patch_size=patch,
                embed_dim=width,
                depth=len(blocks),
                num_heads=width // shapes[f"{blocks[0]}.attn.rel_pos_h"][1],
                mlp_ratio=shapes[f"{blocks[0]}.mlp.lin1.weight"][0] / width,
                out_chans=channels,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                use_rel_pos=True,
                window_size=min(reaches),
                global_attn_indexes=tuple(index for index, reach in enumerate(reaches) if reach == grid),
            ),
            PromptEncoder(
                embed_dim=channels,
                image_embedding_size=(grid, grid),
                input_image_size=(grid * patch, grid * patch),
                mask_in_chans=shapes["prompt_encoder.mask_downscaling.3.weight"][0],
            ),
            MaskDecoder(
                transformer_dim=channels,
                transformer=TwoWayTransformer(
                    depth=count(r"mask_decoder\.transformer\.layers\.(\d+)\."),
                    embedding_dim=channels,
                    num_heads=HEADS,
                    mlp_dim=shapes["mask_decoder.transformer.layers.0.mlp.lin1.weight"][0],
                ),
                num_multimask_outputs=shapes["mask_decoder.mask_tokens.weight"][0] - 1,
                iou_head_depth=count(head),
                iou_head_hidden_dim=shapes["mask_decoder.iou_prediction_head.layers.0.weight"][0],
            ),
        )
    for name, values in (("pixel_mean", MEAN), ("pixel_std", SPREAD)):
        model.register_buffer(name, torch.tensor(values).view(-1, 1, 1), persistent=False)
    return model


def load_transformers(name: str, device: str = "cpu") -> TransformersSam:
    """SAM or SAM 2 from a folder or hub id of transformers; ``config.json`` says which.

    Raises:
        EngineUnavailableError: it is neither, its files are missing or damaged, or the hub refuses it.
    """
    from transformers import Sam2Model, Sam2Processor, SamModel, SamProcessor
    from transformers.utils import logging

    here = is_hub_id(name) and in_cache(
        name
    )  # then the hub is not asked, which takes minutes without a network
    kind = _model_type(name, here)
    if kind not in MODEL_TYPES:
        raise EngineUnavailableError(
            f"{name} holds a model of type {kind!r}, not SAM or SAM 2: name one such as facebook/sam2.1-hiera-small."
        )
    classes = (SamModel, SamProcessor) if kind == "sam" else (Sam2Model, Sam2Processor)
    logging.disable_progress_bar()
    with loading(name), _quiet(logging):
        model, report = classes[0].from_pretrained(
            name, dtype=torch.float32, output_loading_info=True, local_files_only=here
        )
        processor = classes[1].from_pretrained(name, local_files_only=here)
        model = model.to(device).eval()
    if report["missing_keys"] or report["mismatched_keys"]:
        raise EngineUnavailableError(
            f"The weights of {name} are incomplete: get it again from where it came."
        )
    return TransformersSam(model, processor, f"{MODEL_TYPES[kind]} {Path(name).name}")


def _model_type(name: str, here: bool) -> Any:
    """``model_type`` of the ``config.json`` of a folder or hub id, the latter from the cache alone if ``here``."""
    folder = Path(name).expanduser()
    if folder.is_dir():
        path = folder / "config.json"
    else:
        from huggingface_hub import hf_hub_download

        with loading(name):
            path = Path(hf_hub_download(name, "config.json", local_files_only=here))
    try:
        return json.loads(path.read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EngineUnavailableError(
            f"{name} is no folder of SAM or SAM 2, since it has no readable config.json that names a model: name one "
            "that transformers wrote."
        ) from error


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Without transformers' warnings, which say at length what the report says."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
