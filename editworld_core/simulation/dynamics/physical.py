"""Physical-Trans: matter that melts, burns and flows."""

import numpy as np

from editworld_core.categories import Category
from editworld_core.simulation.dynamic import Happening, dynamic
from editworld_core.simulation.props import (
    DRINKS,
    find_spot,
    glass,
    glow,
    main_colour,
    puddle,
    scaled,
    slump,
    smooth,
)
from editworld_core.simulation.sprites import Picture, fade, load_sprite, paste, resize, stand
from editworld_core.simulation.stage import Stage


@dynamic(
    category=Category.PHYSICAL_TRANS,
    keywords=("snowman",),
    before="a snowman in {place}",
    after="a melted snowman, a hat on a little snow in a puddle, in {place}",
    phrasings=(
        "melt the snowman",
        "make the snowman melt",
        "the sun comes out",
        "the snowman melts into a puddle",
        "it is getting warm",
        "what happens to the snowman if the sun comes out?",
        "the temperature climbs to thirty degrees",
        "spring arrives and the snowman is still here",
        "turn the snowman into a puddle of water",
        "the thaw has begun",
        "the snowman in the midday heat",
        "a warm wind blows all day",
        "what if it gets hot today?",
        "leave the snowman in the sunshine",
    ),
    held_out=(
        "let the snowman melt away",
        "the sun is shining on the snowman",
        "what happens when it gets warm?",
        "the temperature rises far above freezing",
        "only a puddle is left of the snowman",
    ),
)
def melt_snowman(stage: Stage) -> Happening:
    """A snowman sinks into a puddle and its hat sinks with it."""
    height = stage.chance(115, 165)
    half = 0.64 * height
    spot = find_spot(stage, "snowfield", "meadow", "hills", "garden", left=half, right=half, height=height)
    snowman = load_sprite("snowman", spot.px(height))
    brim = round(0.23 * snowman.shape[0])
    hat, body = snowman[:brim], snowman[brim:]
    columns = np.nonzero(hat[..., 3].max(0) > 0.5)[0]
    hat_x = float(columns.mean()) - snowman.shape[1] / 2
    hat = hat[:, columns.min() : columns.max() + 1]

    def frame(t: float) -> Picture:
        picture = spot.empty()
        melted = smooth(t)
        puddle(picture, spot.x, spot.base - 2, melted * 0.58 * spot.px(height))
        rest = slump(body, melted, 0.17, 1.1)
        stand(picture, rest, spot.x, spot.base, 0.45 * (1 - 0.7 * melted))
        paste(
            picture,
            hat,
            spot.x + hat_x * (1 - 0.5 * melted),
            spot.base - rest.shape[0] + 0.25 * melted * brim,
        )
        return picture

    return Happening(frame, {"place": spot.place})


@dynamic(
    category=Category.PHYSICAL_TRANS,
    keywords=("candle",),
    before="a tall burning candle in {place}",
    after="a candle that has burnt down to a stub in {place}",
    phrasings=(
        "burn the candle down",
        "make the candle shorter",
        "let the candle burn down to a stub",
        "the candle has been burning for hours",
        "only a stub of the candle is left",
        "what does the candle look like in five hours?",
        "the candle burns all evening",
        "nobody blows out the candle",
        "the wax is nearly used up",
        "what if the flame keeps burning until midnight?",
        "the candle has almost burnt away",
        "most of the wax has melted away",
        "it has been alight the whole night",
        "the flame eats up the wax",
    ),
    held_out=(
        "let the candle burn low",
        "after many hours of burning the candle is short",
        "how does the candle look when it has burned all night?",
        "almost all the wax is gone",
        "nobody puts out the flame for hours",
    ),
)
def burn_candle(stage: Stage) -> Happening:
    """A tall candle burns down; its flame sinks with the wax that turns into a pool."""
    height = stage.chance(120, 170)
    half = 0.3 * height
    spot = find_spot(stage, "table", "room", "kitchen", "night_sky", left=half, right=half, height=height)
    candle = load_sprite("candle", spot.px(0.75 * height))
    cut = round(0.68 * candle.shape[0])
    head, stem = candle[:cut], candle[cut:]
    wax = main_colour(stem)
    tall = spot.px(height) - cut

    def frame(t: float) -> Picture:
        picture = spot.empty()
        left = tall * (1 - smooth(t)) + 1
        puddle(picture, spot.x, spot.base - 1, smooth(t) * 0.26 * spot.px(height), wax, 1.0, 0.24)
        burning = np.vstack([head, resize(stem, stem.shape[1], round(left))])
        stand(picture, burning, spot.x, spot.base, 0.4)
        flame_y = spot.base - burning.shape[0] + 0.2 * cut
        glow(picture, spot.x, flame_y, 0.22 * spot.px(height), (1.0, 0.75, 0.3), 0.45)
        return picture

    return Happening(frame, {"place": spot.place})


