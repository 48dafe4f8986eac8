"""The Recheck tab's handlers: who may open what, what the keys do, and what a reviewer is told."""

from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from editworld_core.datagen.recheck import read_log
from editworld_core.datagen.records import load_images, locked, open_data_set, read_triplets
from editworld_core.datagen.simulate import generate_simulated
from tests.datagen.test_formats import make_data_set, make_pictures, make_triplet
from ui.recheck import RecheckTab
from ui.recheck_layout import lay_out_recheck
from ui.recheck_seat import Filter, Seat, data_sets
from ui.recheck_view import facts_view, pair_view, progress_view

COUNT = 6


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_data_set(tmp_path / "served" / "set", COUNT)
    (tmp_path / "served" / "no set").mkdir()
    make_data_set(tmp_path / "secret", 1)
    (tmp_path / "served" / "link").symlink_to(tmp_path / "secret")
    return tmp_path / "served"


@pytest.fixture
def seat(root: Path) -> Seat:
    return Seat(root / "set", "set", "Ada")


@cache
def built_tab() -> RecheckTab:
    with gr.Blocks(), gr.Tab("Recheck") as tab:
        recheck = RecheckTab(lay_out_recheck(), gr.State(None), None, lambda made: made or {})
        recheck.connect(tab, gr.State(None))
    return recheck


def open_tab(root: Path | None) -> RecheckTab:
    """The tab over ``root``; its components take seconds to build, and hold nothing."""
    tab = copy(built_tab())
    tab.root = root
    return tab


def note(tab: RecheckTab, updates: dict[Any, Any]) -> tuple[str | None, bool]:
    """The sentence in the note, and whether it is a refusal."""
    said = updates[tab.fields.note]
    return said.get("value"), "refused" in said.get("elem_classes", [])


def start(tab: RecheckTab, label: str | None, reviewer: str = "Ada", made: Any = None) -> dict[Any, Any]:
    return tab.start(None, made, label, reviewer, "to do", "any", "any")


def test_only_served_data_sets_and_ones_own_can_be_opened(root: Path, tmp_path: Path) -> None:
    assert list(data_sets(root)) == ["set"]
    assert list(data_sets(root / "set")) == ["set"]
    tab = open_tab(root)
    for label in ("secret", "link", "../secret", str(tmp_path / "secret"), "set/../../secret", "", None):
        updates = start(tab, label)
        assert note(tab, updates) == ("There is no such data set here; choose one from the list.", True)
        assert tab.seat not in updates
    assert not (tmp_path / "secret" / ".recheck.lock").exists()
    own = {"secret": tmp_path / "secret", "again": root / "set"}
    assert start(tab, "secret (yours)", made=own)[tab.seat].desk.folder == tmp_path / "secret"
    assert tab.look(own, None)[tab.fields.data_set]["choices"] == ["set", "secret (yours)"]


def test_without_a_data_set_the_page_says_how_to_get_one() -> None:
    tab = open_tab(None)
    updates = tab.look(None, None)
    assert updates[tab.fields.none_yet]["visible"]
    assert not updates[tab.fields.door]["visible"]
    assert "--data DIR" in tab.fields.none_yet.value


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\nb"])
def test_a_name_is_asked_for(root: Path, name: str) -> None:
    tab = open_tab(root)
    sentence, refused = note(tab, start(tab, "set", name))
    assert refused
    assert "reviewer's name" in sentence


def test_a_key_acts_on_what_the_page_showed_and_once(root: Path) -> None:
    tab = open_tab(root)
    seat = start(tab, "set")[tab.seat]
    first = seat.current
    accept = tab.doing(Seat.accept)
    updates = accept(seat, first, seat.triplet.instruction)
    assert updates[tab.fields.shown] == seat.current != first
    late = accept(seat, first, "")  # a second press, before the page showed the next one
    assert tab.fields.shown not in late
    assert seat.desk.progress().accepted == 1
    assert note(tab, tab.doing(Seat.accept)(None, "", "")) == (
        "Your place has expired; press Start again.",
        True,
    )


def test_what_is_typed_is_what_is_accepted(seat: Seat, root: Path) -> None:
    item = seat.current
    seat.accept("  The frost comes\n")
    triplet = seat.desk.get(item)
    assert (triplet.instruction, triplet.recheck) == ("The frost comes", "accept")
    tab = open_tab(root)
    shown = seat.current
    updates = tab.doing(Seat.accept)(seat, shown, "")
    assert note(tab, updates) == ("The instruction is empty; say what should happen in the picture.", True)
    assert tab.fields.instruction not in updates  # what was typed stays
    assert seat.current == shown


def test_two_reviewers_meet_at_no_item_and_see_each_other(root: Path) -> None:
    ada, bob = (Seat(root / "set", "set", name) for name in ("Ada", "Bob"))
    seen: list[str] = []
    while ada.current or bob.current:
        for seat in (ada, bob):
            assert ada.current is None or ada.current != bob.current
            if seat.current:
                seen.append(seat.current)
                seat.drop("") if len(seen) % 3 == 0 else seat.accept(seat.triplet.instruction)
    assert sorted(seen) == sorted(triplet.id for triplet in read_triplets(root / "set"))
    for seat in (ada, bob):
        progress = seat.desk.progress()
        assert (progress.accepted, progress.dropped, progress.mine) == (4, 2, 3)
    ada.step(-1)  # back from the end
    assert ada.current == seat.listed()[-1].id


