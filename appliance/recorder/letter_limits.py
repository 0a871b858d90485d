"""A tenant's limits, breakers and tariffs inside a transaction (control ONCE): what its tallies may come to.

The files are the quorum's (appliance.letter_limits), held by the recorder and asked about every tally of a command
after it is counted on the command's draft. What is warned of, or stops, is durable with the command: a row, and a leaf
of the tenant's log. A tenant about which nothing is said costs one look-up.
"""

from __future__ import annotations

import bisect
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import structlog

from appliance.errors import CinnabarError
from appliance.letter_limits import Rules, Tariff, compile_rules, compile_tariff, read_limit_file, read_tariff_file
from appliance.letter_limits.numbers import print_percent
from appliance.letter_limits.rules import WHOLE, Share, above, shown
from appliance.letter_limits.windows import before as window_before
from appliance.recorder import errors
from appliance.recorder.administration import clear_entry
from appliance.recorder.messages import Effect, Entry, LetterStep, MessageTaken, Notice, Tally, ValueMove
from appliance.store import limits as store
from appliance.tree_hash import TreeHash

REFUSALS = (errors.Taken, errors.ValueExceeded, errors.TallyExceeded)
"""What is counted as refused: something is taken, used up, or at its limit. Not: a head that moved."""
HOUR_US = 3_600_000_000
log = structlog.get_logger("recorder")


@dataclass
class Terms:
    """What is in force, by tenant's number; read again after every change."""

    rules: dict[int, Rules] = field(default_factory=dict)
    tariffs: dict[int, list[tuple[int, Tariff]]] = field(default_factory=dict)
    """With the time since which each is in force, in order."""
    stopped: dict[tuple[int, str], str] = field(default_factory=dict)
    """By (tenant, kind): why."""

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> Terms:
        terms = cls()
        for row in store.read_terms(connection):
            if row.form == "limits":
                terms.rules[row.tenant] = compile_rules(read_limit_file(row.document))
            else:
                tariff = compile_tariff(read_tariff_file(row.document))
                terms.tariffs.setdefault(row.tenant, []).append((row.since, tariff))
        terms.stopped = {(tenant, kind): reason for tenant, kind, _, reason in store.read_stopped(connection)}
        return terms

    def tariff(self, tenant: int, at: int) -> Tariff:
        """The one in force at a time; without one, nothing costs anything."""
        known = self.tariffs.get(tenant)
        if not known:
            return _FREE
        place = bisect.bisect_right(known, at, key=lambda one: one[0])
        return known[place - 1][1] if place else _FREE


_FREE = Tariff()


class LetterNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What a notice leaves in the tenant's log, as canonical JSON: members in sorted order."""

    action: str
    """As appliance.recorder.messages.Notice.what."""
    format: str = "cinnabar-letter-notice/1"
    most: int
    subject: str
    threshold: int
    time: int
    """Microseconds since 1970-01-01T00:00:00Z."""
    used: int


def notice_entry(notice: Notice, now_us: int, hashing: TreeHash) -> Entry:
    """The leaf that a notice leaves, in a log of this hash."""
    record = LetterNotice(
        action=notice.what, most=notice.most, subject=notice.subject, threshold=notice.threshold, time=now_us,
        used=notice.used,
    )  # fmt: skip
    return clear_entry(record, now_us, hashing)


def check_issuing(stopped: Callable[[str], str | None], effects: Sequence[Effect]) -> None:
    """Whether a command issues what may not be issued: begins a letter that is no part of another one, or gives value
    out of nothing. Raises IssuingStopped."""
    for kind in _issued(effects):
        reason = stopped(kind)
        if reason is not None:
            raise errors.IssuingStopped(f"{kind}: {reason}")


def _issued(effects: Sequence[Effect]) -> list[str]:
    """Kinds of which a command issues something."""
    steps = [one for one in effects if type(one) is LetterStep]
    kinds = {one.kind for one in steps} if steps and not any(one.before for one in steps) else set()
    given = {one.target for one in effects if type(one) is ValueMove and not one.source}
    return sorted(kinds | {one.kind for one in steps if one.letter in given})


def check_partner(rules: Rules, effects: Sequence[Effect], now_us: int, amount: Callable[[str], int]) -> None:
    """Whether a partner issues what was refused to it too often in this hour. `amount`: of a tally. Raises
    IssuingStopped."""
    partner = _partner(effects)
    if not partner:
        return
    for kind in _issued(effects):
        for breaker in rules.refusals.get(kind, ()):
            if amount(_refused(breaker.name, now_us, partner)) > breaker.above:
                raise errors.IssuingStopped(f"{kind}: {breaker.name}")


