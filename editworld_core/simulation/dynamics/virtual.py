"""Real-to-Virtual: a real scene moves into a world of invention: invasion, fairy tale, horror, science fiction."""

from functools import lru_cache

import cv2
import numpy as np

from editworld_core.categories import Category
from editworld_core.simulation.dynamic import Happening, dynamic
from editworld_core.simulation.open_ground import becoming, tight
from editworld_core.simulation.props import Colour, find_spot, glow, smooth
from editworld_core.simulation.sprites import (
    Picture,
    Sprite,
    crossfade,
    fade,
    flip,
    load_sprite,
    paste,
    rotate,
    stand,
    tint,
)
from editworld_core.simulation.stage import Stage

FLEET = (
    (0.2, 0.2, 0.3),
    (0.8, 0.25, 0.3),
    (0.5, 0.34, 0.38),
)  # x, y of the hulls and their width, of the size
GREEN: Colour = (0.45, 1.0, 0.4)


@lru_cache(maxsize=4)
def _saucer(width: int) -> Sprite:
    """The flying saucer, level and without the yellow beam that it is drawn with, ``width`` pixels wide."""
    whole = load_sprite("ufo", 2 * width).copy()
    red, green, blue = (whole[..., channel] for channel in range(3))
    yellow = (red > 0.6) & (green > 0.5) & (blue < 0.45)
    whole[..., 3] *= 1 - cv2.dilate(yellow.astype(np.float32), np.ones((3, 3), np.uint8))
    level = rotate(whole, 14)
    level = tight(level)
    return cv2.resize(
        level, (width, round(level.shape[0] * width / level.shape[1])), interpolation=cv2.INTER_AREA
    )


def _graded(picture: Picture, colour: Colour, share: float) -> Picture:
    """The picture as if lit by ``colour`` alone, mixed into it by ``share``."""
    light = picture.mean(-1, keepdims=True)
    return picture + share * ((0.35 * picture + 0.65 * light) * np.asarray(colour, np.float32) - picture)


