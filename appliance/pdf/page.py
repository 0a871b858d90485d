"""What stands on a letter's page: the data of the box's own letter template, made of a letter by its kind's rules.

Everything here is text already, money and dates included. A pair is Chinese and English; a plain string is the same in
both. The template gets this as JSON and sets it as text, never as markup.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final, TypeAlias

import msgspec

from appliance.errors import BadRequest

MOST_SEALS: Final = 3
_Line: TypeAlias = Annotated[str, msgspec.Meta(max_length=4_000)]
_MILLIMETRES_A_POINT: Final = 25.4 / 72
_POINTS: Final = 9.0
"""Size of the template's text."""
_FACTS_WIDTHS: Final = (26.0, 36.0, 46.0, 57.0)
"""Of the columns of a section, millimetres, rounded down; the last two together where a value is a plain string."""
_TABLE_WIDTH: Final = 170.0
_INSET: Final = 2.4
_WIDTHS: Final = (
    b'\x1a$->;aQ\x18((1="%"(<0<<<<<;<<""===0aKGGOCALW++MAeRODOL<FRJnIG?&(&=<-;D9B:)<E#"B$eE?D@22(D:X<;4&"&='
)
"""Hundredths of an em, of U+0020 to U+007E in the family's bold, which is the wider, rounded up."""
_OTHERS, _NEVER = 1.4, 1e6


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same in Chinese and in English."""

    zh: _Line
    en: _Line

    @property
    def one(self) -> bool:
        """Whether it is the same in both, as registered names are: it is shown once then."""
        return self.zh == self.en


Text: TypeAlias = _Line | Pair


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A field with its label."""

    label: Pair
    value: Text


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields beneath each other, under a title of their own if they have one."""

    rows: Annotated[list[Row], msgspec.Meta(max_length=500)]
    title: Pair | None = None


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column of a table. `width`: its share of the page's width; `number`: set to the right."""

    label: Pair
    width: Annotated[float, msgspec.Meta(gt=0, le=100)] = 1.0
    number: bool = False


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of as many cells as there are columns. Raises PageRefused."""

    columns: Annotated[list[Column], msgspec.Meta(min_length=1, max_length=12)]
    rows: Annotated[list[list[_Line]], msgspec.Meta(max_length=5_000)]
    total: list[_Line] = []
    """A last row, if there is one."""
    title: Pair | None = None

    def __post_init__(self) -> None:
        for number, row in enumerate([*self.rows, *([self.total] if self.total else [])], start=1):
            if len(row) != len(self.columns):
                raise PageRefused(f"row {number} of a table has {len(row)} cells for {len(self.columns)} columns")


class Circumstances(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the page of an event shows that the event does not say. The PDF says it in its keywords, so that whoever has
    the event can make the page again."""

    rules: Annotated[int, msgspec.Meta(ge=1, le=999_999)]
    """Version of those that make a page of an event."""
    organisation: _Line
    """Who seals: the tenant's registered name."""
    verify: _Line
    """The address that the QR leads to; empty: the page has none."""
    rehearsal: bool
    hidden: list[Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]*\Z")]] = []
    """Names of the fields whose values are not shown: of these an event holds digests, without names."""


class LetterPage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The data of the template `letter`."""

    title: Pair
    issuer: Pair
    number: _Line
    """The letter's id."""
    date: _Line
    kind: _Line
    """The kind's id, version and digest, as the foot of each page tells them."""
    digest: _Line
    """SHA-256 of the attached JSON, hexadecimal."""
    statement: Annotated[list[Pair], msgspec.Meta(max_length=100)] = []
    """Paragraphs above the fields."""
    sections: Annotated[list[Section], msgspec.Meta(max_length=50)] = []
    tables: Annotated[list[Table], msgspec.Meta(max_length=20)] = []
    notes: Annotated[list[Pair], msgspec.Meta(max_length=50)] = []
    """Small print below."""
    seals: Annotated[list[Pair], msgspec.Meta(max_length=MOST_SEALS)] = []
    """Who seals, in order: each gets a place at the foot of the last page (appliance.pdf.seal_place)."""
    verify: _Line = ""
    """Printed below the QR."""
    rehearsal: bool = False
    circumstances: Circumstances | None = None
    """None: the page is not of an event."""

    def json(self) -> str:
        """As the task RENDER_LETTER takes it."""
        return msgspec.json.encode(self).decode()


class PageRefused(BadRequest):
    """The data are not those of a letter's page; the message names the member."""

    code = "page-refused"
    status = 422
    title = "The letter's page cannot be set from these data"


def read_page(data: str | bytes) -> LetterPage:
    """From JSON. Raises PageRefused."""
    try:
        return msgspec.json.decode(data, type=LetterPage)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PageRefused(f"the data are not a letter's page: {error}") from None


def laid_out(page: LetterPage) -> dict[str, object]:
    """What the template is given: the page, with a word about each row whether it surely fits one line.

    A row that does has its height given, which saves typst from measuring it. This belongs to the template: with other
    answers here, letters set before would come out otherwise.
    """
    given: dict[str, object] = msgspec.to_builtins(page)
    given["sections"] = [
        {
            "title": msgspec.to_builtins(section.title),
            "rows": [{**msgspec.to_builtins(row), "short": _short_row(row)} for row in section.rows],
        }
        for section in page.sections
    ]
    given["tables"] = [
        {
            **msgspec.to_builtins(table),
            "short": [_short_cells(row, widths) for row in table.rows]
            + ([_short_cells(table.total, widths)] if table.total else []),
        }
        for table in page.tables
        for widths in (_widths(table),)
    ]
    return given


def _widths(table: Table) -> list[float]:
    whole = sum(column.width for column in table.columns)
    return [_TABLE_WIDTH * column.width / whole - _INSET for column in table.columns]


def _short_row(row: Row) -> bool:
    zh, en, first, second = _FACTS_WIDTHS
    fits = _fits(row.label.zh, zh) and _fits(row.label.en, en)
    if isinstance(row.value, Pair):
        return fits and _fits(row.value.zh, first) and _fits(row.value.en, second)
    return fits and _fits(row.value, first + second)


def _short_cells(cells: list[str], widths: list[float]) -> bool:
    return all(map(_fits, cells, widths))


def _fits(text: str, millimetres: float) -> bool:
    ems = 0.0
    narrow = True
    for character in text:
        was, narrow = narrow, character.isascii()
        # Between Chinese and Latin typst leaves a quarter of an em.
        ems += _ems(character) + (0.25 if was != narrow else 0.0)
    return ems * _POINTS * _MILLIMETRES_A_POINT <= millimetres


def _ems(character: str) -> float:
    if character.isascii():
        return _WIDTHS[ord(character) - 0x20] / 100 if character.isprintable() else _NEVER
    return 1.0 if unicodedata.east_asian_width(character) in "WFA" else _OTHERS
