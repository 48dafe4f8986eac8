"""Films, decoded again: the pictures that were put in, for as long as was asked, with fades between them."""

from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from editworld_core.errors import BadInputError
from editworld_core.film import FilmSettings, write_film

WIDTH, HEIGHT = 96, 64


def gradients() -> list[Image.Image]:
    """Three smooth pictures, which a palette and a video codec keep nearly as they are."""
    ramp = np.linspace(0, 255, WIDTH)[None, :].repeat(HEIGHT, 0)
    channels = [ramp, ramp[:, ::-1], np.full_like(ramp, 90)]
    return [
        Image.fromarray(np.stack(channels[turn:] + channels[:turn], -1).astype(np.uint8)) for turn in range(3)
    ]


def unlike(frame: NDArray[np.uint8], picture: Image.Image) -> float:
    """Mean difference in levels, of the part of the frame in which the picture is."""
    return float(np.abs(frame[:HEIGHT, :WIDTH].astype(int) - np.asarray(picture)).mean())


def test_a_gif_shows_each_picture_for_its_time_and_fades_between(tmp_path: Path) -> None:
    pictures = gradients()
    write_film(tmp_path / "a.gif", pictures, ["", "one", "two"], FilmSettings(hold=1, fade=0.4))
    film = Image.open(tmp_path / "a.gif")
    assert film.info["loop"] == 0
    frames = [(it.info["duration"], np.asarray(it.convert("RGB"))) for it in ImageSequence.Iterator(film)]
    assert [duration for duration, _ in frames] == [1000, 100, 100, 100, 1000, 100, 100, 100, 2000]
    for place, picture in zip((0, 4, 8), pictures, strict=True):
        assert unlike(frames[place][1], picture) < 3
    halfway = Image.fromarray(np.mean([pictures[0], pictures[1]], axis=0).astype(np.uint8))
    assert unlike(frames[2][1], halfway) < 4
    assert film.size[0] == WIDTH
    assert film.size[1] > HEIGHT + 12  # the bar with the captions


def test_an_mp4_shows_each_picture_for_its_time(tmp_path: Path) -> None:
    pictures = gradients()
    write_film(tmp_path / "a.mp4", pictures, ["", "", ""], FilmSettings(hold=1, fade=0.4, captions=False))
    with av.open(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.pix_fmt) == (25, "yuv420p")
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    assert len(frames) == 25 + 9 + 25 + 9 + 50
    assert frames[0].shape == (HEIGHT, WIDTH, 3)
    for start, picture in zip((0, 34, 68), pictures, strict=True):
        assert max(unlike(frames[start + place], picture) for place in (1, 12, 23)) < 6


def test_the_caption_stands_under_the_picture_it_belongs_to(tmp_path: Path) -> None:
    plain = [Image.new("RGB", (WIDTH, HEIGHT), "white")] * 2
    write_film(tmp_path / "a.gif", plain, ["", "then it snows"], FilmSettings(hold=1, fade=0))
    first, second = (
        np.asarray(it.convert("L")) for it in ImageSequence.Iterator(Image.open(tmp_path / "a.gif"))
    )
    assert first[HEIGHT:].min() > 200
    assert second[HEIGHT:].min() < 120
    assert np.array_equal(first[:HEIGHT], second[:HEIGHT])


def test_odd_and_large_pictures_fit(tmp_path: Path) -> None:
    write_film(tmp_path / "a.mp4", [Image.new("RGB", (1601, 901), "teal")], [""], FilmSettings(hold=0.1))
    with av.open(tmp_path / "a.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (720, 406)


def test_what_cannot_be_a_film_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"must end in \.gif or \.mp4"):
        write_film(tmp_path / "a.avi", gradients(), ["", "", ""])
    with pytest.raises(BadInputError, match="at least one picture"):
        write_film(tmp_path / "a.gif", [], [])
    with pytest.raises(BadInputError, match=r"0\.1 to 30 seconds"):
        FilmSettings(hold=0)
    with pytest.raises(BadInputError, match="0 to 10 seconds"):
        FilmSettings(fade=11)
    assert not list(tmp_path.iterdir())
