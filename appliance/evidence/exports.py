"""Audit exports: each record's leaf, the whole range up to a signed head, and the box's own record of the export.

Read as a stream, in the memory of one line, so that an export may be larger than memory. Three things are shown:

- the range: every leaf hash between two places of the log, of records that are shown and of those that are not, leads
  to a head that the log signed. Nothing in the range can be changed, left out, added or put elsewhere;
- the selection: the log itself has, signed, that the box made this export, with the digest of what it wrote. So what
  was shown then cannot be called withheld now;
- the records: what each says fits to what the export says of it.
"""

from __future__ import annotations

import base64
import binascii
import csv
import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

import msgspec

from appliance.evidence import export_lines as lines
from appliance.evidence.canonical import NotCanonical, check_canonical
from appliance.evidence.certificates import spoken
from appliance.evidence.export_lines import EndLine, EntryLine, ExportLine, RecordLine, WithheldLine
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.logs import check_proof
from appliance.evidence.trust import TrustBundle
from appliance.log.checkpoint import Checkpoint, open_checkpoint
from appliance.log.errors import MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid
from appliance.log.note import parse_note
from appliance.log.proofs import TlogProof
from appliance.log.range_proof import RangeRoot
from appliance.quoting import escape, quote
from appliance.record import COMMITMENT_PREFIX, SALT_BYTES

_SMALL_MEMBER = 1024 * 1024
_MEMBERS = (lines.MIMETYPE_FILE, lines.ENTRIES_FILE, lines.MANIFEST_FILE, lines.RECORD_FILE)
_SIGNED_RECORD = "cinnabar-record/1"


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
            reading = _Reading(judged, journal, trust)
            record = reading.read(stream)
            if record is None:
                raise _malformed("it ends before the box's own record of it")
            _judge_record(journal, judged, reading, record, reading.digest, trust)
            if reading.end is not None and reading.end.table is not msgspec.UNSET:
                judged.table = reading.end.table
                _judge_table(stream, find_table(judged.table), judged, reading)
        journal.complete()
    except Refusal as refusal:
        journal.add(refusal)
    except UnicodeError:
        journal.add(_malformed("a text in it is not Unicode"))
    return judged


class _Reading:
    """One walk through the lines."""

    def __init__(self, judged: JudgedExport, journal: Journal, trust: TrustBundle) -> None:
        self._judged = judged
        self._journal = journal
        self._trust = trust
        self.header: ExportLine | None = None
        self.end: EndLine | None = None
        self.head: Checkpoint | None = None
        self.digest = ""
        """SHA-256 of the lines up to the end line."""
        self.shown = self.withheld = 0

    def read(self, stream: IO[bytes]) -> RecordLine | None:
        """Check everything up to the end line; gives the record line that follows it, if any. Raises Refusal."""
        hasher = hashlib.sha256()
        header: ExportLine | None = None
        root: RangeRoot | None = None
        record: RecordLine | None = None
        waiting = bytearray()
        for data in _lines(stream):
            if self.end is not None:
                if record is not None:
                    raise _malformed("something follows its end")
                record = _record_line(data)
                continue
            hasher.update(data)
            line = _decode(data)
            if header is None or root is None:
                header, root = self._begin(line)
                continue
            if isinstance(line, EntryLine):
                at = root.size + len(waiting) // 32
                if line.index != at:
                    raise _failed("range", f"Entry {line.index} stands where entry {at} must.")
                waiting += self._leaf(line, header)
                self.shown += 1
                if len(waiting) >= 8_192:
                    root.add(bytes(waiting))
                    waiting.clear()
            elif isinstance(line, WithheldLine):
                root.add(bytes(waiting))
                waiting.clear()
                if line.index != root.size:
                    raise _failed("range", f"Leaf {line.index} stands where leaf {root.size} must.")
                hashes = _base64(line.leaves)
                root.add(hashes)
                self.withheld += len(hashes) // 32
            elif isinstance(line, EndLine):
                root.add(bytes(waiting))
                self.end = line
                self._finish(header, root, line)
            else:
                raise _malformed("a line stands where it must not")
        if self.end is None:
            raise _malformed("it ends in its middle")
        self.digest = hasher.hexdigest()
        return record

    def _begin(self, line: object) -> tuple[ExportLine, RangeRoot]:
        if not isinstance(line, ExportLine):
            raise _malformed("it does not begin with its description")
        self.header = line
        if line.end < line.first:
            raise _malformed("its range ends before it begins")
        try:
            return line, RangeRoot(line.first, [bytes.fromhex(value) for value in line.before])
        except ProofInvalid as error:
            raise _failed("range", f"{escape(str(error))}.") from None

    def _leaf(self, line: EntryLine, header: ExportLine) -> bytes:
        content = bytes(line.content)
        try:
            salt = bytes.fromhex(line.salt)
            if len(salt) not in (0, SALT_BYTES) or salt.hex() != line.salt or (not salt and line.kind != "box-leaf"):
                raise _malformed(f"the salt of entry {line.index} is not 32 bytes")
        except ValueError:
            raise _malformed(f"the salt of entry {line.index} is not hexadecimal") from None
        said = _Said.of(content)
        if said.tenant not in (None, header.log) and said.format == _SIGNED_RECORD:
            raise _failed("record", f"Entry {line.index} is of another tenant than the log.")
        if said.format == _SIGNED_RECORD and said.kind != line.kind:
            raise _failed("record", f"Entry {line.index} is called a {quote(line.kind)} and says that it is another.")
        return lines.leaf_of(salt, content)

    def _finish(self, header: ExportLine, root: RangeRoot, end: EndLine) -> None:
        if root.size != header.end:
            raise _failed("range", f"It has {root.size - header.first} leaves of {header.end - header.first}.")
        if header.form != "csv" and (self.shown, self.withheld) != (end.shown, end.withheld):
            raise _failed("range", "It has not as many records as it says.")
        if header.form == "csv" and (self.shown or end.shown + end.withheld != self.withheld):
            raise _failed("range", "It has not as many leaves as it says.")
        if (header.form == "csv") != (end.table is not msgspec.UNSET):
            raise _malformed("a table is named where there is none, or none where there is one")
        self.shown, self.withheld = end.shown, end.withheld
        self.head = _head(end, header.origin, self._trust)
        try:
            found = root.root(end.size, [bytes.fromhex(value) for value in end.after])
        except ProofInvalid as error:
            raise _failed("range", f"{escape(str(error))}.") from None
        if self.head.size != end.size or found != self.head.root:
            raise _failed(
                "range", "Its leaves do not lead to the head that the log signed: something in it is changed."
            )
        self._journal.passed(
            "range",
            f"Entries {header.first} to {header.end} (not included) of the log {quote(header.origin)}, without a gap, "
            f"under its signed head of {end.size} entries: {self.shown} shown, {self.withheld} not asked for and not "
            "shown. None can have been changed, left out, added or moved.",
        )


