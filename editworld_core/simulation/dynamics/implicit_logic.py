"""Implicit-Logic: a small cause is named, and common sense says what it leads to."""

from collections.abc import Callable

import cv2
import numpy as np

from editworld_core.categories import Category
from editworld_core.simulation.dynamic import Happening, dynamic
from editworld_core.simulation.props import (
    DRINKS,
    Spot,
    blend,
    find_spot,
    glass,
    glow,
    main_colour,
    puddle,
    scaled,
    smooth,
    torn,
)
from editworld_core.simulation.sprites import (
    Picture,
    Sprite,
    load_sprite,
    paste,
    resize,
    rotate,
    shadow,
    stand,
    tint,
)
from editworld_core.simulation.stage import Stage


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("glass", "{drink}"),
    before="a full glass of {drink} in {place}",
    after="a glass lying on its side with the {drink} spilled in {place}",
    phrasings=(
        "knock over the glass",
        "tip the glass over",
        "spill the {drink}",
        "the glass falls over",
        "the cat bumps into the glass",
        "somebody's elbow hits the glass",
        "a child pulled at the tablecloth",
        "what if somebody pushes against the glass?",
        "the {drink} is spilled everywhere",
        "a clumsy guest reached across for the salt",
        "the glass got a push from the left",
        "what happens when the dog's tail hits the glass?",
        "an earthquake shakes the glass of {drink}",
        "the glass lies on its side in a puddle of {drink}",
    ),
    held_out=(
        "make the glass fall over",
        "a cat jumps up and pushes the glass",
        "what happens if someone bumps against the glass?",
        "there is spilled {drink} and the glass has tipped over",
        "somebody knocked the glass with an elbow",
    ),
)
def knock_over_glass(stage: Stage) -> Happening:
    """A full glass falls to the right and spills its drink."""
    drink = stage.choose(tuple(DRINKS))
    height = stage.chance(80, 105)
    left, right = 0.4 * height, 1.95 * height
    spot = find_spot(stage, "table", "kitchen", "room", left=left, right=right, height=height)
    full = glass(spot.px(height), DRINKS[drink], 0.88)
    empty = glass(spot.px(height), DRINKS[drink], 0.0)
    tall, wide = full.shape[:2]
    edge = spot.x + 0.4 * wide

    def frame(t: float) -> Picture:
        picture = spot.empty()
        fallen, spilled = smooth(t, 0, 0.6), smooth(t, 0.35, 1)
        angle = np.pi / 2 * fallen
        puddle(picture, edge + 1.05 * tall, spot.base - 3, spilled * 0.62 * tall, DRINKS[drink], 0.96)
        shape = full if spilled == 0 else empty
        x = edge - 0.4 * wide * np.cos(angle) + tall / 2 * np.sin(angle)
        if fallen:
            shape = rotate(shape, -90 * fallen)
        stand(picture, shape, x, spot.base, 0.35)
        return picture

    return Happening(frame, {"drink": drink, "place": spot.place})


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("egg", "shell", "yolk"),
    before="a whole egg in {place}",
    after="a broken egg, its yolk run out between the shells, in {place}",
    phrasings=(
        "break the egg",
        "smash the egg",
        "crack the egg open",
        "the egg is broken",
        "somebody dropped the egg",
        "the egg falls from the shelf",
        "hit the egg with a hammer",
        "what if the egg falls on the hard floor?",
        "a stone lands on the egg",
        "the yolk runs out",
        "somebody stepped on the egg by accident",
        "the cook needs egg white and yolk",
        "what happens when the egg slips out of my hand?",
        "the shell could not take the blow",
    ),
    held_out=(
        "make the egg break",
        "the egg was dropped on the floor",
        "what happens if someone treads on the egg?",
        "the egg shell is smashed and the yolk flows out",
        "something heavy hits the egg",
    ),
)
def break_egg(stage: Stage) -> Happening:
    """An egg breaks into two shells with the yolk between them."""
    height = stage.chance(92, 125)
    half = 0.72 * height
    spot = find_spot(stage, "table", "kitchen", "street", "garden", left=half, right=half, height=height)
    egg = load_sprite("egg", spot.px(height))
    upper, lower = torn(egg)
    tall, wide = egg.shape[:2]

    def frame(t: float) -> Picture:
        picture = spot.empty()
        if t <= 0:
            stand(picture, egg, spot.x, spot.base)
            return picture
        broken = smooth(t)
        puddle(picture, spot.x, spot.base - 0.08 * tall, broken * 0.62 * tall, (0.97, 0.95, 0.86), 0.92, 0.3)
        cap, cup = (
            rotate(scaled(upper, 1 - 0.25 * broken), -115 * broken),
            rotate(scaled(lower, 1 - 0.25 * broken), 70 * broken),
        )
        stand(picture, cup, spot.x - 0.62 * wide * broken, spot.base - 0.1 * tall * broken, 0.4)
        fall = (1 - broken) * 0.44 * tall
        stand(
            picture, cap, spot.x + 0.62 * wide * broken, spot.base - fall - 0.1 * tall * broken, 0.4 * broken
        )
        puddle(picture, spot.x, spot.base - 0.06 * tall, broken * 0.25 * tall, (1.0, 0.66, 0.05), 1.0, 0.62)
        return picture

    return Happening(frame, {"place": spot.place})


