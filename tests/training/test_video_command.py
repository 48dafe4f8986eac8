"""``training.generate video``, as it is called."""

import json

import numpy as np
import pytest

from tests.datagen.filming import encode, film
from training.generate import main


def test_films_become_a_data_set(tmp_path, capsys):
    path = encode(tmp_path / "a.mp4", film("kiss_frog"))
    call = ["video", str(path), "-o", str(tmp_path / "set"), "--size", "64", "--json"]
    assert main(call) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["films"], first["clips"], first["pairs"], first["added"], first["unwritten"]) == (
        1,
        1,
        1,
        1,
        1,
    )
    assert (tmp_path / "set" / "contact-sheet.png").exists()
    assert main(call[:-1]) == 0
    said = capsys.readouterr().out
    assert "1 of 1 clips gave a pair, 0 of them new: 1 triplets" in said
    assert "no instruction yet" in said
    assert "Aesthetic score: absent" in said


def test_a_bad_film_is_a_wrong_call_unless_it_may_be_skipped(tmp_path, capsys):
    good, bad = encode(tmp_path / "a.mp4", film("kiss_frog")), tmp_path / "b.mp4"
    bad.write_bytes(np.random.default_rng(0).bytes(2000))
    out = ["-o", str(tmp_path / "set"), "--size", "64", "--json"]
    assert main(["video", str(good), str(bad), *out]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.strip().splitlines()[-1].startswith(f"{bad} is not a video")
    assert main(["video", str(good), str(bad), "--skip-bad", *out]) == 0
    assert list(json.loads(capsys.readouterr().out)["skipped"]) == [str(bad)]
    assert main(["video", str(bad), "--skip-bad", *out]) == 1


@pytest.mark.parametrize(
    ("more", "status", "words"),
    [
        (["--size", "1"], 2, "size"),
        (["--identity", "3"], 2, "identity"),
        (["--language-model", "local"], 2, "--video-model"),
        (["--video-model", "server"], 2, "EDITWORLD_LLM_URL"),
        (["--aesthetic", "none.pth"], 1, "none.pth"),
        (["--features", "none/at-all/here"], 1, "none/at-all/here"),
    ],
)
def test_wrong_calls_are_one_sentence(tmp_path, capsys, monkeypatch, more, status, words):
    monkeypatch.delenv("EDITWORLD_LLM_URL", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = encode(tmp_path / "a.mp4", film("kiss_frog")[:3])
    assert main(["video", str(path), "-o", str(tmp_path / "set"), *more]) == status
    assert words in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "set").exists()
