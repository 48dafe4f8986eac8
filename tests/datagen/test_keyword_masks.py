"""Keyword masks: the right tokens, the right half of the batch, the paper's threshold; against plain softmax."""

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline
from hypothesis import given
from hypothesis import strategies as st

from editworld_core.attention import AttentionMaps
from editworld_core.datagen.keyword_masks import keyword_groups, keyword_mask, keyword_positions, recording
from editworld_core.engines.stable_diffusion import clip_offsets
from editworld_core.errors import BadInputError
from tests.datagen.tiny_pair_models import save_sd15, save_sdxl
from tests.engines.tiny_sd import tiny_tokenizer

CAPTION = "A tiny snowman; the red sun comes out"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return tiny_tokenizer(tmp_path_factory.mktemp("tokenizer"))


def text_at(tokenizer, caption, positions):
    """What the tokens at ``positions`` say, by the tokenizer's own vocabulary."""
    tokens = tokenizer(caption, padding="max_length", truncation=True, max_length=77).input_ids
    names = tokenizer.convert_ids_to_tokens([tokens[position] for position in positions])
    return "".join(names).replace("</w>", " ").strip()


@pytest.mark.parametrize(
    ("keyword", "says"),
    [
        ("snowman", "snowman"),  # one token, behind a word of four
        ("tiny", "tiny"),
        ("red sun", "red sun"),  # several words and tokens
        ("Red  Sun", "red sun"),
        ("SNOWMAN", "snowman"),
    ],
)
def test_a_keyword_is_found_where_its_tokens_are(tokenizer, keyword, says):
    positions = keyword_positions(CAPTION, keyword, clip_offsets(tokenizer, CAPTION))
    assert text_at(tokenizer, CAPTION, positions) == says


def test_the_number_of_the_word_is_not_the_number_of_the_token(tokenizer):
    assert keyword_positions(CAPTION, "snowman", clip_offsets(tokenizer, CAPTION)) == (6,)  # the third word


def test_every_place_of_a_keyword_counts(tokenizer):
    caption = "the sun, the rain, the sun"
    positions = keyword_positions(caption, "sun", clip_offsets(tokenizer, caption))
    assert text_at(tokenizer, caption, positions) == "sun sun"


WORD = st.text("abcdefghij", min_size=1, max_size=5)


@given(st.lists(WORD, min_size=1, max_size=8), st.data())
def test_any_keyword_of_any_caption_is_found_whole(tokenizer, words, data):
    start = data.draw(st.integers(0, len(words) - 1))
    keyword = " ".join(words[start : data.draw(st.integers(start + 1, len(words)))])
    caption = " ".join(words)
    positions = keyword_positions(caption, keyword, clip_offsets(tokenizer, caption))
    assert keyword.replace(" ", "") in text_at(tokenizer, caption, positions).replace(" ", "")
    assert 1 + len("".join(words[:start])) in positions  # the start token, then a token a letter


@pytest.mark.parametrize("keyword", ["moon", "snow", "man", "red snowman", "", " ", "(", "sun comes in"])
def test_a_keyword_that_is_not_there_is_named(tokenizer, keyword):
    with pytest.raises(BadInputError) as refusal:
        keyword_positions(CAPTION, keyword, clip_offsets(tokenizer, CAPTION))
    assert repr(keyword) in str(refusal.value)
    assert CAPTION in str(refusal.value)


def test_a_keyword_behind_the_last_token_is_named(tokenizer):
    caption = "zebra " * 16 + "snowman"
    with pytest.raises(BadInputError, match="'snowman' stands behind the 77 tokens"):
        keyword_positions(caption, "snowman", clip_offsets(tokenizer, caption))


def test_no_keyword_is_refused(tokenizer):
    with pytest.raises(BadInputError, match="no keywords"):
        keyword_groups(CAPTION, (), clip_offsets(tokenizer, CAPTION))


def test_groups_say_which_of_the_kept_positions_are_whose(tokenizer):
    positions, groups = keyword_groups(CAPTION, ("sun", "tiny", "red sun"), clip_offsets(tokenizer, CAPTION))
    for keyword, says in (("sun", "sun"), ("tiny", "tiny"), ("red sun", "red sun")):
        assert text_at(tokenizer, CAPTION, [positions[place] for place in groups[keyword]]) == says


# The recording


