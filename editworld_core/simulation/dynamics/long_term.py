"""Long-Term: what weeks, years and decades do to living things and to what people built."""

import cv2
import numpy as np

from editworld_core.categories import Category
from editworld_core.simulation.dynamic import Happening, dynamic
from editworld_core.simulation.props import Spot, find_spot, main_colour, morph, scaled, slump, smooth, torn
from editworld_core.simulation.sprites import (
    Picture,
    Sprite,
    fade,
    load_sprite,
    paste,
    resize,
    stand,
    tint,
)
from editworld_core.simulation.stage import Stage


@dynamic(
    category=Category.LONG_TERM,
    keywords=("{subject}", "flower"),
    before="a fresh {subject} in bloom in {place}",
    after="a wilted brown {subject} that hangs its head in {place}",
    phrasings=(
        "wilt the {subject}",
        "make the {subject} wither",
        "turn the {subject} into a wilted flower",
        "the {subject} withers and hangs its head",
        "the {subject} after two weeks without water",
        "two weeks pass and nobody waters the {subject}",
        "the bloom is over, the {subject} is drying up",
        "what will the {subject} look like a month from now?",
        "nobody gave the flower any water",
        "what if the {subject} never gets any rain?",
        "show the flower long after its best days",
        "the flower is dying of thirst",
        "weeks later the blossom has faded",
        "the gardener forgot to water the flower",
    ),
    held_out=(
        "let the {subject} fade and droop",
        "a few weeks go by without a drop of water for the {subject}",
        "what happens to the flower when nobody waters it?",
        "the {subject} has dried out and lets its head hang",
        "it has not rained on the flower for a month",
    ),
)
def wilt_flower(stage: Stage) -> Happening:
    """A rose or a tulip becomes a wilted flower."""
    subject = stage.choose(("rose", "tulip", "sunflower"))
    height = stage.chance(105, 150)
    spot = find_spot(
        stage, "meadow", "garden", "hills", "table", left=0.5 * height, right=0.5 * height, height=height
    )
    fresh = load_sprite(subject, spot.px(height))
    wilted = load_sprite("wilted-flower", spot.px(0.86 * height))
    brown = {"rose": (0.62, 0.36, 0.3), "tulip": (0.62, 0.34, 0.55), "sunflower": (0.6, 0.42, 0.14)}[subject]
    wilted = tint(wilted, brown, 0.75)

    def frame(t: float) -> Picture:
        picture = spot.empty()
        drooping = slump(tint(fresh, brown, 0.9 * smooth(t, 0, 0.6)), smooth(t, 0, 0.7), 0.75, 1.0)
        stand(picture, morph(drooping, wilted, smooth(t, 0.5, 0.9)), spot.x, spot.base, 0.35)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


def _bust(
    head: Sprite, colour: tuple[float, float, float], skin: tuple[float, float, float], depth: int
) -> Sprite:
    """The neck and the shoulders in a pullover that belong under ``head``, ``depth`` pixels high."""
    width = round(1.75 * head.shape[1])
    scale = 3
    shoulders = np.zeros((scale * depth, scale * width), np.uint8)
    neck = np.zeros_like(shoulders)
    middle = scale * width // 2
    top = round(scale * 0.16 * head.shape[0])
    axes = (round(0.5 * scale * width) - 2, round(0.55 * scale * head.shape[0]))
    cv2.ellipse(shoulders, (middle, top + axes[1]), axes, 0, 0, 360, 255, -1)
    shoulders[top + axes[1] :, 2:-2] = 255
    half = round(0.19 * scale * head.shape[1])
    cv2.rectangle(neck, (middle - half, 0), (middle + half, top), 255, -1)
    cv2.ellipse(neck, (middle, top), (half, round(0.7 * half)), 0, 0, 360, 255, -1)
    body, throat = (
        cv2.resize(m, (width, depth), interpolation=cv2.INTER_AREA) / np.float32(255)
        for m in (shoulders, neck)
    )
    out = np.zeros((depth, width, 4), np.float32)
    across = np.abs(np.linspace(-1, 1, width, dtype=np.float32))[None, :, None]
    out[..., :3] = np.asarray(colour, np.float32) * (1.08 - 0.35 * across**2)
    out[..., :3] += throat[..., None] * (0.86 * np.asarray(skin, np.float32) - out[..., :3])
    out[..., 3] = np.maximum(body, throat)
    return np.clip(out, 0, 1)


