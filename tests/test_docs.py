"""Every command in docs/*.md is run, or, where it would take a GPU, the hub or hours, read by its own parser.

A command that no rule here covers fails: give it a rule, or take it out of the page.
"""

import argparse
import glob
import importlib
import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from PIL import Image

from tests.docs.shell import Command, blocks_of, commands_of
from tests.ui.stand_in import noise

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
COMMANDS = [command for page in PAGES for command in commands_of(page)]
PICTURE = re.compile(r"[\w./-]+\.(png|jpg)")
CHEAP = ("edit", "post-edit", "batch", "engines")  # of editworld_core; the others take minutes
SMALL = {"-n": "2", "--size": "64"}


class Read(BaseException):
    """The parser took the command; nothing was run. No ``except Exception`` makes a sentence of it."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to be in, from where the examples and configurations of the repository are seen; no network."""
    for name in ("examples", "training", "app.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path


@pytest.fixture
def parsing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parsers work as always, and end there."""
    parse = argparse.ArgumentParser.parse_args

    def parse_args(self: argparse.ArgumentParser, *arguments: Any, **more: Any) -> argparse.Namespace:
        raise Read(parse(self, *arguments, **more))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)


def test_there_are_pages_with_commands() -> None:
    names = {page.stem for page in PAGES}
    assert names >= {"architecture", "post-edit", "data", "training", "deployment"}
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_named_files_are_there(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / link).exists(), link
    for name in re.findall(r"`((?:editworld_core|training|ui|examples|tests|docs)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name


def test_the_reader_of_pages(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```\n$ make demo   # a comment\n\n# all comment\nA=1 python -m x 'a # b' \\\n   -o y\n```\n"
        "```python\nnot_a_command()\n```\n````sh\nls\n```\n````\n```\nX=$(ls)\necho $X\n```\n"
    )
    found = commands_of(page)
    assert [command.words for command in found[:2]] == [
        ["make", "demo"],
        ["python", "-m", "x", "a # b", "-o", "y"],
    ]
    assert [command.line for command in found] == [2, 5, 12, 13, 16]
    assert found[-1].text == "X=$(ls)\necho $X"


@pytest.mark.parametrize("command", COMMANDS, ids=str)
@pytest.mark.usefixtures("place", "capsys")
def test_each_command(command: Command, request: pytest.FixtureRequest) -> None:
    rules = [rule for pattern, rule in RULES if re.match(pattern, command.text)]
    assert rules, f"no rule covers this command: {command.text}"
    rules[0](command, request)


# ---- python -m …


def _core(command: Command, request: pytest.FixtureRequest) -> None:
    from editworld_core.cli import main

    words = command.words[3:]
    if words[0] not in CHEAP:
        _parsed(main, words, request)
        return
    _lay_out(command, words)
    status = main(words)
    said = request.getfixturevalue("capsys").readouterr().err
    if status == 0:
        outputs = [words[at + 1] for at, word in enumerate(words) if word == "-o"]
        assert all(Path(output).exists() for output in outputs)
        return
    engine = words[words.index("--engine") + 1]  # only another engine's weights may be missing
    assert engine in said
    assert re.search(r"not ready|There is no engine", said), said


def _lay_out(command: Command, words: list[str]) -> None:
    """Make the pictures, folders and tables that ``words`` name."""
    Path("pictures").mkdir()
    for name in ("pictures/garden.png", "pictures/street.png"):
        Image.open("examples/snowman.png").resize((96, 96)).save(name)
    for name in filter(PICTURE.fullmatch, words):
        if not Path(name).is_absolute() and not Path(name).exists():
            Image.open("examples/snowman.png").convert("RGB").resize((96, 96)).save(name)
    for name in words:
        if name.endswith(".csv"):
            (_, table), *_ = blocks_of(ROOT / "docs" / command.page, "csv")
            Path(name).write_text(table, "utf-8")


def _generate(command: Command, request: pytest.FixtureRequest) -> None:
    from training.generate import main

    words = [word for given in command.words[3:] for word in (sorted(glob.glob(given)) or [given])]
    if words[0] == "video":
        _film(Path("clips"))
        words[1:2] = sorted(glob.glob("clips/*.mp4"))
    elif words[0] in ("report", "export"):
        assert main(["simulate", "-n", "2", "--size", "64", "-o", words[1]]) == 0
    elif words[0] == "import":
        assert main(["simulate", "-n", "2", "--size", "64", "-o", "first"]) == 0
        assert main(["export", "first", "--format", words[words.index("--format") + 1], "-o", words[1]]) == 0
    elif words[0] == "pairs":
        assert main(["text", "-n", "2", "--sources", "simulator", "-o", words[1]]) == 0
    for at, word in enumerate(words[:-1]):
        if word in SMALL:
            words[at + 1] = SMALL[word]
    if words[0] == "simulate" and "--size" not in words:
        words += ["--size", "64"]
    status = main(words)
    said = request.getfixturevalue("capsys").readouterr().err
    if words[0] == "pairs":
        assert status == 1
        assert "weights" in said or "not on this machine" in said, said
    else:
        assert status == 0, said


def _film(folder: Path) -> None:
    """A clip of two seconds in which a square crosses the picture."""
    import av
    import numpy as np

    folder.mkdir()
    with av.open(str(folder / "clip.mp4"), "w") as file:
        stream = file.add_stream("mpeg4", rate=12)
        stream.width = stream.height = 128
        backdrop = np.asarray(noise(1, (16, 16)).resize((128, 128)))
        for number in range(24):
            frame = backdrop.copy()
            frame[40:80, 4 * number : 4 * number + 40] = (220, 30, 30)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        file.mux(stream.encode())


def _train(command: Command, request: pytest.FixtureRequest) -> None:
    """Read by the parser, and the configuration by its reader; then, if it needs weights, up to their refusal."""
    from training.train import _parser, _read, main

    words = command.words[command.words.index("training.train") + 1 :]
    given = _parser().parse_args(words)
    config = _read(given.config)
    if not hasattr(config.model, "base"):
        return  # the pocket engine's, which would train
    capsys = request.getfixturevalue("capsys")
    assert main(words) in (1, 2)
    said = capsys.readouterr().err
    assert re.search(r"does not exist|not on this machine|weights|holds no checkpoint", said), said


def _precompute(command: Command, request: pytest.FixtureRequest) -> None:
    from training import generate, precompute

    words = command.words[3:]
    assert generate.main(["simulate", "-n", "2", "--size", "64", "-o", words[0]]) == 0
    assert precompute.main(words) == 1
    said = request.getfixturevalue("capsys").readouterr().err
    assert words[words.index("--model") + 1] in said


def _module(command: Command, request: pytest.FixtureRequest) -> None:
    """Any other module of ours: by its parser only."""
    _parsed(importlib.import_module(_main_of(command.words[2])).main, command.words[3:], request)


def _main_of(module: str) -> str:
    return f"{module}.__main__" if (ROOT / module.replace(".", "/")).is_dir() else module


def _parsed(main: Callable[[list[str]], object], words: list[str], request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("parsing")
    with pytest.raises((Read, SystemExit)) as ended:
        main(words)
    if isinstance(ended.value, SystemExit):
        assert ended.value.code == 0, request.getfixturevalue("capsys").readouterr().err  # --help


def _app(command: Command, request: pytest.FixtureRequest) -> None:
    from app import _arguments

    request.getfixturevalue("monkeypatch").setattr(sys, "argv", command.words[1:])
    _arguments({})


# ---- other programs


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page, served by this process."""
    from app import build_app, launch

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
        page = build_app()
        _, where, _ = launch(page, prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
        yield str(where).rstrip("/")
        page.close(verbose=False)


def _client(command: Command, request: pytest.FixtureRequest) -> None:
    words = [sys.executable, *command.words[1:], "--address", request.getfixturevalue("address")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert Path("out/edited.png").is_file()


def _script(command: Command, request: pytest.FixtureRequest) -> None:
    """A script with curl, against the served page."""
    assert "http://127.0.0.1:7860/" in command.text
    text = command.text.replace("http://127.0.0.1:7860", request.getfixturevalue("address"))
    done = subprocess.run(["bash", "-ec", text], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    event, _, data = done.stdout.rstrip().rpartition("\n")
    assert event.endswith("event: complete"), done.stdout[-500:]
    assert data.startswith('data: [{"path"')


def _make(command: Command, request: pytest.FixtureRequest) -> None:
    done = subprocess.run(
        ["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def _pip(command: Command, request: pytest.FixtureRequest) -> None:
    words = command.words[command.words.index("install") + 1 :]
    for before, word in zip(["", *words], words, strict=False):
        if before == "-r":
            assert (ROOT / word).is_file()
        elif not word.startswith("-"):
            asked = Requirement(word)
            known = (ROOT / "requirements.txt").read_text() + (ROOT / "requirements-dev.txt").read_text()
            assert asked.name in known or asked.name == "editworld"


def _docker(command: Command, request: pytest.FixtureRequest) -> None:
    """There is no Docker on every machine: its words are held against the Dockerfile and the program."""
    dockerfile, words = (ROOT / "Dockerfile").read_text(), command.words[1:]
    assert words[0] in ("build", "run")
    for before, word in itertools.pairwise(words):
        name = word.partition("=")[0]
        if before == "--build-arg":
            assert re.search(rf"^ARG {name}=", dockerfile, re.M)
        elif before == "-p":
            assert f"EXPOSE {word.rpartition(':')[2]}\n" in dockerfile
        elif before == "-e" and name.startswith("EDITWORLD_"):
            assert name in (ROOT / "docs" / "deployment.md").read_text()
        elif before == "-v" and "/home/" in word:
            assert word.rpartition(":")[2] in dockerfile
    if "python" in words:
        from editworld_core.cli import main

        inside = words[words.index("python") :]
        assert inside[:3] == ["python", "-m", "editworld_core"]
        _parsed(main, inside[3:], request)


def _hub(command: Command, request: pytest.FixtureRequest) -> None:
    program = Path(sys.executable).with_name("hf")
    done = subprocess.run(
        [program, *command.words[1:]], capture_output=True, text=True, timeout=60, check=False
    )
    assert "offline mode" in done.stderr + done.stdout  # it got as far as the network


def _tensorboard(command: Command, request: pytest.FixtureRequest) -> None:
    assert command.words[1] == "--logdir"
    assert shutil.which("tensorboard", path=os.fspath(Path(sys.executable).parent))


RULES: tuple[tuple[str, Callable[[Command, pytest.FixtureRequest], None]], ...] = (
    (r"python -m editworld_core ", _core),
    (r"python -m training\.generate ", _generate),
    (r"python -m training\.train |accelerate launch -m training\.train ", _train),
    (r"python -m training\.precompute ", _precompute),
    (r"python -m (benchmarks|training\.\w+) ", _module),
    (r"python app\.py", _app),
    (r"python examples/client\.py ", _client),
    (r"[A-Z]+=\$\(curl ", _script),
    (r"make ", _make),
    (r"pip install ", _pip),
    (r"docker ", _docker),
    (r"hf upload ", _hub),
    (r"tensorboard ", _tensorboard),
)
