"""A visitor who uses the page with real clicks."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

PATIENCE = 120_000  # milliseconds; an edit takes one or two seconds, unless the machine is busy
expect.set_options(timeout=PATIENCE)


SETTLED = """() => new Promise(done => {
    let left = 10
    const frame = () => left-- ? requestAnimationFrame(frame) : requestIdleCallback(done)
    frame()
})"""


def settle(page: Page) -> None:
    """Wait some frames, as nobody is quick enough not to.

    Gradio gives the fields of a tab or panel that just opened their values again in the next frame, and what was typed
    before is lost.
    """
    page.evaluate(SETTLED)


def standing_still(thing: Locator) -> FloatRect:
    """The box of ``thing`` once it has stayed the same for a second: a canvas fits its picture in with a delay."""
    boxes: list[FloatRect | None] = []
    while len(boxes) < 200:
        boxes.append(thing.bounding_box())
        if (box := boxes[-1]) is not None and boxes[-6:] == [box] * 6:
            return box
        settle(thing.page)
        thing.page.wait_for_timeout(150)
    raise AssertionError(f"It does not stand still: {boxes[-6:]}")


def open_tab(page: Page, name: str, shows: str) -> None:
    """Open the tab ``name``, on which the field with the id ``shows`` is."""
    tab = page.get_by_role("tab", name=name, exact=True)
    more = page.locator(".overflow-menu > button")
    expect(tab.or_(more).filter(visible=True).first).to_be_visible()
    if not tab.is_visible():  # a phone folds the last ones away
        more.click()
        tab = page.locator(".overflow-dropdown button", has_text=name)
    tab.click()
    expect(page.locator(f"#{shows}")).to_be_visible()
    settle(page)


class Visitor:
    """Someone with the page open in a browser of their own."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.edit_button = page.locator("#edit")
        self.stop_button = page.locator("#stop")
        self.instruction = page.locator("#instruction input")
        self.note = page.locator("#restored")
        self.drift = page.locator("#drift")
        self.history = page.locator("#history .thumbnail-item")
        self.toast = page.get_by_test_id("toast-body")

    def choose(self, file: Path) -> None:
        """Put ``file`` into the picture field, which must be empty."""
        self.page.locator("#picture input[type=file]").set_input_files(file)

    def upload(self, file: Path) -> None:
        """Put ``file`` into the picture field, and wait until it is shown."""
        clear = self.page.locator("#picture").get_by_label("Remove Image")
        if clear.count():
            clear.click()
        self.choose(file)
        expect(self.page.locator("#picture img")).to_be_visible()

    def edit(self, instruction: str | None = None) -> None:
        """Press Edit, and wait for what comes of it."""
        if instruction is not None:
            self.instruction.fill(instruction)
        self.until_new(self.edit_button.click)

    def until_new(self, act: Callable[[], object]) -> None:
        """Do ``act``, and wait until another picture is shown and the page is at rest."""
        after = self.page.locator("#slider img").last
        old = after.get_attribute("src") if after.is_visible() else None
        act()
        if old is None:
            expect(after).to_be_visible()
        else:
            expect(after).not_to_have_attribute("src", old)
        expect(self.edit_button).to_be_visible()
        expect(self.stop_button).to_be_hidden()

    def before_and_after(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Both pictures of the slider."""
        pictures = self.page.locator("#slider img")
        expect(pictures).to_have_count(2)
        sources = [pictures.nth(index).get_attribute("src") or "" for index in range(2)]
        contents = [self.page.request.get(source).body() for source in sources]
        return pixels(contents[0]), pixels(contents[1])

    def save(self, button: str, file: Path) -> bytes:
        """Press the save button with the id ``button``; its bytes, also in ``file``."""
        with self.page.expect_download(timeout=PATIENCE) as download:
            self.page.locator(f"#{button}").click()
        download.value.save_as(file)
        return file.read_bytes()

    def open_advanced(self) -> None:
        """Open the settings."""
        if not self.page.locator("#steps").is_visible():
            self.page.locator("#advanced").get_by_role("button", name="Advanced").click()
        expect(self.page.locator("#steps")).to_be_visible()
        settle(self.page)

    def set_steps(self, steps: int) -> None:
        """Type the number of steps."""
        self.open_advanced()
        number, slider = (
            self.page.locator("#steps input[type=number]"),
            self.page.locator("#steps [type=range]"),
        )
        number.fill(str(steps))
        number.blur()
        expect(slider).to_have_value(str(steps))

    def open_masks(self) -> None:
        """Open the settings of mask and post-edit."""
        self.open_advanced()
        if not self.page.locator("#mask-rule").is_visible():
            self.page.locator("#mask-choices").get_by_role("button", name="Mask and post-edit").click()
        expect(self.page.locator("#mask-rule")).to_be_visible()
        settle(self.page)

    def open_hand(self, tab: str) -> None:
        """Open "Correct the mask" at ``tab``."""
        panel = self.page.locator("#hand")
        if not self.page.locator("#use-mask").is_visible():
            panel.get_by_role("button", name="Correct the mask").click()
        panel.get_by_role("tab", name=tab).click()
        expect(self.page.locator("#use-mask")).to_be_visible()
        settle(self.page)

    def paint(self, start: tuple[float, float], end: tuple[float, float], blue: bool = False) -> None:
        """Draw a stroke on the canvas, in pixels from its middle, which is the picture's middle."""
        self.open_hand("Paint")
        if blue:
            self.page.locator("#canvas").get_by_label("Color", exact=True).click()
            self.page.locator("#canvas button.color").nth(1).click()
        tools = self.page.locator("#canvas").get_by_label("Brush", exact=True)
        expect(tools).to_be_visible()
        canvas = self.page.locator("#canvas canvas").first
        canvas.scroll_into_view_if_needed()
        box = standing_still(canvas)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        self.page.mouse.move(x + start[0], y + start[1])
        self.page.mouse.down()
        self.page.mouse.move(x + end[0], y + end[1], steps=10)
        self.page.mouse.up()

    def click_picture(self, x: float, y: float, kind: str = "This may change") -> None:
        """Click on the picture at these shares of its width and height, and wait until that is shown."""
        self.open_hand("Click")
        page = self.page
        page.locator("#click-kind").get_by_text(kind, exact=True).click()
        picture = page.locator("#click-picture img")
        self.page.wait_for_function("document.querySelector('#click-picture img')?.naturalWidth > 0")
        box, size = picture.bounding_box(), picture.evaluate("it => [it.naturalWidth, it.naturalHeight]")
        assert box is not None
        scale = min(box["width"] / size[0], box["height"] / size[1])
        left, top = (box["width"] - size[0] * scale) / 2, (box["height"] - size[1] * scale) / 2
        at = {"x": left + x * size[0] * scale, "y": top + y * size[1] * scale}
        self.until_redrawn(lambda: picture.click(position=at))

    def until_redrawn(self, act: Callable[[], object]) -> None:
        """Do ``act``, and wait until the picture to click on is another one."""
        picture = self.page.locator("#click-picture img")
        old = picture.get_attribute("src") or ""
        act()
        expect(picture).not_to_have_attribute("src", old)

    def use_mask(self, rule: str) -> None:
        """Use the mask that was drawn, by ``rule``, and wait for what comes of it."""
        chosen = self.page.locator("#hand-rule").get_by_label(rule)
        if not chosen.is_checked():
            chosen.check()
        self.until_new(self.page.locator("#use-mask").click)

    def mask(self, file: Path) -> NDArray[np.bool_]:
        """The mask that can be saved now."""
        return pixels(self.save("save-mask", file)) > 0

    def seed(self) -> int:
        """The seed that the page shows."""
        self.open_advanced()
        return int(self.page.locator("#seed input").input_value())


def pixels(data: bytes) -> NDArray[np.uint8]:
    """A PNG file's picture."""
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image)
