"""Pictures that follow one another as a film: a GIF or an MP4 with captions and cross-fades.

The caption stands in a bar under the picture, so that nothing of the picture is covered.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from editworld_core.datagen.contact_sheet import wrap
from editworld_core.datagen.records import write_file
from editworld_core.errors import BadInputError
from editworld_core.masks import shrunk

LONGEST = 720  # pixels of a film's longer side; larger GIFs weigh tens of megabytes
GIF_RATE, MP4_RATE = 10, 25  # pictures a second; a GIF keeps every one whole
PAPER, INK = (250, 248, 244), (35, 41, 43)
MOST_LINES = 2
ENDINGS = (".gif", ".mp4")


@dataclass(frozen=True)
class FilmSettings:
    """How a film runs.

    Attributes:
        hold: seconds that each picture stays; the last one twice as long.
        fade: seconds of the cross-fade between two; 0 for a cut.
        captions: whether the bar with the captions is there.
    """

    hold: float = 1.6
    fade: float = 0.8
    captions: bool = True

    def __post_init__(self) -> None:
        if not 0.1 <= self.hold <= 30:
            raise BadInputError(f"A picture must stay for 0.1 to 30 seconds, not {self.hold:g}.")
        if not 0 <= self.fade <= 10:
            raise BadInputError(f"A cross-fade must last 0 to 10 seconds, not {self.fade:g}.")


@dataclass(frozen=True)
class Shot:
    """One picture of the film, RGB, and for how many ticks of the film's rate it is seen."""

    image: Image.Image
    ticks: int


def shots(
    pictures: Sequence[Image.Image], captions: Sequence[str], settings: FilmSettings, rate: int
) -> Iterator[Shot]:
    """The film of ``pictures``, RGB and of one size, each with its caption, at ``rate`` ticks a second.

    Both sides of a shot are even, as H.264 wants them.

    Raises:
        BadInputError: there is no picture.
    """
    if not pictures:
        raise BadInputError("A film needs at least one picture.")
    cards = _cards(pictures, captions if settings.captions else [""] * len(pictures))
    hold, fade = max(1, round(settings.hold * rate)), round(settings.fade * rate)
    for place, card in enumerate(cards):
        last = place == len(cards) - 1
        yield Shot(card, 2 * hold if last else hold)
        for step in range(1, 0 if last else fade):
            yield Shot(Image.blend(card, cards[place + 1], step / fade), 1)


def _cards(pictures: Sequence[Image.Image], captions: Sequence[str]) -> list[Image.Image]:
    """The pictures at the film's size, over their captions if there are any."""
    width, height = (side + side % 2 for side in shrunk(pictures[0].size, LONGEST))
    font = ImageFont.load_default(max(12, round(width / 26)))
    margin = max(6, width // 40)
    texts = [_lines(caption, width - 2 * margin, font) for caption in captions]
    line = round(font.getbbox("Ágjy")[3]) + 4
    most = max(map(len, texts))
    bar = most * line + 2 * margin if most else 0
    cards = []
    for picture, text in zip(pictures, texts, strict=True):
        card = Image.new("RGB", (width, height + bar + bar % 2), PAPER)
        small = picture.convert("RGB")
        if small.size != (width, height):
            small = small.resize((width, height), Image.Resampling.LANCZOS)
        card.paste(small, (0, 0))
        for number, words in enumerate(text):
            ImageDraw.Draw(card).text((margin, height + margin + number * line), words, INK, font)
        cards.append(card)
    return cards


def _lines(caption: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> list[str]:
    lines = wrap(caption, width, font) if caption else []
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1]} …"]


def write_film(
    path: Path,
    pictures: Sequence[Image.Image],
    captions: Sequence[str],
    settings: FilmSettings | None = None,
) -> None:
    """Write the film to ``path``, which ends in .gif or .mp4; whole or not at all.

    Raises:
        BadInputError: another ending, or no picture.
        EditWorldError: the file cannot be written.
    """
    if path.suffix.lower() not in ENDINGS:
        raise BadInputError(f"{str(path)!r} must end in {' or '.join(ENDINGS)}.")
    encode, rate = (encode_gif, GIF_RATE) if path.suffix.lower() == ".gif" else (encode_mp4, MP4_RATE)
    write_file(path, encode(shots(pictures, captions, settings or FilmSettings(), rate)))


def encode_gif(film: Iterable[Shot]) -> bytes:
    """An endless GIF at ``GIF_RATE``; each shot in the 256 colours that suit it."""
    frames, durations = [], []
    for shot in film:
        frames.append(shot.image.quantize(256, dither=Image.Dither.FLOYDSTEINBERG))
        durations.append(shot.ticks * 1000 // GIF_RATE)
    out = io.BytesIO()
    frames[0].save(
        out, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0, disposal=1
    )
    return out.getvalue()


def encode_mp4(film: Iterable[Shot]) -> bytes:
    """An MP4 at ``MP4_RATE`` that every browser plays: H.264, 4:2:0."""
    import av

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=MP4_RATE, options={"crf": "18", "preset": "veryfast"})
        stream.pix_fmt = "yuv420p"
        for number, shot in enumerate(film):
            if number == 0:
                stream.width, stream.height = shot.image.size
            for _ in range(shot.ticks):
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(shot.image), "rgb24")))
        container.mux(stream.encode())
    return out.getvalue()
