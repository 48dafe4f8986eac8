"""PICABench's folder: ``meta_info.json`` and ``input_img``; its Parquet files are read by ``columns``.

Verified in the public repository: the file is a list of records with index, input_path, edit_instruction,
physics_category, physics_law, edit_operation, difficulty, annotated_qa_pairs and edit_area, which is a list of boxes in
pixels of the input picture, or "unknown". The boxes become the mask, as in the benchmark's own measure of what an edit
leaves alone. The laws are the categories. ``output_path`` is where the benchmark wants an edit; it is not read.
"""

from collections import Counter
from pathlib import Path

from editworld_core.datagen.formats.item import BadItem
from editworld_core.errors import BadInputError
from editworld_core.evaluation.sources.columns import picabench_fields
from editworld_core.evaluation.sources.dataset import Kind, Listed
from editworld_core.evaluation.sources.entry import Entry, file, inside, sentence, text
from editworld_core.evaluation.sources.rows import Row, read_json_rows

META = "meta_info.json"


def knows(path: Path) -> bool:
    """Whether it is such a folder, or its list itself."""
    return path.name == META if path.is_file() else (path / META).is_file()


def read(path: Path) -> Listed:
    """Every record.

    Raises:
        BadInputError: the list is damaged, or a path leads out of the folder.
    """
    listing = path if path.is_file() else path / META
    try:
        entries = [_entry(listing.parent, number, row) for number, row in enumerate(read_json_rows(listing))]
    except BadItem as bad:
        raise BadInputError(sentence(bad)) from bad
    return Listed([entry.item for entry in entries], Counter(), skip_missing=True)


def _entry(folder: Path, number: int, row: Row) -> Entry:
    where = f"record {number + 1} in {META}"
    instruction = text(row, "edit_instruction", "superficial_prompt")
    if not instruction:
        raise BadItem("text damaged", f"{where} has no edit_instruction")
    return Entry(
        where=where,
        instruction=instruction,
        original=file(inside(folder, row.get("input_path"), where), f"the original of {where}"),
        **picabench_fields(row, number),
    )


KIND = Kind("picabench", f"PICABench's folder with {META}", knows, read)
