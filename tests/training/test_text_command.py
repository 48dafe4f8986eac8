"""``training.generate text`` as a user calls it: one JSON object, one-sentence refusals, a kill survived."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from editworld_core.datagen.quadruple import read_quadruples
from training.generate import main


def call(*arguments: object) -> int:
    try:
        return main(["text", *map(str, arguments)])
    except SystemExit as end:
        return int(end.code or 0)


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "training.generate", "text", *map(str, arguments)]


@pytest.fixture(autouse=True)
def no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("URL", "MODEL", "KEY"):
        monkeypatch.delenv(f"EDITWORLD_LLM_{name}", raising=False)


def test_json_is_one_object_and_the_rest_goes_to_standard_error(tmp_path, capsys):
    wish = ("-n", 6, "-o", tmp_path, "--categories", "long-term, Exaggeration", "--seed", 2, "--json")
    assert call(*wish) == 0
    out, err = capsys.readouterr()
    report = json.loads(out)
    assert out.count("\n") == 1
    assert "6/6" in err
    assert report["added"] == report["total"] == 6
    assert report["by_category"] == {"Exaggeration": 3, "Long-Term": 3}
    assert report["sources"][0]["cost"] is None
    made = list(read_quadruples(tmp_path))
    assert {quadruple.seed for quadruple in made} == {2}
    assert call(*wish[:-1]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith(f"0 quadruples added, 6 in {tmp_path} now.")
    assert list(read_quadruples(tmp_path)) == made


@pytest.mark.parametrize(
    "wrong, reason",
    [
        (["--sources", "oracle"], "no source 'oracle'; choose from simulator, server, local"),
        (["--sources", ""], "no source ''"),
        (["--categories", "Magic"], "no category 'Magic'"),
        (["--sources", "server"], "set EDITWORLD_LLM_URL"),
        (["--seed", "-1"], "seed must be 0 or more"),
        (["--similar", "2"], "between 0 and 1"),
        (["--batch", "0"], "at least 1"),
        (["--price-in", "1"], "both prices"),
        (["--price-in", "-1", "--price-out", "1"], "not be negative"),
        (["--count", "0"], "at least 1"),
        (["--count", "many"], "invalid int"),
    ],
)
def test_a_wrong_call_is_one_sentence(tmp_path, capsys, wrong, reason):
    assert call("-n", 4, "-o", tmp_path / "new", *wrong) == 2
    out, err = capsys.readouterr()
    sentence = err.strip().splitlines()[-1]
    assert reason in sentence
    assert out == ""
    assert "Traceback" not in err
    assert not (tmp_path / "new").exists()


def test_a_missing_model_and_a_missing_server_fail_with_one_sentence(tmp_path, capsys, monkeypatch):
    assert call("-n", 1, "-o", tmp_path / "a", "--sources", "local", "--local-model", tmp_path / "none") == 1
    assert "none" in capsys.readouterr().err.strip().splitlines()[-1]
    monkeypatch.setenv("EDITWORLD_LLM_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("EDITWORLD_LLM_MODEL", "writer")
    assert call("-n", 1, "-o", tmp_path / "b", "--sources", "server") == 1
    assert "127.0.0.1:9 did not answer" in capsys.readouterr().err.strip().splitlines()[-1]


def test_help_is_quick_and_loads_no_torch():
    script = (
        "import sys; from training.generate import main\n"
        "try: main(['text', '--help'])\n"
        "except SystemExit: print('torch' in sys.modules, 'transformers' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert "EDITWORLD_LLM_URL" in done.stdout
    assert done.stdout.endswith("False False\n")


def wait_for_lines(path: Path, count: int) -> None:
    end = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.slow
def test_killed_runs_end_as_an_unkilled_one_and_a_second_process_is_refused(tmp_path):
    wish = ("-n", 350, "--seed", 1)
    subprocess.run(command(*wish, "-o", tmp_path / "whole"), check=True, capture_output=True)
    for lines in (1, 100, 250):
        run = subprocess.Popen(
            command(*wish, "-o", tmp_path / "killed"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        wait_for_lines(tmp_path / "killed" / "quadruples.jsonl", lines)
        if lines == 100:
            second = subprocess.run(
                command("-n", 1, "-o", tmp_path / "killed"), capture_output=True, text=True
            )
            assert second.returncode == 1
            assert "Another process is writing to" in second.stderr.splitlines()[-1]
        os.kill(run.pid, signal.SIGKILL)
        run.communicate()
    done = subprocess.run(
        command(*wish, "-o", tmp_path / "killed", "--json"), check=True, capture_output=True
    )
    assert json.loads(done.stdout)["total"] == 350
    for name in ("quadruples.jsonl", "turns.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
