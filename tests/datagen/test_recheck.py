"""Verdicts of reviewers: kept, undone, never lost, never two reviewers on one triplet."""

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editworld_core.datagen.recheck import Recheck, apply, read_events, read_log
from editworld_core.datagen.records import load_images, open_data_set, read_triplets
from editworld_core.errors import BadInputError
from tests.datagen.test_formats import content, make_data_set, make_pictures, make_triplet

COUNT = 6


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = datetime(2024, 5, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def folder(tmp_path):
    make_data_set(tmp_path / "set", COUNT)
    return tmp_path / "set"


def effective(folder):
    return {triplet.id: triplet for triplet in apply(read_triplets(folder), read_log(folder))}


def test_a_reviewer_goes_through_the_data_set(folder):
    manifest = (folder / "manifest.jsonl").read_bytes()
    triplets = list(read_triplets(folder))
    desk = Recheck(folder, " Ada ")
    seen = []
    while (triplet := desk.next()) is not None:
        assert desk.next() == triplet  # until it is decided, it stays
        seen.append(triplet)
        (desk.drop if len(seen) == 2 else desk.accept)(triplet.id)
    assert seen == triplets
    progress = desk.progress()
    assert (progress.total, progress.accepted, progress.dropped, progress.left) == (COUNT, COUNT - 1, 1, 0)
    assert (progress.mine, progress.held, progress.changed) == (COUNT, 0, 0)
    assert (folder / "manifest.jsonl").read_bytes() == manifest
    kept = [triplet for number, triplet in enumerate(triplets) if number != 1]
    assert list(effective(folder).values()) == [replace(triplet, recheck="accept") for triplet in kept]


def test_changes_do_not_decide(folder):
    desk = Recheck(folder, "Ada")
    item = desk.next().id
    desk.rewrite(item, "  The frost comes ")
    desk.set_category(item, "Exaggeration")
    assert desk.next().id == item
    changed = desk.get(item)
    assert (changed.instruction, changed.category, changed.recheck) == (
        "The frost comes",
        "Exaggeration",
        None,
    )
    assert desk.progress().changed == 1
    assert item not in {t.id for t in apply(read_triplets(folder), read_log(folder), accepted_only=True)}
    desk.accept(item)
    (accepted,) = apply(read_triplets(folder), read_log(folder), accepted_only=True)
    assert accepted == replace(changed, recheck="accept")


def test_the_audit_log_says_who_what_when_and_what_was_before(folder):
    clock = Clock()
    desk = Recheck(folder, "Ada", clock=clock)
    triplet = desk.next()
    desk.rewrite(triplet.id, "It “snows” 雪")
    desk.drop(triplet.id)
    desk.drop(triplet.id)  # says nothing new
    lines = [json.loads(line) for line in (folder / "recheck.jsonl").read_text("utf-8").splitlines()]
    verdicts = [line for line in lines if line["event"] != "claim"]
    common = {"id": triplet.id, "reviewer": "Ada", "time": clock.now.isoformat()}
    assert verdicts == [
        {"event": "rewrite", "old": triplet.instruction, "new": "It “snows” 雪", **common},
        {"event": "drop", "old": None, "new": "drop", **common},
    ]
    before = (folder / "recheck.jsonl").read_bytes()
    Recheck(folder, "Bob").undo()  # has nothing to undo
    assert (folder / "recheck.jsonl").read_bytes() == before
    desk.undo()
    assert (folder / "recheck.jsonl").read_bytes().startswith(before)
    undo = next(event for event in read_events(folder) if event.kind == "undo")
    assert (undo.undoes, undo.old, undo.new) == (4, "drop", None)


def test_a_mask_is_a_new_file_and_the_old_one_comes_back(folder):
    desk = Recheck(folder, "Ada")
    triplet = list(read_triplets(folder))[1]
    before = content(folder)
    mask = np.zeros((24, 32), bool)
    mask[2:7, 3:20] = True
    changed = desk.set_mask(triplet.id, mask)
    assert changed.mask.startswith(f"shards/{triplet.id[:2]}/")
    assert changed.mask != triplet.mask
    assert np.array_equal(np.asarray(load_images(folder, changed)[2]) > 0, mask)
    assert set(content(folder)) - set(before) == {changed.mask, "recheck.jsonl", ".recheck.lock"}
    assert desk.set_mask(triplet.id, None).mask is None
    assert desk.undo().mask == changed.mask
    assert desk.undo() == triplet
    for path, data in before.items():
        assert (folder / path).read_bytes() == data
    for wrong, reason in (
        (mask[:5], "32x24"),
        (mask.astype(float), "truth values"),
        (mask & False, "is empty"),
    ):
        with pytest.raises(BadInputError, match=reason):
            desk.set_mask(triplet.id, wrong)
    assert effective(folder)[triplet.id] == triplet


def test_undo_goes_back_step_by_step_and_only_ones_own(folder):
    ada, bob = Recheck(folder, "Ada"), Recheck(folder, "Bob")
    first, second = ada.next(), bob.next()
    ada.rewrite(first.id, "One")
    ada.rewrite(first.id, "Two")
    bob.drop(second.id)
    ada.accept(first.id)
    assert ada.undo() == replace(first, instruction="Two")
    assert ada.undo().instruction == "One"
    assert ada.undo() == first
    assert ada.undo() is None
    assert bob.progress().dropped == 1
    assert bob.undo() == second
    assert list(effective(folder).values()) == list(read_triplets(folder))


def test_an_undo_gives_way_to_what_others_said_since(folder):
    ada, bob = Recheck(folder, "Ada"), Recheck(folder, "Bob")
    item = ada.next().id
    ada.accept(item)
    bob.open(item)
    with pytest.raises(BadInputError, match="Bob is looking"):
        ada.undo()
    bob.drop(item)
    assert ada.undo().recheck == "drop"


FIELDS = ("instruction", "category", "recheck")
STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([*FIELDS, "undo", "reopen"]), st.integers(0, 2)),
    max_size=25,
)


