"""What a visitor orders in the Sample data tab: checked, made by the library, and said as the equal command line."""

import hashlib
import os
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from editworld_core.categories import Category
from editworld_core.errors import BadInputError
from editworld_core.simulation.world import dynamic_names, get_dynamic
from ui.checks import SEED, Range

Branch = Literal["simulation", "video", "text_to_image", "text"]
BRANCHES: dict[str, Branch] = {
    "Simulated worlds": "simulation",
    "Your videos": "video",
    "Texts, then pictures (GPU)": "text_to_image",
    "Texts only": "text",
}
COMMANDS = {"simulation": "simulate", "video": "video", "text_to_image": "pairs", "text": "text"}
COUNT, SIZE = Range("How many", 1, 200), Range("Size", 64, 512)
MOST_FILMS = 20
Tell = Callable[[int, int], None]


def dynamics_of(category: str) -> list[str]:
    """The names of the dynamics of ``category``."""
    return [name for name in dynamic_names() if get_dynamic(name).category == category]


@dataclass(frozen=True)
class Order:
    """One order; a field that its branch has no use for does not count."""

    branch: Branch
    categories: tuple[Category, ...] = tuple(Category)
    dynamics: tuple[str, ...] = ()
    count: int = 24
    seed: int = 0
    size: int = 256
    films: tuple[Path, ...] = ()

    def check(self) -> "Order":
        """The order itself.

        Raises:
            BadInputError: it cannot be carried out.
        """
        if self.branch not in COMMANDS:
            raise BadInputError("There is no such source; choose one from the list.")
        SIZE.check(self.size)
        if self.branch == "video":
            if not 1 <= len(self.films) <= MOST_FILMS:
                raise BadInputError(f"Add 1 to {MOST_FILMS} videos first: drop them on the field.")
            return self
        COUNT.check(self.count)
        SEED.check(self.seed)
        if not self.categories:
            raise BadInputError("Choose at least one category.")
        if self.branch == "simulation" and not self.dynamics:
            raise BadInputError("Choose at least one dynamic of the categories.")
        return self

    @property
    def name(self) -> str:
        """A folder's name; other orders have other ones."""
        label = self.branch.replace("_", "-")
        if self.branch == "video":
            hashes = [hashlib.sha256(film.read_bytes()).hexdigest() for film in self.films]
            return f"{label}-{len(self.films)}-{self.size}px-{_digest(hashes)}"
        name = f"{label}-{self.count}-seed{self.seed}"
        if self.branch != "text":
            name += f"-{self.size}px" if self.branch == "simulation" else ""
        part = self._part()
        return f"{name}-{_digest(part)}" if part else name

    def _part(self) -> list[str]:
        """What was chosen of the dynamics or categories; empty if everything was."""
        if self.branch == "simulation":
            return [] if set(self.dynamics) == set(dynamic_names()) else sorted(self.dynamics)
        return [] if set(self.categories) == set(Category) else [str(each) for each in self.categories]

    def command(self, output: str) -> str:
        """The command line that makes the same in the folder ``output``."""
        part = self._part()
        if self.branch == "video":
            films = [film.name for film in self.films]
            return _line("video", *films, "--size", self.size, "-o", output)
        if self.branch == "simulation":
            some = ["--dynamics", ",".join(part)] if part else []
            return _line(
                "simulate", "-n", self.count, *some, "--seed", self.seed, "--size", self.size, "-o", output
            )
        some = ["--categories", ",".join(part)] if part else []
        texts = f"{output}-texts" if self.branch == "text_to_image" else output
        source = "server" if _server() else "simulator"
        write = _line("text", "-n", self.count, "--sources", source, *some, "--seed", self.seed, "-o", texts)
        if self.branch == "text":
            return write
        return f"{write}\n{_line('pairs', texts, '--seed', self.seed, '-o', output)}"

    def make(self, folder: Path, tell: Tell) -> None:
        """Carry it out in ``folder``, or go on there; ``tell`` may end it by raising.

        Raises:
            EditWorldError: as the command line has it.
        """
        if self.branch == "simulation":
            from editworld_core.datagen.simulate import generate_simulated

            generate_simulated(
                folder,
                self.count,
                dynamics=sorted(self.dynamics),
                seed=self.seed,
                size=self.size,
                progress=tell,
            )
        elif self.branch == "video":
            from editworld_core.datagen.video import VideoSettings, generate_from_videos

            generate_from_videos(folder, self.films, VideoSettings(size=self.size), progress=tell)
        elif self.branch == "text":
            self._write_texts(folder, tell)
        else:
            self._make_pairs(folder, tell)

    def _write_texts(self, folder: Path, tell: Tell) -> None:
        from editworld_core.datagen.text import generate_text
        from editworld_core.datagen.text_sources import GrammarSource, MeteredServer, ModelSource

        source = ModelSource(MeteredServer()) if _server() else GrammarSource()
        generate_text(folder, self.count, [source], categories=self.categories, seed=self.seed, progress=tell)

    def _make_pairs(self, folder: Path, tell: Tell) -> None:
        from editworld_core.datagen.pair_models import PRESETS, revisions
        from editworld_core.datagen.pair_settings import PairSettings
        from editworld_core.datagen.pairs import generate_pairs
        from editworld_core.datagen.quadruple import read_quadruples
        from editworld_core.engines.place import best_place

        names = PRESETS["paper"]
        revisions(names)  # says what is missing before a text is written
        texts = folder.with_name(f"{folder.name}-texts")
        self._write_texts(texts, lambda done, total: tell(0, 0))
        generate_pairs(
            folder,
            list(read_quadruples(texts)),
            names,
            PairSettings(seed=self.seed),
            best_place(),
            progress=tell,
        )


def _server() -> bool:
    return bool(os.environ.get("EDITWORLD_LLM_URL"))


def _line(*words: object) -> str:
    return "python -m training.generate " + shlex.join(map(str, words))


def _digest(words: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:6]
