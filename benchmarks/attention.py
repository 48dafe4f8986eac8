"""What recording attention costs: ours, beside capture as DAAM and as prompt-to-prompt's AttentionStore do it.

All three watch the same UNet. The two baselines are written anew after the papers (Tang et al. 2023; Hertz et al.
2023), in the branch order of InstructPix2Pix, where the published code would read the wrong branch.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from statistics import median
from typing import Any

import torch

from benchmarks.measure import in_fresh_process, peak_gib
from benchmarks.models import pocket_engine, sd15_conditions, sd15_pipeline
from editworld_core.attention import AttentionRecorder
from editworld_core.engines.place import DTYPES, Place, multiplies_bf16

Maps = dict[Any, torch.Tensor]
STORED_CELLS = 32**2  # prompt-to-prompt stores no finer maps
HOWS = ("ours", "daam", "attention_store")


class _Explicit:
    """An attention processor that writes the probabilities out, as reading them needs in either baseline."""

    def __init__(self, see: Callable[[Any, torch.Tensor], None]) -> None:
        self.see = see

    def __call__(
        self, attn: Any, hidden_states: torch.Tensor, encoder_hidden_states: Any = None, *_: Any, **__: Any
    ) -> torch.Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = (
            attn.head_to_batch_dim(part)
            for part in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        probabilities = attn.get_attention_scores(query, key)
        self.see(attn, probabilities)
        mixed = attn.batch_to_head_dim(torch.bmm(probabilities, value))
        return attn.to_out[1](attn.to_out[0](mixed))


@contextmanager
def _replaced(
    unet: Any, see: Callable[[str], Callable[[Any, torch.Tensor], None]], layers: str
) -> Iterator[None]:
    before = dict(unet.attn_processors)
    unet.set_attn_processor(
        {name: _Explicit(see(name)) if layers in name else inside for name, inside in before.items()}
    )
    try:
        yield
    finally:
        unet.set_attn_processor(before)


def daam(unet: Any, maps: Maps) -> AbstractContextManager[None]:
    """Sums, for every head of every cross-attention, of the maps of all tokens."""

    def see(name: str) -> Callable[[Any, torch.Tensor], None]:
        def add(attn: Any, probabilities: torch.Tensor) -> None:
            for head, map in enumerate(probabilities[: attn.heads].transpose(1, 2)):
                maps[name, head] = maps.get((name, head), 0) + map

        return add

    return _replaced(unet, see, ".attn2.")


def attention_store(unet: Any, maps: Maps) -> AbstractContextManager[None]:
    """Sums of all probabilities of the conditional branch, of cross-attention and self-attention, up to 32x32."""

    def see(name: str) -> Callable[[Any, torch.Tensor], None]:
        def add(attn: Any, probabilities: torch.Tensor) -> None:
            if probabilities.shape[1] <= STORED_CELLS:
                maps[name] = maps.get(name, 0) + probabilities[: attn.heads]

        return add

    return _replaced(unet, see, ".attn")


def attention_benchmark(size: int, steps: int, threads: int) -> dict[str, Any]:
    """Time and memory of each way, as ratios to the same UNet unwatched.

    Args:
        size: side in pixels for Stable Diffusion 1.5, which has random weights; the bundled engine has its own.
        steps: forward passes of three branches a run.
        threads: of every process.
    """
    dtype = "bf16" if multiplies_bf16() else "fp32"
    report: dict[str, Any] = {"dtype": dtype, "size": size, "steps": steps}
    for model in ("pocket", "sd15"):
        report[model] = {
            how: in_fresh_process(
                "benchmarks.attention",
                {
                    "how": how,
                    "model": model,
                    "size": size,
                    "steps": steps,
                    "threads": threads,
                    "dtype": dtype,
                },
            )
            for how in HOWS
        }
    return report


@torch.no_grad()
def main(asked: dict[str, Any]) -> dict[str, Any]:
    """One way on one model: median of paired runs, so that a machine's moods hit both."""
    torch.set_num_threads(asked["threads"])
    unet, forward = _model(asked["model"], Place("cpu", DTYPES[asked["dtype"]]), asked["size"])

    def run() -> float:
        started = time.perf_counter()
        for timestep in range(asked["steps"]):
            forward(torch.tensor(timestep))
        return time.perf_counter() - started

    def watched() -> tuple[float, int]:
        if asked["how"] == "ours":
            recorder = AttentionRecorder()
            with recorder.watch(unet, (asked["size"] // 8,) * 2):
                taken = run()
            return taken, sum(stack.nbytes for stack in recorder.maps().layers.values())
        maps: Maps = {}
        with (daam if asked["how"] == "daam" else attention_store)(unet, maps):
            taken = run()
        return taken, sum(map.numel() * map.element_size() for map in maps.values())

    run()
    plain = [run()]
    before = peak_gib()
    seen = [watched()]
    for _ in range(4):
        plain.append(run())
        seen.append(watched())
    ratios = [taken / unwatched for (taken, _), unwatched in zip(seen, plain, strict=True)]
    return {
        "time_ratio": median(ratios),
        "memory_ratio": peak_gib() / before,
        "kept_bytes": seen[-1][1],
        "seconds_plain": median(plain),
    }


def _model(name: str, place: Place, size: int) -> tuple[Any, Callable[[torch.Tensor], object]]:
    """A UNet and a forward pass of its three branches."""
    if name == "pocket":
        engine = pocket_engine(place)
        told, nothing = (
            engine.encoder.encode(["melt the snowman"], (0, 0)),
            engine.encoder.nothing([""], (0, 0)),
        )
        context = torch.cat([told.context, nothing.context, nothing.context]).to(place.dtype)
        pooled = torch.cat([told.added["class_labels"], *[nothing.added["class_labels"]] * 2]).to(place.dtype)
        sample = torch.randn(3, 384, size // 8, size // 8)
        return engine.unet, lambda timestep: engine.unet(sample, timestep, context, class_labels=pooled)
    unet = sd15_pipeline(place.dtype).unet.to(memory_format=torch.channels_last)
    words, empty = sd15_conditions()
    context = torch.cat([words, empty, empty]).to(place.dtype)
    sample = torch.randn(3, 8, size // 8, size // 8, dtype=place.dtype)
    return unet, lambda timestep: unet(sample, timestep, context)


def in_words(report: dict[str, Any]) -> str:
    """The report as a table for people."""
    lines = [
        f"three branches in {report['dtype']}, {report['steps']} steps, {report['size']}x{report['size']}"
    ]
    lines.append("model   recorded by        time    memory   kept")
    for model in ("pocket", "sd15"):
        for how in HOWS:
            row = report[model][how]
            lines.append(
                f"{model:<7} {how:<16} {row['time_ratio']:>5.2f}x  {row['memory_ratio']:>6.3f}x"
                f"  {row['kept_bytes'] / 2**20:>6.1f} MiB"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