@settings(deadline=None, max_examples=40)
@given(steps=STEPS)
def test_the_state_is_that_of_a_plain_stack(tmp_path_factory, steps):
    """Against a dictionary and a list of copies of it."""
    folder = tmp_path_factory.mktemp("set")
    make_data_set(folder, 3)
    desk = Recheck(folder, "Ada")
    items = [triplet.id for triplet in read_triplets(folder)]
    state = {
        triplet.id: {name: getattr(triplet, name) for name in FIELDS} for triplet in read_triplets(folder)
    }
    past = []
    choices = {
        "instruction": ("It snows", "It rains", "It thaws"),
        "category": ("Long-Term", "Story-Type", "Exaggeration"),
        "recheck": ("accept", "drop", "drop"),
    }
    for which, what, value in steps:
        item = items[which]
        if what == "undo":
            assert (desk.undo() is None) == (not past)
            state = past.pop() if past else state
            continue
        if what == "reopen":
            desk = Recheck(folder, "Ada")
            continue
        new = choices[what][value]
        if state[item][what] != new:
            past.append({key: dict(values) for key, values in state.items()})
            state[item][what] = new
        if what == "instruction":
            desk.rewrite(item, new)
        elif what == "category":
            desk.set_category(item, new)
        else:
            (desk.accept if new == "accept" else desk.drop)(item)
    log = read_log(folder)
    for triplet in read_triplets(folder):
        now = log.effective(triplet)
        assert {name: getattr(now, name) for name in FIELDS} == state[triplet.id]


# --- several reviewers


def test_two_reviewers_get_different_triplets(folder):
    clock = Clock()
    ada, bob = (Recheck(folder, name, clock=clock, claim_seconds=60) for name in ("Ada", "Bob"))
    first, second = ada.next(), bob.next()
    assert first.id != second.id
    assert ada.progress().held == 2
    for refused in (
        lambda: bob.accept(first.id),
        lambda: bob.rewrite(first.id, "No"),
        lambda: bob.open(first.id),
        lambda: bob.skip(first.id),
    ):
        with pytest.raises(BadInputError, match="Ada is looking at this triplet now"):
            refused()
    assert Recheck(folder, "Ada", clock=clock).next() == first  # at another desk, or after a reload


