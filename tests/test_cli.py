"""The command line as a person calls it: a process, its two streams, its exit status and the files it leaves."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editworld_core.cli import main
from editworld_core.engines.registry import engine_rows
from editworld_core.images import read_image, read_settings

ROOT = Path(__file__).resolve().parent.parent
SNOWMAN = str(ROOT / "examples" / "snowman.png")
COFFEE = str(ROOT / "examples" / "coffee.jpg")


def run(*arguments: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "editworld_core", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def refused(call: subprocess.CompletedProcess[str], status: int, *words: str) -> None:
    """One sentence on standard error, nothing on standard output."""
    assert call.returncode == status, call.stderr
    assert call.stdout == ""
    sentence = call.stderr.strip()
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert "Traceback" not in sentence
    for word in words:
        assert word in sentence


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with pictures of every kind that cannot be used, and some that can."""
    good = Image.open(SNOWMAN)
    good.save(tmp_path / "good.png")
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "truncated.png").write_bytes((tmp_path / "good.png").read_bytes()[:20_000])
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    Image.new("RGB", (20000, 10)).save(tmp_path / "line.png")
    Image.new("1", (12_000, 10_000)).save(tmp_path / "bomb.png")
    (tmp_path / "photo.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("missing.png", "no file"),
        ("empty.png", "empty"),
        ("text.png", "not a picture"),
        ("truncated.png", "damaged"),
        ("dot.png", "too small"),
        ("line.png", "too long and thin"),
        ("bomb.png", "too big"),
        ("photo.heic", "HEIC"),
        (".", "not a file"),
    ],
)
def test_pictures_that_cannot_be_used(files: Path, name: str, word: str) -> None:
    before = sorted(files.iterdir())
    refused(run("edit", name, "the sun comes out", "-o", "out.png", folder=files), 2, word)
    assert sorted(files.iterdir()) == before


@pytest.mark.parametrize(
    ("instruction", "word"),
    [("", "empty"), ("  \n", "empty"), ("x" * 10_000, "too long"), ("melt \x1b[2J it", "control")],
)
def test_instructions_that_cannot_be_used(files: Path, instruction: str, word: str) -> None:
    refused(run("edit", "good.png", instruction, "-o", "out.png", folder=files), 2, word)
    assert not (files / "out.png").exists()


@pytest.mark.parametrize(
    ("output", "word"),
    [("out.jpg", ".png"), ("out", ".png"), ("none/out.png", "no folder"), ("folder.png", "is a folder")],
)
def test_outputs_that_cannot_be_written(files: Path, output: str, word: str) -> None:
    (files / "folder.png").mkdir()
    refused(run("edit", "good.png", "the sun comes out", "-o", output, folder=files), 2, word)
    refused(run("edit", "good.png", "snow", "-o", "out.png", "--mask", output, folder=files), 2, word)
    assert not (files / "out.png").exists()


def test_picture_and_mask_in_one_file(files: Path) -> None:
    refused(run("edit", "good.png", "snow", "-o", "a.png", "--mask", "./a.png", folder=files), 2, "same file")


def test_a_folder_without_the_right_to_write(
    files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process: root, who may run the tests, has the right to write everywhere."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != files)
    assert main(["edit", str(files / "good.png"), "snow", "-o", str(files / "a.png")]) == 2
    assert "may not be written to" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("edit",),
        ("edit", "good.png", "snow"),
        ("edit", "good.png", "snow", "-o", "a.png", "--seed", "-1"),
        ("edit", "good.png", "snow", "-o", "a.png", "--seed", str(2**32)),
        ("edit", "good.png", "snow", "-o", "a.png", "--seed", "one"),
        ("edit", "good.png", "snow", "-o", "a.png", "--steps", "0"),
        ("edit", "good.png", "snow", "-o", "a.png", "--steps", "2.5"),
        ("edit", "good.png", "snow", "-o", "a.png", "--text-guidance", "nan"),
        ("edit", "good.png", "snow", "-o", "a.png", "--mask-rule", "magic"),
        ("edit", "good.png", "snow", "-o", "a.png", "--bogus"),
        ("paint", "good.png"),
        ("engines", "extra"),
        ("evaluate",),
    ],
)
def test_calls_that_are_wrong(files: Path, arguments: tuple[str, ...]) -> None:
    refused(run(*arguments, folder=files), 2, "--help")


def test_unknown_engines_and_data_sets(files: Path) -> None:
    known = [row.info.id for row in engine_rows()]
    refused(
        run("edit", "good.png", "snow", "-o", "a.png", "--engine", "magic", folder=files), 2, "magic", *known
    )
    refused(run("evaluate", "magic", folder=files), 2, "magic", "simulated")
    refused(run("evaluate", "simulated", "--engine", "magic", folder=files), 2, *known)
    refused(run("evaluate", "simulated", "--dynamic", "magic", folder=files), 2, "magic")
    refused(run("evaluate", "simulated", "-o", "good.png", folder=files), 2, "good.png")


