"""What can happen to any photograph: weather, light, time (``simulation.looks``) and style (``simulation.styles``)."""

from editworld_core.categories import Category
from editworld_core.simulation import looks, styles
from editworld_core.simulation.dynamic import Happening, dynamic
from editworld_core.simulation.stage import Stage


def _let(look: looks.Look, stage: Stage, everywhere: bool = True) -> Happening:
    """The ``look`` comes over a photograph; at time 0 it is the photograph itself."""
    photo = stage.photograph().picture
    develop = look(photo, stage.rng, stage.scatter)
    return Happening(lambda t: develop(t) if t > 0 else photo, everywhere=everywhere)


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("night", "sky", "light"),
    before="a picture taken by day",
    after="the same place at night, in blue moonlight under the stars",
    phrasings=(
        "make it night",
        "turn day into night",
        "night falls",
        "what happens when night falls?",
        "the sun went down hours ago",
        "it is midnight",
        "show the scene in moonlight",
        "the moon and the stars come out",
        "darkness falls over the place",
        "what does this place look like at midnight?",
        "wait until everyone is asleep and it is dark outside",
        "there is no daylight any more, only the moon",
        "change the time of day to late at night",
        "the clock strikes twelve at night",
    ),
    held_out=(
        "make this a night scene",
        "what would it look like in the middle of the night?",
        "it is long after dark and the moon is shining",
        "the day is over and the stars are out",
        "everything lies in the dark of the night",
    ),
    local=False,
    photo=True,
)
def night_falls(stage: Stage) -> Happening:
    """Blue moonlight, stars, and lamps where there are small highlights."""
    return _let(looks.night, stage)


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("snow", "ground", "winter"),
    before="a picture without snow",
    after="the same place deep in snow while more of it falls",
    phrasings=(
        "make it snow",
        "cover everything with snow",
        "it snows heavily",
        "what happens when it snows all day?",
        "a blizzard has come through",
        "turn the season into winter",
        "winter arrives",
        "snow lies on the ground and flakes are falling",
        "it is January and freezing cold",
        "bury the place under fresh snow",
        "what does it look like in the depth of winter?",
        "the temperature drops far below zero and heavy clouds come in",
        "snowflakes drift down and everything is white",
        "a snowstorm sweeps over the scene",
    ),
    held_out=(
        "let it snow",
        "heavy snow has fallen everywhere",
        "what would this look like after a snowstorm?",
        "it is a cold winter day and all is white",
        "the first blizzard of winter is here",
    ),
    local=False,
    photo=True,
)
def snow_falls(stage: Stage) -> Happening:
    """Snow on the ground and in the air."""
    return _let(looks.snow, stage)


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("fog", "air", "distance"),
    before="a picture in clear air",
    after="the same place hidden in thick fog",
    phrasings=(
        "add fog",
        "make it foggy",
        "thick fog rolls in",
        "what happens when fog comes in from the sea?",
        "the air is full of mist",
        "you can hardly see your hand in front of your face",
        "a cloud sinks down on this place",
        "hide the scene in dense mist",
        "it is a misty morning in November",
        "the distance disappears in a white haze",
        "visibility drops to a few metres",
        "what if a dense haze lay over everything?",
        "drivers have to turn on their fog lights",
        "cold damp air settles and turns to mist",
    ),
    held_out=(
        "put thick fog over the scene",
        "what if mist came rolling in?",
        "the visibility is very poor because of the fog",
        "a white haze swallows everything that is far away",
        "it is a foggy morning",
    ),
    local=False,
    photo=True,
)
def fog_rolls_in(stage: Stage) -> Happening:
    """Fog, thicker with distance."""
    return _let(looks.fog, stage)