@dynamic(
    category=Category.PHYSICAL_TRANS,
    keywords=("{subject}",),
    before="{article} {subject} in {place}",
    after="{article} {subject} that has melted into a puddle in {place}",
    phrasings=(
        "melt the {subject}",
        "let the {subject} melt",
        "thaw the {subject}",
        "the {subject} melts away",
        "the {subject} was left out of the freezer",
        "leave the {subject} in a warm room for an hour",
        "what becomes of the {subject} in the warm kitchen?",
        "someone forgot to put the {subject} back into the freezer",
        "the freezer is broken and the {subject} drips",
        "the {subject} lies in the heat for too long",
        "show the {subject} half an hour later, in the heat",
        "what if the {subject} stays outside the fridge?",
        "the {subject} is dripping and turning to liquid",
        "the heating is turned up and the {subject} is still here",
    ),
    held_out=(
        "make the {subject} melt",
        "nobody put the {subject} back in the freezer",
        "what happens to the {subject} in a warm room?",
        "the {subject} turns into liquid",
        "the {subject} has been out of the freezer for an hour",
    ),
)
def melt_ice(stage: Stage) -> Happening:
    """An ice cube or an ice cream melts into a puddle of its own colour."""
    subject = stage.choose(("ice cube", "ice cream"))
    height = stage.chance(85, 120) if subject == "ice cube" else stage.chance(115, 155)
    half = 0.75 * height if subject == "ice cube" else 0.62 * height
    spot = find_spot(stage, "table", "kitchen", "street", "beach", left=half, right=half, height=height)
    ice = load_sprite(subject.replace(" ", "-"), spot.px(height))
    rigid = round((0.0 if subject == "ice cube" else 0.36) * ice.shape[0])
    soft, cone = ice[: ice.shape[0] - rigid], ice[ice.shape[0] - rigid :]
    colour = (0.45, 0.76, 0.95) if subject == "ice cube" else (0.98, 0.85, 0.66)

    def frame(t: float) -> Picture:
        picture = spot.empty()
        melted = smooth(t)
        puddle(picture, spot.x, spot.base - 3, melted * 0.86 * half * spot.unit, colour, 0.9)
        if rigid:
            stand(picture, cone, spot.x, spot.base, 0.4)
            paste(picture, slump(soft, melted, 0.16, 0.85), spot.x, spot.base - rigid + 0.35 * melted * rigid)
        else:
            shrunk = scaled(slump(soft, melted, 0.35, 1.0), 1 - 0.45 * melted)
            stand(picture, shrunk, spot.x, spot.base, 0.4 * (1 - melted))
        return picture

    words = {"subject": subject, "article": "an", "place": spot.place}
    return Happening(frame, words)


