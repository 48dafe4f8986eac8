"""A visitor makes sample data: pairs appear while they are made, and the zip is a data set."""

import zipfile
from pathlib import Path

from playwright.sync_api import expect
from visitor import Visitor, open_tab

from editworld_core.datagen.records import load_images, read_triplets


def test_a_visitor_makes_seven_pairs_and_takes_them(visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    open_tab(page, "Sample data", shows="count")
    number = page.locator("#count input[type=number]")
    number.fill("7")
    number.blur()
    page.locator("#make").click()
    expect(page.locator("#pairs .thumbnail-item").first).to_be_visible()
    expect(page.locator("#save-data")).to_be_visible()
    expect(page.locator("#pairs .thumbnail-item")).to_have_count(7)
    expect(page.locator("#data-note")).to_have_text("7 pairs made.")
    expect(page.locator("#command")).to_contain_text("training.generate simulate -n 7")
    file = tmp_path / "data.zip"
    visitor.save("save-data", file)
    with zipfile.ZipFile(file) as archive:
        archive.extractall(tmp_path / "unpacked")
    (folder,) = (tmp_path / "unpacked").iterdir()
    triplets = list(read_triplets(folder))
    assert len({each.category for each in triplets}) == len(triplets) == 7
    for each in triplets:
        load_images(folder, each)