@dynamic(
    category=Category.PHYSICAL_TRANS,
    keywords=("rain", "sky", "ground"),
    before="a picture in dry weather",
    after="the same place in pouring rain, grey and wet",
    phrasings=(
        "make it rain",
        "it is pouring with rain",
        "add heavy rain",
        "what happens when it starts to rain?",
        "dark clouds burst over the place",
        "a downpour soaks the ground",
        "turn the weather rainy and grey",
        "everyone opens an umbrella",
        "the forecast of a rainy day comes true",
        "raindrops fall and everything gets wet",
        "a thunderstorm is overhead",
        "what does it look like on a wet grey day?",
        "the dry spell ends with a cloudburst",
        "water pours down from a leaden sky",
    ),
    held_out=(
        "let it rain heavily",
        "what would it look like in a downpour?",
        "it is raining hard and the ground is wet",
        "the clouds open and everyone needs an umbrella",
        "rainy weather sets in",
    ),
    local=False,
    photo=True,
)
def rain_pours(stage: Stage) -> Happening:
    """Leaden light, wet ground, streaks of rain."""
    return _let(looks.rain, stage)


@dynamic(
    category=Category.PHYSICAL_TRANS,
    keywords=("water", "ground", "flood"),
    before="a picture of a dry place",
    after="the same place under a flood whose water mirrors what is above it",
    phrasings=(
        "flood it",
        "flood the place with water",
        "the water rises",
        "what happens when the river bursts its banks?",
        "the dam upstream broke",
        "everything stands in deep water",
        "put the lower half under water",
        "after the flood",
        "the sea level rises by a few metres",
        "high tide comes in and covers the ground",
        "what if the flood water reached this place?",
        "the ground is covered by a sheet of water that mirrors what is above",
        "a burst pipe fills the place with water",
        "weeks of storm have let the river overflow",
    ),
    held_out=(
        "let the water rise and flood the scene",
        "what would it look like after a flood?",
        "the river has overflowed its banks",
        "the dam has broken and water covers the ground",
        "deep flood water stands here",
    ),
    photo=True,
)
def flood_rises(stage: Stage) -> Happening:
    """Mirroring water over the lower part; above it nothing changes."""
    return _let(looks.flood, stage, everywhere=False)


@dynamic(
    category=Category.IMPLICIT_LOGIC,
    keywords=("sun", "sky", "light"),
    before="a picture in plain daylight",
    after="the same place in the golden light of the setting sun",
    phrasings=(
        "make it sunset",
        "the sun sets",
        "bathe the scene in golden evening light",
        "what happens when the sun sinks to the horizon?",
        "it is golden hour",
        "show it in the glow of the setting sun",
        "the evening sky turns orange",
        "the sun is about to disappear behind the horizon",
        "warm orange light of the late evening",
        "what does this look like at sunset?",
        "wait until the sun is low in the west",
        "the day draws to its close in a warm glow",
        "a romantic sunset lights the place",
        "the last rays of sunshine turn everything to gold",
    ),
    held_out=(
        "turn this into a sunset scene",
        "what would it look like in the evening glow?",
        "the low sun paints everything golden orange",
        "it is just before the sun goes below the horizon",
        "give it the warm light of the golden hour",
    ),
    local=False,
    photo=True,
)
def sun_sets(stage: Stage) -> Happening:
    """Warm light, a sky from violet to gold, a low sun."""
    return _let(looks.sunset, stage)


@dynamic(
    category=Category.LONG_TERM,
    keywords=("leaves", "trees", "ground"),
    before="a picture taken in summer",
    after="the same place in autumn, golden, with fallen leaves",
    phrasings=(
        "make it autumn",
        "turn summer into autumn",
        "autumn comes",
        "what happens when autumn arrives?",
        "the leaves turn red and gold",
        "it is October",
        "fall foliage everywhere",
        "the green fades and leaves cover the ground",
        "summer is over and the leaves are falling",
        "show the place in its fall colours",
        "what does this look like in late October?",
        "the trees shed their coloured leaves",
        "the season of harvest and falling leaves is here",
        "three months after midsummer",
    ),
    held_out=(
        "change the season to autumn",
        "what would it look like in the fall, when the leaves turn?",
        "red and golden leaves are falling to the ground",
        "the summer has ended and it is October now",
        "autumn has coloured everything",
    ),
    local=False,
    photo=True,
)
def autumn_comes(stage: Stage) -> Happening:
    """Green turns to gold, leaves fall."""
    return _let(looks.autumn, stage)