CLOTHES = ((0.2, 0.38, 0.68), (0.65, 0.2, 0.22), (0.2, 0.5, 0.36), (0.85, 0.62, 0.2), (0.42, 0.3, 0.55))
AGED = {"boy": "old-man", "man": "old-man", "girl": "old-woman", "woman": "old-woman"}


@dynamic(
    category=Category.LONG_TERM,
    keywords=("{subject}", "face"),
    before="a young {subject} in {place}",
    after="the same person as an {aged} with grey hair and wrinkles in {place}",
    phrasings=(
        "make the {subject} old",
        "age the {subject} by sixty years",
        "turn the {subject} into an {aged}",
        "sixty years pass",
        "the {subject} grows old",
        "a lifetime later",
        "the {subject} has become a grandparent",
        "what will the {subject} look like at eighty?",
        "show the {subject} with grey hair and wrinkles",
        "the person is celebrating an eightieth birthday",
        "imagine this face in sixty years",
        "a whole life has gone by for the {subject}",
        "the {subject} retired long ago",
        "how would the {subject} look as a pensioner?",
    ),
    held_out=(
        "let the {subject} become an {aged}",
        "many decades go by and the {subject} gets old",
        "what does this person look like when very old?",
        "the hair of the {subject} turns grey with age",
        "picture the {subject} at the age of eighty",
    ),
    alone=True,
)
def grow_old(stage: Stage) -> Happening:
    """A young face becomes an old one on the same shoulders."""
    subject, tone = stage.choose(tuple(AGED)), stage.choose(("light", "dark"))
    height = stage.chance(100, 128)
    backdrop = (
        stage.backdrop() if stage.chance(0, 1) < 0.5 else stage.backdrop("room", "garden", "street", "hills")
    )
    unit = stage.size / 256
    chin = stage.chance(176, 200) * unit
    spot = Spot(backdrop.picture, backdrop.place, stage.chance(96, 160) * unit, chin, unit)
    young = load_sprite(f"{subject}-{tone}", spot.px(height))
    aged = load_sprite(f"{AGED[subject]}-{tone}", spot.px(0.95 * height))
    skin = main_colour(young[round(0.62 * young.shape[0]) : round(0.72 * young.shape[0])])
    depth = stage.size - round(chin) + round(0.1 * young.shape[0])
    bust = _bust(young, stage.choose(CLOTHES), skin, depth)
    ground = spot.empty()
    paste(ground, bust, spot.x, stage.size)

    def frame(t: float) -> Picture:
        picture = ground.copy()
        paste(picture, morph(young, aged, smooth(t)), spot.x, chin)
        return picture

    words = {"subject": subject, "aged": AGED[subject].replace("-", " "), "place": spot.place}
    return Happening(frame, words)


