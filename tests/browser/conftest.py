"""The running app, a Chromium, and the pictures that visitors bring."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright
from serving import DESKTOP, serving
from visitor import PATIENCE, Visitor, settle

from editworld_core.simulation.held_out import held_out_pair

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the real app; nothing that the tests do makes it print a traceback."""
    with serving(tmp_path_factory.mktemp("app")) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium without windows."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    with sync_playwright() as playwright:
        if found is None and not Path(playwright.chromium.executable_path).exists():
            pytest.fail("There is no Chromium; install it (on Debian: apt-get install chromium).")
        chromium = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(app: str, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Open the page in a new browser context; keyword arguments are the context's."""
    contexts: list[BrowserContext] = []
    broken: list[str] = []

    def open_page(**options: Any) -> Visitor:
        context = browser.new_context(**{"viewport": DESKTOP, "accept_downloads": True, **options})
        contexts.append(context)
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(app)
        expect(page.locator("#edit")).to_be_visible()
        settle(page)
        return Visitor(page)

    yield open_page
    for context in contexts:
        context.close()
    assert not broken


@pytest.fixture
def visitor(visit: Callable[..., Visitor]) -> Visitor:
    """One visitor at a desk."""
    return visit()


@pytest.fixture(scope="session")
def snowman(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that no training has seen."""
    file = tmp_path_factory.mktemp("pictures") / "snowman.png"
    Image.fromarray(held_out_pair("melt_snowman", 3).before).save(file)
    return file


@pytest.fixture(scope="session")
def meadow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another one, of another size and shape."""
    file = tmp_path_factory.mktemp("pictures") / "meadow.png"
    Image.fromarray(held_out_pair("wilt_flower", 1).before).resize((320, 208)).save(file)
    return file
