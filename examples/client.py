"""Use EditWorld from another program: ``python examples/client.py examples/snowman.png "the sun comes out"``.

The page must be running (``make demo``). Besides Python this needs only gradio_client, which comes with gradio.
"""

import argparse
import shutil
from pathlib import Path

from gradio_client import Client, handle_file

ADDRESS = "http://127.0.0.1:7860"


def edit(client: Client, picture: Path, instruction: str, folder: Path) -> None:
    """Edit the picture; every pixel outside the mask stays as it was."""
    edited, mask, report = client.predict(
        image=handle_file(picture), instruction=instruction, seed=1, api_name="/edit"
    )
    shutil.copy(edited, folder / "edited.png")
    shutil.copy(mask, folder / "mask.png")
    print(report["drift"]["in_words"])


def post_edit(client: Client, picture: Path, edited: Path, instruction: str, folder: Path) -> None:
    """Keep in what another editor made everything that was not meant to change."""
    kept, _, report = client.predict(
        original=handle_file(picture),
        edited=handle_file(edited),
        instruction=instruction,
        api_name="/post_edit",
    )
    shutil.copy(kept, folder / "kept.png")
    print(f"{report['mask_share']:.0%} of the picture may have changed.")


def masks(client: Client, picture: Path, instruction: str, folder: Path) -> None:
    """See where each word of the instruction acts."""
    mask, heat_maps, report = client.predict(
        image=handle_file(picture), instruction=instruction, seed=1, api_name="/masks"
    )
    shutil.copy(mask, folder / "attention-mask.png")
    for number, heat_map in enumerate(heat_maps):
        word = "".join(filter(str.isalnum, heat_map["caption"]))
        shutil.copy(heat_map["image"], folder / f"heat-{number}-{word}.png")
    print(f"The mask is made of: {', '.join(report['keywords'])}.")


def generate(client: Client, folder: Path) -> None:
    """Let four simulated worlds happen: pairs of pictures with instruction and exact mask."""
    archive, pairs = client.predict(count=4, size=128, api_name="/generate")
    shutil.copy(archive, folder / "pairs.zip")
    for pair in pairs:
        print(f"{pair['category']}: {pair['instruction']}")


def main() -> None:
    """All of it, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", type=Path)
    parser.add_argument("instruction")
    parser.add_argument("--edited", type=Path, help="what another editor made of the picture")
    parser.add_argument("--address", default=ADDRESS, help="where the page is (%(default)s)")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("out"), help="folder for results (%(default)s)"
    )
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    client = Client(given.address, verbose=False)
    edit(client, given.picture, given.instruction, given.output)
    edited = given.edited or given.output / "edited.png"
    post_edit(client, given.picture, edited, given.instruction, given.output)
    masks(client, given.picture, given.instruction, given.output)
    generate(client, given.output)


if __name__ == "__main__":
    main()
