"""The syntax of PDF objects (ISO 32000-1, 7.2 and 7.3), as far as it takes to change a dictionary's members.

Values stay the bytes that they were: a dictionary is read one level deep, and what is not changed is written as it
stood. Nesting and sizes are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from appliance.pdf.errors import PdfRefused

_SPACE: Final = re.compile(rb"(?:[\x00\t\n\x0c\r ]+|%[^\r\n]*)*")
_NAME: Final = re.compile(rb"/[^\x00\t\n\x0c\r ()<>\[\]{}/%]*")
_REFERENCE: Final = re.compile(rb"(\d{1,10})[\x00\t\n\x0c\r ]+(\d{1,5})[\x00\t\n\x0c\r ]+R(?![A-Za-z0-9])")
_PLAIN: Final = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)|true|false|null")
_HEX: Final = re.compile(rb"<[0-9A-Fa-f\x00\t\n\x0c\r ]*>")
_IN_STRING: Final = re.compile(rb"\\.|[()]", re.DOTALL)
_DEEPEST: Final = 24


def skip_space(data: bytes, at: int) -> int:
    """Where the next token begins."""
    found = _SPACE.match(data, at)
    return found.end() if found else at


def value_end(data: bytes, at: int, depth: int = 0) -> int:
    """Where the value that begins at `at` ends. Raises PdfRefused."""
    if depth > _DEEPEST:
        raise PdfRefused("a value is nested too deeply")
    first = data[at : at + 1]
    if first == b"/":
        return _end(_NAME.match(data, at), at)
    if first == b"(":
        return _string_end(data, at)
    if first == b"[":
        return _array_end(data, at, depth)
    if first == b"<":
        if data[at + 1 : at + 2] == b"<":
            return _read_dictionary(data, at, depth)[1]
        return _end(_HEX.match(data, at), at)
    found = _REFERENCE.match(data, at) or _PLAIN.match(data, at)
    return _end(found, at)


def _end(found: re.Match[bytes] | None, at: int) -> int:
    if found is None:
        raise PdfRefused(f"there is no value at offset {at}")
    return found.end()


def _string_end(data: bytes, at: int) -> int:
    depth = 0
    for found in _IN_STRING.finditer(data, at):
        if found[0] == b"(":
            depth += 1
        elif found[0] == b")":
            depth -= 1
            if not depth:
                return found.end()
    raise PdfRefused(f"the string at offset {at} does not end")


def _array_end(data: bytes, at: int, depth: int) -> int:
    at = skip_space(data, at + 1)
    while data[at : at + 1] != b"]":
        at = skip_space(data, value_end(data, at, depth + 1))
    return at + 1


def _read_dictionary(data: bytes, at: int, depth: int) -> tuple[dict[bytes, bytes], int]:
    if data[at : at + 2] != b"<<":
        raise PdfRefused(f"there is no dictionary at offset {at}")
    members: dict[bytes, bytes] = {}
    at = skip_space(data, at + 2)
    while data[at : at + 2] != b">>":
        stop = _end(_NAME.match(data, at), at)
        name = data[at:stop]
        if name in members or b"#" in name:
            raise PdfRefused(f"a dictionary has the member {name[:40].decode('ascii', 'replace')} twice or disguised")
        at = skip_space(data, stop)
        stop = value_end(data, at, depth + 1)
        members[name] = data[at:stop]
        at = skip_space(data, stop)
    return members, at + 2


def dictionary(data: bytes, at: int = 0) -> dict[bytes, bytes]:
    """The members of the dictionary at `at`: names with their slash, values as they stand. Raises PdfRefused."""
    return _read_dictionary(data, skip_space(data, at), 0)[0]


def dictionary_and_end(data: bytes, at: int) -> tuple[dict[bytes, bytes], int]:
    """As `dictionary`, and where it ends."""
    return _read_dictionary(data, skip_space(data, at), 0)


def array(value: bytes) -> list[bytes]:
    """The members of an array as they stand. Raises PdfRefused."""
    if value[:1] != b"[":
        raise PdfRefused("a value is not the array that it should be")
    members = []
    at = skip_space(value, 1)
    while value[at : at + 1] != b"]":
        stop = value_end(value, at)
        members.append(value[at:stop])
        at = skip_space(value, stop)
    return members


def reference(value: bytes) -> int | None:
    """The number of the object that a value refers to, of generation 0; None where it is no reference."""
    found = _REFERENCE.fullmatch(value)
    return int(found[1]) if found is not None and found[2] == b"0" else None


def references(value: bytes) -> list[re.Match[bytes]]:
    """Where a value, which holds no stream, refers to objects."""
    return list(_REFERENCE.finditer(value))


def write(members: Mapping[bytes, bytes]) -> bytes:
    """A dictionary."""
    return b"<<" + b"".join(name + b" " + value for name, value in members.items()) + b">>"


def text_string(text: str) -> bytes:
    """A text string (7.9.2.2), UTF-16 in hexadecimal where it is not ASCII."""
    if text.isascii() and text.isprintable() and not set("()\\") & set(text):
        return b"(" + text.encode() + b")"
    return b"<feff" + text.encode("utf-16-be").hex().encode() + b">"
