"""Many edits in one run: what a table may say, what a killed run leaves, and what the next one takes over."""

import csv
import json
import os
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from editworld_core.batch import LOG, RESULTS, run_batch
from editworld_core.batch_items import BatchItem, items_of, key_of, unused_columns
from editworld_core.cli import main
from editworld_core.editor import EditResult, WorldEditor
from editworld_core.errors import BadInputError, EditCancelledError, EditWorldError
from editworld_core.images import read_settings
from editworld_core.settings import EditSettings
from tests.datagen.kills import count_lines, kill_often
from tests.ui.stand_in import Painter, editor, noise

ROOT = Path(__file__).resolve().parent.parent
PLAIN = EditSettings(seed=3)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(4):
        noise(number).save(folder / f"{number}.png")
    return folder


def table(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    file = folder / "table.csv"
    file.write_bytes(text.encode(encoding))
    return file


def results(folder: Path) -> list[dict[str, str]]:
    with (folder / RESULTS).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def edits_of(painter: Painter, items: list[BatchItem], folder: Path, **more: Any) -> int:
    """How many edits a run made."""
    before = painter.edits
    report = run_batch(items, folder, editor(painter), **more)
    assert report.made == painter.edits - before
    return report.made


# ---- what is to be edited


def test_a_folder_is_its_pictures(pictures: Path) -> None:
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "._0.png").write_text("what another system keeps beside a picture")
    (pictures / "out.png").mkdir()
    Image.open(pictures / "0.png").save(pictures / "BIG.JPG")
    (pictures / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic")  # cannot be read, and is not passed over
    items = items_of(pictures, "paint it", PLAIN)
    names = ["0.png", "1.png", "2.png", "3.png", "BIG.JPG", "phone.heic"]
    assert [item.name for item in items] == names
    assert {item.instruction for item in items} == {"paint it"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_a_table_with_quotes_umlauts_and_settings(tmp_path: Path, encoding: str, mark: str) -> None:
    text = (
        f"Image{mark}instruction {mark}seed{mark}mask{mark}post_edit{mark}keywords{mark}note\r\n"
        f'süß.png{mark}"say ""hi"", now; then\tgo"{mark}7{mark}m.png{mark}no{mark}"say, now"{mark}x\r\n'
        "\r\n"
        f"sub/b.png{mark}{mark}{mark}{mark}{mark}{mark}\r\n"
    )
    file = table(tmp_path, text, encoding)
    first, second = items_of(file, "night falls", PLAIN)
    assert (first.name, first.image) == ("süß.png", tmp_path / "süß.png")
    assert first.instruction == 'say "hi", now; then\tgo'
    assert first.settings == EditSettings(seed=7, post_edit=False, keywords=("say", "now"))
    assert first.hand == tmp_path / "m.png"
    assert (second.image, second.instruction) == (tmp_path / "sub" / "b.png", "night falls")
    assert (second.settings, second.hand) == (PLAIN, None)
    assert unused_columns(file) == ["note"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("picture,instruction\na.png,x", "has no column 'image': name the columns"),
        ("image\na.png", "has no column 'instruction'"),
        ("a.png,night falls\n", "has no column 'image' and none 'instruction'"),
        ("", "has no column"),
        ("image,instruction\n", "has no row"),
        ("image,instruction,image\na,b,c", "has two columns 'image'"),
        ('image,instruction\na.png,"x" y', "is not CSV"),
        ('image,instruction\na.png,"x', "is not CSV"),
        ("image,instruction\na.png,\x00", None),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, sentence: str | None) -> None:
    file = table(tmp_path, text)
    if sentence is None:  # a NUL byte is refused with the instruction that it is in
        assert "\x00" in items_of(file, "", PLAIN)[0].instruction
        return
    with pytest.raises(BadInputError, match=sentence) as refused:
        items_of(file, "", PLAIN)
    assert str(refused.value).endswith(".")


def test_a_table_in_another_encoding(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="is not UTF-8; save it as 'CSV UTF-8'"):
        items_of(table(tmp_path, "image,instruction\nsüß.png,x", "latin-1"), "", PLAIN)


@pytest.mark.parametrize(
    ("row", "failure"),
    [
        (",x,", "Line 2 names no image."),
        ("a.png,x,1,more", "Line 2 has more cells than there are columns"),
        ("a.png,x,abc", "Line 2: 'abc' is not a whole number, as seed must be."),
        ("a.png,x,-1", "Line 2: The seed must lie between 0 and 4294967295, not -1."),
    ],
)
def test_a_wrong_row_is_an_item_with_a_failure(tmp_path: Path, row: str, failure: str) -> None:
    file = table(tmp_path, f"image,instruction,seed\n{row}\nb.png,y,2\n")
    wrong, right = items_of(file, "", PLAIN)
    assert wrong.failure.startswith(failure)
    assert (right.failure, right.settings.seed) == ("", 2)


@given(st.lists(st.tuples(st.text(min_size=1), st.text(), st.integers(0, 2**32 - 1)), min_size=1, max_size=5))
def test_what_a_spreadsheet_writes_is_read_again(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    def storable(text: str) -> str:
        return "".join(c for c in text if c >= " " and not 0xD800 <= ord(c) <= 0xDFFF).strip()

    rows = [(storable(name) or "a", storable(text) or "b", seed) for name, text, seed in rows]
    file = tmp_path_factory.mktemp("table") / "table.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("image", "instruction", "seed"), *rows])
    found = items_of(file, "", PLAIN)
    assert [(item.name, item.instruction, item.settings.seed) for item in found] == rows


# ---- runs


def test_a_run_leaves_pictures_and_a_table_of_them(pictures: Path, tmp_path: Path) -> None:
    out = pictures / "out"  # may lie among the pictures
    items = items_of(pictures, "paint it", PLAIN)
    report = run_batch(items, out, editor(), masks=True)
    assert (report.made, report.kept, report.failed) == (4, 0, 0)
    rows = results(out)
    assert [row["image"] for row in rows] == ["0.png", "1.png", "2.png", "3.png"]
    for item, row in zip(items, rows, strict=True):
        own = editor().edit(item.image, "paint it", PLAIN)
        picture = Image.open(out / row["output"])
        assert np.array_equal(np.asarray(picture), np.asarray(own.final))
        assert np.array_equal(np.asarray(Image.open(out / row["mask"])), own.mask)
        assert row["status"] == "done"
        assert (row["seed"], row["drift"]) == ("3", own.drift.in_words())
        found = read_settings(picture)
        assert found is not None
        assert found[1].seed == 3
    again = items_of(pictures, "paint it", PLAIN)
    assert again == items  # what was made is not taken for more to edit


def test_a_failing_row_does_not_stop_the_rest(pictures: Path, tmp_path: Path) -> None:
    (pictures / "broken.png").write_text("no picture")
    noise(9, (32, 32)).save(tmp_path / "small.png")
    rows = [
        "pictures/broken.png,paint it,",
        "pictures/none.png,paint it,",
        'pictures/0.png,"  ",',
        "pictures/0.png,paint it,small.png",
        f"{os.path.relpath('/etc/passwd', tmp_path)},paint it,",
        "pictures/1.png,paint it,",
    ]
    file = table(tmp_path, "image,instruction,mask\n" + "\n".join(rows))
    out = tmp_path / "out"
    report = run_batch(items_of(file, "", PLAIN), out, editor())
    assert (report.made, report.failed) == (1, 5)
    found = results(out)
    assert [row["status"] for row in found] == ["failed"] * 5 + ["done"]
    words = [
        "not a picture",
        "There is no file",
        "instruction is empty",
        "The mask is 32x32",
        "not a picture",
    ]
    for row, word in zip(found, words, strict=False):
        assert word in row["failure"]
        assert row["failure"].endswith(".")
        assert row["output"] == ""
    noise(5).save(pictures / "broken.png")
    report = run_batch(items_of(file, "", PLAIN), out, editor())
    assert (report.made, report.kept, report.failed) == (1, 1, 4)


def test_an_engine_that_breaks_down_costs_one_row(pictures: Path, tmp_path: Path) -> None:
    class Fragile(Painter):
        def edit(self, image: Image.Image, instruction: str, *more: Any) -> Image.Image:
            if instruction == "break":
                raise RuntimeError("out\nof order")
            return super().edit(image, instruction, *more)

    items = items_of(pictures, "paint it", PLAIN)
    items[1] = replace(items[1], instruction="break")
    report = run_batch(items, tmp_path / "out", editor(Fragile()))
    assert (report.made, report.failed) == (3, 1)
    assert report.rows[1].failure == "This failed unexpectedly (RuntimeError: out of order)."


def test_what_is_done_is_known_by_its_content(pictures: Path, tmp_path: Path) -> None:
    painter, out = Painter(), tmp_path / "out"
    items = items_of(pictures, "paint it", PLAIN)
    assert edits_of(painter, items, out) == 4
    assert edits_of(painter, items, out) == 0
    renamed = [replace(item, name=f"new-{item.name}") for item in items]
    assert edits_of(painter, renamed, out) == 0
    assert [row["image"] for row in results(out)] == [item.name for item in renamed]
    assert edits_of(painter, [replace(items[0], instruction="paint it blue"), *items[1:]], out) == 1
    other = [replace(item, settings=replace(PLAIN, feather=0)) for item in items]
    assert edits_of(painter, other, out) == 4
    noise(99).save(pictures / "2.png")
    assert edits_of(painter, items, out) == 1
    (out / results(out)[0]["output"]).unlink()
    assert edits_of(painter, items, out) == 1
    assert edits_of(painter, items, out, masks=True) == 4
    assert edits_of(painter, items, out, masks=True) == 0


def test_the_same_edit_twice_is_one_file(pictures: Path, tmp_path: Path) -> None:
    (item, *_) = items_of(pictures, "paint it", PLAIN)
    report = run_batch([item, item], tmp_path / "out", editor())
    assert (report.made, report.kept) == (1, 1)
    assert report.rows[0] == report.rows[1]


def test_engines_take_turns_once(pictures: Path, tmp_path: Path) -> None:
    asked: list[str] = []
    painter = Painter()

    def load(name: str, lora: str, scale: float) -> Painter:
        asked.append(name)
        return painter

    items = [
        replace(item, settings=replace(PLAIN, engine=engine, inpainter="none"))
        for item, engine in zip(items_of(pictures, "paint it", PLAIN), "abab", strict=True)
    ]
    report = run_batch(items, tmp_path / "out", WorldEditor(load))
    order = list(dict.fromkeys(asked))
    assert asked == sorted(asked, key=order.index)  # an engine does not come back after another
    assert [row.image for row in report.rows] == ["0.png", "1.png", "2.png", "3.png"]


@pytest.mark.parametrize(
    "name",
    [
        "../up.png",
        "/etc/passwd",
        "a/../../b.png",
        "..",
        ".hidden.png",
        "x" * 300,
        "日本語" * 90,
        "nul\x00.png",
        "a\nb.png",
    ],
)
def test_names_never_lead_out_of_the_folder(pictures: Path, tmp_path: Path, name: str) -> None:
    item = replace(items_of(pictures, "paint it", PLAIN)[0], name=name)
    out = tmp_path / "out"
    before = {path for path in tmp_path.rglob("*") if out not in path.parents}
    report = run_batch([item], out, editor())
    assert report.made == 1
    made = out / report.rows[0].output
    assert made.parent == out
    assert made.is_file()
    assert made.name == Path(made.name).name
    assert not made.name.startswith(".")
    assert {path for path in tmp_path.rglob("*") if out not in path.parents} == before | {out}


def test_a_stopped_run_keeps_what_is_done_and_says_what_waits(pictures: Path, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 2:
            raise EditCancelledError("Enough.")

    items, out, painter = items_of(pictures, "paint it", PLAIN), tmp_path / "out", Painter()
    with pytest.raises(EditCancelledError):
        run_batch(items, out, editor(painter), progress=stop)
    assert [row["status"] for row in results(out)] == ["done", "done", "waiting", "waiting"]
    assert edits_of(painter, items, out) == 2


def test_folders_that_cannot_take_a_batch(pictures: Path, tmp_path: Path) -> None:
    items = items_of(pictures, "paint it", PLAIN)
    with pytest.raises(BadInputError, match="is a file"):
        run_batch(items, pictures / "0.png", editor())
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / RESULTS).write_text("somebody's own")
    with pytest.raises(BadInputError, match="that no batch wrote"):
        run_batch(items, tmp_path / "mine", editor())
    assert (tmp_path / "mine" / RESULTS).read_text() == "somebody's own"


def test_a_full_disk_ends_the_run_in_one_sentence(pictures: Path, tmp_path: Path) -> None:
    items, out = items_of(pictures, "paint it", PLAIN), tmp_path / "out"

    class Sabotage(WorldEditor):
        def edit(self, *arguments: Any, **more: Any) -> EditResult:
            result = super().edit(*arguments, **more)
            log = out / LOG
            log.unlink()
            log.mkdir()  # cannot be written any more, even by root
            return result

    with pytest.raises(EditWorldError, match="cannot be written"):
        run_batch(items, out, Sabotage(lambda *_: Painter()))


def test_a_damaged_log_is_refused(pictures: Path, tmp_path: Path) -> None:
    items, out = items_of(pictures, "paint it", PLAIN), tmp_path / "out"
    run_batch(items, out, editor())
    log = out / LOG
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines, b'{"key": "torn']))
    assert edits_of(Painter(), items, out) == 0  # what a killed run left
    log.write_bytes(b"".join([lines[0], b"nonsense\n", *lines[1:]]))
    with pytest.raises(BadInputError, match=r"Line 2 of .* is damaged"):
        run_batch(items, out, editor())


