"""Structs as canonical JSON (RFC 8785): one value, one spelling.

A text is taken only if writing what was read gives the same bytes, so a member that stands twice, an unknown one, a
space or another order of members cannot hide. It is written and compared by msgspec, whose sorted form is that of
RFC 8785 for what these Structs hold: members with ASCII names, texts, and whole numbers up to 2^53 - 1. There are no
fractions in them.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, NoReturn, TypeVar

import msgspec

from appliance.quoting import escape

Form = TypeVar("Form", bound=msgspec.Struct)

LARGEST_NUMBER: Final = 2**53 - 1
"""The largest whole number that every reader of JSON keeps exactly (RFC 7493, section 2.2)."""

Number = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_NUMBER)]
Hex = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{2})*+\Z")]
"""Bytes, hexadecimal in lower case, without a prefix. The repetition is possessive: going back in a text of a megabyte
takes 50 of memory."""
Hex32 = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
"""32 bytes."""


class NotCanonical(ValueError):
    """The bytes are not the canonical form of what they should say."""


def encode(value: msgspec.Struct) -> bytes:
    """The canonical bytes of a Struct, UTF-8. Its msgspec.Raw members are written as they are."""
    return msgspec.json.encode(value, order="sorted")


def decode(encoded: bytes, form: type[Form], limit: int) -> Form:
    """The Struct that these canonical bytes are, at most `limit` of them. What stands in a msgspec.Raw is left to
    whoever reads that. Raises NotCanonical."""
    if len(encoded) > limit:
        raise NotCanonical(f"{len(encoded)} bytes, at most {limit} are taken")
    try:
        encoded.decode()  # of what stands in a msgspec.Raw, too, which msgspec does not look at
        value = msgspec.json.decode(encoded, type=form)
        again = encode(value)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise NotCanonical(escape(str(error))) from None  # msgspec copies names of members
    if again != encoded:
        raise NotCanonical("not in the canonical form of RFC 8785")
    return value


def respelled(text: bytes, limit: int) -> bytes:
    """The canonical bytes of what JSON says that a person wrote: members in any order, spaces, a newline at the end. A
    member that stands twice and a number that is not whole are refused in any spelling. Raises NotCanonical."""
    if len(text) > limit:
        raise NotCanonical(f"{len(text)} bytes, at most {limit} are taken")
    try:
        value = json.loads(text.decode(), object_pairs_hook=_once, parse_float=_refused, parse_constant=_refused)
        return msgspec.json.encode(value, order="sorted")
    except NotCanonical:
        raise
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise NotCanonical(f"not JSON in UTF-8: {str(error)[:200]}") from None


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members:
        if name in found:
            raise NotCanonical(f"the member {name[:64]!r} stands twice")
        found[name] = value
    return found


def _refused(number: str) -> NoReturn:
    raise NotCanonical(f"{number[:64]} is no whole number")
