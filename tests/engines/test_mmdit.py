"""The engines of Qwen-Image-Edit, FLUX.2 klein and FLUX.1 Kontext, on tiny random pipelines in the real format."""

import inspect
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from editworld_core.attention import AttentionRecorder
from editworld_core.editor import WorldEditor
from editworld_core.engines import mmdit
from editworld_core.engines.mmdit import PIPELINE_CLASSES, PipelineEngine, load_pipeline_engine
from editworld_core.engines.place import Place
from editworld_core.engines.protocol import EngineInfo
from editworld_core.errors import BadInputError, EditCancelledError, EngineUnavailableError
from editworld_core.laboratory.files import maps_npz
from editworld_core.laboratory.study import View, study_edit
from editworld_core.masks import mask_from_maps
from editworld_core.settings import EditSettings

FULL, SHORT = mmdit.TEXT_LENGTH, 64
INSTRUCTION = "Melt the snow-man, now"
CORPUS = [
    "Melt the snow-man until only a puddle of water is left on the ground.",
    "Describe the key features of the input image (color, shape, size, texture, objects, background)",
    "system user assistant Picture 1: the sun comes out and the snow melts",
]
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
INFO = EngineInfo(
    id="tiny",
    title="a tiny random one",
    licence="none",
    weights="here",
    native_size=512,
    multiple=1,
    memory_gib=0.1,
    records_attention=False,
    steps=1,
    text_guidance=0.0,
    image_guidance=1.0,
)


def _byte_pairs(specials: list[str], end_of_word: str = "") -> tuple[dict[str, int], list[tuple[str, str]]]:
    end = {"end_of_word_suffix": end_of_word} if end_of_word else {}
    tokenizer = Tokenizer(models.BPE(**end))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=450, initial_alphabet=alphabet, special_tokens=specials, show_progress=False, **end
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def _qwen_tokenizer() -> transformers.Qwen2Tokenizer:
    vocabulary, merges = _byte_pairs(["<|endoftext|>"])
    names = "im_start im_end vision_start vision_end image_pad video_pad".split()
    return transformers.Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,
        extra_special_tokens=[f"<|{name}|>" for name in names] + ["<think>", "</think>"],
        chat_template=CHAT,
        padding_side="right",
    )


def _t5_tokenizer() -> transformers.T5TokenizerFast:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    specials = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=100, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    return transformers.T5TokenizerFast(vocab=[tuple(piece) for piece in vocabulary], extra_ids=4)


def _scheduler() -> diffusers.FlowMatchEulerDiscreteScheduler:
    return diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)


def _tiny_qwen() -> diffusers.DiffusionPipeline:
    tokenizer = _qwen_tokenizer()

    def number(token: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(token))

    config = transformers.Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e6},
        },
        vision_config={
            "depth": 2,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
            "fullatt_block_indexes": [1],
        },
        image_token_id=number("<|image_pad|>"),
        video_token_id=number("<|video_pad|>"),
        vision_start_token_id=number("<|vision_start|>"),
        vision_end_token_id=number("<|vision_end|>"),
    )
    processor = transformers.Qwen2VLProcessor(
        transformers.Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=112 * 112),
        tokenizer,
        transformers.Qwen2VLVideoProcessor(),
    )
    return diffusers.QwenImageEditPlusPipeline(
        scheduler=_scheduler(),
        vae=diffusers.AutoencoderKLQwenImage(
            base_dim=4,
            z_dim=4,
            dim_mult=[1, 2],
            num_res_blocks=1,
            temperal_downsample=[False],
            latents_mean=[0.1, -0.2, 0.0, 0.3],
            latents_std=[1.0, 1.2, 0.8, 1.1],
        ),
        text_encoder=transformers.Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=tokenizer,
        processor=processor,
        transformer=diffusers.QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=3,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 6, 6),
        ),
    )


