"""Audit exports: each record's leaf, the whole range up to a signed head, and the box's own record of the export.

Read as a stream, in the memory of one line, so that an export may be larger than memory. Three things are shown:

- the range: every leaf hash between two places of the log, of records that are shown and of those that are not, leads
  to a head that the log signed. Nothing in the range can be changed, left out, added or put elsewhere;
- the selection: the log itself has, signed, that the box made this export, with the digest of what it wrote. So what
  was shown then cannot be called withheld now;
- the records: what each says fits to what the export says of it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

import msgspec

from appliance.asic.names import ASIC_E
from appliance.evidence import export_lines as lines
from appliance.evidence.canonical import NotCanonical, check_canonical
from appliance.evidence.certificates import spoken
from appliance.evidence.export_lines import RecordLine
from appliance.evidence.export_reading import Reading, failed, leaves_of, malformed, record_line
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.logs import check_proof
from appliance.evidence.trust import TrustBundle
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import MalformedNote, MalformedProof
from appliance.log.note import parse_note
from appliance.log.proofs import TlogProof
from appliance.quoting import quote
from appliance.record import SALT_BYTES, commitment

_SMALL_MEMBER = 1024 * 1024
_MEMBERS = (lines.MIMETYPE_FILE, lines.ENTRIES_FILE, lines.MANIFEST_FILE, lines.RECORD_FILE)


@dataclass
class JudgedExport:
    """What an export shows."""

    parts: list[tuple[str, Journal]] = field(default_factory=list)
    table: str | None = None
    """SHA-256 of the table that this is the proof of."""
    missing: str | None = None
    """Title of the part that could not be judged, because the table is not among the files."""
    claimed_us: int | None = None
    """When the box says that it made it."""
    claimed_by: str = "the box's record of the export"


class _Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the record of an export says. Members of no use here are not read."""

    action: str
    count: int
    digest: str
    end: int
    export: str
    filter: str
    first: int
    format: str
    person: str
    tenant: str
    time: int


def judge_export(stream: IO[bytes], trust: TrustBundle, find_table: Callable[[str], IO[bytes] | None]) -> JudgedExport:
    """Judge an export, from a stream that can be read again. `find_table`: gives the table of a SHA-256 (hexadecimal),
    where an export needs one beside it."""
    judged = JudgedExport()
    journal = Journal()
    judged.parts.append(("audit export", journal))
    try:
        stream.seek(0)
        if stream.read(4) == b"PK\x03\x04":
            _judge_container(stream, judged, journal, trust)
        else:
            stream.seek(0)
            reading = Reading(journal, trust)
            record = reading.read(stream)
            if record is None:
                raise malformed("it ends before the box's own record of it")
            _judge_record(journal, judged, reading, record, reading.digest, trust)
            if reading.end is not None and reading.end.table is not msgspec.UNSET:
                judged.table = reading.end.table
                _judge_table(stream, find_table(judged.table), judged, reading)
        journal.complete()
    except Refusal as refusal:
        journal.add(refusal)
    except UnicodeError:
        journal.add(malformed("a text in it is not Unicode"))
    return judged


def _judge_record(
    journal: Journal, judged: JudgedExport, reading: Reading, line: RecordLine, digest: str, trust: TrustBundle
) -> None:
    """The box's own record that it made this export, in the log that the export is of."""
    header, head = reading.header, reading.head
    assert header is not None  # noqa: S101 - read before
    assert head is not None  # noqa: S101
    content = bytes(line.content)
    try:
        check_canonical(content)
        facts = msgspec.json.decode(content, type=_Facts)
        salt = bytes.fromhex(line.salt)
        proof = TlogProof.parse(line.tlog_proof.encode())
        origin = Checkpoint.parse(parse_note(proof.checkpoint).text).origin
    except (NotCanonical, msgspec.MsgspecError, ValueError, MalformedProof, MalformedNote) as error:
        raise malformed(f"the box's record of it: {error}") from None
    included = check_proof(line.tlog_proof.encode(), [partial(commitment, salt, content)], trust)
    same = origin == header.origin
    # Where the log was renewed since, the record stands in the one that goes on from it.
    if included is None or trust.renewals_between(header.origin, origin) is None or len(salt) != SALT_BYTES:
        raise failed("selection", "The log does not have the box's record of this export.")
    agree = (
        facts.action == lines.MADE
        and facts.format == lines.READING_FORMAT
        and (facts.tenant, facts.export) == (header.log, header.export)
        and (facts.first, facts.end, facts.count) == (header.first, header.end, reading.shown)
        and facts.filter.encode() == bytes(header.filter)
        and (proof.index >= header.end or not same)
    )
    if not agree:
        raise failed("selection", "The box's record is of another export.")
    if facts.digest != digest:
        raise failed("selection", "This is not what the box wrote: something in it is changed.")
    who = f" for {quote(facts.person)}, as the management service said," if facts.person else ""
    journal.passed(
        "selection",
        f"The log has, as its entry {proof.index}, that the box made this export{who} at {spoken(facts.time)}, with "
        f"the filter {quote(facts.filter)}, and wrote exactly this.",
    )
    judged.claimed_us = facts.time


