"""Exports: a range of a log, opened, written out with the proof of the whole range, and on record in that log.

An export is on record twice: before the first record of it is opened, and when it is made, with the digest of what was
written. The second record stands in the export itself with its log proof, so that what a box did not write, or what
somebody left out of it later, is found offline.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import structlog

from appliance.audit.errors import ExportNotMade, FilterRefused, NoRoomForExport, TooManyExports, UnknownExport
from appliance.audit.filters import Filter
from appliance.audit.renewed import one_log
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.audit.shelf import export_name, keep_newest
from appliance.audit.source import PlainRow
from appliance.audit.writers import WRITERS, JsonLinesExport, OpenedRow
from appliance.errors import CinnabarError
from appliance.evidence.export_lines import EndLine, ExportLine, Form, RecordLine
from appliance.log import LogDamaged, NotYetIncluded, TileReader, parse_note
from appliance.log.checkpoint import Checkpoint
from appliance.log.lines import LineLog
from appliance.log.range_proof import RangeProof, RangeRoot, make_range_proof
from appliance.recorder.readings import ReadingRecord

AT_ONCE = 2
"""Exports of one log at a time. Another log's are not counted: nobody waits for them, or learns of them (CHANNEL)."""
RUNNING = 4
"""Exports that are written at a time; the others wait their turn."""
KEPT = 20
"""Exports of one log whose files stay; the oldest goes when another is begun, so that no reader fills the disk."""
PART_LIMIT = 1024 * 1024
COVERED_SECONDS = 30.0
"""How long an export waits for a signed head over its own record."""
_LEAVES = 4_096

log = structlog.get_logger("audit")
State = Literal["running", "made", "failed", "cancelled"]


class ExportView(msgspec.Struct, frozen=True, kw_only=True):
    """How an export is."""

    export: str
    log: str
    form: str
    filter: str
    state: State
    problem: str
    """Why it failed."""
    first: int
    end: int
    done: int
    """Leaves that were looked at, of end - first."""
    shown: int
    withheld: int
    files: list[str]
    """Names below HOME/exports/audit."""
    sizes: list[int]
    begun: int
    """Microseconds since the epoch."""
    seconds: float


@dataclass
class Export:
    """One export of this life of the process."""

    name: str
    audited: AuditedLog
    form: Form
    wanted: Filter
    asker: Asker
    begun: int
    state: State = "running"
    problem: str = ""
    first: int = 0
    """Records [first, end), by their numbers."""
    end: int = 0
    done: int = 0
    shown: int = 0
    withheld: int = 0
    log: LineLog = field(init=False)
    """In which they stand: the line's newest, until it begins."""
    files: list[Path] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    def __post_init__(self) -> None:
        self.log = self.audited.line.newest

    @property
    def leaves(self) -> tuple[int, int]:
        """The range as its log has it."""
        return self.first - self.log.era.base, self.end - self.log.era.base

    def view(self) -> ExportView:
        made = self.state == "made"
        return ExportView(
            export=self.name,
            log=self.audited.name,
            form=self.form,
            filter=self.wanted.text_of(),
            state=self.state,
            problem=self.problem,
            first=self.leaves[0],
            end=self.leaves[1],
            done=self.done,
            shown=self.shown,
            withheld=self.withheld,
            files=[path.name for path in self.files] if made else [],
            sizes=[path.stat().st_size if path.exists() else 0 for path in self.files] if made else [],
            begun=self.begun,
            seconds=self.seconds or time.monotonic() - self.started,
        )


