"""What an edit costs: our presets beside the unmodified ``StableDiffusionInstructPix2PixPipeline`` on the same weights.

For the bundled engine, where success on held-out worlds can be compared too, and for Stable Diffusion 1.5 at full
size with random weights. Long runs are measured at two numbers of steps and extended: a step costs the same at each.
"""

from typing import Any

from benchmarks.measure import in_fresh_process
from benchmarks.models import PIPELINE_IMAGE, PIPELINE_STEPS, PIPELINE_TEXT

FEW, MORE = 2, 6
OPTIONS = {
    "guidance in the first 60% of the steps": (0.6, 1),
    "deep levels at every 2nd step": (1.0, 2),
    "deep levels at every 3rd step": (1.0, 3),
    "both, as in fast": (0.6, 2),
}
"""Short cuts by name: share of the steps with guidance, and how often the deep levels are run."""


def edit_benchmark(scenes: int, size: int, threads: int, full_size: bool, options: bool) -> dict[str, Any]:
    """The report; see the module.

    Args:
        scenes: held-out scenes on which success is compared; the pipeline needs about half a minute for each.
        size: side in pixels for Stable Diffusion.
        threads: of every contender.
        full_size: also measure Stable Diffusion 1.5.
        options: also measure each short cut alone, on the bundled engine at 20 guided steps.
    """
    common = {"threads": threads, "steps": PIPELINE_STEPS, "scenes": 0, "few": FEW, "more": MORE}
    common["guidance"] = (PIPELINE_TEXT, PIPELINE_IMAGE)
    report = _pocket(common, scenes)
    if full_size:
        report["sd15"] = _sd15(common, size)
    if options:
        report["options"] = _options(common, scenes)
    return report


def _pocket(common: dict[str, Any], scenes: int) -> dict[str, Any]:
    pocket = common | {"model": "pocket", "size": 256, "dtype": _fastest()}
    theirs = _run(pocket | {"who": "diffusers", "dtype": "fp32", "scenes": scenes})
    unguided = _run(pocket | {"who": "diffusers", "dtype": "fp32", "scenes": scenes, "guidance": (1.0, 1.0)})
    exact = _run(pocket | {"who": "exact"})
    fast = _run(pocket | {"who": "fast", "few": 0, "steps": 0, "scenes": scenes, "guidance": None})
    own = _run(pocket | {"who": "exact", "few": 0, "steps": 0, "scenes": scenes, "guidance": None})
    return {
        "ratio_fast": _whole(theirs) / fast["seconds"],
        "ratio_exact": _whole(theirs) / _whole(exact),
        "success_fast": fast["success"],
        "success_exact": own["success"],
        "success_diffusers": theirs["success"],
        "ratio_fast_unguided": _whole(unguided) / fast["seconds"],
        "success_diffusers_unguided": unguided["success"],
        "seconds_fast": fast["seconds"],
        "seconds_exact": _whole(exact),
        "seconds_diffusers": _whole(theirs),
        "peak_gib_fast": fast["peak_gib"],
        "peak_gib_exact": exact["peak_gib"],
        "peak_gib_diffusers": theirs["peak_gib"],
        "scenes": scenes,
        "dtype": pocket["dtype"],
    }


