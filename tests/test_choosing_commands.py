"""``edit --best-of`` and ``--strength``, ``chain`` and ``compare``, as a person calls them."""

import json
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image, ImageSequence

from editworld_core import best_of, scorers
from editworld_core.cli import main
from editworld_core.commands import choosing
from editworld_core.images import read_settings
from editworld_core.simulation.held_out import held_out_pair

NIGHT = "what happens when night falls?"


@pytest.fixture(scope="module")
def snowman(tmp_path_factory: pytest.TempPathFactory) -> str:
    file = tmp_path_factory.mktemp("pictures") / "snowman.png"
    Image.fromarray(held_out_pair("melt_snowman", 3).before).save(file)
    return str(file)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    """The JSON that a call prints."""
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def test_the_choices_of_the_command_line_are_those_of_the_library() -> None:
    assert choosing.SCORERS == scorers.SCORERS
    assert get_args(best_of.Vary) == choosing.VARY


@pytest.mark.slow
def test_best_of_lists_the_candidates_and_writes_the_chosen_one(
    snowman: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "a.png")
    found = run(
        capsys, "edit", snowman, NIGHT, "-o", out, "--best-of", "2", "--seed", "4", "--scorer", "preserve"
    )
    best = found["best_of"]
    assert isinstance(best, dict)
    scores = [candidate["score"] for candidate in best["candidates"]]
    assert best["chosen"] == int(np.argmax(scores))
    assert [candidate["seed"] for candidate in best["candidates"]] == [4, 5]
    assert best["candidates"][0]["told"] == NIGHT != best["candidates"][1]["told"]
    _, settings = read_settings(Image.open(out)) or pytest.fail("no settings")
    assert settings.seed == best["candidates"][best["chosen"]]["seed"]
    # the chosen one can be made again from what it remembers
    again = str(tmp_path / "b.png")
    told = ["--outcome", settings.outcome] if settings.outcome else []
    plain = run(capsys, "edit", snowman, NIGHT, "-o", again, "--seed", str(settings.seed), *told)
    assert plain["best_of"] is None
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(Image.open(again)))


def test_half_a_night_is_half_as_dark_and_says_what_it_is(
    snowman: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, half = tmp_path / "whole.png", tmp_path / "half.png"
    run(capsys, "edit", snowman, NIGHT, "-o", str(whole), "--seed", "1")
    assert main(["edit", snowman, NIGHT, "-o", str(half), "--seed", "1", "--strength", "0.5"]) == 0
    assert "every pixel's change was scaled" in capsys.readouterr().err
    before, after, between = (np.asarray(Image.open(it), float) for it in (snowman, whole, half))
    assert np.abs(between - (before + after) / 2).max() <= 0.5
    assert read_settings(Image.open(half)) is None
    assert main(["edit", snowman, NIGHT, "-o", str(half), "--best-of", "2", "--scorer", "clip"]) == 2
    assert "needs a CLIP model" in capsys.readouterr().err


def test_a_chain_is_written_as_film_and_as_pictures(
    snowman: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = ["melt the snowman", "then night falls"]
    out, frames = tmp_path / "a.gif", tmp_path / "frames"
    found = run(
        capsys, "chain", snowman, *said, "-o", str(out), "--frames", str(frames), "--seed", "2", "--fade", "0"
    )
    pictures = [Image.open(path) for path in sorted(frames.iterdir())]
    assert found["frames"] == [str(frames / f"{place:02d}.png") for place in range(3)]
    assert np.array_equal(np.asarray(pictures[0]), np.asarray(Image.open(snowman)))
    film = [np.asarray(it.convert("RGB"), int) for it in ImageSequence.Iterator(Image.open(out))]
    assert len(film) == 3
    for shown, picture in zip(film, pictures, strict=True):
        assert np.abs(shown[:256] - np.asarray(picture)).mean() < 6  # 256 colours
    assert [step["instruction"] for step in found["steps"]] == said  # type: ignore[attr-defined]
    assert found["steps"][1]["told"] == "night falls"  # type: ignore[index]
    first = np.asarray(pictures[1])
    same = (first == np.asarray(pictures[0])).all(-1).mean()
    assert same >= 1 - found["steps"][0]["mask_share"] > 0.3  # type: ignore[index]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("chain", "IMG", "snow", "-o", "a.avi"), "'a.avi' does not end in .gif or .mp4 or .png"),
        (("chain", "IMG", "snow", "-o", "none/a.gif"), "There is no folder 'none'"),
        (("chain", "IMG", "snow", "-o", "a.gif", "--outcome", "x"), "neither --hand nor --outcome"),
        (("chain", "IMG", *["snow"] * 13, "-o", "a.gif"), "1 to 12 edits, not 13"),
        (("chain", "IMG", "snow", " ", "-o", "a.gif"), "The instruction is empty"),
        (("compare", "IMG", "snow", "-o", "a.jpg"), "does not end in .png"),
        (("compare", "IMG", "snow", "-o", "a.png", "--engines", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_edited(
    snowman: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    sentence: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([snowman if it == "IMG" else it for it in arguments]) == 2
    streams = capsys.readouterr()
    assert sentence in streams.err
    assert streams.out == ""
    assert streams.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_comparison_is_a_grid_with_scores_and_a_refusal_in_it(
    snowman: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none"))
    out = tmp_path / "grid.png"
    found = run(
        capsys, "compare", snowman, "melt the snowman", "-o", str(out), "--engines", "pocket", "flux2-klein"
    )
    pocket, klein = found["setups"]  # type: ignore[misc]
    assert (pocket["label"], pocket["seed"], pocket["refusal"]) == ("pocket", 0, None)
    assert 0 < pocket["scores"]["mask_share"] < 1
    assert pocket["scores"]["psnr_outside_final"] is None  # infinite: nothing changed outside the mask
    assert "weights are not on this machine" in klein["refusal"]
    assert Image.open(out).width > 3 * 256
