"""Where seals stand: on the last page of the box's own letter template, at its foot, in the order of sealing."""

from __future__ import annotations

from typing import NamedTuple

from appliance.pdf.errors import PdfRefused
from appliance.pdf.page import MOST_SEALS

_POINTS_A_MILLIMETRE = 72 / 25.4
_RIGHT, _BOTTOM, _WIDTH, _SIDE = 190.0, 29.5, 44.0, 38.0
"""Millimetres: the right margin, the foot of the seals, the width of one place, the side of a seal."""


class Place(NamedTuple):
    """A rectangle on a page, in points from its lower left corner. `page` counts from 0, -1 is the last."""

    page: int
    left: float
    bottom: float
    right: float
    top: float


def seal_place(index: int, count: int) -> Place:
    """The place of seal `index` (from 0) of `count` on a page of the template `letter`: 38 mm square, above the
    name of who seals. Raises PdfRefused."""
    if not 0 <= index < count <= MOST_SEALS:
        raise PdfRefused("the page has no such place for a seal")
    left = _RIGHT - _WIDTH * (count - index) + (_WIDTH - _SIDE) / 2
    sides = (left, _BOTTOM, left + _SIDE, _BOTTOM + _SIDE)
    return Place(-1, *(side * _POINTS_A_MILLIMETRE for side in sides))
