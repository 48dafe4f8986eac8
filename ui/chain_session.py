"""What one visitor has in the Chain tab, in a folder of their own."""

import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from editworld_core.chain import Chain
from editworld_core.errors import BadInputError
from editworld_core.film import FilmSettings, write_film
from editworld_core.images import write_png
from ui.session import HISTORY_PIXELS


@dataclass
class ChainSession:
    """One visitor's chain.

    Attributes:
        source: the uploaded file that the chain began with.
        chain: None before the first step.
        files: PNG of the upload and of the picture after each step.
        working: held by the step in the making, so that another one waits.
    """

    source: str = ""
    chain: Chain | None = None
    files: list[Path] = field(default_factory=list)
    working: threading.Lock = field(default_factory=threading.Lock, repr=False)
    # removed when the session is forgotten, and at the latest when the program ends
    _folder: tempfile.TemporaryDirectory = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="editworld-chain-"), repr=False
    )
    _written: int = 0

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()

    def before(self, source: str, picture: Image.Image) -> Chain:
        """The chain that the next step goes on: what there is, or a new one if ``source`` is another picture.

        Raises:
            BadInputError: the pictures are so large that another one would be too much.
        """
        if self.chain is None or source != self.source:
            return Chain(picture)
        size = self.chain.original.width * self.chain.original.height
        if size * (len(self.chain.steps) + 2) > HISTORY_PIXELS:
            raise BadInputError(
                "These pictures are too large for another step; begin a new chain with the last one, made smaller."
            )
        return self.chain

    def take(self, source: str, chain: Chain) -> None:
        """Keep ``chain``, one step longer or shorter than before, or new."""
        if source != self.source or self.chain is None or chain.original is not self.chain.original:
            self.forget()
            self.files.append(self._new("original.png"))
            write_png(self.files[0], chain.original)
        while len(self.files) > len(chain.pictures):
            self.files.pop().unlink(missing_ok=True)
        for place in range(len(self.files), len(chain.pictures)):
            step = chain.steps[place - 1]
            self.files.append(self._new(f"step-{place}.png"))
            write_png(self.files[-1], step.picture, step.instruction, step.settings)
        self.source, self.chain = source, chain

    def forget(self) -> None:
        """Be without a chain again."""
        for file in self.files:
            file.unlink(missing_ok=True)
        self.source, self.chain, self.files = "", None, []

    def film(self, ending: str, captions: bool, fade: bool) -> Path:
        """The film of the chain as a new file.

        Raises:
            BadInputError: there is no chain yet.
        """
        if self.chain is None or not self.chain.steps:
            raise BadInputError("There is nothing to show yet; add a step first.")
        usual = FilmSettings()
        settings = FilmSettings(usual.hold, usual.fade if fade else 0.0, captions)
        path = self._new(f"editworld-chain{ending}")
        write_film(path, self.chain.pictures, self.chain.captions, settings)
        return path

    def _new(self, name: str) -> Path:
        """A path that no file had before: a browser keeps what it has seen under the same name."""
        self._written += 1
        folder = Path(self._folder.name) / str(self._written)
        folder.mkdir()
        return folder / name
