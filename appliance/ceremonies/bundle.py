"""The record bundle of one ceremony: everything that shows what was decided and done, in one file. Pure.

A ZIP container in the manner of ASiC-E (EN 319 162-1), stored, in one order, with nothing between its members, so that
the same members are the same bytes:

    mimetype
    META-INF/ASiCManifest.xml        SHA-256 of every member below but the last
    proposal.json                    what was decided, canonical
    statements.json                  what officers said, each with the time of its receipt
    constitution/N.json              every version up to the one that it was decided under, with what made each
    transcript.json                  how it went: steps, times, exceptions
    records.json                     what the ceremony left in the logs, with salts and log proofs
    outputs/STEP-NAME                what steps made: certificates, requests
    script.en.txt, script.zh-Hans.txt, transcript.pdf      for people
    META-INF/bundle-record.json      the logs' own record of this bundle: it names the manifest

The last member comes after all others are settled: the box records the manifest's digest in the logs of the ceremony,
so that whoever changes a member, and the manifest with it, contradicts a signed log.
"""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from xml.sax.saxutils import escape

import msgspec

from appliance.ceremonies.canonical import Digest, Identifier, Name, Text
from appliance.ceremonies.errors import BundleRefused
from appliance.ceremonies.statements import ReceivedStatement, Verb

MIMETYPE = "mimetype"
ASIC_E = b"application/vnd.etsi.asic-e+zip"
MANIFEST = "META-INF/ASiCManifest.xml"
PROPOSAL = "proposal.json"
STATEMENTS = "statements.json"
CONSTITUTION = "constitution/"
TRANSCRIPT = "transcript.json"
RECORDS = "records.json"
OUTPUTS = "outputs/"
SCRIPTS = {"en": "script.en.txt", "zh-Hans": "script.zh-Hans.txt"}
PRINTED = "transcript.pdf"
BUNDLE_RECORD = "META-INF/bundle-record.json"

BUNDLE_BYTES = 48 * 1024 * 1024
"""Largest bundle."""
_FIRST = (MIMETYPE, MANIFEST, PROPOSAL, STATEMENTS)
_LAST = (TRANSCRIPT, RECORDS, *SCRIPTS.values(), PRINTED, BUNDLE_RECORD)

State = Literal["executed", "failed", "rejected", "expired"]
Microseconds = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
LogName = Annotated[str, msgspec.Meta(pattern=r"\A(?:@box|[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?)\Z")]
"""A tenant, or @box."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Statements(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """statements.json, in the order of receipt."""

    format: Literal["cinnabar-statements/1"] = "cinnabar-statements/1"
    statements: list[ReceivedStatement]


class LogOrigin(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    log: LogName
    origin: Text


class Said(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement, for readers; the statement itself stands in statements.json."""

    verb: Verb
    officer: Name
    received: Microseconds
    counts: bool
    """Whether it held under the constitution that the ceremony was decided under."""


