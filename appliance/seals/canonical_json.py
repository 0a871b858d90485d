"""JSON with one meaning and one form: strict decoding, then the canonical form of RFC 8785.

RFC 8785 says how I-JSON data (RFC 7493) is written, not what to do with a text that two readers understand
differently. Such a text is refused, with a JSON pointer (RFC 6901) to the place: duplicate member names, numbers that
are not integers or not exact in every implementation, lone surrogates, too much nesting.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, NoReturn

import rfc8785

from appliance.seals.errors import JsonRejected

MAX_DEPTH = 64
MAX_VALUES = 200_000
"""Brackets, braces and commas in the text, in strings too: a bound on the values, and so on memory, before decoding."""
MAX_INTEGER = 2**53 - 1
"""RFC 7493, section 2.2: the integers that every implementation holds exactly."""


class _Members(NamedTuple):
    pairs: list[tuple[str, Any]]


class _Number(NamedTuple):
    """A number that is no safe integer, as it stands in the text."""

    text: str


def _integer(text: str) -> int | _Number:
    # Its length first: converting a number of a million digits is itself an attack.
    if len(text) > 17 or abs(int(text)) > MAX_INTEGER:
        return _Number(text)
    return int(text)


_decoder = json.JSONDecoder(object_pairs_hook=_Members, parse_float=_Number, parse_int=_integer, parse_constant=_Number)


def canonical_json(document: bytes) -> bytes:
    """The canonical form (RFC 8785) of a JSON document in UTF-8. Raises JsonRejected, saying where."""
    if sum(map(document.count, (b"[", b"{", b","))) > MAX_VALUES:
        raise JsonRejected(f"more than {MAX_VALUES} values")
    try:
        text = document.decode()
    except UnicodeDecodeError as error:
        raise JsonRejected(f"not UTF-8 at byte {error.start}") from None
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise JsonRejected(f"{error.msg} at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise JsonRejected(f"nested deeper than {MAX_DEPTH} levels") from None
    return rfc8785.dumps(_checked(value, "", 0))


def _refuse(what: str, pointer: str) -> NoReturn:
    raise JsonRejected(f"{what} at {pointer[:200] or 'the top'}")


def _checked(value: Any, pointer: str, depth: int) -> Any:
    if depth > MAX_DEPTH:
        _refuse(f"nested deeper than {MAX_DEPTH} levels", pointer)
    match value:
        case _Number(text):
            _refuse(f"the number {text[:40]} is not an integer of at most {MAX_INTEGER}: write it as a string", pointer)
        case _Members(pairs):
            members: dict[str, Any] = {}
            for name, member in pairs:
                below = f"{pointer}/{_escaped(name)}"
                if name in members:
                    _refuse("a member name occurs twice", below)
                _check_text(name, below)
                members[name] = _checked(member, below, depth + 1)
            return members
        case list():
            return [_checked(item, f"{pointer}/{index}", depth + 1) for index, item in enumerate(value)]
        case str():
            _check_text(value, pointer)
    return value


def _check_text(text: str, pointer: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        _refuse("half of a surrogate pair", pointer)


def _escaped(name: str) -> str:
    # A member name is quoted in an error: control and bidirectional characters are shown as escapes.
    return json.dumps(name.replace("~", "~0").replace("/", "~1"))[1:-1]
