"""What a language model is told so that it writes quadruples: the task, worked examples of every category, and scenes.

The published scripts had ten examples, all of them physical; here every category has its own. Nothing that a model
wrote ever becomes part of what a model is asked: the messages depend on the category, the seed and the turn alone. So
a caption that reads like an order cannot change the task. Variety comes from scenes drawn anew for each turn.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from editworld_core.categories import Category
from editworld_core.language import Message

LONGEST_TEXT = 200  # characters that a local model may write into one text

TASK = """You write a data set for an image editor that follows world instructions: texts that name a cause, a lapse \
of time or a turn of a story, from which the editor must simulate what the world does. Each entry has four things:
- original_caption: one plain sentence on a picture that could be photographed or painted, naming its main things and \
its place; at most 25 words.
- instruction: what happens, as a user would type it: at times a command, at times a question, often only the cause. \
It never describes the result itself.
- target_caption: what the same picture shows afterwards, at most 25 words. Same place and same things, but for what \
the instruction changes; everything in it is visible, nothing is explained.
- keywords: one to four nouns in lower case: the things that change. Copy each letter by letter from one of the \
captions; the first must be a word of original_caption.

Be concrete and varied in subject, place, style of instruction and kind of change. No names of living people, brands \
or artists, no lists of style words, no markup."""

MEANING: dict[Category, str] = {
    Category.LONG_TERM: "much time passes, from weeks to centuries, and leaves its traces",
    Category.PHYSICAL_TRANS: "a thing changes its physical state or form: it melts, burns, freezes, fills, cooks",
    Category.IMPLICIT_LOGIC: "a small cause is named, and common sense says what the picture then shows",
    Category.STORY_TYPE: "a person, an animal or a thing enters the next chapter of a story",
    Category.REAL_TO_VIRTUAL: "the real scene becomes a virtual, fantastic, drawn or invaded one",
    Category.SPATIAL_TRANS: "something moves or turns, or the view onto it does",
    Category.EXAGGERATION: "something changes beyond what is natural: it swells, stretches, multiplies, overdoes it",
}


@dataclass(frozen=True)
class Example:
    """A worked example: the texts of a quadruple."""

    original_caption: str
    instruction: str
    target_caption: str
    keywords: tuple[str, ...]

    def as_answer(self) -> dict[str, Any]:
        """As a language model should write it."""
        return {
            "original_caption": self.original_caption,
            "instruction": self.instruction,
            "target_caption": self.target_caption,
            "keywords": list(self.keywords),
        }


EXAMPLES: dict[Category, tuple[Example, ...]] = {
    Category.LONG_TERM: (
        Example(
            "a freshly painted rowing boat moored at a wooden jetty",
            "Nobody comes back for forty years.",
            "a rotten rowing boat, half sunk and green with algae, at a crumbling wooden jetty",
            ("rowing boat", "jetty"),
        ),
        Example(
            "a newly planted vineyard of thin young vines on a sunny slope",
            "What will grow here by the time the children are grown up?",
            "a vineyard of thick gnarled vines heavy with grapes on a sunny slope",
            ("vines", "grapes"),
        ),
        Example(
            "a shiny copper dome on a city library under a blue sky",
            "let two centuries of rain fall on it",
            "a dull green copper dome streaked with verdigris on a city library under a blue sky",
            ("dome",),
        ),
        Example(
            "a bowl of ripe peaches on a kitchen windowsill",
            "The family is away for the whole of August.",
            "a bowl of shrivelled peaches covered with grey mould on a kitchen windowsill",
            ("peaches", "mould"),
        ),
    ),
    Category.PHYSICAL_TRANS: (
        Example(
            "a bar of chocolate on the dashboard of a car",
            "park the car in the blazing sun",
            "a brown puddle of melted chocolate running down the dashboard of a car",
            ("chocolate",),
        ),
        Example(
            "raw dough in a round baking tin beside an oven",
            "Bake it for forty minutes.",
            "a risen golden-brown loaf in a round baking tin beside an oven",
            ("dough", "loaf"),
        ),
        Example(
            "a steaming fountain in a town square in autumn",
            "what if it drops to minus twenty tonight?",
            "a fountain frozen into hanging icicles and sheets of ice in a town square",
            ("fountain", "ice"),
        ),
        Example(
            "a neat stack of paper letters in a stone fireplace",
            "Someone holds a match to the lowest sheet.",
            "a stack of blackened letters curling in orange flames in a stone fireplace",
            ("letters", "flames"),
        ),
    ),
    Category.IMPLICIT_LOGIC: (
        Example(
            "a cat crouching on a shelf next to a row of porcelain cups",
            "The cat wants to get past.",
            "a cat on a shelf looking down at broken porcelain cups on the floor",
            ("cups", "cat"),
        ),
        Example(
            "a man in a white shirt eating spaghetti at a restaurant table",
            "a waiter bumps into his elbow",
            "a man in a white shirt with a big red sauce stain at a restaurant table",
            ("shirt", "stain"),
        ),
        Example(
            "a dry riverbed with a small stone bridge below a dam",
            "What happens once the dam gives way?",
            "a torrent of brown water rushing over a small stone bridge in a riverbed",
            ("riverbed", "water", "bridge"),
        ),
        Example(
            "a classroom of pupils writing at their desks",
            "the bell rings for the holidays",
            "an empty classroom with chairs pushed back and papers left on the desks",
            ("pupils", "chairs", "papers"),
        ),
    ),
    Category.STORY_TYPE: (
        Example(
            "a girl in a school uniform looking up at an old telescope",
            "Twenty years on she is the first person on Mars.",
            "a woman in a white space suit standing beside an old telescope on red Martian ground",
            ("girl", "woman", "space suit"),
        ),
        Example(
            "a hungry stray dog in the rain at a bus stop",
            "What if a kind old lady passes by?",
            "a happy clean dog wrapped in a blanket on the lap of an old lady at a bus stop",
            ("dog", "lady", "blanket"),
        ),
        Example(
            "a baker behind the counter of a tiny shop with bare shelves",
            "his bread wins the national prize",
            "a proud baker with a golden medal behind the counter of a tiny shop crowded with customers",
            ("baker", "medal", "shelves"),
        ),
        Example(
            "a knight riding towards a dark cave in the mountains",
            "The dragon turns out to be friendly.",
            "a knight sharing a picnic with a smiling dragon in front of a dark cave in the mountains",
            ("knight", "dragon"),
        ),
    ),
    Category.REAL_TO_VIRTUAL: (
        Example(
            "a busy fish market at a harbour in the morning",
            "What if this were a level in a game from the eighties?",
            "a fish market at a harbour in blocky pixel graphics with a score in the corner",
            ("market", "harbour"),
        ),
        Example(
            "a business district of glass towers at noon",
            "giant jellyfish from another planet arrive",
            "a business district of glass towers with giant glowing jellyfish floating between them",
            ("towers", "jellyfish"),
        ),
        Example(
            "a grandmother knitting in an armchair by the window",
            "She falls into the pages of a comic.",
            "a grandmother knitting in an armchair, drawn with bold ink lines and dotted colours",
            ("grandmother", "armchair"),
        ),
        Example(
            "a forest path covered with autumn leaves",
            "a spell is cast over the woods",
            "a forest path with glowing mushrooms, floating lanterns and purple leaves",
            ("leaves", "mushrooms", "lanterns"),
        ),
    ),
    Category.SPATIAL_TRANS: (
        Example(
            "a teapot on a table with its spout to the left",
            "Turn it round to pour for the guest on the other side.",
            "a teapot on a table with its spout to the right",
            ("teapot", "spout"),
        ),
        Example(
            "a skateboarder at the top of a concrete ramp",
            "he pushes off",
            "a skateboarder crouching at the bottom of a concrete ramp",
            ("skateboarder",),
        ),
        Example(
            "a lighthouse seen from the beach below",
            "What does a passing gull see?",
            "a lighthouse and the beach seen from high above, with waves all around",
            ("lighthouse", "beach"),
        ),
        Example(
            "a closed violin case lying on a bed",
            "The violinist gets ready to play.",
            "an open violin case with a violin inside lying on a bed",
            ("violin case", "violin"),
        ),
    ),
    Category.EXAGGERATION: (
        Example(
            "a small pumpkin in a vegetable garden beside a shed",
            "the gardener used the whole sack of fertiliser",
            "an enormous pumpkin that crushes the shed in a vegetable garden",
            ("pumpkin", "shed"),
        ),
        Example(
            "a rooster crowing on a farm gate",
            "He crows as loud as he possibly can.",
            "a rooster with a gigantic wide-open beak bending the farm gate with its voice",
            ("rooster", "beak", "gate"),
        ),
        Example(
            "a woman with a tidy bun at the hairdresser's",
            "What if the hair tonic works far too well?",
            "a woman at the hairdresser's whose hair fills the room up to the ceiling",
            ("bun", "hair"),
        ),
        Example(
            "a boy blowing a bubble of pink chewing gum in a park",
            "keep blowing and do not stop",
            "a boy lifted into the air by a huge bubble of pink chewing gum above a park",
            ("bubble", "boy"),
        ),
    ),
}

SCENES = tuple(
    """a mountain village|a fishing harbour|a railway station|a city street|a park with a pond|a vegetable garden