class Exports:
    """The exports of this life of the process. Files of a life that was killed are swept at the start."""

    def __init__(self, room: AuditRoom, directory: Path) -> None:
        self._room = room
        self._directory = directory
        self._exports: dict[str, Export] = {}
        self._turn = asyncio.Semaphore(RUNNING)
        directory.mkdir(mode=0o750, parents=True, exist_ok=True)
        for left in directory.glob(".*.partial"):
            left.unlink()

    def views(self) -> list[ExportView]:
        """The newest first."""
        return [export.view() for export in reversed(self._exports.values())]

    def view(self, name: str) -> ExportView:
        return self._find(name).view()

    async def start(self, asker: Asker, audited: AuditedLog, wanted: Filter, form: str) -> str:
        """Begin an export; it is on record when this returns its name.

        Raises FilterRefused, TooManyExports, NoRoomForExport."""
        if form not in WRITERS:
            raise FilterRefused(f"an export is one of {', '.join(WRITERS)}")
        mine = [one for one in self._exports.values() if one.audited.name == audited.name]
        ended = [one for one in mine if one.state != "running"]
        if len(mine) - len(ended) >= AT_ONCE:
            raise TooManyExports(f"{AT_ONCE} exports of this log run; wait or cancel one")
        self._check_room()
        for old in ended[: -(KEPT - 1)]:
            del self._exports[old.name]
        keep_newest(self._directory, audited.name, KEPT - 1)
        name = export_name(audited.name)
        export = Export(name, audited, form, wanted, asker, time.time_ns() // 1000)
        self._exports[name] = export
        try:
            await self._begin(export)
        except BaseException:
            del self._exports[name]
            raise
        return name

    async def _begin(self, export: Export) -> None:
        room, audited, wanted = self._room, export.audited, export.wanted
        newest = audited.line.newest
        covered = newest.era.base + Checkpoint.parse(parse_note(newest.reader.checkpoint()).text).size
        while await room.catch_up(audited.name, 5.0) < covered:
            await asyncio.sleep(0)
        first, end = room.index.span(audited.name, wanted.since, wanted.until)

        async def times(first: int, end: int) -> list[int]:
            return [row[5] async for rows in room.source.stream(audited.name, first, end) for row in rows]

        span = await one_log(audited.line, wanted, min(first, covered), min(end, covered), times)
        export.first, export.end, export.log = span.first, span.end, span.log
        note = export.log.reader.checkpoint()
        head = Checkpoint.parse(parse_note(note).text)
        await room.record(self._record(export, "export-begun", export.end - export.first))
        export.task = asyncio.create_task(self._run(export, note, head), name=f"export-{export.name}")

    def cancel(self, name: str) -> ExportView:
        export = self._find(name)
        if export.task is not None and export.state == "running":
            export.task.cancel()
        return export.view()

    def part(self, name: str, number: int, offset: int) -> bytes:
        """Bytes of a file of a made export from `offset` on, at most 1 MiB; none at its end."""
        export = self._find(name)
        if export.state != "made":
            raise ExportNotMade(f"the export is {export.state}")
        if not 0 <= number < len(export.files):
            raise FilterRefused("there is no file of that number")
        try:
            with export.files[number].open("rb") as file:
                file.seek(offset)
                return file.read(PART_LIMIT)
        except FileNotFoundError:
            raise ExportNotMade("the export's file was taken away") from None

    async def close(self) -> None:
        tasks = [export.task for export in self._exports.values() if export.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _check_room(self) -> None:
        if shutil.disk_usage(self._directory).free < self._room.settings.limits.disk_warn_bytes:
            raise NoRoomForExport("the disk has no room for an export: take older files away")

    def _find(self, name: str) -> Export:
        found = self._exports.get(name)
        if found is None:
            raise UnknownExport("there is no such export in this life of the audit process")
        return found

    def _record(self, export: Export, action: Literal["export-begun", "export-made"], count: int) -> ReadingRecord:
        return ReadingRecord(
            action=action,
            count=count,
            end=export.leaves[1],
            export=export.name,
            filter=export.wanted.text_of(),
            first=export.leaves[0],
            person=export.asker.person,
            tenant=export.audited.name,
            time=time.time_ns() // 1000,
            user=export.asker.user,
        )

    async def _run(self, export: Export, note: bytes, head: Checkpoint) -> None:
        writer = WRITERS[export.form](self._directory, export.name)
        export.files = writer.files
        try:
            async with self._turn:
                await self._write(export, writer, note, head)
            export.state = "made"
            log.info("export-made", log=export.audited.name, export=export.name, shown=export.shown)
        except asyncio.CancelledError:
            export.state = "cancelled"
        except (CinnabarError, OSError) as error:
            export.state = "failed"
            export.problem = f"{getattr(error, 'code', 'disk')}: {error}"
            log.error("export-failed", log=export.audited.name, export=export.name, detail=export.problem)
        except Exception as error:
            # Whatever it is, an export ends: one that ran for ever would keep everybody's place.
            export.state = "failed"
            export.problem = f"unexpected {type(error).__name__}"
            log.exception("export-failed", log=export.audited.name, export=export.name)
        finally:
            export.seconds = time.monotonic() - export.started
            if export.state != "made":
                with contextlib.suppress(OSError):
                    writer.drop()

    async def _write(self, export: Export, writer: JsonLinesExport, note: bytes, head: Checkpoint) -> None:
        room, audited = self._room, export.audited
        reader, (first, end) = export.log.reader, export.leaves
        tiles = TileReader(reader.directory, head.size, reader.hashing)
        proof = make_range_proof(first, end, head.size, tiles.subtree)
        root = RangeRoot(first, proof.before, reader.hashing)
        writer.begin(
            ExportLine(
                before=[value.hex() for value in proof.before],
                box=room.settings.box_id,
                end=end,
                export=export.name,
                filter=msgspec.Raw(export.wanted.text_of().encode()),
                first=first,
                form=export.form,
                log=audited.name,
                origin=export.log.origin,
                rehearsal=room.settings.rehearsal,
                time=export.begun,
            )
        )
        await self._records(export, writer, root)
        self._check(export, root, proof, head)
        digest = writer.end(
            EndLine(
                after=[value.hex() for value in proof.after],
                checkpoint=note.decode(),
                shown=export.shown,
                size=head.size,
                withheld=export.withheld,
            )
        )
        record = self._record(export, "export-made", export.shown)
        record = msgspec.structs.replace(record, digest=digest.hex())
        index, salt, made = await room.record(record)
        writer.finish(
            RecordLine(
                content=msgspec.Raw(record.canonical()),
                salt=salt.hex(),
                tlog_proof=await self._covered(audited, index, made.commitment),
            )
        )

    @staticmethod
    def _check(export: Export, root: RangeRoot, proof: RangeProof, head: Checkpoint) -> None:
        if root.size != export.leaves[1] or root.root(head.size, proof.after) != head.root:
            raise LogDamaged("the records do not lead to the log's signed head: cinnabar log check")

    @staticmethod
    async def _covered(audited: AuditedLog, index: int, commitment: bytes) -> str:
        deadline = time.monotonic() + COVERED_SECONDS
        while True:
            try:
                placed = audited.line.place(index)
                return placed.log.reader.tlog_proof(placed.index, entry=commitment).decode()
            except NotYetIncluded:
                if time.monotonic() > deadline:
                    raise
            await asyncio.sleep(0.1)

    async def _records(self, export: Export, writer: JsonLinesExport, root: RangeRoot) -> None:
        wanted, index, at = export.wanted, self._room.index, export.first
        classes = index.classes(export.audited.name, wanted) if wanted.by_head else None
        while at < export.end:
            stop = export.end
            if classes is not None:
                # What nobody asked for is not opened, not even read: its commitments are enough.
                found = index.leaves(classes, at, export.end, 1, newest=False)
                clear = found[0] if found else export.end
                if clear > at:
                    await self._withhold(export, writer, root, at, clear)
                    at = clear
                    continue
                stop = min(export.end, at + _LEAVES)
            async for rows in self._room.source.stream(export.audited.name, at, stop):
                self._check_room()
                self._portion(export, writer, root, rows)
                at = rows[-1][0] + 1
                export.done = at - export.first
                await asyncio.sleep(0)  # others' pages first

    async def _withhold(self, export: Export, writer: JsonLinesExport, root: RangeRoot, first: int, end: int) -> None:
        for begin in range(first, end, 65_536):
            stop = min(end, begin + 65_536)
            new, width = export.log.era.hashing.new, export.log.era.hashing.size
            packed = await self._room.source.commitments(export.audited.name, begin, stop, width)
            leaves = [new(b"\x00" + packed[n : n + width]).digest() for n in range(0, len(packed), width)]
            hashes = b"".join(leaves)
            root.add(hashes)
            writer.withheld(begin - export.log.era.base, hashes)
            export.withheld += stop - begin
            export.done = stop - export.first

    @staticmethod
    def _portion(export: Export, writer: JsonLinesExport, root: RangeRoot, rows: list[PlainRow]) -> None:
        """The hot path: open, hold to the leaf, hand to the writer; runs of what is asked for and of what is not."""
        wanted, open_record = export.wanted, export.audited.opener.open
        hashing, base = export.log.era.hashing, export.log.era.base
        new, width = hashing.new, hashing.size
        hashes = b"".join([new(b"\x00" + row[6]).digest() for row in rows])
        root.add(hashes)
        if not wanted.by_head and wanted.since is None and wanted.until is None and not wanted.text:
            taken = [
                (row[0] - base, *row[1:6], *open_record(row[0], row[1], row[3], row[6], row[7])[:2]) for row in rows
            ]
            writer.entries(taken, hashes)
            export.shown += len(taken)
            return
        text = wanted.text.casefold()
        run: list[OpenedRow] = []
        begin = 0
        shown = False
        for number, row in enumerate(rows):
            takes = wanted.takes_head(row[2], row[3], row[4]) and wanted.takes_time(row[5])
            opened = open_record(row[0], row[1], row[3], row[6], row[7]) if takes else None
            if opened is not None and text and text not in opened[1].decode().casefold():
                opened = None
            if (opened is not None) != shown and number > begin:
                _put(export, writer, rows[begin][0] - base, run, hashes[begin * width : number * width])
                run, begin = [], number
            shown = opened is not None
            if opened is not None:
                run.append((row[0] - base, row[1], row[2], row[3], row[4], row[5], opened[0], opened[1]))
        _put(export, writer, rows[begin][0] - base, run, hashes[begin * width :])


def _put(
    export: Export,
    writer: JsonLinesExport,
    first: int,
    run: list[OpenedRow],
    hashes: bytes,
) -> None:
    if run:
        writer.entries(run, hashes)
        export.shown += len(run)
    else:
        writer.withheld(first, hashes)
        export.withheld += len(hashes) // export.log.era.hashing.size
