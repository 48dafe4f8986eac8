"""The one thing that visitors share."""

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from stand_in import BROKEN, COMING, INFO, ROW, Painter, Squares, editor, noise

from editworld_core.engines.registry import EngineRow
from editworld_core.errors import BadInputError, EditCancelledError, EngineUnavailableError
from editworld_core.settings import EditSettings
from ui.studio import OwnEngine, Studio


def quiet(done: int, total: int) -> None:
    pass


class Loading:
    """An engine that is ready when the test says so."""

    def __init__(self) -> None:
        self.ready = threading.Event()

    def __call__(self) -> None:
        self.ready.wait(60)


@pytest.fixture
def loading() -> Iterator[Loading]:
    held = Loading()
    yield held
    held.ready.set()


def test_the_default_engine_is_the_first_that_is_ready() -> None:
    assert Studio(editor(), [BROKEN, ROW], lambda: None).default.id == "pocket"
    assert Studio(editor(), [BROKEN], lambda: None).default.id == "sleeper"


def test_an_unknown_or_unready_engine_is_refused_before_any_work() -> None:
    painter = Painter()
    studio = Studio(editor(painter), [ROW, BROKEN], lambda: None)
    with pytest.raises(BadInputError, match="no engine named 'dreamer' here"):
        studio.edit(noise(1), "paint it", EditSettings(engine="dreamer"), quiet)
    with pytest.raises(EngineUnavailableError, match="The engine sleeper is not ready: its weights"):
        studio.edit(noise(1), "paint it", EditSettings(engine="sleeper"), quiet)
    assert painter.edits == 0


def test_an_engine_that_can_be_downloaded_may_be_tried() -> None:
    painter = Painter()
    studio = Studio(editor(painter), [ROW, COMING], lambda: None)
    studio.edit(noise(1), "paint it", EditSettings(engine="traveller"), quiet)
    assert painter.edits == 1


def test_the_servers_own_engine_comes_first_with_its_lora() -> None:
    painter = Painter()
    own = OwnEngine(EngineRow(replace(INFO, id="mine"), True, ""), "style.safetensors", 0.5)
    studio = Studio(editor(painter), [ROW, BROKEN], lambda: None, own)
    assert studio.default.id == "mine"
    assert [row.info.id for row in studio.rows] == ["mine", "pocket", "sleeper"]
    studio.edit(noise(1), "paint it", EditSettings(engine="mine"), quiet)
    _, settings = painter.told or pytest.fail("no edit")
    assert (settings.lora, settings.lora_scale) == ("style.safetensors", 0.5)
    studio.edit(noise(1), "paint it", EditSettings(engine="pocket"), quiet)
    assert painter.told[1].lora == ""
    again = Studio(editor(), [ROW], lambda: None, OwnEngine(ROW))
    assert [row.info.id for row in again.rows] == ["pocket"]


def test_the_segmenter_of_that_name_takes_the_clicks() -> None:
    squares = Squares()
    studio = Studio(editor(), [ROW], lambda: None, segmenter=squares)
    mask = studio.select(noise(1), [(20, 20)], [True], "classical")
    assert mask.sum() == 11 * 11
    assert squares.names == ["classical"]


def test_a_turn_waits_until_the_engine_is_loaded(loading: Loading) -> None:
    studio = Studio(editor(), [ROW], loading)
    studio.start()
    waited: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        waited.append((done, total))
        if len(waited) == 3:
            loading.ready.set()

    with studio.turn(progress):
        assert loading.ready.is_set()
    assert waited == [(0, 0)] * 3


def test_the_wait_for_the_engine_can_be_stopped(loading: Loading) -> None:
    studio = Studio(editor(), [ROW], loading)
    studio.start()

    def stop(done: int, total: int) -> None:
        raise EditCancelledError("The edit was stopped.")

    with pytest.raises(EditCancelledError), studio.turn(stop):
        pytest.fail("it was not loaded")
    loading.ready.set()
    with studio.turn(quiet):
        pass


def test_an_engine_that_cannot_be_loaded_says_so_at_the_first_edit() -> None:
    def load() -> None:
        raise EngineUnavailableError("Its weights are damaged: install the package again.")

    studio = Studio(editor(), [ROW], load)
    studio.start()
    with studio.turn(quiet):
        assert studio.edit(noise(1), "paint it", EditSettings(seed=1), quiet).settings.seed == 1


def test_visitors_take_turns_in_the_order_in_which_they_came() -> None:
    painter = Painter()
    studio = Studio(editor(painter), [ROW], lambda: None)
    order: list[int] = []
    waiting = [threading.Event() for _ in range(3)]

    def visit(number: int) -> None:
        def progress(done: int, total: int) -> None:
            waiting[number].set()

        with studio.turn(progress):
            studio.edit(noise(number), "paint it", EditSettings(seed=number), progress)
            order.append(number)

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(3)]
    with studio.turn(quiet):
        for number, thread in enumerate(threads):
            thread.start()
            assert waiting[number].wait(30)
        assert order == []
    for thread in threads:
        thread.join(60)
    assert order == [0, 1, 2]
    assert (painter.edits, painter.most_at_work) == (3, 1)


def test_who_leaves_the_line_holds_nobody_up() -> None:
    studio = Studio(editor(), [ROW], lambda: None)

    def leave(done: int, total: int) -> None:
        raise EditCancelledError("The edit was stopped.")

    with studio.turn(quiet), pytest.raises(EditCancelledError), studio.turn(leave):
        pytest.fail("it was somebody else's turn")
    with pytest.raises(ValueError, match="broken"), studio.turn(quiet):
        raise ValueError("broken")
    with studio.turn(quiet):
        pass
