"""ZeroGPU: a call in a forked process, as the package ``spaces`` makes it there, and none anywhere else."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from stand_in import ROW, Painter, noise

from editworld_core.editor import WorldEditor
from editworld_core.engines.registry import engine_rows
from editworld_core.errors import EditWorldError
from editworld_core.settings import EditSettings
from ui import zero
from ui.studio import OwnEngine, Studio

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def forked() -> dict[str, Any]:
    """What ``forking.py`` found in a process of its own: this one has threads that a fork would lose."""
    script = [sys.executable, str(Path(__file__).with_name("forking.py"))]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        script, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.slow
def test_an_edit_in_the_forked_process_is_the_same(forked: dict[str, Any]) -> None:
    """Although the main process has computed before, with threads of its own."""
    assert forked["threads"] > 1
    assert forked["difference"] <= 2
    assert forked["steps"] > 0
    assert forked["same_settings"]


@pytest.mark.slow
def test_a_refusal_comes_back_as_itself(forked: dict[str, Any]) -> None:
    kind, words = forked["refused"]
    assert kind == "BadInputError"
    assert words.startswith("The word 'dragon' is not in the instruction")


@pytest.mark.slow
def test_who_stops_waiting_stops_the_work(forked: dict[str, Any]) -> None:
    assert forked["stopped"] == "EditCancelledError"
    assert forked["left_running"] == 0


def test_a_gpu_that_is_taken_away_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero, "ON_ZERO", True)
    monkeypatch.setattr(zero, "steps_on_gpu", lambda call, arguments: (step for step in ()))
    with pytest.raises(EditWorldError, match="taken away"):
        zero.run(lambda **given: None, lambda done, total: None, True)


def test_the_studio_sends_there_what_needs_a_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bool] = []

    def run(call: Any, progress: Any, gpu: bool, /, **arguments: Any) -> Any:
        sent.append(gpu)
        return call(**arguments, progress=progress)

    monkeypatch.setattr(zero, "run", run)
    painter = Painter()
    studio = Studio(WorldEditor(lambda *_: painter), [ROW], lambda: None, OwnEngine(ROW))
    plain = EditSettings(seed=1)
    result = studio.edit(noise(1), "paint it", plain, lambda done, total: None)
    studio.refine(result, plain, lambda done, total: None)
    studio.post_edit(noise(1), noise(2), "paint it", plain, lambda done, total: None)
    assert sent == [False, False, False]
    assert zero.needs_gpu(EditSettings(engine="instruct-pix2pix"))
    assert zero.needs_gpu(EditSettings(inpainter="controlnet-sd15"))


def test_where_there_is_no_such_space_nothing_is_forked() -> None:
    assert not zero.ON_ZERO
    assert zero.offered(engine_rows()) == engine_rows()
    called: list[Any] = []
    zero.run(lambda **given: called.append(given), print, True, image=Image.new("RGB", (8, 8)))
    assert called[0]["progress"] is print


def test_on_zero_only_engines_that_are_loaded_are_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero, "ON_ZERO", True)
    assert [row.info.id for row in zero.offered(engine_rows())] == ["pocket"]
