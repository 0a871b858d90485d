"""A picture of a kind's life cycle, SVG 1.1: states as boxes, events as labels between them. Made here, no tool needed.

An event that leaves the state as it is stands inside the state's box. Lines that lead back up are dashed.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from xml.sax.saxutils import escape

from appliance.letters.drawing.layers import Layout, lay_out
from appliance.letters.kind import Event, Kind

_FONT: Final = "Noto Sans, Noto Sans CJK SC, Source Han Sans SC, Microsoft YaHei, PingFang SC, sans-serif"
_LINE: Final = 15.0
_PAD: Final = 9.0
_BETWEEN: Final = 42.0
"""Between layers."""
_MARGIN: Final = 24.0
_NOTE_WIDTH: Final = 200.0

_WORDS: Final = {
    "en": {
        "approved": "approved",
        "sometimes": "approved above {amount}",
        "before": "not before: {name}",
        "after": "not after: {name}",
        "waits": "waits for {name}",
        "receipt": "receipt of {name}",
        "opens": "opens {name}",
        "parts": "parts: {name}",
        "emptied": "nothing left",
        "life": "Life cycle of {title}, version {version}",
        "begins": "begin",
    },
    "zh": {
        "approved": "须审批",
        "sometimes": "{amount}以上须审批",
        "before": "不早于{name}",
        "after": "不晚于{name}",
        "waits": "须先有{name}",
        "receipt": "附{name}回执",
        "opens": "揭示{name}",
        "parts": "子凭证：{name}",
        "emptied": "余额为零",
        "life": "{title}的生命周期，第{version}版",
        "begins": "起",
    },
}


@dataclass(frozen=True)
class _Box:
    lines: tuple[str, ...]
    """The first is the name; the others are notes."""
    form: str
    """begin, state, final or event."""

    @property
    def width(self) -> float:
        if self.form == "begin":
            return 22.0
        widths = [_width(line, 13.0 if place == 0 else 10.5) for place, line in enumerate(self.lines)]
        return max(widths) + 2 * _PAD + 6

    @property
    def height(self) -> float:
        return 22.0 if self.form == "begin" else len(self.lines) * _LINE + 2 * _PAD - 3


def picture(kind: Kind, language: str = "en") -> str:
    """The kind's life cycle as SVG, in "en" or "zh". The kind must be sound (appliance.letters.check)."""
    boxes, edges, notes = _graph(kind, language)
    layout = lay_out([box.width for box in boxes], list(edges), 0)
    middles, highs = _levels(boxes, layout)
    height = middles[-1] + highs[-1] / 2
    # Every node of the layout: lines past a layer run through bends, and those that go back run outermost.
    right = max(x + (boxes[node].width / 2 if node < len(boxes) else 0.0) for node, x in layout.x.items())
    size = f"{right + 2 * _MARGIN:.0f} {height + 2 * _MARGIN:.0f}"
    title = _WORDS[language]["life"].format(title=getattr(kind.title, language), version=kind.version)
    lines = _lines(boxes, layout, middles, highs)
    ink = [_edge(layout, boxes, lines, edge, note) for edge, note in zip(edges, notes, strict=True)]
    ink += [_box(box, layout.x[node], middles[layout.layer[node]]) for node, box in enumerate(boxes)]
    body = "\n".join(ink)
    wide, high = size.split()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{wide}" height="{high}" role="img" '
        f'font-family="{_FONT}" lang="{"zh-CN" if language == "zh" else "en"}">\n'
        f"<title>{escape(title)}</title>\n"
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="#5b6470"/></marker></defs>\n'
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>\n'
        f'<g transform="translate({_MARGIN:.0f} {_MARGIN:.0f})">\n{body}\n</g>\n</svg>\n'
    )


def _graph(kind: Kind, language: str) -> tuple[list[_Box], dict[tuple[int, int], bool], list[str]]:
    """Boxes; edges, whether each is an event's second way; their notes."""
    words = _WORDS[language]
    within: dict[str, list[str]] = {name: [] for name in kind.states}
    for event in kind.events.values():
        if event.from_ and event.to is None and (event.value is None or event.value.emptied is None):
            for name in event.from_:
                within[name].append(f"· {getattr(event.title, language)}")
    boxes = [_Box((), "begin")]
    number: dict[str, int] = {}
    for name, state in kind.states.items():
        number[name] = len(boxes)
        form = "final" if state.final else "state"
        boxes.append(_Box((getattr(state.title, language), *within[name]), form))
    edges: dict[tuple[int, int], bool] = {}
    notes: list[str] = []

    def join(begin: int, end: int, note: str = "") -> None:
        if (begin, end) not in edges:
            edges[begin, end] = bool(note)
            notes.append(note)

    for event in kind.events.values():
        emptied = event.value.emptied if event.value is not None else None
        if event.from_ and event.to is None and emptied is None:
            continue
        mine = len(boxes)
        boxes.append(_Box((getattr(event.title, language), *_notes(kind, event, language)), "event"))
        for begin in [number[name] for name in event.from_] or [0]:
            join(begin, mine)
        if event.to is not None:
            join(mine, number[event.to])
        elif event.from_:
            for name in event.from_:
                join(mine, number[name])
        if emptied is not None:
            join(mine, number[emptied], words["emptied"])
    return boxes, edges, notes


