"""Instructions that do not concern any of the pictures; none of their words are among those of training."""

INSTRUCTIONS = (
    "knit it out of spaghetti",
    "carve everything in soapstone",
    "add a waterslide",
    "give it antlers",
    "a hammock would look good here",
    "what is the tallest mountain of Wales?",
    "order a pizza for seven o'clock",
    "the interest rate falls by half a percent",
)
