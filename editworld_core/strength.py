"""The middle of a change: an edit shown as far as a strength between 0, the upload, and 1, the edit.

No engine here knows strength: the bundled one was trained on finished changes only. What can be done for any engine is
to scale the change of every pixel, which for an engine that predicts *source + recolouring + residual* scales all
three. For light, weather and colour that is the truth; for what moves, melts, grows or breaks it is a dissolve, in
which old and new are both half there.

Measured on the simulator's own pictures at strengths 0, 1 and 0.5 (held-out split, three scenes of each dynamic;
``tests/test_strength.py`` repeats some), the error to the true middle, as a share of the upload's: 1% for night, rain,
a sketch, the end of the world and a sea that rises over everything, 2% for a century, 5% for sunset, 10 to 13% for
autumn, fog and snow. Where the simulator itself lets one thing fade into another (a frog into a prince), 2 to 9%. For
melting, burning, breaking, falling, growing, shrinking and walking away 57 to 160%: no better than one of the ends.
"""

import numpy as np
from PIL import Image

from editworld_core.errors import BadInputError
from editworld_core.pixels import to_float, to_image

NOTE = (
    "No engine here knows the middle of a change, so every pixel's change was scaled: right for light, weather and "
    "colour, but a dissolve for what moves, melts, grows or breaks."
)


def check_strength(strength: float) -> float:
    """``strength``, if it lies in 0..1.

    Raises:
        BadInputError: it does not.
    """
    if not 0 <= strength <= 1:
        raise BadInputError(f"The strength must lie between 0 and 1, not {strength:g}.")
    return strength


def at_strength(original: Image.Image, edited: Image.Image, strength: float) -> Image.Image:
    """The picture between ``original`` and ``edited``, RGB and of one size, with the change of every pixel scaled.

    Pixels that are equal in both stay bit for bit what they are.

    Raises:
        BadInputError: the strength is outside 0..1.
    """
    before, after = to_float(original), to_float(edited)
    return to_image(before + np.float32(check_strength(strength)) * (after - before))