@dynamic(
    category=Category.LONG_TERM,
    keywords=("picture", "colours", "paper"),
    before="a new colour photograph",
    after="the same photograph a hundred years old, sepia, faded and scratched",
    phrasings=(
        "make the photo a hundred years old",
        "age the photograph by a century",
        "turn it into an old sepia photo",
        "a hundred years pass for this picture",
        "what happens to this photo in a hundred years?",
        "the print lay in the attic for a century",
        "make it look like an antique photograph",
        "a faded, scratched picture from great-grandmother's album",
        "the photo was taken in 1900",
        "the colours have faded and the paper has gone brown",
        "as if it was shot by one of the first cameras",
        "what does this print look like after decades in the sun?",
        "the picture turns yellow with age and gets scratches",
        "found in an old trunk after several generations",
    ),
    held_out=(
        "make this an antique sepia photograph",
        "what will this print look like after a century?",
        "the old photo is faded and full of scratches",
        "it was photographed more than a hundred years ago",
        "somebody finds the picture in the attic generations later",
    ),
    local=False,
    photo=True,
)
def century_passes(stage: Stage) -> Happening:
    """A sepia print with scratches and burnt edges."""
    return _let(styles.century, stage)


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("picture", "pixels", "colours"),
    before="a photograph",
    after="the same scene as pixel art of big square pixels",
    phrasings=(
        "turn it into pixel art",
        "make it pixel art",
        "pixelate the picture",
        "what if this was an 8-bit video game?",
        "the scene in an old console game",
        "draw it with big square pixels",
        "it appears on the screen of a 1980s home computer",
        "show it in retro game graphics",
        "the resolution drops to a few large pixels",
        "render it as a mosaic of coloured squares",
        "this becomes a level in a retro video game",
        "what would a computer of 1985 display here?",
        "rebuild the scene out of little square tiles",
        "as a sprite from the days of 8-bit graphics",
    ),
    held_out=(
        "make this look like an 8-bit game",
        "what if the picture was made of large square pixels?",
        "pixel art version of the scene",
        "the place as seen in a video game of the eighties",
        "everything is made of coarse coloured pixels",
    ),
    local=False,
    photo=True,
)
def become_pixels(stage: Stage) -> Happening:
    """Big square pixels in vivid colours."""
    return _let(styles.pixel_art, stage)


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("picture", "lines", "paper"),
    before="a colour photograph",
    after="the same scene as a pencil sketch on white paper",
    phrasings=(
        "turn it into a pencil sketch",
        "make it a pencil drawing",
        "sketch the scene",
        "what if an artist drew this with a pencil?",
        "a graphite drawing on white paper",
        "the scene drawn by hand in black and white",
        "a page from an artist's sketchbook",
        "show it as a line drawing",
        "somebody draws the view with charcoal",
        "only pencil lines on paper are left",
        "what would this look like in a sketchbook?",
        "the camera is replaced by a pencil and paper",
        "draw the outlines and leave out the colour",
        "an art student practises shading on this scene",
    ),
    held_out=(
        "make this look like a sketch in pencil",
        "what if it was a drawing on paper?",
        "a hand-drawn picture in grey pencil strokes",
        "the artist sketches the view in his sketchbook",
        "there is no colour, only drawn lines on white paper",
    ),
    local=False,
    photo=True,
)
def become_sketch(stage: Stage) -> Happening:
    """Graphite lines on paper."""
    return _let(styles.sketch, stage)


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("picture", "lines", "colours"),
    before="a photograph",
    after="the same scene as a cartoon with flat colours and ink lines",
    phrasings=(
        "turn it into a cartoon",
        "make it a comic",
        "cartoon style",
        "what if this was a scene in a comic book?",
        "draw it with flat colours and black outlines",
        "a frame from an animated film",
        "show the scene as a comic panel",
        "this becomes a picture in a graphic novel",
        "ink the contours and fill them with bright colours",
        "what would this look like in a Saturday morning cartoon?",
        "the world turns into a toon",
        "it is printed in a comic magazine",
        "a cel-shaded version of the scene",
        "superheroes could jump out of this comic page",
    ),
    held_out=(
        "make this look like a cartoon",
        "what if it was drawn for a comic book?",
        "bold black outlines and flat bright colours",
        "an animated cartoon shows this scene",
        "the scene appears as a panel of a graphic novel",
    ),
    local=False,
    photo=True,
)
def become_cartoon(stage: Stage) -> Happening:
    """Flat colours with ink lines."""
    return _let(styles.comic, stage)


