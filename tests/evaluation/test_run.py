"""Edits are made once, whatever ends a run; what fails is noted; other settings and other weights are other edits."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editworld_core.errors import (
    BadInputError,
    EditCancelledError,
    EditWorldError,
    EngineUnavailableError,
)
from editworld_core.evaluation.identity import identity_of, weights_identity
from editworld_core.evaluation.outcomes import OutcomeStore, outcome_key
from editworld_core.evaluation.record import Setup
from editworld_core.evaluation.run import run
from editworld_core.evaluation.scoring_run import score
from editworld_core.evaluation.setups import make_setups, read_setup
from editworld_core.settings import EditSettings
from tests.evaluation.runs import Brightness, files_in, items
from tests.ui.stand_in import Painter, editor

SETTINGS = EditSettings(seed=3, post_edit=False)
SETUP = Setup("painter", SETTINGS)


def plain(settings: EditSettings) -> dict[str, object]:
    """An identity that reads no weights."""
    return vars(settings).copy()


def test_an_outcome_is_what_the_editor_gave(tmp_path: Path) -> None:
    [item] = items(1)
    settings = EditSettings(seed=3)
    found = run([item], [Setup("painter", settings)], tmp_path, editor())
    loaded = found.load(found.made[0])
    assert loaded is not None
    pictures, outcome = loaded
    result = editor().edit(item.read().original, item.instruction, settings)
    for mine, theirs in (
        (pictures.original, result.original),
        (outcome.original, result.original),
        (outcome.edited, result.edited),
        (outcome.final, result.final),
        (outcome.attention_mask, result.attention_mask),
        (outcome.mask, result.mask),
    ):
        assert np.array_equal(mine, theirs)
    assert outcome.mask_source == result.mask_source == "difference"
    assert outcome.shift == result.drift.shift
    assert outcome.scale == result.drift.scale
    assert 0 < outcome.seconds < 60


def test_a_second_run_edits_nothing_and_a_longer_one_the_rest(tmp_path: Path) -> None:
    painter = Painter()
    first = run(items(3), [SETUP], tmp_path, editor(painter))
    assert (first.edited, first.known, painter.edits) == (3, 0, 3)
    before = files_in(tmp_path)
    again = run(items(3), [SETUP], tmp_path, editor(painter))
    assert (again.edited, again.known, painter.edits) == (0, 3, 3)
    assert files_in(tmp_path) == before
    longer = run(items(5), [SETUP], tmp_path, editor(painter))
    assert (longer.edited, longer.known, painter.edits) == (2, 3, 5)


def test_other_settings_are_other_edits(tmp_path: Path) -> None:
    painter = Painter()
    others = [
        Setup("painter", SETTINGS),
        Setup("seed", replace(SETTINGS, seed=4)),
        Setup("feather", replace(SETTINGS, feather=0)),
        Setup("keywords", replace(SETTINGS, keywords=("left",))),
        Setup("with post-edit", replace(SETTINGS, post_edit=True)),
    ]
    found = run(items(1), others, tmp_path, editor(painter))
    assert painter.edits == len({made.key for made in found.made}) == len(others)
    run(items(1), [Setup("another label", SETTINGS)], tmp_path, editor(painter))
    assert painter.edits == len(others)


def test_other_pictures_and_other_words_are_other_edits(tmp_path: Path) -> None:
    one, other = items(2)
    [said] = items(1, "the left half is green")
    keys = [outcome_key(item, identity_of(SETTINGS)) for item in (one, other, said)]
    assert len(set(keys)) == 3
    assert keys[0] == outcome_key(items(1)[0], identity_of(SETTINGS))


def test_an_open_seed_is_the_item_s_own(tmp_path: Path) -> None:
    painter = Painter()
    seeds = []
    for item in (*items(2), replace(items(1)[0], about={"seed": 17})):
        run([item], [Setup("open", EditSettings())], tmp_path / "a", editor(painter))
        assert painter.told is not None
        seeds.append(painter.told[1].seed)
    assert len(set(seeds)) == 3
    assert seeds[2] == 17
    run(items(2), [Setup("open", EditSettings())], tmp_path / "b", editor(painter))
    assert painter.told[1].seed == seeds[1]


def test_weights_decide_and_names_do_not(tmp_path: Path) -> None:
    folder = tmp_path / "engine"
    (folder / "unet").mkdir(parents=True)
    (folder / "unet" / "a.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_text("a card")
    first = weights_identity(str(folder))
    (folder / "README.md").write_text("another card")
    moved = folder.rename(tmp_path / "moved")
    assert weights_identity(str(moved)) == first
    (moved / "unet" / "a.safetensors").write_bytes(b"weightz")
    changed = weights_identity(str(moved))
    assert changed != first
    (moved / "unet" / "a.safetensors").rename(moved / "a.safetensors")
    assert weights_identity(str(moved)) not in (first, changed)


def test_a_folder_called_like_an_inpainter_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("auto", "engine"):
        (tmp_path / name).mkdir()
        assert identity_of(replace(SETTINGS, inpainter=name))["inpainter"] == name


def test_a_hub_id_is_its_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert weights_identity("nobody/nothing") == "nobody/nothing@"
    refs = tmp_path / "models--nobody--nothing" / "refs"
    refs.mkdir(parents=True)
    (refs / "main").write_text("0123abcd")
    assert weights_identity("nobody/nothing") == "nobody/nothing@0123abcd"


def test_the_bundled_engine_is_known_by_its_weights() -> None:
    from editworld_core.engines.registry import pocket_folder

    named = identity_of(EditSettings())
    assert named["engine"] == identity_of(EditSettings(engine=str(pocket_folder())))["engine"]
    assert named["segmenter"]
    assert named["segmenter"] != "auto"


class Moody:
    """Refuses the items whose instruction says so."""

    def __init__(self, error: type[EditWorldError] = BadInputError) -> None:
        self._editor, self._error = editor(), error
        self.asked = 0

    def edit(self, image: Image.Image, instruction: str, settings: EditSettings):
        self.asked += 1
        if "not" in instruction:
            raise self._error("This is refused; ask for another thing.")
        return self._editor.edit(image, instruction, settings)


def test_a_failing_item_is_noted_and_the_run_goes_on(tmp_path: Path) -> None:
    some = [*items(1), *(replace(item, id="no") for item in items(1, "not this")), items(2)[1]]
    seen = []
    found = run(some, [SETUP], tmp_path, Moody(), lambda done, total: seen.append((done, total)))
    assert [made.failure for made in found.made] == ["", "This is refused; ask for another thing.", ""]
    assert seen == [(1, 3), (2, 3), (3, 3)]
    scored, absent = score(found, [Brightness().measure()], tmp_path)
    assert [bool(one.values) for one in scored] == [True, False, True]
    assert scored[1].failure == "This is refused; ask for another thing."
    assert found.outcome_of(scored[1]) is None
    assert found.outcome_of(scored[2]) is not None
    assert absent == {}


def test_a_damaged_picture_fails_its_item(tmp_path: Path) -> None:
    def broken():
        raise BadInputError("The picture is damaged; give another one.")

    good, bad = items(2)
    found = run([good, replace(bad, read=broken)], [SETUP], tmp_path, editor())
    assert [made.failure for made in found.made] == ["", "The picture is damaged; give another one."]


def test_an_engine_that_cannot_be_had_is_asked_for_once(tmp_path: Path) -> None:
    moody = Moody(EngineUnavailableError)
    setups = [Setup("first", SETTINGS), Setup("second", replace(SETTINGS, seed=4))]
    some = [*items(1), *items(4, "not this")]
    found = run(some, setups, tmp_path, moody)
    assert moody.asked == 4
    assert [bool(made.failure) for made in found.made] == 2 * [False, True, True, True, True]
    assert {made.item.id for made in found.made} == {item.id for item in some}


def test_an_unknown_engine_fails_its_setup_only(tmp_path: Path) -> None:
    setups = [SETUP, Setup("magic", EditSettings(engine="magic", seed=0))]
    found = run(items(2), setups, tmp_path, editor())
    assert [made.failure[:25] for made in found.made] == ["", "", *2 * ["There is no engine 'magic"]]


def test_when_nothing_succeeds_that_is_the_end(tmp_path: Path) -> None:
    with pytest.raises(EditWorldError, match=r"Not one of 2 edits succeeded; .* This is refused; "):
        run(items(2, "not this"), [SETUP], tmp_path, Moody())


def test_who_stops_it_is_obeyed(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise EditCancelledError("Stopped.")

    with pytest.raises(EditCancelledError):
        run(items(2), [SETUP], tmp_path, editor(), stop)
    with pytest.raises(EditCancelledError):
        run(items(2, "not this"), [SETUP], tmp_path, Moody(EditCancelledError))


def test_a_folder_that_cannot_be_written_is_no_failure_of_an_item(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EditWorldError, match="cannot be written"):
        run(items(1), [SETUP], tmp_path / "file", editor())


def test_two_writers_of_one_outcome_do_no_harm(tmp_path: Path) -> None:
    [item] = items(1)
    result = editor().edit(item.read().original, item.instruction, SETTINGS)
    one, other = OutcomeStore(tmp_path), OutcomeStore(tmp_path)
    one.write("ab" * 16, item, result, 1.0)
    before = files_in(tmp_path)
    other.write("ab" * 16, item, result, 2.0)
    assert files_in(tmp_path) == before
    assert other.read("ab" * 16, result.original).seconds == 1.0


def test_what_a_killed_run_left_is_taken_away_when_it_is_old(tmp_path: Path) -> None:
    old, young = tmp_path / "abc-1.part", tmp_path / "abc-2.part"
    old.mkdir()
    young.mkdir()
    os.utime(old, (1, 1))
    OutcomeStore(tmp_path)
    assert not old.exists()
    assert young.exists()


def test_a_damaged_outcome_is_refused(tmp_path: Path) -> None:
    found = run(items(1), [SETUP], tmp_path, editor())
    next(tmp_path.glob("*/*/edited.png")).write_bytes(b"no picture")
    with pytest.raises(
        BadInputError, match=r"^The edit in .* is damaged \(.*\); delete it and run the command again\.$"
    ):
        found.load(found.made[0])


def test_scores_are_taken_once(tmp_path: Path) -> None:
    found, measure = run(items(3), [SETUP], tmp_path, editor()), Brightness()
    first = score(found, [measure.measure()], tmp_path)
    assert measure.asked == 3
    assert score(found, [measure.measure()], tmp_path) == first
    assert measure.asked == 3
    score(found, [measure.measure("2")], tmp_path)
    assert measure.asked == 6
    mean = np.asarray(
        editor().edit(items(1)[0].read().original, "the left half is painted", SETTINGS).edited
    ).mean()
    assert first[0][0].values["brightness"] == pytest.approx(mean)


def test_other_words_in_a_data_set_are_measured_anew_and_not_edited(tmp_path: Path) -> None:
    painter, measure = Painter(), Brightness()
    for some in (items(2), [replace(item, caption_after="it is green") for item in items(2)]):
        score(run(some, [SETUP], tmp_path, editor(painter)), [measure.measure()], tmp_path)
    assert (painter.edits, measure.asked) == (2, 4)


def test_a_measure_that_fails_is_absent_and_given_up_after_a_while(tmp_path: Path) -> None:
    found, good = run(items(6), [SETUP], tmp_path, editor()), Brightness()
    asked = []

    def fail(item, pictures, outcome):
        asked.append(item.id)
        raise EditWorldError("The server is gone; start it.")

    judge = replace(good.measure(), name="judge", measure=fail)
    scored, absent = score(found, [good.measure(), judge], tmp_path)
    assert len(asked) == 3
    assert all(set(one.values) == {"brightness", "change"} for one in scored)
    assert absent == {"judge": "It failed 3 times, and was given up. The server is gone; start it."}
    assert len(asked) == 3


WARM = """
import os
import sys
from pathlib import Path

