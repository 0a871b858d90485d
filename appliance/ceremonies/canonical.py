"""Documents that officers sign: one structure, one text. JSON in the canonical form of RFC 8785.

A text is taken only if writing what was read gives the same bytes, so that a duplicate member, an unknown one or
another spelling cannot hide behind a digest. Instants are texts `YYYY-MM-DDThh:mm:ssZ`.
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Annotated, TypeVar

import msgspec
import rfc8785

from appliance.ceremonies.errors import DocumentRefused

DOCUMENT_BYTES = 1024 * 1024
"""Largest document that is taken."""
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"

Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""SHA-256, hexadecimal."""
Identifier = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
"""128 random bits, hexadecimal."""
Name = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?\Z")]
"""1 to 64 lower-case letters, digits and hyphens."""
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Base64 = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9+/]*={0,2}\Z", max_length=200_000)]
Instant = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z\Z")]

Document = TypeVar("Document", bound=msgspec.Struct)


def encode(document: msgspec.Struct) -> bytes:
    """The canonical bytes of a document, UTF-8."""
    return rfc8785.dumps(msgspec.to_builtins(document))


def decode(text: bytes, form: type[Document], *, limit: int = DOCUMENT_BYTES) -> Document:
    """The document that these canonical bytes are, at most `limit`. Raises DocumentRefused."""
    if len(text) > limit:
        raise DocumentRefused(f"a document has at most {limit} bytes")
    try:
        document = msgspec.json.decode(text, type=form)
        canonical = encode(document)
    except (msgspec.MsgspecError, rfc8785.CanonicalizationError, RecursionError, UnicodeError) as error:
        raise DocumentRefused(f"the document cannot be read: {error}") from None
    if canonical != text:
        raise DocumentRefused("the document is not in its canonical form")
    return document


def digest(document: bytes) -> str:
    """SHA-256 of a document's canonical bytes, hexadecimal."""
    return hashlib.sha256(document).hexdigest()


def instant(text: str) -> datetime.datetime:
    """The instant, in UTC. Raises DocumentRefused."""
    try:
        return datetime.datetime.strptime(text, _INSTANT).replace(tzinfo=datetime.UTC)
    except ValueError:
        raise DocumentRefused(f"{text!r} is not an instant") from None


def instant_text(at: datetime.datetime) -> str:
    """An instant as documents write it; fractions of a second are cut off."""
    return at.astimezone(datetime.UTC).strftime(_INSTANT)