@dynamic(
    category=Category.LONG_TERM,
    keywords=("{subject}", "tree"),
    before="a small {subject} in {place}",
    after="a tall full-grown tree in {place}",
    phrasings=(
        "grow the {subject} into a tree",
        "make the {subject} a big tree",
        "let the little plant grow up",
        "the {subject} grows into a tall tree",
        "twenty years later the {subject} is a tree",
        "many summers go by and the {subject} keeps growing",
        "what will become of the {subject} in thirty years?",
        "the plant is given decades of sun and rain",
        "nobody cuts the {subject} for half a century",
        "show the {subject} full-grown",
        "what if we wait twenty years for the {subject}?",
        "the young plant has reached its full height",
        "now it is tall enough to give shade",
        "the children who planted the {subject} are grown up now",
    ),
    held_out=(
        "turn the {subject} into a full-grown tree",
        "decades of sunshine and rain let the little plant grow",
        "how big will the {subject} be in twenty years?",
        "years go by and the {subject} gets taller and taller",
        "it has become a tall tree that gives shade",
    ),
)
def grow_tree(stage: Stage) -> Happening:
    """A seedling or a tiny fir becomes a tree."""
    subject, grown_name = stage.choose((("seedling", "tree"), ("sapling", "fir")))
    height = stage.chance(140, 175)
    half = 0.45 * height
    spot = find_spot(stage, "meadow", "hills", "garden", "snowfield", left=half, right=half, height=height)
    young_name = "seedling" if subject == "seedling" else "fir"
    young = load_sprite(young_name, spot.px(0.3 * height))
    grown = load_sprite(grown_name, spot.px(height))

    def frame(t: float) -> Picture:
        size = 0.3 + 0.7 * smooth(t)
        shape = resize(grown, round(grown.shape[1] * size), round(grown.shape[0] * size))
        picture = spot.empty()
        stand(picture, morph(scaled(young, 1 + 0.4 * t), shape, smooth(t, 0, 0.5)), spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


@dynamic(
    category=Category.LONG_TERM,
    keywords=("{subject}", "house"),
    before="a well-kept {subject} in {place}",
    after="a derelict, boarded-up {subject} in {place}",
    phrasings=(
        "make the {subject} derelict",
        "let the {subject} fall into ruin",
        "turn the {subject} into an abandoned house",
        "the {subject} decays",
        "nobody has lived here for fifty years",
        "the owners moved away decades ago",
        "the {subject} stands empty for half a century",
        "what becomes of the {subject} if nobody looks after it?",
        "the windows are boarded up and the plaster crumbles",
        "show the {subject} after forty years without repairs",
        "the {subject} was abandoned long ago",
        "everybody left and never came back",
        "what if the {subject} is left to itself for decades?",
        "the family that lived here died out",
    ),
    held_out=(
        "let the {subject} become a ruin",
        "the people who lived here left decades ago",
        "what does the {subject} look like after fifty years of neglect?",
        "for half a century nobody has repaired the {subject}",
        "the {subject} is abandoned and boarded up",
    ),
)
def abandon_house(stage: Stage) -> Happening:
    """A house becomes a derelict house."""
    subject = stage.choose(("house", "cottage"))
    height = stage.chance(105, 150)
    half = 0.6 * height
    spot = find_spot(stage, "meadow", "hills", "garden", "street", left=half, right=half, height=height)
    house = load_sprite(subject, spot.px(height))
    ruin = load_sprite("derelict-house", spot.px(0.94 * height))
    ruin = tint(ruin, (0.55, 0.52, 0.46), 0.6)

    def frame(t: float) -> Picture:
        picture = spot.empty()
        stand(picture, morph(house, ruin, smooth(t)), spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


@dynamic(
    category=Category.LONG_TERM,
    keywords=("egg", "chick"),
    before="an egg in {place}",
    after="a chick that has just hatched from its egg in {place}",
    phrasings=(
        "hatch the egg",
        "let a chick hatch from the egg",
        "turn the egg into a chick",
        "the egg hatches",
        "three weeks in the warm nest",
        "the hen has sat on the egg for three weeks",
        "what is growing inside the egg?",
        "the chick is ready to come out",
        "something inside pecks through the shell",
        "a baby bird is born",
        "what if the egg is kept warm for twenty-one days?",
        "the brooding is over",
        "the egg lies in the incubator until its time has come",
        "show the newborn chick",
    ),
    held_out=(
        "a chick comes out of the egg",
        "the hen broods for three weeks",
        "what happens when the egg is kept warm in the nest?",
        "a little bird pecks its way out of the shell",
        "the egg is hatching now",
    ),
)
def hatch_egg(stage: Stage) -> Happening:
    """An egg becomes a chick in half a shell."""
    height = stage.chance(92, 125)
    half = 0.56 * height
    spot = find_spot(stage, "garden", "meadow", "table", "kitchen", left=half, right=half, height=height)
    egg = load_sprite("egg", spot.px(height))
    cap, _ = torn(egg)
    chick = load_sprite("hatching-chick", spot.px(1.05 * height))
    colours = chick[..., :3]
    shell = np.clip((colours.min(-1) - 0.42) / 0.12, 0, 1)[..., None]
    chick = chick.copy()
    chick[..., :3] += shell * (np.clip(colours * np.array((1.0, 0.76, 0.56), np.float32), 0, 1) - colours)

    def frame(t: float) -> Picture:
        picture = spot.empty()
        hatched = smooth(t, 0.3, 1)
        if hatched <= 0:
            stand(picture, egg, spot.x, spot.base)
            return picture
        stand(picture, scaled(chick, 0.82 + 0.18 * hatched), spot.x, spot.base)
        lifted = 0.44 + 0.6 * hatched
        paste(picture, fade(cap, 1 - hatched), spot.x, spot.base - lifted * egg.shape[0])
        return picture

    return Happening(frame, {"place": spot.place})
