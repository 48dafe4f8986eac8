"""Exaggeration: changes beyond what is natural, in shape, size and heat."""

import cv2
import numpy as np

from editworld_core.categories import Category
from editworld_core.simulation.dynamic import Happening, dynamic
from editworld_core.simulation.open_ground import either_way, find_open_spot
from editworld_core.simulation.props import find_spot, scaled, smooth
from editworld_core.simulation.sprites import Picture, Sprite, flip, load_sprite, paste, resize, stand
from editworld_core.simulation.stage import Stage

OUTDOORS = ("meadow", "hills", "beach", "desert", "snowfield")


def _warp(sprite: Sprite, source_x: np.ndarray, source_y: np.ndarray) -> Sprite:
    """The sprite sampled at the float32 positions [h, w], without fringes from transparent pixels."""
    premultiplied = np.dstack([sprite[..., :3] * sprite[..., 3:], sprite[..., 3]])
    bent = cv2.remap(premultiplied, source_x, source_y, cv2.INTER_LINEAR, borderValue=(0, 0, 0, 0))
    bent[..., :3] /= np.maximum(bent[..., 3:], 1e-4)
    return np.clip(bent, 0, 1)


def _puffed(face: Sprite, t: float) -> Sprite:
    """A face blown up and blushing: all of it grows, and below the eyes it gets wider, the more the farther out."""
    face = scaled(face, 1 + 0.3 * t)
    height, width = face.shape[:2]
    wide = round(width * (1 + 0.65 * t)) + 2
    rows, columns = np.mgrid[0:height, 0:wide].astype(np.float32)
    stretch = 1 + 0.65 * t * np.exp(-(((rows / height - 0.66) / 0.35) ** 4))
    across = (columns + 0.5 - wide / 2) / (0.5 * width * stretch)
    # The middle keeps its scale; towards the edge the slope falls, so a cheek is drawn several times as wide.
    bent = across * stretch - (stretch - 1) * across * np.abs(across)
    bent[np.abs(across) > 1] = 9
    puffed = _warp(face, (bent + 1) * width / 2 - 0.5, rows)
    away = np.hypot((np.abs(columns - wide / 2) - 0.33 * wide) / 1.2, rows - 0.68 * height) / (0.2 * height)
    blush = 0.75 * t * np.clip(1.3 - away, 0, 1)[..., None]
    puffed[..., :3] += blush * (np.asarray((0.98, 0.3, 0.3), np.float32) - puffed[..., :3])
    return puffed


