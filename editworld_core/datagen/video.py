"""The video branch: from films to pairs of frames, with an instruction where there are models to write one.

Each clip of a film gives at most one pair (``clips``, ``frame_pairs``). Without a ``StoryTeller`` a pair's instruction
and captions are empty and its category is a guess (Spatial-Trans if it is mostly movement, else Physical-Trans): both
are for the recheck to write.

Beside the data set, ``videos/`` has a file for each film that is finished, so that the same call goes on where a
killed one stopped without decoding those again.
"""

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image

from editworld_core.categories import Category
from editworld_core.datagen.aesthetic import LEAST, Aesthetic
from editworld_core.datagen.clips import LONGEST, Clip, check_film, read_clips
from editworld_core.datagen.contact_sheet import data_set_sheet
from editworld_core.datagen.frame_features import load_features
from editworld_core.datagen.frame_pairs import Choice, FramePair, as_squares, choose_pair
from editworld_core.datagen.records import DataSetWriter, encode_png, open_data_set, write_file
from editworld_core.datagen.story import Story, StoryTeller, pick_frames
from editworld_core.datagen.triplet import Triplet, image_path, item_id
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError

log = logging.getLogger(__name__)

ENDINGS = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".ogv", ".flv", ".3gp", ".gif"}
)
FINISHED = "videos"
SHEET = "contact-sheet.png"
SMALLEST, LARGEST = 64, 1024
SOURCES = ("clips.py", "shots.py", "frame_pairs.py", "frame_features.py")


@dataclass(frozen=True)
class VideoSettings:
    """How pairs are made.

    Attributes:
        size: shorter side of the images in pixels at most; films are never enlarged.
        longest: seconds; a longer shot gives several clips.
        choice: thresholds of identity and change.
        features: folder or hub id of a vision model that judges identity; None takes AlexNet.
        least_aesthetic: clips that score less are dropped, if there is a predictor.
    """

    size: int = 512
    longest: float = LONGEST
    choice: Choice = field(default_factory=Choice)
    features: str | None = None
    least_aesthetic: float = LEAST


@dataclass
class VideoReport:
    """What a run did.

    Attributes:
        folder: the data set.
        films: that were asked for.
        clips: that they have.
        pairs: clips that gave one; ``added`` of them were new.
        unwritten: pairs that have no instruction yet.
        dropped: pairs under the aesthetic threshold.
        skipped: films that could not be read, each with the reason.
        aesthetic: the predictor, or that there is none.
        total, by_category: what the data set now holds.
        seconds: of work.
        contact_sheet: a picture of what is there; None if nothing is.
    """

    folder: str
    films: int
    aesthetic: str
    clips: int = 0
    pairs: int = 0
    added: int = 0
    unwritten: int = 0
    dropped: int = 0
    skipped: dict[str, str] = field(default_factory=dict)
    total: int = 0
    by_category: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    contact_sheet: str | None = None


