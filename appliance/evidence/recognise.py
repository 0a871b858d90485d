"""What kind of thing a file is, by its bytes; by its name only where the bytes are too broken to tell."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import PurePath

from asn1crypto import pem

from appliance.asic.container import FIRST_BYTES as CONTAINER
from appliance.asic.names import LETTER, event_names
from appliance.ber import definite
from appliance.ceremonies.bundle import is_bundle
from appliance.der import BIT_STRING, DerError, Reader
from appliance.evidence import cms
from appliance.evidence.canonical import NotCanonical, read_json
from appliance.evidence.export_lines import ENTRIES_FILE, FIRST_BYTES, MIMETYPE_FILE
from appliance.evidence.subjects import NamedBytes, NamedFile

LARGEST_OBJECT = 64 * 1024 * 1024
"""Bytes of anything that is parsed; larger files are documents."""


class Kind(StrEnum):
    """What a file is to the verifier."""

    STAMP = "time-stamp"
    SEAL = "seal"
    EVIDENCE_RECORD = "evidence record"
    LOG_PROOF = "log proof"
    RECEIPT = "log receipt"
    CONTINUATION = "log continuation"
    OPENING = "record opening"
    EXPORT = "audit export"
    CEREMONY = "record bundle of a ceremony"
    LETTER = "evidence of a letter"
    CERTIFICATE = "certificate"
    REVOCATION_LIST = "revocation list"
    DOCUMENT = "document"
    DIGEST = "digest"


_BY_NAME = {
    ".tst": Kind.STAMP,
    ".tsr": Kind.STAMP,
    ".p7s": Kind.SEAL,
    ".p7m": Kind.SEAL,
    ".cms": Kind.SEAL,
    ".ers": Kind.EVIDENCE_RECORD,
    ".er": Kind.EVIDENCE_RECORD,
    ".tlog-proof": Kind.LOG_PROOF,
    ".receipt": Kind.RECEIPT,
    ".cose": Kind.RECEIPT,
    ".asice": Kind.LETTER,
}
_PEM_KINDS = {
    "CERTIFICATE": Kind.CERTIFICATE,
    "X509 CRL": Kind.REVOCATION_LIST,
    "PKCS7": Kind.SEAL,
    "CMS": Kind.SEAL,
}
_COSE_SIGN1 = b"\xd2\x84"
_PROOF = b"c2sp.org/tlog-proof@"
_CONTINUATION = re.compile(rb'\{"format":"cinnabar-log-continuation/')


def recognise(file: NamedBytes | NamedFile) -> tuple[Kind, list[bytes]]:
    """The kind, and the encoded objects inside: one, or the members of a PEM file. A document has none, an export is
    read as a stream."""
    content = file.content if isinstance(file, NamedBytes) else file.front
    if _is_export(content):
        return Kind.EXPORT, []
    if is_bundle(content[:256]) and isinstance(file, NamedBytes):
        return Kind.CEREMONY, [content]
    if _is_letter(content):
        return Kind.LETTER, []
    if isinstance(file, NamedFile):
        return Kind.DOCUMENT, []
    named = _BY_NAME.get(PurePath(file.name).suffix.lower(), Kind.DOCUMENT)
    if len(content) > LARGEST_OBJECT:
        return Kind.DOCUMENT, []
    if content.startswith(b"-----BEGIN "):
        return _recognise_pem(content)
    if content.startswith(_PROOF):
        return Kind.LOG_PROOF, [content]
    if content.startswith(_COSE_SIGN1):
        return Kind.RECEIPT, [content]
    if _CONTINUATION.match(content):
        return Kind.CONTINUATION, [content]
    if content.startswith(b"{") and _is_opening(content):
        return Kind.OPENING, [content]
    kind = _recognise_der(content) if content.startswith(b"0") else None
    kind = kind or named
    return kind, [] if kind is Kind.DOCUMENT else [content]


def _is_export(content: bytes) -> bool:
    """An audit export, as lines or as container: its first two members say so."""
    members = content[:256]
    container = members.startswith(b"PK\x03\x04") and members[30:38] == MIMETYPE_FILE.encode()
    return content.startswith(FIRST_BYTES) or (container and ENTRIES_FILE.encode() in members)


def _is_letter(content: bytes) -> bool:
    """A container of a letter's evidence, whole or spoiled: no other has entries of these names."""
    names = (LETTER, event_names(1).event, event_names(1).manifest)
    return content.startswith(CONTAINER) and any(name.encode() in content for name in names)


def _recognise_pem(content: bytes) -> tuple[Kind, list[bytes]]:
    try:
        parts = [(label, encoded) for label, _, encoded in pem.unarmor(content, multiple=True)]
    except (ValueError, TypeError):
        return Kind.DOCUMENT, []
    kinds = {_PEM_KINDS.get(label, Kind.DOCUMENT) for label, _ in parts}
    if len(kinds) != 1 or len(parts) > 64:
        return Kind.DOCUMENT, []
    kind = kinds.pop()
    if kind is Kind.SEAL:
        return (_recognise_der(parts[0][1]) or Kind.SEAL, [parts[0][1]]) if len(parts) == 1 else (Kind.DOCUMENT, [])
    return kind, [] if kind is Kind.DOCUMENT else [encoded for _, encoded in parts]


def _is_opening(content: bytes) -> bool:
    try:
        value = read_json(content)
    except NotCanonical:
        return b'"commitment"' in content and b'"salt"' in content
    return isinstance(value, dict) and {"content", "salt", "commitment"} <= value.keys()


def _recognise_der(content: bytes) -> Kind | None:
    try:
        outer = Reader(definite(content))
        first = outer.enter()
        outer.finish()
        tag = first.peek()
        if tag == 0x06:
            return _recognise_cms(first)
        if tag == 0x02:
            return Kind.EVIDENCE_RECORD if first.integer(max_bytes=1) == 1 and first.peek() == 0x30 else None
        inner = first.enter()
        if not first or first.peek() == 0x30:
            return _recognise_signed(inner, first)
    except DerError:
        return None
    return None


def _recognise_cms(reader: Reader) -> Kind | None:
    if reader.oid() != cms.SIGNED_DATA:
        return None
    signed = reader.enter(0xA0).enter()
    signed.raw(0x02)
    signed.raw(0x31)
    return Kind.STAMP if signed.enter().oid() == cms.TST_INFO else Kind.SEAL


def _recognise_signed(inner: Reader, rest: Reader) -> Kind | None:
    """SEQUENCE { SEQUENCE ..., ... }: certificate, CRL or TimeStampResp."""
    if rest:
        rest.raw()
    if rest.peek() == BIT_STRING:
        if inner.peek() == 0xA0:
            return Kind.CERTIFICATE
        return Kind.REVOCATION_LIST if inner.peek() == 0x02 else None
    return Kind.STAMP if inner.peek() == 0x02 and not rest else None
