"""Many rows of one answer: NDJSON, or CSV where `Accept` asks for it, part by part, each naming where the next is."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Final

import msgspec

from appliance.api.endpoints import MEDIA_CSV, MEDIA_NDJSON
from appliance.api.messages import NO_STORE, Request, Response

HOW: Final = (
    "NDJSON, or with `Accept: text/csv` CSV: while the header `Cinnabar-Next` is there, ask again with it as `after`, "
    "and put the parts together."
)
"""For descriptions of endpoints."""
_encode = msgspec.json.Encoder().encode


def table(
    request: Request, kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct], *, first: bool, following: str | None
) -> Response:
    """One part. `first`: nothing comes before it. `following`: where the next one begins; None: it is the last."""
    headers = NO_STORE if following is None else NO_STORE + f"cinnabar-next: {following}\r\n".encode()
    if request.headers.get(b"accept", b"").strip().lower() == MEDIA_CSV.encode():
        return Response(as_csv(kind, rows, header=first), MEDIA_CSV.encode(), headers=headers)
    return Response(b"".join(_encode(row) + b"\n" for row in rows), MEDIA_NDJSON.encode(), headers=headers)


def as_csv(kind: type[msgspec.Struct], rows: Sequence[msgspec.Struct], *, header: bool) -> bytes:
    """CSV (RFC 4180), in UTF-8 with a byte order mark, so that spreadsheets read it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    if header:
        text.write("\ufeff")
        writer.writerow(kind.__struct_fields__)
    writer.writerows([_cell(one) for one in msgspec.structs.astuple(row)] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    """No spreadsheet takes it for a formula: what stands there may be others' words. Truth is spelled as in JSON."""
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
