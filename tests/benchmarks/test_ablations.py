"""The ablations change the one part that they say, on edits that are made once."""

import json
import os
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from benchmarks.__main__ import main
from benchmarks.ablations import masking
from benchmarks.ablations.command import MAKERS, wanted
from benchmarks.ablations.edits import Edit, Edits, pair_of
from benchmarks.ablations.elsewhere import MOVED, as_from_elsewhere
from benchmarks.ablations.failures import failures
from benchmarks.ablations.findings import findings
from benchmarks.ablations.foreign import INSTRUCTIONS
from benchmarks.ablations.measuring import finish, located, over_scenes, redrawn, variant
from benchmarks.ablations.names import TABLES
from benchmarks.ablations.summary import table
from editworld_core.alignment import estimate_alignment
from editworld_core.editor import EditResult, WorldEditor
from editworld_core.engines.registry import load_engine, pocket_folder
from editworld_core.errors import BadInputError
from editworld_core.masks import content_words, enlarge, threshold_paper
from editworld_core.settings import EditSettings
from training import unaffected

SCENE = ("melt_snowman", 0)


class Counted(WorldEditor):
    """A real editor that counts its edits."""

    def __init__(self) -> None:
        super().__init__(load_engine)
        self.edits = 0

    def edit(self, *arguments, **options) -> EditResult:
        self.edits += 1
        return super().edit(*arguments, **options)


@pytest.fixture(scope="module")
def edits(tmp_path_factory: pytest.TempPathFactory) -> Edits:
    folder = tmp_path_factory.mktemp("ablations")
    return Edits(Counted(), folder, "pocket", names=["melt_snowman"], scenes=1)


@pytest.fixture(scope="module")
def edit(edits: Edits) -> Edit:
    return edits.get(SCENE)


def test_what_is_kept_of_an_edit_is_what_the_editor_gave(edits: Edits, edit: Edit) -> None:
    pair = pair_of(SCENE)
    settings = EditSettings(seed=0, align=False)
    theirs = WorldEditor().edit(Image.fromarray(pair.before), pair.instruction, settings)
    made, again = edits.editor.edits, edits.get(SCENE)
    assert edits.editor.edits == made
    for ours in (edit, again):
        assert ours.edited.tobytes() == theirs.edited.tobytes()
        where = located(ours)
        np.testing.assert_array_equal(where.prompt, theirs.attention_mask)
        np.testing.assert_allclose(where.heat, theirs.heat, atol=1e-6)
        finished = finish(edits, ours, where)
        assert finished.final.tobytes() == theirs.final.tobytes()
        np.testing.assert_array_equal(finished.mask, theirs.mask)


def test_attention_alone_leaves_what_is_outside_its_mask(edit: Edit) -> None:
    alone = masking.attention_alone(edit)
    before, after, edited = (np.asarray(each) for each in (edit.original, alone.final, edit.edited))
    assert 0.02 < alone.mask.mean() < 0.9
    np.testing.assert_array_equal(after[~alone.mask], before[~alone.mask])
    deep = cv2.erode(alone.mask.astype(np.uint8), np.ones((25, 25), np.uint8)) > 0
    np.testing.assert_array_equal(after[deep], edited[deep])


@pytest.mark.parametrize("factor", [0.6, 1.5])
def test_a_threshold_is_the_paper_rule_at_its_factor(edit: Edit, factor: float) -> None:
    keywords = content_words([token.word for token in edit.words])
    masks = [
        threshold_paper(enlarge(edit.attention.map(token.positions), (256, 256)), factor)
        for token in edit.words
        if token.word in keywords
    ]
    np.testing.assert_array_equal(located(edit, "paper", factor).prompt, np.logical_or.reduce(masks))


