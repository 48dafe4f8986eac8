"""How fast simulated worlds are made: by runner and workers, by the number of pairs, and when nothing is missing."""

import json
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.measure import in_fresh_process

SMALL = (
    64  # pixels; the cost per pair at many pairs is that of the bookkeeping, and small pictures hide it least
)
GROWTH = 10
Report = dict[str, Any]


def generate_benchmark(pairs: int, size: int, most: int) -> Report:
    """Pairs a second with one and two workers of each runner, and what a pair costs in ever larger data sets.

    Args:
        pairs: made by each runner with each number of workers.
        size: side of their pictures in pixels.
        most: pairs of the largest data set, at 64 pixels with two local workers; the others have a tenth and a
            hundredth. It is then asked for once more, when nothing is missing.
    """
    runners = ["local", *(["ray"] if find_spec("ray") else [])]
    report: Report = {"pairs": pairs, "size": size, "runners": {}, "growth": [], "growth_size": SMALL}
    for runner in runners:
        one, two = (_measured(runner=runner, workers=workers, pairs=pairs, size=size) for workers in (1, 2))
        scaling = two["pairs_per_second"] / one["pairs_per_second"]
        report["runners"][runner] = {"1": one, "2": two, "scaling": scaling}
    with tempfile.TemporaryDirectory() as folder:
        for count in sorted({max(1, most // GROWTH**2), max(1, most // GROWTH), most}):
            again = {"runner": "local", "workers": 2, "pairs": count, "size": SMALL, "folder": folder}
            report["growth"].append(_measured(**{**again, "folder": f"{folder}/{count}"}))
        report["nothing_missing"] = _measured(**{**again, "folder": f"{folder}/{most}"})
    return report


def _measured(**asked: Any) -> Report:
    return in_fresh_process("benchmarks.generate", asked)


def main(asked: Report) -> Report:
    """One run, encoding and writing included.

    ``pairs_per_second`` counts from the first pair on, so without the start of the workers; ``seconds`` is all of it.
    ``cpu_ms_per_pair`` is the processor time of this process and its descendants, the start of the workers included.
    """
    from editworld_core.datagen.runner import make_runner
    from editworld_core.datagen.simulate import generate_simulated

    arrivals: list[float] = []
    cpu = 0.0

    def note(done: int, total: int) -> None:
        nonlocal cpu
        arrivals.append(time.perf_counter())
        if done == total:  # while the workers are still there
            cpu = _processor_seconds()

    with tempfile.TemporaryDirectory() as temporary:
        runner = make_runner(asked["runner"], asked["workers"])
        folder = Path(asked.get("folder") or temporary) / "set"
        started, before = time.perf_counter(), _processor_seconds()
        report = generate_simulated(folder, asked["pairs"], size=asked["size"], runner=runner, progress=note)
        seconds = time.perf_counter() - started
    worked = arrivals[-1] - arrivals[1] if len(arrivals) > 2 else seconds
    return {
        "pairs": asked["pairs"],
        "added": report.added,
        "seconds": seconds,
        "pairs_per_second": max(1, len(arrivals) - 2) / worked,
        "ms_per_pair": 1000 * seconds / asked["pairs"],
        "cpu_ms_per_pair": 1000 * (cpu - before) / asked["pairs"],
    }


def _processor_seconds() -> float:
    import psutil

    here = psutil.Process()
    total = 0.0
    for process in (here, *here.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # it ended between the two calls
            continue
        total += times.user + times.system
    return total


def in_words(report: Report) -> str:
    """The report as tables for people."""
    lines = [f"{report['pairs']} pairs of {report['size']}x{report['size']}, encoded and written"]
    lines.append("runner  workers  pairs/s  CPU ms/pair  seconds in all")
    for runner, rows in report["runners"].items():
        for workers in ("1", "2"):
            row = rows[workers]
            lines.append(
                f"{runner:<7} {workers:>7}  {row['pairs_per_second']:>7.1f}  {row['cpu_ms_per_pair']:>11.1f}"
                f"  {row['seconds']:>14.1f}"
            )
        lines.append(f"{runner:<7} one to two workers: {rows['scaling']:.2f} times as fast")
    side = report["growth_size"]
    lines += ["", f"data sets of {side}x{side}, two local workers", "  pairs  ms/pair  CPU ms/pair"]
    for row in report["growth"]:
        lines.append(f"{row['pairs']:>7}  {row['ms_per_pair']:>7.2f}  {row['cpu_ms_per_pair']:>11.2f}")
    again = report["nothing_missing"]
    lines.append(f"{again['pairs']} pairs again, none missing: {again['seconds']:.1f} s")
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
