"""A study as files: the maps as numbers, heat maps, masks and segments as pictures, a figure, an animation."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from editworld_core.errors import BadInputError
from editworld_core.laboratory.comparison import Comparison, compare
from editworld_core.laboratory.drawing import (
    figure,
    frames,
    gif,
    heat_overlay,
    map_picture,
    mask_picture,
    segments_overlay,
    words_of,
)
from editworld_core.laboratory.study import Study, View
from editworld_core.masks import Map, Mask, heat_from_maps, mask_iou

LONGEST_NAME = 40


def maps_npz(study: Study, view: View, truth: Mask | None = None) -> bytes:
    """All maps of ``study`` and what ``view`` makes of them, as an .npz file that ``numpy.load`` reads:

    - ``maps/LAYER``, float16 [steps, positions, h, w], for every recorded layer: softmax probabilities of the words'
      context positions, mean over heads;
    - ``steps/LAYER``, int [steps]: the numbers from 1 of its recorded denoising steps;
    - ``layers``, str [L]: the names of the layers;
    - ``positions``, int [positions]: the context positions, and ``word_of_position``, int [positions]: the index in
      ``words`` of the word that stands there, -1 for none;
    - ``words``, str [W]: the words, each once;
    - ``heat``, float32 [W, h, w]: the map of each word, of the view's layers and steps, scaled to 0..1;
    - ``chosen_words``, ``chosen_layers``, ``chosen_steps``, ``rule``, ``threshold``: the view;
    - ``mask``, bool [H, W], on the picture's grid, and with a true mask ``truth`` and ``iou``;
    - ``instruction``, ``engine``, ``seed``.
    """
    view, result = study.checked(view), study.result
    attention, mask = study.attention, study.mask(view)
    count = max(stack.shape[1] for stack in attention.layers.values())
    content: dict[str, object] = {
        f"maps/{name}": stack.astype(np.float16) for name, stack in attention.layers.items()
    }
    content |= {f"steps/{name}": np.asarray(attention.steps_of(name)) for name in attention.layers}
    content |= {
        "layers": np.asarray(list(attention.layers)),
        "positions": np.arange(count),
        "word_of_position": _word_of_position(study, count),
        "words": np.asarray(study.words),
        "heat": np.stack([_heat_in_cells(study, view, word) for word in study.words]),
        "chosen_words": np.asarray(view.words),
        "chosen_layers": np.asarray(view.layers),
        "chosen_steps": np.asarray(view.steps),
        "rule": view.rule,
        "threshold": view.threshold,
        "mask": mask,
        "instruction": result.instruction,
        "engine": result.settings.engine,
        "seed": result.settings.seed or 0,
    }
    if truth is not None:
        content |= {"truth": truth, "iou": mask_iou(mask, truth)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)  # type: ignore[arg-type]
    return buffer.getvalue()


def study_files(study: Study, view: View, truth: Mask | None = None) -> dict[str, bytes]:
    """The files of ``study`` by name: ``maps.npz``, a ``heat_WORD.png`` for each word, ``mask.png``, ``figure.png``,
    ``segments_before.png``, ``segments_after.png``, and ``steps.gif`` if more than one step was recorded.

    Args:
        truth: bool [H, W], where the picture truly changes; None if that is not known.

    Raises:
        BadInputError: ``view`` names what was not recorded, or ``truth`` has another size than the picture.
    """
    check_truth(study, truth)
    view, original = study.checked(view), study.result.original
    names = zip(study.words, file_names(study.words), strict=True)
    found = study.segments(view)
    files = {
        f"heat_{name}.png": png(heat_overlay(original, study.heat(_of(view, word)))) for word, name in names
    }
    before = segments_overlay(original, found.proposed_original, found.original.mask)
    after = segments_overlay(study.result.edited, found.proposed_edited, found.edited.mask)
    files |= {
        "maps.npz": maps_npz(study, view, truth),
        "mask.png": png(mask_picture(study.mask(view))),
        "figure.png": png(study_figure(study, view, truth)),
        "segments_before.png": png(before),
        "segments_after.png": png(after),
    }
    if len(study.steps(view)) > 1:
        files["steps.gif"] = gif(frames(study, view))
    return files


def comparison_files(first: Study, second: Study, of_first: View, of_second: View) -> dict[str, bytes]:
    """What a comparison adds: ``against.png``, a figure of both, ``against_mask.png``, ``against_maps.npz`` of the
    second instruction, and ``difference.png``, grey, 255 where the two edits differ by a channel's whole range.

    Raises:
        BadInputError: as ``compare`` does.
    """
    found = compare(first, second, of_first, of_second)
    grey = Image.fromarray(np.rint(found.difference * 255).astype(np.uint8))
    return {
        "against.png": png(comparison_figure(first, second, of_first, of_second, found)),
        "against_mask.png": png(mask_picture(found.second)),
        "against_maps.npz": maps_npz(second, of_second),
        "difference.png": png(grey),
    }


def study_figure(study: Study, view: View, truth: Mask | None = None) -> Image.Image:
    """Original, edited and final picture, the heat of each word, of the view's words together, and the mask."""
    result, mask = study.result, study.mask(view)
    panels = [("original", result.original), (f"edited: {result.instruction}", result.edited)]
    if result.settings.post_edit:
        panels.append(("after post-edit", result.final))
    panels += [
        (f"“{word}”", heat_overlay(result.original, study.heat(_of(view, word)))) for word in study.words
    ]
    together = heat_overlay(result.original, study.heat(view), mask)
    panels.append((f"together: {words_of(study, view)}", together))
    panels.append((f"mask, {mask.mean():.0%} of the picture", mask_picture(mask)))
    if truth is not None:
        panels.append((f"true mask, IoU {mask_iou(mask, truth):.2f}", mask_picture(truth)))
    return figure(panels)


