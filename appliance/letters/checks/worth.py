"""Value: opened once, moved only while it is open, ended before a final state; the parts of a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from appliance.letters.checks.declared import named
from appliance.letters.checks.life import Way, parts_states, ways
from appliance.letters.checks.rules import Finding, finding
from appliance.letters.kind import Event, Field, Kind, Move

_NEEDS: Final = {
    "open": (set(), set()),
    "close": (set(), set()),
    "raise": ({"amount"}, set()),
    "lower": ({"amount"}, {"emptied"}),
    "split": ({"parts", "parts_state"}, {"emptied"}),
}  # fmt: skip
"""By move: members that it needs, and that it may have besides."""
_ALIKE: Final = ("type", "pattern", "longest", "least", "most", "currencies", "choices", "identified")


def worth(kind: Kind) -> Iterator[Finding]:
    """Every finding about value."""
    if kind.value is not None:
        path = "value.amount"
        yield from named(kind, path, kind.value.amount, "money")
        field = kind.fields.get(kind.value.amount)
        if field is not None and not field.required:
            yield finding(path, "not-required", name=kind.value.amount)
        if not any(event.value is not None and event.value.move == "open" for event in kind.events.values()):
            yield finding("value", "value-never-opened")
    for name, event in kind.events.items():
        if event.value is not None:
            yield from _move(kind, f"events.{name}", event, event.value)
    if kind.value is not None:
        yield from _flow(kind, kind.value.amount)


def _move(kind: Kind, path: str, event: Event, move: Move) -> Iterator[Finding]:
    where = f"{path}.value"
    if kind.value is None:
        yield finding(where, "value-without-rule")
        return
    if move.move == "split" and kind.value.rule != "divisible":
        yield finding(f"{where}.move", "split-not-divisible")
    needs, may = _NEEDS[move.move]
    for member in ("amount", "parts", "parts_state", "emptied"):
        given = getattr(move, member) is not None
        if member in needs and not given:
            yield finding(where, "move-needs", move=move.move, member=member)
        if given and member not in needs | may:
            yield finding(f"{where}.{member}", "move-takes-no", move=move.move, member=member)
    for member in ("emptied", "parts_state"):
        state = getattr(move, member)
        if state is not None and state not in kind.states:
            yield finding(f"{where}.{member}", "no-such-state", name=state)
    if move.amount is not None:
        yield from _data(event, f"{where}.amount", move.amount, "money")
    if move.parts is not None:
        yield from _data(event, f"{where}.parts", move.parts, "table")
        table = event.data.get(move.parts)
        if table is not None and table.type == "table":
            yield from _columns(kind, f"{path}.data.{move.parts}.columns", table, kind.value.amount)


def _data(event: Event, path: str, name: str, type_: str) -> Iterator[Finding]:
    field = event.data.get(name)
    if field is None:
        yield finding(path, "no-such-field", name=name)
    elif field.type != type_:
        yield finding(path, "wrong-type", name=name, found=field.type, wanted=type_)
    elif not field.required:
        yield finding(path, "not-required", name=name)


def _columns(kind: Kind, path: str, table: Field, face: str) -> Iterator[Finding]:
    amount = table.columns.get("amount")
    if amount is None or amount.type != "money" or not amount.required:
        yield finding(path, "no-amount-column")
    for name, column in table.columns.items():
        if name == "amount":
            continue
        field = kind.fields.get(name)
        if field is None or field.confidentiality != "clear" or name == face:
            yield finding(f"{path}.{name}", "column-no-field", name=name)
            continue
        for member in _ALIKE:
            if getattr(column, member) != getattr(field, member):
                yield finding(f"{path}.{name}", "column-differs", name=name, member=member)


def _flow(kind: Kind, face: str) -> Iterator[Finding]:
    """Follow what the value may be in each state: not open yet, open, ended."""
    may: dict[str, set[str]] = {name: set() for name in kind.states}
    for way in _until_still(kind, may):
        if way.after in may:
            may[way.after] |= _after(kind, way, may)
            for state in parts_states(kind, way.event):
                may[state].add("open")
    said: set[tuple[str, str]] = set()
    for way in ways(kind):
        event = kind.events[way.event]
        move = event.value.move if event.value is not None else None
        standing = {"none"} if way.before is None else may[way.before]
        path, values = f"events.{way.event}", {"state": way.before or "-"}
        found: list[Finding] = []
        if move == "open" and standing & {"open", "ended"}:
            found.append(finding(f"{path}.value", "opened-twice", **values))
        if move not in (None, "open") and "none" in standing:
            found.append(finding(f"{path}.value", "not-open-yet", **values))
        if move in ("raise", "lower", "split") and "ended" in standing:
            found.append(finding(f"{path}.value", "ended-already", **values))
        if face in event.fields and standing & {"open", "ended"}:
            found.append(finding(f"{path}.fields", "amount-opened-later", **values))
        if kind.states[way.after].final and "open" in _after(kind, way, may):
            found.append(finding(f"{path}.value", "ends-with-value", **values, to=way.after))
        for one in found:
            if (one.path, one.rule) not in said:
                said.add((one.path, one.rule))
                yield one


def _until_still(kind: Kind, may: dict[str, set[str]]) -> Iterator[Way]:
    """Every way, again and again until nothing new is known."""
    size = -1
    while size != (size := sum(len(one) for one in may.values())):
        yield from ways(kind)


def _after(kind: Kind, way: Way, may: dict[str, set[str]]) -> set[str]:
    """What the value may be at the end of a way."""
    standing = {"none"} if way.before is None else may[way.before]
    move = kind.events[way.event].value
    if move is None or kind.value is None:
        return set(standing)
    if not standing:
        return set()
    if move.move == "close" or way.emptied:
        return {"ended"}
    return {"open"}
