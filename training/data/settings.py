"""What a fine-tuning run reads: the ``data`` part of its configuration."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from editworld_core.errors import BadInputError


def _number(default: float, low: float, high: float) -> Any:
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class DataSettings:
    """A data set, and how it is shown.

    Attributes:
        dataset: folder that ``training.generate`` wrote.
        precomputed: folder that ``training.precompute`` wrote from it; None encodes every picture and text each time.
        resolution: side in pixels of the square that pictures are cut to.
        aspect_buckets: cut each picture to that rectangle of about the same area which is nearest to its shape instead.
        horizontal_flip: show half of the pairs mirrored, but none whose instruction names a side.
        accepted_only: leave out what no reviewer has accepted, not only what one has dropped.
        use_masks: read the true masks.
        drop_text, drop_image, drop_both: shares of the items that are shown without them (Brooks et al. 2023, section
            3.2.1).
    """

    dataset: Path
    precomputed: Path | None = None
    resolution: int = _number(512, 8, 4096)
    aspect_buckets: bool = False
    horizontal_flip: bool = True
    accepted_only: bool = False
    use_masks: bool = False
    drop_text: float = _number(0.05, 0, 1)
    drop_image: float = _number(0.05, 0, 1)
    drop_both: float = _number(0.05, 0, 1)

    def __post_init__(self) -> None:
        """Refuse shares that are more than all.

        Raises:
            BadInputError: as it says.
        """
        if self.drop_text + self.drop_image + self.drop_both > 1:
            raise BadInputError(
                "data.drop_text, drop_image and drop_both are more than 1 together: lower them."
            )
