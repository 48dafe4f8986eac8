"""The Sample data tab's handlers: what a visitor gets is what the command line makes."""

import hashlib
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.quadruple import read_quadruples
from editworld_core.datagen.records import LOCK, load_images, read_about, read_triplets
from training.generate import main
from ui.data import DataTab
from ui.data_layout import lay_out_data
from ui.data_orders import Order, dynamics_of
from ui.data_session import DataSession, data_sets

ALL = [str(each) for each in Category]
DYNAMICS = [dynamics_of(each) for each in ALL]
TWO = ["Long-Term", "Exaggeration"]


@pytest.fixture
def tab() -> DataTab:
    return open_tab()


def open_tab(keep: Path | None = None) -> DataTab:
    with gr.Blocks():
        tab = DataTab(lay_out_data(), gr.State(None), keep)
        tab.connect()
    return tab


def order(
    tab: DataTab, session: DataSession | None = None, branch: str = "simulation", **given: Any
) -> Iterator[dict[Any, Any]]:
    chosen = {"categories": ALL, "count": 7, "seed": 3, "size": 64, "films": None, **given}
    return tab.make(session, branch, *chosen.values(), *DYNAMICS)


def hashes(zipped: str) -> dict[str, str]:
    with zipfile.ZipFile(zipped) as archive:
        return {
            name.split("/", 1)[1]: hashlib.sha256(archive.read(name)).hexdigest()
            for name in archive.namelist()
        }


def hashes_in(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != LOCK
    }