@dynamic(
    category=Category.EXAGGERATION,
    keywords=("{subject}", "cheeks"),
    before="the face of a {subject} in {place}",
    after="a {subject} with cheeks inflated like balloons in {place}",
    phrasings=(
        "inflate the cheeks of the {subject}",
        "blow up the {subject}'s cheeks like a balloon",
        "the {subject}'s cheeks swell up",
        "the {subject} puffs out its cheeks",
        "make the {subject}'s face twice as wide",
        "the {subject} stuffs its whole winter supply into its mouth",
        "what if the {subject} held its breath far too long?",
        "the {subject} has enormous chubby cheeks",
        "someone pumps air into the {subject}",
        "the {subject}'s head swells like a balloon",
        "the {subject} crams fifty nuts into its mouth",
        "the {subject} has the mumps in a cartoon",
        "what happens if the {subject} takes an enormous breath?",
        "the {subject} turns round and fat in the face",
    ),
    held_out=(
        "puff up the cheeks of the {subject}",
        "the {subject}'s cheeks get as big as balloons",
        "the {subject} breathes in and holds its breath",
        "what if the {subject} filled its mouth with nuts?",
        "let the {subject}'s face be blown up with air",
    ),
)
def inflate_cheeks(stage: Stage) -> Happening:
    """The cheeks of a face swell."""
    subject = stage.choose(("cat", "hamster", "pig", "rabbit", "mouse", "panda"))
    height = stage.chance(80, 102)
    half = 1.15 * height
    spot = find_spot(stage, "meadow", "room", "garden", "beach", left=half, right=half, height=1.3 * height)
    face = load_sprite(f"{subject}-face", spot.px(height))

    def frame(t: float) -> Picture:
        picture = spot.empty()
        stand(picture, face if t == 0 else _puffed(face, smooth(t)), spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


@dynamic(
    category=Category.EXAGGERATION,
    keywords=("{subject}",),
    before="a small {subject} in {place}",
    after="a gigantic {subject} in {place}",
    phrasings=(
        "make the {subject} gigantic",
        "enlarge the {subject} enormously",
        "the {subject} grows as big as a house",
        "the {subject} becomes huge",
        "a record-breaking giant {subject}",
        "someone used far too much magic fertiliser",
        "what if the {subject} never stopped growing?",
        "the {subject} is larger than an elephant",
        "the {subject} grows to a monstrous size",
        "blow the {subject} up to twice its size",
        "this {subject} is meant for giants",
        "the {subject} wins the prize for the biggest one in the world",
        "it swells and swells until it towers over everything",
        "what happens to the {subject} after a drop of growth potion?",
    ),
    held_out=(
        "let the {subject} grow to a giant size",
        "the {subject} gets enormously big",
        "what if the {subject} grew as tall as a house?",
        "the growth potion makes the {subject} huge",
        "the biggest {subject} in the world",
    ),
)
def grow_gigantic(stage: Stage) -> Happening:
    """A small thing grows to two and a quarter times its size."""
    subject = stage.choose(("mushroom", "strawberry", "apple", "pear", "tomato", "pineapple"))
    height = stage.chance(62, 80)
    growth = 2.25
    half = 0.55 * growth * height
    spot = find_spot(
        stage,
        *("meadow", "garden", "forest", "table"),
        left=half,
        right=half,
        height=growth * height,
        subject=subject,
    )
    giant = load_sprite(subject, spot.px(growth * height))

    def frame(t: float) -> Picture:
        picture = spot.empty()
        stand(picture, scaled(giant, (1 + (growth - 1) * smooth(t)) / growth), spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


@dynamic(
    category=Category.EXAGGERATION,
    keywords=("{subject}",),
    before="a big {subject} in {place}",
    after="a tiny {subject}, small as a toy, in {place}",
    phrasings=(
        "make the {subject} tiny",
        "shrink the {subject}",
        "the {subject} becomes as small as a mouse",
        "the {subject} shrinks to the size of a toy",
        "a shrink ray hits the {subject}",
        "the {subject} would fit into a pocket now",
        "what if the {subject} were no bigger than an ant?",
        "the {subject} drinks the potion that made Alice small",
        "reduce the {subject} to a miniature",
        "only a tiny {subject} is left",
        "the mad scientist tests the shrinking machine",
        "someone washed the {subject} at ninety degrees",
        "the {subject} dwindles to almost nothing",
        "what does a pocket-sized {subject} look like?",
    ),
    held_out=(
        "let the {subject} shrink until it is tiny",
        "the {subject} gets as small as a toy",
        "what if the {subject} were the size of a mouse?",
        "the shrinking machine is pointed at the {subject}",
        "the {subject} is turned into a miniature of itself",
    ),
)
def shrink_tiny(stage: Stage) -> Happening:
    """A big thing shrinks to three tenths of its size, standing where it stood."""
    subject = stage.choose(("elephant", "hippopotamus", "tractor", "rhinoceros", "bus"))
    height = stage.chance(100, 130)
    half = 0.85 * height
    spot = find_open_spot(stage, *OUTDOORS, left=half, right=half, height=height, base=(190, 244))
    (big,) = either_way(stage, [load_sprite(subject, spot.px(height))])

    def frame(t: float) -> Picture:
        picture = spot.empty()
        stand(picture, scaled(big, 1 - 0.7 * smooth(t)), spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


STRETCHES = {  # the columns, as shares of the width, that are drawn out; what is outside them keeps its shape
    "car": (0.42, 0.56),
    "van": (0.46, 0.6),
    "dog": (0.33, 0.41),
    "taxi": (0.42, 0.56),
    "bus": (0.4, 0.5),
}


def _drawn_out(sprite: Sprite, columns: tuple[float, float], length: float) -> Sprite:
    """The sprite at ``length`` of its width, all of the gain between the two ``columns``."""
    width = sprite.shape[1]
    cut, end = (round(share * width) for share in columns)
    middle = resize(sprite[:, cut:end], end - cut + round((length - 1) * width), sprite.shape[0])
    return np.concatenate([sprite[:, :cut], middle, sprite[:, end:]], axis=1)


@dynamic(
    category=Category.EXAGGERATION,
    keywords=("{subject}",),
    before="a {subject} in {place}",
    after="a {subject} stretched to more than twice its length in {place}",
    phrasings=(
        "stretch the {subject}",
        "make the {subject} extremely long",
        "the {subject} is drawn out like chewing gum",
        "the {subject} becomes twice as long",
        "pull the {subject} apart at both ends",
        "turn the {subject} into a stretch version of itself",
        "two giants pull at the front and the back of the {subject}",
        "what if the {subject} were made of rubber?",
        "the longest {subject} in the world",
        "the {subject} is as long as a train",
        "the {subject} needs room for ten more in the middle",
        "a {subject} like a limousine",
        "the {subject}'s front half leaves while its back half stays",
        "what would a {subject} look like that nobody could park?",
    ),
    held_out=(
        "lengthen the {subject} like a limousine",
        "the {subject} is stretched like rubber",
        "what if the {subject} were twice as long?",
        "somebody pulls the two ends of the {subject} apart",
        "an unbelievably long {subject}",
    ),
)
def stretch_long(stage: Stage) -> Happening:
    """A car, a van or a dog is drawn out to more than twice its length."""
    subject = stage.choose(tuple(STRETCHES))
    width, length = stage.chance(88, 106), 2.2
    half = 0.5 * length * width + 2
    spot = find_spot(stage, "street", "desert", "beach", "meadow", left=half, right=half, height=width)
    whole = load_sprite(subject, spot.px(width))
    sprite = scaled(whole, spot.px(width) / whole.shape[1])
    mirrored = stage.chance(0, 1) < 0.5

    def frame(t: float) -> Picture:
        picture = spot.empty()
        share = smooth(t)
        long = sprite if share == 0 else _drawn_out(sprite, STRETCHES[subject], 1 + (length - 1) * share)
        stand(picture, flip(long) if mirrored else long, spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


FLAMES = {  # where they stand, in the food's heights from its middle and from its foot, and how high they are
    "chili": ((-0.46, 0.0, 1.0), (0.46, 0.0, 1.0), (0.0, 0.35, 1.15)),
    "curry": ((-0.5, 0.4, 1.1), (0.5, 0.4, 1.1), (0.0, 0.5, 1.5)),
}


@dynamic(
    category=Category.EXAGGERATION,
    keywords=("{subject}",),
    before="a {subject} in {place}",
    after="a {subject} so hot that flames burst from it in {place}",
    phrasings=(
        "the {subject} is so hot that it bursts into flames",
        "set the {subject} on fire with its own spice",
        "make the {subject} hot as hell",
        "the {subject} is spicier than anything in the world",
        "fire shoots out of the {subject}",
        "the hottest {subject} on earth",
        "what if the {subject} were a million times hotter?",
        "flames burst from the fiery {subject}",
        "one bite of this {subject} and you breathe fire",
        "the {subject} breaks every record on the hotness scale",
        "nobody survives a taste of this {subject}",
        "the {subject} is so spicy that the fire brigade is called",
        "turn the spiciness of the {subject} up to infinity",
        "what happens when the spice is a thousand times too strong?",
    ),
    held_out=(
        "let flames burst out of the spicy {subject}",
        "the {subject} is so spicy that it burns",
        "what if this were the hottest {subject} in the world?",
        "the {subject} is a thousand times too hot",
        "whoever tastes the {subject} spits fire",
    ),
)
def burst_with_spice(stage: Stage) -> Happening:
    """Flames burst from something hot."""
    subject = stage.choose(("chili", "curry"))
    height = stage.chance(88, 112) if subject == "chili" else stage.chance(72, 88)
    half = 0.95 * height
    spot = find_spot(stage, "table", "kitchen", "garden", left=half, right=half, height=2.0 * height)
    food = load_sprite(subject, spot.px(height))
    flames = [(x, y, load_sprite("fire", spot.px(tall * height))) for x, y, tall in FLAMES[subject]]

    def frame(t: float) -> Picture:
        picture = spot.empty()
        heat = smooth(t)
        for x, y, flame in flames if heat > 0.03 else ():
            paste(picture, scaled(flame, heat), spot.x + x * food.shape[0], spot.base - y * food.shape[0])
        stand(picture, food, spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})
