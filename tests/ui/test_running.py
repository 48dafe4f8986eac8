"""Work beside the page: its steps, its end, its failures and its stop."""

import threading
import time
from collections.abc import Callable

import pytest

from editworld_core.errors import BadInputError, EditCancelledError
from ui.running import Finished, Step, stepwise

Progress = Callable[[int, int], None]


def workers() -> int:
    return threading.active_count()


def test_steps_come_first_and_what_the_work_returned_last() -> None:
    def work(progress: Progress) -> str:
        for done in range(1, 4):
            progress(done, 3)
            time.sleep(0.05)
        return "an edit"

    before = workers()
    *steps, last = stepwise(work)
    assert last == Finished("an edit")
    assert steps
    assert all(isinstance(step, Step) for step in steps)
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert workers() == before


def test_a_quiet_work_still_gives_a_heartbeat() -> None:
    ended = threading.Event()
    steps = stepwise(lambda progress: ended.wait(30))
    assert [next(steps) for _ in range(3)] == [Step(0, 0)] * 3
    ended.set()
    assert list(steps)[-1] == Finished(True)


def test_closing_stops_within_one_step_and_joins_the_thread() -> None:
    seen: list[int] = []
    ended: list[BaseException] = []
    step = threading.Semaphore(0)

    def work(progress: Progress) -> None:
        try:
            for done in range(1000):
                step.acquire(timeout=30)
                seen.append(done)
                progress(done, 1000)
        except EditCancelledError as error:
            ended.append(error)
            raise

    before = workers()
    steps = stepwise(work)
    for _ in range(3):
        step.release()
    while next(steps) != Step(2, 1000):
        pass
    # the work is in its next step while the iterator is closed
    threading.Timer(0.3, step.release).start()
    steps.close()  # type: ignore[attr-defined]
    assert seen == [0, 1, 2, 3]
    assert len(ended) == 1
    assert workers() == before


def test_exceptions_pass_on() -> None:
    def work(progress: Progress) -> None:
        progress(1, 2)
        raise BadInputError("The picture is too big.")

    before = workers()
    with pytest.raises(BadInputError, match="The picture is too big"):
        list(stepwise(work))
    assert workers() == before


def test_nothing_runs_before_it_is_asked_for() -> None:
    started: list[int] = []
    steps = stepwise(lambda progress: started.append(1))
    assert not started
    steps.close()  # type: ignore[attr-defined]
    assert not started
