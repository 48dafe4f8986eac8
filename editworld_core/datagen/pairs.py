"""A run of the text-to-image branch: quadruples in, a data set out, resumable after each of them.

What could not become a pair is noted beside the data set in ``rejected.jsonl``, a line each with the reason, so that
nothing vanishes without a word and a resumed run does not pay for it again. Delete the file to try again.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from editworld_core.datagen.contact_sheet import data_set_sheet
from editworld_core.datagen.judging import judge
from editworld_core.datagen.pair_records import (
    PairRecord,
    keyword_mask_path,
    original_of,
    pair_id,
    target_of,
    to_files,
    to_triplet,
)
from editworld_core.datagen.pair_settings import PairSettings
from editworld_core.datagen.quadruple import Quadruple
from editworld_core.datagen.records import DataSetWriter, encode_png, open_data_set, write_file
from editworld_core.datagen.runner import LocalRunner, Runner
from editworld_core.datagen.simulate import SHEET
from editworld_core.engines.protocol import Progress
from editworld_core.errors import BadInputError
from editworld_core.language import LanguageModel

if TYPE_CHECKING:
    from editworld_core.datagen.pair_models import ModelNames, PairModels
    from editworld_core.engines.place import Place

logger = logging.getLogger(__name__)

REJECTED = "rejected.jsonl"


@dataclass(frozen=True)
class Rejection:
    """A quadruple that became no pair: the id that the pair would have had, its quadruple's id, and why."""

    id: str
    quadruple: str
    reason: str


@dataclass(frozen=True)
class PairsReport:
    """What a run did.

    Attributes:
        asked: quadruples; ``added`` of them became pairs in this run.
        total: triplets in the data set now.
        rejected: those of the asked quadruples that gave no pair, now or in an earlier run.
        judge: the language model that filtered the new pairs; None if nobody did.
    """

    folder: str
    asked: int
    added: int
    total: int
    by_category: dict[str, int]
    rejected: list[Rejection]
    judge: str | None
    seconds: float
    contact_sheet: str


