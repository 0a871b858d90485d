"""Upkeep beside the writer: the disk's watermarks, the write-ahead log, segments, forgotten keys and jobs.

One thread. What changes the database is handed to the writer's thread in small steps, each a short transaction between
two batches; what only reads or copies is done here. Nothing here can make an append wait for longer than one step.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog

from appliance.errors import CinnabarError
from appliance.recorder.administration import SegmentRecord, clear_entry
from appliance.recorder.errors import ReadOnly
from appliance.recorder.messages import BOX_LOG
from appliance.recorder.server import Server
from appliance.recorder.writer import Writer
from appliance.store import keys, rows, schema
from appliance.store.intakes import end_unfinished, expire_intake
from appliance.store.records import Segment
from appliance.store.segments import digest_of, export_segment, prune_some

log = structlog.get_logger(__name__)

STEP_ROWS = 2_000
JOBS_SECONDS = 1.0
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class KeeperSettings:
    """Sizes in bytes, times in seconds unless named otherwise."""

    root: Path
    """The home; the archive's files are named relative to it."""
    archive: Path
    warn_bytes: int
    refuse_bytes: int
    keep_days: int | None = None
    job_days: int = 7
    interval: float = 0.2
    wal_bytes: int = 8 * 1024 * 1024
    """About how much the write-ahead log holds before it is copied into the database."""


Disk = Literal["ok", "warn", "refuse"]


def watermark(free: int, warn: int, refuse: int) -> Disk:
    """Which watermark the free bytes of the disk have passed."""
    if free < refuse:
        return "refuse"
    return "warn" if free < warn else "ok"


class Keeper:
    """Start it after the server is made; stop it before the writer is closed."""

    def __init__(self, writer: Writer, server: Server, directory: Path, settings: KeeperSettings) -> None:
        self._writer = writer
        self._server = server
        self._directory = directory
        self.settings = settings
        self._stop = threading.Event()
        self._disk: Disk = "ok"
        self._next_jobs = 0.0
        self._connection = schema.open_checkpointer(directory)
        self.look_at_disk()
        writer.watch = self.look_at_disk
        self._thread = threading.Thread(target=self._work, name="keeper", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """May be called once the server's loop has ended."""
        self._stop.set()
        self._thread.join()
        self._connection.close()

    def _work(self) -> None:
        failing = ""
        while not self._stop.wait(self.settings.interval):
            try:
                self.look_at_disk()
                self._copy_log()
                if not self._export() and not self._prune():
                    self._forget()
                failing = ""
            except (sqlite3.Error, OSError, CinnabarError) as error:
                # The next round tries again; a full disk is the usual reason and has its own state.
                if failing != str(error):
                    log.warning("upkeep-failed", error=type(error).__name__)
                failing = str(error)

    # Disk

    def look_at_disk(self) -> None:
        """Compare the disk's free bytes with the watermarks; below the lower, new work is refused."""
        stat = os.statvfs(self._directory)
        # What stands in the write-ahead log only will need its room in the database once more.
        free = max(0, stat.f_bavail * stat.f_frsize - self._writer.unchecked_bytes)
        disk = watermark(free, self.settings.warn_bytes, self.settings.refuse_bytes)
        self._writer.refuse = f"the disk has {free} bytes left" if disk == "refuse" else None
        if disk != self._disk:
            log.warning("disk-watermark", disk=disk, free=free)
            self._disk = disk
        self._server.status.update(
            disk="full" if self._writer.disk_full else disk,
            disk_free=free,
            log_bytes=self._writer.unchecked_bytes,
            transactions=self._writer.transactions,
            appended=self._writer.appended,
            waiting=self._server.waiting,
            clients=self._server.clients,
            segment=self._writer.ground.segments[-1].number,
        )

    # Write-ahead log

    def _copy_log(self) -> None:
        if self._writer.unchecked_bytes < self.settings.wal_bytes:
            return
        # Each pass copies what was written during the one before, which is less and less; the writer does the rest.
        for _ in range(2):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        self._in_writer(self._writer.finish_checkpoint)

    def _in_writer(self, task: Callable[[], None]) -> None:
        """Run a task in the writer's thread and wait for it. Raises what it raises, but for a failed database."""
        done = threading.Event()
        raised: list[CinnabarError] = []

        def run() -> None:
            try:
                task()
            except ReadOnly as error:
                raised.append(error)
            finally:
                done.set()

        self._server.call(run)
        while not done.wait(0.1):
            if self._stop.is_set():
                return
        if raised:
            raise raised[0]

    # Segments

    def _export(self) -> bool:
        segment = next((s for s in self._writer.ground.segments if s.state == "sealed"), None)
        if segment is None or self._disk == "refuse":
            return False
        reader = schema.open_reader(self._directory)
        try:
            path, digest = export_segment(reader, segment, self.settings.archive, lambda: time.sleep(0.002))
        finally:
            reader.close()
        now = self._writer.clock_us()
        record = SegmentRecord(
            digest=digest.hex(),
            first_sequence=segment.first_sequence,
            last_sequence=segment.last_sequence or 0,
            number=segment.number,
            time=now,
        )
        name = os.path.relpath(path, self.settings.root)

        def mark(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE segments SET state = 'exported', file = ?, digest = ? WHERE number = ? AND state = 'sealed'",
                (name, digest, segment.number),
            )

        entry = clear_entry(record, now, self._writer.ground.logs.hashing(BOX_LOG))
        self._in_writer(lambda: self._writer.note(entry, mark))
        log.info("segment-exported", number=segment.number, digest=digest.hex())
        return True

    def _prune(self) -> bool:
        segment = next((s for s in self._writer.ground.segments if self._may_go(s)), None)
        if segment is None:
            return False

        def step() -> None:
            self._writer.change(lambda connection: _ignore(prune_some(connection, segment, STEP_ROWS)))
            self._writer.refresh_segments()

        self._in_writer(step)
        return True

    def _may_go(self, segment: Segment) -> bool:
        if segment.state == "pruning":
            return True
        keep = self.settings.keep_days
        if segment.state != "exported" or keep is None or segment.sealed is None or segment.file is None:
            return False
        if self._writer.clock_us() - segment.sealed < keep * DAY_US:
            return False
        # Nothing goes that the archive does not hold, byte for byte.
        return digest_of(self.settings.root / segment.file) == segment.digest

    # Keys and jobs

    def _forget(self) -> None:
        lowest = self._writer.lowest_hour()
        old = min((hour for hour in list(self._writer.ground.hours) if hour < lowest), default=None)
        if old is not None:
            self._in_writer(lambda: self._forget_keys(old))
        if time.monotonic() < self._next_jobs:
            return
        self._next_jobs = time.monotonic() + JOBS_SECONDS
        before = self._writer.clock_us() - self.settings.job_days * DAY_US
        self._in_writer(lambda: self._writer.change(lambda connection: _ignore(rows.expire_job(connection, before))))
        now = self._writer.clock_us()
        self._in_writer(lambda: self._writer.change(lambda connection: end_unfinished(connection, before, now)))
        self._in_writer(
            lambda: self._writer.change(lambda connection: _ignore(expire_intake(connection, before, STEP_ROWS)))
        )

    def _forget_keys(self, hour: int) -> None:
        gone: list[bool] = []
        self._writer.change(lambda connection: gone.append(keys.forget_some(connection, hour, STEP_ROWS)))
        if gone == [True]:
            self._writer.ground.hours.discard(hour)


def _ignore(_value: object) -> None:
    return None