@dynamic(
    category=Category.PHYSICAL_TRANS,
    keywords=("{subject}", "fire"),
    before="a wooden {subject} in {place}",
    after="a charred {subject} in flames in {place}",
    phrasings=(
        "set the {subject} on fire",
        "burn the {subject}",
        "light the {subject} with a match",
        "the {subject} is burning",
        "the {subject} catches fire",
        "somebody dropped a lit match on the {subject}",
        "what if a spark lands on the dry wood?",
        "the {subject} goes up in flames",
        "make a campfire of the {subject}",
        "the wood is blazing",
        "show the {subject} ablaze",
        "it was soaked in petrol and then somebody lit a lighter",
        "what happens when the {subject} is held over a flame?",
        "a careless smoker threw a cigarette at the {subject}",
    ),
    held_out=(
        "put the {subject} in flames",
        "someone throws a burning match onto the {subject}",
        "what happens if the dry {subject} catches a spark?",
        "flames rise from the {subject}",
        "the wooden {subject} is ablaze",
    ),
)
def burn_wood(stage: Stage) -> Happening:
    """A log, a chair or a crate chars and stands in flames."""
    subject = stage.choose(("log", "chair", "crate", "door", "basket"))
    height = stage.chance(72, 98)
    half = 0.95 * height
    spot = find_spot(
        stage,
        *("meadow", "forest", "beach", "garden"),
        left=half,
        right=half,
        height=1.5 * height,
        subject=subject,
    )
    wood = load_sprite(subject, spot.px(height))
    fire = load_sprite("fire", spot.px(1.45 * height))
    embers = load_sprite("fire", spot.px(0.5 * height))

    def frame(t: float) -> Picture:
        picture = spot.empty()
        burning = smooth(t)
        charred = wood.copy()
        charred[..., :3] *= 1 - 0.85 * burning
        middle = spot.base - 0.6 * spot.px(height)
        glow(picture, spot.x, middle, 0.95 * spot.px(height) * burning, (1.0, 0.5, 0.1), 0.8)
        if burning > 0:
            paste(picture, fade(scaled(fire, 0.15 + 0.85 * burning), 0.95), spot.x, spot.base - 2)
        stand(picture, charred, spot.x, spot.base, 0.45 * (1 - burning))
        if burning > 0:
            for side in (-0.42, 0.02, 0.42):
                tongue = scaled(embers, 0.2 + (0.8 if side else 1.0) * burning)
                paste(picture, tongue, spot.x + side * wood.shape[1], spot.base + 3 * spot.unit)
        return picture

    return Happening(frame, {"subject": subject, "place": spot.place})


@dynamic(
    category=Category.PHYSICAL_TRANS,
    keywords=("glass", "{drink}"),
    before="an empty glass in {place}",
    after="a glass full of {drink} in {place}",
    phrasings=(
        "fill the glass with {drink}",
        "pour {drink} into the glass",
        "put {drink} in the glass",
        "the glass fills up with {drink}",
        "the waiter serves {drink}",
        "somebody orders {drink}",
        "I would like some {drink}, please",
        "the guest is thirsty and asks for {drink}",
        "what if I empty a bottle of {drink} into the glass?",
        "the glass is full of {drink}",
        "give me a full glass of {drink}",
        "somebody empties a jug of {drink} into the glass",
        "what does the glass look like with {drink} in it?",
        "the empty glass gets {drink} up to the brim",
        "a glass of {drink}, please",
    ),
    held_out=(
        "make it a glass of {drink}",
        "the waiter pours some {drink}",
        "what if somebody asks for a glass of {drink}?",
        "now there is {drink} in the glass up to the brim",
        "{drink} flows into the empty glass",
    ),
)
def fill_glass(stage: Stage) -> Happening:
    """An empty glass is filled with the drink that the instruction names."""
    drink = stage.choose(tuple(DRINKS))
    height = stage.chance(95, 140)
    half = 0.4 * height
    spot = find_spot(stage, "table", "kitchen", "room", "beach", left=half, right=half, height=height)

    def frame(t: float) -> Picture:
        picture = spot.empty()
        stand(picture, glass(spot.px(height), DRINKS[drink], 0.94 * t), spot.x, spot.base, 0.35)
        return picture

    return Happening(frame, {"drink": drink, "place": spot.place})