def generate_pairs(
    folder: Path,
    quadruples: Sequence[Quadruple],
    names: "ModelNames",
    settings: PairSettings,
    place: "Place | Callable[[], Place]",
    *,
    batch: int = 1,
    runner: Runner | None = None,
    filter_by: LanguageModel | None = None,
    progress: Progress | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> PairsReport:
    """Make a pair of each of ``quadruples`` and add it to a data set.

    Pairs that are there already are not made again, so the same call goes on where a killed one stopped; the models are
    loaded only if something is missing.

    Args:
        folder: new, empty, or a data set.
        place: where the models compute, or what chooses it in each worker.
        batch: pictures drawn at once.
        runner: who draws, each worker with models of its own; None is this process.
        filter_by: a language model that sees pictures; what it finds bad is left out. Pairs of earlier runs keep what
            was found then. None filters nothing.
        progress: called at the start and after each quadruple with the number that is done and that of all.
        on_stage: told what happens to the current one; of drawing only if this process does it.

    Raises:
        BadInputError: the folder or a number cannot be used, or there is no quadruple.
        EngineUnavailableError: weights or memory are missing.
        EditWorldError: the disk is full, another process writes to the folder, a worker died, or the filter cannot be
            asked.
    """
    from editworld_core.datagen.pair_models import revisions

    start = time.perf_counter()
    quadruples = list({quadruple.id: quadruple for quadruple in quadruples}.values())
    if not quadruples:
        raise BadInputError(
            "There are no quadruples to make pairs from; write some with training.generate text."
        )
    if batch < 1:
        raise BadInputError(f"The batch must be at least 1, not {batch}.")
    versions = revisions(names)
    asked = {pair_id(quadruple, settings, versions): quadruple for quadruple in quadruples}
    about = {
        "branch": "text_to_image",
        "models": versions,
        "filter": filter_by.name if filter_by else None,
        **asdict(settings),
    }
    with open_data_set(folder, about) as writer:
        before, rejected = len(writer), _read_rejected(folder)
        missing = {
            item: quadruple
            for item, quadruple in asked.items()
            if item not in writer and item not in rejected
        }
        if progress is not None:
            progress(len(asked) - len(missing), len(asked))
        stage = _Maker(names, settings, place, batch, on_stage)
        with closing((runner or LocalRunner()).map(stage, list(missing.values()))) as drawn:
            for done, made in enumerate(drawn, len(asked) - len(missing) + 1):
                reason = _add(writer, made, settings, versions, filter_by, on_stage)
                if reason:
                    _note(folder, rejected, reason)
                if progress is not None:
                    progress(done, len(asked))
        counts = writer.counts()
    write_file(folder / SHEET, encode_png(data_set_sheet(folder)))
    return PairsReport(
        folder=str(folder),
        asked=len(asked),
        added=counts["triplets"] - before,
        total=counts["triplets"],
        by_category=counts["by_category"],
        rejected=[rejected[item] for item in asked if item in rejected],
        judge=filter_by.name if filter_by else None,
        seconds=round(time.perf_counter() - start, 2),
        contact_sheet=str(folder / SHEET),
    )


@dataclass(frozen=True)
class _Failure:
    """A quadruple that cannot be drawn, and why."""

    quadruple: Quadruple
    reason: str


class _Maker:
    """All stages of a pair, with models that are loaded when the first quadruple comes and then stay."""

    def __init__(
        self,
        names: "ModelNames",
        settings: PairSettings,
        place: "Place | Callable[[], Place]",
        batch: int,
        on_stage: Callable[[str], None] | None = None,
    ) -> None:
        self._names, self._settings, self._place, self._batch = names, settings, place, batch
        self._on_stage = on_stage

    def __reduce__(self) -> tuple[Any, ...]:
        """Sent to a worker, it leaves behind what it has loaded and whom it tells."""
        return _Maker, (self._names, self._settings, self._place, self._batch)

    @cached_property
    def _models(self) -> "PairModels":
        from editworld_core.datagen.pair_models import load_models

        place = self._place() if callable(self._place) else self._place
        return load_models(self._names, place, self._batch)

    def __call__(self, quadruple: Quadruple) -> PairRecord | _Failure:
        from editworld_core.datagen.text_to_image import make_pair

        models = self._models
        try:
            return make_pair(quadruple, models, self._settings, self._on_stage)
        except BadInputError as error:
            return _Failure(quadruple, str(error))


def _add(
    writer: DataSetWriter,
    made: PairRecord | _Failure,
    settings: PairSettings,
    versions: Mapping[str, str],
    filter_by: LanguageModel | None,
    on_stage: Callable[[str], None] | None,
) -> Rejection | None:
    """Filter the pair and write it; or say why not."""
    quadruple = made.quadruple
    item = pair_id(quadruple, settings, versions)
    if isinstance(made, _Failure):
        return Rejection(item, quadruple.id, made.reason)
    record = made
    if filter_by is not None:
        if on_stage is not None:
            on_stage("judge")
        verdict = judge(original_of(record), target_of(record), quadruple, filter_by)
        if verdict.failed:
            return Rejection(item, quadruple.id, f"{', '.join(verdict.failed)}: {verdict.reason}")
        scores = {f"mllm_{aspect}": score for aspect, score in verdict.scores.items()}
        record = replace(record, scores={**record.scores, **scores})
    original, target, mask = to_files(record)
    write_file(writer.folder / keyword_mask_path(item), mask)
    writer.add(to_triplet(record, settings, versions), original, target)
    return None


def _read_rejected(folder: Path) -> dict[str, Rejection]:
    """What earlier runs rejected, by id.

    Raises:
        BadInputError: the file is damaged.
    """
    path = folder / REJECTED
    if not path.exists():
        return {}
    try:
        found = [Rejection(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError, TypeError) as error:
        raise BadInputError(
            f"{path} is damaged; restore it, or delete it to try those quadruples again."
        ) from error
    return {rejection.id: rejection for rejection in found}


def _note(folder: Path, rejected: dict[str, Rejection], new: Rejection) -> None:
    """Add ``new`` to the rejections, in memory and on disk, where the file is replaced as a whole."""
    logger.warning("Left out quadruple %s: %s", new.quadruple, new.reason)
    rejected[new.id] = new
    lines = (json.dumps(asdict(each), ensure_ascii=False) for each in rejected.values())
    write_file(folder / REJECTED, "".join(f"{line}\n" for line in lines).encode())
