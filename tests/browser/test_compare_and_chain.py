"""A visitor compares seeds on the picture of the Edit tab, and lets things happen one after the other."""

import io
import re
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect
from visitor import Visitor, open_tab


def shown(visitor: Visitor, selector: str) -> bytes:
    """The bytes of the picture at ``selector``."""
    source = visitor.page.locator(selector).get_attribute("src") or ""
    return visitor.page.request.get(source).body()


def test_seeds_side_by_side_on_the_edit_tabs_picture(visitor: Visitor, meadow: Path, tmp_path: Path) -> None:
    page = visitor.page
    upload = tmp_path / "turned.jpg"  # taken over as it is, and not as a PNG of it
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(meadow).convert("RGB").save(upload, exif=exif, quality=90)
    visitor.upload(upload)
    visitor.instruction.fill("wilt the tulip")
    open_tab(page, "Compare", shows="compare")
    expect(page.locator("#compare-picture img")).to_be_visible()
    assert shown(visitor, "#compare-picture img") == upload.read_bytes()
    expect(page.locator("#compare-instruction input")).to_have_value("wilt the tulip")
    page.locator("#compare").click()
    expect(page.locator("#compare-stop")).to_be_visible()
    expect(page.locator("#compare-save")).to_be_visible()
    expect(page.locator("#compare-gallery .thumbnail-item")).to_have_count(2)
    expect(page.locator("#compare-gallery .caption-label").first).to_have_text(
        re.compile(r"^seed 0: .+ s · mask \d+%")
    )
    expect(page.locator("#compare-table tbody tr")).to_have_count(2)
    page.locator("#compare-gallery .thumbnail-item").nth(1).click()
    expect(page.locator("#compare-slider img")).to_have_count(2)
    expect(page.locator("#compare-about")).to_contain_text("seed 1")
    grid = Image.open(io.BytesIO(visitor.save("compare-save", tmp_path / "grid.png")))
    assert grid.format == "PNG"
    one = Image.open(io.BytesIO(visitor.save("compare-save-one", tmp_path / "one.png")))
    assert one.size == Image.open(meadow).size[::-1]  # upright


def test_things_happen_one_after_the_other_and_become_a_film(
    visitor: Visitor, snowman: Path, tmp_path: Path
) -> None:
    page = visitor.page
    visitor.upload(snowman)
    visitor.instruction.fill("melt the snowman")
    open_tab(page, "Chain", shows="chain-add")
    expect(page.locator("#chain-picture img")).to_be_visible()
    expect(page.locator("#chain-instruction input")).to_have_value("melt the snowman")
    frames = page.locator("#chain-frames .thumbnail-item")
    page.locator("#chain-add").click()
    expect(frames).to_have_count(2)
    expect(page.locator("#chain-note")).to_have_text(
        re.compile(r"[1-9]\d?% of the pixels are still your own")
    )
    page.locator("#chain-instruction input").fill("then night falls")
    page.locator("#chain-instruction input").press("Enter")
    expect(frames).to_have_count(3)
    page.locator("#chain-remove").click()
    expect(frames).to_have_count(2)
    last = np.asarray(Image.open(io.BytesIO(visitor.save("chain-save", tmp_path / "last.png"))))
    before = np.asarray(Image.open(snowman))
    same = (last == before).all(-1).mean()
    assert 0.1 < same < 1
    page.locator("#chain-make").click()
    expect(page.locator("#chain-gif img")).to_be_visible()
    film = Image.open(io.BytesIO(visitor.save("chain-save-film", tmp_path / "film.gif")))
    assert film.format == "GIF"
    assert film.n_frames > 2  # type: ignore[attr-defined]


def test_on_a_phone_nothing_is_wider_than_the_screen(visit, meadow: Path) -> None:  # type: ignore[no-untyped-def]
    phone = visit(viewport={"width": 390, "height": 844})
    for name, button in (("Compare", "compare"), ("Chain", "chain-add")):
        open_tab(phone.page, name, shows=button)
        widths = phone.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert widths == [390, 390]
