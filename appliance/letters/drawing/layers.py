"""A graph laid out in layers from top to bottom, after Sugiyama, Tagawa and Toda (1981). Pure, and the same each time.

Edges that lead back are turned for the layout; edges over several layers bend at points of their own; nodes of a layer
are ordered by the middle of their neighbours; places are found by isotonic regression, so that nothing overlaps.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

_SWEEPS: Final = 24
GAP: Final = 26.0
"""Between neighbours of a layer."""


@dataclass
class Layout:
    """Middle of each node, by its number; bends of each edge, from its upper end to its lower."""

    layers: list[list[int]]
    x: dict[int, float]
    layer: dict[int, int]
    bends: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    """Numbers of the points between the ends of an edge, from the top down."""
    turned: set[tuple[int, int]] = field(default_factory=set)
    """Edges whose end is above their beginning."""


def lay_out(widths: Sequence[float], edges: Sequence[tuple[int, int]], begin: int) -> Layout:
    """Nodes are the numbers of `widths`; all of them are reached from `begin`."""
    turned = _turned(len(widths), edges, begin)
    downward = sorted({(b, a) if (a, b) in turned else (a, b) for a, b in edges})
    layer = _layer(len(widths), downward)
    width = dict(enumerate(widths))
    short: list[tuple[int, int]] = []
    bends: dict[tuple[int, int], list[int]] = {}
    for above, below in downward:
        path = [above]
        for between in range(layer[above] + 1, layer[below]):
            point = len(width)
            width[point], layer[point] = 8.0, between
            path.append(point)
        path.append(below)
        bends[above, below] = path[1:-1]
        short.extend(pairwise(path))
    order = _order(layer, short)
    x = _places(order, short, width)
    return Layout(order, x, layer, bends, turned)


def _turned(size: int, edges: Sequence[tuple[int, int]], begin: int) -> set[tuple[int, int]]:
    """Edges that close a circle, found walking in depth from the beginning."""
    out: dict[int, list[int]] = {node: [] for node in range(size)}
    for a, b in edges:
        out[a].append(b)
    back: set[tuple[int, int]] = set()
    state: dict[int, int] = {}
    stack: list[tuple[int, int]] = []
    for first in (begin, *range(size)):
        if first in state:
            continue
        state[first] = 1
        stack.append((first, 0))
        while stack:
            node, next_ = stack.pop()
            if next_ == len(out[node]):
                state[node] = 2
                continue
            stack.append((node, next_ + 1))
            other = out[node][next_]
            if state.get(other) == 1:
                back.add((node, other))
            elif other not in state:
                state[other] = 1
                stack.append((other, 0))
    return back


def _layer(size: int, downward: Sequence[tuple[int, int]]) -> dict[int, int]:
    """The longest way from the top."""
    layer = dict.fromkeys(range(size), 0)
    for _ in range(size):
        before = dict(layer)
        for above, below in downward:
            layer[below] = max(layer[below], layer[above] + 1)
        if before == layer:
            break
    return layer


def _sweeps(points: int) -> int:
    """Fewer for a graph that nobody can read anyway."""
    return _SWEEPS if points < 1000 else 4


def _order(layer: Mapping[int, int], short: Sequence[tuple[int, int]]) -> list[list[int]]:
    above: dict[int, list[int]] = {node: [] for node in layer}
    below: dict[int, list[int]] = {node: [] for node in layer}
    for a, b in short:
        below[a].append(b)
        above[b].append(a)
    layers: list[list[int]] = [[] for _ in range(max(layer.values()) + 1)]
    for node in sorted(layer):
        layers[layer[node]].append(node)
    best, least = [list(one) for one in layers], _crossings(layers, below)
    for sweep in range(_sweeps(len(layer))):
        neighbours = above if sweep % 2 == 0 else below
        places = {node: place for one in layers for place, node in enumerate(one)}
        for one in layers if sweep % 2 == 0 else reversed(layers):
            wanted = {
                node: (sum(places[other] for other in neighbours[node]) / len(neighbours[node]))
                if neighbours[node]
                else float(places[node])
                for node in one
            }
            one.sort(key=lambda node: (wanted[node], places[node]))
            places |= {node: place for place, node in enumerate(one)}
        _swap(layers, above, below)
        crossings = _crossings(layers, below)
        if crossings < least:
            best, least = [list(one) for one in layers], crossings
    return best


def _swap(layers: list[list[int]], above: Mapping[int, list[int]], below: Mapping[int, list[int]]) -> None:
    """Neighbours change places where fewer of their edges then cross."""
    places = {node: place for one in layers for place, node in enumerate(one)}
    for one in layers:
        for place, (left, right) in enumerate(pairwise(list(one))):
            left = one[place]  # noqa: PLW2901 - it may have come along from before
            gain = 0
            for side in (above, below):
                mine, theirs = ([places[other] for other in side[node]] for node in (left, right))
                gain += sum((a > b) - (a < b) for a in mine for b in theirs)
            if gain > 0:
                one[place], one[place + 1] = right, left
                places[left], places[right] = place + 1, place


def _crossings(layers: Sequence[Sequence[int]], below: Mapping[int, list[int]]) -> int:
    places = {node: place for one in layers for place, node in enumerate(one)}
    total = 0
    for one in layers:
        seen: list[int] = []  # lower ends of the edges so far, in order
        for node in one:
            ends = [places[other] for other in below[node]]
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total


def _places(
    layers: Sequence[Sequence[int]], short: Sequence[tuple[int, int]], width: Mapping[int, float]
) -> dict[int, float]:
    """Middles: each near its neighbours', in order and apart."""
    near: dict[int, list[int]] = {node: [] for node in width}
    for a, b in short:
        near[a].append(b)
        near[b].append(a)
    x: dict[int, float] = {}
    for one in layers:
        at = 0.0
        for node in one:
            x[node] = at + width[node] / 2
            at += width[node] + GAP
        for node in one:
            x[node] -= at / 2
    for sweep in range(2 * _sweeps(len(width))):
        for one in layers if sweep % 2 == 0 else reversed(layers):
            wanted = [
                sum(x[other] for other in near[node]) / len(near[node]) if near[node] else x[node] for node in one
            ]
            for node, place in zip(one, _apart(wanted, [width[node] for node in one]), strict=True):
                x[node] = place
    left = min(x[node] - width[node] / 2 for node in x)
    return {node: place - left for node, place in x.items()}


def _apart(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """The places nearest to those wanted, by least squares, in order and with a gap (pool adjacent violators)."""
    offsets, at = [], 0.0
    for place, width in enumerate(widths):
        at += (width / 2 + widths[place - 1] / 2 + GAP) if place else 0.0
        offsets.append(at)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        block = (want - offset, 1)
        while blocks and blocks[-1][0] > block[0]:
            total, count = blocks.pop()
            block = ((total * count + block[0] * block[1]) / (count + block[1]), count + block[1])
        blocks.append(block)
    flat = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(flat, offsets, strict=True)]
