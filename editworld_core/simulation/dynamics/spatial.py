"""Spatial-Trans: things turn, fall, rise and go away, and the ground they leave is seen again."""

from math import cos, pi, radians, sin

import numpy as np

from editworld_core.categories import Category
from editworld_core.simulation.dynamic import Happening, dynamic
from editworld_core.simulation.open_ground import OpenSpot, either_way, find_open_spot, tight
from editworld_core.simulation.props import glow, scaled, smooth
from editworld_core.simulation.sprites import (
    Picture,
    Sprite,
    flip,
    load_sprite,
    paste,
    resize,
    rotate,
    shadow,
    stand,
)
from editworld_core.simulation.stage import Stage

OUTDOORS = ("meadow", "hills", "beach", "desert", "snowfield")
INDOORS = ("room", "table", "kitchen")


@dynamic(
    category=Category.SPATIAL_TRANS,
    keywords=("{subject}",),
    before="a {subject} facing one way in {place}",
    after="the {subject} facing the other way in {place}",
    phrasings=(
        "turn the {subject} around",
        "make the {subject} face the other way",
        "the {subject} turns around",
        "the {subject} looks in the opposite direction",
        "the {subject} makes a U-turn",
        "mirror the {subject}",
        "the {subject} wants to go back where it came from",
        "what if the {subject} headed in the other direction?",
        "the {subject} has forgotten something and heads back home",
        "something behind the {subject} makes a noise",
        "front and back of the {subject} swap sides",
        "the {subject} reverses its heading",
        "it was the wrong way, so the {subject} turns back",
        "what does the {subject} look like from its other side?",
    ),
    held_out=(
        "let the {subject} turn to face the other direction",
        "the {subject} does a half turn",
        "what if the {subject} turned back?",
        "the {subject} has to go back the way it came",
        "flip the {subject} so that it looks the other way",
    ),
)
def turn_around(stage: Stage) -> Happening:
    """A thing with a front turns until it faces the other way."""
    subject = stage.choose(("truck", "cow", "duck", "horse", "sheep", "pig"))
    height = stage.chance(95, 125)
    half = 0.62 * height
    spot = find_open_spot(stage, *OUTDOORS, "street", left=half, right=half, height=height, base=(190, 244))
    first, last = either_way(stage, [sprite := load_sprite(subject, spot.px(height)), flip(sprite)])

    def frame(t: float) -> Picture:
        picture = spot.empty()
        side = cos(pi * smooth(t))  # the share of the flank that is seen
        seen = first if side > 0 else last
        width = round(seen.shape[1] * max(abs(side), 0.25))
        stand(picture, seen if abs(side) == 1 else resize(seen, width, seen.shape[0]), spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


@dynamic(
    category=Category.SPATIAL_TRANS,
    keywords=("{subject}",),
    before="a {subject} standing upright in {place}",
    after="a {subject} standing upside down in {place}",
    phrasings=(
        "turn the {subject} upside down",
        "stand the {subject} on its head",
        "the {subject} is upside down",
        "flip the {subject} over so that its bottom is up",
        "rotate the {subject} by 180 degrees",
        "the top of the {subject} points to the ground",
        "someone turned the {subject} over to look underneath",
        "what if the {subject} stood on its head?",
        "the {subject} does a headstand",
        "invert the {subject}",
        "up becomes down for the {subject}",
        "the joker of the house put the {subject} back the wrong way up",
        "what does the {subject} look like after half a somersault?",
        "show the {subject} bottom up",
    ),
    held_out=(
        "put the {subject} upside down",
        "the {subject} stands on its head",
        "what if someone turned the {subject} bottom up?",
        "let the {subject} do a handstand",
        "the upper end of the {subject} is now at the bottom",
    ),
)
def turn_upside_down(stage: Stage) -> Happening:
    """A thing is turned by half a turn and stands on its head."""
    subject = stage.choose(("chair", "teddy bear", "trophy", "potted plant"))
    height = stage.chance(100, 135)
    half = 0.6 * height
    spot = find_open_spot(
        stage,
        *INDOORS,
        "garden",
        left=half,
        right=half,
        height=height,
        base=(190, 244),
        subject=subject,
    )
    upright = load_sprite(subject.replace(" ", "-"), spot.px(height))
    head_down = np.ascontiguousarray(upright[::-1, ::-1])

    def frame(t: float) -> Picture:
        picture = spot.empty()
        turned = smooth(t)
        if turned == 0 or turned == 1:
            stand(picture, head_down if turned else upright, spot.x, spot.base)
        else:
            stand(picture, tight(rotate(upright, 180 * turned)), spot.x, spot.base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


def _tipped(picture: Picture, spot: OpenSpot, sprite: Sprite, degrees: float, sign: int) -> None:
    """Draw ``sprite`` tipped over its lower edge on the side ``sign`` (1 is right) by ``degrees``, in place."""
    height, width = sprite.shape[:2]
    angle = radians(degrees)
    # the centre, seen from the edge it tips over, before and after the turn
    along, up = (
        -width / 2 * cos(angle) + height / 2 * sin(angle),
        width / 2 * sin(angle) + height / 2 * cos(angle),
    )
    turned = rotate(sprite, -sign * degrees)
    x = spot.x + sign * (width / 2 + along)
    base = spot.base - up + turned.shape[0] / 2
    shadow(picture, turned, x, spot.base)
    paste(picture, turned, x, base)


@dynamic(
    category=Category.SPATIAL_TRANS,
    keywords=("{subject}",),
    before="a {subject} standing upright in {place}",
    after="a {subject} lying on its side, fallen to the {side}, in {place}",
    phrasings=(
        "tip the {subject} over to the {side}",
        "the {subject} falls over to the {side}",
        "knock the {subject} over towards the {side}",
        "the {subject} lies on its side, its top to the {side}",
        "lay the {subject} down to the {side}",
        "the {subject} tumbles down to the {side}",
        "somebody bumps into the {subject} and it falls {side}",
        "what if the {subject} toppled over to the {side}?",
        "turn the {subject} by ninety degrees to the {side}",
        "the {subject} loses its balance and drops to the {side}",
        "a gust of wind throws the {subject} over to the {side}",
        "the cat pushes the {subject} over to the {side}",
        "the {subject} is no longer standing, it has fallen to the {side}",
        "what happens when the {subject} gets a push to the {side}?",
    ),
    held_out=(
        "let the {subject} topple over to the {side}",
        "the {subject} falls down on its {side} side",
        "what if someone knocked the {subject} over to the {side}?",
        "the {subject} gets a shove and ends up lying to the {side}",
        "the {subject} keels over to the {side}",
    ),
    alone=True,
)
def fall_over(stage: Stage) -> Happening:
    """A thing tips over its lower edge and lies on the side that the words name."""
    subject = stage.choose(("vase", "fire extinguisher", "cactus", "clock", "trophy"))
    side, sign = stage.choose((("left", -1), ("right", 1)))
    height = stage.chance(95, 118)
    near, far = 0.45 * height, 1.4 * height
    left, right = (far, near) if side == "left" else (near, far)
    spot = find_open_spot(
        stage,
        *INDOORS,
        "garden",
        "desert",
        left=left,
        right=right,
        height=height,
        base=(190, 240),
        subject=subject,
    )
    sprite = load_sprite(subject.replace(" ", "-"), spot.px(height))

    def frame(t: float) -> Picture:
        picture = spot.empty()
        if t == 0:
            stand(picture, sprite, spot.x, spot.base)
        else:
            _tipped(picture, spot, sprite, 90 * smooth(t) ** 2, sign)
        return picture

    return Happening(frame, {"subject": subject, "side": side, "place": spot.place})


@dynamic(
    category=Category.SPATIAL_TRANS,
    keywords=("{subject}",),
    before="a {subject} close to the camera in {place}",
    after="a {subject} far away near the horizon in {place}",
    phrasings=(
        "the {subject} walks away into the distance",
        "move the {subject} far away",
        "the {subject} goes away from the camera",
        "the {subject} is far off at the horizon",
        "put the {subject} into the background",
        "the {subject} wanders off towards the horizon",
        "the {subject} has had enough and leaves",
        "what if the {subject} went a long way off?",
        "push the {subject} back into the distance",
        "the {subject} takes a long walk away from us",
        "show the {subject} from much farther away",
        "the {subject} says goodbye and goes",
        "half an hour of walking later the {subject} is a small figure",
        "where is the {subject} after it has walked a kilometre?",
    ),
    held_out=(
        "let the {subject} walk off into the distance",
        "the {subject} leaves and is far away",
        "what if the {subject} walked to the horizon?",
        "the {subject} moves off into the background",
        "the {subject} goes a long way from the viewer",
    ),
)
def walk_away(stage: Stage) -> Happening:
    """Somebody walks away: perspective scales size and height below the horizon alike."""
    subject = stage.choose(("camel", "man", "woman", "dog", "sheep", "goat"))
    name = f"{subject}-walking" if subject in ("man", "woman") else subject
    height = stage.chance(110, 140)
    half = 0.6 * height
    spot = find_open_spot(
        stage, *OUTDOORS, left=half, right=half, height=height, base=(225, 246), subject=subject
    )
    (near,) = either_way(stage, [load_sprite(name, spot.px(height))])

    def frame(t: float) -> Picture:
        picture = spot.empty()
        distance = 1 + 2 * smooth(t)
        base = spot.horizon + (spot.base - spot.horizon) / distance
        stand(picture, near if distance == 1 else scaled(near, 1 / distance), spot.x, base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


@dynamic(
    category=Category.SPATIAL_TRANS,
    keywords=("{subject}",),
    before="a {subject} standing on the ground in {place}",
    after="a {subject} flying high in the sky above {place}",
    phrasings=(
        "the {subject} takes off",
        "let the {subject} rise into the sky",
        "launch the {subject}",
        "the {subject} flies up",
        "move the {subject} to the top of the picture",
        "three, two, one, and the {subject} lifts off",
        "the {subject} leaves the ground",
        "what if the {subject} started now?",
        "the {subject} soars high above the ground",
        "the pilot of the {subject} starts the engine and pulls up",
        "the {subject} is in the air",
        "the {subject} heads for the clouds",
        "the countdown of the {subject} has reached zero",
        "where is the {subject} ten seconds after the start?",
    ),
    held_out=(
        "send the {subject} up into the sky",
        "the {subject} lifts off from the ground",
        "what happens when the {subject} takes off?",
        "the {subject} rises high into the air",
        "the countdown is over and the {subject} flies",
    ),
)
def take_off(stage: Stage) -> Happening:
    """A rocket or a helicopter rises to the top of the picture."""
    subject = stage.choose(("rocket", "helicopter"))
    height = stage.chance(88, 108)
    half = 0.7 * height
    spot = find_open_spot(stage, *OUTDOORS, left=half, right=half, height=height, base=(222, 246))
    craft = load_sprite(subject, spot.px(height))
    if subject == "rocket":
        upright = tight(rotate(craft, 45))
        craft = scaled(upright, spot.px(height) / upright.shape[0])
    else:
        (craft,) = either_way(stage, [craft])
    high = craft.shape[0] + 8 * spot.unit

    def frame(t: float) -> Picture:
        picture = spot.empty()
        risen = smooth(t)
        base = spot.base + risen * (high - spot.base)
        shadow(picture, craft, spot.x, spot.base, 0.45 * (1 - risen))
        if subject == "rocket" and risen > 0.05:
            glow(picture, spot.x, base, 0.5 * risen * craft.shape[0], (1, 0.7, 0.2), 0.9)
            jet = np.ascontiguousarray(load_sprite("fire", spot.px(0.45 * height * risen) + 2)[::-1])
            paste(picture, jet, spot.x, base + 0.85 * jet.shape[0])
        paste(picture, craft, spot.x, base)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})
