"""The program itself: what its options and variables say, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file

from app import _arguments
from editworld_core.errors import EditWorldError
from ui import mcp_extra

ROOT = Path(__file__).resolve().parent.parent.parent
SNOWMAN = ROOT / "examples" / "snowman.png"


def called(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "app.py", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@contextmanager
def running(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", str, Path]]:
    """The process, its address and its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "temporary").mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(folder / "temporary"),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
    }
    log = folder / "app.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 180
        while "Running on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield process, f"http://127.0.0.1:{port}/", log
    finally:
        process.kill()
        process.wait()


def mcp_packages_are_here() -> bool:
    try:
        mcp_extra.check_mcp()
    except EditWorldError:
        return False
    return True


def given(monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> Any:
    monkeypatch.setattr(sys, "argv", ["app.py", *arguments])
    return _arguments(environment)


def test_variables_take_the_place_of_options(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = given(monkeypatch)
    assert (plain.engine, plain.lora, plain.lora_scale, plain.think) == (None, "", 1.0, "offline")
    assert (plain.data, plain.mcp) == (None, False)
    space = {
        "EDITWORLD_ENGINE": "owner/name",
        "EDITWORLD_LORA": "owner/lora",
        "EDITWORLD_LORA_SCALE": "0.5",
        "EDITWORLD_THINK": "server",
        "EDITWORLD_DATA": "data",
        "EDITWORLD_MCP": "1",
    }
    found = given(monkeypatch, **space)
    assert (found.engine, found.lora, found.lora_scale) == ("owner/name", "owner/lora", 0.5)
    assert (found.think, found.data, found.mcp) == ("server", Path("data"), True)
    assert given(monkeypatch, "--engine", "mine", **space).engine == "mine"


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"EDITWORLD_LORA": "x"}, "--lora goes on top of an engine"),
        ({"EDITWORLD_LORA_SCALE": "much"}, "invalid float value: 'much'"),
    ],
)
def test_variables_that_make_no_sense(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    words: str,
) -> None:
    with pytest.raises(SystemExit):
        given(monkeypatch, **environment)
    assert words in capsys.readouterr().err


def test_an_engine_that_is_not_there_ends_the_start_in_one_sentence() -> None:
    ended = called(EDITWORLD_ENGINE="no/such/folder/here")
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("There is no engine 'no/such/folder/here'")
    assert "Traceback" not in ended.stderr


def test_mcp_without_its_packages_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(mcp_extra, "version", version)
    with pytest.raises(
        EditWorldError, match=r"and mcp is not installed: run 'pip install \"gradio\[mcp\]\"'"
    ):
        mcp_extra.check_mcp()


def test_mcp_with_packages_of_other_versions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"mcp": "1.25.0", "pydantic": "2.99.0"}
    monkeypatch.setattr(mcp_extra, "version", versions.__getitem__)
    with pytest.raises(EditWorldError, match=r"MCP needs pydantic.*, and pydantic 2.99.0 is installed"):
        mcp_extra.check_mcp()
    versions["pydantic"] = "2.12.5"
    mcp_extra.check_mcp()


def test_mcp_is_refused_before_anything_is_loaded() -> None:
    if mcp_packages_are_here():
        pytest.skip("the packages are here")
    ended = called("--mcp")
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("MCP needs ")


@pytest.mark.slow
def test_a_stop_in_the_middle_of_an_edit_is_an_orderly_end(tmp_path: Path) -> None:
    with running(tmp_path) as (process, address, log):
        client = Client(address, verbose=False, download_files=tmp_path / "downloads")
        jobs = [
            client.submit(
                image=handle_file(SNOWMAN), instruction="melt it", steps=100, speed="exact", api_name="/edit"
            ),
            client.submit(count=200, size=256, api_name="/generate"),
        ]
        deadline = time.monotonic() + 60
        while not any(unit.index for job in jobs[:1] for unit in job.status().progress_data or []):
            assert time.monotonic() < deadline, jobs[0].status()
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, log.read_text()
    assert "Traceback" not in log.read_text(), log.read_text()
    assert not list((tmp_path / "temporary").glob("editworld-*"))
