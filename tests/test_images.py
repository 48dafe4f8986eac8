"""Reading, checking and compositing pictures, and the settings that travel in a PNG."""

import contextlib
import dataclasses
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from editworld_core.errors import BadInputError, EditWorldError
from editworld_core.images import (
    MAX_PIXELS,
    check_instruction,
    composite,
    native_size,
    read_image,
    read_settings,
    to_float,
    to_image,
    with_settings,
    write_png,
)
from editworld_core.settings import EditSettings

MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F"]
sides = st.integers(8, 40)


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(values)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


@given(mode=st.sampled_from(MODES), width=sides, height=sides)
def test_every_mode_becomes_rgb_of_the_same_size(mode: str, width: int, height: int) -> None:
    first = "L" if mode in ("PA", "I", "I;16", "I;16B", "F") else "RGB"
    image = noise(width, height).convert("P" if mode == "PA" else first).convert(mode)
    before = image.tobytes()
    read = read_image(image)
    assert (read.mode, read.size) == ("RGB", (width, height))
    assert image.tobytes() == before
    assert image.mode == mode


@given(width=sides, height=sides, seed=st.integers(0, 99))
def test_rgb_survives_lossless_formats_to_the_bit(width: int, height: int, seed: int) -> None:
    image = noise(width, height, seed)
    for format, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("BMP", {})):
        assert read_image(encoded(image, format, **options)).tobytes() == image.tobytes()


def test_path_text_stream_bytes_and_image_read_alike(tmp_path: Path) -> None:
    data = encoded(noise(20, 10), "PNG")
    path = tmp_path / "фото 1.png"
    path.write_bytes(data)
    readings = [read_image(source) for source in (path, str(path), data, io.BytesIO(data), Image.open(path))]
    assert len({reading.tobytes() for reading in readings}) == 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    corner = np.full((16, 32, 3), 255, np.uint8)
    corner[:8, :8] = 0  # dark corner at the top left as stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    read = read_image(encoded(Image.fromarray(corner), "PNG", exif=exif))
    assert read.size == ((32, 16) if orientation < 5 else (16, 32))
    row, column = np.argwhere(np.asarray(read).mean(-1) < 128).mean(0)
    # The EXIF standard: where the stored first row and first column are in the picture as seen.
    at_the_bottom = orientation in (3, 4, 7, 8)
    at_the_right = orientation in (2, 3, 6, 7)
    assert (row > read.height / 2, column > read.width / 2) == (at_the_bottom, at_the_right)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_nonsense_for_exif_is_no_reason_to_refuse() -> None:
    data = encoded(noise(16, 16), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read_image(data).size == (16, 16)


def test_transparency_is_laid_over_white() -> None:
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:4, :, 3] = 255
    pixels = np.asarray(read_image(encoded(Image.fromarray(rgba), "PNG")))
    assert (pixels[:4] == (200, 0, 0)).all()
    assert (pixels[4:] == 255).all()


def test_transparent_palette_and_colour_key_are_laid_over_white() -> None:
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    keyed = Image.new("RGB", (8, 8), (1, 2, 3))
    for image, key in ((palette, 0), (keyed, (1, 2, 3))):
        assert (np.asarray(read_image(encoded(image, "PNG", transparency=key))) == 255).all()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_sixteen_bits_are_scaled_and_not_clipped(dtype: type) -> None:
    ramp = np.linspace(0, 65535, 64).astype(dtype).reshape(8, 8)
    grey = np.asarray(read_image(Image.fromarray(ramp)))[..., 1].astype(int)
    assert np.abs(grey - ramp / 257).max() <= 0.5


@pytest.mark.parametrize("white", [1.0, 255.0, 65535.0, 1e6])
def test_float_pictures_keep_their_range(white: float) -> None:
    ramp = np.linspace(0, white, 64, dtype=np.float32).reshape(8, 8)
    ramp[0, 0] = np.nan
    grey = np.asarray(read_image(encoded(Image.fromarray(ramp), "TIFF")))[..., 0]
    assert (grey.min(), grey.max()) == (0, 255)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(format: str) -> None:
    first, second = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (16, 16), "blue")
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(first, format, save_all=True, append_images=[second], **options)
    assert Image.open(io.BytesIO(data)).n_frames == 2
    assert (np.asarray(read_image(data)) == (255, 0, 0)).all()


