"""What the page says, made from what the core knows."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from editworld_core.engines.protocol import EngineInfo

if TYPE_CHECKING:
    from editworld_core.editor import EditResult
    from editworld_core.engines.registry import EngineRow
    from editworld_core.settings import Speed

PRIVACY = (
    "Your pictures stay with this tab: other visitors never see them, nothing is logged, and they are deleted from "
    "the server at most two hours after you are done. Gradio's run history, which would keep your calls in the "
    "browser, is off. Save what you want to keep: a saved PNG remembers its settings, and dropping it on "
    "the picture field brings them back."
)


def privacy(sends: str) -> str:
    """The page's last words; ``sends`` is what the think step gives to a language model elsewhere, if anything."""
    if not sends:
        return PRIVACY
    return (
        f"{PRIVACY} “What would happen?” sends {sends} to a language model that this page's owner has chosen."
    )


def engine_choice(row: "EngineRow") -> tuple[str, str]:
    """Label and value of an engine in the list: "flux-kontext (non-commercial) · FLUX.1 [dev] Licence · …"."""
    info = row.info
    name = info.id if info.commercial else f"{info.id} (non-commercial)"
    state = "" if row.ready else "not downloaded yet" if row.usable else f"not ready: {row.why}"
    return " · ".join(part for part in (name, info.licence, state) if part), info.id


def engine_note(row: "EngineRow") -> str:
    """What a user wants to know of an engine before its first use."""
    info = row.info
    licence = info.licence if info.commercial else f"{info.licence}: **not for commercial use**"
    facts = [
        f"{info.title[:1].upper()}{info.title[1:]}.",
        f"Licence {licence} · weights: {info.weights} · {memory(info)}.",
    ]
    if not row.usable:
        facts.append(f"**{not_ready(row)}**")
    elif not row.ready:
        facts.append("**Its weights are not here yet: the first edit downloads them.**")
    return " ".join(facts)


def memory(info: EngineInfo) -> str:
    """What an edit needs, by offload preset where there is a choice."""
    presets = {"model": info.memory_model_gib, "sequential": info.memory_sequential_gib}
    less = [f"{gib:g} GB with offload {name}" for name, gib in presets.items() if gib is not None]
    return ", ".join([f"needs {info.memory_gib:g} GB of memory", *less])


def steps_help(info: EngineInfo, speed: "Speed") -> str:
    """What the number of steps does, for this engine."""
    usual = info.steps_of(speed)
    if usual == 1:
        return "One step is this engine's best; more are slower, not better."
    if info.fast_steps is None:
        return f"{usual} is usual for this engine; more is slower."
    other = "exact" if speed == "fast" else "fast"
    return f"{usual} is usual at this speed, {info.steps_of(other)} at {other}; more is slower."


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
    if result.mask_source == "hand":
        return f"White outline: what may change ({share}), by your own mask alone."
    joined = ", with your own mask" if result.hand is not None else ""
    if result.mask_source == "difference":
        return (
            f"This engine does not show which words act where: the mask, outlined in white, is where the two "
            f"pictures differ ({share}{joined})."
        )
    return f"Warm colours: where the chosen words looked. White outline: what may change ({share}{joined})."


def history_caption(result: "EditResult") -> str:
    """An edit in one short line."""
    words = result.instruction
    return words if len(words) <= 48 else words[:47].rstrip() + "…"
