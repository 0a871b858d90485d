"""What kind of file it is."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class Form(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the bytes of a file are read."""

    format: Literal["csv", "xlsx", "ndjson"]
    """CSV (RFC 4180), an Office Open XML workbook (ISO/IEC 29500), or one JSON object a line."""
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    """Of CSV; with or without a byte order mark. The others are UTF-8."""
    delimiter: Literal[",", ";", "\t", "|"] = ","
    """Of CSV."""
    sheet: Annotated[str, msgspec.Meta(min_length=1, max_length=31)] | None = None
    """Of a workbook: the sheet's name; its first one if left out."""
