"""The real app as a process of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent.parent
DESKTOP = {"width": 1280, "height": 900}


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[str]:
    """The app's address; ``folder`` is for its log and temporary files. It must not print a traceback."""
    temporary = folder / "temporary"
    temporary.mkdir()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "gradio"),
        "TMPDIR": str(temporary),
    }
    log = folder / "app.log"
    command = [sys.executable, "app.py", *arguments]
    with log.open("w") as stream:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/", process, log)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()
            process.wait(timeout=60)
    said = log.read_text()
    # those of visitors who left while their browser was sending something are the server's, and no fault
    assert said.count("Traceback") == said.count("\nstarlette.requests.ClientDisconnect"), said
    assert not list(temporary.glob("editworld-*"))  # what visitors made goes with the program


def _wait_for(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            with urlopen(address, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise TimeoutError(log.read_text())
