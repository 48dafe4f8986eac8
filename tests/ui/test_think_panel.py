"""Thinking before an edit."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from stand_in import thought
from tab import open_page, value

from editworld_core.errors import BadInputError, EngineUnavailableError
from editworld_core.think import Thought
from ui.think import THINK, Told, about_thought, plain, spoken, to_tell

TOLD = Told("the sun comes out", "a puddle", "melt the snowman")


class Mind:
    """Answers, or fails, and remembers what it was asked."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[tuple[str, Image.Image | None]] = []

    def __call__(self, instruction: str, image: Image.Image | None = None) -> Thought:
        self.asked.append((instruction, image))
        if self.failure:
            raise self.failure
        return thought(instruction, command="paint")


def test_a_thought_fills_the_fields(picture: str) -> None:
    mind = Mind()
    panel = open_page(picture, mind).tab.think
    fields = panel.fields
    first, last = panel.think(picture, "  it is  painted ")
    assert first[fields.ask]["interactive"] is False
    assert (value(last[fields.ask]), last[fields.ask]["interactive"]) == (THINK, True)
    assert mind.asked[0][0] == "it is  painted"
    assert mind.asked[0][1] is not None
    assert last[fields.outcome] == "the picture after it is  painted"
    assert last[fields.keywords] == "left, Paint"
    assert last[fields.told] == Told("it is  painted", "the picture after it is  painted", "paint")
    assert last[fields.panel]["visible"]
    assert "Physical-Trans" in last[fields.about]


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        (EngineUnavailableError("The server is away."), "The server is away. Your own words will do."),
        (RuntimeError("secret"), "Something went wrong inside the program"),
    ],
    ids=["known", "unknown"],
)
def test_a_failing_backend_leaves_the_edit_as_it_was(picture: str, failure: Exception, sentence: str) -> None:
    panel = open_page(picture, Mind(failure)).tab.think
    *_, last = panel.think(None, "it is painted")
    assert last[panel.fields.about].startswith(sentence)
    assert "secret" not in last[panel.fields.about]
    assert (last[panel.fields.outcome], last[panel.fields.told]) == ("", Told())
    assert last[panel.fields.ask]["interactive"]


def test_nothing_to_think_about_is_said_on_the_field(picture: str) -> None:
    panel = open_page(picture, Mind()).tab.think
    image, instruction = panel.check(None, " ")
    assert image["is_valid"]
    assert "The instruction is empty" in str(instruction["message"])


def test_what_the_engine_is_told() -> None:
    cause = TOLD.instruction
    assert to_tell(cause, TOLD, "a puddle", "snowman, hat") == ("melt the snowman", ("snowman",))
    assert to_tell(cause, TOLD, " a big puddle ", "puddle") == ("a big puddle", ("puddle",))
    assert to_tell(cause, replace(TOLD, command=""), "a puddle", "") == ("a puddle", ())
    assert to_tell(cause, TOLD, "", "snowman") == ("", ())
    assert to_tell("night falls", TOLD, "a puddle", "snowman") == ("", ())
    assert to_tell(cause, Told(cause, cause), cause, "sun") == ("", ("sun",))
    with pytest.raises(BadInputError, match="The text of what it looks like afterwards is too long"):
        to_tell(cause, TOLD, "x" * 501, "")


def test_only_words_that_are_told_make_a_mask() -> None:
    assert spoken("SNOWMAN, carrot nose, the", "melt the Snowman's snowman") == ("the", "snowman")
    assert spoken("", "melt it") == ()


def test_what_is_said_about_a_thought() -> None:
    plainly = about_thought(thought("it is painted", command="paint it"))
    assert plainly == (
        "**Physical-Trans**, from what the simulator knows. Unless you change it, the edit is told: “paint it”."
    )
    assert "is told this." in about_thought(thought("it is painted", source="server"))
    assert "your own words" in about_thought(thought("paint", outcome="paint"))
    assert about_thought(thought("paint", note="The server was away.")).endswith("The server was away.")


def test_a_language_models_words_are_no_markup() -> None:
    assert plain("<img src=x> [a](b) *c*") == r"\<img src=x\> \[a\]\(b\) \*c\*"


def test_the_real_think_step_fits(picture: str) -> None:
    panel = open_page(picture).tab.think
    *_, last = panel.think(None, "melt the snowman")
    assert last[panel.fields.told].instruction == "melt the snowman"
    assert "snowman" in last[panel.fields.keywords]
    assert Path(picture).exists()
