"""What the Attention tab shows of a study, as updates of its fields."""

from dataclasses import replace
from typing import Any

import gradio as gr
from PIL import Image

from editworld_core.laboratory.comparison import compare
from editworld_core.laboratory.drawing import heat_overlay, map_picture, segments_overlay, words_of
from editworld_core.laboratory.study import Study, View
from editworld_core.masks import Mask, at_most, mask_iou
from ui.attention_layout import Seen
from ui.attention_session import ALL_STEPS

Updates = dict[Any, Any]
LONGEST = 768  # pixels; a live picture should be quick to send
SMALL = 256


def seen(answer: Seen, study: Study, view: View, truth: Mask | None) -> Updates:
    """Heat and mask of ``view``, and what there is to say of them."""
    mask = study.mask(view)
    return {
        answer.heat: heat_overlay(study.result.original, study.heat(view), mask, LONGEST),
        answer.said: gr.update(value=in_words(study, view, mask, truth), elem_classes=[]),
    }


def in_words(study: Study, view: View, mask: Mask, truth: Mask | None) -> str:
    """What is on the page: words, layers, steps, how large the mask is and how it lies on the true one."""
    view = study.checked(view)
    recorded, last = study.steps(view), study.result.settings.steps
    if len(view.steps) == 1:
        when = f"step {view.steps[0]} of {last}" if last and last > 1 else "the one step"
    elif view.steps == recorded:
        when = f"mean of {len(recorded)} steps"
    else:
        when = f"mean of steps {', '.join(map(str, view.steps))}"
    height, width = max((study.layers[name] for name in view.layers), key=max)
    layers = f"{len(view.layers)} layer{'s' * (len(view.layers) > 1)} of {width}×{height}"
    size = f"The mask, outlined in white, is {mask.mean():.0%} of the picture."
    overlap = "" if truth is None else f" **IoU with the true mask: {mask_iou(mask, truth):.2f}.**"
    return f"{words_of(study, view)} · {layers} · {when}. {size}{overlap}"


def each_word(study: Study, view: View) -> list[tuple[Image.Image, str]]:
    """A heat map of each word of the instruction alone, with the word below."""
    picture = at_most(study.result.original, SMALL)
    heats = [
        study.heat(replace(view, words=(word,)), (picture.height, picture.width)) for word in study.words
    ]
    return [(heat_overlay(picture, heat), word) for heat, word in zip(heats, study.words, strict=True)]


def segmented(answer: Seen, study: Study, view: View) -> Updates:
    """Both pictures with the segments that were proposed and the chosen one."""
    found, result = study.segments(view), study.result
    if found.proposed_original or found.proposed_edited:
        count = len(found.proposed_original), len(found.proposed_edited)
        said = (
            f"Coloured outlines: the {count[0]} and {count[1]} segments that were proposed. Outlined in white, in the "
            f"picture's own colours: the one that lies best on what changed (overlap {found.original.overlap:.2f} and "
            f"{found.edited.overlap:.2f}). The two together make the post-edit's mask."
        )
    elif not found.edit.all():
        said = "Nothing visibly changed where these words look: there was nothing to segment."
    else:
        said = "The instruction is about the whole picture: there was nothing to segment."
    return {
        answer.before: segments_overlay(
            result.original, found.proposed_original, found.original.mask, LONGEST
        ),
        answer.after: segments_overlay(result.edited, found.proposed_edited, found.edited.mask, LONGEST),
        answer.segments_said: said,
    }


def difference(answer: Seen, first: Study, second: Study) -> Updates:
    """Where and by how much two edits differ, which no view changes."""
    change = compare(first, second, first.usual, second.usual).difference
    return {
        answer.second_edited: second.result.final,
        answer.difference: map_picture(change, LONGEST),
        answer.difference_said: (
            f"Before post-edit the two differ by {change.mean():.1%} of a channel's range on average, by "
            f"{change.max():.0%} where the map is brightest."
        ),
    }


def compared(answer: Seen, first: Study, second: Study, of_first: View, of_second: View) -> Updates:
    """Heat and mask of two instructions, and how the masks lie on each other."""
    masks = first.mask(of_first), second.mask(of_second)
    heats = [
        heat_overlay(study.result.original, study.heat(view), mask, LONGEST)
        for study, view, mask in ((first, of_first, masks[0]), (second, of_second, masks[1]))
    ]
    return {
        answer.first_heat: heats[0],
        answer.second_heat: heats[1],
        answer.compared_said: (
            f"“{first.result.instruction}” and “{second.result.instruction}”: "
            f"**the masks have an IoU of {mask_iou(*masks):.2f}.**"
        ),
    }


def step_by_step(study: Study, view: View, step: float | None) -> Updates:
    """The slider over the recorded steps of the layers of ``view``, out of sight if there is but one."""
    count = len(study.steps(view))
    place = min(int(step or ALL_STEPS), count)
    return gr.update(maximum=max(count, 1), value=place, visible=True if count > 1 else "hidden")