def generate_from_videos(
    folder: Path,
    films: Sequence[Path],
    settings: VideoSettings | None = None,
    *,
    teller: StoryTeller | None = None,
    aesthetic: Aesthetic | None = None,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> VideoReport:
    """Add the best pair of frames of every clip of ``films`` to a data set.

    Films that are finished are not decoded again, and pairs that are there are not described again.

    Args:
        folder: new, empty, or a data set.
        films: files, see ``list_films``.
        settings: None takes the defaults.
        teller: writes the instructions; None leaves them empty.
        aesthetic: the predictor by which clips are dropped; None keeps all.
        skip_bad: go on after a film that cannot be read, and count it.
        progress: called at the start and after each film with the number that is done and that of all.

    Raises:
        BadInputError: a setting or the folder cannot be used, or a film cannot be read.
        EngineUnavailableError: weights are missing.
        EditWorldError: the disk is full, another process writes to the folder, or a model does not answer.
    """
    start = time.perf_counter()
    settings = settings or VideoSettings()
    _check(settings, films)
    if not skip_bad:
        for film in films:
            check_film(film)
    maker = _Maker(settings, teller, aesthetic)
    report = VideoReport(
        str(folder),
        len(films),
        aesthetic.name
        if aesthetic
        else "absent: no predictor was named, so nothing was dropped for its looks",
    )
    with open_data_set(folder, maker.noted()) as writer:
        for done, film in enumerate(films):
            if progress is not None:
                progress(done, len(films))
            try:
                _add(report, maker.make(film, writer))
            except BadInputError as error:
                if not skip_bad:
                    raise
                log.warning("%s", error)
                report.skipped[str(film)] = str(error)
        if progress is not None:
            progress(len(films), len(films))
        counts = writer.counts()
    report.total, report.by_category = counts["triplets"], counts["by_category"]
    if report.total:
        report.contact_sheet = str(folder / SHEET)
        write_file(folder / SHEET, encode_png(data_set_sheet(folder)))
    report.seconds = round(time.perf_counter() - start, 2)
    return report


def list_films(paths: Sequence[Path]) -> list[Path]:
    """The files among ``paths`` and the films in the folders among them, each once.

    Raises:
        BadInputError: a folder has no film in it.
    """
    films: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            films[path] = None
            continue
        found = [entry for entry in sorted(path.iterdir()) if entry.suffix.lower() in ENDINGS]
        if not found:
            raise BadInputError(
                f"{path} has no film in it ({', '.join(sorted(ENDINGS))}); give another folder."
            )
        films.update(dict.fromkeys(found))
    return list(films)


def _check(settings: VideoSettings, films: Sequence[Path]) -> None:
    if not films:
        raise BadInputError("There is no film to take pairs from; give at least one video file.")
    if not SMALLEST <= settings.size <= LARGEST:
        raise BadInputError(
            f"The size must lie between {SMALLEST} and {LARGEST} pixels, not be {settings.size}."
        )
    if not 1 <= settings.longest <= 3600:
        raise BadInputError(f"A clip may last from 1 to 3600 seconds, not {settings.longest:g}.")
    if not -1 <= settings.choice.identity < 1:
        raise BadInputError(f"The identity must lie between -1 and 1, not be {settings.choice.identity:g}.")
    if not 0 < settings.choice.change <= 1:
        raise BadInputError(f"The least change must lie between 0 and 1, not be {settings.choice.change:g}.")


@dataclass
class _Done:
    """What became of one film; ``pairs`` has the ids of its triplets."""

    name: str
    clips: int = 0
    pairs: list[str] = field(default_factory=list)
    unwritten: int = 0
    dropped: int = 0
    added: int = 0


def _add(report: VideoReport, done: _Done) -> None:
    report.clips += done.clips
    report.pairs += len(done.pairs)
    report.added += done.added
    report.unwritten += done.unwritten
    report.dropped += done.dropped


class _Maker:
    """Makes the pairs of one film after the other, with the networks loaded once."""

    def __init__(
        self, settings: VideoSettings, teller: StoryTeller | None, aesthetic: Aesthetic | None
    ) -> None:
        self._settings, self._teller, self._aesthetic = settings, teller, aesthetic
        name, self._features = load_features(settings.features)
        self._models = {"pairs": revision(), "features": name, **(teller.models if teller else {})}
        if aesthetic is not None:
            self._models["aesthetic"] = aesthetic.name

    def noted(self) -> dict[str, Any]:
        """The settings, as the data set notes them."""
        return {"branch": "video", **asdict(self._settings), "models": self._models}

    def make(self, film: Path, writer: DataSetWriter) -> _Done:
        """Write the pairs of ``film``, or recall that they are written."""
        digest = hash_file(film)
        mark = writer.folder / FINISHED / f"{_digest(digest, self.noted())}.json"
        recalled = _recall(mark, writer)
        if recalled is not None:
            return recalled
        done = _Done(film.name)
        for clip in read_clips(film, self._settings.size, self._settings.longest):
            done.clips += 1
            self._add_pair(clip, digest, writer, done)
        write_file(mark, json.dumps(asdict(done)).encode())
        return done

    def _add_pair(self, clip: Clip, digest: str, writer: DataSetWriter, done: _Done) -> None:
        pair = choose_pair(as_squares(clip.frames), self._settings.choice, self._features)
        if pair is None:
            return
        times = [round(clip.times[place], 3) for place in (pair.first, pair.second)]
        recipe = {"file": digest, "shot": clip.shot, "frames": times, "size": self._settings.size}
        item = item_id("video", recipe, {}, self._models)
        if item in writer:
            done.pairs.append(item)
            done.unwritten += self._teller is None
            return
        images = [Image.fromarray(frame) for frame in pick_frames(clip.frames, pair.first, pair.second)]
        scores = _scores(pair)
        if self._aesthetic is not None:
            scores["aesthetic"] = round(sum(self._aesthetic([images[0], images[-1]])) / 2, 3)
            if scores["aesthetic"] < self._settings.least_aesthetic:
                done.dropped += 1
                return
        story = self._teller.tell(images) if self._teller else None
        triplet = _triplet(item, recipe, self._models, scores, story or _untold(pair))
        done.added += writer.add(triplet, encode_png(images[0]), encode_png(images[-1]))
        done.pairs.append(item)
        done.unwritten += story is None


def _triplet(
    item: str, recipe: dict[str, Any], models: Mapping[str, str], scores: dict[str, float], story: Story
) -> Triplet:
    return Triplet(
        id=item,
        branch="video",
        category=story.category,
        instruction=story.instruction,
        original_caption=story.original_caption,
        target_caption=story.target_caption,
        keywords=story.keywords,
        original_image=image_path(item, "original"),
        target_image=image_path(item, "target"),
        mask=None,
        recipe=recipe,
        seeds={},
        models=models,
        scores=scores,
    )


def _scores(pair: FramePair) -> dict[str, float]:
    names = ("identity", "change", "story", "motion")
    return {name: round(getattr(pair, name), 4) for name in names}


def _untold(pair: FramePair) -> Story:
    category = Category.SPATIAL_TRANS if pair.motion > pair.change else Category.PHYSICAL_TRANS
    return Story("", "", "", (), category)


def _recall(mark: Path, writer: DataSetWriter) -> _Done | None:
    """What became of a film in a run before; None if it was not finished, or some of its pairs are gone."""
    try:
        done = _Done(**json.loads(mark.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    done.added = 0
    return done if all(item in writer for item in done.pairs) else None


def hash_file(path: Path) -> str:
    """The hash of a file's content, 16 hexadecimal digits.

    Raises:
        BadInputError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be read ({error.strerror}); give a video file that can be."
        ) from error


def _digest(*made_of: Any) -> str:
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:16]


@lru_cache(maxsize=1)
def revision() -> str:
    """A hash of the source that chooses pairs, since other code chooses other ones."""
    root = files("editworld_core.datagen")
    source = hashlib.sha256()
    for name in SOURCES:
        source.update(name.encode() + (root / name).read_bytes())
    return source.hexdigest()[:12]