def _sd15(common: dict[str, Any], size: int) -> dict[str, Any]:
    large = common | {"model": "sd15", "size": size, "dtype": _fastest(), "few": 2, "more": 4}
    theirs = _run(large | {"who": "diffusers", "dtype": "fp32"})
    same_format = _run(large | {"who": "diffusers"})
    exact = _run(large | {"who": "exact"})
    fast = _run(large | {"who": "fast", "few": FAST_STEPS // 2, "more": FAST_STEPS})
    seconds_fast = FAST_STEPS * fast["seconds_per_step"] + fast["seconds_besides"]
    return {
        "size": size,
        "dtype": large["dtype"],
        "ratio_fast": _whole(theirs) / seconds_fast,
        "ratio_exact": _whole(theirs) / _whole(exact),
        "ratio_fast_same_dtype": _whole(same_format) / seconds_fast,
        "ratio_exact_same_dtype": _whole(same_format) / _whole(exact),
        "ratio_fast_same_steps_and_dtype": _whole(same_format, FAST_STEPS) / seconds_fast,
        "seconds_fast": seconds_fast,
        "seconds_exact": _whole(exact),
        "seconds_diffusers": _whole(theirs),
        "seconds_diffusers_same_dtype": _whole(same_format),
        "peak_gib_fast": fast["peak_gib"],
        "peak_gib_exact": exact["peak_gib"],
        "peak_gib_diffusers": theirs["peak_gib"],
    }


FAST_STEPS = 20


def _options(common: dict[str, Any], scenes: int) -> list[dict[str, Any]]:
    """Each short cut alone, against none, where a success can be measured: the bundled engine at 20 guided steps."""
    asked = common | {
        "model": "pocket",
        "size": 256,
        "dtype": "fp32",
        "scenes": scenes,
        "steps": 20,
        "guidance": (2.0, 1.2),
    }
    plain = _run(asked | {"who": "exact"})
    rows = [("none", plain)]
    if _fastest() != "fp32":
        rows.append(("bf16", _run(asked | {"who": "exact", "dtype": _fastest()})))
    rows += [(name, _run(asked | {"who": "fast", "shortcuts": cut})) for name, cut in OPTIONS.items()]
    return [
        {
            "option": name,
            "ratio": _whole(plain, 20) / _whole(row, 20),
            "success": row["success"],
            "error": row["error"],
        }
        for name, row in rows
    ]


def _run(asked: dict[str, Any]) -> dict[str, Any]:
    return in_fresh_process("benchmarks.contender", asked)


def _whole(run: dict[str, Any], steps: int = PIPELINE_STEPS) -> float:
    return float(steps * run["seconds_per_step"] + run["seconds_besides"])


def _fastest() -> str:
    from editworld_core.engines.place import multiplies_bf16

    return "bf16" if multiplies_bf16() else "fp32"


def in_words(report: dict[str, Any]) -> str:
    """The report as a table for people."""
    lines = [
        f"pocket at 256x256 ({report['dtype']}, success on {report['scenes']} held-out scenes)",
        *_table(report, with_success=True),
        f"diffusers without guidance, as the engine is made for: {report['success_diffusers_unguided']:.1%} succeed, "
        f"fast is {report['ratio_fast_unguided']:.0f}x faster",
    ]
    if "sd15" in report:
        large = report["sd15"]
        lines += [
            "",
            f"Stable Diffusion 1.5, random weights, {large['size']}x{large['size']} (ours in {large['dtype']})",
            *_table(large, with_success=False),
            f"against diffusers in {large['dtype']} too: exact {large['ratio_exact_same_dtype']:.2f}x, "
            f"fast {large['ratio_fast_same_dtype']:.1f}x; at {FAST_STEPS} steps as well: "
            f"fast {large['ratio_fast_same_steps_and_dtype']:.2f}x",
        ]
    if "options" in report:
        lines += ["", "short cut (pocket, 20 guided steps)              faster  success  error of 255"]
        lines += [
            f"{row['option']:<48} {row['ratio']:>5.2f}x  {row['success']:>6.1%}  {row['error']:>6.2f}"
            for row in report["options"]
        ]
    return "\n".join(lines)


def _table(found: dict[str, Any], with_success: bool) -> list[str]:
    lines = [
        "                              seconds   faster   peak GiB" + ("   success" if with_success else "")
    ]
    for who, title in (
        ("diffusers", "diffusers, 100 steps"),
        ("exact", "ours, exact, 100 steps"),
        ("fast", "ours, fast"),
    ):
        ratio = found.get(f"ratio_{who}", 1.0)
        line = (
            f"{title:<28} {found[f'seconds_{who}']:>8.2f}  {ratio:>6.2f}x  {found[f'peak_gib_{who}']:>9.2f}"
        )
        lines.append(line + (f"  {found[f'success_{who}']:>8.1%}" if with_success else ""))
    return lines