@pytest.mark.parametrize("categories", [ALL, TWO], ids=["all", "two"])
def test_the_zip_holds_what_the_shown_command_line_makes(
    tab: DataTab, tmp_path: Path, categories: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, last = order(tab, categories=categories)
    command = last[tab.fields.command]["value"]
    monkeypatch.chdir(tmp_path)
    words = shlex.split(command)
    assert words[:4] == ["python", "-m", "training.generate", "simulate"]
    assert ("--dynamics" in words) == (categories is TWO)
    assert main(words[3:]) == 0
    zipped = last[tab.fields.save]["value"]
    assert hashes(zipped) == hashes_in(tmp_path / words[-1])
    assert "simulation-7-seed3" in Path(zipped).name


def test_pairs_appear_newest_first_while_they_are_made(tab: DataTab) -> None:
    updates = list(order(tab, count=14))
    f = tab.fields
    galleries = [update[f.gallery] for update in updates if isinstance(update.get(f.gallery), list)]
    session = updates[-1][tab.session]
    (folder,) = data_sets(session).values()
    triplets = list(read_triplets(folder))
    assert [caption for _, caption in galleries[-1]] == [
        f"{each.instruction} · {each.category}" for each in reversed(triplets)
    ]
    assert len(galleries[0]) < 14
    newest = Image.open(galleries[-1][0][0])
    before, _, _ = load_images(folder, triplets[-1])
    assert newest.size == (2 * 64 + 6, before.height)
    assert any("left" in update[f.status]["value"] for update in updates if f.status in update)
    made = next(update[f.chips] for update in reversed(updates) if update.get(f.chips))
    assert re.findall(r"<b>(\d+)</b>", made) == ["2"] * 7


def test_stop_leaves_a_readable_data_set_and_the_same_order_goes_on(tab: DataTab, tmp_path: Path) -> None:
    f, run = tab.fields, order(tab, count=40)
    for update in run:
        session = update[tab.session]
        if update.get(f.gallery) and isinstance(update[f.gallery], list):
            assert tab.stop(session)["value"] == "Stopping…"
            break
    *_, stopped = run
    (folder,) = data_sets(session).values()
    held = len(list(read_triplets(folder)))
    assert 0 < held < 40
    assert f"**{held} of 40 pairs**" in stopped[f.note]["value"]
    with zipfile.ZipFile(stopped[f.save]["value"]) as archive:
        archive.extractall(tmp_path)
    (unpacked,) = tmp_path.iterdir()
    assert read_about(unpacked)["counts"]["triplets"] == len(list(read_triplets(unpacked))) == held
    for each in read_triplets(unpacked):
        load_images(unpacked, each)
    *_, done = order(tab, session, count=40)
    *_, other = order(tab, count=40)
    assert hashes(done[f.save]["value"]) == hashes(other[f.save]["value"])
    assert "**40 pairs** made" in done[f.note]["value"]


def test_a_page_that_is_left_ends_the_work(tab: DataTab) -> None:
    run = order(tab, count=200)
    session = next(run)[tab.session]
    next(run)
    run.close()  # type: ignore[attr-defined]
    *_, other = order(tab)  # nobody is in the line any more
    assert other[tab.fields.save]["visible"]
    session.close()
    assert not session.root.exists()


def test_two_visitors_take_turns_and_share_nothing(tab: DataTab) -> None:
    runs = [order(tab, seed=1, count=10), order(tab, seed=2, count=10)]
    lasts: list[dict[Any, Any]] = [{}, {}]
    going = {0, 1}
    while going:
        for which in list(going):
            update = next(runs[which], None)
            if update is None:
                going.remove(which)
            else:
                lasts[which] = update
    first, second = (last[tab.session] for last in lasts)
    assert first.root != second.root
    ids = [
        {each.id for folder in data_sets(who).values() for each in read_triplets(folder)}
        for who in (first, second)
    ]
    assert len(ids[0]) == len(ids[1]) == 10
    assert not ids[0] & ids[1]


def test_a_kept_data_set_stays_where_the_server_was_told(tmp_path: Path) -> None:
    tab = open_tab(tmp_path)
    *_, last = order(tab)
    (kept,) = tmp_path.iterdir()
    assert len(list(read_triplets(kept))) == 7
    assert str(kept) in last[tab.fields.note]["value"]
    last[tab.session].close()
    assert kept.exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"count": 201}, "How many must be between 1 and 200."),
        ({"count": 1.5}, "How many must be a whole number."),
        ({"seed": -1}, "The seed must be between 0 and 4294967295."),
        ({"categories": []}, "Choose at least one category."),
        ({"size": 4096}, "Size must be between 64 and 512."),
        ({"branch": "video"}, "Add 1 to 20 videos first: drop them on the field."),
        ({"branch": "dream"}, "There is no such source; choose one from the list."),
    ],
)
def test_what_cannot_be_made_is_refused_in_a_sentence(
    tab: DataTab, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(gr.Error) as refused:
        list(order(tab, **given))
    assert refused.value.message == sentence


def test_pairs_from_texts_say_what_is_missing(
    tab: DataTab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(gr.Error, match="are not on this machine"):
        list(order(tab, branch="text_to_image"))


def test_texts_only_are_those_of_the_command_line(tab: DataTab, tmp_path: Path) -> None:
    *_, last = order(tab, branch="text", categories=TWO, count=4)
    words = shlex.split(last[tab.fields.command]["value"])
    assert main([*words[3:-1], str(tmp_path / "texts")]) == 0
    with zipfile.ZipFile(last[tab.fields.save]["value"]) as archive:
        archive.extractall(tmp_path / "unpacked")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    assert list(read_quadruples(unpacked)) == list(read_quadruples(tmp_path / "texts"))


def test_a_clip_gives_the_pairs_of_the_command_line(tab: DataTab, tmp_path: Path) -> None:
    film = tmp_path / "clip.gif"
    shapes = [Image.new("RGB", (96, 96), (200, 210, 220)) for _ in range(24)]
    for place, frame in enumerate(shapes):
        frame.paste((180, 40, 30), (10 + place, 30, 50 + place, 70 + place))
    shapes[0].save(film, save_all=True, append_images=shapes[1:], duration=80)
    *_, last = order(tab, branch="video", films=[str(film)])
    output = tmp_path / "again"
    assert main(["video", str(film), "--size", "64", "-o", str(output)]) == 0
    file = last[tab.fields.save]["value"]
    if not list(read_triplets(output)):
        assert file is None
        assert "Nothing was made" in last[tab.fields.note]["value"]
    else:
        assert hashes(file) == hashes_in(output)


def test_the_name_tells_orders_apart() -> None:
    whole = Order("simulation", dynamics=tuple(name for names in DYNAMICS for name in names))
    assert whole.name == "simulation-24-seed0-256px"
    some = Order("simulation", dynamics=("melt_ice",))
    assert some.name.startswith("simulation-24-seed0-256px-")


def test_only_the_fields_of_a_branch_are_shown(tab: DataTab) -> None:
    f = tab.fields
    video, simulation = tab.choose_branch("video"), tab.choose_branch("simulation")
    assert (video[f.films]["visible"], video[f.count]["visible"]) == (True, False)
    assert (simulation[f.films]["visible"], simulation[f.more]["visible"]) == (False, True)
    shown = tab.choose_categories(TWO)
    assert [each for each, group in zip(ALL, f.dynamics, strict=True) if shown[group]["visible"]] == TWO
