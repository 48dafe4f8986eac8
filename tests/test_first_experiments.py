"""The commands of docs/first-experiments.md, one after the other as a newcomer runs them, on seven tiny scenes."""

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "first-experiments.md"
FEW = {"-n": "7"}
MAIN = {
    "training.generate": "training.generate",
    "editworld_core": "editworld_core.cli",
}


def _commands() -> list[list[str]]:
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def _run(words: list[str]) -> int:
    python, dash_m, module, *rest = words
    assert (python, dash_m) == ("python", "-m")
    rest = [FEW.get(before, word) for before, word in zip(["", *rest], rest, strict=False)]
    if rest[0] == "simulate":
        rest += ["--size", "64"]
    status: int = importlib.import_module(MAIN[module]).main(rest)
    return status


@pytest.mark.slow
def test_a_newcomer_gets_what_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    commands = _commands()
    assert len(commands) == 5
    for words in commands:
        assert _run(words) == 0, words
    assert (tmp_path / "first/worlds/contact-sheet.png").exists()
    assert (tmp_path / "first/worlds/report/report.html").exists()
    assert (tmp_path / "first/report/report.html").exists()
    summary = json.loads((tmp_path / "first/report/report.json").read_text())["setups"]["pocket"]["summary"]
    assert summary["success"]["overall"] is not None
    assert summary["mask_iou"]["final"] > 0
    assert summary["st_lpips_outside"]["final"] is not None
