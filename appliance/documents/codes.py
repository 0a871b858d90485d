"""QR codes (ISO/IEC 18004) made by segno."""

from __future__ import annotations

from typing import Final

import segno
from segno.encoder import DataOverflowError

from appliance.documents.errors import NotRendered

_QUIET: Final = 4
"""Modules of white around, as the standard asks."""
_MASK: Final = 3
"""All masks are read alike. To find the one that looks most even takes eight times as long as all the rest."""


def qr_modules(text: str) -> tuple[bytearray, ...]:
    """The code of a text, level M, by rows: 1 is dark. Raises NotRendered where it is empty or too long."""
    try:
        return segno.make(text, micro=False, error="m", mask=_MASK, boost_error=False).matrix
    except (DataOverflowError, ValueError) as error:
        raise NotRendered(f"qr: {error}") from None


def qr_svg(text: str) -> str:
    """As `qr_modules`, as SVG of one path."""
    modules = qr_modules(text)
    path = []
    for y, row in enumerate(modules, start=_QUIET):
        x = 0
        while (x := row.find(1, x)) >= 0:
            stop = row.find(0, x)
            stop = stop if stop >= 0 else len(row)
            path.append(f"M{x + _QUIET} {y}h{stop - x}v1H{x + _QUIET}z")
            x = stop
    side = len(modules) + 2 * _QUIET
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{side}" height="{side}" viewBox="0 0 {side} {side}">'
        f'<path d="{"".join(path)}"/></svg>'
    )
