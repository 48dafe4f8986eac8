"""A visitor who uses the page with real clicks."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

PATIENCE = 120_000  # milliseconds; an edit takes one or two seconds, unless the machine is busy
expect.set_options(timeout=PATIENCE)


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

    def set_steps(self, steps: int) -> None:
        """Type the number of steps."""
        self.open_advanced()
        number, slider = (
            self.page.locator("#steps input[type=number]"),
            self.page.locator("#steps [type=range]"),
        )
        expect(slider).not_to_have_value("")
        number.fill(str(steps))
        number.blur()
        expect(slider).to_have_value(str(steps))

    def seed(self) -> int:
        """The seed that the page shows."""
        self.open_advanced()
        return int(self.page.locator("#seed input").input_value())


def pixels(data: bytes) -> NDArray[np.uint8]:
    """A PNG file's picture."""
    image = Image.open(io.BytesIO(data))
    assert image.format == "PNG"
    return np.asarray(image)
