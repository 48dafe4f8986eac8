"""Encode pictures and texts once: ``python -m training.precompute DATASET --model FOLDER_OR_ID -o DIR``.

A run with ``data.precomputed: DIR`` then needs neither the autoencoder nor the text encoders, in memory or on disk.
Pictures are encoded mirrored as well, since the latents of a mirrored picture are not the mirrored latents; but not
those whose instruction names a side. The command goes on where it was stopped, and makes only what is new.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from editworld_core.errors import BadInputError, EditWorldError, EngineUnavailableError

if TYPE_CHECKING:
    from editworld_core.engines.place import Place


@dataclass(frozen=True)
class Report:
    """What was done: pictures (a mirrored one counts) and texts encoded now, or there already."""

    folder: str
    triplets: int
    pictures_made: int
    pictures_kept: int
    texts_made: int
    texts_kept: int
    megabytes: float
    seconds: float


def precompute(
    dataset: Path,
    model: str,
    folder: Path,
    place: "Place",
    *,
    resolution: int = 512,
    aspect_buckets: bool = False,
    flips: bool = True,
    accepted_only: bool = False,
    batch: int = 8,
    workers: int = 2,
    progress: bool = False,
) -> Report:
    """Bring ``folder`` up to date; see the module.

    Args:
        dataset, resolution, aspect_buckets, accepted_only: see ``training.data.settings``.
        model: folder in diffusers format, or hub id.
        place: where the parts compute; what is written is in its number format.
        flips: encode mirrored pictures too.
        batch: pictures, or texts, at once.
        workers: threads that read pictures ahead.
        progress: show bars on standard error.

    Raises:
        BadInputError: the data set cannot be used, or a picture of it cannot be read.
        EngineUnavailableError: a part of the model is missing.
        EditWorldError: the folder cannot be written, or another process is writing to it.
    """
    from concurrent.futures import ThreadPoolExecutor

    from editworld_core.datagen.records import locked, writing
    from training.data.encode import encode, plan, work_for
    from training.data.parts import find_parts
    from training.data.precomputed import write_index
    from training.data.rows import fingerprint, read_rows
    from training.data.store import Shards

    started = time.monotonic()
    parts = find_parts(model)
    if parts.vae_revision is None or parts.text_revision is None:
        raise EngineUnavailableError(
            f"{model} lacks its autoencoder or a text encoder: name a folder, or a hub id, that has them."
        )
    about = {
        "model": model,
        "vae_revision": parts.vae_revision,
        "text_revision": parts.text_revision,
        "xl": parts.xl,
        "dtype": str(place.dtype).removeprefix("torch."),
        "resolution": resolution,
        "aspect_buckets": aspect_buckets,
        "accepted_only": accepted_only,
        "flips": flips,
        "fingerprint": fingerprint(dataset),  # before it is read: what is added meanwhile is noticed later
    }
    rows = read_rows(dataset, resolution, parts.multiple, aspect_buckets, accepted_only)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with locked(folder), ThreadPoolExecutor(workers) as pool:
        planned = plan(dataset, rows, about, Shards(folder), pool)
        missing = work_for(planned, dataset, planned.shards)
        encode(
            missing,
            planned,
            lambda: parts.load(place),
            parts.factor,
            batch=batch,
            pool=pool,
            progress=progress,
        )
        write_index(planned)
        planned.shards.keep_only(set(planned.names()))
    everything = work_for(planned, dataset)
    return Report(
        folder=str(folder),
        triplets=len(rows),
        pictures_made=len(missing.pictures),
        pictures_kept=len(everything.pictures) - len(missing.pictures),
        texts_made=len(missing.texts),
        texts_kept=len(everything.texts) - len(missing.texts),
        megabytes=sum(path.stat().st_size for path in folder.iterdir()) / 1e6,
        seconds=time.monotonic() - started,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    options = _parser().parse_args(arguments)
    try:
        report = _run(options)
    except EditWorldError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, BadInputError) else 1
    except KeyboardInterrupt:
        print("Stopped; what was made is kept, and the same command goes on from there.", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        print(
            f"{report.triplets} triplets in {report.folder}, {report.megabytes:.0f} MB: "
            f"{report.pictures_made} pictures and {report.texts_made} texts made in {report.seconds:.0f} s, "
            f"{report.pictures_kept} and {report.texts_kept} kept."
        )
        print(f"Train with data.precomputed: {report.folder}")
    return 0


def _run(options: argparse.Namespace) -> Report:
    import torch

    from editworld_core.engines.place import best_place

    try:
        return precompute(
            options.dataset,
            options.model,
            options.output,
            best_place(options.device, options.dtype),
            resolution=options.resolution,
            aspect_buckets=options.aspect_buckets,
            flips=not options.no_flip,
            accepted_only=options.accepted_only,
            batch=options.batch,
            workers=options.workers,
            progress=True,
        )
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise EditWorldError(
            "There is not enough memory: take a smaller --batch, and the command goes on from there."
        ) from error


class _Parser(argparse.ArgumentParser):
    """A parser whose refusals are one sentence."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{message[:1].upper()}{message[1:]}; see '{self.prog} --help'.\n")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m training.precompute",
        description="Encode the pictures and texts of a data set once, for training without their encoders.",
    )
    parser.add_argument("dataset", type=Path, help="a data set that training.generate wrote")
    parser.add_argument(
        "--model", required=True, help="folder or hub id of the Stable Diffusion 1.5 or XL model to train"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder to make or bring up to date",
    )
    parser.add_argument(
        "--resolution", type=_positive, default=512, help="side in pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--aspect-buckets", action="store_true", help="cut to rectangles of about that area, not to squares"
    )
    parser.add_argument(
        "--no-flip", action="store_true", help="no mirrored pictures: half the time and space"
    )
    parser.add_argument(
        "--accepted-only",
        action="store_true",
        help="only what reviewers accepted (default: all but the dropped)",
    )
    parser.add_argument("--dtype", choices=("bf16", "fp16", "fp32"), help="(default: what suits the device)")
    parser.add_argument("--device", help="cpu, cuda, … (default: the best there is)")
    parser.add_argument("--batch", type=_positive, default=8, help="pictures at once (default: %(default)s)")
    parser.add_argument(
        "--workers", type=_positive, default=2, help="threads that read pictures (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    return parser


if __name__ == "__main__":
    sys.exit(main())
