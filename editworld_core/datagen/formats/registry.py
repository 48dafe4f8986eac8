"""The formats by the name that the command line knows them by."""

from editworld_core.datagen.formats.editworld import EditWorldFormat
from editworld_core.datagen.formats.instructpix2pix import InstructPix2PixFormat
from editworld_core.datagen.formats.item import Format
from editworld_core.datagen.formats.magicbrush import MagicBrushFormat
from editworld_core.datagen.formats.parquet import ParquetFormat
from editworld_core.datagen.formats.webdataset import WebDatasetFormat
from editworld_core.errors import BadInputError

FORMATS: dict[str, Format] = {
    "editworld": EditWorldFormat(),
    "parquet": ParquetFormat(),
    "webdataset": WebDatasetFormat(),
    "instructpix2pix": InstructPix2PixFormat(),
    "magicbrush": MagicBrushFormat(),
}


def get_format(name: str) -> Format:
    """The format called ``name``.

    Raises:
        BadInputError: there is none.
    """
    if name not in FORMATS:
        raise BadInputError(f"There is no format {name!r}; choose one of {', '.join(FORMATS)}.")
    return FORMATS[name]
