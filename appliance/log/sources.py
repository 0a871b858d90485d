"""The recorder's database as `cinnabar log` reads it: through the admin socket of a running box, else from its file."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from appliance.box.home import Home
from appliance.errors import NotFound
from appliance.files import acting_as_owner_of
from appliance.log.check import RecordSource
from appliance.recorder.admin import AdminClient
from appliance.recorder.administration import GOVERNED
from appliance.recorder.errors import RecorderUnavailable
from appliance.store import records, rows, schema, usage


class SocketSource:
    """A running recorder."""

    def __init__(self, client: AdminClient) -> None:
        self._client = client

    def leaves(self, log: str, first: int, limit: int) -> bytes:
        try:
            packed: bytes = self._client.query("read_leaves", log, first, limit)
        except NotFound:
            return b""
        return packed

    def head(self, origin: str) -> tuple[int, bytes] | None:
        found = self._client.query("head", origin)
        return None if found is None else (found[0], found[1])


class FileSource:
    """The database of a stopped recorder, read-only."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def leaves(self, log: str, first: int, limit: int) -> bytes:
        number = rows.tenant_number(self._connection, log)
        return b"" if number is None else records.read_commitments(self._connection, number, first, limit)

    def head(self, origin: str) -> tuple[int, bytes] | None:
        found = rows.read_head(self._connection, origin)
        return None if found is None else (found[0], found[1])

    def governed(self) -> bool:
        """Whether the box has officers."""
        return usage.read_flag(self._connection, GOVERNED)


def deleted_records(home: Home) -> Path | None:
    """The database's path where it is not there; None where it is, or where this user cannot tell."""
    database = home.records / "records.sqlite"
    try:
        return None if database.exists() else database
    except PermissionError:
        return None


@contextlib.contextmanager
def open_records(home: Home) -> Iterator[RecordSource | None]:
    """The records of a box, or None where this user can read neither socket nor file. Raises sqlite3.Error where what
    stands there is no database.

    Root opens the file as the recorder, who may have put there a link to another's."""
    if home.admin_socket.exists():
        try:
            client = AdminClient(home.admin_socket)
        except (RecorderUnavailable, PermissionError):
            pass
        else:
            with client:
                yield SocketSource(client)
            return
    try:
        with acting_as_owner_of(home.records):
            connection = schema.open_reader(home.records)
            connection.execute("SELECT 1 FROM sqlite_master").fetchone()  # opens what lies beside the database as well
    except (FileNotFoundError, sqlite3.OperationalError):
        yield None
        return
    try:
        yield FileSource(connection)
    finally:
        connection.close()
