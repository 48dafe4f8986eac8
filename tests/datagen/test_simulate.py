"""The simulation branch: balanced, repeatable, killable, whatever the number of workers."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.contact_sheet import Panel, draw_sheet, wrap
from editworld_core.datagen.records import load_images, open_data_set, read_about, read_triplets
from editworld_core.datagen.runner import LocalRunner
from editworld_core.datagen.simulate import generate_simulated, list_photos, plan
from editworld_core.simulation.world import dynamic_names, get_dynamic, simulate
from tests.datagen.kills import count_lines
from training.generate import main

SMALL = 64  # pixels


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a data set."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_triplets_are_the_simulators_pairs(tmp_path):
    report = generate_simulated(tmp_path, 14, size=SMALL, seed=3)
    triplets = list(read_triplets(tmp_path))
    assert report.added == report.total == len(triplets) == 14
    for triplet in triplets:
        pair = simulate(triplet.recipe["dynamic"], triplet.seeds["scene"], size=SMALL)
        assert triplet.instruction == pair.instruction
        assert triplet.category == pair.category
        assert (triplet.original_caption, triplet.target_caption) == (pair.caption_before, pair.caption_after)
        assert triplet.keywords == pair.keywords
        before, after, mask = (np.asarray(image) for image in load_images(tmp_path, triplet))
        assert np.array_equal(before, pair.before)
        assert np.array_equal(after, pair.after)
        assert np.array_equal(mask > 0, pair.mask)


@pytest.mark.parametrize("count", [1, 7, 64, 500])
def test_categories_and_their_dynamics_get_equal_shares(count):
    scenes = list(plan(count, dynamic_names(), 0))
    assert len(set(scenes)) == count
    assert scenes == list(plan(1000, dynamic_names(), 0))[:count]
    categories = Counter(get_dynamic(name).category for name, _ in scenes)
    shares = [categories[category] for category in Category]
    assert max(shares) - min(shares) <= 1
    for category in Category:
        names = [name for name in dynamic_names() if get_dynamic(name).category is category]
        uses = [sum(scene[0] == name for scene in scenes) for name in names]
        assert max(uses) - min(uses) <= 1


def test_seeds_do_not_share_scenes():
    first, second = (set(plan(2000, dynamic_names(), seed)) for seed in (0, 1))
    assert not first & second


def test_twice_adds_nothing_and_more_continues(tmp_path):
    generate_simulated(tmp_path / "a", 7, size=SMALL)
    before = content(tmp_path / "a")
    again = generate_simulated(tmp_path / "a", 7, size=SMALL)
    assert again.added == 0
    assert content(tmp_path / "a") == before
    assert generate_simulated(tmp_path / "a", 10, size=SMALL).added == 3
    generate_simulated(tmp_path / "b", 10, size=SMALL)
    whole, continued = content(tmp_path / "b"), content(tmp_path / "a")
    assert whole.pop("dataset.json") != continued.pop("dataset.json")  # it lists both runs
    assert whole == continued


def test_workers_make_the_same_bytes(tmp_path):
    generate_simulated(tmp_path / "one", 12, size=SMALL)
    seen = []
    generate_simulated(
        tmp_path / "two",
        12,
        size=SMALL,
        runner=LocalRunner(2),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert seen == [(done, 12) for done in range(13)]


KILLER = """
import sys
from pathlib import Path

import cv2

cv2.setNumThreads(1)
from editworld_core.datagen.runner import LocalRunner
from editworld_core.datagen.simulate import generate_simulated
from tests.datagen.kills import kill_often

