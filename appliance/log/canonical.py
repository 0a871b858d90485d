"""Documents about logs in canonical JSON (RFC 8785): one value, one spelling."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from appliance.log.errors import MalformedProof

_Form = TypeVar("_Form", bound=msgspec.Struct)


def encode(document: msgspec.Struct) -> bytes:
    """The canonical bytes of a document of texts and whole numbers, UTF-8."""
    return msgspec.json.encode(document, order="sorted")


def decode(data: bytes, form: type[_Form], limit: int, what: str) -> _Form:
    """Read at most `limit` bytes. Raises MalformedProof, which names `what`, for any but the one spelling."""
    if len(data) > limit:
        raise MalformedProof(f"{what} of more than {limit} bytes")
    try:
        found = msgspec.json.decode(data, type=form)
    except (ValueError, RecursionError) as error:
        raise MalformedProof(f"not {what}: {error}") from None
    if encode(found) != data:
        raise MalformedProof(f"{what}, but not in canonical JSON")
    return found
