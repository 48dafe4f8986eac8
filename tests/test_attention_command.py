"""``attention`` on the command line, with the bundled engine on a scene whose true mask is known."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from editworld_core.cli import main
from editworld_core.simulation.world import simulate


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture and its true mask."""
    folder = tmp_path_factory.mktemp("scene")
    pair = simulate("melt_snowman", 1, split="held_out")
    Image.fromarray(pair.before).save(folder / "before.png")
    Image.fromarray(pair.mask).save(folder / "truth.png")
    return folder


def test_it_writes_maps_masks_figures_and_says_what_it_saw(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "seen"
    call = ["attention", str(scene / "before.png"), "melt the snowman", "-o", str(out), "--word", "snowman"]
    call += [
        "--steps",
        "2",
        "--step",
        "2",
        "--seed",
        "3",
        "--rule",
        "paper",
        "--threshold",
        "1.5",
        "--cells",
        "8",
    ]
    call += ["--truth", str(scene / "truth.png"), "--against", "the snowman turns blue", "--json"]
    assert main(call) == 0
    found = json.loads(capsys.readouterr().out)
    assert sorted(found["files"]) == sorted(path.name for path in out.iterdir())
    assert {"maps.npz", "heat_snowman.png", "mask.png", "figure.png", "steps.gif", "against.png"} <= set(
        found["files"]
    )
    assert {"segments_before.png", "segments_after.png"} <= set(found["files"])
    assert (found["seed"], found["steps"], found["view"]["steps"]) == (3, [1, 2], [2])
    assert all(found["layers"][name] == [8, 8] for name in found["view"]["layers"])
    mask, truth = (np.asarray(Image.open(file)) > 0 for file in (out / "mask.png", scene / "truth.png"))
    assert found["mask_share"] == pytest.approx(mask.mean())
    assert found["iou"] == pytest.approx((mask & truth).sum() / (mask | truth).sum())
    with np.load(out / "maps.npz") as maps:
        np.testing.assert_array_equal(maps["mask"], mask)
        assert maps["maps/" + found["view"]["layers"][0]].shape[0] == 2
    other = np.asarray(Image.open(out / "against_mask.png")) > 0
    against = found["against"]
    assert against["masks_iou"] == pytest.approx((mask & other).sum() / (mask | other).sum())
    assert (against["seed"], against["view"]["words"]) == (3, ["snowman"])
    assert 0 < against["mean_difference"] < 1


def test_one_step_and_words_for_people(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "seen"
    layer = "mid_block.attentions.0.transformer_blocks.0.attn2"
    call = ["attention", str(scene / "before.png"), "melt the snowman", "-o", str(out), "--seed", "3"]
    assert main([*call, "--steps", "1", "--layer", layer, "--no-align"]) == 0
    said = capsys.readouterr().out
    assert "melt + snowman, mean of 1 layer and 1 step: the mask is " in said
    assert "(seed 3)" in said
    assert not (out / "steps.gif").exists()
    assert Image.open(io.BytesIO((out / "segments_after.png").read_bytes())).size == (512, 512)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--word", "unicorn"], "The word 'unicorn' is not in the instruction: choose among melt, the, snow"),
        (["--engine", "dreamer"], "There is no engine 'dreamer'"),
        (["--truth", "small.png"], "The mask is 9x9 pixels and the picture 256x256"),
        (["--against", " "], "The instruction is empty"),
        (["--rule", "magic"], "invalid choice: 'magic'"),
        (["--step", "0"], "'0' is not a whole number from 1 to 1000"),
        (["--cells", "x"], "'x' is not a whole number from 1 to 256"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    scene: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], more: list[str], sentence: str
) -> None:
    Image.new("L", (9, 9), 255).save(tmp_path / "small.png")
    more = [str(tmp_path / each) if each.endswith(".png") else each for each in more]
    call = ["attention", str(scene / "before.png"), "melt the snowman", "-o", str(tmp_path / "out"), *more]
    try:
        status = main(call)
    except SystemExit as error:
        status = error.code  # type: ignore[assignment]
    said = capsys.readouterr()
    assert (status, said.out) == (2, "")
    assert sentence in said.err
    assert said.err.strip().count("\n") == 0
    assert not list((tmp_path / "out").glob("*"))
