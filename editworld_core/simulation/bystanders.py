"""Who else is in the scene: things of other kinds beside the subject, near and far, to which nothing happens."""

from editworld_core.simulation.sprites import Picture, flip, load_sprite, stand
from editworld_core.simulation.stage import Bystander, Stage

BYSTANDERS = (
    *(
        "teddy bear",
        "football",
        "mushroom",
        "cactus",
        "bucket",
        "suitcase",
        "bicycle",
        "rock",
        "turtle",
        "drum",
    ),
    *(
        "hedgehog",
        "vase",
        "chair",
        "log",
        "crate",
        "trophy",
        "fire extinguisher",
        "gift",
        "television",
        "potted plant",
    ),
    *(
        "clock",
        "guitar",
        "basket",
        "basketball",
        "scooter",
        "goat",
        "rooster",
        "penguin",
        "pineapple",
        "watermelon",
    ),
)
COUNTS = (0, 0, 0, 1, 1, 1, 2, 2, 3)  # each as likely as the others

Columns = tuple[float, float]


def put_bystanders(
    stage: Stage, picture: Picture, horizon: float, taken: list[Columns], subject: str
) -> None:
    """Stand up to three bystanders on the ground of ``picture``, in place, and note them on the ``stage``.

    They are smaller towards the ``horizon`` (pixels), keep out of the columns ``taken``, so that none covers a
    subject or is covered by it, and none is a ``subject``.
    """
    unit = stage.size / 256
    names = [name for name in BYSTANDERS if name != subject]
    far, near = min(horizon + 16 * unit, 0.85 * stage.size), 248 * unit
    for depth in sorted(stage.chance(0, 1) for _ in range(stage.choose(COUNTS))):
        name = stage.choose(names)
        names.remove(name)
        sprite = load_sprite(name.replace(" ", "-"), round(stage.chance(0.8, 1.2) * (30 + 28 * depth) * unit))
        if stage.chance(0, 1) < 0.5:
            sprite = flip(sprite)
        half = 0.7 * sprite.shape[1]
        rooms = _rooms(taken, half, stage.size)
        if not rooms:
            continue
        x, base = stage.chance(*stage.choose(rooms)), far + depth * (near - far)
        stand(picture, sprite, x, base)
        taken.append((x - half, x + half))
        rows = slice(max(0, int(base) - sprite.shape[0]), int(base) + 1)
        columns = slice(int(x - sprite.shape[1] / 2), int(x + sprite.shape[1] / 2) + 1)
        stage.notes.bystanders.append(Bystander(name, (rows, columns)))


def _rooms(taken: list[Columns], half: float, size: int) -> list[Columns]:
    """Where the middle of a thing of ``half`` width may stand: the gaps between the columns ``taken``."""
    rooms, start = [], 0.0
    for left, right in [*sorted(taken), (float(size), float(size))]:
        if left - start > 2 * half:
            rooms.append((start + half, left - half))
        start = max(start, right)
    return rooms
