"""Outlines of glyphs (Adobe technical note 5177, Type 2 charstrings) without their subroutines.

A subset without subroutines needs nothing of the font but its private dictionaries. Only what it takes to find where a
subroutine is called is followed: how many numbers are on the stack, and how many hints have been told.
"""

from __future__ import annotations

from typing import Final, Protocol

_STEMS: Final = {1, 3, 18, 23}
_MASKS: Final = {19, 20}
_CALL, _CALL_GLOBAL, _RETURN, _END, _ESCAPE, _SHORT, _FIXED = 10, 29, 11, 14, 12, 28, 255
_FIRST_NUMBER, _TWO_BYTES = 32, 247
_CURVES: Final = range(34, 38)
_DEEPEST: Final = 10


class Routines(Protocol):
    """Subroutines by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> bytes: ...


def flattened(outline: bytes, own: Routines | None, shared: Routines) -> bytes:
    """A glyph's charstring with the subroutines of its private dictionary (`own`) and of the font (`shared`) put in.

    Raises ValueError on arithmetic, which these fonts have none of, and on what is cut off."""
    made = bytearray()
    stack: list[int] = []
    hints = last = 0

    def run(code: bytes, depth: int) -> bool:
        """Whether the glyph ended."""
        nonlocal hints, last
        if depth > _DEEPEST:
            raise ValueError("subroutines are nested too deeply")
        at = 0
        while at < len(code):
            first = code[at]
            if first >= _FIRST_NUMBER or first == _SHORT:
                value, last = _number(code, at)
                stack.append(value)
                made.extend(code[at : at + last])
                at += last
                continue
            at += 1
            if first in {_CALL, _CALL_GLOBAL}:
                routines = own if first == _CALL else shared
                if routines is None:
                    raise ValueError("a subroutine is called where there is none")
                number = stack.pop()
                del made[-last:]
                if run(routines[number + _bias(len(routines))], depth + 1):
                    return True
                continue
            if first == _RETURN:
                return False
            made.append(first)
            if first in _STEMS or first in _MASKS:
                hints += len(stack) // 2
            if first in _MASKS:
                size = (hints + 7) // 8
                made.extend(code[at : at + size])
                at += size
            elif first == _ESCAPE:
                if code[at] not in _CURVES:
                    raise ValueError("a charstring calculates")
                made.append(code[at])
                at += 1
            elif first == _END:
                return True
            stack.clear()
        return False

    if not run(outline, 0):
        raise ValueError("a charstring has no end")
    return bytes(made)


def _number(code: bytes, at: int) -> tuple[int, int]:
    first = code[at]
    if first == _SHORT:
        return int.from_bytes(code[at + 1 : at + 3], "big", signed=True), 3
    if first < _TWO_BYTES:
        return first - 139, 1
    if first == _FIXED:
        return int.from_bytes(code[at + 1 : at + 3], "big", signed=True), 5
    if first < 251:
        return (first - 247) * 256 + code[at + 1] + 108, 2
    return -(first - 251) * 256 - code[at + 1] - 108, 2


def _bias(count: int) -> int:
    return 107 if count < 1240 else 1131 if count < 33900 else 32768
