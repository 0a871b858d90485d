"""Members that stand twice in one object of a JSON body. msgspec takes the last of them in silence; others the first.

RFC 8259, section 4, leaves open what they mean, so that a proxy, a log and the box could each read another request:
they are refused. The check follows a successful decoding, so the body is JSON. Its cost: nothing for a body of one
member, two microseconds for a small one; a large one is searched for its colons, a few milliseconds for 32 MiB.
"""

from __future__ import annotations

import json
from typing import Any, Final

from appliance.errors import BadRequest

SMALL: Final = 16 * 1024
"""Bytes up to which a body is simply parsed once more."""


def refuse_repeated(body: bytes) -> None:
    """Raises BadRequest for a body in which an object has a member twice. `body` is valid JSON."""
    if body.find(b":", body.find(b":") + 1) < 0:
        return  # no member, or one; without a colon the second search is the first once more
    if len(body) <= SMALL or b"\\" in body:
        try:
            text = body.decode()
            _parse(text, len(text) - len(text.lstrip()))
        except ValueError:
            raise BadRequest("The body is not JSON in UTF-8.") from None
    elif not _all_differ(body):
        _walk(body)


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        names = [name for name, _ in pairs]
        raise _twice(next(name for name in names if names.count(name) > 1))


_parse = json.JSONDecoder(object_pairs_hook=_once, parse_int=str, parse_float=str).raw_decode


def _twice(name: str) -> BadRequest:
    return BadRequest(f"The body has the member {name[:64]!r} twice in one object.")


def _all_differ(body: bytes) -> bool:
    """Whether surely no name is that of two members; found from colon to colon, the rest is not looked at.

    A colon after a quotation mark ends a member's name, or begins a string: what then counts as a name is none, and at
    worst the body is walked through for it."""
    names: set[bytes] = set()
    colon = body.find(b":")
    while colon >= 0:
        end = colon - 1
        while body[end] in b" \t\r\n":
            end -= 1
        if body[end] == 0x22:
            name = body[body.rfind(b'"', 0, end) + 1 : end]
            if name in names:
                return False
            names.add(name)
        colon = body.find(b":", colon + 1)
    return True


def _walk(body: bytes) -> None:
    """Without a backslash every quotation mark begins or ends a string: what stands between them shows the objects."""
    open_objects: list[set[bytes]] = []
    pieces = body.split(b'"')
    for place in range(0, len(pieces) - 1, 2):
        for mark in pieces[place]:
            if mark == 0x7B:
                open_objects.append(set())
            elif mark == 0x7D:
                open_objects.pop()
        if pieces[place + 2].lstrip()[:1] == b":":
            name = pieces[place + 1]
            if name in open_objects[-1]:
                raise _twice(name.decode("utf-8", "replace"))
            open_objects[-1].add(name)
