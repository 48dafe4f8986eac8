"""What the tests of the page share."""

from pathlib import Path

import pytest
from stand_in import noise
from tab import Page, open_page


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """A file to upload."""
    file = tmp_path / "upload.png"
    noise(4).save(file)
    return str(file)


@pytest.fixture
def page(picture: str) -> Page:
    """The tab behind a stand-in engine."""
    return open_page(picture)