@pytest.mark.slow
def test_a_folder_that_holds_no_engine(files: Path) -> None:
    refused(run("edit", "good.png", "snow", "-o", "a.png", "--engine", ".", folder=files), 1)
    assert not (files / "a.png").exists()


def test_help_and_import_take_under_a_second() -> None:
    started = time.perf_counter()
    call = run("--help")
    assert time.perf_counter() - started < 1
    assert call.returncode == 0
    for command in ("edit", "post-edit", "engines", "evaluate"):
        assert command in call.stdout
    loaded = "import sys, editworld_core; print(any(m in sys.modules for m in ('torch', 'gradio', 'transformers')))"
    done = subprocess.run(
        [sys.executable, "-c", loaded], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_public_names() -> None:
    import editworld_core
    from editworld_core.editor import EditResult, WorldEditor

    assert editworld_core.WorldEditor is WorldEditor
    assert editworld_core.EditResult is EditResult
    with pytest.raises(AttributeError, match="Nothing"):
        editworld_core.Nothing  # noqa: B018


def test_engines_say_licence_memory_and_whether_they_are_ready() -> None:
    call = run("engines", "--json")
    assert call.returncode == 0
    assert call.stderr == ""
    rows = {row["id"]: row for row in json.loads(call.stdout)["engines"]}
    assert rows["pocket"]["licence"] == "Apache-2.0"
    for row in rows.values():
        assert row["memory_gib"] > 0
        assert row["ready"] or row["why"]
    words = run("engines").stdout
    assert all(name in words for name in rows)


def edited_elsewhere(path: Path) -> np.ndarray:
    """An editor's result: a black square where it was told, and a tint over everything else."""
    pixels = np.add(Image.open(COFFEE).convert("RGB"), (6, 0, -6))
    pixels[100:260, 150:330] = 0
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)
    return np.asarray(Image.open(COFFEE).convert("RGB"))


def test_post_edit_with_a_mask_keeps_everything_outside_it(tmp_path: Path) -> None:
    before = edited_elsewhere(tmp_path / "edited.png")
    mask = np.zeros(before.shape[:2], bool)
    mask[90:270, 140:340] = True
    Image.fromarray(mask).save(tmp_path / "mask.png")
    call = run(
        *("post-edit", COFFEE, "edited.png", "a black square", "-o", "kept.png"),
        *("--mask", "mask.png", "--json"),
        folder=tmp_path,
    )
    assert call.returncode == 0, call.stderr
    kept = np.asarray(Image.open(tmp_path / "kept.png"))
    assert (kept[~mask] == before[~mask]).all()
    assert (kept[110:250, 160:320] == 0).all()
    found = json.loads(call.stdout)
    assert found["mask_share"] == pytest.approx(mask.mean())
    assert found["drift"]["psnr_final"] is None  # infinite: nothing differs
    assert found["drift"]["psnr_edited"] < 45


@pytest.mark.slow
def test_post_edit_finds_the_edit_by_comparing(tmp_path: Path) -> None:
    before = edited_elsewhere(tmp_path / "edited.png")
    call = run(
        "post-edit", COFFEE, "edited.png", "a black square", "-o", "kept.png", "--json", folder=tmp_path
    )
    assert call.returncode == 0, call.stderr
    kept = np.asarray(Image.open(tmp_path / "kept.png"))
    assert kept[120:240, 170:310].max() < 20
    assert (kept[:60] == before[:60]).all()
    assert (kept[300:] == before[300:]).all()
    assert json.loads(call.stdout)["mask_share"] < 0.35


def test_post_edit_takes_a_smaller_result_and_refuses_other_proportions(tmp_path: Path) -> None:
    edited_elsewhere(tmp_path / "edited.png")
    mask = np.zeros((400, 600), bool)
    mask[90:270, 140:340] = True
    Image.fromarray(mask).save(tmp_path / "mask.png")
    edited = Image.open(tmp_path / "edited.png")
    edited.resize((300, 200)).save(tmp_path / "small.png")
    edited.resize((300, 300)).save(tmp_path / "square.png")
    call = ("post-edit", COFFEE)
    rest = ("square", "-o", "kept.png", "--mask", "mask.png")
    assert run(*call, "small.png", *rest, folder=tmp_path).returncode == 0
    assert Image.open(tmp_path / "kept.png").size == (600, 400)
    refused(run(*call, "square.png", *rest, folder=tmp_path), 2, "same proportions")


@pytest.mark.parametrize(("size", "word"), [((600, 400), "mask is empty"), ((60, 40), "save the mask at")])
def test_masks_that_cannot_be_used(tmp_path: Path, size: tuple[int, int], word: str) -> None:
    Image.new("L", size).save(tmp_path / "mask.png")
    refused(
        run("post-edit", COFFEE, COFFEE, "x", "-o", "a.png", "--mask", "mask.png", folder=tmp_path), 2, word
    )


