"""Counts of a tenant's letters against their limits, whom they concentrate on, and what its events cost."""

from __future__ import annotations

import calendar
import datetime
import re
from typing import Final

import msgspec

from appliance.audit.usage import CounterUse, Metered, Notice, RegisterUse, UsageView
from appliance.letter_limits.subjects import tally_of
from appliance.letters.money import print_amount
from mgmt_service.access import Access, Area
from mgmt_service.areas.audit import MICROSECONDS
from mgmt_service.dispatch import Context
from mgmt_service.forms import FieldError
from mgmt_service.kinds import KindBook, event_of, grouped, told
from mgmt_service.owners import OF_TENANT, scope_of
from mgmt_service.roles import AUDIT

area = Area("usage")
_MONTH: Final = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")


class WhomLine(msgspec.Struct, frozen=True):
    label: str
    amount: str
    share: float
    """Of the counter's sum, in per cent."""
    used: int


class CounterLine(msgspec.Struct, frozen=True):
    title: str
    kind: str
    counter: str
    window: str
    total: str
    used: int
    most: int | None
    """Ten-thousandths; None: no limit is set."""
    limit: str
    by_whom: bool
    largest: list[WhomLine]


class DayBar(msgspec.Struct, frozen=True):
    """A bar of the chart."""

    day: str
    events: int
    x: float
    width: float
    y: float
    height: float


class EventCost(msgspec.Struct, frozen=True):
    kind: str
    event: str
    application: str
    count: int
    amount: str
    fee: str
    billed: str


class NoticeLine(msgspec.Struct, frozen=True):
    time: float
    what: str
    subject: str
    kind: str
    whom: str
    """Empty: nobody."""
    used: str
    """Empty: it is about issuing."""
    most: str
    percent: float | None
    """Of the limit."""


class StoppedLine(msgspec.Struct, frozen=True):
    kind: str
    title: str
    since: float
    reason: str


class Usage(msgspec.Struct, frozen=True):
    """What a tenant's letters count."""

    owner: str
    scope: str
    month: str
    before: str
    after: str
    """Empty: that is still to come."""
    counters: list[CounterLine]
    registers: list[RegisterUse]
    bars: list[DayBar]
    highest: int
    events: int
    costs: list[EventCost]
    notices: list[NoticeLine]
    stopped: list[StoppedLine]


class Asked(msgspec.Struct, frozen=True):
    """Which month, as 2026-11; without one the present."""

    month: str = ""


@area.read(
    "/usage/<owner>",
    access=Access(roles=AUDIT, scope=OF_TENANT),
    gives=Usage,
    query=Asked,
    template="usage/show.html",
)
def usage(context: Context, owner: str, query: Asked) -> Usage:
    """Counts against limits, concentration, warnings, and events of a month with their fees. Reads are recorded."""
    today = datetime.datetime.now(datetime.UTC).strftime("%Y-%m")
    month = query.month or today
    if not _MONTH.fullmatch(month):
        raise FieldError("a month is written as 2026-11", "month")
    found = context.services.audit.call(context.viewer.person, lambda client: client.usage(owner, month))
    book = KindBook.of(context.services.desk, owner)
    bars, highest = _bars(found, month)
    return Usage(
        owner=owner,
        scope=scope_of(owner),
        month=month,
        before=_moved(month, -1),
        after=_moved(month, 1) if month < today else "",
        counters=[_counter(book, one) for one in found.counters],
        registers=found.registers,
        bars=bars,
        highest=highest,
        events=sum(one.events for one in bars),
        costs=[
            _cost(book, one)
            for one in found.metered
        ],
        notices=[
            _notice(book, one)
            for one in found.notices
        ],
        stopped=[
            StoppedLine(kind, _title(book, kind), since / MICROSECONDS, reason) for kind, since, reason in found.stopped
        ],
    )  # fmt: skip


def _cost(book: KindBook, one: Metered) -> EventCost:
    amount, fee, billed = (
        _money(moved, one.currency) if one.currency else "" for moved in (one.amount, one.fee, one.billed_fee)
    )
    return EventCost(
        _title(book, one.kind), _event(book, one.kind, one.event), one.application, one.count, amount, fee, billed
    )


def _notice(book: KindBook, one: Notice) -> NoticeLine:
    time, percent = one.time / MICROSECONDS, one.used / one.most * 100 if one.most else None
    tally = tally_of(one.subject)
    if tally is None:
        kind, _between, breaker = one.subject.partition("/")
        return NoticeLine(time, one.what, breaker, _title(book, kind), "", "", "", percent)
    kind, _between, quota = tally.counter.partition("/")
    subject = f"{_quota(book, kind, quota)} {tally.window}".rstrip()
    used, most = (_money(amount, tally.currency) for amount in (one.used, one.most))
    return NoticeLine(time, one.what, subject, _title(book, kind), one.whom, used, most, percent)


def _quota(book: KindBook, kind: str, quota: str) -> str:
    loaded = book.version(kind)
    known = None if loaded is None else loaded.kind.quotas.get(quota)
    return quota if known is None else told(known.title)


def _counter(book: KindBook, one: CounterUse) -> CounterLine:
    kind, _between, rest = one.counter.partition("/")
    quota, _between, currency = rest.partition("/")
    largest = [
        WhomLine(
            whom.label, _money(whom.amount, currency), whom.amount / one.total * 100 if one.total else 0.0, whom.amount
        )
        for whom in one.largest
    ]  # fmt: skip
    return CounterLine(
        title=_quota(book, kind, quota),
        kind=_title(book, kind),
        counter=one.counter,
        window=one.window,
        total=_money(one.total, currency),
        used=one.total,
        most=one.most,
        limit="" if one.most is None else _money(one.most, currency),
        by_whom=bool(one.largest),
        largest=largest,
    )


def _bars(found: UsageView, month: str) -> tuple[list[DayBar], int]:
    """One a day of the month, in a field of 600 by 150."""
    events = {day: count for day, count, _ in found.days}
    length = calendar.monthrange(int(month[:4]), int(month[5:]))[1]
    highest = max(events.values(), default=0)
    step, bars = 600 / length, []
    for number in range(length):
        day = f"{month}-{number + 1:02d}"
        height = round(events.get(day, 0) / highest * 140, 1) if highest else 0.0
        bars.append(
            DayBar(day, events.get(day, 0), round(number * step, 1), round(step * 0.8, 1), 149 - height, height)
        )
    return bars, highest


def _moved(month: str, by: int) -> str:
    number = int(month[:4]) * 12 + int(month[5:]) - 1 + by
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def _title(book: KindBook, kind: str) -> str:
    loaded = book.version(kind)
    return kind if loaded is None else told(loaded.kind.title)


def _event(book: KindBook, kind: str, event: str) -> str:
    rule = event_of(book.version(kind), event)
    return event if rule is None else told(rule.title)


def _money(amount: int, currency: str) -> str:
    """Ten-thousandths of a currency's unit; without a currency a plain number."""
    if not currency:
        return f"{amount:,}"
    return f"{grouped(print_amount(amount, currency))} {currency}"