@pytest.fixture(scope="module", params=["sd15", "sdxl"])
def pipeline(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / request.param
    (save_sdxl if request.param == "sdxl" else save_sd15)(folder)
    pipeline = DiffusionPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def draw(pipeline, captions, seeds, **options):
    return pipeline(
        captions,
        num_inference_steps=2,
        generator=[torch.Generator().manual_seed(seed) for seed in seeds],
        **options,
    ).images


def by_hand(pipeline, run, row):
    """The softmax of item ``row`` of every batch in every cross-attention on 16x16 cells, [layers * steps, 77, 16, 16],
    from the inputs that the layers get."""
    seen = []

    def see(attn, given, named, _):
        hidden = (given[0] if given else named["hidden_states"])[row]
        context = named["encoder_hidden_states"][row]
        if len(hidden) == 256:
            parts = zip(
                attn.to_q(hidden).chunk(attn.heads, -1), attn.to_k(context).chunk(attn.heads, -1), strict=True
            )
            heads = [torch.softmax(query @ key.T / query.shape[-1] ** 0.5, -1) for query, key in parts]
            seen.append(torch.stack(heads).mean(0).T.reshape(-1, 16, 16).detach().numpy())

    hooks = [
        module.register_forward_hook(see, with_kwargs=True)
        for name, module in pipeline.unet.named_modules()
        if name.endswith("attn2") and "mid_block" not in name
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return np.stack(seen)


@pytest.mark.parametrize(("guidance", "row"), [(7.5, 1), (1.0, 0)])
def test_the_conditional_branch_is_recorded(pipeline, guidance, row):
    positions = [1, 6, 9]
    with recording(pipeline.unet, (16, 16), 1, positions) as recorders:
        watched = draw(pipeline, [CAPTION], [5], guidance_scale=guidance)
    plain = by_hand(pipeline, lambda: draw(pipeline, [CAPTION], [5], guidance_scale=guidance), row)
    other = by_hand(pipeline, lambda: draw(pipeline, [CAPTION], [5], guidance_scale=guidance), 0)
    maps = recorders[0].maps()
    for place, position in enumerate(positions):
        found = maps.map([place], cells=16)
        assert np.allclose(found, plain[:, position].mean(0), rtol=1e-4, atol=1e-7)
        if guidance > 1:
            assert not np.allclose(found, other[:, position].mean(0), rtol=1e-3, atol=0)
    assert np.array_equal(watched[0], draw(pipeline, [CAPTION], [5], guidance_scale=guidance)[0])


def test_draws_that_run_together_are_recorded_each_for_itself(pipeline):
    captions, seeds = [CAPTION] * 3, [7, 8, 9]
    with recording(pipeline.unet, (16, 16), 3, [6]) as together:
        draw(pipeline, captions, seeds)
    maps = [recorder.maps().map([0]) for recorder in together]
    for seed, found in zip(seeds, maps, strict=True):
        with recording(pipeline.unet, (16, 16), 1, [6]) as alone:
            draw(pipeline, [CAPTION], [seed])
        assert np.allclose(found, alone[0].maps().map([0]), rtol=1e-3, atol=1e-6)
    assert not np.allclose(maps[0], maps[1], rtol=1e-3, atol=0)


def test_nothing_of_one_draw_is_left_in_the_next(pipeline):
    with recording(pipeline.unet, (16, 16), 1, [6]) as first:
        draw(pipeline, [CAPTION], [1])
    before = first[0].maps().map([0])
    with recording(pipeline.unet, (16, 16), 1, [6]) as second:
        draw(pipeline, [CAPTION], [2])
    assert all(len(steps) == 2 for steps in second[0].maps().layers.values())
    assert np.array_equal(first[0].maps().map([0]), before)


# The threshold


def heat(*blobs):
    """Maps [1 step, positions, 16, 16] with a bright corner of ``size`` cells for each of ``blobs``."""
    stack = np.full((1, len(blobs), 16, 16), 0.01, np.float32)
    for position, (row, column, size) in enumerate(blobs):
        stack[0, position, row : row + size, column : column + size] = 0.5
    return stack


def test_the_mask_is_the_union_over_the_keywords_of_what_exceeds_the_mean():
    maps = AttentionMaps(
        {
            "down_blocks.1.attn2": heat((0, 0, 4), (12, 12, 2)),
            "up_blocks.1.attn2": heat((0, 0, 4), (12, 12, 2)),
            "mid_block.attn2": heat((8, 0, 4), (8, 0, 4)),
        }
    )
    mask = keyword_mask(maps, {"a": [0], "b": [1]})
    expected = np.zeros((16, 16), bool)
    expected[:4, :4] = expected[12:14, 12:14] = True
    assert np.array_equal(mask, expected)
    assert keyword_mask(maps, {"a": [0]}).sum() == 16


def test_a_weak_keyword_counts_as_much_as_a_strong_one():
    stack = heat((0, 0, 4), (12, 12, 2))
    stack[:, 1] /= 1000
    mask = keyword_mask(AttentionMaps({"down_blocks.1.attn2": stack}), {"a": [0], "b": [1]})
    assert mask[12:14, 12:14].all()


@pytest.mark.parametrize("factor", [0.8125, 1.0, 1.5])
def test_the_threshold_is_a_factor_on_the_mean(factor):
    values = np.random.default_rng(0).random((16, 16)).astype(np.float32)
    mask = keyword_mask(AttentionMaps({"down_blocks.1.attn2": values[None, None]}), {"a": [0]}, factor)
    assert np.array_equal(mask, values > factor * values.mean())


def test_an_empty_mask_is_an_error_with_the_keywords():
    maps = AttentionMaps({"down_blocks.1.attn2": heat((0, 0, 4))})
    with pytest.raises(BadInputError, match="attention to ice cube exceeds 90"):
        keyword_mask(maps, {"ice cube": [0]}, threshold=90)