def test_layers_are_named_by_block_and_resolution(edit: Edit) -> None:
    found = masking.layers_of(edit)
    assert list(found) == [
        "down, 16 cells",
        "up, 16 cells",
        "down and up, 16 cells",
        "down, 8 cells",
        "mid, 8 cells",
        "up, 8 cells",
        "down and up, 8 cells",
        "all, scaled and averaged",
    ]
    as_in_paper = located(edit, layers=found["down and up, 16 cells"])
    np.testing.assert_array_equal(as_in_paper.prompt, located(edit).prompt)
    assert (located(edit, layers=found["mid, 8 cells"]).heat != located(edit).heat).any()
    kept = [name for group in found["all, scaled and averaged"] for name in group]
    assert sorted(kept) == sorted(edit.attention.layers)


def test_the_first_step_is_the_map_of_an_edit_that_ends_there(edits: Edits) -> None:
    edit = edits.get(SCENE, steps=2)
    first = located(edit, steps=[0]).heat
    maps = {name: stack[:1] for name, stack in edit.attention.layers.items()}
    alone = Edit(edit.original, edit.edited, edit.told, edit.words, type(edit.attention)(maps), 0.0)
    np.testing.assert_array_equal(first, located(alone).heat)
    assert (first != located(edit, steps=[1]).heat).any()


def test_an_edit_from_elsewhere_lies_where_it_was_moved_and_is_warmer() -> None:
    from skimage.data import astronaut

    image = Image.fromarray(astronaut()).resize((256, 256))
    moved = as_from_elsewhere(image)
    found = estimate_alignment(image, moved)
    assert found.shift == pytest.approx(MOVED.shift, abs=0.15)
    assert found.scale == pytest.approx(MOVED.scale, abs=0.002)
    red, _, blue = np.asarray(moved, float).mean((0, 1)) / np.asarray(image, float).mean((0, 1))
    assert red > 1 > blue


def test_rows_measure_what_the_true_pair_says(edits: Edits, edit: Edit) -> None:
    pair = pair_of(SCENE)
    row = over_scenes(edits, {"true": variant(edits, masking.by_true_mask)}, lambda: None)["true"][0]
    inside = np.abs(pair.before.astype(float) - pair.after)[pair.mask].mean()
    left = np.abs(np.asarray(edit.edited, float) - pair.after)[pair.mask].mean()
    assert row["error_source"] == pytest.approx(inside, rel=1e-4)
    assert row["error_before"] == pytest.approx(left, rel=1e-4)
    assert row["before"] == (left <= inside / 2)
    assert (row["iou"], row["psnr"], row["recall"], row["precision"]) == (1, 100, 1, 1)


def test_other_words_and_settings_are_other_edits(edits: Edits) -> None:
    made = edits.editor.edits
    own = edits.get(SCENE).edited.tobytes()
    assert edits.get(SCENE, "turn the day into night").edited.tobytes() != own
    assert edits.get(SCENE, steps=3).edited.tobytes() != own
    assert edits.editor.edits == made + 2
    redrawn(edits, SCENE, "turn the day into night")
    assert edits.editor.edits == made + 2


def test_other_weights_are_other_edits_and_another_model_card_is_not(edits: Edits, tmp_path: Path) -> None:
    engine = Path(shutil.copytree(pocket_folder(), tmp_path / "engine"))

    def weights() -> str:
        return Edits(edits.editor, tmp_path, str(engine), names=["melt_snowman"], scenes=1).weights

    (engine / "README.md").write_text("Read again, and corrected.")
    assert weights() == edits.weights
    with next(engine.rglob("*.safetensors")).open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"1")
    assert weights() != edits.weights


def test_the_groups_of_failures_are_all_scenes_once(edits: Edits) -> None:
    made, rows = failures(edits, lambda: None)
    count = {row.label: row.cells["scenes"] for row in made.rows}
    assert count.pop("all") == len(rows["all"]) == 1
    for kind in ("category", "true mask", "found"):
        assert sum(number for label, number in count.items() if label.startswith(kind)) == 1
    row = {"before": True, "after": True}
    rows = [row, row | {"after": False}, row | {"before": False}, row]
    assert masking.lost(rows).value == pytest.approx(1 / 3)


def _rows(after: list[bool], **more: float) -> list[dict]:
    row = {
        "before": True,
        "iou_attention": 0.5,
        "iou": 0.5,
        "psnr": 20.0,
        "error_before": 9.0,
        "error_after": 9.0,
    }
    return [row | {"after": each, "seconds": 1.0} | more for each in after]