BALLOONS = {"red": 0, "blue": 112, "green": 65, "yellow": 25, "purple": 138}  # turns of OpenCV's hue, 0..179


def _recolour(balloon: Sprite, hue: int) -> Sprite:
    hsv = cv2.cvtColor(np.ascontiguousarray(balloon[..., :3]), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = np.where(np.abs(hsv[..., 0] - 205) < 25, hsv[..., 0], hue * 2)
    return np.dstack([cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), balloon[..., 3]])


def _scraps(balloon: Sprite) -> list[Sprite]:
    """Torn pieces of the balloon's skin, always in the same shapes."""
    height, width = balloon.shape[:2]
    centre = np.array([0.64 * width, 0.33 * height])
    pieces = []
    for turn in range(5):
        angles = np.deg2rad(turn * 72 + np.array([0, 14, 25, 40, 52, 70]))
        radii = height * np.array([0.34, 0.25, 0.34, 0.22, 0.34, 0.3])
        rim = centre + radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], -1)
        shape = np.zeros((height, width), np.uint8)
        cv2.fillPoly(shape, [np.rint(np.vstack([centre[None], rim])).astype(np.int32)], 255, cv2.LINE_AA)
        piece = balloon.copy()
        piece[..., 3] *= shape / np.float32(255)
        rows, columns = np.nonzero(piece[..., 3] > 0.02)
        pieces.append(scaled(piece[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], 0.62))
    return pieces


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("balloon",),
    before="a {colour} balloon in {place}",
    after="scraps of a burst {colour} balloon on the ground in {place}",
    phrasings=(
        "pop the balloon",
        "burst the balloon",
        "make the {colour} balloon burst",
        "the balloon pops",
        "prick the balloon with a needle",
        "a needle touches the balloon",
        "the {colour} balloon meets a thorn",
        "what if somebody sticks a pin into the balloon?",
        "a loud bang frightens the children",
        "the balloon was blown up too much",
        "only scraps of rubber are left",
        "a bird pecks at the balloon",
        "what happens when the cat's claws reach the balloon?",
        "somebody throws a dart at the {colour} balloon",
    ),
    held_out=(
        "let the balloon burst",
        "somebody pokes the balloon with a pin",
        "what happens when a thorn touches the balloon?",
        "with a bang the {colour} balloon is in shreds",
        "a dart hits the balloon",
    ),
)
def pop_balloon(stage: Stage) -> Happening:
    """A balloon is gone but for its scraps, which lie below where it was."""
    colour = stage.choose(tuple(BALLOONS))
    height = stage.chance(115, 150)
    half = 0.55 * height
    spot = find_spot(stage, "meadow", "garden", "street", "room", left=half, right=half, height=height + 22)
    balloon = _recolour(load_sprite("balloon", spot.px(height)), BALLOONS[colour])
    scraps = _scraps(balloon)
    tall = balloon.shape[0]
    hover = spot.base - 18 * spot.unit

    def frame(t: float) -> Picture:
        picture = spot.empty()
        if t <= 0:
            shadow(picture, balloon, spot.x, spot.base, 0.25)
            paste(picture, balloon, spot.x, hover)
            return picture
        fallen = smooth(t)
        for place, (scrap, turn) in enumerate(zip(scraps, (-60, 35, 80, -25, 50), strict=True)):
            x = spot.x + (place - 2) * 0.2 * tall * (0.4 + 0.6 * fallen)
            floor = spot.base + (-4, 3, -8, 4, -3)[place] * spot.unit
            flat = rotate(scrap, turn * fallen)
            squashed = resize(flat, flat.shape[1], round(flat.shape[0] * (1 - 0.45 * fallen)))
            if fallen > 0.9:
                shadow(picture, squashed, x, floor, 0.3)
            paste(picture, squashed, x, floor - (1 - fallen) * (0.55 + 0.06 * place) * tall)
        return picture

    return Happening(frame, {"colour": colour, "place": spot.place})


