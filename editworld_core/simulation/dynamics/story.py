"""Story-Type: a beat of a story, after which somebody or something is what the story makes of them."""

import cv2
import numpy as np

from editworld_core.categories import Category
from editworld_core.simulation.dynamic import Happening, dynamic
from editworld_core.simulation.open_ground import becoming
from editworld_core.simulation.props import find_spot, scaled, smooth
from editworld_core.simulation.sprites import Picture, Sprite, crossfade, flip, load_sprite, paste, stand
from editworld_core.simulation.stage import Stage

PRONOUNS = {"man": ("he", "his"), "woman": ("she", "her")}


def _find_vocation(stage: Stage, vocation: str, *places: str) -> Happening:
    """A man or a woman in everyday clothes becomes what they always wanted to be."""
    subject = stage.choose(tuple(PRONOUNS))
    height = stage.chance(115, 165)
    half = 0.52 * height
    spot = find_spot(stage, *places, left=half, right=half, height=height)
    skin = stage.choose(("", "-dark"))
    person = load_sprite(f"{subject}-bust{skin}", spot.px(height))
    professional = load_sprite(f"{vocation}-{subject}{skin}", spot.px(height))
    he, his = PRONOUNS[subject]
    words = {"subject": subject, "he": he, "his": his, "place": spot.place}
    return Happening(becoming(spot, person, professional), words)


@dynamic(
    category=Category.STORY_TYPE,
    keywords=("{subject}",),
    before="a {subject} in everyday clothes in {place}",
    after="a farmer with a hat and a pitchfork in {place}",
    phrasings=(
        "turn the {subject} into a farmer",
        "make the {subject} a farmer",
        "the {subject} becomes a farmer",
        "what would it be like if {he} became a renowned organic farmer?",
        "{he} buys a farm and starts to grow vegetables",
        "the {subject} leaves the city to work in the fields",
        "{he} always dreamed of growing vegetables, and now {he} does",
        "the {subject} wears a straw hat and holds a pitchfork",
        "from now on the {subject} lives off {his} own land",
        "after years in the country {he} knows every cow by name",
        "the {subject} inherits {his} grandfather's farm",
        "what if the {subject} worked in agriculture?",
        "{he} gets up at five to make hay",
        "the {subject} chose a life with crops and tractors",
    ),
    held_out=(
        "let the {subject} work as a farmer",
        "what if the {subject} decided to run a farm?",
        "{he} moves to the countryside and becomes a successful farmer",
        "the {subject} spends {his} days in the fields growing crops",
        "{his} dream of having a vegetable farm comes true",
    ),
)
def become_farmer(stage: Stage) -> Happening:
    """A man or a woman becomes a farmer."""
    return _find_vocation(stage, "farmer", "meadow", "garden", "hills", "street")


@dynamic(
    category=Category.STORY_TYPE,
    keywords=("{subject}",),
    before="a {subject} in everyday clothes in {place}",
    after="an astronaut in a white space suit and a helmet in {place}",
    phrasings=(
        "turn the {subject} into an astronaut",
        "make the {subject} an astronaut",
        "the {subject} becomes an astronaut",
        "dress the {subject} in a space suit",
        "{he} is chosen for the next mission to the moon",
        "what if the {subject} joined the space agency?",
        "the {subject} puts on a white suit and a helmet for the space walk",
        "{he} always wanted to see the earth from orbit, and tomorrow {he} will",
        "the {subject} finishes the training for the space station",
        "what would it be like if {he} flew to Mars?",
        "the countdown is running and {he} is on the crew",
        "as a child the {subject} looked at the stars, now {he} travels to them",
        "the {subject} gets ready for zero gravity",
        "{he} will be the first person on another planet",
    ),
    held_out=(
        "let the {subject} be an astronaut",
        "what if {he} were sent on a mission to space?",
        "the {subject} wears a helmet and a space suit",
        "{he} is going to fly to the space station",
        "{his} dream of travelling to the moon comes true",
    ),
)
def become_astronaut(stage: Stage) -> Happening:
    """A man or a woman becomes an astronaut."""
    return _find_vocation(stage, "astronaut", "street", "room", "desert", "night_sky")


@dynamic(
    category=Category.STORY_TYPE,
    keywords=("frog",),
    before="a green frog in {place}",
    after="a prince with a golden crown in {place}",
    phrasings=(
        "turn the frog into a prince",
        "the frog becomes a prince",
        "the princess kisses the frog",
        "someone gives the frog a kiss",
        "the spell on the frog is broken",
        "the frog was an enchanted prince all along",
        "what happens when the frog is kissed?",
        "the witch's curse is lifted at last",
        "a handsome prince stands where the frog sat",
        "end the fairy tale of the frog king",
        "what if true love's kiss frees him from the spell?",
        "the frog gets his human shape back",
        "transform the frog into a king's son with a crown",
        "the enchantment ends and the frog is a young man again",
    ),
    held_out=(
        "change the frog into a prince",
        "what if a princess kissed this frog?",
        "the frog's curse is broken by a kiss",
        "the enchanted frog turns back into a king's son",
        "she bends down and kisses the green frog",
    ),
)
def kiss_frog(stage: Stage) -> Happening:
    """A frog becomes a prince."""
    height = stage.chance(80, 105)
    spot = find_spot(
        stage,
        "lake",
        "garden",
        "meadow",
        "forest",
        left=0.75 * height,
        right=0.75 * height,
        height=1.5 * height,
    )
    frog = load_sprite("frog-face", spot.px(height))
    prince = load_sprite("prince", spot.px(1.5 * height))
    return Happening(becoming(spot, frog, prince), {"place": spot.place})


