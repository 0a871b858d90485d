"""What a backup holds, and in which order it is read from a running box.

1. The logs, each one's checkpoint first: tiles only grow, so those read later contain the head.
2. Everything else but records and documents: settings, secrets, trust, clients, front, the rehearsal's tokens.
3. The records, as one consistent copy of the database: it records every head of step 1 and covers every leaf.
4. Documents: flushed before the row that names them, so what the copy of step 3 names is there.

Not in it: HOME/run, and exported checkpoints, which must never come back with the state they are to be held against.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import tarfile
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from appliance.anchorer.outbox import FILE as OUTBOX
from appliance.backup.errors import BackupFailed
from appliance.backup.reading import HomeReader, directories_in
from appliance.backup.stream import EncryptingWriter
from appliance.box.home import Home
from appliance.box.settings import BoxSettings, read_settings
from appliance.files import acting_as_owner_of, open_file
from appliance.log.exports import export_directory
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE
from appliance.store.backup import copy
from appliance.store.schema import must_be_plain

MANIFEST = ".manifest.json"
DATABASE = "records.sqlite"


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The first member of a backup."""

    format: str = "cinnabar-backup/1"
    box_id: str
    created: int
    """Microseconds since the epoch."""
    home: str
    """Path of the home that was backed up."""
    mode: int = 0o700
    """Permission bits of the home itself."""
    origins: list[str]


@dataclass(frozen=True)
class Made:
    """What a backup came to."""

    files: int
    bytes: int
    """Of plaintext."""


def write_backup(home: Home, target: BinaryIO, passphrase: bytes) -> Made:
    """Back the whole box up into `target`. The box may be running. Raises BackupFailed."""
    settings = read_settings(home.settings)
    writer = EncryptingWriter(target, passphrase)
    # tarfile wants a file object; in stream mode it only writes.
    with tarfile.open(fileobj=cast("BinaryIO", writer), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        made = _Backup(home, settings, archive).run()
    writer.close()
    return made


class _Backup:
    def __init__(self, home: Home, settings: BoxSettings, archive: tarfile.TarFile) -> None:
        self._home = home
        self._settings = settings
        self._archive = archive
        self._files = self._bytes = 0
        self._added: set[Path] = set()
        exports = export_directory(home.root, settings.checkpoint_exports)
        self._reader = HomeReader({home.run, home.exports, exports, home.history_lock})

    def run(self) -> Made:
        home = self._home
        manifest = Manifest(
            box_id=self._settings.box_id,
            created=time.time_ns() // 1000,
            home=str(home.root),
            mode=stat.S_IMODE(home.root.stat().st_mode),
            origins=[log.origin for log in self._settings.logs],
        )
        self._add_bytes(MANIFEST, msgspec.json.encode(manifest))
        for log in directories_in(home.logs) if home.logs.exists() else ():
            for name in (CHECKPOINT_FILE, SIGNED_ROOT_FILE):
                self._add_tree(log / name, may_be_gone=True)
            self._add_tree(log, may_be_gone=True, without={log / CHECKPOINT_FILE, log / SIGNED_ROOT_FILE})
        for path in sorted(home.root.iterdir()):
            if path not in {home.logs, home.records, home.documents, home.anchors}:
                self._add_tree(path)
        self._add_anchors()
        self._add_records()
        self._add_tree(home.documents, without={home.documents / "incoming"})
        return Made(self._files, self._bytes)

    def _add_anchors(self) -> None:
        """The anchorer's outbox as one snapshot, while it is written."""
        anchors = self._home.anchors
        outbox = anchors / OUTBOX
        own = {outbox.with_name(f"{OUTBOX}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")}
        if not anchors.exists():
            return
        self._add_tree(anchors, without=own)
        if not outbox.exists():
            return
        with acting_as_owner_of(anchors), tempfile.TemporaryDirectory(dir=anchors, prefix=".backup-") as scratch:
            copied = Path(scratch) / OUTBOX
            try:
                must_be_plain(outbox)
                with (
                    contextlib.closing(sqlite3.connect(outbox)) as live,
                    contextlib.closing(sqlite3.connect(copied)) as snapshot,
                ):
                    live.backup(snapshot)
            except sqlite3.Error as error:
                raise BackupFailed(f"the outbox of anchors could not be copied: {error}") from error
            self._add_copy(outbox, copied)

    def _add_records(self) -> None:
        """The database as one snapshot, then sealed segments, which never change.

        Whatever links the recorder left there, its files are opened and copied as itself."""
        records = self._home.records
        database = records / DATABASE
        if not database.exists():
            return
        with (
            acting_as_owner_of(records),
            tempfile.TemporaryDirectory(dir=records, prefix=".backup-") as scratch,
        ):
            try:
                copied = copy(self._home, Path(scratch) / "copy")
            except sqlite3.Error as error:
                raise BackupFailed(f"the records could not be copied: {error}") from error
            self._add_copy(database, copied.database)
        own = {records / f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")}
        self._add_tree(records, without=own)
        archive = self._home.root / self._settings.records.archive
        for path in copied.segment_files:
            if path.parent != archive:
                raise BackupFailed(f"{path} is no file of the archive")
            if path not in self._added:
                self._add_tree(path)
            if path not in self._added:
                raise BackupFailed(f"{path} has gone while the backup was made")

    def _add_copy(self, of: Path, copied: Path) -> None:
        """A copy of a database in the place of what it is of."""
        with open_file(copied) as file:
            self._add_file(of.relative_to(self._home.root).as_posix(), file, of.lstat())

    def _add_tree(self, path: Path, *, may_be_gone: bool = False, without: set[Path] | None = None) -> None:
        for found in self._reader.tree(path, may_be_gone=may_be_gone, without=without):
            name = found.path.relative_to(self._home.root).as_posix()
            self._added.add(found.path)
            if found.file is None:
                self._archive.addfile(_member(name, found.status, tarfile.DIRTYPE, 0))
            else:
                self._add_file(name, found.file, found.status)

    def _add_file(self, name: str, file: BinaryIO, status: os.stat_result) -> None:
        size = os.fstat(file.fileno()).st_size
        try:
            self._archive.addfile(_member(name, status, tarfile.REGTYPE, size), file)
        except OSError as error:
            raise BackupFailed(f"{name} could not be read: {error}") from error
        self._files += 1
        self._bytes += size

    def _add_bytes(self, name: str, content: bytes) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(content)
            file.seek(0)
            self._add_file(name, cast("BinaryIO", file), os.fstat(file.fileno()))


def _member(name: str, status: os.stat_result, kind: bytes, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    member.mode, member.uid, member.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    member.mtime = int(status.st_mtime)
    return member
