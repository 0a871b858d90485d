"""What a tenant's letters count against its limits, whom it concentrates on, and what its events cost: for its people.

Whom a count is of is kept under a keyed hash; its label opens with the tenant's content key, as the records do.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec

from appliance.api.bodies import BodyCipher, BodyDamaged
from appliance.api.letters.counted import LABEL
from appliance.api.limits.reads import Reader, metered_lines, whom_in
from appliance.audit.errors import NO_SUCH_LOG
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.errors import NotFound
from appliance.letter_limits import LimitsRefused, Rules, compile_rules, read_limit_file
from appliance.recorder.messages import FEDERATION_TALLY

LARGEST: Final = 10
"""Whom a counter shows by name."""
COUNTERS: Final = 64
NOTICES: Final = 50
OF_THE_BOX: Final = "@"
"""Begins the names of what the box counts for itself; a kind's id begins with a letter."""
_encode = msgspec.json.Encoder(order="sorted").encode


class WhomUse(msgspec.Struct, frozen=True, kw_only=True):
    """One of those whom a counter counts."""

    label: str
    """Empty: letters that name nobody; they are held to the limit as one."""
    amount: int


class CounterUse(msgspec.Struct, frozen=True, kw_only=True):
    """A counter in its newest window. Amounts in ten-thousandths; letters and events as whole numbers."""

    counter: str
    """KIND/QUOTA/CURRENCY."""
    window: str
    """2026-11 and the like; empty: what is outstanding, or ever."""
    total: int
    largest: list[WhomUse]
    """Empty where it counts by nobody."""
    most: int | None
    """What it, or each of those whom it counts, may come to; None: no limit is set."""


