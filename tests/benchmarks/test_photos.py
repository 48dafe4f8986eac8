"""The sheet of photographs: what is on it is what the editor makes of them."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import photos
from benchmarks.__main__ import main
from editworld_core.editor import WorldEditor
from editworld_core.settings import EditSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures of different shapes."""
    there = tmp_path / "mine"
    there.mkdir()
    for name, size in (("b-tall", (40, 60)), ("a-wide", (90, 60))):
        photos.packaged_photos()["temple"].resize(size).save(there / f"{name}.png")
    (there / "notes.txt").write_text("no picture")
    return there


def test_the_packaged_photographs_are_eight_free_ones_that_training_never_sees() -> None:
    found = photos.packaged_photos()
    assert len(found) == 8
    assert all(picture.mode == "RGB" and min(picture.size) >= 300 for picture in found.values())
    assert {photo.licence for photo in photos.PHOTOS.values()} <= {"CC0", "CC BY 2.0", "public domain"}


def test_the_sheet_and_the_full_results_are_the_editors(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    two = dict(list(photos.photo_dynamics().items())[8:10])
    monkeypatch.setattr(photos, "photo_dynamics", lambda: two)
    sheet, full = tmp_path / "sheet.jpg", tmp_path / "full"
    assert main(["photos", "-o", str(sheet), "--photos", str(folder), "--full", str(full), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["photos"] == ["a-wide", "b-tall"]
    assert report["dynamics"] == two
    assert sorted(path.name for path in full.iterdir()) == sorted(
        f"{name}-{photo}.png" for name in two for photo in ("a-wide", "b-tall")
    )
    (name, instruction), *_ = two.items()
    expected = WorldEditor().edit(folder / "a-wide.png", instruction, EditSettings(seed=0)).final
    assert Image.open(full / f"{name}-a-wide.png").tobytes() == expected.tobytes()
    page = Image.open(sheet)
    assert page.height == 3 * (photos.HEIGHT + photos.GAP) + photos.GAP
    left, top = photos.LABEL, photos.GAP + photos.HEIGHT + photos.GAP
    shown = page.crop((left, top, left + 225, top + photos.HEIGHT)).resize(expected.size)
    assert np.abs(np.asarray(shown, int) - np.asarray(expected, int)).mean() < 8


def test_every_photo_dynamic_is_asked_for_in_a_wording_that_training_never_shows() -> None:
    from editworld_core.simulation.world import get_dynamic

    asked = photos.photo_dynamics()
    assert len(asked) >= 12
    for name, instruction in asked.items():
        assert get_dynamic(name).photo
        assert instruction not in get_dynamic(name).phrasings


def test_the_jpeg_stays_small() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8))
    data = photos.encode_jpeg(noise, most_bytes=100_000)
    assert len(data) < 100_000
    assert Image.open(BytesIO(data)).size == (400, 400)


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(photos.BadInputError, match="name a folder"):
        photos.photos_of(tmp_path)