def test_colour_profile_is_applied_and_srgb_left_alone() -> None:
    image = noise(16, 16)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert read_image(encoded(image, "PNG", icc_profile=srgb)).tobytes() == image.tobytes()
    assert read_image(encoded(image, "PNG", icc_profile=b"no profile")).tobytes() == image.tobytes()
    lab = image.convert("LAB")
    lab.info["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert read_image(lab).mode == "RGB"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
@settings(max_examples=40)
@given(share=st.floats(0, 0.95))
def test_truncated_files_are_refused_in_a_sentence(format: str, share: float) -> None:
    data = encoded(noise(48, 48), format)
    with pytest.raises(BadInputError, match=r"^[A-Z].*\.$"):
        read_image(data[: int(share * len(data))])


@given(st.binary(min_size=0, max_size=300))
def test_arbitrary_bytes_are_refused_in_a_sentence(data: bytes) -> None:
    with pytest.raises(BadInputError, match=r"^[A-Z].*\.$"):
        read_image(data)


@settings(max_examples=200)
@given(
    format=st.sampled_from(["PNG", "JPEG", "GIF", "TIFF", "WEBP"]),
    flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8),
)
def test_damaged_files_are_read_or_refused(format: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(encoded(noise(24, 24), format))
    for place, bits in flips:
        data[int(place * len(data))] ^= bits
    with contextlib.suppress(BadInputError):
        assert read_image(bytes(data)).mode == "RGB"


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds a few bytes: what a decompression bomb looks like before it goes off."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("size", "word"),
    [
        ((1, 1), "too small"),
        ((7, 500), "too small"),
        ((20000, 10), "too long and thin"),
        ((10, 20000), "too long and thin"),
        ((MAX_PIXELS // 5000 + 1, 5000), "too big"),
        ((12000, 12000), "too big"),
        ((100_000, 100_000), "too big"),
    ],
)
def test_sizes_that_cannot_be_edited_are_refused_before_decoding(size: tuple[int, int], word: str) -> None:
    with pytest.raises(BadInputError, match=word):
        read_image(png_header(*size))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a picture"),
    ],
)
def test_files_that_are_no_picture(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=word):
        read_image(path)


@pytest.mark.parametrize("name", ["missing.png", ".", "a\0b.png", "x" * 5000])
def test_paths_that_are_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInputError):
        read_image(tmp_path / name)


def test_pillow_is_not_told_to_accept_truncated_pictures() -> None:
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@given(st.text(max_size=600))
def test_an_instruction_is_one_clean_line_or_refused(text: str) -> None:
    with contextlib.suppress(BadInputError):
        line = check_instruction(text)
        assert line == line.strip()
        assert 0 < len(line) <= 500
        assert not any(character in line for character in "\t\r\n\0\x1b")
        assert check_instruction(line) == line


@pytest.mark.parametrize(
    "text", ["夜になったら?", "что, если пойдёт снег", "اجعلها ليلا", "melt the ⛄️ 👨‍👩‍👧", "x" * 500]
)
def test_instructions_in_any_script(text: str) -> None:
    assert check_instruction(f"  {text}\n") == text


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "empty"),
        (" \n\t ", "empty"),
        ("\u200b", "empty"),
        ("x" * 501, "too long"),
        ("a" * 10_000, "too long"),
        ("melt\0it", "control"),
        ("melt \x1b[31m", "control"),
        ("\udcff melt", "control"),
    ],
)
def test_instructions_that_are_refused(text: str, word: str) -> None:
    with pytest.raises(BadInputError, match=word):
        check_instruction(text)


@given(
    width=st.integers(8, 8000),
    height=st.integers(8, 8000),
    native=st.sampled_from([128, 256, 512, 1024]),
    multiple=st.sampled_from([8, 16, 32, 64]),
)
def test_native_size_keeps_area_and_aspect(width: int, height: int, native: int, multiple: int) -> None:
    if not 1 / 8 <= width / height <= 8:
        return
    w, h = native_size((width, height), native, multiple)
    assert w % multiple == h % multiple == 0
    step = 1 + multiple / (min(w, h))
    assert 1 / step <= (w / h) / (width / height) <= step
    assert native**2 / step**2 <= w * h <= native**2 * step**2


def test_native_size_of_squares_and_common_photographs() -> None:
    assert native_size((3000, 3000), 256, 32) == (256, 256)
    assert native_size((64, 64), 256, 32) == (256, 256)
    assert native_size((3000, 2000), 256, 32) == (288, 192)


@given(width=sides, height=sides, seed=st.integers(0, 99))
def test_float_and_back_is_the_same_picture(width: int, height: int, seed: int) -> None:
    image = noise(width, height, seed)
    array = to_float(image)
    assert array.dtype == np.float32
    assert array.shape == (height, width, 3)
    assert array.min() >= 0
    assert array.max() <= 1
    assert to_image(array).tobytes() == image.tobytes()


def test_to_image_clips() -> None:
    assert np.asarray(to_image(np.array([[[-1.0, 0.5, 2.0]]]))).tolist() == [[[0, 128, 255]]]


def blobs(height: int, width: int, seed: int) -> NDArray[np.bool_]:
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // 4 + 1, width // 4 + 1)) < rng.random()
    return np.kron(coarse, np.ones((4, 4)))[:height, :width].astype(bool)


@settings(max_examples=100)
@given(width=sides, height=sides, seed=st.integers(0, 9999), feather=st.integers(0, 30))
def test_composite_keeps_every_pixel_outside_the_mask(
    width: int, height: int, seed: int, feather: int
) -> None:
    before, after, mask = (
        noise(width, height, seed),
        noise(width, height, seed + 1),
        blobs(height, width, seed),
    )
    old, new = np.asarray(before).astype(int), np.asarray(after).astype(int)
    result = np.asarray(composite(before, after, mask, feather)).astype(int)
    assert (result[~mask] == old[~mask]).all()
    assert (result >= np.minimum(old, new)).all()
    assert (result <= np.maximum(old, new)).all()
    if feather == 0 or mask.all():
        assert (result[mask] == new[mask]).all()


