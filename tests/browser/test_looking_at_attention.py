"""A visitor looks into an edit: which word acts where, and what another threshold makes of it."""

import io
import re
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import expect
from visitor import Visitor, open_tab, pixels

from editworld_core.masks import enlarge, threshold_paper
from ui.examples import load_examples


def test_a_visitor_looks_into_an_edit_and_takes_what_was_seen(visitor: Visitor, tmp_path: Path) -> None:
    page, example = visitor.page, load_examples()[0].image
    visitor.choose(example)  # on the Edit tab, from which an empty tab takes it as it is
    visitor.instruction.fill("melt the snowman")
    visitor.set_steps(3)
    open_tab(page, "Attention", shows="lab-run")
    expect(page.locator("#lab-note")).to_contain_text("Press Look")
    source = page.locator("#lab-picture img").get_attribute("src") or ""
    assert page.request.get(source).body() == example.read_bytes()
    page.locator("#lab-run").click()
    said, heat = page.locator("#lab-said"), page.locator("#lab-heat img")
    expect(said).to_contain_text("melt + snowman · 3 layers of 16×16 · mean of 3 steps.")
    expect(page.locator("#lab-stop")).to_be_hidden()

    page.locator("#each-word .thumbnail-item").nth(2).click()
    expect(said).to_contain_text("snowman · 3 layers")
    expect(page.locator("#lab-words input:checked")).to_have_count(1)
    before, shown = said.inner_text(), heat.get_attribute("src") or ""
    threshold = page.locator("#lab-threshold [type=range]")
    threshold.fill("1.6")  # as one who drags it
    expect(said).not_to_have_text(before)
    expect(heat).not_to_have_attribute("src", shown)
    expect(page.locator("#lab-rule").get_by_label("Paper")).to_be_checked()
    share = re.search(r"(\d+)% of the picture", said.inner_text())

    page.locator("#lab-through").get_by_role("button", name="Through the steps").click()
    page.locator("#lab-animate").click()
    moving = page.locator("#lab-animation img")
    expect(moving).to_be_visible()
    gif = Image.open(io.BytesIO(page.request.get(moving.get_attribute("src") or "").body()))
    assert (gif.format, getattr(gif, "n_frames", 1)) == ("GIF", 3)

    page.locator("#lab-export").click()
    expect(page.locator("#lab-save")).to_be_visible()
    visitor.save("lab-save", tmp_path / "seen.zip")
    with zipfile.ZipFile(tmp_path / "seen.zip") as archive:
        files = {name.split("/")[-1]: archive.read(name) for name in archive.namelist()}
    mask, size = pixels(files["mask.png"]) > 0, Image.open(example).size
    assert mask.shape == size[::-1]
    assert share is not None
    assert share[1] == f"{mask.mean():.0%}"[:-1]
    with np.load(io.BytesIO(files["maps.npz"])) as maps:
        stacks = [maps[f"maps/{layer}"].astype(np.float32) for layer in maps["chosen_layers"]]
        positions = np.flatnonzero(maps["word_of_position"] == list(maps["words"]).index("snowman"))
    map = np.mean([stack[:, positions].sum(1).mean(0) for stack in stacks], axis=0)
    again = threshold_paper(enlarge(map, mask.shape), 1.6)  # of the maps in half precision
    assert (again != mask).mean() < 0.01
