"""The order of the actions in a ceremony of one's own, changed by buttons of the form itself: no script is needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mgmt_service.problems import Malformed

MOST = 32
"""Actions of one ceremony."""
Entered = dict[str, Any]


def rearranged(
    tags: Sequence[str], entered: Sequence[Mapping[str, Any]], change: str, another: str = ""
) -> tuple[list[str], list[Entered]]:
    """Actions with what was entered for them, after a change: `up.N`, `down.N`, `remove.N` (from 0), or `add`, which
    puts `another` at the end. What cannot move stays. Pure. Raises Malformed."""
    pairs = [(tag, dict(entered[at]) if at < len(entered) else {}) for at, tag in enumerate(tags)]
    verb, _, number = change.partition(".")
    if verb == "add" and not number:
        if another and len(pairs) < MOST:
            pairs.append((another, {}))
    else:
        at = int(number) if number.isascii() and number.isdigit() and len(number) < 4 else len(pairs)
        if verb not in {"up", "down", "remove"} or at >= len(pairs):
            raise Malformed("there is no such change of the order")
        one = pairs.pop(at)
        if verb != "remove":
            pairs.insert(max(0, at - 1) if verb == "up" else at + 1, one)
    return [tag for tag, _ in pairs], [given for _, given in pairs]