def test_a_claim_runs_out(folder):
    clock = Clock()
    ada, bob = (Recheck(folder, name, clock=clock, claim_seconds=60) for name in ("Ada", "Bob"))
    item = ada.next().id
    clock.now += timedelta(seconds=59)
    assert bob.next().id != item
    ada.rewrite(item, "Still here")  # which keeps it
    clock.now += timedelta(seconds=59)
    with pytest.raises(BadInputError, match="Ada is looking"):
        bob.open(item)
    clock.now += timedelta(seconds=2)
    bob.open(item)
    bob.drop(item)
    with pytest.raises(BadInputError, match="Bob has decided on this triplet in the meantime"):
        ada.accept(item)
    assert effective(folder).get(item) is None
    ada.open(item)  # having seen that
    assert ada.accept(item).recheck == "accept"


def test_a_late_verdict_counts_if_nobody_took_the_triplet(folder):
    clock = Clock()
    ada = Recheck(folder, "Ada", clock=clock, claim_seconds=60)
    item = ada.next().id
    clock.now += timedelta(hours=9)
    assert ada.accept(item).recheck == "accept"


def test_a_skipped_triplet_is_offered_to_others_and_comes_last(folder):
    ada, bob = Recheck(folder, "Ada"), Recheck(folder, "Bob")
    first = ada.next()
    ada.skip(first.id)
    assert ada.next().id != first.id
    assert bob.next().id == first.id
    bob.skip(first.id)
    order = []
    while (triplet := ada.next()) is not None:
        order.append(triplet.id)
        ada.accept(triplet.id)
    assert order[-1] == first.id
    assert len(order) == COUNT


REVIEWER = """
import sys
from pathlib import Path
from editworld_core.datagen.recheck import Recheck
desk = Recheck(Path(sys.argv[1]), sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
while (triplet := desk.next()) is not None:
    desk.rewrite(triplet.id, f"By {desk.reviewer}")
    desk.accept(triplet.id)
    print(triplet.id, flush=True)
"""


def test_processes_share_the_work_and_lose_no_verdict(tmp_path):
    make_data_set(tmp_path, 60)
    names = ("Ada", "Bob", "Cem")
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", REVIEWER, tmp_path, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for run in runs:
        assert run.stdout.readline() == "ready\n"
    for run in runs:
        run.stdin.write("\n")
        run.stdin.flush()
    done = {name: run.communicate(timeout=60)[0].split() for name, run in zip(names, runs, strict=True)}
    assert Counter(item for items in done.values() for item in items) == Counter(
        triplet.id for triplet in read_triplets(tmp_path)
    )
    now = effective(tmp_path)
    for name, items in done.items():
        assert all(now[item].instruction == f"By {name}" for item in items)
    assert sum(len(items) > 0 for items in done.values()) >= 2


def test_threads_of_one_app_share_the_work(tmp_path):
    make_data_set(tmp_path, 40)

    def review(number: int) -> list[str]:
        desk, items = Recheck(tmp_path, f"Reviewer {number}"), []
        while (triplet := desk.next()) is not None:
            items.append(desk.drop(triplet.id).id)
        return items

    with ThreadPoolExecutor(4) as pool:
        done = [item for items in pool.map(review, range(4)) for item in items]
    assert sorted(done) == sorted(triplet.id for triplet in read_triplets(tmp_path))


def test_triplets_that_come_later_are_offered(folder):
    desk = Recheck(folder, "Ada")
    while (triplet := desk.next()) is not None:
        desk.accept(triplet.id)
    with open_data_set(folder, {}) as writer:
        writer.add(make_triplet(50), *make_pictures(50))
    assert desk.next().id == make_triplet(50).id
    assert desk.progress().left == 1


# --- what goes wrong