def _partner(effects: Sequence[Effect]) -> str:
    """Whose message a command answers; nothing: nobody's."""
    return next((one.partner for one in effects if type(one) is MessageTaken), "")


def _refused(breaker: str, now_us: int, partner: str) -> str:
    """The tally of a breaker's refusals of this hour, a partner's apart."""
    name = f"!refused/{breaker}/{now_us // HOUR_US}"
    return f"{name}/{partner}" if partner else name


def check_limit(rules: Rules, tally: Tally, before: int, after: int) -> Iterator[Notice]:
    """One tally against the limit of its counter. Raises LimitExceeded, LimitNeedsApproval."""
    limit = rules.limits.get(tally.counter)
    if limit is None or after <= before:
        return
    tier = limit.tier(after)
    if tier is None:
        raise errors.LimitExceeded(above(tally.counter, after, limit.most))
    if tier.policy is not None and tier.policy not in tally.approved:
        raise errors.LimitNeedsApproval(
            f"{tally.counter}: {shown(tally.counter, after)} needs the approval of {tier.policy}"
        )
    for threshold in limit.crossed(before, after):
        yield Notice("limit-warning", tally.name, threshold, after, limit.most)


class Amounts:
    """What tallies were before a command, and are on its draft, by name."""

    def __init__(self, before: Callable[[str], int], after: Callable[[str], int]) -> None:
        self.before, self.after = before, after


def check_shares(rules: Rules, tallies: Iterable[Tally], amounts: Amounts) -> Iterator[Notice]:
    """The shares that tallies have of their sums, once all of a command's are counted. Raises ShareExceeded."""
    for tally in tallies:
        for share in rules.shares.get(tally.counter, ()) if tally.amount > 0 else ():
            whole_name = f"{share.of}/{_window(tally)}/"
            part, whole = amounts.after(tally.name), amounts.after(whole_name)
            if not share.exceeded(part, whole):
                continue
            if share.refuses:
                raise errors.ShareExceeded(_share_words(tally, share, part, whole))
            if not share.exceeded(amounts.before(tally.name), amounts.before(whole_name)):
                yield Notice("share-warning", tally.name, share.most, part, whole)


def trip(rules: Rules, tallies: Iterable[Tally], amounts: Amounts) -> Iterator[tuple[str, Notice]]:
    """(kind, notice) of every kind that a breaker stops, once all of a command's tallies are counted."""
    for tally in tallies:
        for breaker in rules.breakers.get(tally.counter, ()) if tally.amount > 0 else ():
            window = _window(tally)
            over = f"{breaker.over}/{window}/" if breaker.over else f"{tally.counter}/{window_before(window)}/"
            of, base = amounts.after(tally.name), amounts.after(over)
            if breaker.broken(of, base):
                for kind in breaker.stops:
                    yield kind, Notice("issuing-stopped", f"{kind}/{breaker.name}", breaker.above, of, base)


def count_refusal(
    rules: Rules, effects: Sequence[Effect], error: CinnabarError, now_us: int, add: Callable[[str], int]
) -> Iterator[tuple[str, Notice]]:
    """Count a refused command for the breakers of its kinds: what `trip` says of them. `add`: adds one to a tally.

    A partner's refusals are counted apart and stop that partner (`check_partner`): an outsider cannot stop its tenant.
    """
    if not isinstance(error, REFUSALS):
        return
    partner = _partner(effects)
    found = {one for step in effects if type(step) is LetterStep for one in rules.refusals.get(step.kind, ())}
    for breaker in sorted(found):
        refused = add(_refused(breaker.name, now_us, partner))
        if partner:
            if refused == breaker.above + 1:
                log.warning("partner-stopped", control="ONCE", partner=partner, breaker=breaker.name)
        elif refused > breaker.above:
            for kind in breaker.stops:
                yield kind, Notice("issuing-stopped", f"{kind}/{breaker.name}", breaker.above, refused, 0)


def _window(tally: Tally) -> str:
    return tally.name[len(tally.counter) + 1 :].partition("/")[0]


def _share_words(tally: Tally, share: Share, part: int, whole: int) -> str:
    return (
        f"{tally.counter}: {shown(tally.counter, part)} would be {print_percent(part * WHOLE // whole)}% of "
        f"{share.of}; at most {print_percent(share.most)}%"
    )
