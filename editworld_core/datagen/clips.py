"""Films as clips: decoded once from start to end, one shot at a time, with a few frames kept of each.

However long a film is, memory holds one decoded frame or two and at most ``MOST`` scaled-down frames of the clip in
the making. Frames are kept at even distances in time, which grow as the clip does.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from editworld_core.datagen import shots
from editworld_core.errors import BadInputError
from editworld_core.images import MAX_ASPECT, MAX_PIXELS

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

log = logging.getLogger(__name__)

MOST = 24  # frames kept of a clip; between this and half of it
LONGEST = 60.0  # seconds; a longer shot gives several clips
SHORTEST = 0.4  # seconds; what is shorter tells no story
SMALLEST = 32  # pixels of the shorter side
NO_FILMS = frozenset({"tty", "hls", "dash", "concat", "lavfi", "sdp", "rtsp", "imf"})
"""Formats that are text, or lists of other files and addresses; a film is one file."""
PQ = 16  # the transfer characteristic of HDR10, which looks grey unless it is tone-mapped
UNTOLD = 2  # the colour space of films that do not say which they have


@dataclass
class Clip:
    """One shot of a film, or a minute of it: ``frames`` uint8 [H, W, 3] RGB at ``times``, seconds into the film."""

    shot: int
    times: list[float] = field(default_factory=list)
    frames: list[NDArray[np.uint8]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it is, from its first frame to its last."""
        return self.times[-1] - self.times[0] if self.times else 0.0


def read_clips(path: Path, size: int = 512, longest: float = LONGEST) -> Iterator[Clip]:
    """The clips of a film in their order, each with at most ``MOST`` frames, its first and its last among them.

    Rotation, pixels that are not square, 10 bits a channel and variable frame rates are taken care of. Frames that are
    damaged are left out, with a warning. ``shot`` counts all clips, also those too short to be returned.

    Args:
        path: a file with a video stream; of several streams the first.
        size: the frames' shorter side in pixels at most; they are never enlarged.
        longest: seconds after which a shot is divided.

    Raises:
        BadInputError: it is no film, or has nothing in it that can be decoded.
    """
    keeper = _Keeper(size, longest)
    seen = 0
    with _open(path) as container:
        stream = _video_stream(path, container)
        for (time, frame), begins in shots.mark_cuts(_looked_at(path, container, stream)):
            seen += 1
            yield from keeper.see(time, frame, begins, stream)
    if seen < 2:
        what = "has a single frame" if seen else "has no frame that can be decoded"
        raise BadInputError(f"{path} {what}; give a film in which something happens.")
    yield from keeper.finish(stream)


def check_film(path: Path) -> None:
    """Refuse, without decoding anything, what ``read_clips`` would refuse at once.

    Raises:
        BadInputError: it is no film.
    """
    with _open(path) as container:
        _video_stream(path, container)


class _Keeper:
    """Collects the frames of the clip in the making."""

    def __init__(self, size: int, longest: float) -> None:
        self._size, self._longest = size, longest
        self._clip = Clip(0)
        self._gap = 0.0  # seconds between the frames that are kept
        self._last: tuple[float, VideoFrame] | None = None

    def see(self, time: float, frame: "VideoFrame", begins: bool, stream: "VideoStream") -> Iterator[Clip]:
        """Take the next frame; yields the clip that ended before it."""
        start = self._clip.times[0] if self._clip.times else time
        if self._clip.times and (begins or time - start > self._longest):
            yield from self.finish(stream)
        self._last = (time, frame)
        if not self._clip.times or time - self._clip.times[-1] >= self._gap:
            self._keep(time, frame, stream)

    def finish(self, stream: "VideoStream") -> Iterator[Clip]:
        """End the clip in the making, with the last frame that was seen; yields it if it is long enough."""
        if self._last is not None and self._last[0] > self._clip.times[-1]:
            self._keep(*self._last, stream)
        if self._clip.seconds >= SHORTEST:
            yield self._clip
        self._clip = Clip(self._clip.shot + 1)
        self._gap, self._last = 0.0, None

    def _keep(self, time: float, frame: "VideoFrame", stream: "VideoStream") -> None:
        clip = self._clip
        clip.times.append(time)
        clip.frames.append(to_rgb(frame, self._size, float(stream.sample_aspect_ratio or 1)))
        if len(clip.times) > MOST:
            self._gap = clip.seconds / (MOST / 2)
            kept = _spaced(clip.times, self._gap)
            clip.times = [clip.times[index] for index in kept]
            clip.frames = [clip.frames[index] for index in kept]


