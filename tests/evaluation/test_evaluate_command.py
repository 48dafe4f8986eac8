"""``python -m editworld_core evaluate`` on small data sets, with a small engine of the bundled one's class."""

import csv
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from editworld_core.cli import main
from editworld_core.datagen.simulate import generate_simulated
from tests.evaluation import layouts

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of an untrained engine, which leaves pictures nearly as they are."""
    from editworld_core.engines.build import build_unet, save_pocket

    folder = tmp_path_factory.mktemp("engines") / "untrained"
    save_pocket(build_unet((32, 64), 1, 2, 8), folder)
    return str(folder)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("data") / "worlds"
    generate_simulated(folder, 3, dynamics=["melt_snowman"], size=64)
    return str(folder)


def evaluate(capsys: pytest.CaptureFixture[str], *arguments: object) -> dict[str, Any]:
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def rows(folder: Path, *without: str) -> list[dict[str, str]]:
    """The rows of the table, in any order, without the columns named."""
    with (folder / "report.csv").open(encoding="utf-8") as table:
        found = [
            {name: cell for name, cell in row.items() if name not in without} for row in csv.DictReader(table)
        ]
    return sorted(found, key=lambda row: (row["setup"], row["id"]))


def test_two_setups_on_a_data_set_of_ours_and_once_more(tmp_path, capsys, engine, simulated) -> None:
    command = (
        simulated,
        "--engine",
        engine,
        "--setting",
        "plain: post_edit=off",
        "--quick",
        "-o",
        tmp_path / "r",
    )
    found = evaluate(capsys, *command)
    assert found["edits"] == {"new": 6, "known": 0}
    assert list(found["setups"]) == ["untrained", "plain"]
    assert found["setups"]["untrained"]["success"] == found["success"]
    assert found["success"]["by_dynamic"] == {"melt_snowman": 0.0}
    for ending in ("html", "json", "csv", "tex"):
        assert (tmp_path / "r" / f"report.{ending}").stat().st_size > 0
    with Image.open(tmp_path / "r" / "sheet.png") as sheet:
        assert sheet.width > 2 * 5 * 160
    table = (tmp_path / "r" / "report.csv").read_bytes()
    again = evaluate(capsys, *command)
    assert again["edits"] == {"new": 0, "known": 6}
    assert (tmp_path / "r" / "report.csv").read_bytes() == table
    report = json.loads((tmp_path / "r" / "report.json").read_text(encoding="utf-8"))
    assert report["data_set"] == "worlds"
    assert set(report["weights"]) == {"untrained", "plain"}
    assert report["setups"]["plain"]["settings"]["post_edit"] is False


def test_another_measure_needs_no_new_edit(tmp_path, capsys, engine, simulated) -> None:
    where = ("--cache", tmp_path / "kept")
    quick = evaluate(capsys, simulated, "--engine", engine, "--limit", 1, "--quick", *where)
    assert quick["edits"] == {"new": 1, "known": 0}
    assert quick["st_lpips_outside"]["edited"] is None
    more = evaluate(capsys, simulated, "--engine", engine, "--limit", 1, *where)
    assert more["edits"] == {"new": 0, "known": 1}
    assert more["st_lpips_outside"]["edited"] is not None
    steps = evaluate(capsys, simulated, "--engine", engine, "--limit", 1, "--steps", 2, "--quick", *where)
    assert steps["edits"] == {"new": 1, "known": 0}


def test_without_a_folder_a_table_is_printed_and_nothing_left(
    tmp_path, capsys, engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = layouts.emu_parquet(tmp_path / "emu")
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", str(data), "--engine", engine, "--quick"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("emu: 2 items, 2 new edits, 0 known before")
    assert "untrained" in out
    assert [path.name for path in tmp_path.iterdir()] == ["emu"]


def test_what_is_left_out_and_what_fails_is_said(tmp_path, capsys, engine) -> None:
    data = layouts.krisbench(tmp_path / "kris")
    listing = data / "KRIS_Bench/physics/annotation.json"
    physics = json.loads(listing.read_text())
    physics["2"]["ins_en"] = "very long " * 100
    layouts.put(listing, physics)
    assert main(["evaluate", str(data), "--engine", engine, "--quick", "-o", str(tmp_path / "r")]) == 0
    said = capsys.readouterr()
    assert "1 left out: they need several pictures." in said.err
    assert "1 left out: their picture is missing." in said.err
    assert "untrained: 1 edits failed; the first one: The instruction is too long" in said.err
    assert [line.split() for line in said.out.splitlines() if line.startswith("Failed")] == [
        ["Failed", "edits", "1"]
    ]
    failures = {row["id"]: row["failure"] for row in rows(tmp_path / "r")}
    assert failures["viewpoint_change/1"] == ""
    assert failures["physics/2"].startswith("The instruction is too long")


def test_when_every_edit_fails_the_command_does(tmp_path, capsys, engine) -> None:
    data = layouts.emu_json(tmp_path / "emu")
    lines = (
        (data / "rows.jsonl").read_text().replace("Make it snow", "x" * 600).replace("Add a hat", "y" * 600)
    )
    (data / "rows.jsonl").write_text(lines)
    assert main(["evaluate", str(data), "--engine", engine, "--quick", "-o", str(tmp_path / "r")]) == 1
    error = capsys.readouterr().err
    assert error.splitlines()[-1].startswith(
        "Not one of 2 edits succeeded; the first one failed so: The instr"
    )
    assert not (tmp_path / "r" / "report.json").exists()


@pytest.mark.parametrize("option", ["--clip", "--dino"])
def test_weights_that_were_asked_for_and_are_not_there(tmp_path, capsys, option) -> None:
    assert main(["evaluate", "simulated", option, str(tmp_path / "nothing")]) == 1
    assert "nothing" in capsys.readouterr().err.splitlines()[-1]


class Judge(BaseHTTPRequestHandler):
    """A vision-language server that answers every question in its way, and counts them."""

    asked = 0

    def do_POST(self) -> None:
        Judge.asked += 1
        said = self.rfile.read(int(self.headers["Content-Length"])).decode()
        graded = {"reason": "It is as it was.", "instruction": 2, "preservation": 5, "quality": 4}
        answer = json.dumps(graded if "preservation" in said else {"answer": 0})
        body = json.dumps({"choices": [{"message": {"content": answer}}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        pass


def test_a_judge_is_asked_once(tmp_path, capsys, engine, monkeypatch: pytest.MonkeyPatch) -> None:
    data = layouts.emu_parquet(tmp_path / "emu")
    command = (data, "--engine", engine, "--quick", "--limit", 1, "--judge", "-o", tmp_path / "r")
    with ThreadingHTTPServer(("127.0.0.1", 0), Judge) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("EDITWORLD_LLM_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("EDITWORLD_LLM_MODEL", "a-judge")
        found = evaluate(capsys, *command)
        asked = Judge.asked
        again = evaluate(capsys, *command)
        server.shutdown()
    assert found["scores"]["judge_instruction_edited"]["mean"] == 2
    assert found["scores"]["mllm_final"]["mean"] == 0
    assert 2 <= asked == Judge.asked <= 4
    assert again["scores"] == found["scores"]
    kept = [json.loads(line) for line in (tmp_path / "r" / "answers.jsonl").read_text().splitlines()]
    assert {answer["model"] for answer in kept} == {"a-judge"}


@pytest.mark.parametrize(
    "arguments, why",
    [
        (["magic"], "There is no data set 'magic'"),
        (["."], "known here: give "),
        (["simulated", "--engine", "magic"], "There is no engine 'magic'"),
        (["simulated", "--engine", "pocket", "--engine", "magic"], "There is no engine 'magic'"),
        (["simulated", "--engine", "pocket", "--engine", "pocket"], "Two setups are called 'pocket'"),
        (["simulated", "--setting", "x: engine=magic"], "There is no engine 'magic'"),
        (["simulated", "--setting", "x: stepz=1"], "There is no setting 'stepz'"),
        (["simulated", "--dynamic", "magic"], "no dynamic named 'magic'"),
        (["simulated", "--limit", "0"], "'0' is not a whole number"),
        (["simulated", "-o", "a_file"], "'a_file' cannot be a folder"),
        (["simulated", "--cache", "a_file"], "'a_file' cannot be a folder"),
        (["simulated", "--judge"], "EDITWORLD_LLM_URL"),
        (["simulated", "--judge", "--judge-model", "x"], "not allowed with argument --judge"),
    ],
)
def test_wrong_calls_are_refused_before_any_work(
    tmp_path, capsys, monkeypatch: pytest.MonkeyPatch, arguments, why
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDITWORLD_LLM_URL", raising=False)
    (tmp_path / "a_file").touch()
    try:
        status = main(["evaluate", *arguments, "--json"])
    except SystemExit as end:
        status = end.code
    assert status == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert why in said.err
    assert said.err.strip().endswith(".")


KILLED = """
import os
import signal
import sys
import time
from pathlib import Path

from editworld_core.cli import main

folder, command = Path(sys.argv[1]), sys.argv[2:]
child = os.fork()
if not child:
    main([*command, "-o", str(folder / "killed")])
    os._exit(0)
while len(list(folder.glob("killed/edits/??/*/outcome.json"))) < 2:
    time.sleep(0.02)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
assert not (folder / "killed" / "report.csv").exists()
for name in ("killed", "whole"):
    assert main([*command, "-o", str(folder / name)]) == 0
"""


@pytest.mark.slow
def test_a_command_killed_in_the_middle_goes_on(tmp_path, engine, simulated) -> None:
    """SIGKILL after the second edit; the same call then leaves the table of an unkilled run, but for the times."""
    command = ["evaluate", simulated, "--engine", engine, "--quick", "--json"]
    command += ["--setting", "plain: post_edit=off", "--setting", "other: seed=5"]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), *command],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    killed, whole = (json.loads(line)["edits"] for line in done.stdout.splitlines())
    assert whole == {"new": 9, "known": 0}
    assert killed["known"] >= 2
    assert killed["new"] == 9 - killed["known"]
    assert rows(tmp_path / "killed", "seconds") == rows(tmp_path / "whole", "seconds")
