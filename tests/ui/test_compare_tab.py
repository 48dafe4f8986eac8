"""The Compare tab's handlers behind a stand-in engine: results as they come, a stop, the grid."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from stand_in import BROKEN, COMING, ROW, Painter, editor, noise

from editworld_core.images import read_settings
from ui.compare import CompareTab, tried
from ui.compare_layout import lay_out_compare
from ui.compare_session import CompareSession
from ui.studio import Studio


@pytest.fixture
def painter() -> Painter:
    return Painter()


@pytest.fixture
def tab(painter: Painter) -> CompareTab:
    studio = Studio(editor(painter), [ROW, BROKEN, COMING], lambda: None)
    with gr.Blocks():
        tab = CompareTab(studio, lay_out_compare(studio), gr.State(None))
        tab.connect()
    return tab


def run(tab: CompareTab, picture: str, session: CompareSession | None = None, **given: Any) -> Any:
    asked = {"engines": ["pocket"], "seeds": 3, "first": 5, "vary": "", "values": "", **given}
    return tab.compare(session, picture, "paint", *asked.values())


def test_results_come_one_by_one_and_are_those_of_single_edits(tab: CompareTab, picture: str) -> None:
    f = tab.fields
    updates = list(run(tab, picture))
    galleries = [update[f.gallery] for update in updates if update.get(f.gallery)]
    counts = [len(gallery) for gallery in galleries[:-1]]
    assert counts == sorted(set(counts))  # something new each time
    assert (len(galleries[0]), len(galleries[-1])) == (1, 3)
    first, last = updates[0], updates[-1]
    assert (first[f.go]["visible"], first[f.stop]["visible"]) == (False, True)
    assert (last[f.go]["visible"], last[f.stop]["visible"]) == (True, False)
    session = last[tab.session]
    for place, shown in enumerate(session.shown):
        image = Image.open(shown.file)
        alone = editor().edit(noise(4), "paint", read_settings(image)[1])  # type: ignore[index]
        assert np.array_equal(np.asarray(image), np.asarray(alone.final))
        assert shown.label == f"seed {5 + place}"
        assert f"{shown.label}: " in galleries[-1][place][1]
        assert shown.row[2] == f"{100 * alone.mask.mean():.0f}"
    assert last[f.table].count("<tr>") == 4
    assert "**3 edits**" in last[f.note]
    sheet = Image.open(last[f.save]["value"])
    assert sheet.format == "PNG"
    assert sheet.width > 4 * 256


def test_engines_and_values_are_combined(tab: CompareTab, picture: str) -> None:
    *_, last = run(tab, picture, seeds=2, vary="steps", values="1, 4")
    labels = [shown.label for shown in last[tab.session].shown]
    assert labels == ["seed 5 · steps 1", "seed 5 · steps 4", "seed 6 · steps 1", "seed 6 · steps 4"]
    assert tried("post_edit", "") == (True, False)
    assert tried("text_guidance", " 1; 2.5 4") == (1.0, 2.5, 4.0)


def test_an_engine_that_is_not_ready_has_its_sentence_in_the_grid(tab: CompareTab, picture: str) -> None:
    *_, last = run(tab, picture, engines=["pocket", "sleeper"], seeds=1)
    assert "1 refused" in last[tab.fields.note]
    session = last[tab.session]
    assert session.shown[1].file is None
    assert "The engine sleeper is not ready" in last[tab.fields.table]
    event = gr.SelectData(None, {"index": 1, "value": None})
    assert tab.look(session, event)[tab.fields.large]["visible"] is False


def test_stop_keeps_what_there_is(tab: CompareTab, picture: str) -> None:
    updates, session = run(tab, picture, seeds=8), None
    for update in updates:
        session = update[tab.session]
        if session.shown:
            assert tab.stop(session)["value"] == "Stopping…"
            break
    *_, last = updates
    assert session is not None
    assert 1 <= len(session.shown) < 8
    assert f"**{len(session.shown)} of 8 edits**, then stopped" in last[tab.fields.note]
    assert Path(last[tab.fields.save]["value"]).exists()


def test_a_page_that_is_left_stops_the_work_and_leaves_no_files(
    tab: CompareTab, picture: str, painter: Painter
) -> None:
    updates = run(tab, picture, seeds=8)
    session = next(updates)[tab.session]
    next(updates)
    updates.close()
    done = painter.edits
    assert painter.at_work == 0
    assert done < 8
    folder = session.before.parent
    session.close()
    assert not folder.exists()


def test_another_comparison_takes_the_place_of_the_last_and_its_files_go(
    tab: CompareTab, picture: str
) -> None:
    *_, last = run(tab, picture)
    session, old = last[tab.session], last[tab.session].shown[0].file
    *_, new = run(tab, picture, session, seeds=1)
    assert len(new[tab.session].shown) == 1
    assert not old.exists()


def test_one_is_shown_large_with_what_it_was_made_from(tab: CompareTab, picture: str) -> None:
    *_, last = run(tab, picture)
    session, f = last[tab.session], tab.fields
    look = tab.look(session, gr.SelectData(None, {"index": 2, "value": None}))
    before, after = look[f.slider]
    assert np.array_equal(np.asarray(Image.open(before)), np.asarray(noise(4)))
    assert after == look[f.save_one] == str(session.shown[2].file)
    assert look[f.about].startswith("**seed 7**")
    assert "expired" in tab.look(None, gr.SelectData(None, {"index": 0, "value": None}))[f.about]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"engines": []}, "Choose at least one engine."),
        ({"engines": ["/etc/evil"]}, "There is no engine named '/etc/evil' here; choose one from the list."),
        ({"seeds": 9}, "Seeds must be between 1 and 8."),
        ({"first": -1}, "The seed must be between 0 and 4294967295."),
        ({"vary": "steps", "values": "1.5"}, "Steps are whole numbers."),
        ({"vary": "steps", "values": "500"}, "Steps must be between 1 and 100."),
        (
            {"vary": "text_guidance", "values": "many"},
            "Write the values as numbers with commas between them: 1, 2.5, 4.",
        ),
        (
            {"vary": "text_guidance", "values": "inf"},
            "Write the values as numbers with commas between them: 1, 2.5, 4.",
        ),
        (
            {"vary": "text_guidance", "values": " "},
            "Write the values to try, with commas between them: 1, 2.5, 4.",
        ),
        ({"vary": "lora", "values": "1"}, "'lora' cannot be varied here; choose from the list."),
        ({"seeds": 8, "vary": "steps", "values": "1 2 3 4"}, "That would be 32 edits; choose at most 24."),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(
    tab: CompareTab, picture: str, painter: Painter, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(gr.Error) as refused:
        list(run(tab, picture, **given))
    assert refused.value.message == sentence
    assert painter.edits == 0


def test_every_field_gets_its_own_verdict(tab: CompareTab, picture: str) -> None:
    wrong = tab.check(None, None, " ", [], 1, -1, "steps", "x")
    assert [verdict["is_valid"] for verdict in wrong] == [True, False, False, False, True, False, True, False]
    assert all(verdict["is_valid"] for verdict in tab.check(None, picture, "paint", ["pocket"], 1, 0, "", ""))