def _beam(picture: Picture, x: float, top: float, bottom: float, half: float, strength: float) -> None:
    """Shine a cone of green light down from ``x``, ``top`` (pixels), in place."""
    y0, y1 = max(int(top), 0), min(int(bottom), picture.shape[0])
    rows, columns = np.mgrid[y0:y1, 0 : picture.shape[1]].astype(np.float32)
    width = half * (0.3 + 0.7 * (rows - top) / max(bottom - top, 1))
    light = strength * np.clip(1.5 * (1 - np.abs(columns - x) / width), 0, 1)[..., None]
    light *= np.clip((bottom - rows) / (0.2 * (bottom - top)), 0, 1)[..., None]
    region = picture[y0:y1]
    region += light * (np.asarray(GREEN, np.float32) - region)


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("sky",),
    before="{subject} in {place}",
    after="flying saucers of aliens with green beams above {place}, all in a green glow",
    local=False,
    phrasings=(
        "aliens invade",
        "let flying saucers appear in the sky",
        "what would happen if a massive alien invasion began?",
        "the aliens have landed",
        "put UFOs with green beams above the scene",
        "they have come from another galaxy",
        "an alien fleet attacks the earth",
        "the war of the worlds begins",
        "three UFOs hover above and shine their beams down",
        "visitors from outer space arrive in their spaceships",
        "make it a scene from an alien movie",
        "what if we were not alone in the universe and they came tonight?",
        "extraterrestrials take over the planet",
        "an eerie green light falls from strange ships in the sky",
    ),
    held_out=(
        "an invasion from outer space begins",
        "what if aliens attacked this place?",
        "UFOs show up in the sky and shine green beams down",
        "creatures from another planet arrive in flying saucers",
        "the alien spaceships are here",
    ),
)
def invade_from_space(stage: Stage) -> Happening:
    """Three flying saucers stand above the scene and throw a green light."""
    subject = stage.choose(("house", "cow", "tree", "horse", "castle", "sheep"))
    height = stage.chance(55, 85)
    spot = find_spot(
        stage, "meadow", "hills", "street", "desert", left=0.6 * height, right=0.6 * height, height=height
    )
    size = spot.picture.shape[0]
    scene = spot.empty()
    stand(scene, load_sprite(subject, spot.px(height)), spot.x, spot.base)

    def frame(t: float) -> Picture:
        if t == 0:
            return scene.copy()
        near = smooth(t)
        picture = _graded(scene, (0.5, 0.85, 0.5), near)
        for x, y, width in FLEET:
            saucer = _saucer(round(width * size))
            level = size * (y + (near - 1) * (y + width))  # they come down from above the picture
            _beam(picture, x * size, level, (0.45 + y) * 1.25 * size, 0.6 * width * size, 0.75 * near)
            paste(picture, saucer, x * size, level + 0.5 * saucer.shape[0])
        return picture

    return Happening(frame, {"subject": f"a {subject}", "place": spot.place}, everywhere=True)


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("house", "sky"),
    before="a friendly house in {place} by day",
    after="a haunted house with ghosts and a pumpkin lantern under a purple moonlit sky",
    local=False,
    phrasings=(
        "turn it into a haunted house",
        "make the house haunted",
        "ghosts move into the house",
        "it is Halloween at midnight",
        "the scene becomes a horror film",
        "what if the house were haunted?",
        "the dead come back for one night",
        "a ghost story takes place here",
        "the house is cursed and the sky turns purple",
        "the witching hour has struck",
        "let spooks and pumpkin lanterns appear around the house",
        "the trick-or-treaters dare not ring at this house",
        "restless spirits wander about in the moonlight",
        "what does the house look like in a nightmare?",
    ),
    held_out=(
        "let the house be haunted by ghosts",
        "it is the night of Halloween",
        "what if spirits haunted this house?",
        "make it a spooky scene from a horror movie",
        "at midnight the ghosts come out around the house",
    ),
)
def haunt_house(stage: Stage) -> Happening:
    """A house falls into ruin in purple moonlight, with a ghost on either side and a lantern at its door."""
    height = stage.chance(110, 135)
    half = 0.72 * height
    spot = find_spot(stage, "meadow", "hills", "garden", "street", left=half, right=half, height=height)
    size = spot.picture.shape[0]
    house, ruin = (load_sprite(name, spot.px(height)) for name in ("house", "derelict-house"))
    ghost, lantern = (
        load_sprite("ghost", spot.px(0.36 * height)),
        load_sprite("jack-o-lantern", spot.px(0.3 * height)),
    )
    moon = load_sprite("moon", round(0.2 * size))
    moon_x = (0.16 if spot.x > 0.5 * size else 0.84) * size

    def frame(t: float) -> Picture:
        picture = spot.empty()
        dark = smooth(t)
        if dark == 0:
            stand(picture, house, spot.x, spot.base)
            return picture
        picture = _graded(picture, (0.52, 0.3, 0.8), dark)
        haunted = tint(ruin, (0.5, 0.36, 0.66), 0.85)
        stand(picture, haunted if dark == 1 else crossfade(house, haunted, dark), spot.x, spot.base)
        glow(picture, moon_x, 0.15 * size, 0.22 * size, (1, 0.95, 0.6), 0.7 * dark)
        paste(picture, fade(moon, dark), moon_x, 0.25 * size)
        for side in (-1, 1):
            phantom = fade(ghost if side < 0 else flip(ghost), 0.92 * dark)
            paste(
                picture, phantom, spot.x + side * 0.55 * spot.px(height), spot.base - 0.45 * spot.px(height)
            )
        glow(
            picture,
            spot.x,
            spot.base - 0.1 * spot.px(height),
            0.4 * spot.px(height),
            (1, 0.6, 0.1),
            0.6 * dark,
        )
        paste(picture, fade(lantern, dark), spot.x, spot.base + 4 * spot.unit)
        return picture

    return Happening(frame, {"place": spot.place}, everywhere=True)


