"""A data set survives what happens to folders: kills, torn lines, full disks, two writers, foreign files."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.records import (
    encode_png,
    load_images,
    open_data_set,
    read_about,
    read_triplets,
)
from editworld_core.datagen.triplet import Triplet, image_path, item_id
from editworld_core.errors import BadInputError, EditWorldError

SETTINGS = {"branch": "video", "count": 3}


def make_triplet(number: int) -> Triplet:
    """A triplet as a branch would make it; the words have what breaks naive formats."""
    recipe, seeds, models = {"clip": number}, {"frames": number}, {"captioner": "r1"}
    item = item_id("video", recipe, seeds, models)
    return Triplet(
        id=item,
        branch="video",
        category=list(Category)[number % 7],
        instruction=f'„Überall "schneit" es\n\t\u2028 雪 {number}',
        original_caption="a street",
        target_caption="a street in snow",
        keywords=("street", "snow"),
        original_image=image_path(item, "original"),
        target_image=image_path(item, "target"),
        mask=image_path(item, "mask") if number % 2 else None,
        recipe=recipe,
        seeds=seeds,
        models=models,
        scores={"clip": 0.25},
    )


def make_images(number: int) -> tuple[Image.Image, Image.Image, Image.Image]:
    rng = np.random.default_rng(number)
    before, after = (Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)) for _ in range(2))
    return before, after, Image.fromarray(rng.random((24, 32)) < 0.5)


def add(writer, number: int) -> bool:
    before, after, mask = (encode_png(image) for image in make_images(number))
    return writer.add(make_triplet(number), before, after, mask)


def make_data_set(folder: Path, count: int) -> list[Triplet]:
    with open_data_set(folder, SETTINGS) as writer:
        for number in range(count):
            assert add(writer, number)
    return [make_triplet(number) for number in range(count)]


def test_round_trip(tmp_path):
    triplets = make_data_set(tmp_path / "new" / "set", 9)
    folder = tmp_path / "new" / "set"
    assert list(read_triplets(folder)) == triplets
    for number, triplet in enumerate(triplets):
        before, after, mask = load_images(folder, triplet)
        truth = make_images(number)
        assert before.tobytes() == truth[0].tobytes()
        assert after.tobytes() == truth[1].tobytes()
        if triplet.mask is None:
            assert mask is None
        else:
            assert np.array_equal(np.asarray(mask) > 0, np.asarray(truth[2]))
    about = read_about(folder)
    assert about["counts"]["triplets"] == 9
    assert about["counts"]["by_branch"] == {"video": 9}
    assert sum(about["counts"]["by_category"].values()) == 9
    assert about["settings"] == [SETTINGS]


def test_adding_again_changes_nothing(tmp_path):
    make_data_set(tmp_path, 3)
    before = (tmp_path / "manifest.jsonl").read_bytes()
    with open_data_set(tmp_path, SETTINGS) as writer:
        assert len(writer) == 3
        assert make_triplet(1).id in writer
        assert not any(add(writer, number) for number in range(3))
        assert add(writer, 3)
    assert (tmp_path / "manifest.jsonl").read_bytes().startswith(before)
    assert len(list(read_triplets(tmp_path))) == 4
    assert read_about(tmp_path)["settings"] == [SETTINGS]


def test_other_settings_are_noted_beside_the_first(tmp_path):
    make_data_set(tmp_path, 1)
    with open_data_set(tmp_path, {"count": 5}):
        pass
    assert read_about(tmp_path)["settings"] == [SETTINGS, {"count": 5}]


texts = st.text(st.characters(codec="utf-8"))


@settings(deadline=None)
@given(instruction=texts, keywords=st.lists(texts), score=st.floats(allow_nan=False, allow_infinity=False))
def test_every_text_survives_its_line(instruction, keywords, score):
    triplet = replace(
        make_triplet(0), instruction=instruction, keywords=tuple(keywords), scores={"clip": score}
    )
    line = triplet.to_line()
    assert "\n" not in line
    assert Triplet.from_line(line.encode().decode()) == triplet


def test_ids_depend_on_everything_that_made_the_item():
    base = item_id("simulation", {"dynamic": "melt"}, {"scene": 1}, {"simulator": "1"})
    assert base == item_id("simulation", {"dynamic": "melt"}, {"scene": 1}, {"simulator": "1"})
    others = {
        item_id("video", {"dynamic": "melt"}, {"scene": 1}, {"simulator": "1"}),
        item_id("simulation", {"dynamic": "grow"}, {"scene": 1}, {"simulator": "1"}),
        item_id("simulation", {"dynamic": "melt"}, {"scene": 2}, {"simulator": "1"}),
        item_id("simulation", {"dynamic": "melt"}, {"scene": 1}, {"simulator": "2"}),
    }
    assert base not in others
    assert len(others) == 4


def test_a_manifest_torn_anywhere_is_read_and_continued(tmp_path):
    triplets = make_data_set(tmp_path, 3)
    manifest = tmp_path / "manifest.jsonl"
    whole = manifest.read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(0, len(whole), 37):
        manifest.write_bytes(whole[:cut])
        complete = sum(end <= cut for end in ends)
        assert list(read_triplets(tmp_path)) == triplets[:complete]
        with open_data_set(tmp_path, SETTINGS) as writer:
            for number in range(3):
                assert add(writer, number) == (number >= complete)
        assert manifest.read_bytes() == whole


@pytest.mark.parametrize(
    "damage, reason",
    [
        (lambda line: b"{" + line, "not JSON"),
        (lambda line: b"\xff" + line, "not UTF-8"),
        (lambda line: b"[]", "fields"),
        (lambda line: line.replace(b'"scores"', b'"score"'), "fields"),
        (lambda line: line.replace(b"Physical-Trans", b"Magic"), "Magic"),
        (lambda line: line.replace(b'"video"', b'"dream"'), "dream"),
        (lambda line: line.replace(b'"a street"', b"7"), "original_caption"),
        (lambda line: line.replace(b"shards/", b"../shards/", 1), "leads out"),
        (lambda line: line.replace(b"shards/", b"/shards/", 1), "leads out"),
        (lambda line: line.replace(b'["street", "snow"]', b'["street", 7]'), "keywords"),
    ],
)
def test_a_damaged_line_is_named(tmp_path, damage, reason):
    make_data_set(tmp_path, 3)
    manifest = tmp_path / "manifest.jsonl"
    lines = manifest.read_bytes().splitlines()
    assert damage(lines[1]) != lines[1]
    manifest.write_bytes(b"\n".join([lines[0], damage(lines[1]), lines[2], b""]))
    for read in (lambda: list(read_triplets(tmp_path)), lambda: make_data_set(tmp_path, 0)):
        with pytest.raises(BadInputError, match=f"Line 2 of .*{reason}") as refusal:
            read()
        assert "\n" not in str(refusal.value)


def test_what_is_no_data_set_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="does not exist"):
        read_triplets(tmp_path / "nowhere")
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(BadInputError, match="not a data set"):
        read_triplets(tmp_path)
    with pytest.raises(BadInputError, match="not a data set and not empty"):
        make_data_set(tmp_path, 1)
    with pytest.raises(BadInputError, match="is a file"):
        make_data_set(tmp_path / "letter.txt", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    "about, reason",
    [
        (b"", "cannot be read"),
        (b"[1]", "does not describe"),
        (b'{"format": "mp3"}', "does not describe"),
        (b'{"format": "editworld-dataset", "version": 99}', "version 99"),
        (b'{"format": "editworld-dataset", "version": 1}', "lacks its counts"),
    ],
)
def test_a_strange_dataset_json_is_refused(tmp_path, about, reason):
    (tmp_path / "dataset.json").write_bytes(about)
    with pytest.raises(BadInputError, match=reason):
        read_triplets(tmp_path)
    with pytest.raises(BadInputError, match=reason):
        make_data_set(tmp_path, 1)


def test_a_lost_manifest_or_image_is_refused(tmp_path):
    (triplet,) = make_data_set(tmp_path, 1)
    (tmp_path / triplet.target_image).unlink()
    with pytest.raises(BadInputError, match="missing or not an image"):
        load_images(tmp_path, triplet)
    (tmp_path / "manifest.jsonl").unlink()
    with pytest.raises(BadInputError, match=r"lost its manifest\.jsonl"):
        list(read_triplets(tmp_path))


def test_a_second_writer_is_refused_until_the_first_ends(tmp_path):
    script = (
        "import sys; from pathlib import Path; from editworld_core.datagen.records import open_data_set\n"
        "with open_data_set(Path(sys.argv[1]), {}): print('in', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert first.stdout.readline() == b"in\n"
        with pytest.raises(EditWorldError, match="Another process"):
            make_data_set(tmp_path, 1)
        assert list(read_triplets(tmp_path)) == []  # reading needs no lock
    finally:
        first.kill()
        first.communicate()
    make_data_set(tmp_path, 1)


SMALL_DISK = """
set -e
mount -t tmpfs -o size=200k none "$1"
"$2" - "$1/set" <<'END'
import sys
from pathlib import Path
from editworld_core.datagen.records import open_data_set, read_triplets, load_images
from editworld_core.errors import EditWorldError
from tests.datagen.test_records import add
folder, added = Path(sys.argv[1]), 0
try:
    with open_data_set(folder, {}) as writer:
        for added in range(1000):
            add(writer, added)