def _bitten(food: Sprite, eaten: float) -> Sprite:
    """``food`` with the share ``eaten`` bitten off its right side in scallops."""
    height, width = food.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    edge = width * (0.96 - eaten)
    radius = height / 6
    teeth = np.abs((rows / (2 * radius)) % 1 - 0.5) * 2 * radius
    scallop = np.sqrt(np.clip(radius**2 - teeth**2, 0, None))
    left = food.copy()
    left[..., 3] *= np.clip(edge - scallop * min(1.0, 4 * eaten) - columns + 0.5 * radius, 0, 1)
    solid = (left[..., 3] > 0.1).astype(np.uint8)
    _, parts, statistics, _ = cv2.connectedComponentsWithStats(solid)
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    left[..., 3] *= (parts == largest) | (solid == 0)  # no candle flame stays in the air
    return left


MEALS = (
    ("dog", "cake", 1.0),
    ("rabbit", "carrot", 1.0),
    ("mouse", "cheese", 0.8),
    ("cat", "fish", 1.0),
    ("monkey", "banana", 1.1),
    ("pig", "watermelon", 1.0),
)  # eater, meal, the eater's size


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("{subject}",),
    before="a {eater} beside a whole {subject} in {place}",
    after="a {eater} beside the last bit of a {subject} and crumbs in {place}",
    phrasings=(
        "let the {eater} eat the {subject}",
        "the {eater} eats the {subject}",
        "make the {subject} half eaten",
        "leave the {eater} alone with the {subject}",
        "the {eater} is very hungry",
        "nobody watches the {eater} for ten minutes",
        "what if the {eater} is left alone with the food?",
        "the {eater} could not resist the {subject}",
        "the {eater} was not fed this morning",
        "take big bites out of the {subject}",
        "the {eater} smells something delicious",
        "what happens to the {subject} when the {eater} gets hungry?",
        "only crumbs and a last bit of the {subject} remain",
        "lunchtime for the {eater}",
    ),
    held_out=(
        "have the {eater} bite into the {subject}",
        "nobody looks and the {eater} is alone with the {subject}",
        "what will a hungry {eater} do with the {subject}?",
        "the {eater} has not eaten for a whole day",
        "most of the {subject} has been eaten",
    ),
)
def eat_food(stage: Stage) -> Happening:
    """An animal stays where it is, and most of the food before it is gone."""
    eater, subject, share = stage.choose(MEALS)
    height = stage.chance(82, 105)
    left, right = 0.6 * height, 1.75 * height
    spot = find_spot(
        stage,
        *("garden", "kitchen", "room", "meadow"),
        left=left,
        right=right,
        height=height,
        subject=subject,
    )
    food = load_sprite(subject, spot.px(height))
    animal = load_sprite(eater, spot.px(share * height))
    ground = spot.empty()
    stand(ground, animal, spot.x + 0.58 * food.shape[1] + 0.5 * animal.shape[1], spot.base)
    crumb = main_colour(food)
    crumbs = (
        (0.08, 0.0, 0.07),
        (0.2, 0.02, 0.05),
        (0.32, -0.01, 0.06),
        (0.44, 0.02, 0.045),
        (0.14, 0.05, 0.04),
        (0.36, 0.05, 0.05),
    )

    def frame(t: float) -> Picture:
        picture = ground.copy()
        eaten = 0.62 * smooth(t)
        stand(picture, _bitten(food, eaten) if eaten else food, spot.x, spot.base, 0.45)
        for across, down, radius in crumbs if t > 0 else ():
            centre = (
                round(spot.x + across * food.shape[1]),
                round(spot.base - 3 * spot.unit + down * food.shape[0]),
            )
            size = max(1, round(radius * food.shape[0] * smooth(t)))
            dark = blend(crumb, (0.0, 0.0, 0.0), 0.4)
            cv2.ellipse(
                picture,
                (centre[0], centre[1] + 1),
                (size, max(1, round(0.7 * size))),
                0,
                0,
                360,
                dark,
                -1,
                cv2.LINE_AA,
            )
            cv2.ellipse(
                picture, centre, (size, max(1, round(0.65 * size))), 0, 0, 360, crumb, -1, cv2.LINE_AA
            )
        return picture

    return Happening(frame, {"subject": subject, "eater": eater, "place": spot.place})


