"""The command line: ``python -m benchmarks {ablations,data,edit,attention,generate,photos,train}``.

``--json`` prints one object.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands import add_ablations, add_data, run
from editworld_core.errors import BadInputError, EditWorldError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    edit = verbs.add_parser("edit", help="an edit: ours beside diffusers' pipeline on the same weights")
    edit.add_argument("--scenes", type=int, default=10, help="held-out scenes for success; 10 if not given")
    edit.add_argument(
        "--size", type=int, default=256, help="side in pixels for Stable Diffusion; 256 if not given"
    )
    edit.add_argument("--no-sd15", action="store_true", help="leave out Stable Diffusion 1.5 at full size")
    edit.add_argument("--options", action="store_true", help="measure each short cut alone as well")
    attention = verbs.add_parser("attention", help="recording attention: ours beside DAAM and AttentionStore")
    attention.add_argument("--size", type=int, default=256, help="side in pixels; 256 if not given")
    attention.add_argument("--steps", type=int, default=4, help="denoising steps; 4 if not given")
    generate = verbs.add_parser("generate", help="simulated pairs a second, by runner, workers and number")
    generate.add_argument("--pairs", type=int, default=400, help="of each runner; 400 if not given")
    generate.add_argument("--size", type=int, default=256, help="their side in pixels; 256 if not given")
    generate.add_argument(
        "--most",
        type=int,
        default=10_000,
        help="pairs of the largest data set, at 64 pixels; 10000 if not given",
    )
    train = verbs.add_parser("train", help="a training step: ours beside diffusers' InstructPix2Pix example")
    train.add_argument("--size", type=int, default=128, help="side in pixels; 128 if not given")
    train.add_argument("--batch", type=int, default=4, help="pictures at once; 4 if not given")
    train.add_argument("--accumulate", type=int, default=4, help="batches a step; 4 if not given")
    train.add_argument("--steps", type=int, default=4, help="that are measured; 4 if not given")
    train.add_argument("--tiny", action="store_true", help="a tiny model, to try the benchmark itself")
    photos = verbs.add_parser("photos", help="a sheet of photographs under all that can happen to one")
    photos.add_argument("-o", "--output", type=Path, required=True, metavar="SHEET.jpg", help="the sheet")
    photos.add_argument("--engine", metavar="ID", default="pocket", help="pocket if not given")
    photos.add_argument("--photos", type=Path, metavar="DIR", help="take its pictures, the first eight")
    photos.add_argument("--full", type=Path, metavar="DIR", help="every result at full size goes there")
    for verb in (edit, attention, train):
        verb.add_argument("--threads", type=int, default=2, help="2 if not given")
    for verb in (edit, attention, generate, train, photos):
        verb.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    add_ablations(
        verbs.add_parser("ablations", help="what each part of an edit contributes, on held-out worlds")
    )
    add_data(verbs.add_parser("data", help="small models trained on less, narrower and noisier data"))
    call = parser.parse_args(arguments)
    if "run" in call:
        return run(call)
    try:
        report, words = _run(call)
    except EditWorldError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, BadInputError) else 1
    print(json.dumps(report) if call.json else words)
    return 0


def _run(call: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The benchmark's report, and in words."""
    if call.verb == "edit":
        from benchmarks import edit as benchmark

        report = benchmark.edit_benchmark(
            call.scenes, call.size, call.threads, not call.no_sd15, call.options
        )
        words = benchmark.in_words(report)
    elif call.verb == "generate":
        from benchmarks import generate as making

        report = making.generate_benchmark(call.pairs, call.size, call.most)
        words = making.in_words(report)
    elif call.verb == "train":
        from benchmarks import train as training

        report = training.train_benchmark(
            call.size, call.batch, call.accumulate, call.steps, call.threads, call.tiny
        )
        words = training.in_words(report)
    elif call.verb == "photos":
        from benchmarks import photos as sheet

        report = sheet.photos_benchmark(call.output, call.engine, call.photos, call.full)
        words = sheet.in_words(report)
    else:
        from benchmarks import attention as recording

        report = recording.attention_benchmark(call.size, call.steps, call.threads)
        words = recording.in_words(report)
    return report, words


if __name__ == "__main__":
    sys.exit(main())
