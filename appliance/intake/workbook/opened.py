"""A workbook as its describing parts have it: its sheets, its date system, which number formats are dates."""

from __future__ import annotations

import posixpath
import re
from typing import Final

from appliance.intake.errors import IntakeRefused
from appliance.intake.workbook.archive import Archive
from appliance.intake.workbook.parsing import feed, local, new_parser

STRINGS_BYTES: Final = 96 * 1024 * 1024
"""Of shared strings."""
STRINGS: Final = 2_000_000
_BUILT_IN_DATES: Final = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
"""Number formats that are dates by themselves (ISO/IEC 29500-1, section 18.8.30)."""
_QUOTED = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_DATE_LETTERS = re.compile(r"[dmyhseg年月日时分秒]", re.IGNORECASE)


class Workbook:
    """See the module. Raises IntakeRefused."""

    def __init__(self, data: bytes, sheet: str | None) -> None:
        self.archive = Archive(data)
        self.dates_from_1904 = False
        self.date_styles: frozenset[int] = frozenset()
        relations = self._relations("xl/_rels/workbook.xml.rels")
        sheets = self._sheets()
        chosen = sheets[0] if sheet is None and sheets else next((one for one in sheets if one[0] == sheet), None)
        if chosen is None:
            raise IntakeRefused(f"the workbook has no sheet {sheet!r}" if sheet else "the workbook has no sheet")
        target = relations.get(chosen[1])
        if target is None:
            raise IntakeRefused(f"the sheet {chosen[0]!r} has no part")
        self.sheet = target
        """The name of the sheet's part."""
        self._strings_part = next((one for one in relations.values() if one.endswith("sharedStrings.xml")), None)
        styles = next((one for one in relations.values() if one.endswith("styles.xml")), None)
        if styles is not None and styles in self.archive:
            self._read_styles(styles)

    def strings(self, wanted: set[int]) -> dict[int, str]:
        """The shared strings of these numbers. Raises IntakeRefused where one is not there."""
        found: dict[int, str] = {}
        if not wanted:
            return found
        if self._strings_part is None or self._strings_part not in self.archive:
            raise IntakeRefused("the workbook has no shared strings, and cells that name some")
        at, taking, phonetic = -1, False, 0
        text: list[str] = []

        def start(name: str, _attributes: dict[str, str]) -> None:
            nonlocal at, taking, phonetic
            name = local(name)
            if name == "si":
                at += 1
                if at >= STRINGS:
                    raise IntakeRefused(f"the workbook has more than {STRINGS} shared strings")
                text.clear()
            elif name == "rPh":
                phonetic += 1
            elif name == "t":
                taking = not phonetic and at in wanted

        def end(name: str) -> None:
            nonlocal taking, phonetic
            name = local(name)
            if name == "si" and at in wanted:
                found[at] = "".join(text)
            elif name == "rPh":
                phonetic -= 1
            elif name == "t":
                taking = False

        def data(piece: str) -> None:
            if taking:
                text.append(piece)

        parser = new_parser("shared strings")
        parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, data
        feed(parser, self.archive.pieces(self._strings_part, STRINGS_BYTES), "shared strings")
        missing = wanted - found.keys()
        if missing:
            raise IntakeRefused(f"the workbook has no shared string {min(missing)}")
        return found

    def _sheets(self) -> list[tuple[str, str]]:
        """(name, relation) of each."""
        found: list[tuple[str, str]] = []

        def start(name: str, attributes: dict[str, str]) -> None:
            name = local(name)
            if name == "sheet":
                relation = next((value for key, value in attributes.items() if local(key) == "id"), "")
                found.append((attributes.get("name", ""), relation))
            elif name == "workbookPr":
                self.dates_from_1904 = attributes.get("date1904", "0") in ("1", "true")

        parser = new_parser("workbook")
        parser.StartElementHandler = start
        feed(parser, [self.archive.small("xl/workbook.xml")], "workbook")
        return found

    def _relations(self, part: str) -> dict[str, str]:
        """Names of parts, by relation."""
        found: dict[str, str] = {}

        def start(name: str, attributes: dict[str, str]) -> None:
            if local(name) != "Relationship":
                return
            if attributes.get("TargetMode", "Internal") != "Internal":
                raise IntakeRefused("the workbook is refused: it has links to other files")
            target = attributes.get("Target", "")
            path = target.lstrip("/") if target.startswith("/") else posixpath.normpath(f"xl/{target}")
            found[attributes.get("Id", "")] = path

        parser = new_parser("relations")
        parser.StartElementHandler = start
        feed(parser, [self.archive.small(part)], "relations")
        return found

    def _read_styles(self, part: str) -> None:
        own: dict[int, str] = {}
        formats: list[int] = []
        within = False

        def start(name: str, attributes: dict[str, str]) -> None:
            nonlocal within
            name = local(name)
            if name == "numFmt":
                own[_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
            elif name == "cellXfs":
                within = True
            elif name == "xf" and within:
                formats.append(_number(attributes.get("numFmtId")))

        def end(name: str) -> None:
            nonlocal within
            if local(name) == "cellXfs":
                within = False

        parser = new_parser("styles")
        parser.StartElementHandler, parser.EndElementHandler = start, end
        feed(parser, [self.archive.small(part)], "styles")
        self.date_styles = frozenset(at for at, number in enumerate(formats) if _is_date(number, own.get(number)))


def _is_date(number: int, code: str | None) -> bool:
    if code is None:
        return number in _BUILT_IN_DATES
    return _DATE_LETTERS.search(_QUOTED.sub("", code.partition(";")[0])) is not None and code != "General"


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isascii() and text.isdecimal() and len(text) < 10 else 0
