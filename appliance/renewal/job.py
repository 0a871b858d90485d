"""A job's own database: which files, what each needs, the tokens, and what came of each. SQLite, synchronous=FULL.

A job can die at any moment and be gone on with: what was planned stays planned, a token that was given is used, and a
file that was written is found to hold it. One process at a time has the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self

import msgspec

from appliance.quoting import quote
from appliance.renewal.errors import JobRefused, Reason
from appliance.renewal.planning import Planned, Wanted

_FORMAT: Final = "cinnabar-renewal-job/1"
_TABLES: Final = """
CREATE TABLE job (format TEXT NOT NULL, wanted BLOB NOT NULL);
CREATE TABLE tree (hash TEXT PRIMARY KEY, root BLOB NOT NULL, token BLOB);
CREATE TABLE item (
    number INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, state TEXT NOT NULL DEFAULT 'waiting',
    form TEXT, sha256 BLOB, hash TEXT, hashes BLOB, begins_chain INTEGER, reason TEXT, detail TEXT
);
CREATE INDEX item_state ON item (state);
"""


class Item(NamedTuple):
    """A file of the job that waits for something."""

    number: int
    path: Path


class Ready(NamedTuple):
    """A file that was planned."""

    number: int
    path: Path
    sha256: bytes
    hashes: tuple[bytes, ...]
    begins_chain: bool


class Failed(NamedTuple):
    """A file that was not renewed."""

    path: Path
    reason: Reason
    detail: str


class _Kept(msgspec.Struct, frozen=True):
    hash_name: str | None
    originals: str | None
    without_originals: bool


class Job:
    """A job in its file. A context manager."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self.path = path
        self._database = database

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """The job that stands there, to be gone on with; None: there is none. Raises JobRefused."""
        if not path.exists():
            return None
        database = _connected(path)
        try:
            if database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,):
                database.close()
                return None  # it died before its files were listed
            found = database.execute("SELECT format FROM job").fetchone()
        except sqlite3.Error as error:
            database.close()
            raise _unusable(path, error) from None
        if found != (_FORMAT,):
            database.close()
            raise JobRefused(f"{quote(str(path))} is a job of a format that this program lacks")
        return cls(path, database)

    @classmethod
    def begin(cls, path: Path, wanted: Wanted, files: Iterable[Path]) -> Self:
        """A new job over these files, each once. Raises JobRefused."""
        database = _connected(path)
        kept = _Kept(
            wanted.hash_name,
            None if wanted.originals is None else str(wanted.originals.absolute()),
            wanted.without_originals,
        )
        try:
            with database:
                database.execute("BEGIN IMMEDIATE")
                for statement in _TABLES.split(";"):
                    database.execute(statement)
                database.execute("INSERT INTO job VALUES (?, ?)", (_FORMAT, msgspec.json.encode(kept)))
                database.executemany(
                    "INSERT OR IGNORE INTO item (path) VALUES (?)", ((str(one.absolute()),) for one in files)
                )
        except sqlite3.Error as error:
            database.close()
            raise JobRefused(f"{quote(str(path))}: {error}") from None
        return cls(path, database)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another process go on with it."""
        self._database.close()

    @property
    def wanted(self) -> Wanted:
        """What is asked of its files."""
        (encoded,) = self._database.execute("SELECT wanted FROM job").fetchone()
        kept = msgspec.json.decode(encoded, type=_Kept)
        originals = None if kept.originals is None else Path(kept.originals)
        return Wanted(kept.hash_name, originals, kept.without_originals)

    def counts(self) -> dict[str, int]:
        """How many files are in each state: waiting, planned, done, failed."""
        return dict(self._database.execute("SELECT state, count(*) FROM item GROUP BY state"))

    def waiting(self, most: int) -> list[Item]:
        """Files that were not looked at yet."""
        rows = self._database.execute(
            "SELECT number, path FROM item WHERE state = 'waiting' ORDER BY number LIMIT ?", (most,)
        )
        return [Item(number, Path(path)) for number, path in rows]

    def planned(self, found: Sequence[tuple[int, Planned | Failed]]) -> None:
        """Enter what was found of files."""
        with self._database:
            for number, one in found:
                if isinstance(one, Failed):
                    self._fail(number, one.reason, one.detail)
                    continue
                renewal = one.renewal
                self._database.execute(
                    "UPDATE item SET state = 'planned', form = ?, sha256 = ?, hash = ?, hashes = ?, begins_chain = ?"
                    " WHERE number = ?",
                    (
                        one.form, one.sha256, renewal.algorithm.name, b"".join(renewal.hashes), renewal.begins_chain,
                        number,
                    ),
                )  # fmt: skip

    def hashes(self) -> list[str]:
        """The hashes that files need a tree of."""
        rows = self._database.execute("SELECT DISTINCT hash FROM item WHERE hash IS NOT NULL ORDER BY hash")
        return [name for (name,) in rows]

    def in_tree(self, hash_name: str, size: int) -> Iterator[Ready]:
        """All files of a tree in its order, those too that were written already. `size`: bytes of a hash."""
        rows = self._database.execute(
            "SELECT number, path, sha256, hashes, begins_chain FROM item WHERE hash = ? ORDER BY number", (hash_name,)
        )
        for number, path, sha256, hashes, begins in rows:
            each = tuple(hashes[at : at + size] for at in range(0, len(hashes), size))
            yield Ready(number, Path(path), sha256, each, bool(begins))

    def unwritten(self) -> set[int]:
        """The numbers of files that are planned and not done."""
        return {number for (number,) in self._database.execute("SELECT number FROM item WHERE state = 'planned'")}

    def token(self, hash_name: str) -> tuple[bytes, bytes] | None:
        """Root and token of a tree; None: there is no token yet."""
        found: tuple[bytes, bytes] | None = self._database.execute(
            "SELECT root, token FROM tree WHERE hash = ?", (hash_name,)
        ).fetchone()
        return found

    def stamped(self, hash_name: str, root: bytes, token: bytes) -> None:
        """Keep a token, on disk before anything is written with it."""
        with self._database:
            self._database.execute("INSERT INTO tree VALUES (?, ?, ?)", (hash_name, root, token))

    def done(self, numbers: Iterable[int]) -> None:
        """Files that hold their renewal."""
        with self._database:
            self._database.executemany("UPDATE item SET state = 'done' WHERE number = ?", ((one,) for one in numbers))

    def failed(self, number: int, reason: Reason, detail: str) -> None:
        """A file that cannot be written."""
        with self._database:
            self._fail(number, reason, detail)

    def _fail(self, number: int, reason: Reason, detail: str) -> None:
        self._database.execute(
            "UPDATE item SET state = 'failed', reason = ?, detail = ? WHERE number = ?", (reason.value, detail, number)
        )

    def failures(self) -> Iterator[Failed]:
        """Files that were not renewed, in the order given."""
        rows = self._database.execute("SELECT path, reason, detail FROM item WHERE state = 'failed' ORDER BY number")
        for path, reason, detail in rows:
            yield Failed(Path(path), Reason(reason), detail)

    def remove(self) -> None:
        """Remove the database: everything was told."""
        self._database.close()
        for suffix in ("", "-wal", "-shm", "-journal"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)


def _unusable(path: Path, error: sqlite3.Error) -> JobRefused:
    return JobRefused(f"{quote(str(path))} is no job of renewals, or another process has it: {error}")


def _connected(path: Path) -> sqlite3.Connection:
    try:
        database = sqlite3.connect(path, timeout=0)
    except sqlite3.Error as error:
        raise _unusable(path, error) from None
    try:
        # The lock is held as long as the process lives, so that no two go on with one job.
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        database.close()
        raise _unusable(path, error) from None
    return database