def test_findings_name_what_differs_and_nothing_else() -> None:
    worse = _rows([False] * 40, error_after=12.0)
    found = {"first": _rows([True] * 40), "same": _rows([True] * 39 + [False]), "worse": worse}
    said = findings([table("helps", "T", "", "line", found)])
    assert said == [
        "**What helps the post-edit**, against “first”, after post-edit: more error with “worse”, +3.0 (+3.0 … +3.0) "
        "of 255 and −100 (−100 … −100) points of success; no other line differs by more than chance may make."
    ]
    words = {"1, plain": found["first"], "2, cause": found["worse"], "2, as the think step's": found["first"]}
    said = findings([table("wording", "T", "", "line", words)])
    assert "differs from the command by −100 (−100 … −100) points, beyond chance." in said[0]
    parts = {
        "no post-edit": _rows([True] * 4, psnr=21.0),
        "+ segmentation": _rows([True, False] * 2, psnr=30.0),
        "+ inpainting": _rows([False] * 4, psnr=20.0),
    }
    parts["true mask, no inpainting"] = _rows([True] * 4)
    said = findings([table("parts", "T", "", "line", parts)])[0]
    assert "from 100% (100–100) to 50% (0–100) by the mask, and to 0% (0–0) if" in said
    assert "from 21.0 to 30.0 dB" in said


def test_no_foreign_instruction_is_made_of_training_words() -> None:
    lists = [*unaffected.MATERIALS, *unaffected.THINGS, *unaffected.COLOURS]
    known = set(content_words([word for words in lists for word in words.lower().split()]))
    for text in INSTRUCTIONS:
        assert text not in unaffected.TASKS
        assert not known & set(re.findall(r"\w+", text.lower())), text


def test_the_command_leaves_tables_and_does_nothing_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Mine\n<!-- ablations: begin -->\n<!-- ablations: end -->\nkept\n")
    folder = tmp_path / "out"
    call = ["ablations", "--scenes", "1", "--dynamic", "night_falls", "--threads", "1", "-o", str(folder)]
    assert main([*call, "--table", "think", "--json", "--write", str(page)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [table["name"] for table in report["tables"]] == ["think"]
    assert report["tables"][0]["rows"][0]["label"] == "off: the instruction"
    assert "| off: the instruction | 1 |" in page.read_text()
    made_by = (
        "`python -m benchmarks ablations --engine pocket --scenes 1 --dynamic night_falls --seed 0 -o DIR`"
    )
    assert made_by in page.read_text()
    assert page.read_text().endswith("kept\n")
    assert (folder / "think.svg").read_text().startswith("<svg")
    first = {path: path.stat().st_mtime_ns for path in [*folder.glob("edits/*"), *folder.glob("tables/*")]}
    assert len(first) >= 3
    assert main([*call, "--table", "think", "--table", "steps"]) == 0
    words = capsys.readouterr().out
    assert (
        words.index("### What they say") < words.index("### Think step") < words.index("### Denoising steps")
    )
    assert all(path.stat().st_mtime_ns == time for path, time in first.items())


@pytest.mark.parametrize(
    ("more", "status", "sentence"),
    [
        (["--dynamic", "melt_pigs"], 2, "There is no dynamic named 'melt_pigs'"),
        (["--engine", "nobody"], 2, "nobody"),
        (["--write", "nowhere.md"], 2, "nowhere.md cannot"),
    ],
)
def test_refusals_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], status: int, sentence: str
) -> None:
    assert main(["ablations", "--scenes", "1", "--threads", "1", "-o", str(tmp_path), *more]) == status
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.out == ""


def test_every_name_has_a_table_and_those_of_attention_need_it() -> None:
    assert tuple(MAKERS) == TABLES
    assert tuple(wanted((), True)) == TABLES
    assert set(TABLES) - set(wanted((), False)) == {"threshold", "recorder", "recorder-steps"}
    with pytest.raises(BadInputError, match="leave out the table recorder"):
        wanted(("parts", "recorder"), False)
