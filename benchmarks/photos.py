"""A sheet of photographs that no training has seen, under everything that can happen to any photograph.

The photographs come with scikit-image and scikit-learn, under the free licences that ``PHOTOS`` names. Each is edited
as a user would edit it, post-edit included; the instruction of a dynamic is the first of its held-out wordings.
"""

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from editworld_core.datagen.contact_sheet import GAP, GREY, INK, LINE, PAPER, wrap
from editworld_core.datagen.records import encode_png, write_file, writing
from editworld_core.editor import WorldEditor
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.images import read_image
from editworld_core.settings import EditSettings

HEIGHT = 150  # pixels of a picture on the sheet
LABEL = 150  # pixels of the column with the instructions
MOST_BYTES = 900_000


@dataclass(frozen=True)
class Photo:
    """A photograph of a package: where it is, who made it, and under which licence."""

    package: str
    file: str
    author: str
    licence: str


PHOTOS: Mapping[str, Photo] = {
    "temple": Photo("sklearn", "datasets/images/china.jpg", "danielbuechele", "CC BY 2.0"),
    "rocket": Photo("skimage", "data/rocket.jpg", "SpaceX", "public domain"),
    "flower": Photo("sklearn", "datasets/images/flower.jpg", "vultilion", "CC BY 2.0"),
    "coffee": Photo("skimage", "data/coffee.png", "Rachel Michetti", "CC0"),
    "cat": Photo("skimage", "data/chelsea.png", "Stefan van der Walt", "CC0"),
    "astronaut": Photo("skimage", "data/astronaut.png", "NASA", "public domain"),
    "camera": Photo("skimage", "data/camera.png", "Lav Varshney", "CC0"),
    "stars": Photo("skimage", "data/hubble_deep_field.jpg", "NASA", "public domain"),
}
"""Licences as the docstrings of ``skimage.data`` and of ``sklearn.datasets.load_sample_images`` state them."""


@dataclass(frozen=True)
class PhotoReport:
    """What was made.

    Attributes:
        rows: dynamics, and the pictures of a row; the first row has the photographs themselves.
        seconds: of an edit, in the mean.
        sheet: everything on one page.
    """

    rows: Mapping[str, tuple[Image.Image, ...]]
    seconds: float
    sheet: Image.Image


def photo_dynamics() -> dict[str, str]:
    """Those that work on any photograph, each with the instruction of the sheet."""
    from editworld_core.simulation.world import dynamic_names, get_dynamic

    dynamics = (get_dynamic(name) for name in dynamic_names())
    return {dynamic.name: dynamic.held_out[0] for dynamic in dynamics if dynamic.photo}


def packaged_photos() -> dict[str, Image.Image]:
    """The photographs of ``PHOTOS``.

    Raises:
        EditWorldError: a package that has one of them is not installed.
    """
    return {name: read_image(_path(photo)) for name, photo in PHOTOS.items()}


def _path(photo: Photo) -> Path:
    spec = find_spec(photo.package)
    if spec is None or spec.origin is None or not (path := Path(spec.origin).parent / photo.file).is_file():
        raise EditWorldError(
            f"The photograph {photo.file} of the package {photo.package} is missing: install scikit-image and "
            "scikit-learn, or name photographs of your own with --photos."
        )
    return path


def photos_of(folder: Path, most: int = 8) -> dict[str, Image.Image]:
    """The first ``most`` pictures of a folder, by their names.

    Raises:
        BadInputError: there is none, or one cannot be read.
    """
    kinds = (".jpg", ".jpeg", ".png", ".webp")
    paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in kinds)[:most]
    if not paths:
        raise BadInputError(f"{folder} holds no JPEG, PNG or WebP pictures: name a folder that does.")
    return {path.stem: read_image(path) for path in paths}


