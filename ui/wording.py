"""What the page says, made from what the core knows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from editworld_core.engines.protocol import EngineInfo

if TYPE_CHECKING:
    from editworld_core.editor import EditResult
    from editworld_core.engines.registry import EngineRow

PRIVACY = (
    "Your pictures stay with this tab: other visitors never see them, nothing is logged, and they are deleted from "
    "the server at most two hours after you are done. Gradio's run history, which would keep your calls in the "
    "browser, is off. Save what you want to keep: a saved PNG remembers its settings, and dropping it on "
    "the picture field brings them back."
)


def engine_choice(row: "EngineRow") -> tuple[str, str]:
    """Label and value of an engine in the list."""
    return (row.info.id if row.ready else f"{row.info.id} (not ready)"), row.info.id


def engine_note(row: "EngineRow") -> str:
    """What a user wants to know of an engine before choosing it."""
    info = row.info
    facts = (
        f"{info.title[:1].upper()}{info.title[1:]}. "
        f"Licence {info.licence} · needs {info.memory_gib:g} GB of memory · weights: {info.weights}."
    )
    return facts if row.ready else f"{facts} **{not_ready(row)}**"


def not_ready(row: "EngineRow") -> str:
    """Why an engine cannot be used."""
    return f"The engine {row.info.id} is not ready: {row.why.rstrip('.')}."


def guidance_help(info: EngineInfo) -> str:
    """The advice of the InstructPix2Pix demo in this engine's numbers."""
    text, image = info.text_guidance, info.image_guidance
    more, less = f"{text * 1.4:.1f}", f"{text / 1.4:.1f}"
    tighter, looser = f"{image * 1.25:.2f}", f"{image / 1.25:.2f}"
    return f"""\
**Not changing enough?** Raise *Follow the words* (usually {text:g}; try {more}), or lower *Hold on to the picture* \
(usually {image:g}; try {looser}). Name the thing that should change, and say what it becomes.

**Changing too much?** Lower *Follow the words* (try {less}), or raise *Hold on to the picture* (try {tighter}). \
Keep post-edit on, and choose only the words of the things that may change.

**Almost there?** Try another seed, or other words for the same thing."""


def timings_line(timings: Mapping[str, float]) -> str:
    """Seconds by stage, and their sum: "edit 2.1 s · mask 0.1 s · 2.2 s in all"."""
    parts = [
        f"{name.replace('_', '-')} {seconds:.1f} s" for name, seconds in timings.items() if seconds >= 0.05
    ]
    return " · ".join([*parts, f"**{sum(timings.values()):.1f} s in all**"])


def mask_note(result: "EditResult") -> str:
    """How to read the overlay."""
    share = f"{result.mask.mean():.0%} of the picture"
    if result.mask_source == "difference":
        return (
            f"This engine does not show which words act where: the mask, outlined in white, is where the two "
            f"pictures differ ({share})."
        )
    return f"Warm colours: where the chosen words looked. White outline: what may change ({share})."


def history_caption(result: "EditResult") -> str:
    """An edit in one short line."""
    words = result.instruction
    return words if len(words) <= 48 else words[:47].rstrip() + "…"
