"""A consistent copy of the database while the box runs."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from appliance.box.home import Home
from appliance.files import sync_directory, sync_file
from appliance.store import records
from appliance.store.schema import open_reader


class Copied(NamedTuple):
    """What a copy holds and what belongs to it."""

    database: Path
    segment_files: list[Path]
    """Files of sealed segments in the archive, which never change; copy them as they are."""


def copy(home: Home, target: Path) -> Copied:
    """Copy the records' database into the directory `target`, as one snapshot: records.sqlite, flushed, without a WAL.

    One read transaction for the whole copy: the writer goes on, and its write-ahead log grows by what is written
    meanwhile. Documents and segment files only ever gain names before the commit that names them: copy them after the
    database. Raises FileExistsError when there is a copy, sqlite3.Error, OSError.
    """
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = target / "records.sqlite"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    source = open_reader(home.records)
    destination = sqlite3.connect(path, isolation_level=None)
    try:
        # All pages in one step: in several, every write of the recorder's would start it over.
        source.backup(destination, pages=-1)
        destination.execute("PRAGMA journal_mode = DELETE")
        files = [Path(segment.file) for segment in records.segments(destination) if segment.file is not None]
    finally:
        destination.close()
        source.close()
    sync_file(path)
    sync_directory(target)
    return Copied(path, [home.root / file for file in files])
