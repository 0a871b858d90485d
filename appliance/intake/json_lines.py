"""NDJSON: one JSON object a line, in UTF-8, a window of the file at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from appliance.errors import BadRequest
from appliance.intake.cells import Number
from appliance.intake.errors import LineRefused
from appliance.repeated import refuse_repeated

LINE_BYTES: Final = 256 * 1024
_MARK: Final = b"\xef\xbb\xbf"
_decode = msgspec.json.Decoder(dict[str, Any], float_hook=Number).decode


def read_lines(
    data: bytes, *, first: bool, last: bool, number: int
) -> Iterator[tuple[int, dict[str, Any] | LineRefused | None, int]]:
    """(number, object, bytes of the window used up to its end) of each line of a window; None: a blank line. What is
    wrong with one line says nothing of the others."""
    start = len(_MARK) if first and data.startswith(_MARK) else 0
    size = len(data)
    while start < size:
        end = data.find(b"\n", start) + 1
        if not end:
            if not last:
                return
            end = size
        line = data[start:end].strip()
        yield number, _object(line) if line else None, end
        start = end
        number += 1


def _object(line: bytes) -> dict[str, Any] | LineRefused:
    if len(line) > LINE_BYTES:
        return LineRefused(f"a line has at most {LINE_BYTES} bytes")
    try:
        found: dict[str, Any] = _decode(line)
        refuse_repeated(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return LineRefused(f"it is no JSON object: {error}"[:300])
    except BadRequest as error:
        return LineRefused(str(error))
    return found
