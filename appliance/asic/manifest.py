"""ASiC manifests (ETSI EN 319 162-1, annex A.4): which files one signature covers, each with its SHA-256.

Writing is on the path of every event, so the XML is put together as text; the tests hold it to XML libraries. A
manifest has one spelling: reading one takes it apart and writes it again, so entities, comments, other namespaces and
whatever else XML allows have no place to stand.
"""

from __future__ import annotations

import binascii
import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable
from html import unescape
from typing import NamedTuple
from urllib.parse import unquote

from appliance.asic.errors import ManifestRefused
from appliance.asic.names import COURT, SEAL_TYPE, event_tail, names_of, seal_name

_NAMESPACES = 'xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
_BEGIN = f'<?xml version="1.0" encoding="UTF-8"?>\n<asic:ASiCManifest {_NAMESPACES}>'
_METHOD = '"><ds:DigestMethod Algorithm="'
_VALUE = '"/><ds:DigestValue>'
DIGEST_METHODS = {
    "sha256": "http://www.w3.org/2001/04/xmlenc#sha256",
    "sha384": "http://www.w3.org/2001/04/xmldsig-more#sha384",
    "sha512": "http://www.w3.org/2001/04/xmlenc#sha512",
    "sha3-256": "http://www.w3.org/2007/05/xmldsig-more#sha3-256",
    "sha3-384": "http://www.w3.org/2007/05/xmldsig-more#sha3-384",
    "sha3-512": "http://www.w3.org/2007/05/xmldsig-more#sha3-512",
    "sm3": "urn:oid:1.2.156.10197.1.401",
}
"""RFC 9231, by the names of appliance.algorithms; SM3 has none there, so its object identifier stands (RFC 3061)."""
_SHA256 = _METHOD + DIGEST_METHODS["sha256"] + _VALUE
_NEXT = "</ds:DigestValue></asic:DataObjectReference>"
_END = "</asic:ASiCManifest>\n"
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_PERCENT = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256)]
_NOTHING_TO_ESCAPE = re.compile(r"[A-Za-z0-9._~/-]*").fullmatch
"""Neither in a URI nor in XML: nearly every name and media type is so."""
_XML = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)
_REFERENCE = re.compile(
    rf'<asic:DataObjectReference URI="([^"<>&]*)" MimeType="([^"<>]*){re.escape(_SHA256)}([A-Za-z0-9+/=]{{44}}){_NEXT}'
)
_SEAL = re.compile(r'<asic:SigReference URI="META-INF/signature-([0-9a-f-]+|court)\.p7s" MimeType="[^"<>&]*"/>')


class Reference(NamedTuple):
    """A file that a manifest names."""

    name: str
    media_type: str
    digest: bytes
    """SHA-256; in the manifest of a renewal, by the hash that it names."""


class Manifest(NamedTuple):
    """What a manifest says."""

    tail: str
    """Which signature it belongs to: see appliance.asic.names."""
    references: tuple[Reference, ...]


_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""XML 1.0, production 2."""


def event_manifest(number: int, files: Iterable[tuple[str, str, bytes]], split_off: str | None = None) -> bytes:
    """The manifest that a letter's event is sealed by: what the CAdES signature signs, byte for byte.

    `number`: the event's. `files`: entry name in the evidence file, media type, SHA-256 (32 bytes) of each file that
    is sealed, the event itself first; names by `event_names`. `split_off`: the letter's id where it was split off from
    another letter (its state has an `origin`), else None. Equal arguments give equal bytes.
    """
    return _write(event_tail(number, split_off), files)


def court_manifest(files: Iterable[tuple[str, str, bytes]]) -> bytes:
    """The manifest that a court package is sealed by. `files` as of `event_manifest`: the parts, as `court/NAME`, and
    the newest event of the letter, so that the package belongs to no other letter."""
    return _write(COURT, files)


def evidence_record_manifest(tail: str, seal: bytes) -> bytes:
    """The manifest of an evidence record (EN 319 162-1, clause 4.4.4.2, item 4): it is over the seal, whose SHA-256 is
    `seal`, and so over all that the seal covers. Equal arguments give equal bytes."""
    names = names_of(tail)
    return write_manifest(names.evidence_record, "", [(names.seal, SEAL_TYPE, seal)])


def read_manifest(data: bytes) -> Manifest:
    """Take a manifest apart. Raises ManifestRefused for anything but the one spelling that is written here."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ManifestRefused("the manifest is not UTF-8") from None
    if _NOT_XML.search(text) is not None:
        raise ManifestRefused("the manifest holds a character that XML has not")
    seal = _SEAL.match(text, len(_BEGIN))
    if seal is None:
        raise ManifestRefused("the manifest is not in the one spelling that boxes write")
    references: list[Reference] = []
    at = seal.end()
    try:
        while (found := _REFERENCE.match(text, at)) is not None:
            name, media_type, encoded = found.groups()
            references.append(Reference(unquote(name, errors="strict"), unescape(media_type), a2b_base64(encoded)))
            at = found.end()
    except (UnicodeDecodeError, binascii.Error):
        raise ManifestRefused("the manifest has a name or a digest that is none") from None
    if _write(seal[1], references) != data:
        raise ManifestRefused("the manifest is not in the one spelling that boxes write")
    if len({one.name for one in references}) != len(references):
        raise ManifestRefused("the manifest names a file twice")
    return Manifest(seal[1], tuple(references))


def _write(tail: str, files: Iterable[tuple[str, str, bytes]]) -> bytes:
    return write_manifest(seal_name(tail), SEAL_TYPE, files)


def write_manifest(
    signature: str, signature_type: str, files: Iterable[tuple[str, str, bytes]], hash_name: str = "sha256"
) -> bytes:
    """Any manifest. `signature`: the entry that vouches for it, with its media type, which is plain, or empty where it
    has none; `files` as of `event_manifest`, their digests by `hash_name`."""
    method = _METHOD + DIGEST_METHODS[hash_name] + _VALUE
    media_type = f' MimeType="{signature_type}"' if signature_type else ""
    parts = [_BEGIN, f'<asic:SigReference URI="{_uri(signature)}"{media_type}/>']
    for name, media_type, digest in files:
        encoded = b2a_base64(digest, newline=False).decode("ascii")
        parts.append(
            f'<asic:DataObjectReference URI="{_uri(name)}" MimeType="{_escaped(media_type)}{method}{encoded}{_NEXT}'
        )
    parts.append(_END)
    return "".join(parts).encode()


def _escaped(text: str) -> str:
    return text if _NOTHING_TO_ESCAPE(text) else text.translate(_XML)


def _uri(name: str) -> str:
    """An entry's name as a URI reference (RFC 3986): UTF-8, with everything percent-encoded that is not plain."""
    if _NOTHING_TO_ESCAPE(name):
        return name
    return "".join([_PERCENT[byte] for byte in name.encode()])
