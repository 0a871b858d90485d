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
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from appliance.anchorer.outbox import FILE as OUTBOX
from appliance.backup.errors import BackupFailed
from appliance.backup.stream import EncryptingWriter
from appliance.box.home import Home
from appliance.box.settings import BoxSettings, read_settings
from appliance.log.exports import export_directory
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE
from appliance.store.backup import copy

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
        self._left_out = {home.run, home.exports, exports, home.history_lock}

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
        for log in sorted(path for path in home.logs.glob("*") if path.is_dir()):
            for name in (CHECKPOINT_FILE, SIGNED_ROOT_FILE):
                self._add(log / name, may_be_gone=True)
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
        outbox = self._home.anchors / OUTBOX
        own = {outbox.with_name(f"{OUTBOX}{suffix}") for suffix in ("", "-wal", "-shm", "-journal")}
        if self._home.anchors.exists():
            self._add_tree(self._home.anchors, without=own)
        if not outbox.exists():
            return
        with tempfile.TemporaryDirectory() as scratch:
            copied = Path(scratch) / OUTBOX
            try:
                with (
                    contextlib.closing(sqlite3.connect(outbox)) as live,
                    contextlib.closing(sqlite3.connect(copied)) as snapshot,
                ):
                    live.backup(snapshot)
            except sqlite3.Error as error:
                raise BackupFailed(f"the outbox of anchors could not be copied: {error}") from error
            with copied.open("rb") as file:
                self._add_file(outbox.relative_to(self._home.root).as_posix(), file, outbox.stat())

    def _add_records(self) -> None:
        """The database as one snapshot, then sealed segments, which never change."""
        records = self._home.records
        if not (records / DATABASE).exists():
            return
        with tempfile.TemporaryDirectory(dir=records, prefix=".backup-") as scratch:
            try:
                copied = copy(self._home, Path(scratch) / "copy")
            except sqlite3.Error as error:
                raise BackupFailed(f"the records could not be copied: {error}") from error
            with copied.database.open("rb") as file:
                self._add_file(f"records/{DATABASE}", file, (records / DATABASE).stat())
        own = {records / f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm", "-journal")}
        self._add_tree(records, without=own)
        for path in copied.segment_files:
            if path not in self._added:
                self._add(path)

    def _add_tree(self, path: Path, *, may_be_gone: bool = False, without: set[Path] | None = None) -> None:
        for found in _walk(path, self._left_out | (without or set())):
            self._add(found, may_be_gone=may_be_gone)

    def _add(self, path: Path, *, may_be_gone: bool = False) -> None:
        name = path.relative_to(self._home.root).as_posix()
        self._added.add(path)
        try:
            status = path.lstat()
            if stat.S_ISDIR(status.st_mode):
                self._archive.addfile(_member(name, status, tarfile.DIRTYPE, 0))
            elif stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    self._add_file(name, file, os.fstat(file.fileno()))
            elif not stat.S_ISSOCK(status.st_mode):
                raise BackupFailed(f"{path} is neither a file nor a directory")
        except FileNotFoundError:
            # A partial tile gives way to the full one, a new file to its name.
            if not may_be_gone:
                raise BackupFailed(f"{path} has gone while the backup was made") from None

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


def _walk(path: Path, left_out: set[Path]) -> Iterator[Path]:
    """A path and everything below it, directories before their contents."""
    if path in left_out or path.name.endswith(".new") or path.name.startswith(".backup-"):
        return
    if path.is_symlink() or not path.is_dir():
        if path.exists() or path.is_symlink():
            yield path
        return
    yield path
    for below in sorted(path.iterdir()):
        yield from _walk(below, left_out)


def _member(name: str, status: os.stat_result, kind: bytes, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, size
    member.mode, member.uid, member.gid = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    member.mtime = int(status.st_mtime)
    return member
