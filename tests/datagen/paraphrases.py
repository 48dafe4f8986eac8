"""The worked examples in other words, in their order: original caption, instruction, target caption."""

PARAPHRASES = [
    (
        "a newly painted rowboat tied to a wooden jetty",
        "Nobody returns for forty years.",
        "a rotten rowboat, half sunken and green with algae, at a decaying wooden jetty",
    ),
    (
        "a freshly planted vineyard of thin young vines on a sunny hillside",
        "What will be growing here when the children are grown up?",
        "a vineyard with thick gnarled vines full of grapes on a sunny hillside",
    ),
    (
        "a gleaming copper dome on a city library beneath a blue sky",
        "two centuries of rain fall on it",
        "a dull green copper dome streaked with verdigris on the city library beneath a blue sky",
    ),
    (
        "a bowl full of ripe peaches on the kitchen windowsill",
        "The family goes away for all of August.",
        "a bowl of shrunken peaches covered in grey mould on the kitchen windowsill",
    ),
    (
        "a chocolate bar on a car's dashboard",
        "leave the car parked in the blazing sun",
        "a brown puddle of molten chocolate that runs down a car's dashboard",
    ),
    (
        "raw bread dough in a round baking tin next to an oven",
        "Bake it for 40 minutes.",
        "a risen golden brown loaf of bread in a round baking tin next to an oven",
    ),
    (
        "a steaming fountain in the town square in the autumn",
        "what if the temperature drops to minus twenty tonight?",
        "a fountain frozen to hanging icicles and sheets of ice in the town square",
    ),
    (
        "a tidy pile of paper letters in a stone fireplace",
        "Somebody holds a match to the bottom sheet.",
        "a pile of blackened letters curling in orange flames in a stone fireplace",
    ),
    (
        "a cat crouched on a shelf beside a row of china cups",
        "The cat wants to pass.",
        "a cat on a shelf looking down at broken china cups on the floor",
    ),
    (
        "a man wearing a white shirt eats spaghetti at a restaurant table",
        "a waiter knocks against his elbow",
        "a man wearing a white shirt with a large red sauce stain at a restaurant table",
    ),
    (
        "a dry river bed with a little stone bridge below a dam",
        "What happens when the dam breaks?",
        "a torrent of brown water rushes over a little stone bridge in a river bed",
    ),
    (
        "a classroom with pupils writing at their desks",
        "the bell rings for the vacation",
        "an empty classroom with chairs pushed back and papers left lying on the desks",
    ),
    (
        "a girl wearing a school uniform looks up at an old telescope",
        "Twenty years later she is the first human on Mars.",
        "a woman in a white spacesuit stands beside an old telescope on red Martian soil",
    ),
    (
        "a hungry stray dog in the rain at the bus stop",
        "What if a kind old woman comes by?",
        "a happy clean dog wrapped in a blanket in the lap of an old woman at the bus stop",
    ),
    (
        "a baker behind the counter of a small shop with empty shelves",
        "his bread wins a national prize",
        "a proud baker with a gold medal behind the counter of a small shop full of customers",
    ),
    (
        "a knight rides towards a dark cave in the mountains",
        "It turns out that the dragon is friendly.",
        "a knight having a picnic with a smiling dragon before a dark cave in the mountains",
    ),
    (
        "a busy fish market at the harbour in the early morning",
        "What if it were a level of an eighties game?",
        "a fish market at the harbour in blocky pixel graphics with a score in the corner",
    ),
    (
        "a business quarter of glass towers at midday",
        "giant jellyfish arrive from another planet",
        "a business quarter of glass towers with huge glowing jellyfish floating between them",
    ),
    (
        "a grandmother who knits in an armchair by a window",
        "She falls into a comic book's pages.",
        "a grandmother knitting in an armchair, drawn in bold ink lines and dotted colours",
    ),
    (
        "a path in the forest covered with autumn leaves",
        "a spell is cast on the forest",
        "a path in the forest with glowing mushrooms, floating lanterns and purple leaves",
    ),
    (
        "a teapot on the table, its spout to the left",
        "Turn it around to pour for the guest on the other side.",
        "a teapot on the table, its spout to the right",
    ),
    (
        "a skateboarder on top of a concrete ramp",
        "he pushes himself off",
        "a skateboarder crouched at the bottom of a concrete ramp",
    ),
    (
        "a lighthouse viewed from the beach below it",
        "What does a gull that flies past see?",
        "a lighthouse and beach viewed from high above with waves all around",
    ),
    (
        "a closed violin case on a bed",
        "The violinist is getting ready to play.",
        "an open violin case with the violin inside on a bed",
    ),
    (
        "a little pumpkin in a vegetable garden next to a shed",
        "the gardener used up the whole bag of fertiliser",
        "a huge pumpkin crushing the shed in a vegetable garden",
    ),
    (
        "a rooster that crows on a farm gate",
        "He crows as loudly as he can.",
        "a rooster with a giant wide-open beak that bends the farm gate with its voice",
    ),
    (
        "a woman with a neat bun at the hairdresser",
        "What if the hair tonic works much too well?",
        "a woman at the hairdresser whose hair fills the room to the ceiling",
    ),
    (
        "a boy who blows a pink chewing gum bubble in a park",
        "keep on blowing and don't stop",
        "a boy lifted into the air by an enormous pink chewing gum bubble above a park",
    ),
]