a sandy beach|a pine forest|a wheat field|a river valley|an old stone bridge|a farmyard|a desert road|a castle courtyard
a country road|a market square|a snowy hillside|a terraced house|a lake with a jetty|a playground
a kitchen|a living room|a workshop|a classroom|a library|a greenhouse|a museum hall|a bakery|a train carriage|an attic
a hospital room|a theatre stage|a swimming pool|a football pitch|a construction site|an airport|a rooftop terrace
a campsite|a vineyard|a windmill on a dyke|a tropical island|a canal with boats|a cave|a waterfall|a zoo|a stable
a barber's shop|a laundry room|a bus stop|a birthday table|a writing desk|a bathroom|a cellar|a lighthouse|a jungle
a temple garden|a petrol station|a suburban front yard|an orchard|a funfair""".replace("\n", "|").split("|")
)
"""Places to think of, so that no two turns ask for the same."""

_ITEM: dict[str, Any] = {
    "type": "object",
    "properties": {
        "original_caption": {"type": "string", "maxLength": LONGEST_TEXT},
        "instruction": {"type": "string", "maxLength": LONGEST_TEXT},
        "target_caption": {"type": "string", "maxLength": LONGEST_TEXT},
        "keywords": {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 4},
    },
    "required": ["original_caption", "instruction", "target_caption", "keywords"],
    "additionalProperties": False,
}


def schema(count: int) -> dict[str, Any]:
    """The JSON schema of an answer with ``count`` quadruples: one alone is flat, which small models manage.

    Several carry no lengths: one text too long must not cost the others, so each is judged on its own afterwards.
    """
    if count == 1:
        return _ITEM
    bare = {"type": "string"}
    properties = dict.fromkeys(_ITEM["properties"], bare) | {"keywords": {"type": "array", "items": bare}}
    items = {**_ITEM, "properties": properties}
    return {
        "type": "object",
        "properties": {"quadruples": {"type": "array", "items": items}},
        "required": ["quadruples"],
        "additionalProperties": False,
    }


def prompt(category: Category, count: int, rng: np.random.Generator) -> list[Message]:
    """The messages that ask for ``count`` new quadruples of ``category``; ``rng`` draws scenes and examples' order."""
    examples = [EXAMPLES[category][int(place)] for place in rng.permutation(len(EXAMPLES[category]))]
    scenes = [SCENES[int(place)] for place in rng.choice(len(SCENES), count, replace=count > len(SCENES))]
    talk: list[Message] = [{"role": "system", "content": TASK}]
    groups = [examples] if count > 1 else [[example] for example in examples]
    for group in groups:
        talk.append({"role": "user", "content": _question(category, len(group), ())})
        talk.append({"role": "assistant", "content": _answer([example.as_answer() for example in group])})
    return [*talk, {"role": "user", "content": _question(category, count, scenes)}]


def _question(category: Category, count: int, scenes: Sequence[str]) -> str:
    what = f"Category {category.value}: {MEANING[category]}.\n"
    entries = "one new entry" if count == 1 else f"a list of {count} new entries, each on another subject"
    places = f" Places to think of: {'; '.join(scenes)}." if scenes else ""
    return f"{what}Write {entries}.{places}"


def _answer(entries: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps(entries[0] if len(entries) == 1 else {"quadruples": list(entries)})