def _baubles_and_star(fir: Sprite) -> Sprite:
    """``fir`` with the star and the baubles that the decorated sprite of the same tree has."""
    tree = load_sprite("christmas-tree", 2 * fir.shape[0])
    tree = scaled(tree, fir.shape[1] / tree.shape[1])
    body = tree[-fir.shape[0] :, : fir.shape[1]]
    differs = np.abs(body[..., :3] - fir[..., :3]).max(-1) * fir[..., 3]
    bauble = cv2.GaussianBlur(np.clip((differs - 0.2) / 0.1, 0, 1), (0, 0), 0.8)[..., None]
    body += (1 - bauble) * (fir - body)
    return tree


@dynamic(
    category=Category.STORY_TYPE,
    keywords=("fir",),
    before="a bare fir tree in {place}",
    after="a decorated Christmas tree with presents under it in {place}",
    phrasings=(
        "decorate the fir tree for Christmas",
        "turn the fir into a Christmas tree",
        "Christmas arrives",
        "it is Christmas Eve",
        "put baubles and a star on the tree",
        "Santa Claus was here last night",
        "the children find presents under the tree",
        "what does the tree look like on the 24th of December?",
        "the fir becomes a Christmas tree",
        "the family hangs ornaments on the fir and puts gifts beneath it",
        "the holiday season begins",
        "what if today were Christmas?",
        "everyone sings carols around the tree",
        "December comes, and with it the night of gifts",
    ),
    held_out=(
        "make it a Christmas tree",
        "Christmas has come and the fir is decorated",
        "what happens to the tree on Christmas Eve?",
        "Santa leaves presents under the fir tree",
        "hang baubles and a golden star on the fir",
    ),
)
def celebrate_christmas(stage: Stage) -> Happening:
    """A fir is decorated, and presents lie under it."""
    height = stage.chance(115, 150)
    half = 0.66 * height
    spot = find_spot(
        stage, "snowfield", "room", "meadow", "garden", left=half, right=half, height=1.2 * height
    )
    fir = load_sprite("fir", spot.px(height))
    tree = _baubles_and_star(fir)
    gift = load_sprite("gift", spot.px(0.38 * height))

    def frame(t: float) -> Picture:
        picture = spot.empty()
        size = smooth(t)
        decorated = fir if size == 0 else tree if size == 1 else crossfade(fir, tree, size)
        stand(picture, decorated, spot.x, spot.base)
        if size > 0.05:
            for side in (-1, 1):
                x = spot.x + side * 0.44 * spot.px(height)
                stand(picture, scaled(gift, size), x, spot.base + 2 * spot.unit)
        return picture

    return Happening(frame, {"place": spot.place})


CANDLES = 0.26  # the share of the cake's height that is candles


def _recolour(sprite: Sprite, order: tuple[int, int, int]) -> Sprite:
    return np.ascontiguousarray(sprite[..., (*order, 3)])


@dynamic(
    category=Category.STORY_TYPE,
    keywords=("cake",),
    before="a plain cake in {place}",
    after="a birthday cake with burning candles between colourful balloons in {place}",
    phrasings=(
        "put candles on the cake and balloons around it",
        "make it a birthday party",
        "it is her birthday",
        "turn the plain cake into a birthday cake",
        "someone turns three today",
        "surprise, happy birthday to you",
        "the birthday party begins",
        "what does the table look like on a child's birthday?",
        "light three candles and hang up balloons",
        "the guests are about to sing happy birthday",
        "what if today were the little one's third birthday?",
        "the parents have secretly prepared a party",
        "time to make a wish and blow out the candles",
        "she is one year older today",
    ),
    held_out=(
        "add birthday candles and balloons",
        "today is his birthday",
        "what if we celebrated a birthday with this cake?",
        "the child turns three and there is a party",
        "all the friends come to sing happy birthday",
    ),
    alone=True,
)
def celebrate_birthday(stage: Stage) -> Happening:
    """A cake gets candles, and balloons rise to its left and its right."""
    height = stage.chance(84, 104)
    reach = 1.15 * height
    spot = find_spot(
        stage, "table", "room", "kitchen", "garden", left=reach, right=reach, height=1.75 * height
    )
    party = load_sprite("cake", spot.px(height))
    plain = party[round(CANDLES * party.shape[0]) :]
    balloon = load_sprite("balloon", spot.px(1.1 * height))
    balloons = ((-1, flip(balloon)), (1, _recolour(balloon, (2, 1, 0))))

    def frame(t: float) -> Picture:
        picture = spot.empty()
        share = smooth(t)
        for side, sprite in balloons if share > 0.05 else ():
            rise = 0.6 * share * spot.px(height)
            paste(picture, scaled(sprite, share), spot.x + side * 0.8 * spot.px(height), spot.base - rise)
        cut = round(CANDLES * party.shape[0] * (1 - share))
        stand(picture, plain if share == 0 else party[cut:], spot.x, spot.base)
        return picture

    return Happening(frame, {"place": spot.place})
