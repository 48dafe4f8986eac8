"""The measures of a triplet by name: what each says and which way is better, for the page, the filters and the table.

A value is a float, or None where the triplet does not have what the measure is about.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Values = Mapping[str, float | None]

CLIP_HELP = "name the weights with --clip, as a folder or a hub id such as openai/clip-vit-large-patch14"
JUDGE_HELP = (
    "give --judge, with a vision-language server in EDITWORLD_LLM_URL and its model in EDITWORLD_LLM_MODEL"
)


@dataclass(frozen=True)
class Measure:
    """What is known of a measure before anything is measured.

    Attributes:
        name: in filters, JSON and CSV.
        title, about: for people; ``about`` is a sentence.
        group: the heading under which the page shows it.
        better: which end is the good one, or None if neither is as such.
        flag: the value is 0 or 1.
    """

    name: str
    title: str
    group: str
    about: str
    better: Literal["high", "low"] | None = None
    flag: bool = False


PAIRS, WORDS, REPEATS = "Pictures", "Instructions", "Repetitions"
CLIP, JUDGE = "CLIP", "Language-model judge"

MEASURES: Mapping[str, Measure] = {
    measure.name: measure
    for measure in (
        Measure(
            "readable", "Readable", PAIRS, "1 if all of its picture files can be read.", "high", flag=True
        ),
        Measure(
            "st_lpips",
            "How much the picture changes",
            PAIRS,
            "Shift-tolerant LPIPS between original and target: 0 is no visible change.",
        ),
        Measure(
            "st_lpips_outside",
            "What changes outside the mask",
            PAIRS,
            "Shift-tolerant LPIPS where the mask says that nothing should change: 0 is best.",
            "low",
        ),
        Measure(
            "mask_share",
            "Size of the mask",
            PAIRS,
            "Share of the picture that the mask covers, 0 to 1.",
        ),
        Measure(
            "sharpness",
            "Sharpness of the blurrier picture",
            PAIRS,
            "Variance of the Laplacian of the grey levels, the lower of the two: small is blurred or empty.",
            "high",
        ),
        Measure(
            "sharpness_original",
            "Sharpness of the original",
            PAIRS,
            "Variance of the Laplacian of the grey levels (0 to 255).",
            "high",
        ),
        Measure(
            "sharpness_target",
            "Sharpness of the target",
            PAIRS,
            "Variance of the Laplacian of the grey levels (0 to 255).",
            "high",
        ),
        Measure(
            "sharpness_ratio",
            "Sharpness, target to original",
            PAIRS,
            "Far below 1 the target is blurred, far above 1 it is noisy or richer in detail.",
        ),
        Measure(
            "clip_text",
            "Target picture and target caption",
            CLIP,
            "Cosine of their CLIP embeddings: does the picture show the outcome?",
            "high",
        ),
        Measure(
            "clip_image",
            "Original and target picture",
            CLIP,
            "Cosine of their CLIP embeddings: is it still the same scene?",
            "high",
        ),
        Measure(
            "clip_direction",
            "Change of pictures and change of captions",
            CLIP,
            "Cosine of the change of the image embedding with that of the caption embedding.",
            "high",
        ),
        Measure(
            "judge_alignment",
            "Alignment",
            JUDGE,
            "1 if the target shows the outcome and the original does not.",
            "high",
            flag=True,
        ),
        Measure(
            "judge_identity",
            "Identity",
            JUDGE,
            "1 if what the instruction leaves alone is the same in both.",
            "high",
            flag=True,
        ),
        Measure(
            "judge_quality",
            "Quality",
            JUDGE,
            "1 if both pictures are clear and without broken parts.",
            "high",
            flag=True,
        ),
        Measure("words", "Length", WORDS, "Words in the instruction."),
        Measure("distinct_words", "Distinct words", WORDS, "Different words in the instruction."),
        Measure(
            "type_token_ratio",
            "Type-token ratio",
            WORDS,
            "Different words by words: below 1 the instruction repeats itself.",
        ),
        Measure(
            "reading_grade",
            "Reading grade",
            WORDS,
            "Coleman–Liau index: the school year that reads it easily; rough on short texts.",
        ),
        Measure(
            "cause",
            "Causes",
            WORDS,
            "1 if it tells or asks what happens, 0 if it is a plain command such as “make it night”.",
            flag=True,
        ),
        Measure(
            "coherence",
            "Coherence",
            WORDS,
            "MiniLM cosine of the instruction with the target caption, less that with the original caption: below 0 "
            "it is about what was, not what becomes.",
            "high",
        ),
        Measure(
            "keywords_found",
            "Keywords in the captions",
            WORDS,
            "Share of the keywords that stand in a caption.",
            "high",
        ),
        Measure(
            "repeats_pictures",
            "Repeats pictures",
            REPEATS,
            "1 if an earlier triplet has nearly the same original and the same target.",
            "low",
            flag=True,
        ),
        Measure(
            "repeats_texts",
            "Repeats texts",
            REPEATS,
            "1 if an earlier triplet has nearly the same instruction and captions.",
            "low",
            flag=True,
        ),
    )
}