class RegisterUse(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of a register that a federation shares."""

    federation: str
    asked: int
    """How often something in it was used or asked about."""
    refused: int
    """How often the answer was that it is taken."""


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A warning, or issuing that stopped."""

    time: int
    what: str
    subject: str
    whom: str
    """Whom the subject's keyed hash hides; empty: nobody."""
    threshold: int
    used: int
    most: int


class Metered(msgspec.Struct, frozen=True, kw_only=True):
    """What one event of one kind came to in the month."""

    kind: str
    event: str
    application: str
    currency: str
    count: int
    amount: int
    fee: int
    billed_fee: int


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    month: str
    counters: list[CounterUse]
    registers: list[RegisterUse]
    """Since the tenant's first letter."""
    days: list[tuple[str, int, int]]
    """(day, events, fees)"""
    metered: list[Metered]
    notices: list[Notice]
    stopped: list[tuple[str, int, str]]
    """(kind, since in microseconds, reason)"""


async def usage(room: AuditRoom, asker: Asker, audited: AuditedLog, month: str) -> UsageView:
    """Of a month, as 2026-11; counters as they stand. Raises NotFound, BadRequest."""
    if audited.cipher is None:
        raise NotFound(NO_SUCH_LOG)
    recorder, name = room.source.recorder, audited.name
    size = await room.source.size(name)
    await room.tell(asker, audited, _encode({"usage": month}).decode(), 0, size, 1)
    notices = await recorder.query("notices", name, (1 << 62), NOTICES)
    labels = await recorder.query("tally_labels", name, [row[3] for row in notices])
    return UsageView(
        month=month,
        counters=await _counters(room, audited, audited.cipher),
        registers=await _registers(recorder, name),
        days=await _days(recorder, name, month),
        metered=await _metered(metered_lines(recorder, name, month)),
        notices=[
            Notice(
                time=row[1], what=row[2], subject=row[3], whom=whom_in(audited.cipher, row[3], label),
                threshold=row[4], used=row[5], most=row[6],
            )
            for row, label in zip(notices, labels, strict=True)
        ],
        stopped=[(row[0], row[1], row[2]) for row in await recorder.query("stopped_kinds", name)],
    )  # fmt: skip


async def _newest_windows(recorder: Reader, tenant: str) -> dict[str, str]:
    """The newest window of each counter: its last name, so that a counter of many windows costs as one of few."""
    newest: dict[str, str] = {}
    after = f"{OF_THE_BOX}\U0010ffff"
    for _ in range(COUNTERS):
        page = await recorder.query("tallies", tenant, "", after, 1)
        if not page:
            break
        after = str(page[0][0])
        parts = after.rsplit("/", 2)
        if len(parts) == 3:
            last = await recorder.query("tallies", tenant, f"{parts[0]}/", "", 1, True)
            newest[parts[0]] = str(last[0][0])[len(parts[0]) + 1 :].partition("/")[0]
            after = f"{parts[0]}/\U0010ffff"
    return newest


async def _registers(recorder: Reader, tenant: str) -> list[RegisterUse]:
    counts = dict(await recorder.query("tallies", tenant, FEDERATION_TALLY))
    names = sorted({str(name).split("/")[1] for name in counts})
    return [
        RegisterUse(
            federation=name,
            asked=counts.get(f"{FEDERATION_TALLY}{name}/asked", 0),
            refused=counts.get(f"{FEDERATION_TALLY}{name}/refused", 0),
        )
        for name in names
    ]


async def _counters(room: AuditRoom, audited: AuditedLog, cipher: BodyCipher) -> list[CounterUse]:
    recorder, name = room.source.recorder, audited.name
    newest = await _newest_windows(recorder, name)
    rules = await _rules(room, name)
    found = []
    for counter, window in sorted(newest.items()):
        rows = await recorder.query("counter", name, counter, window, 1_000)
        limit = rules.limits.get(counter.rstrip("/"), rules.limits.get(counter))
        found.append(
            CounterUse(
                counter=counter,
                window=window,
                total=sum(row[1] for row in rows),
                largest=largest_of(cipher, rows),
                most=None if limit is None else limit.most,
            )
        )
    return found


def largest_of(cipher: BodyCipher, rows: list[list[Any]]) -> list[WhomUse]:
    """The largest of a counter's rows (whom, amount, label), those that name nobody as one; none where all do."""
    if not any(row[0] for row in rows):
        return []
    return [WhomUse(label=_label(cipher, row), amount=row[1]) for row in rows[:LARGEST]]


async def _rules(room: AuditRoom, tenant: str) -> Rules:
    now_us = int(datetime.datetime.now(datetime.UTC).timestamp() * 1_000_000)
    standing = Rules()
    for form, _, since, document in await room.source.recorder.query("letter_terms", tenant):
        if form == "limits" and since <= now_us:
            try:
                standing = compile_rules(read_limit_file(document))
            except LimitsRefused:
                continue  # a ceremony lets none in that cannot be read
    return standing


def _label(cipher: BodyCipher, row: list[Any]) -> str:
    if not row[0]:
        return ""
    try:
        return cipher.open_bytes(LABEL + bytes.fromhex(row[0]), row[2]).decode()
    except (BodyDamaged, ValueError):
        return str(row[0])[:12]


async def _days(recorder: Reader, tenant: str, month: str) -> list[tuple[str, int, int]]:
    """Read part by part: others are answered between."""
    sums: dict[str, tuple[int, int]] = {}
    after: list[Any] | None = None
    while True:
        part, after = await recorder.query("usage_days", tenant, month, after)
        for day, count, fee in part:
            known = sums.get(day, (0, 0))
            sums[day] = known[0] + count, known[1] + fee
        if after is None:
            return [(day, *sums[day]) for day in sorted(sums)]


async def _metered(rows: AsyncIterator[list[Any]]) -> list[Metered]:
    """Lines without those whom they are of, who stand on the bills."""
    sums: dict[tuple[str, str, str, str], list[int]] = {}
    async for row in rows:
        held = sums.setdefault((row[0], row[1], row[2], row[4]), [0, 0, 0, 0])
        for at, column in enumerate((6, 7, 8, 12)):
            held[at] += row[column]
    return [
        Metered(
            kind=kind, event=event, application=application, currency=currency, count=held[0], amount=held[1],
            fee=held[2], billed_fee=held[3],
        )
        for (kind, event, application, currency), held in sorted(sums.items())
    ]  # fmt: skip
