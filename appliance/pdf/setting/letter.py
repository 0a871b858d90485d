"""The box's own letter template, set without typst: the same page, from the same data, seven times as fast.

What is measured here follows appliance/documents/templates/letter.typ, length for length; a change there without one
here is found by TEMPLATE, and typst sets the letter until both are alike again. Lines and rows go to a new page whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from appliance.pdf.page import Column, LetterPage, Pair, Row, Section, Table
from appliance.pdf.setting.errors import BeyondSetter
from appliance.pdf.setting.sheet import (
    ACROSS,
    BOTTOM,
    CAPITALS,
    HEIGHT,
    LEFT,
    MILLIMETRE,
    PALE,
    QUIET,
    RED,
    TOP,
    WIDTH,
    Line,
    Sheet,
    Style,
)

TEMPLATE: Final = "77eca95bccfdad66298c4d1f2fad4a9343ef732664db9c8c5194e35f2bd32ca6"
"""SHA-256 of the template that this sets. From older ones typst sets."""
_TEXT, _BOLD = Style(9), Style(9, bold=True)
_SMALL = Style(7.5, QUIET)
_LEADING: Final = 0.55
_GAP: Final = 6.3
"""Between blocks, where neither asks for another."""
_INSET: Final = 1.2 * MILLIMETRE
_SHORT: Final = 2 * _INSET + CAPITALS * _TEXT.size
_COLUMNS: Final = ((ACROSS - 7 * MILLIMETRE) / 2.25, (ACROSS - 7 * MILLIMETRE) * 1.25 / 2.25)
_FACTS_X: Final = tuple(LEFT + x * MILLIMETRE for x in (0, 28, 66, 66 + 102 / 2.25 + 2))
_FACTS: Final = tuple(width * MILLIMETRE for width in (26, 36, 102 / 2.25, 102 * 1.25 / 2.25))
_CLOSING: Final = 46 * MILLIMETRE
_QR: Final = (LEFT, 144.3457, 24 * MILLIMETRE)
"""Left, top (from below) and side."""
_SEAL: Final = 44 * MILLIMETRE


class _Setting:
    """One letter."""

    def __init__(self, sheet: Sheet, page: LetterPage) -> None:
        self.sheet = sheet
        self.page = page

    def head(self) -> None:
        page, sheet = self.page, self.sheet
        sheet.centred(sheet.line(page.issuer.zh, Style(11, tracking=0.12)), 64.712)
        if not page.issuer.one:
            sheet.centred(sheet.line(page.issuer.en, Style(8.5, QUIET)), 75.858)
        sheet.centred(sheet.line(page.title.zh, Style(20, bold=True, tracking=0.25)), 102.138)
        sheet.centred(sheet.line(page.title.en, Style(12)), 115.236)
        sheet.rule(125.436, 1.2, RED)
        sheet.rule(124.086, 0.4, RED)
        y = 136.047
        end = sheet.put(sheet.line("编号 No.", _SMALL), LEFT, y)
        space = sheet.line(" ", _TEXT).width
        end = sheet.put(sheet.line(page.number, _TEXT), end + space, y)
        date, label = sheet.line(page.date, _TEXT), sheet.line("日期 Date", _SMALL)
        x = LEFT + ACROSS - date.width - space - label.width
        if x < end:
            raise BeyondSetter("number and date do not fit one line")
        sheet.put(date, sheet.put(label, x, y) + space, y)
        sheet.down = y + 2.7

    def pairs(self, pairs: Sequence[Pair], style: Style, gutter: float, gap: float) -> None:
        """Paragraphs in two columns."""
        for number, pair in enumerate(pairs):
            columns = [
                self.sheet.lines(text, style, width) for text, width in zip((pair.zh, pair.en), _COLUMNS, strict=True)
            ]
            height = max(map(_height, columns))
            top = self.room(height, gutter if number else gap)
            for lines, x in zip(columns, (LEFT, LEFT + ACROSS - _COLUMNS[1]), strict=True):
                self.stack(lines, x, top)
            self.sheet.down = top + height

    def section(self, section: Section) -> None:
        gap = _GAP
        for number, row in enumerate(section.rows):
            cells = self.facts(row)
            height = max(_SHORT, *(2 * _INSET + _height(lines) for lines in cells))
            if number == 0 and section.title is not None:
                gap = self.title(section.title, height)
            top = self.room(height, 0.0 if number else gap)
            for lines, x in zip(cells, _FACTS_X, strict=False):
                self.stack(lines, x, top + _INSET)
            self.sheet.down = top + height
        if not section.rows and section.title is not None:
            self.title(section.title, 0.0)

    def facts(self, row: Row) -> list[list[Line]]:
        lines = self.sheet.lines
        cells = [lines(row.label.zh, _TEXT, _FACTS[0]), lines(row.label.en, _SMALL, _FACTS[1])]
        if isinstance(row.value, Pair):
            return [*cells, lines(row.value.zh, _TEXT, _FACTS[2]), lines(row.value.en, _TEXT, _FACTS[3])]
        return [*cells, lines(row.value, _TEXT, _FACTS[2] + 2 * MILLIMETRE + _FACTS[3])]

    def table(self, table: Table) -> None:
        whole = sum(column.width for column in table.columns)
        widths = [ACROSS * column.width / whole for column in table.columns]
        places, x = [], LEFT
        for width in widths:
            places.append(x)
            x += width
        head = [
            [
                *self.sheet.lines(column.label.zh, Style(8, bold=True), width - 2 * _INSET),
                *self.sheet.lines(column.label.en, Style(7, QUIET), width - 2 * _INSET),
            ]
            for column, width in zip(table.columns, widths, strict=True)
        ]
        head_height = 2 * _INSET + max(_height(lines, 8) for lines in head)

        def cells(lines: Sequence[Sequence[Line]], top: float, leading: float) -> None:
            for cell, left, width, column in zip(lines, places, widths, table.columns, strict=True):
                self.cell(cell, left, width, top, column, leading)

        def header(top: float) -> None:
            self.sheet.rule(top, 0.8, ends=True)
            cells(head, top, 8)
            self.sheet.rule(top + head_height, 0.4, ends=True)
            self.sheet.down = top + head_height

        gap = _GAP if table.title is None else self.title(table.title, head_height + _SHORT)
        header(self.room(head_height + _SHORT, gap))
        for style, row in [*((_TEXT, row) for row in table.rows), *([(_BOLD, table.total)] if table.total else [])]:
            lines = [self.sheet.lines(text, style, width - 2 * _INSET) for text, width in zip(row, widths, strict=True)]
            height = max(_SHORT, *(2 * _INSET + _height(cell) for cell in lines))
            if height > BOTTOM - TOP - head_height:
                raise BeyondSetter("a row is higher than a page")
            if self.sheet.down + height > BOTTOM:
                self.sheet.turn()
                header(TOP)
            top = self.sheet.down
            if style is _BOLD:
                self.sheet.rule(top, 0.4, ends=True)
            cells(lines, top, _TEXT.size)
            self.sheet.down = top + height
        self.sheet.rule(self.sheet.down, 0.8 if table.total else 0.4, ends=True)

    def cell(
        self, lines: Sequence[Line], left: float, width: float, top: float, column: Column, leading: float
    ) -> None:
        y = top + _INSET
        for number, line in enumerate(lines):
            y += CAPITALS * line.style.size + (_LEADING * leading if number else 0.0)
            x = left + width - _INSET - line.width if column.number else left + _INSET
            self.sheet.put(line, x, y)

    def title(self, title: Pair, follows: float) -> float:
        """Of a section, on the page of what follows it. Returns the gap to that."""
        gap = 5.4
        height = CAPITALS * _BOLD.size
        top = self.room(height + gap + follows, 9.9)
        sheet = self.sheet
        end = sheet.put(sheet.line(title.zh, _BOLD), LEFT, top + height) if title.zh else LEFT
        english = sheet.line(title.en, Style(8, QUIET))
        end += sheet.line(" ", _TEXT).width + 0.4 * _TEXT.size
        if end + english.width > LEFT + ACROSS:
            raise BeyondSetter("a section's title does not fit one line")
        sheet.put(english, end, top + height)
        sheet.down = top + height
        return gap

    def stack(self, lines: Sequence[Line], x: float, top: float) -> None:
        """Lines beneath each other."""
        y = top
        for number, line in enumerate(lines):
            size = line.style.size
            y += CAPITALS * size + (_LEADING * size if number else 0.0)
            self.sheet.put(line, x, y)

    def room(self, height: float, gap: float) -> float:
        """Where what is so high begins: below what there is, or on a new page. Raises BeyondSetter."""
        if height > BOTTOM - TOP:
            raise BeyondSetter("a row is higher than a page")
        if self.sheet.down + gap + height > BOTTOM:
            self.sheet.turn()
            return TOP
        return self.sheet.down + gap

    def closing(self, qr: Sequence[bytearray] | None) -> None:
        """The block at the foot of the last page."""
        sheet, page = self.sheet, self.page
        if sheet.down + _GAP + _CLOSING > BOTTOM:
            sheet.turn()
        for number, seal in enumerate(reversed(page.seals), start=1):
            left = LEFT + ACROSS - _SEAL * number
            lines = list(sheet.lines(seal.zh, _TEXT, _SEAL))
            if not seal.one:
                lines += sheet.lines(seal.en, Style(7, QUIET), _SEAL)
            y = BOTTOM
            for line in reversed(lines):
                sheet.centred(line, y, left, _SEAL)
                y -= CAPITALS * line.style.size + _LEADING * _TEXT.size
        if qr is None:
            return
        style = Style(6.5, QUIET)
        verify = sheet.line(page.verify, style)
        if not page.verify or verify.width > ACROSS - _SEAL * len(page.seals):
            raise BeyondSetter("the line below the code does not fit")
        sheet.put(sheet.line("扫码验真 Scan to verify", style), LEFT, BOTTOM - 8.3135)
        sheet.put(verify, LEFT, BOTTOM)
        sheet.draw(_code(qr))

    def margins(self) -> None:
        """Head and foot of every page, when their number is known."""
        sheet, page = self.sheet, self.page
        style, count = Style(6.5, QUIET), len(sheet.pages)
        told = sheet.line(f"{page.number}  {page.kind}", style)
        digest = sheet.line(f"SHA-256 {page.digest}", style)
        rehearsal = _rehearsal(sheet) if page.rehearsal else None
        body, sheet.pages = sheet.pages, []
        for number, content in enumerate(body, start=1):
            sheet.pages.append([])
            if rehearsal is not None:
                rehearsal()
            sheet.pages[-1] += content
            sheet.rule(HEIGHT - 43.6536, 0.4, PALE)
            numbers = sheet.line(f"{number} / {count}", style)
            if max(told.width, digest.width) > ACROSS - 4 * MILLIMETRE - numbers.width:
                raise BeyondSetter("the foot of the page does not fit")
            sheet.put(told, LEFT, HEIGHT - 37.115)
            sheet.put(digest, LEFT, HEIGHT - 29.7766)
            sheet.put(numbers, LEFT + ACROSS - numbers.width, HEIGHT - 29.7766)


def set_pages(sheet: Sheet, page: LetterPage, qr: Sequence[bytearray] | None) -> None:
    """Draw a letter. `qr`: the modules of its code, without the white around. Raises BeyondSetter."""
    setting = _Setting(sheet, page)
    setting.head()
    setting.pairs(page.statement, _TEXT, 7.2, _GAP)
    for section in page.sections:
        setting.section(section)
    for table in page.tables:
        setting.table(table)
    setting.pairs(page.notes, _SMALL, 3.75, 8.25)
    setting.closing(qr)
    setting.margins()


def _height(lines: Sequence[Line], leading: float | None = None) -> float:
    """Of lines beneath each other; `leading`: the size that the distance is measured by, if not their own."""
    if not lines:
        return 0.0
    between = _LEADING * (lines[0].style.size if leading is None else leading) * (len(lines) - 1)
    return CAPITALS * sum(line.style.size for line in lines) + between


def _rehearsal(sheet: Sheet) -> Callable[[], None]:
    style = Style(8, RED, bold=True)
    zh, en = sheet.line("演练文件，不具效力", style), sheet.line("REHEARSAL: OF NO EFFECT", style)
    between = sheet.line(" ", style).width + 0.6 * style.size
    left = (WIDTH - zh.width - between - en.width) / 2

    def draw() -> None:
        sheet.put(en, sheet.put(zh, left, 39.685) + between, 39.685)

    return draw


def _code(rows: Sequence[bytearray]) -> bytes:
    """Rectangles of the dark modules, four modules of white around as the standard asks."""
    left, top, side = _QR
    module = side / (len(rows) + 8)
    parts = [b"q %.5f 0 0 -%.5f %.3f %.3f cm 0 g\n" % (module, module, left + 4 * module, top - 4 * module)]
    for y, row in enumerate(rows):
        x = 0
        while (x := row.find(1, x)) >= 0:
            stop = row.find(0, x)
            stop = stop if stop >= 0 else len(row)
            parts.append(b"%d %d %d 1 re\n" % (x, y, stop - x))
            x = stop
    return b"".join((*parts, b"f Q\n"))