def comparison_figure(
    first: Study, second: Study, of_first: View, of_second: View, found: Comparison
) -> Image.Image:
    """A row for each instruction (edited picture, heat, mask), and the difference of the edits."""
    panels: list[tuple[str, Image.Image]] = []
    pairs = ((first, of_first, found.first), (second, of_second, found.second))
    ends = (
        ("original", first.result.original),
        (
            f"difference of the edits, brightest {found.difference.max():.0%}; IoU of the masks {found.iou:.2f}",
            map_picture(found.difference),
        ),
    )
    for (study, view, mask), end in zip(pairs, ends, strict=True):
        heat = heat_overlay(study.result.original, study.heat(view), mask)
        panels += [
            end,
            (f"edited: {study.result.instruction}", study.result.edited),
            (words_of(study, view), heat),
            (f"mask, {mask.mean():.0%} of the picture", mask_picture(mask)),
        ]
    return figure(panels)


def check_truth(study: Study, truth: Mask | None) -> None:
    """Refuse a true mask that is not on the picture's grid.

    Raises:
        BadInputError: it is not.
    """
    if truth is not None and truth.shape != study.size:
        raise BadInputError(
            f"The true mask is {truth.shape[1]}x{truth.shape[0]} pixels and the picture {study.size[1]}x"
            f"{study.size[0]}: save the mask at the picture's size."
        )


def file_names(words: Sequence[str]) -> list[str]:
    """A name for each word that any file system takes, none twice even where capitals do not count."""
    names: list[str] = []
    for number, word in enumerate(words, 1):
        plain = "".join(each if each.isalnum() else "-" for each in word).strip("-")[:LONGEST_NAME]
        taken = {name.casefold() for name in names}
        name = plain or f"word-{number}"
        names.append(f"{name}-{number}" if name.casefold() in taken else name)
    return names


def png(picture: Image.Image) -> bytes:
    """``picture`` as a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _of(view: View, word: str) -> View:
    return replace(view, words=(word,))


def _heat_in_cells(study: Study, view: View, word: str) -> Map:
    maps = study.maps(_of(view, word))
    return heat_from_maps(maps, maps[0].shape)  # type: ignore[arg-type]


def _word_of_position(study: Study, count: int) -> NDArray[np.int64]:
    owner = np.full(count, -1)
    for token in study.result.words:
        if token.word in study.words:
            owner[list(token.positions)] = study.words.index(token.word)
    return owner
