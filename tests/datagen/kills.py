"""Killing a run again and again. A warm process forks every life, so that fifty do not pay fifty times for imports."""

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

MOST_A_LIFE = 3


def count_lines(folder: Path, log: str = "manifest.jsonl") -> int:
    path = folder / log
    return path.read_bytes().count(b"\n") if path.exists() else 0


def kill_often(
    live: Callable[[], object],
    folder: Path,
    wanted: int,
    longest: float = 0.4,
    count: Callable[[Path], int] = count_lines,
) -> int:
    """Kill runs of ``live``, which adds to ``folder``, with SIGKILL until ``wanted`` have died of it; how many did.

    Every second one dies just before or just after a file gets its name; of the others half at a random moment of
    ``longest`` seconds from the start, half at one after the first new item, and at once after ``MOST_A_LIFE`` new
    ones, so that a quick machine has work left for the last one. No life may lose what was there.
    """
    chance, kills = random.Random(0), 0
    for number in range(2 * wanted):  # some end before they are hit
        if kills == wanted:
            break
        known = count(folder)
        renamed = chance.choice([1, -1]) * chance.randint(1, 9) if number % 2 else 0
        child = os.fork()
        if not child:
            try:
                _die_around_renaming(renamed)
                live()
            finally:
                os._exit(0)
        ended = 0
        if not renamed:
            while number % 4 and not ended and count(folder) == known:
                time.sleep(0.002)
                ended = os.waitpid(child, os.WNOHANG)[0]
            moment = time.monotonic() + chance.uniform(0, longest)
            while time.monotonic() < moment and count(folder) < known + MOST_A_LIFE:
                time.sleep(0.002)
            if not ended:
                os.kill(child, signal.SIGKILL)
        if not ended:
            kills += os.waitpid(child, 0)[1] == signal.SIGKILL
        assert count(folder) >= known
    return kills


def _die_around_renaming(number: int) -> None:
    """Die at once before (negative) or after (positive) the renaming with this number; 0 never."""
    replace, done = os.replace, 0

    def replace_or_die(*paths):
        nonlocal done
        done += 1
        if done == -number:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)

    if number:
        os.replace = replace_or_die
