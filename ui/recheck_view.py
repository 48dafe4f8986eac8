"""What the Recheck tab shows of a triplet, as HTML. Texts of a data set are data: all are escaped."""

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from editworld_core.datagen.recheck import Event, Progress
from editworld_core.datagen.records import encode_png, load_images
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError

LONGEST = 768  # pixels of a shown picture's longer side; larger ones are scaled down
OUTLINE = 512  # pixels of the outline's longer side at least, so that it is thin on small pictures too
CELLS = 60  # in the strip
SIGNS = {"accept": "✓", "drop": "✕", "left": "○"}
VERBS = {
    "accept": "accepted",
    "drop": "dropped",
    "regenerate": "sent back to be made again",
    "rewrite": "rewrote",
    "category": "moved to",
    "mask": "painted the mask",
}


def pair_view(folder: Path, triplet: Triplet) -> str:
    """Original and target side by side, each over its caption, the mask as an outline on both."""
    try:
        original, target, mask = load_images(folder, triplet)
    except BadInputError as error:
        sentence = str(error).replace(str(folder), folder.name)
        return f'<div class="rc-empty"><p>{escape(sentence)}</p></div>'
    outline = "" if mask is None else f'<img class="rc-mask" alt="" src="{_outline(mask)}">'
    sides = ((original, "before", triplet.original_caption), (target, "after", triplet.target_caption))
    return '<div class="rc-pair">' + "".join(_figure(*side, outline) for side in sides) + "</div>"


def _figure(picture: Image.Image, when: str, caption: str, outline: str) -> str:
    text = f"<q>{escape(caption)}</q>" if caption.strip() else "<i>no caption</i>"
    return (
        f'<figure><div class="rc-frame"><img alt="{when}" src="{_address(picture)}">{outline}</div>'
        f"<figcaption><b>{when}</b> {text}</figcaption></figure>"
    )


def _address(picture: Image.Image) -> str:
    if max(picture.size) > LONGEST:
        picture.thumbnail((LONGEST, LONGEST))
    return f"data:image/png;base64,{base64.b64encode(encode_png(picture)).decode()}"


def _outline(mask: Image.Image) -> str:
    """The edge of the mask in white with a dark rim, transparent elsewhere."""
    scale = max(1.0, OUTLINE / max(mask.size))
    size = round(mask.width * scale), round(mask.height * scale)
    white = np.asarray(mask.resize(size, Image.Resampling.NEAREST)) > 127
    edges, _ = cv2.findContours(white.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    drawn = np.zeros((*white.shape, 4), np.uint8)
    cv2.drawContours(drawn, edges, -1, (20, 26, 32, 255), 5)
    cv2.drawContours(drawn, edges, -1, (255, 255, 255, 255), 2)
    return _address(Image.fromarray(drawn))


def facts_view(triplet: Triplet, history: Sequence[Event]) -> str:
    """Where it came from, its keywords, scores and verdicts."""
    made = [triplet.branch.replace("_", "-"), str(triplet.recipe.get("dynamic", "")).replace("_", " ")]
    scores = [f"{name} {value:.3g}" for name, value in triplet.scores.items()]
    rows = [("made by", [it for it in made if it]), ("keywords", triplet.keywords), ("scores", scores)]
    table = "".join(
        f"<dt>{name}</dt><dd>{''.join(f'<span>{escape(it)}</span>' for it in values)}</dd>"
        for name, values in rows
        if values
    )
    verdicts = "".join(f"<li>{_verdict(event)}</li>" for event in reversed(history))
    listing = f'<ul class="rc-history">{verdicts}</ul>' if verdicts else ""
    return f'<dl class="rc-facts">{table}</dl>{listing}'


def _verdict(event: Event) -> str:
    what = VERBS[event.kind]
    if event.kind in ("rewrite", "category"):
        what += f": <s>{escape(event.old or 'nothing')}</s> {escape(event.new or '')}"
    elif event.kind == "mask" and event.new is None:
        what = "took the mask away"
    return f"<b>{escape(event.reviewer)}</b> {what} <small>{event.time:%d %b %H:%M} UTC</small>"


def progress_view(progress: Progress, listed: Sequence[Triplet], current: str | None) -> str:
    """A bar of what is accepted, dropped and left, and a strip with a cell for each item around the current one."""
    counts = (("accept", progress.accepted), ("drop", progress.dropped), ("left", progress.left))
    said = (
        f"{progress.accepted} accepted, {progress.dropped} dropped, {progress.left} left of {progress.total}"
    )
    bar = "".join(f'<span class="{name}" style="flex: {count}"></span>' for name, count in counts if count)
    numbers = "".join(
        f'<span class="{name}" title="{title}">{SIGNS[name]} {count}</span>'
        for (name, count), title in zip(counts, ("accepted", "dropped", "left"), strict=True)
    )
    more = (
        ("mine", "☻", progress.mine, "decided by you"),
        ("changed", "✎", progress.changed, "changed by reviewers"),
        ("again", "↻", progress.again, "to be made again"),
        ("held", "◔", progress.held, "before a reviewer now"),
    )
    rest = "".join(f'<span class="{n}" title="{title}">{sign} {k}</span>' for n, sign, k, title in more if k)
    return (
        f'<div class="rc-progress" role="img" aria-label="{said}"><div class="rc-bar">{bar}</div>'
        f'<div class="rc-numbers">{numbers}{rest}</div></div>{_strip(listed, current)}'
    )


def _strip(listed: Sequence[Triplet], current: str | None) -> str:
    at = next((number for number, triplet in enumerate(listed) if triplet.id == current), 0)
    first = max(0, min(at - CELLS // 2, len(listed) - CELLS))
    cells = []
    for number, triplet in enumerate(listed[first : first + CELLS], first + 1):
        state = triplet.recheck if triplet.recheck in ("accept", "drop") else "left"
        classes = [state, *["blank"] * (not triplet.instruction.strip()), *["now"] * (triplet.id == current)]
        cells.append(f'<i class="{" ".join(classes)}" data-number="{number}" title="{number}"></i>')
    where = f"{at + 1} / {len(listed)}" if current is not None else f"{len(listed)}"
    return f'<div class="rc-strip">{"".join(cells)}<small>{where}</small></div>'


def done_view(progress: Progress, everything: bool) -> str:
    """What stands in the place of the pictures when nothing is left."""
    if everything and not progress.left:
        first = f"All {progress.total} are decided: {progress.accepted} accepted, {progress.dropped} dropped."
    elif everything:
        first = f"The {progress.left} that are left are with other reviewers."
    else:
        first = "Nothing of this kind is left to do."
    return (
        f'<div class="rc-empty"><div aria-hidden="true">✓</div><p><b>{first}</b></p>'
        "<p>U takes your last verdict back, ← looks at what was decided.</p></div>"
    )