class Output(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Text
    file: str
    """Of the bundle; empty for what a failed attempt made."""
    sha256: Digest


class Attempt(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One execution from its beginning to its end."""

    attempt: Count
    begun: Microseconds
    ended: Microseconds
    state: Literal["executed", "failed"]
    error: str


class Step(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One action in one attempt, as it ended."""

    step: Count
    action: str
    attempt: Count
    begun: Microseconds | None
    """None where a later attempt has taken its place in the journal."""
    ended: Microseconds
    outcome: Literal["done", "failed"]
    facts: dict[str, Any]
    outputs: list[Output]
    error: str


class Question(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the console asked or showed during a step. What was typed or shown is never kept."""

    step: Count
    kind: str
    prompt: str
    state: str
    asked: Microseconds
    ended: Microseconds | None


class Wording(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same in both languages."""

    en: str
    zh: str


class Deviation(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that went otherwise than the script says."""

    step: Count
    attempt: Count
    time: Microseconds
    expected: Wording
    happened: str
    decided: Wording


class Transcript(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """transcript.json. Times are microseconds since 1970-01-01T00:00:00Z, by the box's clock."""

    format: Literal["cinnabar-transcript/1"] = "cinnabar-transcript/1"
    box: Identifier
    proposal: Digest
    state: State
    law: Digest
    """The constitution that it was decided under."""
    logs: list[LogOrigin]
    submitted: Microseconds
    attempts: list[Attempt]
    ended: Microseconds
    said: list[Said]
    steps: list[Step]
    questions: list[Question]
    exceptions: list[Deviation]


class LogRecord(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record in a log, opened. The log's entry is SHA-256("cinnabar record v1\\n" || salt || record)."""

    log: LogName
    event: str
    """Names the event among those of the ceremony."""
    index: Count
    record: dict[str, Any]
    """Its canonical form (RFC 8785) is what the salt hides."""
    salt: Digest
    tlog_proof: str
    """C2SP tlog-proof."""


class Records(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """records.json, by log and index; and META-INF/bundle-record.json, one for each log."""

    format: Literal["cinnabar-ceremony-records/1"] = "cinnabar-ceremony-records/1"
    records: list[LogRecord]


def output_file(step: int, name: str) -> str:
    """The member that an output stands in; characters that a file name may not have become hyphens."""
    plain = "".join(one if one.isascii() and (one.isalnum() or one in "._-") else "-" for one in name)
    return f"{OUTPUTS}{step + 1:02}-{plain}"


def order(members: Mapping[str, bytes]) -> list[str]:
    """The names of members in the order in which a bundle has them."""
    others = sorted(set(members) - {*_FIRST, *_LAST}, key=_place)
    return [name for name in (*_FIRST, *others, *_LAST) if name in members]


def _place(name: str) -> tuple[str, int, str]:
    directory, _, rest = name.partition("/")
    number = rest.split(".")[0].split("-")[0]
    return directory, int(number) if number.isdecimal() and number.isascii() else 0, rest


def manifest(members: Mapping[str, bytes]) -> bytes:
    """META-INF/ASiCManifest.xml (EN 319 162-1, annex A.4) over every member but itself and what vouches for it."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" '
        'xmlns:ds="http://www.w3.org/2000/09/xmldsig#">\n'
        f'<asic:SigReference URI="{BUNDLE_RECORD}" MimeType="application/json"/>\n'
    ]
    for name in order(members):
        if name in {MIMETYPE, MANIFEST, BUNDLE_RECORD}:
            continue
        value = base64.b64encode(hashlib.sha256(members[name]).digest()).decode()
        lines.append(
            f'<asic:DataObjectReference URI="{escape(name)}">'
            '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
            f"<ds:DigestValue>{value}</ds:DigestValue></asic:DataObjectReference>\n"
        )
    return "".join([*lines, "</asic:ASiCManifest>\n"]).encode()


def pack(members: Mapping[str, bytes]) -> bytes:
    """The container of these members: the same bytes for the same members."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as container:
        for name in order(members):
            entry = zipfile.ZipInfo(name)
            entry.external_attr = 0o644 << 16
            container.writestr(entry, members[name])
    return stream.getvalue()


def unpack(bundle: bytes) -> dict[str, bytes]:
    """The members of a container that is, byte for byte, what `pack` makes of them. Raises BundleRefused."""
    if len(bundle) > BUNDLE_BYTES:
        raise BundleRefused(f"a record bundle has at most {BUNDLE_BYTES} bytes")
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as container:
            found = container.infolist()
            if any(one.compress_type != zipfile.ZIP_STORED for one in found):
                raise BundleRefused("the container's members are not stored as they are")
            members = {one.filename: container.read(one) for one in found}
        same = pack(members) == bundle
    except BundleRefused:
        raise
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, OverflowError):
        raise BundleRefused("the container is damaged") from None
    if not same:
        raise BundleRefused("the container is not in its one form: something in it is changed or added")
    return members


def read_member(members: Mapping[str, bytes], name: str) -> bytes:
    """Raises BundleRefused."""
    content = members.get(name)
    if content is None:
        raise BundleRefused(f"the bundle lacks {name}")
    return content


def is_bundle(front: bytes) -> bool:
    """Whether a file that begins so (256 bytes are enough) says that it is a record bundle."""
    return front.startswith(b"PK\x03\x04") and front[30:38] == MIMETYPE.encode() and MANIFEST.encode() in front[38:256]
