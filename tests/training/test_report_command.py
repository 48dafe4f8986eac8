"""``training.generate report`` as a user calls it."""

import json
import subprocess
import sys

import pytest
from calling import call

from tests.datagen.test_formats import make_data_set


def test_texts_and_json(tmp_path, capsys):
    make_data_set(tmp_path / "set", 3)
    status, text, errors = call(capsys, "report", tmp_path / "set", "--quick")
    assert status == 0, errors
    assert "3 triplets: 12 values measured, 0 known before." in text
    assert "Absent scores, and why is on the page: st_lpips" in text
    assert f"Look at {tmp_path / 'set' / 'report' / 'report.html'}." in text
    arguments = [
        "report",
        tmp_path / "set",
        "-o",
        tmp_path / "out",
        "--quick",
        "--filter",
        "words<0",
        "--drop",
    ]
    status, text, _ = call(capsys, *arguments, "--json")
    report = json.loads(text)
    assert (status, report["filters"]["dropped"], len(report["filters"]["failing"])) == (0, 3, 3)
    assert (tmp_path / "out" / "failing.txt").read_text().split() == report["filters"]["failing"]
    status, text, _ = call(capsys, "report", tmp_path / "set", "--quick")
    assert (status, text.splitlines()[0]) == (0, "0 triplets: 0 values measured, 0 known before.")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["{set}", "--filter", "beauty>1"], "take one of readable, st_lpips"),
        (["{set}", "--drop"], "give --drop a --filter"),
        (["{set}", "--judge"], "set EDITWORLD_LLM_URL"),
    ],
)
def test_a_wrong_call_is_one_sentence(tmp_path, capsys, monkeypatch, arguments, reason):
    monkeypatch.delenv("EDITWORLD_LLM_URL", raising=False)
    make_data_set(tmp_path / "set", 1)
    arguments = [argument.replace("{set}", str(tmp_path / "set")) for argument in arguments]
    status, out, errors = call(capsys, "report", *arguments)
    assert (status, out) == (2, "")
    assert reason in errors.splitlines()[-1]
    assert not (tmp_path / "set" / "report").exists()


def test_help_is_quick():
    script = (
        "import sys\nfrom training.generate import main\n"
        "try: main(['report', '--help'])\nexcept SystemExit: pass\n"
        "print([name for name in ('torch', 'cv2', 'sqlite3') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.stdout.splitlines()[-1] == "[]", run.stderr