def _spaced(times: list[float], gap: float) -> list[int]:
    """The places of the times that lie at least ``gap`` apart, and of the last one."""
    kept = [0]
    for index, time in enumerate(times):
        if time - times[kept[-1]] >= gap * 0.999:
            kept.append(index)
    return kept if kept[-1] == len(times) - 1 else [*kept, len(times) - 1]


def to_rgb(frame: "VideoFrame", size: int, pixel_aspect: float = 1.0) -> NDArray[np.uint8]:
    """A decoded frame as it is meant to be seen: uint8 [H, W, 3], the shorter side ``size`` pixels at most.

    Args:
        frame: of PyAV.
        size: pixels.
        pixel_aspect: width of a pixel over its height.
    """
    from av.video.reformatter import Colorspace

    wide = frame.width * pixel_aspect
    scale = min(1.0, size / min(wide, frame.height))
    # Films in high definition that do not say otherwise have the colours of BT.709, as every player assumes.
    untold = frame.colorspace == UNTOLD and min(frame.width, frame.height) >= 720
    rgb = frame.reformat(
        width=max(1, round(wide * scale)),
        height=max(1, round(frame.height * scale)),
        format="rgb24",
        src_colorspace=Colorspace.ITU709 if untold else None,
        interpolation="AREA" if scale < 1 else "BICUBIC",
    ).to_ndarray()
    upright: NDArray[np.uint8] = np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90)))
    return upright


def _looked_at(
    path: Path, container: "InputContainer", stream: "VideoStream"
) -> "Iterator[tuple[tuple[float, VideoFrame], shots.Look]]":
    """Time and frame, as ``shots.mark_cuts`` wants them."""
    for time, frame in _decoded(path, container, stream):
        small: NDArray[Any] = frame.reformat(
            shots.SIDE, shots.SIDE, "rgb24", interpolation="AREA"
        ).to_ndarray()
        yield (time, frame), shots.look(small)


def _decoded(
    path: Path, container: "InputContainer", stream: "VideoStream"
) -> "Iterator[tuple[float, VideoFrame]]":
    """The frames that can be decoded, with their times in seconds since the first; times never go back."""
    import av

    damaged, start, last = 0, None, -1.0
    step = float(1 / stream.average_rate) if stream.average_rate else 1 / 25
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            frames = packet.decode() if packet is not None else []
        except (av.error.FFmpegError, ValueError) as error:
            damaged += 1
            if isinstance(error, av.error.EOFError) or damaged > 100_000:
                break
            continue
        if packet is None:
            break
        for frame in frames:
            if frame.is_corrupt:
                damaged += 1
                continue
            if frame.color_trc == PQ:
                raise BadInputError(f"{path} is an HDR film; convert it to standard range first.")
            time = frame.time if frame.time is not None else last + step
            start = time if start is None else start
            if time - start <= last:
                continue
            last = time - start
            yield last, frame
    if damaged:
        log.warning("%s is damaged: %d frames were left out.", path, damaged)


def _open(path: Path) -> "InputContainer":
    import av

    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise BadInputError(f"{path} {what}; give a video file.")
    if path.stat().st_size == 0:
        raise BadInputError(f"{path} is empty; give another video file.")
    av.logging.set_level(av.logging.PANIC)
    try:
        # "file:" and the list of protocols keep names such as concat:… and playlists from opening other things.
        container = av.open(
            f"file:{path}", metadata_errors="replace", options={"protocol_whitelist": "file,crypto,data"}
        )
    except PermissionError as error:
        raise BadInputError(f"{path} may not be read; give a file that can be.") from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise BadInputError(
            f"{path} is not a video that can be read, or it is damaged; give another file."
        ) from error
    if set(container.format.name.split(",")) & NO_FILMS:
        container.close()
        raise BadInputError(f"{path} is a text or a list of films; give the films themselves.")
    return container


def _video_stream(path: Path, container: "InputContainer") -> "VideoStream":
    """The first video stream that is not the cover of a song."""
    from av.stream import Disposition

    streams = [
        stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic
    ]
    if not streams:
        what = "has sound only" if container.streams.audio else "has no pictures in it"
        raise BadInputError(f"{path} {what}; give a file with a video stream.")
    stream = streams[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if not width or not height:
        raise BadInputError(f"{path} has no pictures that can be decoded; give another file.")
    if min(width, height) < SMALLEST or max(width, height) > MAX_ASPECT * min(width, height):
        raise BadInputError(
            f"{path} has frames of {width}x{height} pixels; give one with sides of at least {SMALLEST}, "
            f"none {MAX_ASPECT} times the other."
        )
    if width * height > MAX_PIXELS:
        raise BadInputError(f"{path} has frames of {width}x{height} pixels; scale it down first.")
    stream.thread_type = "AUTO"
    stream.codec_context.options = {"err_detect": "explode"}
    return stream