def photo_sheet(
    photos: Mapping[str, Image.Image],
    engine: str,
    seed: int = 0,
    full: Path | None = None,
    progress: Progress | None = None,
) -> PhotoReport:
    """Edit each of ``photos`` by each photo dynamic.

    Args:
        photos: by name, RGB, of any size.
        engine: see ``EditSettings``.
        full: a folder for every result at the size of its photograph, ``DYNAMIC-PHOTO.png``.
        progress: called after each edit with the numbers done and in all.

    Raises:
        EditWorldError: the engine is not ready, or ``full`` cannot be written.
    """
    editor, settings = WorldEditor(), EditSettings(engine=engine, seed=seed)
    editor.engine(engine)  # loading it belongs to no edit
    dynamics = photo_dynamics()
    rows: dict[str, tuple[Image.Image, ...]] = {"": tuple(photos.values())}
    started = time.perf_counter()
    for name, instruction in dynamics.items():
        row = []
        for title, photo in photos.items():
            row.append(editor.edit(photo, instruction, settings).final)
            if full is not None:
                with writing(full):
                    full.mkdir(parents=True, exist_ok=True)
                write_file(full / f"{name}-{title}.png", encode_png(row[-1]))
            if progress is not None:
                progress((len(rows) - 1) * len(photos) + len(row), len(dynamics) * len(photos))
        rows[name] = tuple(row)
    seconds = (time.perf_counter() - started) / (len(dynamics) * len(photos))
    sheet = _draw([("", "the photograph"), *dynamics.items()], rows)
    return PhotoReport(rows, seconds, sheet)


def _draw(labels: list[tuple[str, str]], rows: Mapping[str, tuple[Image.Image, ...]]) -> Image.Image:
    """A row of pictures after each instruction."""
    cells = {name: [_cell(picture) for picture in row] for name, row in rows.items()}
    widths = [picture.width for picture in cells[""]]
    size = (
        LABEL + sum(widths) + len(widths) * GAP,
        GAP + len(labels) * (HEIGHT + GAP),
    )
    page, font = Image.new("RGB", size, PAPER), ImageFont.load_default(15)
    draw = ImageDraw.Draw(page)
    for line, (name, instruction) in enumerate(labels):
        top = GAP + line * (HEIGHT + GAP)
        for number, words in enumerate(wrap(instruction, LABEL - 2 * GAP, font)):
            draw.text((GAP, top + number * LINE), words, INK if name else GREY, font)
        left = LABEL
        for picture, width in zip(cells[name], widths, strict=True):
            page.paste(picture, (left, top))
            left += width + GAP
    return page


def _cell(picture: Image.Image) -> Image.Image:
    width = max(1, round(picture.width * HEIGHT / picture.height))
    return picture.resize((width, HEIGHT), Image.Resampling.LANCZOS)


def encode_jpeg(sheet: Image.Image, most_bytes: int = MOST_BYTES) -> bytes:
    """JPEG of the best quality that stays under ``most_bytes``; of the worst if none does."""
    for quality in (92, 85, 75, 65, 50, 35):
        buffer = io.BytesIO()
        sheet.save(buffer, "JPEG", quality=quality, optimize=True, progressive=True)
        if buffer.tell() < most_bytes:
            break
    return buffer.getvalue()


def photos_benchmark(
    output: Path,
    engine: str,
    folder: Path | None,
    full: Path | None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, object]:
    """Make the sheet and write it as ``output``; the answer says what is on it and how long an edit took."""
    photos = packaged_photos() if folder is None else photos_of(folder)
    report = photo_sheet(photos, engine, full=full, progress=progress)
    write_file(output, encode_jpeg(report.sheet))
    credits = {} if folder else {name: f"{photo.author}, {photo.licence}" for name, photo in PHOTOS.items()}
    return {
        "engine": engine,
        "sheet": str(output),
        "photos": credits or list(photos),
        "dynamics": photo_dynamics(),
        "seconds_per_edit": report.seconds,
    }


def in_words(report: dict[str, object]) -> str:
    """The report for people."""
    photos, dynamics = report["photos"], report["dynamics"]
    assert isinstance(photos, dict | list)
    assert isinstance(dynamics, dict)
    return (
        f"{report['sheet']}: {len(photos)} photographs x {len(dynamics)} dynamics by {report['engine']}, "
        f"{report['seconds_per_edit']:.2f} s an edit"
    )