def test_arrows_pass_what_another_holds_and_hold_one_at_a_time(root: Path) -> None:
    order = [triplet.id for triplet in read_triplets(root / "set")]
    ada, bob = (Seat(root / "set", "set", name) for name in ("Ada", "Bob"))
    assert (ada.current, bob.current) == (order[0], order[1])
    assert ada.step(1) == ""
    assert ada.current == order[2]
    assert bob.desk.is_free(order[0])
    ada.step(-1)
    assert ada.current == order[0]
    assert ada.step(-1) == "This is the first one here."
    assert ada.jump("6") == ""
    assert ada.current == order[5]
    assert ada.step(1) == "This is the last one here."
    tab = open_tab(root)
    for wrong, sentence in (
        ("0", "from 1 to 6"),
        ("7", "from 1 to 6"),
        ("../x", "no such item"),
        ("2", "Bob is"),
    ):
        said, refused = note(tab, tab.doing(Seat.jump)(ada, order[5], wrong))
        assert refused
        assert sentence in said
        assert ada.current == order[5]
    assert bob.desk.progress().held == 2


def test_filters(seat: Seat) -> None:
    every = list(read_triplets(seat.desk.folder))
    seat.choose(Filter(branch="video"))
    assert seat.triplet.branch == "video"
    assert [it.id for it in seat.listed()] == [it.id for it in every if it.branch == "video"]
    seat.accept(seat.triplet.instruction)
    seat.choose(Filter("accepted"))
    assert seat.triplet.recheck == "accept"
    seat.drop("")
    assert seat.choose(Filter("accepted")) == "There is nothing of this kind."
    assert seat.current is None
    seat.choose(Filter("to do", category=every[2].category.value))
    assert seat.current == every[2].id


def test_what_has_no_instruction_is_a_queue_of_its_own(tmp_path: Path) -> None:
    with open_data_set(tmp_path / "set", {}) as writer:
        for number in range(4):
            triplet = make_triplet(number)
            writer.add(replace(triplet, instruction="") if number == 3 else triplet, *make_pictures(number))
    seat = Seat(tmp_path / "set", "set", "Ada")
    assert seat.triplet.instruction == ""
    seat.choose(Filter("no instruction"))
    with pytest.raises(Exception, match="no instruction; write one"):
        seat.accept("")
    seat.accept("It snows")
    assert seat.current is None
    seat.undo("")
    seat.undo("")
    assert seat.triplet.instruction == ""


def test_a_mask_is_painted_and_taken_back(root: Path, seat: Seat) -> None:
    tab = open_tab(root)
    old = seat.triplet.mask
    shown = seat.current
    updates = tab.paint(seat, shown)
    assert updates[tab.fields.painting]["visible"]
    layer = np.zeros((24, 32, 4), np.uint8)
    layer[3:9, 4:20] = (242, 184, 75, 255)
    _, _, before = load_images(seat.desk.folder, seat.triplet)
    expected = layer[..., 3] > 0 if before is None else (np.asarray(before) > 127) | (layer[..., 3] > 0)
    updates = tab.use_mask(seat, shown, {"layers": [layer]})
    assert updates[tab.fields.shown] == shown
    _, _, mask = load_images(seat.desk.folder, seat.triplet)
    assert np.array_equal(np.asarray(mask) > 0, expected)
    seat.undo("")
    assert seat.triplet.mask == old
    assert note(tab, tab.use_mask(seat, shown, None))[1]  # nothing is being painted


def test_regenerating_shows_the_new_one_or_says_why_not(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "worlds"
    generate_simulated(folder, 2, size=64)
    tab = open_tab(tmp_path / "data")
    seat = start(tab, "worlds")[tab.seat]
    old = seat.current
    with locked(folder):
        said, refused = note(tab, tab.doing(Seat.regenerate)(seat, old, seat.triplet.instruction))
    assert refused
    assert said.startswith("Another process is writing to worlds; wait")  # and where it lies stays private
    updates = tab.doing(Seat.regenerate)(seat, old, seat.triplet.instruction)
    assert note(tab, updates)[0].startswith("Made again in another scene")
    assert seat.triplet.recipe == seat.desk.get(old).recipe
    assert seat.triplet.id != old
    tab.doing(Seat.undo)(seat, seat.current, "")
    assert seat.current == old


def test_texts_of_a_data_set_are_no_markup(root: Path, seat: Seat) -> None:
    evil = "<img src=x onerror=alert(1)>"
    triplet = replace(
        seat.triplet,
        instruction=evil,
        original_caption=evil,
        target_caption=evil,
        keywords=(evil,),
        scores={evil: 1},
    )
    seat.save(evil)
    views = pair_view(seat.desk.folder, triplet), facts_view(triplet, seat.desk.history(triplet.id))
    for view in views:
        assert "<img src=x" not in view
        assert "&lt;img" in view


def test_damaged_pictures_can_be_dropped(root: Path, seat: Seat) -> None:
    (seat.desk.folder / seat.triplet.target_image).write_bytes(b"no picture")
    view = pair_view(seat.desk.folder, seat.triplet)
    assert "is missing or not an image" in view
    assert str(root) not in view
    item = seat.current
    seat.drop("")
    assert read_log(seat.desk.folder).effective(seat.desk.get(item)).recheck == "drop"


def test_progress_is_drawn(seat: Seat) -> None:
    seat.accept(seat.triplet.instruction)
    seat.drop("")
    view = progress_view(seat.desk.progress(), seat.listed(), seat.current)
    assert 'aria-label="1 accepted, 1 dropped, 4 left of 6"' in view
    assert view.count("<i ") == COUNT
    assert view.count('left now"') == 1
    assert "3 / 6" in view
