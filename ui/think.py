"""Think first: what an instruction would do to the world, as text that can be changed before the edit."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from ui import checks
from ui.notes import sentence_of
from ui.studio import Studio

if TYPE_CHECKING:
    from editworld_core.think import Thought

Updates = dict[Any, Any]
WORDS = re.compile(r"[\w'’-]+")
THINKERS = 4  # at once
FORGET = "() => ['', '', '', {__type__: 'update', visible: false}]"
THINK = "What would happen?"
SOURCES = {
    "offline": "from what the simulator knows",
    "server": "from the language model of this server",
    "local": "from a language model on this machine",
}


@dataclass(frozen=True)
class Told:
    """A thought as it came: the instruction, its outcome, and the plain command that says the same, if there is one."""

    instruction: str = ""
    outcome: str = ""
    command: str = ""


@dataclass(frozen=True)
class ThinkFields:
    """The button beside Edit, and the panel under it with a thought that can be changed."""

    ask: gr.Button
    panel: gr.Column
    outcome: gr.Textbox
    keywords: gr.Textbox
    about: gr.Markdown
    told: gr.State


def lay_out_think_button() -> gr.Button:
    """Build the button, for the row of Edit."""
    return gr.Button(THINK, min_width=190, scale=1, elem_id="think")


def lay_out_think(ask: gr.Button) -> ThinkFields:
    """Build the panel, out of sight until there is a thought."""
    with gr.Column(visible=False, elem_id="thought") as panel:
        outcome = gr.Textbox(
            label="Afterwards",
            info="Change it, and the edit is told this; empty it, and your own words count.",
            lines=2,
            max_lines=5,
            elem_id="outcome",
        )
        keywords = gr.Textbox(
            label="What changes",
            info="Where these words look is the mask; those that the edit is not told are left out.",
            max_lines=1,
            elem_id="thought-keywords",
        )
        about = gr.Markdown(elem_classes="quiet", elem_id="thought-about")
    return ThinkFields(ask, panel, outcome, keywords, about, gr.State(Told()))


class ThinkPanel:
    """The panel's handlers."""

    def __init__(
        self, studio: Studio, fields: ThinkFields, image: gr.components.Component, instruction: gr.Textbox
    ) -> None:
        self.studio, self.fields, self.image, self.instruction = studio, fields, image, instruction
        self.seen = [fields.outcome, fields.keywords, fields.about, fields.panel]
        self.shown_fields = [*self.seen, fields.told]

    def connect(self) -> None:
        """Attach the handlers."""
        self.fields.ask.click(
            self.think,
            [self.image, self.instruction],
            [self.fields.ask, *self.shown_fields],
            validator=self.check,
            trigger_mode="once",
            concurrency_limit=THINKERS,
            show_progress="hidden",
            api_name="think_on_page",
            api_visibility="private",
        )
        # in the browser, so that no thought outlives its instruction by the way to the server and back
        self.instruction.input(None, None, self.seen, js=FORGET)

    def check(self, image: str | None, instruction: str) -> list[dict[str, object]]:
        """A verdict for every input of ``think``."""
        return [checks.verdict(lambda: None), checks.verdict(lambda: checks.instruction(instruction))]

    def think(self, image: str | None, instruction: str) -> Iterator[Updates]:
        """Show what would happen; whatever goes wrong, the edit can still be made."""
        yield {self.fields.ask: gr.update(value="Thinking…", interactive=False)}
        awake = {self.fields.ask: gr.update(value=THINK, interactive=True)}
        try:
            picture = checks.picture(image) if image else None
            thought = self.studio.think(checks.instruction(instruction), picture)
        except Exception as error:
            yield {**awake, **self.show(Told(), (), f"{sentence_of(error)} Your own words will do.")}
            return
        told = Told(thought.instruction, thought.outcome, thought.command)
        yield {**awake, **self.show(told, thought.keywords, about_thought(thought))}

    def show(self, told: Told, keywords: tuple[str, ...], about: str) -> Updates:
        """The panel with a thought."""
        return {
            self.fields.told: told,
            self.fields.outcome: told.outcome,
            self.fields.keywords: ", ".join(keywords),
            self.fields.about: about,
            self.fields.panel: gr.update(visible=True),
        }

    def forget(self) -> Updates:
        """The panel without a thought, out of sight."""
        return {**self.show(Told(), (), ""), self.fields.panel: gr.update(visible=False)}


def to_tell(instruction: str, told: Told, outcome: str, keywords: str) -> tuple[str, tuple[str, ...]]:
    """What to tell the engine in place of ``instruction``, and which words of it make the mask; both may be empty.

    Args:
        told: the thought as it came; one about another instruction counts for nothing.
        outcome, keywords: what the panel says. An outcome left as it was thought is told by its command: engines that
            follow instructions were trained on commands, not on captions.

    Raises:
        BadInputError: the outcome cannot be used.
    """
    outcome = checks.aside(outcome, "text of what it looks like afterwards")
    if told.instruction != instruction or not outcome:
        return "", ()
    tell = told.command or outcome if outcome == told.outcome else outcome
    return "" if tell == instruction else tell, spoken(keywords, tell)


def spoken(keywords: str, told: str) -> tuple[str, ...]:
    """The words of ``told`` that ``keywords``, in any case and order, name."""
    wanted = {word.lower() for word in WORDS.findall(keywords)}
    return tuple(dict.fromkeys(word for word in WORDS.findall(told) if word.lower() in wanted))


def about_thought(thought: "Thought") -> str:
    """Category and source of a thought, what the edit is told, and what there is to note."""
    told = "The edit is told your own words."
    if thought.command and thought.command != thought.instruction:
        told = f"Unless you change it, the edit is told: “{plain(thought.command)}”."
    elif thought.outcome != thought.instruction:
        told = "The edit is told this."
    source = SOURCES.get(thought.source, thought.source)
    return f"**{thought.category}**, {source}. {told} {plain(thought.note)}".strip()


def plain(text: str) -> str:
    """``text`` with nothing in it that Markdown or HTML would take for its own: it may come from a language model."""
    return re.sub(r"([\\`*_{}\[\]<>()#!|~$&])", r"\\\1", text)
