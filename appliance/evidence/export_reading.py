"""The lines of an audit export, read as a stream and held to a head that the log signed: each leaf stands at its place,
none is left out, and what is shown is what the leaves are of."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from typing import IO

import msgspec

from appliance.evidence import export_lines as lines
from appliance.evidence.export_lines import EndLine, EntryLine, ExportLine, RecordLine, WithheldLine
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.trust import TrustBundle
from appliance.log.checkpoint import Checkpoint, open_checkpoint
from appliance.log.errors import MalformedNote, ProofInvalid, SignatureInvalid
from appliance.log.range_proof import RangeRoot
from appliance.quoting import escape, quote
from appliance.record import SALT_BYTES
from appliance.tree_hash import SHA256, hash_of

_SIGNED_RECORD = "cinnabar-record/1"


class Reading:
    """One walk through the lines."""

    def __init__(self, journal: Journal, trust: TrustBundle) -> None:
        self._journal = journal
        self._trust = trust
        self.header: ExportLine | None = None
        self.end: EndLine | None = None
        self.head: Checkpoint | None = None
        self.digest = ""
        """SHA-256 of the lines up to the end line."""
        self.shown = self.withheld = 0
        self.hashing = SHA256
        """Of the log that the export is of."""

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
                    raise malformed("something follows its end")
                record = record_line(data)
                continue
            hasher.update(data)
            line = _decode(data)
            if header is None or root is None:
                header, root = self._begin(line)
                continue
            if isinstance(line, EntryLine):
                at = root.size + len(waiting) // self.hashing.size
                if line.index != at:
                    raise failed("range", f"Entry {line.index} stands where entry {at} must.")
                waiting += self._leaf(line, header)
                self.shown += 1
                if len(waiting) >= 8_192:
                    root.add(bytes(waiting))
                    waiting.clear()
            elif isinstance(line, WithheldLine):
                root.add(bytes(waiting))
                waiting.clear()
                if line.index != root.size:
                    raise failed("range", f"Leaf {line.index} stands where leaf {root.size} must.")
                hashes = _base64(line.leaves)
                root.add(hashes)
                self.withheld += len(hashes) // self.hashing.size
            elif isinstance(line, EndLine):
                root.add(bytes(waiting))
                self.end = line
                self._finish(header, root, line)
            else:
                raise malformed("a line stands where it must not")
        if self.end is None:
            raise malformed("it ends in its middle")
        self.digest = hasher.hexdigest()
        return record

    def _begin(self, line: object) -> tuple[ExportLine, RangeRoot]:
        if not isinstance(line, ExportLine):
            raise malformed("it does not begin with its description")
        self.header, self.hashing = line, hash_of(line.origin)
        if line.end < line.first:
            raise malformed("its range ends before it begins")
        try:
            return line, RangeRoot(line.first, [bytes.fromhex(value) for value in line.before], self.hashing)
        except ProofInvalid as error:
            raise failed("range", f"{escape(str(error))}.") from None

    def _leaf(self, line: EntryLine, header: ExportLine) -> bytes:
        content = bytes(line.content)
        try:
            salt = bytes.fromhex(line.salt)
            if len(salt) not in (0, SALT_BYTES) or salt.hex() != line.salt or (not salt and line.kind != "box-leaf"):
                raise malformed(f"the salt of entry {line.index} is not 32 bytes")
        except ValueError:
            raise malformed(f"the salt of entry {line.index} is not hexadecimal") from None
        said = _Said.of(content)
        if said.tenant not in (None, header.log) and said.format == _SIGNED_RECORD:
            raise failed("record", f"Entry {line.index} is of another tenant than the log.")
        if said.format == _SIGNED_RECORD and said.kind != line.kind:
            raise failed("record", f"Entry {line.index} is called a {quote(line.kind)} and says that it is another.")
        return lines.leaf_of(salt, content, self.hashing)

    def _finish(self, header: ExportLine, root: RangeRoot, end: EndLine) -> None:
        if root.size != header.end:
            raise failed("range", f"It has {root.size - header.first} leaves of {header.end - header.first}.")
        if header.form != "csv" and (self.shown, self.withheld) != (end.shown, end.withheld):
            raise failed("range", "It has not as many records as it says.")
        if header.form == "csv" and (self.shown or end.shown + end.withheld != self.withheld):
            raise failed("range", "It has not as many leaves as it says.")
        if (header.form == "csv") != (end.table is not msgspec.UNSET):
            raise malformed("a table is named where there is none, or none where there is one")
        self.shown, self.withheld = end.shown, end.withheld
        self.head = _head(end, header.origin, self._trust)
        try:
            found = root.root(end.size, [bytes.fromhex(value) for value in end.after])
        except ProofInvalid as error:
            raise failed("range", f"{escape(str(error))}.") from None
        if self.head.size != end.size or found != self.head.root:
            raise failed("range", "Its leaves do not lead to the head that the log signed: something in it is changed.")
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


def leaves_of(stream: IO[bytes], width: int) -> Iterator[tuple[int, bytes]]:
    """Place and leaf hash, of `width` bytes, in order, of a file that has been checked."""
    for data in _lines(stream):
        line = _decode(data)
        if isinstance(line, WithheldLine):
            hashes = _base64(line.leaves)
            for at in range(0, len(hashes), width):
                yield line.index + at // width, hashes[at : at + width]


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while data := stream.readline(lines.LONGEST_LINE + 1):
        if len(data) > lines.LONGEST_LINE or not data.endswith(b"\n"):
            raise malformed("a line is too long, or the last one is cut off")
        yield data


def _decode(data: bytes) -> lines.Line:
    try:
        return lines.decode_line(data)
    except (ValueError, RecursionError) as error:
        raise malformed(f"a line cannot be read: {error}") from None


def record_line(data: bytes) -> RecordLine:
    """The one line that no digest covers: only its one right spelling is taken."""
    line = _decode(data)
    if not isinstance(line, RecordLine) or lines.encode_line(line) != data or line.salt != line.salt.lower():
        raise malformed("the box's record of it is not where or as it must be")
    return line


def _base64(text: str) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise malformed("leaf hashes are not base64") from None
    if len(found) % 32 or not found:
        raise malformed("a leaf hash has 32 bytes")
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
        raise malformed(str(error)) from None
    except SignatureInvalid as error:
        raise Refusal(
            "log",
            SubIndication.SIG_CRYPTO_FAILURE,
            f"No key of the log that the trust bundle names for this size has signed its head ({quote(str(error))}).",
        ) from None


def malformed(text: str) -> Refusal:
    """What cannot be read at all."""
    return Refusal("format", SubIndication.FORMAT_FAILURE, f"Malformed audit export: {quote(text)}.")


def failed(name: str, text: str) -> Refusal:
    """What is changed."""
    return Refusal(name, SubIndication.HASH_FAILURE, text)
