"""``training.generate video``: pairs of frames from films."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from editworld_core.datagen.story import StoryTeller
    from editworld_core.datagen.video import VideoReport
    from editworld_core.language import LanguageModel

SERVER, LOCAL = "server", "local"
PATIENCE = 180.0  # seconds for an answer about eight pictures


def add(branches: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``training.generate``."""
    about = (
        "Take from every shot of your films the two frames between which most of the story lies. A video-language "
        "model may say what happens, and a language model write the instruction; without them instructions stay "
        "empty, for the recheck. The server is named by EDITWORLD_LLM_URL, EDITWORLD_LLM_MODEL and EDITWORLD_LLM_KEY."
    )
    parser = branches.add_parser("video", help="pairs of frames from films", description=about)
    parser.add_argument("films", nargs="+", type=Path, metavar="FILE", help="films, or folders of them")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="the data set to make or continue"
    )
    parser.add_argument(
        "--size", type=int, default=512, help="shorter side of the images in pixels (default: %(default)s)"
    )
    parser.add_argument(
        "--longest",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="divide longer shots (default: %(default)s)",
    )
    parser.add_argument(
        "--identity",
        type=float,
        metavar="X",
        help="least likeness of the two frames, -1 to 1 (default: 0.45)",
    )
    parser.add_argument(
        "--change", type=float, metavar="X", help="least change between them, 0 to 1 (default: 0.03)"
    )
    parser.add_argument(
        "--features",
        metavar="NAME",
        help="folder or hub id of a vision model for the likeness, such as DINOv2",
    )
    parser.add_argument(
        "--video-model",
        metavar="NAME",
        help="says what happens: 'server', or a folder or hub id (Video-LLaVA, Qwen-VL)",
    )
    parser.add_argument(
        "--language-model",
        metavar="NAME",
        help="writes the instruction: 'server', 'local' (SmolLM2-135M), a folder or a hub id (default: the server)",
    )
    parser.add_argument(
        "--aesthetic",
        type=Path,
        metavar="FILE",
        help="weights of an aesthetic predictor; without them nothing is dropped",
    )
    parser.add_argument("--clip", metavar="NAME", help="the CLIP model of that predictor (default: ViT-L/14)")
    parser.add_argument(
        "--least-aesthetic",
        type=float,
        default=6.0,
        metavar="X",
        help="drop clips below (default: %(default)s)",
    )
    parser.add_argument("--skip-bad", action="store_true", help="go on after a film that cannot be read")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the pairs, with a bar on standard error; 1 if no film could be read."""
    from tqdm import tqdm

    from editworld_core.datagen.aesthetic import CLIP, Aesthetic
    from editworld_core.datagen.frame_pairs import Choice
    from editworld_core.datagen.video import VideoSettings, generate_from_videos, list_films

    films, default = list_films(options.films), Choice()
    settings = VideoSettings(
        size=options.size,
        longest=options.longest,
        choice=Choice(
            identity=default.identity if options.identity is None else options.identity,
            change=default.change if options.change is None else options.change,
        ),
        features=options.features,
        least_aesthetic=options.least_aesthetic,
    )
    teller = _teller(options)
    aesthetic = Aesthetic(options.aesthetic, options.clip or CLIP) if options.aesthetic else None
    with tqdm(total=len(films), unit="film", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        report = generate_from_videos(
            options.output,
            films,
            settings,
            teller=teller,
            aesthetic=aesthetic,
            skip_bad=options.skip_bad,
            progress=show,
        )
    if options.json:
        print(json.dumps(asdict(report), ensure_ascii=False))
    else:
        print("\n".join(_lines(report)))
    return 1 if len(report.skipped) == report.films else 0


def _teller(options: argparse.Namespace) -> "StoryTeller | None":
    """What writes the instructions; None if no video model is named."""
    from editworld_core.errors import BadInputError

    if options.video_model is None:
        if options.language_model is not None:
            raise BadInputError("A language model needs to be told what happens: give --video-model as well.")
        return None
    from editworld_core.datagen.story import ServerDescriber, StoryTeller, VideoModel

    writer = _language_model(options.language_model or SERVER)
    if options.video_model == SERVER:
        seeing = writer if options.language_model in (None, SERVER) else _language_model(SERVER)
        return StoryTeller(ServerDescriber(seeing), writer)
    return StoryTeller(VideoModel(options.video_model), writer)


def _language_model(name: str) -> "LanguageModel":
    if name == SERVER:
        from editworld_core.language_server import ServerModel

        return ServerModel(timeout=PATIENCE)
    from editworld_core.language_local import load_local, smollm2

    return load_local(*smollm2()) if name == LOCAL else load_local(name)


def _lines(report: "VideoReport") -> list[str]:
    """The report for a reader."""
    lines = [
        f"{report.pairs} of {report.clips} clips gave a pair, {report.added} of them new: "
        f"{report.total} triplets in {report.folder} now."
    ]
    if report.skipped:
        lines.append(f"{len(report.skipped)} of {report.films} films were skipped.")
    if report.unwritten:
        lines.append(f"{report.unwritten} pairs have no instruction yet: write them in the recheck.")
    if report.dropped:
        lines.append(f"{report.dropped} pairs were dropped for their looks.")
    lines.append(f"Aesthetic score: {report.aesthetic}.")
    if report.contact_sheet:
        lines.append(f"Look at {report.contact_sheet}.")
    return lines
