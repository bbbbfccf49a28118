"""SQLite files: whether one is ours, found out without writing to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from pathlib import Path
from urllib.parse import quote

from aebert.support.errors import AebertError
from aebert.support.input_files import check_regular, reason

_MAGIC = b"SQLite format 3\0"


def check_sqlite_file(path: Path, what: str, tables: Collection[str]) -> None:
    """Raises AebertError for a file that holds something and none of ``tables``: opening it for writing changes it.

    ``what`` says in the error whose tables those are.
    """
    remedy = "choose another file for the database"
    check_regular(path, remedy)
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise AebertError(f"{path}: cannot be a database ({reason(error)}); {remedy}") from None
    if not size:
        return
    with path.open("rb") as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise AebertError(f"{path}: is not a SQLite file; choose another one for the database")
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro", uri=True)
        try:
            found = {str(name) for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise AebertError(f"{path}: cannot be read as a database ({error}); choose another file") from None
    if found and not found & {*tables}:
        raise AebertError(
            f"{path}: a SQLite file of something else (table {min(found)!r}, no {what}); choose another one"
        )
