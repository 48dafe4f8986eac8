"""Video-language models and CLIP with tiny random weights, saved in the format of the real ones."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers as tf
from tokenizers import Tokenizer, models, pre_tokenizers

from editworld_core.datagen import story
from editworld_core.datagen.story import QUESTION
from editworld_core.language import clean

KINDS = ("video_llava", "qwen2_5_vl", "qwen3_vl")
QWEN_TOKENS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}
TEMPLATE = (
    "{% for m in messages %}{{ m.role }} : {% for c in m.content %}{% if c.type == 'video' %}"
    "<|vision_start|><|video_pad|><|vision_end|>{% else %}{{ c.text }}{% endif %}{% endfor %}{% endfor %} assistant :"
)


def _tokenizer(special: Sequence[str]) -> tf.PreTrainedTokenizerFast:
    words = sorted(
        {word.strip(".,") for word in QUESTION.split()} | {"USER", "ASSISTANT", "user", "assistant"}
    )
    vocabulary = {word: place for place, word in enumerate(["<unk>", "<s>", "</s>", *special, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"}
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, additional_special_tokens=list(special), **names
    )


def _text(tokenizer: tf.PreTrainedTokenizerFast, **more: Any) -> dict[str, Any]:
    shape = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    ends = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
    return {
        "vocab_size": len(tokenizer),
        "num_key_value_heads": 2,
        "initializer_range": 0.3,
        **shape,
        **ends,
        **more,
    }


def save(kind: str, folder: Path) -> Path:
    """A model and its processor in ``folder``."""
    torch.manual_seed(1)
    model, processor = _video_llava() if kind == "video_llava" else _qwen(kind)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def _video_llava() -> tuple[Any, Any]:
    tokenizer = _tokenizer(["<image>", "<video>"])
    vision = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = tf.VideoLlavaConfig(
        vision_config=tf.CLIPVisionConfig(
            image_size=28, patch_size=14, projection_dim=16, **vision
        ).to_dict(),
        text_config=tf.LlamaConfig(**_text(tokenizer)).to_dict(),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
    )
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    processor = tf.VideoLlavaProcessor(
        tf.VideoLlavaImageProcessor(**size), tf.VideoLlavaVideoProcessor(**size), tokenizer, patch_size=14
    )
    return tf.VideoLlavaForConditionalGeneration(config), processor


def _qwen(kind: str) -> tuple[Any, Any]:
    tokenizer = _tokenizer(list(QWEN_TOKENS.values()))
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in QWEN_TOKENS.items()}
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}
    text = _text(tokenizer, head_dim=16, rope_parameters=rope)
    vision = {"depth": 2, "hidden_size": 16, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32}
    size = {"size": {"shortest_edge": 28 * 28 * 4, "longest_edge": 56 * 56 * 8}}
    if kind == "qwen2_5_vl":
        vision |= {"patch_size": 14, "fullatt_block_indexes": [1]}
        config = tf.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
        model, video = tf.Qwen2_5_VLForConditionalGeneration(config), tf.Qwen2VLVideoProcessor
        kind_of_processor = tf.Qwen2_5_VLProcessor
    else:
        vision |= {"patch_size": 16, "deepstack_visual_indexes": [0], "num_position_embeddings": 64}
        config = tf.Qwen3VLConfig(text_config=text, vision_config=vision, **ids)
        model, video = tf.Qwen3VLForConditionalGeneration(config), tf.Qwen3VLVideoProcessor
        kind_of_processor = tf.Qwen3VLProcessor
    patch = {"patch_size": vision["patch_size"]}
    images = tf.Qwen2VLImageProcessor(**patch)
    return model, kind_of_processor(images, tokenizer, video(**patch, **size), chat_template=TEMPLATE)


def says(folder: Path, film: np.ndarray, prompt: str) -> str:
    """What the model says, by its own class, without ``VideoModel``."""
    kinds = {
        "video_llava": tf.VideoLlavaForConditionalGeneration,
        "qwen2_5_vl": tf.Qwen2_5_VLForConditionalGeneration,
        "qwen3_vl": tf.Qwen3VLForConditionalGeneration,
    }
    config = tf.AutoConfig.from_pretrained(folder)
    model = kinds[config.model_type].from_pretrained(folder, dtype=torch.float32).eval()
    processor = tf.AutoProcessor.from_pretrained(folder)
    metadata = [{"fps": 2.0, "total_num_frames": len(film), "frames_indices": list(range(len(film)))}]
    inputs = processor(
        text=[prompt], videos=[film], video_metadata=metadata, do_sample_frames=False, return_tensors="pt"
    ).to("cpu", model.dtype)
    out = model.generate(**inputs, max_new_tokens=story.NEW_TOKENS, do_sample=False)
    words = out[0, inputs["input_ids"].shape[1] :]
    return clean(processor.tokenizer.decode(words, skip_special_tokens=True))


def save_clip(folder: Path) -> Path:
    """A CLIP model whose pictures are 28 pixels wide and whose embeddings have width 16."""
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = tf.CLIPConfig(
        text_config={**shape, "vocab_size": 100, "projection_dim": 16},
        vision_config={**shape, "image_size": 28, "patch_size": 14, "projection_dim": 16},
        projection_dim=16,
    )
    tf.CLIPModel(config).save_pretrained(folder)
    size = {"size": {"shortest_edge": 28}, "crop_size": {"height": 28, "width": 28}}
    tf.CLIPImageProcessor(**size).save_pretrained(folder)
    return folder


def clip_pixels(frames: np.ndarray) -> torch.Tensor:
    """What that model is given for square ``frames`` [n, h, h, 3], by Pillow."""
    from PIL import Image

    mean, deviation = (
        np.array([0.48145466, 0.4578275, 0.40821073]),
        np.array([0.26862954, 0.26130258, 0.27577711]),
    )
    small = [
        np.asarray(Image.fromarray(frame).resize((28, 28), Image.Resampling.BICUBIC)) for frame in frames
    ]
    pixels = (np.stack(small) / 255 - mean) / deviation
    return torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2)
