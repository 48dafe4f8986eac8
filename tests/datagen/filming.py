"""Films of the simulator: events whose start and end are known, encoded as videos."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from editworld_core.simulation.stage import Stage
from editworld_core.simulation.world import _generator, get_dynamic

Frames = NDArray[np.uint8]
FPS = 15
STILL, EVENT = 10, 20  # frames of lead-in and of tail; of the event between them
START, END = STILL / FPS, (STILL + EVENT - 1) / FPS  # seconds: the last still frame's, and t = 1


def film(name: str, seed: int = 0, size: int = 128, noise: float = 2.0) -> Frames:
    """A dynamic from t = 0 to 1 between a still lead-in and tail, with camera noise: uint8 [frames, H, W, 3]."""
    happening = get_dynamic(name).stage(Stage(_generator(name, seed, "held_out"), size, "held_out"))
    event = np.stack([np.clip(happening.frame(t), 0, 1) for t in np.linspace(0, 1, EVENT).tolist()])
    frames = np.concatenate([event[:1].repeat(STILL, 0), event, event[-1:].repeat(STILL, 0)]) * 255
    rng = np.random.default_rng(seed)
    frames = frames + noise * rng.standard_normal(frames.shape, np.float32)
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)


def encode(
    path: Path,
    frames: Frames,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    times: Sequence[float] | None = None,
    **options: str,
) -> Path:
    """Write ``frames`` [n, H, W, 3] as a video; ``times`` in seconds make its frame rate variable."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixels
        stream.bit_rate = 2_000_000
        stream.codec_context.time_base = Fraction(1, 1000) if times is not None else Fraction(1, FPS)
        for index, pixels_rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels_rgb, format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = index if times is None else round(times[index] * 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
