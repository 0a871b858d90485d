"""The line of events that leads to a letter: its own, and before them those of the letters that it was split from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.asic.names import event_tail
from appliance.letters.errors import EventDamaged
from appliance.letters.event import Event
from appliance.letters.state import LetterState, begin_part, follow


@dataclass(frozen=True)
class Step:
    """One event of the line."""

    event: Event
    tail: str
    """Of the names of its entries: appliance.asic.names."""
    after: LetterState
    """Its own letter's state after it."""


@dataclass(frozen=True)
class Line:
    """A line that was followed to its end."""

    steps: tuple[Step, ...]
    state: LetterState
    """Of the letter that the line leads to."""
    beginnings: tuple[LetterState, ...]
    """How each letter of the line stood when it began, the first letter first."""


def number_told(number: int, letter: str, first: str) -> str:
    """An event's number for people: each letter counts its own events, so that of a letter that was split off is told
    with its id. `first`: the first letter of the line."""
    return str(number) if letter == first else f"{number} ({letter[:8]}…)"


def follow_line(events: Sequence[Event], letter: str) -> Line:
    """Follow the events, oldest first, to the letter with this id. A letter that was split off begins with its
    parent's event; no event of the parent stands after that one. Raises EventDamaged."""
    if not events:
        raise EventDamaged("a letter has at least its first event")
    first = events[0].letter
    state: LetterState | None = None
    steps: list[Step] = []
    beginnings: list[LetterState] = []
    for event in events:
        if state is not None and event.letter != state.letter:
            state = _part(steps[-1], event.letter)
            beginnings.append(state)
        state = follow(state, event)
        _check_parts(event)
        if not steps:
            beginnings.append(state)
        steps.append(Step(event, event_tail(event.number, None if event.letter == first else event.letter), state))
    assert state is not None  # noqa: S101 - there is at least one event
    if letter != state.letter:
        state = _part(steps[-1], letter)
        beginnings.append(state)
    if len({one.letter for one in beginnings}) != len(beginnings):
        raise EventDamaged("a letter cannot be split off from itself")
    return Line(tuple(steps), state, tuple(beginnings))


def _part(step: Step, letter: str) -> LetterState:
    for part in step.event.parts:
        if part.letter == letter:
            return begin_part(step.after, step.event, part)
    raise EventDamaged("an event is of a letter that the one before neither belongs to nor makes")


def _check_parts(event: Event) -> None:
    if event.parts and event.value is None:
        raise EventDamaged("only a split makes letters")
    if len({part.letter for part in event.parts} - {event.letter}) != len(event.parts):
        raise EventDamaged("each letter that a split makes is a new one")
