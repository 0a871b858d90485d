"""The picture of a life cycle: well formed, everything in it, nothing over anything else, in both languages."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.letters.check import read_sound_kind
from appliance.letters.drawing.layers import lay_out
from appliance.letters.kind import Bilingual
from appliance.letters.picture import picture
from appliance.letters.shipped import shipped

_MARGIN = 24.0
"""By which everything is moved."""
_SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_state_and_event_is_in_the_picture_and_nothing_overlaps(name: str, language: str) -> None:
    kind = read_sound_kind(shipped()[name]).kind
    drawn = picture(kind, language)
    assert drawn == picture(kind, language)
    root = ElementTree.fromstring(drawn)  # noqa: S314 - made here
    texts = {(element.text or "").removeprefix("· ") for element in root.iter(f"{_SVG}text")}
    for titled in (*kind.states.values(), *kind.events.values()):
        assert getattr(titled.title, language) in texts
    boxes = [
        tuple(float(element.get(member, "0")) for member in ("x", "y", "width", "height"))
        for element in root.iter(f"{_SVG}rect")
        if element.get("x") and element.get("fill") != "none"
    ]
    wide, high = (float(root.get(member, "0")) for member in ("width", "height"))
    lines = [element.get("d", "") for element in root.iter(f"{_SVG}path") if element.get("fill") == "none"]
    assert len(lines) >= len(kind.events)
    for place in (float(one) for line in lines for one in re.findall(r"[MC ](-?[0-9.]+) -?[0-9.]+", line)):
        assert 0 <= _MARGIN + place <= wide
    for index, (x, y, width, height) in enumerate(boxes):
        assert x >= 0
        assert x + width <= wide
        assert y + height <= high
        for other_x, other_y, other_width, other_height in boxes[index + 1 :]:
            apart = x + width <= other_x or other_x + other_width <= x
            assert apart or y + height <= other_y or other_y + other_height <= y


def test_what_stands_in_a_title_is_no_markup() -> None:
    kind = read_sound_kind(shipped()["bid-bond"]).kind
    evil = Bilingual(en="<script>&\"'", zh="<b>")
    state = msgspec.structs.replace(kind.states["issued"], title=evil)
    drawn = picture(msgspec.structs.replace(kind, title=evil, states=kind.states | {"issued": state}))
    ElementTree.fromstring(drawn)  # noqa: S314 - made here
    assert "<script" not in drawn
    assert not re.search(r"(href|onload|<style|<image|https?://(?!www\.w3\.org/2000/svg))", drawn)


@settings(max_examples=150)
@given(st.integers(1, 14), st.data())
def test_any_graph_is_laid_out_in_order_and_apart(size: int, data: st.DataObject) -> None:
    """Circles, loops over many layers, nodes that nothing leads to."""
    ends = st.tuples(st.integers(0, size - 1), st.integers(0, size - 1)).filter(lambda pair: pair[0] != pair[1])
    edges = data.draw(st.lists(ends, max_size=30, unique=True)) if size > 1 else []
    widths = [30.0 + 10 * node for node in range(size)]
    layout = lay_out(widths, edges, 0)
    assert sorted(node for one in layout.layers for node in one if node < size) == list(range(size))
    for one in layout.layers:
        real = [node for node in one if node < size]
        for left, right in pairwise(real):
            assert layout.x[right] - layout.x[left] >= (widths[left] + widths[right]) / 2 - 1e-6
    for a, b in edges:
        above, below = (b, a) if (a, b) in layout.turned else (a, b)
        assert layout.layer[above] < layout.layer[below]
        assert len(layout.bends[above, below]) == layout.layer[below] - layout.layer[above] - 1
