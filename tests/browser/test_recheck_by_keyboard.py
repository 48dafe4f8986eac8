"""Two reviewers, each with a browser of their own, recheck one data set by keyboard."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from serving import DESKTOP, serving
from visitor import PATIENCE, open_tab

from editworld_core.datagen.formats.exporting import export_data_set
from editworld_core.datagen.recheck import apply, read_events, read_log
from editworld_core.datagen.records import load_images, read_triplets
from editworld_core.datagen.simulate import generate_simulated
from editworld_core.datagen.triplet import Triplet

COUNT = 14


class Reviewer:
    """Someone at the Recheck tab who uses the keyboard."""

    def __init__(self, page: Page, name: str) -> None:
        self.page, self.name = page, name
        self.instruction = page.locator("#rc-instruction textarea")
        self.pictures = page.locator(".rc-frame > img:first-child")
        open_tab(page, "Recheck", shows="rc-reviewer")
        page.locator("#rc-reviewer").locator("input, textarea").fill(name)
        page.locator("#rc-start").click()
        expect(self.pictures).to_have_count(2)
        page.locator(".rc-strip small").click()  # away from the fields

    def numbers(self) -> str:
        return self.page.locator(".rc-progress").get_attribute("aria-label") or ""

    def position(self) -> int:
        return int((self.page.locator(".rc-strip i.now").get_attribute("data-number")) or 0)

    def press(self, key: str) -> None:
        """Press a key that leads to another item, or to the end, and wait until that is there."""
        old = self.pictures.first.get_attribute("src") if self.pictures.count() else ""
        self.page.keyboard.press(key)
        self.page.wait_for_function(
            "old => (document.querySelector('.rc-frame > img')?.getAttribute('src') ?? '') !== old", arg=old
        )

    def says(self, text: str) -> None:
        expect(self.page.locator(".rc-progress")).to_have_attribute("aria-label", text)


@pytest.fixture
def worlds(tmp_path: Path) -> Path:
    generate_simulated(tmp_path / "data" / "worlds", COUNT, size=64)
    return tmp_path / "data" / "worlds"


@pytest.fixture
def sit_down(worlds: Path, browser: Browser, tmp_path: Path) -> Iterator[Callable[[str], Reviewer]]:
    broken: list[str] = []
    contexts: list[BrowserContext] = []
    with serving(tmp_path, "--data", str(worlds.parent)) as address:

        def open_page(name: str) -> Reviewer:
            context = browser.new_context(viewport={**DESKTOP, "height": 800})
            contexts.append(context)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.on("pageerror", lambda error: broken.append(str(error)))
            page.goto(address)
            return Reviewer(page, name)

        yield open_page
        for context in contexts:
            context.close()
    assert not broken


def effective(folder: Path) -> dict[str, Triplet]:
    log = read_log(folder)
    return {triplet.id: log.effective(triplet) for triplet in read_triplets(folder)}


def test_two_reviewers_share_a_data_set(
    sit_down: Callable[[str], Reviewer], worlds: Path, tmp_path: Path
) -> None:
    made = list(read_triplets(worlds))
    ada, bob = sit_down("Ada"), sit_down("Bob")
    assert (ada.position(), bob.position()) == (1, 2)
    expect(ada.instruction).to_have_value(made[0].instruction)
    for locator in ("#rc-accept", ".rc-frame", "#rc-category", "#rc-instruction"):  # all in sight at once
        box = ada.page.locator(locator).first.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 800

    # Ada writes another instruction, with letters that are keys elsewhere, and another category
    ada.page.keyboard.press("e")
    ada.page.keyboard.type("a sad murmur is heard")
    ada.page.keyboard.press("Escape")
    expect(ada.instruction).to_have_value(made[0].instruction)
    ada.page.keyboard.press("e")
    ada.page.keyboard.type("a sad murmur is heard")
    ada.page.keyboard.press("Control+Enter")
    expect(ada.page.locator(".rc-history li")).to_have_count(1)
    ada.page.keyboard.press("7")
    expect(ada.page.locator(".rc-history li")).to_have_count(2)
    assert ada.position() == 1
    ada.press("a")
    bob.press("d")
    assert (ada.position(), bob.position()) == (3, 4)
    bob.says(f"1 accepted, 1 dropped, {COUNT - 2} left of {COUNT}")
    ada.press("u")
    assert ada.position() == 1
    ada.press("a")
    ada.press("s")  # passes number 3 on
    bob.press("a")
    assert bob.position() == 3

    # keys are dead where the tab is not in sight
    bob.page.get_by_role("tab", name="Edit").click()
    bob.page.keyboard.press("d")
    bob.page.get_by_role("tab", name="Recheck").click()
    expect(bob.page.locator("#rc-accept")).to_be_visible()
    assert bob.position() == 3

    bob.press("r")  # another scene of the same, at the end of the list
    assert bob.position() == COUNT + 1
    seen = {ada.position(), bob.position()}
    for number in range(COUNT):
        for reviewer in (ada, bob):
            if reviewer.pictures.count():
                assert ada.pictures.count() == 0 or bob.pictures.count() == 0 or len(seen) == 2
                reviewer.press("d" if number % 4 == 3 else "a")
                seen = {it.position() for it in (ada, bob) if it.pictures.count()}
        if not (ada.pictures.count() or bob.pictures.count()):
            break
    ada.press("ArrowLeft")  # a look back refreshes what it says
    final = effective(worlds)
    counts = Counter(triplet.recheck for triplet in final.values())
    assert counts["accept"] + counts["drop"] == len(final) == COUNT + 1
    ada.says(f"{counts['accept']} accepted, {counts['drop']} dropped, 0 left of {COUNT + 1}")

    events = list(read_events(worlds))
    assert {event.reviewer for event in events} == {"Ada", "Bob"}
    first, second, third = (final[triplet.id] for triplet in made[:3])
    assert (first.instruction, first.category, first.recheck) == (
        "a sad murmur is heard",
        "Exaggeration",
        "accept",
    )
    assert (second.recheck, third.recheck) == ("drop", "drop")
    regenerated = next(event for event in events if event.kind == "regenerate")
    assert (regenerated.item, regenerated.reviewer) == (third.id, "Bob")
    assert final[regenerated.replacement].recipe == third.recipe

    export_data_set(worlds, tmp_path / "out", "editworld", accepted_only=True)
    kept = list(apply(read_triplets(worlds), read_log(worlds), accepted_only=True))
    assert {triplet.id for triplet in kept} == {it.id for it in final.values() if it.recheck == "accept"}
    assert len(list((tmp_path / "out").rglob("*_tar.png"))) == counts["accept"]


def test_a_mask_is_painted(sit_down: Callable[[str], Reviewer], worlds: Path) -> None:
    ada = sit_down("Ada")
    page, item = ada.page, next(read_triplets(worlds))
    before = np.asarray(load_images(worlds, item)[2]) > 0
    page.keyboard.press("m")
    canvas = page.locator("#rc-canvas canvas").first
    expect(canvas).to_be_visible()
    page.keyboard.press("d")  # no verdict while painting
    page.keyboard.press("Escape")
    expect(canvas).to_be_hidden()
    expect(ada.pictures.first).to_be_visible()
    page.keyboard.press("m")
    expect(canvas).to_be_visible()
    page.wait_for_timeout(2000)  # until it stands still
    box = canvas.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 40, y)
    page.mouse.down()
    page.mouse.move(x + 40, y, steps=8)
    page.mouse.up()
    page.wait_for_timeout(500)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".rc-history li")).to_have_count(1)
    after = np.asarray(load_images(worlds, effective(worlds)[item.id])[2]) > 0
    assert (after & ~before).any()
    assert after[before].all()
    assert after[32, 32]
    assert effective(worlds)[item.id].recheck is None
