"""The benchmark of data generation counts what was really made, and costs nothing the second time."""

import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from benchmarks.generate import in_words, main


def test_a_run_tells_rate_and_processor_time(tmp_path):
    asked = {"runner": "local", "workers": 1, "pairs": 14, "size": 64, "folder": str(tmp_path)}
    first, again = main(asked), main(asked)
    assert (first["added"], again["added"]) == (14, 0)
    assert len((tmp_path / "set" / "manifest.jsonl").read_text().splitlines()) == 14
    assert 0 < first["cpu_ms_per_pair"] <= 1.5 * first["ms_per_pair"]
    assert first["pairs_per_second"] > 1


@pytest.mark.slow
def test_the_command_prints_one_object_that_reads_as_tables():
    command = [sys.executable, "-m", "benchmarks", "generate", "--pairs", "7", "--size", "64", "--most", "20"]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert set(report["runners"]) == ({"local", "ray"} if find_spec("ray") else {"local"})
    assert all(rows[workers]["added"] == 7 for rows in report["runners"].values() for workers in "12")
    assert [row["added"] for row in report["growth"]] == [1, 2, 20]
    assert (report["nothing_missing"]["added"], report["nothing_missing"]["pairs"]) == (0, 20)
    words = in_words(report)
    assert "one to two workers" in words
    assert "20 pairs again, none missing" in words