except EditWorldError as error:
    print(error)
found = list(read_triplets(folder))
assert len(found) == added > 3, (len(found), added)
for triplet in found:
    load_images(folder, triplet)
assert not list(folder.rglob("*.part"))
END
"""


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path):
    """On a real file system that is too small, in a mount name space of its own."""
    probe = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs none "$0"', tmp_path]
    try:
        subprocess.run(probe, check=True, capture_output=True)
    except (FileNotFoundError, subprocess.CalledProcessError):
        pytest.skip("this system does not let users mount a small disk")
    run = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SMALL_DISK, "sh", tmp_path, sys.executable],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("\n") == 1
    assert "The disk is full" in run.stdout


LIMITED_FILES = """
import resource, signal, sys
from pathlib import Path
from editworld_core.datagen.records import open_data_set, read_triplets
from editworld_core.errors import EditWorldError
from tests.datagen.test_records import add
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
folder, added = Path(sys.argv[1]), 0
try:
    with open_data_set(folder, {}) as writer:
        for added in range(1000):
            add(writer, added)
except EditWorldError as error:
    print(error)
assert (folder / "manifest.jsonl").read_bytes().endswith(b"\\n")
assert len(list(read_triplets(folder))) == added > 3
"""


def test_a_line_that_does_not_fit_leaves_no_trace(tmp_path):
    """The manifest itself runs into the limit here, in the middle of a line."""
    run = subprocess.run(
        [sys.executable, "-c", LIMITED_FILES, tmp_path / "set"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])},
    )
    assert run.returncode == 0, run.stderr
    assert "cannot be written" in run.stdout
    make_data_set(tmp_path / "set", 0)


def test_manifest_lines_are_plain_json(tmp_path):
    make_data_set(tmp_path, 2)
    for line in (tmp_path / "manifest.jsonl").read_text(encoding="utf-8").split("\n")[:2]:
        record = json.loads(line)
        assert record["category"] in {category.value for category in Category}
        assert (tmp_path / record["original_image"]).is_file()
