"""``training.generate pairs``: pictures from quadruples, the text-to-image branch of the paper."""

import argparse
import json
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

from editworld_core.datagen.pair_settings import PairSettings, setting_fields
from training.runners import add_runner, runner_of

ABOUT = """\
Make pairs of pictures from quadruples, as EditWorld's text-to-image branch does: draw the original and find its
keywords by cross-attention, inpaint original and target, refine, follow edges and looks with ControlNet and
IP-Adapter, choose among the draws of each stage by CLIP, and let a multimodal language model filter if there is one.
"""
COST = """\
What it takes: at the paper's settings a triplet costs about 17 PFLOP with the models 'paper', 3 with 'sd15' and 23 with
'sdxl'. 17 PFLOP are two minutes on a GPU that really does 150 TFLOP/s, and a day on a processor that does 0.2. The
models 'paper' need about 26 GiB of GPU memory, 11 with --offload model, and 45 GB of downloads from the hub; 'sd15'
about 9 GiB, 4 offloaded, and 17 GB.

A folder for --models holds draw/ (a text-to-image pipeline of Stable Diffusion 1.5 or XL in diffusers format),
redraw/ (another for inpainting and refinement; may be left out), controlnet/ (an inpainting ControlNet pipeline with
ip_adapter/ in it) and clip/.
"""


def add(branches: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to ``training.generate``."""
    parser = branches.add_parser(
        "pairs",
        help="pictures from quadruples, with Stable Diffusion on a GPU",
        description=ABOUT,
        epilog=COST,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "quadruples", type=Path, help="what training.generate text wrote: a folder, or its file"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="DIR", help="the data set to make or continue"
    )
    parser.add_argument("-n", "--count", type=int, help="only the first COUNT quadruples (default: all)")
    parser.add_argument(
        "--models",
        default="paper",
        metavar="{paper,sd15,sdxl,FOLDER}",
        help="paper: Stable Diffusion 1.5 draws, XL does the rest; sd15, sdxl: one does everything; or a folder",
    )
    parser.add_argument(
        "--judge",
        action="store_true",
        help="filter with the vision-language server at EDITWORLD_LLM_URL (EDITWORLD_LLM_MODEL, EDITWORLD_LLM_KEY)",
    )
    parser.add_argument("--batch", type=int, default=1, help="pictures drawn at once (default: %(default)s)")
    add_runner(parser)
    parser.add_argument(
        "--ray-gpus",
        type=float,
        metavar="X",
        help="GPUs of each Ray worker, such as 1 or 0.5 (default: 1 if this machine has one, else 0)",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps … (default: the best there is)")
    parser.add_argument("--dtype", help="fp32, bf16 or fp16 (default: the fastest on the device)")
    parser.add_argument("--offload", help="none, model or sequential: what to keep out of the GPU's memory")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    settings = parser.add_argument_group("settings", "The defaults are the paper's.")
    for entry in setting_fields():
        settings.add_argument(
            f"--{entry.name.replace('_', '-')}",
            type=entry.type,
            default=entry.default,
            metavar={int: "N", float: "X", str: "TEXT"}[entry.type],
            help=f"{entry.metadata['about']} (default: %(default)s)",
        )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make the pairs, with a bar on standard error."""
    from tqdm import tqdm

    from editworld_core.datagen.pair_models import PRESETS, names_in
    from editworld_core.datagen.pairs import generate_pairs
    from editworld_core.datagen.quadruple import read_quadruples
    from editworld_core.engines.place import best_place
    from editworld_core.errors import BadInputError
    from editworld_core.language_server import ServerModel

    if options.count is not None and options.count < 1:
        raise BadInputError(f"The number of quadruples must be at least 1, not {options.count}.")
    settings = PairSettings(**{entry.name: getattr(options, entry.name) for entry in setting_fields()})
    quadruples = list(read_quadruples(options.quadruples))[: options.count]
    names = PRESETS.get(options.models) or names_in(Path(options.models).expanduser())
    choose_place = partial(best_place, options.device, options.dtype, options.offload)
    # The machines of a cluster choose for themselves: the one that asks may have no GPU.
    place = choose_place if options.runner == "ray" else choose_place()
    runner = runner_of(options, _gpus(options))
    model = ServerModel(timeout=300) if options.judge else None
    with tqdm(total=len(quadruples), unit="pair", file=sys.stderr) as bar:

        def show(done: int, total: int) -> None:
            bar.update(done - bar.n)

        report = generate_pairs(
            options.output,
            quadruples,
            names,
            settings,
            place,
            batch=options.batch,
            runner=runner,
            filter_by=model,
            progress=show,
            on_stage=lambda stage: bar.set_postfix_str(stage.replace("_", " ")),
        )
    if options.json:
        print(json.dumps(asdict(report)))
    else:
        print(f"{report.added} triplets added, {report.total} in {report.folder} now.")
        print(f"{len(report.rejected)} quadruples gave none; why is in {report.folder}/rejected.jsonl.")
        print("Filtered by " + (report.judge or "nobody: no language model was asked (--judge)") + ".")
        print(f"Look at {report.contact_sheet}.")
    return 1 if len(report.rejected) == report.asked else 0


def _gpus(options: argparse.Namespace) -> float:
    """GPUs of each Ray worker."""
    import torch

    if options.ray_gpus is not None:
        return float(options.ray_gpus)
    return float(options.runner == "ray" and torch.cuda.is_available())