def _judge_container(stream: IO[bytes], judged: JudgedExport, journal: Journal, trust: TrustBundle) -> None:
    """ASiC-E: the form, the manifest's digest, the lines, and the record, which names the manifest."""
    try:
        with zipfile.ZipFile(stream) as container:
            found = container.infolist()
            if tuple(one.filename for one in found) != _MEMBERS or any(
                one.compress_type != zipfile.ZIP_STORED or one.flag_bits & 1 for one in found
            ):
                raise malformed("the container has other members than an audit export has")
            _check_layout(stream, container, found)
            if any(one.file_size > _SMALL_MEMBER for one in found if one.filename != lines.ENTRIES_FILE):
                raise malformed("a member of the container is too large")
            if container.read(lines.MIMETYPE_FILE) != ASIC_E.encode():
                raise malformed("the container is not an ASiC-E")
            manifest = container.read(lines.MANIFEST_FILE)
            record = record_line(container.read(lines.RECORD_FILE))
            reading = Reading(journal, trust)
            with container.open(lines.ENTRIES_FILE) as entries:
                if reading.read(entries) is not None:
                    raise malformed("the box's record of it is not where it must be")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise Refusal(
            "format", SubIndication.FORMAT_FAILURE, f"The container is damaged: {quote(str(error))}."
        ) from None
    if manifest != lines.manifest(bytes.fromhex(reading.digest)):
        raise failed("manifest", "The manifest is not of these entries.")
    journal.passed("manifest", "META-INF/ASiCManifest.xml has the SHA-256 of entries.jsonl.")
    _judge_record(journal, judged, reading, record, hashlib.sha256(manifest).hexdigest(), trust)


def _check_layout(stream: IO[bytes], container: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """The members follow each other and nothing else is there: every reader of the container sees the same."""
    at = 0
    for member in members:
        stream.seek(at)
        head = stream.read(30)
        if member.header_offset != at or len(head) < 30 or member.comment:
            raise malformed("the container's members do not follow each other")
        at += 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little") + member.compress_size
    if at != container.start_dir or container.comment:
        raise malformed("the container has something that is no member")


def _judge_table(stream: IO[bytes], table: IO[bytes] | None, judged: JudgedExport, reading: Reading) -> None:
    """Each row of a table against the leaf at its place."""
    if table is None:
        judged.missing = "table"
        return
    journal = Journal()
    judged.parts.append(("table", journal))
    stream.seek(0)
    leaves = leaves_of(stream, reading.hashing.size)
    table.seek(0)
    text = io.TextIOWrapper(io.BufferedReader(_Kept(table)), "utf-8", newline="")
    rows = csv.reader(text, strict=True)
    shown = 0
    longest = csv.field_size_limit(lines.LONGEST_LINE)
    try:
        if tuple(next(rows, [])) != lines.TABLE_COLUMNS:
            raise malformed("the table has other columns")
        for row in rows:
            index, salt, content = int(row[0]), row[6], lines.uncell(row[7]).encode()
            leaf = next((value for place, value in leaves if place == index), None)
            if leaf != lines.leaf_of(bytes.fromhex(salt), content, reading.hashing):
                raise failed("table", f"The row of entry {index} is not what the log has there.")
            shown += 1
        if shown != reading.shown:
            raise failed("table", f"The table has {shown} records of {reading.shown}.")
    except Refusal as refusal:
        journal.add(refusal)
        return
    except (ValueError, IndexError, csv.Error) as error:
        journal.add(malformed(f"the table: {error}"))
        return
    finally:
        csv.field_size_limit(longest)
    journal.passed("table", f"Each of its {shown} records is what the log has at its place.")
    journal.complete()


class _Kept(io.RawIOBase):
    """A stream for a text reader, which closes what it reads from: this one stays open."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
