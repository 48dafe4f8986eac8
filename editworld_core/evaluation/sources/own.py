"""Our own data sets: ``manifest.jsonl`` with pictures, masks and captions, as their reviewers left them."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from editworld_core.datagen.recheck_log import apply, read_log
from editworld_core.datagen.records import ABOUT, MANIFEST, read_triplets
from editworld_core.datagen.triplet import Triplet
from editworld_core.evaluation.record import Item
from editworld_core.evaluation.sources.dataset import Kind, Listed
from editworld_core.evaluation.sources.entry import Entry, file


def knows(path: Path) -> bool:
    """Whether it is a folder with our manifest or our ``dataset.json``."""
    return path.is_dir() and any((path / name).is_file() for name in (ABOUT, MANIFEST))


def read(path: Path) -> Listed:
    """Every triplet that no reviewer dropped and that has an instruction.

    Raises:
        BadInputError: a line of the manifest or of the recheck log is damaged.
    """
    triplets = list(read_triplets(path))
    kept = list(apply(triplets, read_log(path)))
    told = [triplet for triplet in kept if triplet.instruction.strip()]
    left_out = Counter(
        {
            "reviewers dropped them": len(triplets) - len(kept),
            "they have no instruction": len(kept) - len(told),
        }
    )
    return Listed([partial(_item, path, triplet) for triplet in told], +left_out)


def _item(folder: Path, triplet: Triplet) -> Item:
    where = f"triplet {triplet.id}"
    mask = None if triplet.mask is None else file(folder / triplet.mask, f"the mask of {where}")
    return Entry(
        where=where,
        id=triplet.id,
        instruction=triplet.instruction,
        original=file(folder / triplet.original_image, f"the original of {where}"),
        target=file(folder / triplet.target_image, f"the target of {where}"),
        mask=mask,
        category=triplet.category.value,
        branch=triplet.branch,
        caption_before=triplet.original_caption,
        caption_after=triplet.target_caption,
        about=_about(triplet),
    ).item()


def _about(triplet: Triplet) -> Mapping[str, Any]:
    """The keywords, and of a simulated triplet the world that it shows, as ``sources.simulated`` tells of it."""
    from editworld_core.simulation.world import dynamic_names, get_dynamic

    keywords = list(triplet.keywords)
    dynamic = triplet.recipe.get("dynamic")
    if triplet.branch != "simulation" or dynamic not in dynamic_names():
        return {"keywords": keywords}
    return {
        "keywords": keywords,
        "dynamic": dynamic,
        "seed": triplet.seeds.get("scene", 0),
        "local": get_dynamic(dynamic).local,
    }


KIND = Kind("editworld-dataset", "a data set of training.generate", knows, read)
