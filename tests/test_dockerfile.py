"""The Dockerfile, where no Docker is: what it copies is there, let through, and all that the program needs."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Dockerfile").read_text("utf-8")
STEPS = re.findall(r"^([A-Z]+)[ \t]+((?:.*\\\n)*.*)$", TEXT, re.M)
COPIED = [
    (source, target)
    for step, words in STEPS
    if step == "COPY"
    for *sources, target in [shlex.split(words)]
    for source in sources
]


def test_what_is_copied_is_there_and_let_through() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert "*" in ignored
    let_through = {line.removeprefix("!") for line in ignored if line.startswith("!")}
    assert {source for source, _ in COPIED} == let_through
    for source in let_through:
        assert (ROOT / source).exists(), source


@pytest.mark.slow
def test_the_program_needs_nothing_else(tmp_path: Path) -> None:
    for source, target in COPIED:
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, tmp_path / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, tmp_path / target)
    script = "import app; from training.generate import _parser; _parser(); app.build_app()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode == 0, done.stderr


def test_torch_is_found_among_the_requirements() -> None:
    (pattern,) = re.findall(r"grep -E '([^']+)' requirements.txt", TEXT)
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    names = {Requirement(line).name for line in lines if re.match(pattern, line)}
    assert names == {"torch", "torchvision"}


def test_it_does_not_run_as_root_and_says_how_it_is() -> None:
    steps = [step for step, _ in STEPS]
    (user,) = [words for step, words in STEPS if step == "USER"]
    assert user == "1000"
    assert "--uid 1000" in TEXT
    assert max(at for at, step in enumerate(steps) if step in ("RUN", "COPY")) < steps.index("USER")
    assert "HEALTHCHECK" in steps
    (command,) = [words for step, words in STEPS if step == "CMD"]
    assert command == '["python", "app.py"]'  # itself process 1, which SIGTERM reaches
