"""JSON that must be in its canonical form (RFC 8785): one value, one spelling, no member twice."""

from __future__ import annotations

import json
from typing import Any

import rfc8785

from appliance.errors import BadRequest


class NotCanonical(BadRequest):
    """The bytes are not JSON in its canonical form."""

    code = "not-canonical-json"
    title = "The JSON is not in its canonical form"


def read_json(encoded: bytes) -> Any:
    """Parse JSON, refusing a member that stands twice, and what RFC 8259 does not know. Raises NotCanonical."""
    try:
        return json.loads(encoded.decode(), object_pairs_hook=_once, parse_constant=_no_constant)
    except NotCanonical:
        raise
    except (ValueError, RecursionError):
        raise NotCanonical("not JSON in UTF-8") from None


def check_canonical(encoded: bytes) -> Any:
    """Parse JSON whose bytes must be the RFC 8785 form of what they say. Raises NotCanonical."""
    value = read_json(encoded)
    try:
        again = rfc8785.dumps(value)
    except (ValueError, RecursionError):  # rfc8785's own errors are ValueErrors
        raise NotCanonical("a value that RFC 8785 cannot express") from None
    if again != encoded:
        raise NotCanonical("JSON that is not in the canonical form of RFC 8785")
    return value


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) != len(members):
        raise NotCanonical("a member stands twice in one object")
    return found


def _no_constant(_: str) -> Any:
    raise NotCanonical("a number that JSON does not know")