def _notes(kind: Kind, event: Event, language: str) -> list[str]:
    """Who, and what it waits for: short lines."""
    words = _WORDS[language]

    def label(name: str) -> str:
        return str(getattr(kind.fields[name].label, language))

    notes = []
    if event.approvals is not None:
        first = [tier for tier in event.approvals.tiers if not tier.steps]
        if first and event.approvals.amount is not None:
            notes.append(words["sometimes"].format(amount=f"{first[0].up_to} {first[0].currency}"))
        elif any(tier.steps for tier in event.approvals.tiers):
            steps = max(len(tier.steps) for tier in event.approvals.tiers)
            notes.append(words["approved"] + (f" ×{steps}" if steps > 1 else ""))
    if event.not_before is not None:
        notes.append(words["before"].format(name=label(event.not_before)))
    if event.not_after is not None:
        notes.append(words["after"].format(name=label(event.not_after)))
    for name in event.opens[:1]:
        notes.append(words["opens"].format(name=label(name)) + (" …" if len(event.opens) > 1 else ""))
    for condition in event.conditions:
        field = event.data.get(condition.letter) or kind.fields[condition.letter]
        notes.append(words["waits"].format(name=getattr(field.label, language)))
    notes += [words["receipt"].format(name=name) for name in event.receipts]
    if event.value is not None and event.value.parts_state is not None:
        state = kind.states[event.value.parts_state]
        notes.append(words["parts"].format(name=getattr(state.title, language)))
    return [_short(" / ".join(event.by)), *dict.fromkeys(_short(note) for note in notes)]


def _short(text: str) -> str:
    while _width(text, 10.5) > _NOTE_WIDTH:
        text = text[:-2].rstrip() + "…"
    return text


def _width(text: str, size: float) -> float:
    """About: full-width characters are one em."""
    return sum(size if unicodedata.east_asian_width(one) in "WF" else size * 0.57 for one in text)


def _levels(boxes: list[_Box], layout: Layout) -> tuple[list[float], list[float]]:
    """Middle and height of each layer, from the top."""
    middles, highs, at = [], [], 0.0
    for one in layout.layers:
        high = max((boxes[node].height for node in one if node < len(boxes)), default=10.0)
        middles.append(at + high / 2)
        highs.append(high)
        at += high + _BETWEEN
    return middles, highs


_Points = list[tuple[float, float]]


def _lines(
    boxes: list[_Box], layout: Layout, middles: list[float], highs: list[float]
) -> dict[tuple[int, int], _Points]:
    """The points of each line from its upper end to its lower; past the boxes of a layer it runs straight down."""
    ends: dict[tuple[int, bool], list[tuple[float, tuple[int, int]]]] = {}
    for above, below in layout.bends:
        path = [above, *layout.bends[above, below], below]
        ends.setdefault((above, False), []).append((layout.x[path[1]], (above, below)))
        ends.setdefault((below, True), []).append((layout.x[path[-2]], (above, below)))
    place: dict[tuple[int, tuple[int, int]], float] = {}
    for (node, _), lines in ends.items():  # lines of one side leave side by side, in the order of where they go
        room = boxes[node].width - 24 if boxes[node].form != "begin" else 0.0
        step = min(26.0, room / max(1, len(lines) - 1))
        for index, (_, line) in enumerate(sorted(lines)):
            place[node, line] = layout.x[node] + (index - (len(lines) - 1) / 2) * step
    found = {}
    for line, bends in layout.bends.items():
        above, below = line
        points = [(place[above, line], middles[layout.layer[above]] + boxes[above].height / 2)]
        for node in bends:
            middle, high = middles[layout.layer[node]], highs[layout.layer[node]]
            points += [(layout.x[node], middle - high / 2 - 6), (layout.x[node], middle + high / 2 + 6)]
        points.append((place[below, line], middles[layout.layer[below]] - boxes[below].height / 2))
        found[line] = points
    return found


def _edge(
    layout: Layout, boxes: list[_Box], lines: dict[tuple[int, int], _Points], edge: tuple[int, int], note: str
) -> str:
    turned = edge in layout.turned
    points = lines[(edge[1], edge[0]) if turned else edge]
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        bend = (to_y - y) / 2
        path += f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
    tip = 'marker-start="url(#tip)" stroke-dasharray="5 3"' if turned else 'marker-end="url(#tip)"'
    line = tip if boxes[edge[1]].form != "event" or turned else ""
    drawn = f'<path d="{path}" fill="none" stroke="#5b6470" stroke-width="1.2" {line}/>'
    if note:
        x, y = points[-1]
        drawn += (
            f'<text x="{x + 7:.1f}" y="{y - 9:.1f}" font-size="10" fill="#5b6470" stroke="#ffffff" stroke-width="3" '
            f'paint-order="stroke">{escape(note)}</text>'
        )
    return drawn


def _box(box: _Box, x: float, y: float) -> str:
    if box.form == "begin":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="#22272e"/>'
    wide, high = box.width, box.height
    left, top = x - wide / 2, y - high / 2
    fill, stroke, corner = {
        "state": ("#eef3f8", "#2f5675", 7),
        "final": ("#f1f1ef", "#22272e", 7),
        "event": ("#fdf1ec", "#c8432b", 16),
    }[box.form]
    frame = f'x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{high:.1f}" rx="{corner}"'
    width = 1.0 if box.form == "event" else 1.5
    drawn = [f'<rect {frame} fill="{fill}" stroke="{stroke}" stroke-width="{width}"/>']
    if box.form == "final":
        frame = f'x="{left + 3:.1f}" y="{top + 3:.1f}" width="{wide - 6:.1f}" height="{high - 6:.1f}" rx="{corner - 2}"'
        drawn.append(f'<rect {frame} fill="none" stroke="{stroke}" stroke-width="0.8"/>')
    for place, line in enumerate(box.lines):
        at = top + _PAD + place * _LINE + 10
        form = 'font-size="13" font-weight="600" fill="#22272e"' if place == 0 else 'font-size="10.5" fill="#4a525c"'
        drawn.append(f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="middle" {form}>{escape(line)}</text>')
    return "".join(drawn)