@dynamic(
    category=Category.REAL_TO_VIRTUAL,
    keywords=("picture", "light", "lines"),
    before="a photograph",
    after="the same scene as a glowing blue hologram with scan lines",
    phrasings=(
        "turn it into a hologram",
        "make it a hologram",
        "project the scene as a hologram",
        "what if this was only a holographic projection?",
        "show it as glowing blue lines in the dark",
        "a spaceship's computer projects the scene",
        "everything becomes cyan light with scan lines",
        "the scene is a simulation inside a computer",
        "neon contours glow in the dark",
        "what does a hologram of this look like?",
        "a transmission from the future shows this place",
        "the holodeck starts its program",
        "nothing here is solid any more, only light beams",
        "digitise the world into glowing neon outlines",
    ),
    held_out=(
        "make this a glowing blue hologram",
        "what if it was projected as a hologram?",
        "the contours shine in neon blue in the dark",
        "a holographic projection of the scene flickers with scan lines",
        "the computer of a spaceship displays this as a hologram",
    ),
    local=False,
    photo=True,
)
def become_hologram(stage: Stage) -> Happening:
    """Cyan contours and scan lines."""
    return _let(styles.hologram, stage)


@dynamic(
    category=Category.EXAGGERATION,
    keywords=("water", "light", "colours"),
    before="a picture taken on land",
    after="the same scene on the sea floor, blue-green, with light shafts and bubbles",
    phrasings=(
        "put it underwater",
        "make it an underwater scene",
        "sink the whole place to the bottom of the sea",
        "what if all this was on the sea floor?",
        "a diver took this picture",
        "it lies on the bottom of the ocean",
        "everything is deep under the sea",
        "bubbles rise and light shafts fall from the surface above",
        "the camera dives below the waves",
        "the place has sunk like Atlantis",
        "show the scene through blue-green water",
        "what would a diver see here?",
        "the ocean swallows the whole scene",
        "a submarine passes by the window",
    ),
    held_out=(
        "make this look as if it was underwater",
        "what if the whole place sank into the ocean?",
        "a diver sees this at the bottom of the sea",
        "sunbeams and bubbles in deep blue-green water",
        "it has been swallowed by the sea like Atlantis",
    ),
    local=False,
    photo=True,
)
def sink_into_sea(stage: Stage) -> Happening:
    """Blue-green water, shafts of light, bubbles."""
    return _let(looks.underwater, stage)


@dynamic(
    category=Category.STORY_TYPE,
    keywords=("sky", "fire", "ground"),
    before="a peaceful picture",
    after="the same scene in the apocalypse, with a burning red sky, smoke and embers",
    phrasings=(
        "make it the apocalypse",
        "the end of the world",
        "turn the sky blood red with smoke and ashes",
        "what happens when the world ends?",
        "a volcano erupts close by",
        "the whole land is on fire",
        "a meteor has struck the earth",
        "embers and ash fly through the air",
        "doomsday has come",
        "hell breaks loose",
        "show the scene in a disaster film",
        "what would Judgement Day look like here?",
        "the dragons have burnt the country down",
        "a wildfire rages behind the horizon",
    ),
    held_out=(
        "make this an apocalyptic scene",
        "what if the world came to its end?",
        "the sky burns red and ashes are raining down",
        "a volcano has erupted and everything is scorched",
        "it is doomsday and the land is burning",
    ),
    local=False,
    photo=True,
)
def world_ends(stage: Stage) -> Happening:
    """A burning sky over scorched land."""
    return _let(looks.apocalypse, stage)