FABLES = {"house": "castle", "horse": "unicorn", "lizard": "dragon"}
GROWTH = {"house": 1.3, "horse": 1.08, "lizard": 1.3}


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("{subject}",),
    before="a {subject} in {place}",
    after="a {fabled} out of a fairy tale in {place}",
    phrasings=(
        "turn the {subject} into a {fabled}",
        "the {subject} becomes a {fabled}",
        "what if the {subject} lived in a fairy tale?",
        "put the {subject} into a world of fantasy",
        "once upon a time the {subject} was something far grander",
        "the good fairy touches the {subject} with her wand",
        "a fantasy novel begins and the {subject} is part of it",
        "the {subject} as the storyteller imagines it",
        "the {subject} enters a magical kingdom",
        "in the land of legends the {subject} looks different",
        "what does the {subject} turn into in a world full of magic?",
        "the {subject} belongs to knights and princesses now",
        "enchant the {subject}",
        "the {subject} as in an old legend",
    ),
    held_out=(
        "transform the {subject} into a {fabled}",
        "what if this {subject} were in a fairy tale?",
        "a fairy enchants the {subject} with her magic wand",
        "the {subject} in a magical fantasy world",
        "the {subject} becomes a thing of legend",
    ),
)
def enter_fairy_tale(stage: Stage) -> Happening:
    """A house becomes a castle, a horse a unicorn, a lizard a dragon."""
    subject = stage.choose(tuple(FABLES))
    fabled, growth = FABLES[subject], GROWTH[subject]
    height = stage.chance(100, 125)
    half = 0.55 * growth * height
    spot = find_spot(
        stage, "meadow", "hills", "forest", "lake", left=half, right=half, height=growth * height
    )
    suffix = "-face" if subject == "horse" else ""
    first = load_sprite(subject + suffix, spot.px(height))
    last = load_sprite(fabled + suffix, spot.px(growth * height))
    return Happening(becoming(spot, first, last), {"subject": subject, "fabled": fabled, "place": spot.place})


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("{subject}",),
    before="a {subject} in {place}",
    after="a robot with blue glowing eyes in place of the {subject} in {place}",
    phrasings=(
        "turn the {subject} into a robot",
        "make the {subject} a machine",
        "the {subject} becomes a robot",
        "the {subject} was an android all along",
        "replace the {subject} by its robotic version",
        "welcome to the year 3000, where every {subject} is a machine",
        "what if the {subject} were built in a laboratory?",
        "artificial intelligence takes the place of the {subject}",
        "the {subject} is made of metal, wires and chips",
        "in the science fiction film the {subject} runs on batteries",
        "the engineers rebuild the {subject} out of steel and circuits",
        "give the {subject} an electronic brain and an antenna",
        "the machines have taken over, even the {subject}",
        "what would a cyborg version of the {subject} look like?",
    ),
    held_out=(
        "change the {subject} into a robot",
        "what if the {subject} were a machine of metal and wires?",
        "in the science fiction future the {subject} is a robot",
        "the {subject} turns out to be an android",
        "engineers build an electronic copy of the {subject}",
    ),
)
def become_robot(stage: Stage) -> Happening:
    """An animal becomes a robot."""
    subject = stage.choose(("cat", "dog", "bear", "fox", "panda", "lion"))
    height = stage.chance(100, 145)
    half = 0.62 * height
    spot = find_spot(stage, "room", "street", "garden", "meadow", left=half, right=half, height=height)
    animal, robot = load_sprite(f"{subject}-face", spot.px(height)), load_sprite("robot", spot.px(height))
    return Happening(becoming(spot, animal, robot), {"subject": subject, "place": spot.place})


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("{subject}",),
    before="a {subject} in {place}",
    after="a zombie with grey skin and torn clothes in {place}",
    phrasings=(
        "turn the {subject} into a zombie",
        "the {subject} becomes one of the undead",
        "the zombie apocalypse begins",
        "the {subject} was bitten by a zombie",
        "a mysterious virus infects the {subject}",
        "what if the {subject} rose from the grave?",
        "make the {subject} undead with grey skin and torn clothes",
        "the {subject} is the monster of a zombie film",
        "the dead walk among us, and the {subject} is one of them",
        "the {subject} is hungry for brains",
        "the infection has reached the {subject}",
        "cast the {subject} as the monster of a survival video game",
        "what happens to the {subject} in a zombie outbreak?",
        "patient zero looks at us with empty eyes",
    ),
    held_out=(
        "change the {subject} into a zombie",
        "what if a zombie bit the {subject}?",
        "a zombie outbreak reaches this place",
        "the {subject} comes back from the dead",
        "the virus turns the {subject} into an undead monster",
    ),
)
def become_zombie(stage: Stage) -> Happening:
    """A man or a woman becomes a zombie."""
    subject = stage.choose(("man", "woman"))
    height = stage.chance(115, 160)
    half = 0.55 * height
    spot = find_spot(stage, "street", "forest", "room", "night_sky", left=half, right=half, height=height)
    person, zombie = (
        load_sprite(f"{name}", spot.px(height)) for name in (f"{subject}-bust", f"zombie-{subject}")
    )
    return Happening(becoming(spot, person, zombie), {"subject": subject, "place": spot.place})
