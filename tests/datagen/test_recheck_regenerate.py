"""Sending triplets back to be made again, and what a reviewer's place in the queue is."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editworld_core.datagen.formats.exporting import choose
from editworld_core.datagen.recheck import Recheck, read_events, read_log
from editworld_core.datagen.records import load_images, locked, open_data_set, read_about, read_triplets
from editworld_core.datagen.simulate import generate_simulated
from editworld_core.datagen.triplet import Triplet
from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.simulation.world import simulate
from tests.datagen.test_formats import make_data_set, make_pictures, make_triplet


@pytest.fixture
def worlds(tmp_path: Path) -> Path:
    generate_simulated(tmp_path / "worlds", 3, dynamics=["burn_candle", "melt_snowman"], seed=2, size=64)
    return tmp_path / "worlds"


def by_id(folder: Path) -> dict[str, Triplet]:
    return {triplet.id: triplet for triplet in read_triplets(folder)}


def test_a_simulated_scene_is_made_again_with_another_seed(worlds: Path) -> None:
    before = by_id(worlds)
    ada, bob = Recheck(worlds, "Ada"), Recheck(worlds, "Bob")
    old = ada.next()
    new = ada.regenerate(old.id)
    (added,) = by_id(worlds).keys() - before.keys()
    assert added == new.id
    assert (new.recipe, new.category, new.branch) == (old.recipe, old.category, old.branch)
    # the same as whoever simulates that seed gets, and not one that a longer run of any seed comes to
    seed = new.seeds["scene"]
    assert seed == 2_999_999
    pair = simulate(new.recipe["dynamic"], seed, size=64)
    original, target, mask = load_images(worlds, new)
    for image, array in ((original, pair.before), (target, pair.after), (mask, pair.mask)):
        assert (
            np.array_equal(np.asarray(image) > 0, array)
            if array.dtype == bool
            else (np.asarray(image) == array).all()
        )
    assert read_about(worlds)["counts"]["triplets"] == 4
    assert ada.get(old.id).recheck == "drop"
    assert ada.next() == new  # it is hers
    assert bob.next().id not in (old.id, new.id)
    event = next(event for event in read_events(worlds) if event.kind == "regenerate")
    assert (event.item, event.replacement, event.instruction) == (old.id, new.id, old.instruction)
    progress = bob.progress()
    assert (progress.total, progress.dropped, progress.left, progress.again) == (4, 1, 3, 0)


def test_undo_brings_the_old_one_back_and_drops_the_new_one(worlds: Path) -> None:
    ada = Recheck(worlds, "Ada")
    old = ada.next()
    new = ada.regenerate(old.id)
    assert ada.undo() == old
    assert ada.get(new.id).recheck == "drop"
    assert Recheck(worlds, "Bob").get(new.id).recheck == "drop"  # from the log alone
    assert ada.undo() is None
    again = ada.regenerate(old.id)
    assert again.id not in (old.id, new.id)
    ada.open(new.id)
    ada.accept(new.id)
    assert ada.get(new.id).recheck == "accept"


def test_undo_leaves_a_new_one_on_which_another_has_decided(worlds: Path) -> None:
    ada, bob = Recheck(worlds, "Ada"), Recheck(worlds, "Bob")
    old = ada.next()
    new = ada.regenerate(old.id)
    ada.release(new.id)
    bob.open(new.id)
    with pytest.raises(BadInputError, match="Bob is looking"):
        ada.undo()
    bob.accept(new.id)
    assert ada.undo() == old
    assert ada.get(new.id).recheck == "accept"


def test_regenerating_waits_for_no_other_writer(worlds: Path) -> None:
    ada = Recheck(worlds, "Ada")
    old = ada.next()
    log = (worlds / "recheck.jsonl").read_bytes()
    with locked(worlds), pytest.raises(EditWorldError, match=r"Another process is writing to .*; wait"):
        ada.regenerate(old.id)
    assert (worlds / "recheck.jsonl").read_bytes() == log
    assert len(by_id(worlds)) == 3
    assert ada.regenerate(old.id).id != old.id


def test_what_cannot_be_made_here_is_noted_with_its_instruction(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    make_data_set(folder, 3)
    ada = Recheck(folder, "Ada")
    item = ada.next().id
    ada.rewrite(item, "The frost comes")
    manifest = (folder / "manifest.jsonl").read_bytes()
    assert ada.regenerate(item).recheck == "drop"
    assert (folder / "manifest.jsonl").read_bytes() == manifest
    assert read_log(folder).wanted_again() == {item: "The frost comes"}
    assert (ada.progress().again, ada.progress().dropped) == (1, 1)
    chosen, left_out = choose(folder)
    assert item not in {triplet.id for triplet in chosen}
    assert left_out == Counter({"dropped by a reviewer": 1})
    assert ada.undo().instruction == "The frost comes"
    assert read_log(folder).wanted_again() == {}
    ada.drop(item)
    ada.regenerate(item)  # a second thought on what is dropped already
    assert read_log(folder).wanted_again() == {item: "The frost comes"}


def test_a_scene_from_photographs_is_noted_only(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    Image.effect_noise((96, 96), 60).convert("RGB").save(photo)
    folder = tmp_path / "worlds"
    generate_simulated(folder, 1, size=64, photos=[photo])
    ada = Recheck(folder, "Ada")
    item = ada.next().id
    assert ada.regenerate(item).id == item
    assert list(read_log(folder).wanted_again()) == [item]


def test_what_has_no_instruction_comes_first_and_a_wish_is_heard(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    with open_data_set(folder, {}) as writer:
        for number in range(6):
            triplet = make_triplet(number)
            if number in (2, 5):
                triplet = replace(triplet, instruction=" ")
            writer.add(triplet, *make_pictures(number))
    listed = list(read_triplets(folder))
    order = [listed[number].id for number in (2, 5, 0, 1, 3, 4)]
    ada, bob = Recheck(folder, "Ada"), Recheck(folder, "Bob")
    assert [triplet.id for triplet in ada.items()] == order
    assert ada.next().id == order[0]
    assert bob.next().id == order[1]
    ada.release(order[0])
    bob.release(order[0])  # which is not his, and stays as it is
    assert bob.is_free(order[0])
    assert not ada.is_free(order[1])
    videos = ada.next(lambda triplet: triplet.branch == "video" and triplet.instruction.strip())
    assert videos.branch == "video"
    assert ada.next(lambda triplet: triplet.id == "none") is None
