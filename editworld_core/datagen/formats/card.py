"""The README.md that the hub and ``datasets.load_dataset`` read."""

from collections.abc import Mapping
from pathlib import Path

CARD = """---
{features}configs:
- config_name: default
  data_files:
  - split: train
    path: {files}
task_categories:
- image-to-image
---

{about}

Exported by EditWorld's `training.generate export`; `export.json` has the counts, and says which fields this format
could not hold. The licence is for whoever publishes this to state.
"""


def write_card(folder: Path, files: str, about: str, features: Mapping[str, str] | None = None) -> None:
    """Write the card of an export.

    Args:
        folder: of the export.
        files: a pattern for those that hold the data.
        about: a sentence on what they hold.
        features: what each column is, where the files do not say it themselves.
    """
    listed = "".join(f"  - name: {name}\n    dtype: {kind}\n" for name, kind in (features or {}).items())
    words = f"dataset_info:\n  features:\n{listed}" if listed else ""
    (folder / "README.md").write_text(CARD.format(features=words, files=files, about=about), encoding="utf-8")
