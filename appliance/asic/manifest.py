"""ASiC manifests (ETSI EN 319 162-1, annex A.4): which files one signature covers, each with its SHA-256.

Writing is on the path of every event, so the XML is put together as text; the tests hold it to an XML library.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable

from appliance.asic.names import SEAL_TYPE, event_names

_NAMESPACES = 'xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
_BEGIN = f'<?xml version="1.0" encoding="UTF-8"?>\n<asic:ASiCManifest {_NAMESPACES}>'
_SHA256 = '"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>'
_NEXT = "</ds:DigestValue></asic:DataObjectReference>"
_END = "</asic:ASiCManifest>\n"
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/+")
_PERCENT = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in range(256)]
_XML = str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;", "\r": "&#13;"}
)


def event_manifest(number: int, files: Iterable[tuple[str, str, bytes]], split_off: str | None = None) -> bytes:
    """The manifest that a letter's event is sealed by: what the CAdES signature signs, byte for byte.

    `number`: the event's. `files`: entry name in the evidence file, media type, SHA-256 (32 bytes) of each file that
    is sealed, the event itself first; names by `event_names`. `split_off`: the letter's id where it was split off from
    another letter (its state has an `origin`), else None. Equal arguments give equal bytes.
    """
    parts = [_BEGIN, f'<asic:SigReference URI="{event_names(number, split_off).seal}" MimeType="{SEAL_TYPE}"/>']
    for name, media_type, digest in files:
        encoded = b2a_base64(digest, newline=False).decode("ascii")
        parts.append(
            f'<asic:DataObjectReference URI="{reference(name)}" MimeType="{media_type.translate(_XML)}'
            f"{_SHA256}{encoded}{_NEXT}"
        )
    parts.append(_END)
    return "".join(parts).encode()


def reference(name: str) -> str:
    """An entry's name as a URI reference (RFC 3986): UTF-8, with everything percent-encoded that is not plain."""
    return "".join([_PERCENT[byte] for byte in name.encode()])
