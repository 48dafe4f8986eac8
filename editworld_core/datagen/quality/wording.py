"""How an instruction is worded: length, variety, reading grade, and whether it commands or tells a cause."""

import re
from typing import Literal

Kind = Literal["command", "question", "statement"]

WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*|\d+(?:[.,]\d+)*")
COURTESIES = frozenset("please now then just kindly".split())
# First words of instructions to an image editor; what the training phrasings of the simulator begin with is among them.
COMMANDS = frozenset(
    """add age alter animate apply bake bathe bend blow blur boil break brighten bring build burn burst bury cast change
    clean close colour color convert cover crack create crop cut darken decorate delete digitise digitize draw dress
    drop dry edit empty enchant enlarge erase erode explode extend fade fill fix flip flood fly freeze get give grow
    hang hatch have heat hide hit imagine increase inflate insert invert keep knock launch lay leave lengthen let lift
    light lower make melt mirror modify move open paint park peel pixelate place plant pop pour prick project puff pull
    push put raise rebuild reduce remove render repair replace restore reverse rewind rotate rust scale send set shatter
    show shrink sink sketch slice smash spill spin split spread sprinkle squash squeeze stretch style switch take tear
    thaw throw tilt tip transform turn undo use wait warm wash wet wilt wrap zoom""".split()
)
QUESTIONS = frozenset("what how where who which why when would could can will is are does do".split())


def words_of(text: str) -> list[str]:
    """The words of ``text`` in lower case; what an apostrophe or a hyphen joins is one word.

    >>> words_of("The snowman's well-lit, at 5!")
    ['the', "snowman's", 'well-lit', 'at', '5']
    """
    return [word.lower().replace("’", "'") for word in WORD.findall(text)]


def kind_of(instruction: str) -> Kind:
    """What kind of sentence ``instruction`` is, by its first word and its question mark.

    >>> kind_of("Melt the snowman"), kind_of("What if the sun comes out?"), kind_of("the sun comes out")
    ('command', 'question', 'statement')
    """
    words = [word for word in words_of(instruction) if word not in COURTESIES]
    if instruction.rstrip(" \"'”’)").endswith("?") or (words and words[0] in QUESTIONS):
        return "question"
    return "command" if words and words[0] in COMMANDS else "statement"


def complexity(instruction: str) -> dict[str, float | None]:
    """The measures of how complex an instruction is; None each if it has no words.

    ``reading_grade`` is the index of Coleman and Liau (1975), 0.0588 L - 0.296 S - 15.8, of letters L and sentences S
    in a hundred words; it counts no syllables, so it needs no dictionary.
    """
    words = words_of(instruction)
    if not words:
        return dict.fromkeys(("words", "distinct_words", "type_token_ratio", "reading_grade", "cause"))
    letters = sum(character.isalnum() for word in words for character in word)
    sentences = max(1, len(re.findall(r"[.!?…]+(?=\s|$)", instruction)))
    hundred = 100 / len(words)
    return {
        "words": float(len(words)),
        "distinct_words": float(len(set(words))),
        "type_token_ratio": len(set(words)) / len(words),
        "reading_grade": 0.0588 * letters * hundred - 0.296 * sentences * hundred - 15.8,
        "cause": float(kind_of(instruction) != "command"),
    }