folder, kills, workers = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
live = lambda: generate_simulated(folder, 20 * kills, size=64, runner=LocalRunner(workers))
print(kill_often(live, folder, kills, longest=0.2))
"""


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_killed_again_and_again_ends_like_an_unkilled_one(tmp_path, workers):
    kills = int(os.environ.get("EDITWORLD_TEST_KILLS", "12"))
    generate_simulated(tmp_path / "whole", 20 * kills, size=SMALL)
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", KILLER, folder, str(kills), str(workers)]
    killed = subprocess.run(command, capture_output=True, text=True)
    assert killed.returncode == 0, killed.stderr
    assert int(killed.stdout) == kills
    for triplet in read_triplets(folder):
        load_images(folder, triplet)
    done = run("simulate", "-n", 20 * kills, "--size", SMALL, "--workers", workers, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert content(folder) == content(tmp_path / "whole")


def test_workers_die_with_their_killed_parent(tmp_path):
    command = [
        sys.executable,
        "-m",
        "training.generate",
        "simulate",
        "-n",
        "5000",
        "--workers",
        "2",
        "-o",
        tmp_path,
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while count_lines(tmp_path) < 3 and process.poll() is None:
        time.sleep(0.05)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("this system does not list the children of a process")
    workers = children.read_text().split()
    process.kill()
    process.wait()
    assert len(workers) >= 2
    until = time.monotonic() + 20
    while any(is_running(worker) for worker in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_running(worker) for worker in workers)


def is_running(process: str) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_photos_become_backdrops(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.new("RGB", (320, 240), (255, 0, 255)).save(photos / "pink.png")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no")
    (photos / "notes.txt").write_text("no photo")
    listed = list_photos(photos)
    assert [path.name for path in listed] == ["pink.png"]
    generate_simulated(tmp_path / "set", 60, size=SMALL, photos=listed)
    pink = 0
    for triplet in read_triplets(tmp_path / "set"):
        corner = load_images(tmp_path / "set", triplet)[0].getpixel((1, 1))
        pink += corner[0] > 200 and corner[1] < 60 and corner[2] > 200
    assert pink > 0
    assert generate_simulated(tmp_path / "set", 7, size=SMALL).added == 7  # other backdrops, other items


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.generate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def test_command_line_makes_a_data_set_and_its_sheet(tmp_path):
    names = dynamic_names()[:2]
    folder = tmp_path / "set"
    done = run("simulate", "-n", 6, "-o", folder, "--size", SMALL, "--dynamics", ",".join(names), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["asked"], report["added"], report["total"]) == (6, 6, 6)
    assert "6/6" in done.stderr
    assert {triplet.recipe["dynamic"] for triplet in read_triplets(folder)} == set(names)
    with Image.open(report["contact_sheet"]) as sheet:
        assert sheet.format == "PNG"
        assert sheet.size[0] > 4 * 3 * 160
        assert sheet.size[1] > 2 * 160
    assert read_about(folder)["counts"]["triplets"] == 6


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        (["-n", "0"], "at least 1"),
        (["-n", "many"], "Argument -n/--count: invalid int value: 'many'"),
        (["-n", "2", "--size", "20"], "between 64 and 1024"),
        (["-n", "2", "--size", "100000"], "between 64 and 1024"),
        (["-n", "2", "--seed", "-1"], "seed must be 0 or more"),
        (["-n", "2", "--workers", "0"], "workers must be at least 1"),
        (["-n", "2", "--ray-address", "auto"], "add --runner ray"),
        (["-n", "2", "--dynamics", "dance"], "no dynamic named 'dance'"),
        (["-n", "2", "--photos", "nowhere"], "not a folder"),
        (["-n", "2", "--photos", "."], "holds no photograph"),
    ],
)
def test_bad_calls_are_refused_in_a_sentence(tmp_path, monkeypatch, capsys, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(["simulate", "-o", "set", *arguments])
    except SystemExit as stop:
        status = stop.code
    said = capsys.readouterr()
    assert status == 2
    assert said.out == ""
    last = said.err.strip().splitlines()[-1]
    assert sentence in last
    assert "Traceback" not in said.err
    assert not Path("set").exists()


def test_a_foreign_folder_and_a_damaged_line_are_refused_on_the_command_line(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    refused = run("simulate", "-n", 2, "-o", tmp_path)
    assert refused.returncode == 2
    assert "not a data set and not empty" in refused.stderr
    folder = tmp_path / "set"
    generate_simulated(folder, 2, size=SMALL)
    manifest = folder / "manifest.jsonl"
    manifest.write_bytes(b"oops" + manifest.read_bytes())
    refused = run("simulate", "-n", 2, "-o", folder)
    assert refused.returncode == 2
    assert "Line 1 of" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_locked_folder_is_refused_on_the_command_line(tmp_path):
    with open_data_set(tmp_path, {}):
        refused = run("simulate", "-n", 2, "-o", tmp_path)
    assert refused.returncode == 1
    assert "Another process is writing" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_help_is_fast():
    """The best of three, since other work may run beside."""
    durations = []
    for _ in range(3):
        start = time.perf_counter()
        assert "--photos" in run("simulate", "--help").stdout
        durations.append(time.perf_counter() - start)
    assert min(durations) < 1


def test_a_sheet_holds_long_and_strange_texts():
    picture = Image.new("RGB", (20, 400), "red")
    panel = Panel("long " * 50, [picture] * 3, "word " * 200 + "x" * 500 + " 雪")
    sheet = draw_sheet("heading", [panel] * 5, columns=2)
    assert sheet.width > 2 * 3 * 160
    assert sheet.height > 3 * 160


def test_wrap_keeps_every_word_in_order():
    from PIL import ImageFont

    font = ImageFont.load_default(14)
    text = " ".join(f"word{number}" for number in range(40))
    lines = wrap(text, 120, font)
    assert " ".join(lines) == text
    assert all(font.getlength(line) <= 120 for line in lines)
    assert wrap("", 120, font) == [""]