def test_a_mask_painted_over_transparency(tmp_path: Path) -> None:
    before = edited_elsewhere(tmp_path / "edited.png")
    paint = np.zeros((400, 600, 4), np.uint8)
    paint[90:270, 140:340] = (255, 255, 255, 255)
    Image.fromarray(paint).save(tmp_path / "mask.png")
    call = run(
        "post-edit", COFFEE, "edited.png", "x", "-o", "kept.png", "--mask", "mask.png", folder=tmp_path
    )
    assert call.returncode == 0, call.stderr
    outside = paint[..., 3] == 0
    assert (np.asarray(Image.open(tmp_path / "kept.png"))[outside] == before[outside]).all()


@pytest.mark.slow
def test_edit_writes_picture_mask_and_settings(tmp_path: Path) -> None:
    call = run(
        *("edit", SNOWMAN, "the sun comes out", "-o", "out.png", "--mask", "mask.png"),
        *("--seed", "7", "--steps", "3", "--json"),
        folder=tmp_path,
    )
    assert call.returncode == 0, call.stderr
    found = json.loads(call.stdout)
    assert found["settings"]["seed"] == 7
    assert found["settings"]["steps"] == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mask.png", "out.png"]
    before, after = (
        np.asarray(Image.open(SNOWMAN).convert("RGB")),
        np.asarray(Image.open(tmp_path / "out.png")),
    )
    mask = np.asarray(Image.open(tmp_path / "mask.png")) > 127
    assert found["mask_share"] == pytest.approx(mask.mean())
    assert (before[~mask] == after[~mask]).all()
    assert (before[mask] != after[mask]).any()
    instruction, settings = read_settings(read_image(tmp_path / "out.png")) or ("", None)
    assert instruction == "the sun comes out"
    assert settings is not None
    assert settings.seed == 7


@pytest.mark.slow
def test_the_same_seed_gives_the_same_picture_and_any_size_keeps_its_size(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        call = run(
            *("edit", COFFEE, "夜になったら?", "-o", name, "--seed", "1", "--steps", "2", "--no-post-edit"),
            folder=tmp_path,
        )
        assert call.returncode == 0, call.stderr
        assert "seed 1" in call.stdout
    first, second = (Image.open(tmp_path / name) for name in ("a.png", "b.png"))
    assert first.size == (600, 400)
    assert first.tobytes() == second.tobytes()


@pytest.mark.slow
def test_evaluate_reports_in_the_form_that_was_agreed(tmp_path: Path) -> None:
    call = run(
        *("evaluate", "simulated", "--engine", "pocket", "--scenes", "1", "--steps", "2"),
        *("--dynamic", "melt_snowman", "--dynamic", "night_falls", "--json", "-o", "report"),
        folder=tmp_path,
    )
    assert call.returncode == 0, call.stderr
    found = json.loads(call.stdout)
    assert set(found) >= {"success", "psnr_outside", "mask_iou", "st_lpips_outside", "seconds_per_edit"}
    assert set(found["success"]) == {"overall", "by_category", "by_dynamic"}
    assert set(found["success"]["by_dynamic"]) == {"melt_snowman", "night_falls"}
    assert set(found["mask_iou"]) == {"attention", "final"}
    assert set(found["st_lpips_outside"]) == {"edited", "final"}
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["setups"]["pocket"]["summary"]["success"] == found["success"]


def test_edit_takes_a_mask_drawn_by_hand_in_place_of_its_own(tmp_path: Path) -> None:
    hand = np.zeros((256, 256), np.uint8)
    hand[60:200, 80:180] = 255
    Image.fromarray(hand).save(tmp_path / "hand.png")
    call = run(
        *(
            "edit",
            SNOWMAN,
            "the sun comes out",
            "-o",
            "out.png",
            "--mask",
            "mask.png",
            "--seed",
            "1",
            "--json",
        ),
        *("--hand", "hand.png", "--hand-rule", "replace", "--speed", "exact"),
        folder=tmp_path,
    )
    found = json.loads(call.stdout)
    assert found["mask_source"] == "hand"
    assert found["settings"]["speed"] == "exact"
    assert np.array_equal(np.asarray(Image.open(tmp_path / "mask.png")), hand)
    before, after = (np.asarray(Image.open(path).convert("RGB")) for path in (SNOWMAN, tmp_path / "out.png"))
    assert np.array_equal(before[hand == 0], after[hand == 0])
    assert not np.array_equal(before[hand > 0], after[hand > 0])


def test_edit_says_first_what_it_thinks(tmp_path: Path) -> None:
    call = run("edit", SNOWMAN, "the sun comes out", "-o", "out.png", "--think", folder=tmp_path)
    assert "Physical-Trans" in call.stderr
    assert "snowman" in call.stderr
    assert call.returncode == 0


def test_the_licence_of_weights_from_the_hub_is_said_before_they_are_got(tmp_path: Path) -> None:
    call = run(
        *("edit", SNOWMAN, "the sun comes out", "-o", "out.png", "--engine", "flux-kontext", "--offline"),
        folder=tmp_path,
        HF_HOME=str(tmp_path),
    )
    first, second = call.stderr.strip().splitlines()
    assert "not for commercial use" in first
    assert "HF_HUB_OFFLINE forbids" in second
    assert call.returncode == 1
    assert not (tmp_path / "out.png").exists()
