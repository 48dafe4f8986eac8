"""``training.generate export`` and ``import`` as a user calls them."""

import json
import subprocess
import sys

import pytest
from calling import call

from editworld_core.datagen.recheck import Recheck
from editworld_core.datagen.records import read_triplets
from training.commands.export import FORMATS
from training.generate import main


@pytest.fixture
def data_set(tmp_path):
    assert main(["simulate", "-n", "7", "--size", "64", "-o", str(tmp_path / "set"), "--json"]) == 0
    return tmp_path / "set"


@pytest.mark.parametrize("name", FORMATS)
def test_there_and_back(data_set, tmp_path, capsys, name):
    out, back = tmp_path / "out", tmp_path / "back"
    status, text, _ = call(capsys, "export", data_set, "--format", name, "-o", out, "--json")
    report = json.loads(text)
    assert status == 0
    assert (report["exported"], report["left_out"], report["pushed"]) == (7, {}, None)
    category = ["--category", "Story-Type"]
    status, text, errors = call(capsys, "import", out, "--format", name, "-o", back, *category, "--json")
    assert (status, json.loads(text)["added"]) == (0, 7), errors
    before, after = (
        sorted((t.instruction, t.original_caption and t.id) for t in read_triplets(folder))
        for folder in (data_set, back)
    )
    if name in ("parquet", "webdataset", "editworld"):
        assert before == after
    else:
        assert [instruction for instruction, _ in before] == [instruction for instruction, _ in after]


def test_the_texts_say_what_was_left_out_and_lost(data_set, tmp_path, capsys):
    desk = Recheck(data_set, "Ada")
    desk.accept(desk.next().id)
    desk.drop(desk.next().id)
    arguments = ["export", data_set, "--format", "instructpix2pix", "-o", tmp_path / "out", "--accepted-only"]
    status, text, _ = call(capsys, *arguments)
    assert status == 0
    assert "1 of 7 triplets are in" in text
    assert "Left out, dropped by a reviewer: 1." in text
    assert "Left out, not accepted by a reviewer: 5." in text
    assert "The format cannot hold mask, which 1 of them had." in text
    arguments = ["import", tmp_path / "out", "--format", "instructpix2pix", "-o", tmp_path / "back"]
    status, _, errors = call(capsys, *arguments)
    assert status == 2
    assert errors.splitlines()[-1].endswith("does not say its category; give --category.")
    status, text, _ = call(capsys, *arguments, "--category", "Long-Term")
    assert "1 of 1 items added, 1 triplets in" in text
    assert "did not give category, which was filled in for 1" in text
    status, text, _ = call(capsys, *arguments, "--category", "Long-Term")
    assert "1 were there already." in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["export", "nowhere", "--format", "parquet", "-o", "out"], "nowhere does not exist"),
        (["export", "{set}", "--format", "zip", "-o", "out"], "invalid choice: 'zip'"),
        (["export", "{set}", "--format", "parquet", "-o", "{set}"], "is not empty; give a new folder."),
        (["export", "{set}", "--format", "parquet", "-o", "out", "--shard-size", "0"], "at least 1"),
        (["export", "{set}", "--format", "parquet", "-o", "out", "--push", "name"], "owner/name"),
        (["import", "nowhere", "--format", "parquet", "-o", "out"], "nowhere does not exist"),
        (["import", "{set}", "--format", "webdataset", "-o", "out"], "holds no .tar file"),
    ],
)
def test_a_wrong_call_is_one_sentence(data_set, tmp_path, capsys, monkeypatch, arguments, reason):
    monkeypatch.chdir(tmp_path)
    arguments = [argument.replace("{set}", str(data_set)) for argument in arguments]
    status, out, errors = call(capsys, *arguments)
    assert (status, out) == (2, "")
    assert reason in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert not (tmp_path / "out").exists()


def test_help_needs_no_reader():
    script = (
        "import sys\nfrom training.generate import main\n"
        "try: main(['export', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('pyarrow', 'torch', 'cv2', 'datasets') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "[]", run.stderr