class _Said(msgspec.Struct, frozen=True):
    """What a record says of itself."""

    format: str | None = None
    kind: str | None = None
    tenant: str | None = None

    @classmethod
    def of(cls, content: bytes) -> _Said:
        try:
            return _said.decode(content)
        except (ValueError, RecursionError):
            return _NOTHING


_said = msgspec.json.Decoder(_Said)
_NOTHING = _Said()


def _judge_record(
    journal: Journal, judged: JudgedExport, reading: _Reading, line: RecordLine, digest: str, trust: TrustBundle
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
        raise _malformed(f"the box's record of it: {error}") from None
    entry = hashlib.sha256(COMMITMENT_PREFIX + salt + content).digest()
    included = check_proof(line.tlog_proof.encode(), [entry], trust)
    if included is None or origin != header.origin or len(salt) != SALT_BYTES:
        raise _failed("selection", "The log does not have the box's record of this export.")
    agree = (
        facts.action == lines.MADE
        and facts.format == lines.READING_FORMAT
        and (facts.tenant, facts.export) == (header.log, header.export)
        and (facts.first, facts.end, facts.count) == (header.first, header.end, reading.shown)
        and facts.filter.encode() == bytes(header.filter)
        and proof.index >= header.end
    )
    if not agree:
        raise _failed("selection", "The box's record is of another export.")
    if facts.digest != digest:
        raise _failed("selection", "This is not what the box wrote: something in it is changed.")
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
                raise _malformed("the container has other members than an audit export has")
            _check_layout(stream, container, found)
            if any(one.file_size > _SMALL_MEMBER for one in found if one.filename != lines.ENTRIES_FILE):
                raise _malformed("a member of the container is too large")
            if container.read(lines.MIMETYPE_FILE) != lines.ASIC_E.encode():
                raise _malformed("the container is not an ASiC-E")
            manifest = container.read(lines.MANIFEST_FILE)
            record = _record_line(container.read(lines.RECORD_FILE))
            reading = _Reading(judged, journal, trust)
            with container.open(lines.ENTRIES_FILE) as entries:
                if reading.read(entries) is not None:
                    raise _malformed("the box's record of it is not where it must be")
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise Refusal(
            "format", SubIndication.FORMAT_FAILURE, f"The container is damaged: {quote(str(error))}."
        ) from None
    if manifest != lines.manifest(bytes.fromhex(reading.digest)):
        raise _failed("manifest", "The manifest is not of these entries.")
    journal.passed("manifest", "META-INF/ASiCManifest.xml has the SHA-256 of entries.jsonl.")
    _judge_record(journal, judged, reading, record, hashlib.sha256(manifest).hexdigest(), trust)


def _check_layout(stream: IO[bytes], container: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """The members follow each other and nothing else is there: every reader of the container sees the same."""
    at = 0
    for member in members:
        stream.seek(at)
        head = stream.read(30)
        if member.header_offset != at or len(head) < 30 or member.comment:
            raise _malformed("the container's members do not follow each other")
        at += 30 + int.from_bytes(head[26:28], "little") + int.from_bytes(head[28:30], "little") + member.compress_size
    if at != container.start_dir or container.comment:
        raise _malformed("the container has something that is no member")


def _judge_table(stream: IO[bytes], table: IO[bytes] | None, judged: JudgedExport, reading: _Reading) -> None:
    """Each row of a table against the leaf at its place."""
    if table is None:
        judged.missing = "table"
        return
    journal = Journal()
    judged.parts.append(("table", journal))
    stream.seek(0)
    leaves = _leaves(stream)
    table.seek(0)
    text = io.TextIOWrapper(io.BufferedReader(_Kept(table)), "utf-8", newline="")
    rows = csv.reader(text, strict=True)
    shown = 0
    longest = csv.field_size_limit(lines.LONGEST_LINE)
    try:
        if tuple(next(rows, [])) != lines.TABLE_COLUMNS:
            raise _malformed("the table has other columns")
        for row in rows:
            index, salt, content = int(row[0]), row[6], lines.uncell(row[7]).encode()
            leaf = next((value for place, value in leaves if place == index), None)
            if leaf != lines.leaf_of(bytes.fromhex(salt), content):
                raise _failed("table", f"The row of entry {index} is not what the log has there.")
            shown += 1
        if shown != reading.shown:
            raise _failed("table", f"The table has {shown} records of {reading.shown}.")
    except Refusal as refusal:
        journal.add(refusal)
        return
    except (ValueError, IndexError, csv.Error) as error:
        journal.add(_malformed(f"the table: {error}"))
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


def _leaves(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Place and leaf hash, in order, of a file that has been checked."""
    for data in _lines(stream):
        line = _decode(data)
        if isinstance(line, WithheldLine):
            hashes = _base64(line.leaves)
            for at in range(0, len(hashes), 32):
                yield line.index + at // 32, hashes[at : at + 32]


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while data := stream.readline(lines.LONGEST_LINE + 1):
        if len(data) > lines.LONGEST_LINE or not data.endswith(b"\n"):
            raise _malformed("a line is too long, or the last one is cut off")
        yield data


def _decode(data: bytes) -> lines.Line:
    try:
        return lines.decode_line(data)
    except (ValueError, RecursionError) as error:
        raise _malformed(f"a line cannot be read: {error}") from None


def _record_line(data: bytes) -> RecordLine:
    """The one line that no digest covers: only its one right spelling is taken."""
    line = _decode(data)
    if not isinstance(line, RecordLine) or lines.encode_line(line) != data or line.salt != line.salt.lower():
        raise _malformed("the box's record of it is not where or as it must be")
    return line


def _base64(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed("leaf hashes are not base64") from None
    if len(found) % 32 or not found:
        raise _malformed("a leaf hash has 32 bytes")
    return found


def _head(end: EndLine, origin: str, trust: TrustBundle) -> Checkpoint:
    keys = trust.logs.get(origin)
    if keys is None:
        raise Refusal(
            "log", SubIndication.NO_CERTIFICATE_CHAIN_FOUND, f"The trust bundle does not name the log {quote(origin)}."
        )
    try:
        return open_checkpoint(end.checkpoint.encode(), origin, keys)
    except MalformedNote as error:
        raise _malformed(str(error)) from None
    except SignatureInvalid as error:
        raise Refusal(
            "log",
            SubIndication.SIG_CRYPTO_FAILURE,
            f"No key of the log that the trust bundle names for this size has signed its head ({quote(str(error))}).",
        ) from None


def _malformed(text: str) -> Refusal:
    return Refusal("format", SubIndication.FORMAT_FAILURE, f"Malformed audit export: {quote(text)}.")


def _failed(name: str, text: str) -> Refusal:
    return Refusal(name, SubIndication.HASH_FAILURE, text)
