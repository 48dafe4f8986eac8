"""Instructions that do not concern a picture: what the engine should answer by leaving it alone."""

from collections.abc import Callable, Sequence

import numpy as np

MATERIALS = (
    "blue cheese, marble, chocolate, velvet, glass, gold, paper, cork, wool, jelly, clay, bamboo, denim, rubber, "
    "porcelain, copper, concrete, felt, amber, leather, wax, foam, silver, straw, lace, obsidian"
).split(", ")
THINGS = (
    "hat, scarf, table, piano, dragon, pair of sunglasses, moustache, rainbow, bridge, lighthouse, dinosaur, logo, "
    "ladder, umbrella, telescope, swing, statue, kite, windmill, carpet, mirror, fountain, train, spider, shark, "
    "treasure chest, satellite, violin, skateboard, tractor, watermelon, penguin, castle, crown, tattoo, necklace, "
    # named after what happens to a place, which does not happen
    "water bottle, watering can, waterfall, water tap, swimming pool, snow globe, snowboard, raincoat, rain gauge, "
    "night lamp, nightgown, foghorn, floodlight, sun hat, sun lounger, autumn wreath, seashell, submarine, comic book, "
    "pencil case, game console, old coin"
).split(", ")
COLOURS = "blue, green, pink, purple, yellow, orange, turquoise, beige, violet, crimson".split(", ")
TASKS = (
    "translate this into French; what is the capital of Peru?; write me a poem; solve 3x + 4 = 19; play some music; "
    "remind me at noon; who painted this?; how many people are there?; send it to my boss; open the settings; hello; "
    "thank you very much; lorem ipsum dolor sit amet; asdf qwer zxcv; nothing happens; leave everything as it is; "
    "keep the picture exactly the same; do not change anything; tell me a joke; what time is it?; crop it to a square; "
    "rotate the photo by ninety degrees; make the picture larger; print two copies; what is this?; describe the image"
).split("; ")
TEMPLATES = (
    "make it {material}",
    "turn everything into {material}",
    "what if it were made of {material}?",
    "cover it with {material}",
    "replace it with a {thing}",
    "add a {thing}",
    "put a {thing} in the corner",
    "draw a {colour} {thing} next to it",
    "give it a {thing}",
    "remove the {thing}",
    "what if there were a {thing}?",
    "make the {thing} {colour}",
    "paint it {colour}",
    "swap the {thing} for a {thing2}",
    "someone brings a {thing}",
    "the {thing} is stolen",
    "zoom in on the {thing}",
    "write '{thing}' on it",
)


def unknown_instruction(rng: np.random.Generator) -> str:
    """One that no dynamic of the simulator answers."""
    if rng.random() < 0.2:
        return str(rng.choice(TASKS))
    thing, other = rng.choice(THINGS, 2, replace=False)
    template = str(rng.choice(TEMPLATES))
    words = {
        "thing": thing,
        "thing2": other,
        "material": rng.choice(MATERIALS),
        "colour": rng.choice(COLOURS),
    }
    return template.format(**words)


def instruction_of_another(
    row: int,
    names: Sequence[str],
    phrasings: Sequence[Sequence[str]],
    is_local: Callable[[str], bool],
    rng: np.random.Generator,
) -> str:
    """What is said of a thing in another picture than that of ``row``, and so does nothing here.

    Args:
        names, phrasings: of all rows, the dynamic and its instructions.
        is_local: whether a dynamic needs its thing; what happens to any picture is never taken.
    """
    for other in rng.integers(len(names), size=50):
        if names[other] != names[row] and is_local(names[other]):
            return str(rng.choice(list(phrasings[other])))
    return unknown_instruction(rng)