def test_composite_softens_inside_the_mask_and_not_at_the_border_of_the_picture() -> None:
    mask = np.zeros((60, 60), bool)
    mask[:, 20:] = True
    black, white = Image.new("RGB", (60, 60)), Image.new("RGB", (60, 60), "white")
    row = np.asarray(composite(black, white, mask, 8))[30, :, 0].astype(int)
    assert (row[:20] == 0).all()
    assert (np.diff(row[19:30]) >= 0).all()
    assert 0 < row[21] < 128 < row[26]
    assert (row[28:] == 255).all()


def test_composite_shows_the_middle_of_thin_regions_in_full() -> None:
    mask = np.zeros((60, 60), bool)
    mask[:, 30:35] = True
    result = composite(Image.new("RGB", (60, 60)), Image.new("RGB", (60, 60), "white"), mask, 12)
    assert np.asarray(result)[30, 32, 0] == 255


def test_composite_refuses_sizes_that_differ() -> None:
    with pytest.raises(ValueError, match="sizes differ"):
        composite(noise(10, 10), noise(10, 11), np.ones((10, 10), bool), 0)


edit_settings = st.builds(
    EditSettings,
    engine=st.text(min_size=1, max_size=50),
    steps=st.none() | st.integers(1, 1000),
    text_guidance=st.none() | st.floats(0, 50),
    image_guidance=st.none() | st.floats(0, 50),
    seed=st.none() | st.integers(0, 2**32 - 1),
    post_edit=st.booleans(),
    mask_rule=st.sampled_from(["paper", "otsu"]),
    mask_threshold=st.floats(0, 100),
    keywords=st.lists(st.text(max_size=20), max_size=5).map(tuple),
    feather=st.integers(0, 256),
)


@given(
    chosen=edit_settings, instruction=st.sampled_from(["the sun comes out", "夜になったら?", '"quoted" <b>'])
)
def test_settings_go_through_a_png_and_back(
    tmp_path_factory: pytest.TempPathFactory, chosen: EditSettings, instruction: str
) -> None:
    path = tmp_path_factory.mktemp("png") / "out.png"
    image = noise(16, 12)
    write_png(path, image, instruction, chosen)
    read = read_image(path)
    assert read.tobytes() == image.tobytes()
    assert read_settings(read) == (instruction, chosen)
    assert read_settings(Image.open(path)) == (instruction, chosen)
    assert [file.name for file in path.parent.iterdir()] == ["out.png"]


def test_settings_survive_when_another_program_saves_the_picture(tmp_path: Path) -> None:
    from PIL.PngImagePlugin import PngInfo

    marked = with_settings(noise(16, 16), "snow", EditSettings(seed=3))
    info = PngInfo()
    for key, value in marked.info.items():
        info.add_text(key, value)
    marked.save(tmp_path / "a.png", pnginfo=info)
    assert read_settings(Image.open(tmp_path / "a.png")) == ("snow", EditSettings(seed=3))


def changed(**fields: object) -> str:
    return json.dumps(
        {"instruction": "snow", "settings": {**dataclasses.asdict(EditSettings()), **fields}}, default=str
    )


@pytest.mark.parametrize(
    "foreign",
    [
        None,
        7,
        b"bytes",
        "",
        "no json",
        "[" * 100_000,
        "[" * 15_000,
        "null",
        "[]",
        '{"instruction": "x"}',
        '{"instruction": 3, "settings": {}}',
        '{"instruction": "x", "settings": []}',
        '{"instruction": "", "settings": {}}',
        '{"instruction": "a\\u0000", "settings": {}}',
        changed(seed=-1),
        changed(seed=True),
        changed(seed=1.5),
        changed(steps=10**9),
        changed(text_guidance=float("nan")),
        changed(image_guidance="2"),
        changed(mask_rule="rm -rf"),
        changed(mask_rule=[]),
        changed(keywords="snow"),
        changed(keywords=[1]),
        changed(post_edit="yes"),
        changed(engine=""),
    ],
)
def test_foreign_data_are_no_settings(foreign: object) -> None:
    image = noise(8, 8)
    image.info["editworld"] = foreign
    assert read_settings(image) is None


@given(st.text(max_size=200) | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_reading_settings_never_raises(text: str) -> None:
    image = noise(8, 8)
    image.info["editworld"] = text
    assert read_settings(image) is None


def test_fields_of_a_later_version_are_left_out() -> None:
    image = noise(8, 8)
    image.info["editworld"] = changed(seed=5, later="x")
    assert read_settings(image) == ("snow", EditSettings(seed=5))


def test_a_png_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"what was there")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("PIL.PngImagePlugin._save", full)
    monkeypatch.setitem(Image.SAVE, "PNG", full)
    with pytest.raises(EditWorldError, match="No space left"):
        write_png(path, noise(8, 8))
    assert path.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [path]


def test_writing_into_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EditWorldError, match="cannot be written"):
        write_png(tmp_path / "none" / "out.png", noise(8, 8))
