"""The pages being set: what is drawn on them, and how far down they are filled.

Lengths are points; y is measured from the top of the page, and of a line of text it is the baseline.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from appliance.pdf.setting.errors import BeyondSetter
from appliance.pdf.setting.face import Face
from appliance.pdf.setting.lines import broken

MILLIMETRE: Final = 72 / 25.4
WIDTH: Final = 210 * MILLIMETRE
HEIGHT: Final = 297 * MILLIMETRE
LEFT: Final = 20 * MILLIMETRE
ACROSS: Final = 170 * MILLIMETRE
TOP: Final = 20 * MILLIMETRE
BOTTOM: Final = HEIGHT - 22 * MILLIMETRE
CAPITALS: Final = 0.729
"""Height of capitals, em: from the baseline to where a line begins."""
_MOST_PAGES: Final = 400

INK, QUIET, PALE, RED = "0.086 0.094 0.114", "0.357 0.392 0.447", "0.784 0.804 0.839", "0.651 0.165 0.129"


class Style(NamedTuple):
    """How text looks. `size`: points; `tracking`: em after each character."""

    size: float
    colour: str = INK
    bold: bool = False
    tracking: float = 0.0


class Line(NamedTuple):
    """A line of text that was broken: what shows it and how wide it is, points."""

    operator: bytes
    width: float
    style: Style


class Sheet:
    """See the module. `faces`: regular and bold."""

    def __init__(self, faces: tuple[Face, Face]) -> None:
        self.faces = faces
        self.used: tuple[set[str], set[str]] = (set(), set())
        self.pages: list[list[bytes]] = [[]]
        self.down = TOP
        """Where the page is filled to."""

    def turn(self) -> None:
        """Begin a page."""
        if len(self.pages) >= _MOST_PAGES:
            raise BeyondSetter("the letter has too many pages")
        self.pages.append([])
        self.down = TOP

    def line(self, text: str, style: Style) -> Line:
        """Text that stands on one line, however long."""
        shown = self.faces[style.bold].show(text)
        self.used[style.bold].update(text)
        tracking = style.tracking * style.size * (len(text) - 1)
        return Line(shown.operator, shown.width * style.size / 1000 + tracking, style)

    def lines(self, text: str, style: Style, width: float) -> list[Line]:
        """Text in a column. Raises BeyondSetter where a word does not fit it."""
        limit = width / style.size * 1000 + 0.001
        return [self.line(part, style) for part in broken(text, self.faces[style.bold], limit)]

    def put(self, line: Line, x: float, y: float) -> float:
        """Draw a line from x on. Returns where it ends."""
        style = line.style
        tracking = b"%.3f Tc " % (style.tracking * style.size) if style.tracking else b""
        self.pages[-1].append(
            b"BT/F%d %g Tf %b%b rg 1 0 0 1 %.3f %.3f Tm%b%bET\n"
            % (
                style.bold, style.size, tracking, style.colour.encode(), x, HEIGHT - y, line.operator,
                b" 0 Tc " if tracking else b" ",
            )
        )  # fmt: skip
        return x + line.width

    def centred(self, line: Line, y: float, left: float = LEFT, width: float = ACROSS) -> None:
        """Draw a line in the middle. Raises BeyondSetter where it is wider."""
        if line.width > width:
            raise BeyondSetter("a line is wider than its place")
        self.put(line, left + (width - line.width) / 2, y)

    def rule(self, y: float, stroke: float, colour: str = INK, *, ends: bool = False) -> None:
        """A line across the page; `ends`: longer by half its width on both sides, as tables have it."""
        more = stroke / 2 if ends else 0.0
        self.pages[-1].append(
            b"%b RG %g w %.3f %.3f m %.3f %.3f l S\n"
            % (colour.encode(), stroke, LEFT - more, HEIGHT - y, LEFT + ACROSS + more, HEIGHT - y)
        )

    def draw(self, content: bytes) -> None:
        """Operators as they are."""
        self.pages[-1].append(content)
