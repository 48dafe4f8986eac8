"""A local vision-language model: a LLaVA with random weights, saved as the real ones are."""

import pytest
import torch
from PIL import Image

from editworld_core.errors import BadInputError, EngineUnavailableError
from editworld_core.evaluation.measures.answers import AnswerBook
from editworld_core.evaluation.measures.judge import GRADED, YES_NO, judge_measure
from editworld_core.language import picture_part
from editworld_core.language_vision import LocalVisionModel
from tests.evaluation.some import picture, some_item, some_outcome, some_pictures

TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


def save_llava(folder):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|end|>", "<image>"]
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(["the answer is a reason and an instruction"], trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|end|>")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(image_size=140, patch_size=14, **sizes),
        text_config=LlamaConfig(
            vocab_size=len(fast), max_position_embeddings=4096, eos_token_id=fast.eos_token_id, **sizes
        ),
        image_token_index=fast.convert_tokens_to_ids("<image>"),
        image_seq_length=100,
    )
    model = LlavaForConditionalGeneration(config).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(12)
    model.save_pretrained(folder)
    LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 140}, crop_size=140),
        fast,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        image_token="<image>",
        num_additional_image_tokens=1,
    ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_llava(tmp_path_factory.mktemp("llava") / "tiny-llava")


def messages(*pictures: Image.Image, text="the sun"):
    parts = [*map(picture_part, pictures), {"type": "text", "text": text}]
    return [{"role": "system", "content": "Look."}, {"role": "user", "content": parts}]


def test_it_answers_by_the_schema(folder):
    model = LocalVisionModel(str(folder))
    answer = model.complete(messages(picture(0), picture(1)), GRADED.schema)
    assert list(answer) == ["reason", "instruction", "preservation", "quality"]
    assert len(answer["reason"]) <= 400
    assert all(answer[name] in (1, 2, 3, 4, 5) for name in list(answer)[1:])
    assert (model.name, model.counts.asked, model.counts.accepted) == ("tiny-llava", 1, 1)
    assert model.complete(messages(picture(0), picture(1)), GRADED.schema) == answer


def test_the_choice_is_the_likeliest_by_the_plain_model(folder):
    """Against one forward pass of transformers over the whole text of each answer."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from editworld_core.language import with_schema
    from editworld_core.language_vision import _seen

    processor, plain = (kind.from_pretrained(folder) for kind in (AutoProcessor, AutoModelForImageTextToText))
    chosen = set()
    model = LocalVisionModel(str(folder))
    for seed in range(4):
        letters = list("abcdefghijklmnop")[4 * seed : 4 * seed + 4]
        schema = {"type": "object", "properties": {"word": {"enum": letters}}}
        talk = messages(picture(seed))
        prompt = processor.apply_chat_template(
            _seen(with_schema(talk, schema)), add_generation_prompt=True, tokenize=False
        )
        shown = _seen(talk)[1]["content"][0]["image"]
        scores = {}
        for word in letters:
            inputs = processor(images=[shown], text=f'{prompt}{{"word": "{word}"', return_tensors="pt")
            count = len(processor.tokenizer(f'"{word}"')["input_ids"])
            with torch.no_grad():
                logits = plain(**inputs).logits[0, -count - 1 : -1].log_softmax(-1)
            ids = inputs["input_ids"][0, -count:]
            scores[word] = float(logits.gather(1, ids[:, None]).sum())
        answer = model.complete(talk, schema)["word"]
        assert answer == max(scores, key=scores.get)
        chosen.add(answer)
    assert len(chosen) == 4


def test_it_sees_the_picture(folder):
    model = LocalVisionModel(str(folder))
    schema = {"type": "object", "properties": {"reason": {"type": "string", "maxLength": 30}}}
    said = {
        model.complete(messages(Image.new("RGB", (40, 30), colour)), schema)["reason"]
        for colour in ("red", "lime", "black", "white")
    }
    assert len(said) > 1


def test_it_judges(folder):
    values = judge_measure(LocalVisionModel(str(folder)), AnswerBook()).measure(
        some_item(), some_pictures(), some_outcome()
    )
    assert all(value is not None for value in values.values())
    assert values["mllm_edited"] in (0, 1)


def test_what_it_cannot_do_is_one_sentence(folder, tmp_path):
    with pytest.raises(BadInputError, match="cannot fill in 'many'"):
        LocalVisionModel(str(folder)).complete(
            messages(picture(0)), {"type": "object", "properties": {"many": {"type": "array"}}}
        )
    with pytest.raises(EngineUnavailableError) as refusal:
        LocalVisionModel(str(tmp_path)).complete(messages(picture(0)), YES_NO.schema)
    assert "\n" not in str(refusal.value)
