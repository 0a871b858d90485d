"""The lines of an audit export, one JSON object a line: what the audit process writes and the verifier reads.

    export      first: whose log, what was asked for, leaves [first, end), what lies before them (RFC 6962)
    entry       a record that was asked for: salt and content give its leaf. A box leaf has no salt
    withheld    leaf hashes of records in the range that were not asked for
    end         what lies after the range, the signed head that all of it leads to, and the counts
    record      last: the box's own record, in the same log, that it made this export, with its log proof

Entries and withheld leaves follow each other in the order of the log, without a gap. docs/audit.md has an example.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal

import msgspec

from appliance.asic.manifest import write_manifest
from appliance.asic.names import JSON_TYPE, MIMETYPE
from appliance.record import COMMITMENT_PREFIX
from appliance.tree_hash import SHA256, TreeHash

FIRST_BYTES = b'{"type":"export",'
LEAVES_A_LINE = 4_096
LONGEST_LINE = 16 * 1024 * 1024
MADE = "export-made"
READING_FORMAT = "cinnabar-reading/1"

ENTRIES_FILE = "entries.jsonl"
MANIFEST_FILE = "META-INF/ASiCManifest.xml"
RECORD_FILE = "META-INF/export-record.json"
MIMETYPE_FILE = MIMETYPE
TABLE_COLUMNS = ("index", "time", "kind", "key", "application", "record", "salt", "content")

Amount = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Hash = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64}){1,2}\Z")]
Form = Literal["asice", "csv", "jsonl"]


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    pass


class ExportLine(_Line, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="export"):
    before: list[Hash]
    box: str
    """The box's id."""
    end: Amount
    export: str
    """Name of the export."""
    filter: msgspec.Raw
    """What was asked for; see docs/audit.md."""
    first: Amount
    form: Form
    """csv: the records stand in a table beside, and this file has their leaf hashes only."""
    format: Literal["cinnabar-export/1"] = "cinnabar-export/1"
    log: str
    """The tenant, or @box."""
    origin: str
    rehearsal: bool
    time: Amount
    """When it was begun, microseconds since the epoch."""


class EntryLine(_Line, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="entry"):
    index: Amount
    kind: str
    record: str
    """Its id, hexadecimal."""
    salt: str
    content: msgspec.Raw


class WithheldLine(_Line, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="withheld"):
    index: Amount
    leaves: str
    """Leaf hashes, base64."""


class EndLine(_Line, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="end"):
    after: list[Hash]
    checkpoint: str
    """Signed note."""
    shown: Amount
    size: Amount
    """Of the tree of the checkpoint."""
    table: Hash | msgspec.UnsetType = msgspec.UNSET
    """SHA-256 of the table beside."""
    withheld: Amount


class RecordLine(_Line, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="record"):
    content: msgspec.Raw
    salt: str
    tlog_proof: str


Line = ExportLine | EntryLine | WithheldLine | EndLine | RecordLine
_encode = msgspec.json.Encoder().encode
_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def encode_line(line: Line) -> bytes:
    return _encode(line) + b"\n"


def decode_line(data: bytes) -> Line:
    """Raises msgspec.MsgspecError."""
    return _decoder.decode(data)


def encode_entry(index: int, kind: str, record_id: bytes, salt: bytes, content: bytes) -> bytes:
    """An EntryLine, made fast: kinds are plain words, and the content is JSON in one line already."""
    return b'{"type":"entry","index":%d,"kind":"%b","record":"%b","salt":"%b","content":%b}\n' % (
        index, kind.encode(), record_id.hex().encode(), salt.hex().encode(), content,
    )  # fmt: skip


def withheld_lines(first: int, hashes: bytes, width: int = SHA256.size) -> bytes:
    """The lines for a run of leaf hashes, `width` bytes each."""
    step = LEAVES_A_LINE * width
    return b"".join(
        encode_line(
            WithheldLine(index=first + at // width, leaves=base64.b64encode(hashes[at : at + step]).decode("ascii"))
        )
        for at in range(0, len(hashes), step)
    )


def leaf_of(salt: bytes, content: bytes, hashing: TreeHash = SHA256) -> bytes:
    """The leaf hash of a record, or of a box leaf where there is no salt."""
    entry = hashing.digest(COMMITMENT_PREFIX + salt + content if salt else content)
    return hashing.digest(b"\x00" + entry)


# The table: RFC 4180, for people and spreadsheets

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
_ROW_END = b"\r\n"


def cell(text: str) -> str:
    """A field of the table. A text that a spreadsheet might take as a formula, or that begins with the mark itself,
    has an apostrophe before it."""
    if text.startswith(_FORMULA):
        text = "'" + text
    if "," in text or '"' in text or "\r" in text or "\n" in text:
        return '"' + text.replace('"', '""') + '"'
    return text


def uncell(text: str) -> str:
    """What a field of the table stands for."""
    return text[1:] if text.startswith("'") else text


def table_head() -> bytes:
    return ",".join(TABLE_COLUMNS).encode() + _ROW_END


def manifest(entries_digest: bytes) -> bytes:
    """META-INF/ASiCManifest.xml (EN 319 162-1, annex A.4): the digest of the entries, and what vouches for it."""
    return write_manifest(RECORD_FILE, JSON_TYPE, [(ENTRIES_FILE, "application/jsonl", entries_digest)])
