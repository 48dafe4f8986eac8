"""Measuring in a fresh process, so that no contender inherits the memory or the caches of another."""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any


def in_fresh_process(module: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """What ``module``'s ``main(arguments)`` prints as JSON, run in a Python of its own.

    Raises:
        RuntimeError: it failed.
    """
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", module, json.dumps(arguments)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TRANSFORMERS_VERBOSITY": "error", "DIFFUSERS_VERBOSITY": "error"},
    )
    if run.returncode:
        raise RuntimeError(f"{module} {arguments} ended with status {run.returncode}")
    found: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return found


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median of ``repeats`` runs of ``work``, after one that does not count."""
    work()
    return median(_timed(work) for _ in range(repeats))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def peak_gib() -> float:
    """The most memory that this process has held so far, GiB."""
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30


def per_step(run: Callable[[int], object], few: int, more: int) -> tuple[float, float]:
    """Seconds of a step, and of everything else, from runs with ``few`` and with ``more`` steps."""
    run(few)
    short, long = _timed(lambda: run(few)), _timed(lambda: run(more))
    step = (long - short) / (more - few)
    return step, max(0.0, short - few * step)
