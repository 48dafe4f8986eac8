"""``engines``: what there is, its licence and memory, and whether it is ready."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from editworld_core.commands.shared import Answer

if TYPE_CHECKING:
    from editworld_core.engines.registry import EngineRow


def engines(call: argparse.Namespace) -> Answer:
    """List the engines, and the inpainters that any of them can be followed by; nothing is loaded."""
    from editworld_core.controlnet_inpainting import controlnet_rows
    from editworld_core.engines.registry import engine_rows

    def listed(rows: "list[EngineRow]") -> list[dict[str, Any]]:
        return [dataclasses.asdict(row.info) | {"ready": row.ready, "why": row.why} for row in rows]

    rows, inpainters = engine_rows(), controlnet_rows()
    words = [_engine_in_words(row) for row in rows]
    words += ["", "For --inpainter:", *(_engine_in_words(row) for row in inpainters)]
    return {"engines": listed(rows), "inpainters": listed(inpainters)}, "\n".join(words)


def _engine_in_words(row: "EngineRow") -> str:
    info = row.info
    terms = info.licence if info.commercial else f"{info.licence} (non-commercial)"
    offloaded = [
        f"{gib:g} GiB with --offload {preset}"
        for preset, gib in (("model", info.memory_model_gib), ("sequential", info.memory_sequential_gib))
        if gib
    ]
    memory = ", ".join([f"{info.memory_gib:g} GiB", *offloaded])
    state = "ready" if row.ready else f"not ready: {row.why}"
    return (
        f"{info.id}: {info.title}\n  weights: {info.weights}, licence: {terms}\n  memory: {memory}\n  {state}"
    )