def test_a_torn_line_is_no_verdict_and_does_no_harm(folder):
    desk = Recheck(folder, "Ada")
    item = desk.next().id
    desk.rewrite(item, "Kept")
    whole = (folder / "recheck.jsonl").read_bytes()
    (folder / "recheck.jsonl").write_bytes(whole + b'{"event": "drop", "id": "' + item.encode())
    assert effective(folder)[item].instruction == "Kept"
    for other in (desk, Recheck(folder, "Ada")):
        other.rewrite(item, f"Kept by {id(other)}")
    assert [event.kind for event in read_events(folder)].count("drop") == 0
    assert (folder / "recheck.jsonl").read_bytes().startswith(whole)
    (folder / "recheck.jsonl").write_bytes(whole)  # a copy put back
    assert desk.next().instruction == "Kept"


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"event": "cheer"}',
        '{"event": "drop", "id": 7, "new": "drop"}',
        '{"event": "drop", "new": "accept"}',
        '{"event": "category", "new": "Nice"}',
        '{"event": "rewrite", "new": null}',
        '{"event": "mask", "new": "../../secret.png"}',
        '{"event": "mask", "new": "/etc/secret.png"}',
        '{"event": "mask", "new": 5}',
        '{"event": "claim"}',
        '{"event": "drop", "new": "drop", "time": "yesterday"}',
    ],
)
def test_a_damaged_line_is_named(folder, line):
    desk = Recheck(folder, "Ada")
    item = desk.next().id
    if line.startswith('{"event'):
        common = {"id": item, "reviewer": "Eve", "time": "2024-05-01T12:00:00+00:00"}
        line = json.dumps({**common, **json.loads(line)})
    with (folder / "recheck.jsonl").open("a") as log:
        log.write(f"{line}\n")
    for call in (lambda: read_log(folder), lambda: Recheck(folder, "Bob"), desk.next):
        with pytest.raises(BadInputError, match=r"^Line 2 of .*recheck\.jsonl is damaged; restore"):
            call()


def test_what_cannot_be_is_refused(folder, tmp_path):
    for name in ("", "  ", "x" * 61, "a\nb", "a\x00"):
        with pytest.raises(BadInputError, match="reviewer's name"):
            Recheck(folder, name)
    with pytest.raises(BadInputError, match="does not exist"):
        Recheck(tmp_path / "nowhere", "Ada")
    desk = Recheck(folder, "Ada")
    item = desk.next().id
    for call, reason in (
        (lambda: desk.accept("none"), "no triplet 'none'"),
        (lambda: desk.rewrite(item, " "), "instruction is empty"),
        (lambda: desk.rewrite(item, "x" * 501), "too long"),
        (lambda: desk.set_category(item, "Nice"), "no category 'Nice'"),
    ):
        with pytest.raises(BadInputError, match=reason):
            call()
    assert [event.kind for event in read_events(folder)] == ["claim"]


def test_without_an_instruction_it_cannot_be_accepted(tmp_path):
    """Pairs from videos come so where no model described them."""
    with open_data_set(tmp_path, {}) as writer:
        writer.add(replace(make_triplet(1), instruction=""), *make_pictures(1))
    desk = Recheck(tmp_path, "Ada")
    item = desk.next().id
    with pytest.raises(BadInputError, match="write one before you accept"):
        desk.accept(item)
    desk.rewrite(item, "The watch lies on its back")
    assert desk.accept(item).recheck == "accept"


def test_a_verdict_from_an_import_counts_until_another_is_given(tmp_path):
    with open_data_set(tmp_path, {}) as writer:
        writer.add(replace(make_triplet(1), recheck="accept"), *make_pictures(1))
    desk = Recheck(tmp_path, "Ada")
    assert desk.next() is None
    assert desk.progress().accepted == 1
    desk.drop(make_triplet(1).id)
    assert list(effective(tmp_path)) == []
    assert desk.undo().recheck == "accept"


def test_a_full_disk_is_one_sentence_and_the_log_stays_whole(folder):
    script = (
        "import resource, signal, sys\nfrom pathlib import Path\n"
        "from editworld_core.datagen.recheck import Recheck\n"
        "from editworld_core.errors import EditWorldError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "desk = Recheck(Path(sys.argv[1]), 'Ada')\nitem = desk.next().id\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n    for number in range(100): desk.rewrite(item, f'Text {number}')\n"
        "except EditWorldError as error: print(number, error)\n"
    )
    run = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True)
    assert run.stdout.count("\n") == 1, run.stderr
    number, sentence = run.stdout.split(" ", 1)
    assert "The disk is full" in sentence or "cannot be written" in sentence
    rewrites = [event.new for event in read_events(folder) if event.kind == "rewrite"]
    assert rewrites == [f"Text {n}" for n in range(int(number))] != []
    assert (folder / "recheck.jsonl").read_bytes().endswith(b"\n")


def test_masks_that_were_stored_are_pictures(folder):
    desk = Recheck(folder, "Ada")
    mask = np.ones((24, 32), bool)
    path = folder / desk.set_mask(desk.next().id, mask).mask
    with Image.open(path) as image:
        assert (image.format, image.size) == ("PNG", (32, 24))