def test_twenty_kills_lose_nothing(tmp_path: Path) -> None:
    folder, out = tmp_path / "pictures", tmp_path / "out"
    folder.mkdir()
    for number in range(300):
        noise(number, (32, 24)).save(folder / f"{number:03}.png")
    items = items_of(folder, "paint it", replace(PLAIN, post_edit=False))
    out.mkdir()
    count = partial(count_lines, log=LOG)
    kills = kill_often(lambda: run_batch(items, out, editor()), out, 20, longest=0.2, count=count)
    assert kills >= 10
    had = count_lines(out, LOG)
    report = run_batch(items, out, editor())
    assert (report.kept, report.failed) == (had, 0)
    assert report.made == 300 - had
    outputs = {row["output"] for row in results(out)}
    assert len(outputs) == 300
    for item, row in zip(items, results(out), strict=True):
        assert key_of(item).startswith(Path(row["output"]).stem.rpartition("-")[2])
        Image.open(out / row["output"]).load()
    left = {path.name for path in out.iterdir()} - outputs
    assert left == {LOG, RESULTS, ".lock"}  # nothing of what was in the making


# ---- the command line


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.open(ROOT / "examples" / "snowman.png").save(tmp_path / "snowman.png")
    file = table(
        tmp_path, "image,instruction,seed,why\nsnowman.png,the sun comes out,1,x\nnone.png,snow,1,\n"
    )
    call = ["batch", str(file), "-o", str(tmp_path / "out"), "--json", "--masks"]
    assert main(call) == 1  # a row failed
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found["made"], found["kept"], found["failed"]) == (1, 0, 1)
    assert found["unused_columns"] == ["why"]
    assert "'why'" in printed.err
    assert (
        main(
            [
                "edit",
                str(tmp_path / "snowman.png"),
                "the sun comes out",
                "--seed",
                "1",
                "-o",
                str(tmp_path / "one.png"),
            ]
        )
        == 0
    )
    single, of_batch = (
        Image.open(tmp_path / name) for name in ("one.png", f"out/{found['rows'][0]['output']}")
    )
    assert np.array_equal(np.asarray(single), np.asarray(of_batch))
    capsys.readouterr()
    file.write_text("image,instruction,seed\nsnowman.png,the sun comes out,1\n")
    assert main(call) == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["pictures", "-o", "out"], "add --instruction"),
        (["pictures", "-o", "pictures", "--instruction", "x"], "cannot go among the pictures"),
        (["empty", "-o", "out", "--instruction", "x"], "no picture in"),
        (["nowhere", "-o", "out", "--instruction", "x"], "no folder or file"),
        (["pictures/0.png", "-o", "out", "--instruction", "x"], "neither a folder nor a CSV file"),
        (["pictures", "-o", "out", "--instruction", "x" * 501], "too long"),
        (["pictures", "-o", "out", "--instruction", "x", "--engine", "no such"], "no engine"),
    ],
)
def test_calls_that_are_wrong(
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["batch", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
