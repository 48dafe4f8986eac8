"""What has been measured, so that it is measured once: a small SQLite file beside the report.

A value belongs to a measurement, with its version and the weights it was made with, and to the content that it was
made of. So another data set may share it, a changed file is measured anew, and a killed run loses a few triplets.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from editworld_core.errors import BadInputError, EditWorldError

FILE = "measures.sqlite"
TABLE = """CREATE TABLE IF NOT EXISTS measures
    (measurement TEXT, content TEXT, value BLOB, PRIMARY KEY (measurement, content)) WITHOUT ROWID"""


class Cache:
    """Values, text or bytes, by measurement and content; ``open_cache`` makes one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, measurement: str, contents: Iterable[str]) -> dict[str, str | bytes]:
        """The values that are there, by content."""
        query = "SELECT value FROM measures WHERE measurement = ? AND content = ?"
        found = {
            content: self._connection.execute(query, (measurement, content)).fetchone()
            for content in contents
        }
        return {content: row[0] for content, row in found.items() if row}

    def put(self, measurement: str, values: Mapping[str, str | bytes]) -> None:
        """Keep values by content, for good."""
        with self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO measures VALUES (?, ?, ?)",
                [(measurement, content, value) for content, value in values.items()],
            )


@contextmanager
def open_cache(folder: Path) -> Iterator[Cache]:
    """The cache in ``folder``, which exists.

    Raises:
        BadInputError: the file is none of ours.
        EditWorldError: it cannot be written.
    """
    path = folder / FILE
    try:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(TABLE)
            yield Cache(connection)
    except sqlite3.OperationalError as error:
        raise EditWorldError(
            f"{path} cannot be written ({error}); free space, or give another folder."
        ) from error
    except sqlite3.DatabaseError as error:
        raise BadInputError(f"{path} is damaged ({error}); delete it and run the command again.") from error