def _tiny_klein(is_distilled: bool = True) -> diffusers.DiffusionPipeline:
    tokenizer = _qwen_tokenizer()
    config = transformers.Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=28,  # the pipeline reads layers 9, 18 and 27
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=4,
    )
    return diffusers.Flux2KleinPipeline(
        scheduler=_scheduler(),
        vae=diffusers.AutoencoderKLFlux2(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 8),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=4,
        ),
        text_encoder=transformers.Qwen3ForCausalLM(config),
        tokenizer=tokenizer,
        transformer=diffusers.Flux2Transformer2DModel(
            in_channels=16,
            num_layers=2,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=24,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=is_distilled,
    )


def _tiny_kontext() -> diffusers.DiffusionPipeline:
    vocabulary, merges = _byte_pairs(["<|startoftext|>", "<|endoftext|>"], "</w>")
    clip = transformers.CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=77)
    t5 = _t5_tokenizer()
    return diffusers.FluxKontextPipeline(
        scheduler=_scheduler(),
        vae=diffusers.AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            block_out_channels=(8, 8),
            latent_channels=4,
            norm_num_groups=4,
            use_quant_conv=False,
            use_post_quant_conv=False,
            shift_factor=0.1,
            scaling_factor=0.4,
        ),
        text_encoder=transformers.CLIPTextModel(
            transformers.CLIPTextConfig(
                vocab_size=len(clip),
                hidden_size=16,
                intermediate_size=16,
                num_hidden_layers=1,
                num_attention_heads=2,
                bos_token_id=0,
                eos_token_id=1,
                pad_token_id=1,
            )
        ),
        tokenizer=clip,
        text_encoder_2=transformers.T5EncoderModel(
            transformers.T5Config(vocab_size=len(t5), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        ),
        tokenizer_2=t5,
        transformer=diffusers.FluxTransformer2DModel(
            in_channels=16,
            num_layers=2,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            axes_dims_rope=(4, 6, 6),
            guidance_embeds=True,
        ),
    )