import cv2

cv2.setNumThreads(1)
from tests.datagen.kills import kill_often
from tests.evaluation.test_run import evaluated, outcomes_in

what, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
evaluated(folder.parent / "warm", 1)
if what == "kill":
    print(kill_often(lambda: evaluated(folder, 5 * count), folder, count, longest=0.2, count=outcomes_in))
else:
    child = os.fork()
    try:
        evaluated(folder, count)
    finally:
        if not child:
            os._exit(0)
    print(os.waitpid(child, 0)[1])
"""
"""A warm process that forks, so that its children do not pay for the imports."""


def evaluated(folder: Path, count: int) -> list[dict[str, float | None]]:
    """The scores of a run of two setups, without its times."""
    setups = [SETUP, Setup("other", replace(SETTINGS, seed=4))]
    found = run(items(count), setups, folder, editor(), identify=plain)
    return [dict(one.values) for one in score(found, [Brightness().measure()], folder)[0]]


def outcomes_in(folder: Path) -> int:
    """How many outcomes are whole."""
    return len(list(folder.glob("??/*/outcome.json")))  # not the folders in the making, which go


def warm(*arguments: object) -> str:
    done = subprocess.run([sys.executable, "-c", WARM, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_like_an_unkilled_one(tmp_path: Path) -> None:
    kills = int(os.environ.get("EDITWORLD_TEST_KILLS", "8"))
    folder = tmp_path / "killed"
    assert warm("kill", folder, kills) == str(kills)
    assert evaluated(folder, 5 * kills) == evaluated(tmp_path / "whole", 5 * kills)
    assert outcomes_in(folder) == 10 * kills


@pytest.mark.slow
def test_two_processes_share_a_folder(tmp_path: Path) -> None:
    """Both edit the same items at the same time; every outcome is there once, and whole."""
    assert warm("share", tmp_path / "shared", 12) == "0"
    assert outcomes_in(tmp_path / "shared") == 24
    assert not list((tmp_path / "shared").glob("*.part"))
    assert evaluated(tmp_path / "shared", 12) == evaluated(tmp_path / "alone", 12)


def test_setups_from_words() -> None:
    base = EditSettings(seed=0)
    setups = make_setups(base, ["pocket", "magicbrush"], ["sharp: steps=4, post_edit=off, mask_rule=paper"])
    assert [setup.label for setup in setups] == ["pocket", "magicbrush", "sharp"]
    assert setups[1].settings == replace(base, engine="magicbrush")
    assert setups[2].settings == replace(base, steps=4, post_edit=False, mask_rule="paper")
    said = read_setup("all of it: text_guidance=2.5, seed=none, keywords=sun snowman, outcome=a puddle", base)
    assert said.settings == replace(
        base, text_guidance=2.5, seed=None, keywords=("sun", "snowman"), outcome="a puddle"
    )


@pytest.mark.parametrize(
    "text, why",
    [
        ("steps=4", "has no label"),
        (": steps=4", "has no label"),
        ("a:", "changes nothing"),
        ("a: stepz=4", "no setting 'stepz' .* choose engine, lora"),
        ("a: steps", "no setting 'steps'"),
        ("a: steps=0", "number of steps must lie between 1 and 1000, not 0"),
        ("a: steps=many", "number of steps must lie between"),
        ("a: post_edit=4", "post_edit"),
        ("a: mask_rule=best", "mask_rule must be paper or otsu"),
        ("pocket: steps=4", "Two setups are called 'pocket'"),
    ],
)
def test_settings_that_cannot_be(text: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        make_setups(EditSettings(), ["pocket"], [text])