def _floor_lamp(stage: Stage, spot: Spot) -> tuple[Callable[[Picture, float], None], float, float]:
    """A couch under a lamp: how to draw it at a brightness, and where its light is."""
    lamp = load_sprite("couch-and-lamp", spot.px(stage.chance(125, 150)))
    height, width = lamp.shape[:2]
    shade = np.clip((lamp[..., 0] - lamp[..., 2] - 0.3) / 0.2, 0, 1)[..., None]
    shade[round(0.6 * height) :] = 0

    def draw(picture: Picture, light: float) -> None:
        lit = lamp.copy()
        lit[..., :3] *= 1 + shade * (0.6 * light - 0.5 * (1 - light))
        stand(picture, np.clip(lit, 0, 1), spot.x, spot.base)

    return draw, spot.x + (0.69 - 0.5) * width, spot.base - 0.68 * height


def _hanging_bulb(stage: Stage, spot: Spot) -> tuple[Callable[[Picture, float], None], float, float]:
    """A bulb on a cord from the ceiling: how to draw it at a brightness, and where its light is."""
    bulb = np.ascontiguousarray(load_sprite("light-bulb", spot.px(stage.chance(75, 95)))[::-1])
    height = bulb.shape[0]
    bottom = spot.px(stage.chance(112, 150))
    off = tint(bulb, (0.62, 0.64, 0.66), 1.0)

    def draw(picture: Picture, light: float) -> None:
        x = round(spot.x)
        cv2.line(
            picture, (x, 0), (x, bottom - height + 2), (0.15, 0.15, 0.17), max(1, spot.px(3)), cv2.LINE_AA
        )
        lit = off + light * (np.dstack([np.clip(bulb[..., :3] * 1.15, 0, 1), bulb[..., 3]]) - off)
        paste(picture, lit, x, bottom)

    return draw, spot.x, bottom - 0.35 * height


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("{subject}", "light"),
    before="a dark scene with a {subject} that is off in {place}",
    after="a {subject} that shines and lights up {place}",
    phrasings=(
        "switch on the {subject}",
        "turn on the light",
        "light the {subject}",
        "the {subject} is on",
        "somebody presses the light switch",
        "it is too dark to read here",
        "the power comes back after the blackout",
        "what if somebody flips the switch?",
        "the {subject} lights up the dark",
        "the electricity bill has been paid at last",
        "somebody comes home late and wants to see something",
        "what happens when the plug is put into the socket?",
        "I cannot see anything, give me some light",
        "the {subject} gets electricity again",
    ),
    held_out=(
        "turn the {subject} on",
        "somebody flicks the light switch",
        "what happens when the power returns?",
        "it is dark and I want to read a book",
        "the {subject} is shining now",
    ),
    local=False,
)
def switch_on_lamp(stage: Stage) -> Happening:
    """A dim scene with a dead lamp becomes a bright one around the lamp that shines."""
    subject = stage.choose(("lamp", "light bulb"))
    half = 88 if subject == "lamp" else 45
    spot = find_spot(stage, "room", "kitchen", "room", left=half, right=half, height=150)
    draw, x, y = (_floor_lamp if subject == "lamp" else _hanging_bulb)(stage, spot)
    rows, columns = np.mgrid[: stage.size, : stage.size].astype(np.float32) / stage.size
    reach = np.hypot(rows - y / stage.size, columns - x / stage.size)[..., None]
    warm = np.array((1.22, 1.1, 0.86), np.float32) * (1.08 - 0.42 * np.clip(reach / 0.9, 0, 1))
    dim = np.array((0.24, 0.27, 0.4), np.float32)

    def frame(t: float) -> Picture:
        light = smooth(t)
        picture = spot.empty()
        draw(picture, light)
        picture *= dim + light * (warm - dim)
        glow(picture, x, y, 0.42 * stage.size * light, (1.0, 0.85, 0.5), 0.55)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place}, everywhere=True)