BUILDERS: dict[str, Callable[[], diffusers.DiffusionPipeline]] = {
    "qwen": _tiny_qwen,
    "klein": _tiny_klein,
    "kontext": _tiny_kontext,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    found = {}
    for name, build in BUILDERS.items():
        torch.manual_seed(0)
        found[name] = tmp_path_factory.mktemp(name)
        build().save_pretrained(found[name])
    return found


@pytest.fixture(scope="module")
def engines(folders: dict[str, Path]) -> dict[str, PipelineEngine]:
    return {name: load_pipeline_engine(str(folder), INFO, Place()) for name, folder in folders.items()}


@pytest.fixture(autouse=True)
def small_texts_and_references(monkeypatch: pytest.MonkeyPatch) -> None:
    """FLUX pads its text to 512 tokens, Qwen-Image-Edit brings its reference to a megapixel: slow for a test."""
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_inpaint as inpaint
    from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit_plus as plus

    monkeypatch.setattr(mmdit, "TEXT_LENGTH", SHORT)
    monkeypatch.setattr(plus, "CONDITION_IMAGE_SIZE", 56 * 56)
    monkeypatch.setattr(plus, "VAE_IMAGE_SIZE", 64 * 64)
    whole = inpaint.calculate_dimensions
    monkeypatch.setattr(inpaint, "calculate_dimensions", lambda _, ratio: whole(64 * 64, ratio))


@pytest.mark.parametrize("name", ["Flux2KleinPipeline", "FluxKontextPipeline"])
def test_the_text_is_as_long_as_the_pipelines_make_it(name: str) -> None:
    assert (
        inspect.signature(getattr(diffusers, name).__call__).parameters["max_sequence_length"].default == FULL
    )


def _picture(width: int, height: int, seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


def _by_hand(
    folder: Path, name: str, image: Image.Image, steps: int, seed: int, **options: Any
) -> Image.Image:
    """The unmodified pipeline, called as its model card says."""
    pipeline = diffusers.DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    width, height = image.size
    options |= {
        "qwen": {"negative_prompt": " ", "true_cfg_scale": 4.0},
        "klein": {"guidance_scale": 1.0, "max_sequence_length": SHORT},
        "kontext": {
            "guidance_scale": 2.5,
            "max_area": width * height,
            "_auto_resize": False,
            "max_sequence_length": SHORT,
        },
    }[name] | options
    return pipeline(
        image=image,
        prompt=INSTRUCTION,
        width=width,
        height=height,
        num_inference_steps=steps,
        generator=torch.Generator().manual_seed(seed),
        **options,
    ).images[0]


@pytest.mark.parametrize("name", BUILDERS)
def test_output_equals_the_unmodified_pipeline(
    name: str, engines: dict[str, PipelineEngine], folders: dict[str, Path]
) -> None:
    image = _picture(96, 64)
    ours = engines[name].edit(image, INSTRUCTION, EditSettings(steps=2, seed=7))
    theirs = _by_hand(folders[name], name, image, 2, 7)
    assert ours.size == theirs.size == image.size
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    other = engines[name].edit(image, INSTRUCTION, EditSettings(steps=2, seed=8))
    assert np.any(np.asarray(other) != np.asarray(ours))


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("size", [(64, 64), (128, 64), (64, 104)])
def test_output_has_the_size_of_the_input(
    name: str, size: tuple[int, int], engines: dict[str, PipelineEngine]
) -> None:
    assert engines[name].edit(_picture(*size), INSTRUCTION, EditSettings(steps=1, seed=0)).size == size


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize(
    "instruction", [INSTRUCTION, "user", "s", "the image"]
)  # some also stand in the templates
def test_positions_are_those_of_the_instruction_in_what_the_transformer_is_told(
    name: str, instruction: str, engines: dict[str, PipelineEngine]
) -> None:
    """The ids that the text encoder really reads, decoded at the positions, are the instruction and its words."""
    engine, seen = engines[name], {}
    pipe = engine.pipeline
    encoder = pipe.text_encoder_2 if name == "kontext" else pipe.text_encoder
    tokenizer = pipe.tokenizer_2 if name == "kontext" else pipe.tokenizer

    def reads(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        seen.setdefault("ids", (args or (kwargs["input_ids"],))[0][0])  # the negative text comes later

    def told(_: Any, __: Any, kwargs: dict[str, Any]) -> None:
        seen.setdefault("length", kwargs["encoder_hidden_states"].shape[1])

    handles = [
        encoder.register_forward_pre_hook(reads, with_kwargs=True),
        pipe.transformer.register_forward_pre_hook(told, with_kwargs=True),
    ]
    engine.edit(_picture(64, 64), instruction, EditSettings(steps=1, seed=0))
    for handle in handles:
        handle.remove()
    positions = engine.text_positions(instruction)
    assert -seen["length"] <= positions.start < positions.stop <= 0
    own = [int(seen["ids"][position]) for position in positions]
    assert tokenizer.decode(own).strip() == instruction
    words = engine.tokens(instruction)
    assert [token.word for token in words] == instruction.replace(",", "").split()
    for token in words:
        assert tokenizer.decode([own[i] for i in token.positions]).strip() == token.word


@pytest.mark.parametrize("name", BUILDERS)
def test_recording_changes_nothing_and_gives_maps_of_the_words(
    name: str, engines: dict[str, PipelineEngine]
) -> None:
    engine, image, settings = engines[name], _picture(96, 64), EditSettings(steps=2, seed=3)
    assert engine.info.records_attention
    recorder = AttentionRecorder()
    watched = engine.edit(image, INSTRUCTION, settings, recorder)
    np.testing.assert_array_equal(np.asarray(watched), np.asarray(engine.edit(image, INSTRUCTION, settings)))
    maps, words = recorder.maps(), engine.tokens(INSTRUCTION)
    kept = len(engine.text_positions(INSTRUCTION))
    assert {stack.shape for stack in maps.layers.values()} == {(2, kept, 16, 24)}
    assert all(name.startswith("transformer_blocks.") for name in maps.layers)
    heats = [maps.map(token.positions) for token in words]
    assert all(heat.shape == (16, 24) and 0 < heat.max() < 1 for heat in heats)
    assert mask_from_maps(heats, "paper", 0.8125, (64, 96)).shape == (64, 96)


@pytest.mark.parametrize("name", BUILDERS)
def test_a_study_opens_the_joint_attention(name: str, engines: dict[str, PipelineEngine]) -> None:
    engine = replace(engines[name], info=replace(engines[name].info, native_size=64))  # not a megapixel
    settings = EditSettings(steps=2, seed=3, post_edit=False)
    editor = WorldEditor(lambda *_: engine)
    study = study_edit(_picture(64, 64), "Melt the snow", settings, editor=editor)
    assert study.words == ("Melt", "the", "snow")
    assert study.steps(View()) == (1, 2)
    (layer, *_), (token, *_) = study.layers, study.result.words
    (map,) = study.maps(View(words=("Melt",), layers=(layer,), steps=(2,)))
    seen = study.attention.layers[layer][1, list(token.positions)].sum(0)
    np.testing.assert_allclose(map, seen, rtol=1e-5)
    with np.load(io.BytesIO(maps_npz(study, study.usual))) as maps:
        np.testing.assert_allclose(maps[f"maps/{layer}"], study.attention.layers[layer], rtol=2e-3, atol=1e-6)


def test_recorded_maps_are_of_the_conditional_call_and_of_the_instructions_columns(
    engines: dict[str, PipelineEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Qwen-Image-Edit under guidance, whose text begins with a picture: against the softmax of what it really used."""
    from diffusers.models.transformers import transformer_qwenimage as module

    engine, seen, inside = engines["qwen"], [], module.dispatch_attention_fn

    def spy(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **options: Any) -> torch.Tensor:
        scores = torch.einsum("bqhd,bkhd->bhqk", query, key) / query.shape[-1] ** 0.5
        seen.append(scores.softmax(-1).mean(1)[0])
        return inside(query, key, value, **options)

    lengths: list[int] = []
    hook = engine.pipeline.transformer.register_forward_pre_hook(
        lambda _, __, kwargs: lengths.append(kwargs["encoder_hidden_states"].shape[1]), with_kwargs=True
    )
    monkeypatch.setattr(module, "dispatch_attention_fn", spy)
    recorder = AttentionRecorder()
    engine.edit(_picture(96, 64), INSTRUCTION, EditSettings(steps=2, seed=3), recorder)
    hook.remove()
    blocks = len(engine.pipeline.transformer.transformer_blocks)
    assert len(seen) == 2 * 2 * blocks  # two steps of two calls
    text, positions = lengths[0], engine.text_positions(INSTRUCTION)
    columns = [text + position for position in positions]
    for step in range(2):
        for block in range(blocks):
            joint = seen[2 * step * blocks + block]  # a step's first call is the conditional one
            expected = joint[text : text + 16 * 24, columns].T.reshape(-1, 16, 24)
            kept = recorder.maps().layers[f"transformer_blocks.{block}.attn"][step]
            np.testing.assert_allclose(kept, expected, atol=1e-6)


@pytest.mark.parametrize("name", BUILDERS)
def test_progress_is_told_at_every_step_and_stops_the_edit(
    name: str, engines: dict[str, PipelineEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, image, settings = engines[name], _picture(64, 64), EditSettings(steps=3, seed=0)
    steps: list[tuple[int, int]] = []
    engine.edit(image, INSTRUCTION, settings, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise EditCancelledError("stopped")

    freed: list[bool] = []
    transformer = engine.pipeline.transformer
    with monkeypatch.context() as patch:
        patch.setattr(type(engine.pipeline), "maybe_free_model_hooks", lambda _: freed.append(True))
        with pytest.raises(EditCancelledError):
            engine.edit(image, INSTRUCTION, settings, AttentionRecorder(), stop)
    assert freed
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in transformer.modules())
    again = engine.edit(image, INSTRUCTION, settings)
    assert again.size == image.size


@pytest.mark.parametrize("name", BUILDERS)
def test_defaults_follow_the_class(name: str, engines: dict[str, PipelineEngine]) -> None:
    info = engines[name].info
    expected = {"qwen": (40, 4.0, 8, True), "klein": (4, 1.0, 4, False), "kontext": (28, 2.5, 4, True)}
    assert (info.steps, info.text_guidance, info.multiple, info.takes_negative) == expected[name]
    assert info.native_size == 1024


@pytest.mark.parametrize("name", BUILDERS)
def test_masked_redrawing_holds_to_the_picture_outside(
    name: str, engines: dict[str, PipelineEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Outside the mask its latents are those of the picture; inside they are neither the picture's nor the edit's."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    engine, image, edited = engines[name], _picture(64, 64), _picture(64, 64, seed=1)
    vae, decoded = engine.pipeline.vae, []
    # Qwen-Image-Edit's inpainting draws from the encoder's distribution, whose noise is large in a random one.
    monkeypatch.setattr(DiagonalGaussianDistribution, "sample", lambda self, generator=None: self.mode())

    @torch.no_grad()
    def latents_of(picture: Image.Image) -> torch.Tensor:
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1
        return vae.encode(pixels[:, :, None] if name == "qwen" else pixels).latent_dist.mode().squeeze()

    inside = vae.decode
    monkeypatch.setattr(
        vae, "decode", lambda z, **options: decoded.append(z.squeeze()) or inside(z, **options)
    )
    mask = np.zeros((64, 64), bool)
    mask[16:48, 24:56] = True
    steps: list[tuple[int, int]] = []
    redrawn = engine.inpaint(
        image,
        edited,
        mask,
        INSTRUCTION,
        EditSettings(steps=2, seed=0),
        lambda done, total: steps.append((done, total)),
    )
    assert redrawn.size == image.size
    assert steps == [(1, 1)]  # a quarter of at least four
    begun = latents_of(Image.composite(edited, image, Image.fromarray(mask)))
    cells = torch.from_numpy(mask[::2, ::2])
    change = (decoded[0] - begun).abs().mean(0)
    assert change.shape == cells.shape
    assert change[~cells].max() < 1e-4
    assert change[cells].min() > 1e-3


@pytest.mark.parametrize("name", ["qwen", "kontext"])
def test_a_negative_text_goes_where_the_pipeline_expects_it(
    name: str, engines: dict[str, PipelineEngine], folders: dict[str, Path]
) -> None:
    image = _picture(64, 64)
    ours = engines[name].edit(image, INSTRUCTION, EditSettings(steps=1, seed=7, negative="water"))
    told = {"negative_prompt": "water"} | ({"true_cfg_scale": 2.0} if name == "kontext" else {})
    theirs = _by_hand(folders[name], name, image, 1, 7, **told)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    assert np.any(
        np.asarray(ours) != np.asarray(engines[name].edit(image, INSTRUCTION, EditSettings(steps=1, seed=7)))
    )


def test_the_undistilled_klein_has_guidance_and_listens_to_a_negative_text(tmp_path: Path) -> None:
    torch.manual_seed(0)
    _tiny_klein(is_distilled=False).save_pretrained(tmp_path)
    engine = load_pipeline_engine(str(tmp_path), INFO, Place())
    assert (engine.info.steps, engine.info.text_guidance, engine.info.takes_negative) == (50, 4.0, True)
    image = _picture(64, 64)
    plain, negative = (
        np.asarray(engine.edit(image, INSTRUCTION, EditSettings(steps=1, seed=7, negative=text)))
        for text in ("", "water")
    )
    theirs = _by_hand(tmp_path, "klein", image, 1, 7, guidance_scale=4.0)
    np.testing.assert_array_equal(plain, np.asarray(theirs))
    assert np.any(plain != negative)


def test_wrong_sizes_and_control_tokens_are_refused(engines: dict[str, PipelineEngine]) -> None:
    settings = EditSettings(steps=1, seed=0)
    for engine in engines.values():
        with pytest.raises(BadInputError, match="multiples of"):
            engine.edit(_picture(66, 65), INSTRUCTION, settings)
    for image in (_picture(64, 60), _picture(640, 64)):
        with pytest.raises(BadInputError, match="at least 64 pixels"):
            engines["klein"].edit(image, INSTRUCTION, settings)
    for name, token in (("qwen", "<|image_pad|>"), ("klein", "<|im_end|>"), ("kontext", "</s>")):
        with pytest.raises(BadInputError, match="steers the model"):
            engines[name].edit(_picture(64, 64), f"melt {token} it", settings)


def _lora(folder: Path, pipeline: diffusers.DiffusionPipeline, rank: int = 2) -> Path:
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    torch.manual_seed(1)
    pipeline.transformer.add_adapter(
        LoraConfig(r=rank, lora_alpha=rank, target_modules=["to_v", "to_out.0"], init_lora_weights=False)
    )
    for parameter in pipeline.transformer.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter)
    weights = get_peft_model_state_dict(pipeline.transformer)
    type(pipeline).save_lora_weights(folder, transformer_lora_layers=weights)
    return folder / "pytorch_lora_weights.safetensors"


@pytest.mark.parametrize("name", BUILDERS)
def test_lora_weights_count_as_much_as_they_are_told(
    name: str, folders: dict[str, Path], engines: dict[str, PipelineEngine], tmp_path: Path
) -> None:
    trained = diffusers.DiffusionPipeline.from_pretrained(folders[name])
    file = _lora(tmp_path, trained)
    trained.transformer.set_adapters("default", 0.5)
    image, settings = _picture(64, 64), EditSettings(steps=1, seed=0)
    half = load_pipeline_engine(str(folders[name]), INFO, Place(), str(file), 0.5).edit(
        image, INSTRUCTION, settings
    )
    by_hand = PipelineEngine(engines[name].info, trained).edit(image, INSTRUCTION, settings)
    base = engines[name].edit(image, INSTRUCTION, settings)
    gap = np.abs(np.asarray(half, np.int16) - np.asarray(by_hand, np.int16)).max()
    assert gap <= 1  # fused and unfused differ by rounding
    assert np.abs(np.asarray(half, np.int16) - np.asarray(base, np.int16)).max() > 3


def test_a_lora_of_another_model_is_refused(folders: dict[str, Path], tmp_path: Path) -> None:
    file = _lora(tmp_path, _tiny_kontext())
    with pytest.raises(EngineUnavailableError, match="not made for"):
        load_pipeline_engine(str(folders["qwen"]), INFO, Place(), str(file))


def test_folders_of_another_class_and_damaged_ones_are_refused(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    import shutil

    def damaged(change: Callable[[Path], Any]) -> str:
        folder = tmp_path / "engine"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(folders["kontext"], folder)
        change(folder)
        return str(folder)

    def another_class(folder: Path) -> None:
        index = json.loads((folder / "model_index.json").read_text())
        (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "FluxPipeline"}))

    def lacks_a_tensor(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        file = folder / "transformer" / "diffusion_pytorch_model.safetensors"
        weights = load_file(file)
        del weights["proj_out.weight"]
        save_file(weights, file)

    cases: list[tuple[Callable[[Path], Any], str]] = [
        (another_class, "holds a FluxPipeline"),
        (lambda folder: shutil.rmtree(folder / "text_encoder_2"), "."),
        (
            lambda folder: (folder / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"no"),
            "damaged",
        ),
        (lambda folder: (folder / "model_index.json").write_text("{"), "no readable model_index.json"),
        (lacks_a_tensor, "."),
    ]
    for change, sentence in cases:
        with pytest.raises(EngineUnavailableError, match=sentence) as refused:
            load_pipeline_engine(damaged(change), INFO, Place())
        assert "\n" not in str(refused.value)
    assert "FluxPipeline" not in PIPELINE_CLASSES


def test_half_precision_runs(folders: dict[str, Path]) -> None:
    engine = load_pipeline_engine(str(folders["klein"]), INFO, Place(dtype=torch.bfloat16))
    recorder = AttentionRecorder()
    edited = engine.edit(_picture(64, 64), INSTRUCTION, EditSettings(steps=1, seed=0), recorder)
    assert edited.size == (64, 64)
    assert all(
        stack.dtype == np.float32 and np.isfinite(stack).all() for stack in recorder.maps().layers.values()
    )
