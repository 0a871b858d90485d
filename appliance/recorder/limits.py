"""What a key and a tenant may still do, judged inside the transaction: key states, signature limits, daily quotas.

`check_key` is a pure function that workers use as well, before they sign. Counting is exact: what a transaction takes
is counted when it is accepted and lives or dies with it, whichever worker it came from (control QUORUM). A tenant about
which nothing is said costs one look-up.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from appliance.errors import NotAuthorised
from appliance.recorder.errors import KeyExhausted, KeyExpired, KeyStopped, QuotaExceeded
from appliance.recorder.messages import Entry, KeyEntry

if TYPE_CHECKING:
    from appliance.recorder.register import Caller

DAY_US = 86_400_000_000
ROW_BYTES = 160
"""About what a record takes beside its body."""
STAMPS = frozenset({"stamp", "batch-stamp"})
"""Kinds of records that are time-stamps."""


class Quota(NamedTuple):
    """Most of each in a day (UTC); None: no limit."""

    signatures: int | None = None
    """Signatures of every kind, stamps among them."""
    stamps: int | None = None
    size: int | None = None
    """Bytes of records and of bulk requests."""


class Used(NamedTuple):
    """What a tenant has used of a day."""

    signatures: int = 0
    stamps: int = 0
    size: int = 0


@dataclass
class Limits:
    """What is said about tenants and keys, and what was counted; outlives transactions, moved forward by `publish`."""

    keys: dict[tuple[int, str], KeyEntry] = field(default_factory=dict)
    """By tenant number and key."""
    quotas: dict[int, Quota] = field(default_factory=dict)
    tenants: frozenset[int] = frozenset()
    """Those about which anything is said."""
    day: int = 0
    """Days since the epoch; it never goes back, so that a clock put back gives no quota twice."""
    used: dict[int, Used] = field(default_factory=dict)
    """Of that day, by tenant number."""
    key_totals: dict[tuple[int, str], int] = field(default_factory=dict)


def check_key(entry: KeyEntry, application: str, now_s: float) -> None:
    """Whether a key may sign for an application now. Raises KeyStopped, KeyExpired, NotAuthorised."""
    if entry.state != "active":
        raise KeyStopped(f"the key {entry.key} is {entry.state}")
    if entry.until is not None and now_s > entry.until:
        raise KeyExpired(f"the key {entry.key} is past its period of use")
    if entry.applications and application not in entry.applications:
        raise NotAuthorised("the application may not use this key")


class Taken:
    """What the commands of one transaction take, on top of what was counted before."""

    def __init__(self, limits: Limits, now_us: int) -> None:
        self.limits = limits
        self.now_s = now_us // 1_000_000
        self.day = max(limits.day, now_us // DAY_US)
        self.requests: dict[int, int] = {}
        """Bytes of accepted bulk requests, by tenant number."""
        self._used: dict[int, Used] = {}
        self._totals: dict[tuple[int, str], int] = {}

    def _of_today(self, tenant: int) -> Used:
        found = self._used.get(tenant)
        if found is not None:
            return found
        return self.limits.used.get(tenant, Used()) if self.day == self.limits.day else Used()

    def take(self, caller: Caller, entries: list[Entry]) -> None:
        """Count the entries of a command against key states, limits and quota, or refuse them all.

        Raises KeyStopped, KeyExpired, KeyExhausted, QuotaExceeded, NotAuthorised; then nothing was counted."""
        tenant, limits = caller.tenant_number, self.limits
        quota = limits.quotas.get(tenant, _UNLIMITED)
        signatures, stamps, size = self._of_today(tenant)
        totals: dict[tuple[int, str], int] = {}
        for place, entry in enumerate(entries):
            key = (tenant, entry.key)
            said = limits.keys.get(key)
            if said is not None:
                check_key(said, caller.application, self.now_s)
            total = totals.get(key)
            if total is None:
                total = self._totals.get(key, limits.key_totals.get(key, 0))
            if said is not None and said.limit is not None and total >= said.limit:
                raise _with_left(KeyExhausted(f"the key {entry.key} may make {said.limit} signatures"), place)
            totals[key] = total + 1
            signatures += 1
            stamps += entry.kind in STAMPS
            size += len(entry.body) + ROW_BYTES
            over = _over(quota, signatures, stamps, size)
            if over is not None:
                raise _with_left(QuotaExceeded(over), place)
        self._totals.update(totals)
        self._used[tenant] = Used(signatures, stamps, size)

    def take_request(self, tenant: int, size: int) -> None:
        """Count the bytes of a bulk request, or refuse it. Raises QuotaExceeded."""
        if tenant in self.limits.tenants:
            used = self._of_today(tenant)
            over = _over(self.limits.quotas.get(tenant, _UNLIMITED), 0, 0, used.size + size)
            if over is not None:
                raise QuotaExceeded(over)
            self._used[tenant] = used._replace(size=used.size + size)
        self.requests[tenant] = self.requests.get(tenant, 0) + size


_UNLIMITED = Quota()


def _over(quota: Quota, signatures: int, stamps: int, size: int) -> str | None:
    """What the quota has no room for, if anything."""
    if quota.signatures is not None and signatures > quota.signatures:
        return f"{quota.signatures} signatures a day"
    if quota.stamps is not None and stamps > quota.stamps:
        return f"{quota.stamps} stamps a day"
    if quota.size is not None and size > quota.size:
        return f"{quota.size} bytes a day"
    return None


def _with_left(error: KeyExhausted | QuotaExceeded, left: int) -> KeyExhausted | QuotaExceeded:
    error.left = left
    return error


Row = tuple[int, str, int, int, int]
"""(tenant, key, signatures, stamps, bytes)."""


def counted(pending: dict[int, list[tuple[int, Entry]]], requests: dict[int, int]) -> list[Row]:
    """What a transaction adds to the tenants' counts: its rows, one a tenant and key. Entries of no application are the
    box's own."""
    rows: list[Row] = [(tenant, "", 0, 0, size) for tenant, size in requests.items()]
    for tenant, entries in pending.items():
        by_key: dict[str, list[int]] = {}
        for application, entry in entries:
            if not application:
                continue
            counts = by_key.get(entry.key)
            if counts is None:
                counts = by_key[entry.key] = [0, 0, 0]
            counts[0] += 1
            if entry.kind in STAMPS:
                counts[1] += 1
            counts[2] += len(entry.body) + ROW_BYTES
        rows += [(tenant, key, *counts) for key, counts in by_key.items()]  # type: ignore[misc]
    return rows


def publish(limits: Limits, day: int, rows: list[Row]) -> None:
    """After the commit: move the counts forward."""
    if not rows:
        return
    if day != limits.day:
        limits.day, limits.used = day, {}
    for tenant, key, signatures, stamps, size in rows:
        used = limits.used.get(tenant, Used())
        limits.used[tenant] = Used(used.signatures + signatures, used.stamps + stamps, used.size + size)
        place = (tenant, key)
        limits.key_totals[place] = limits.key_totals.get(place, 0) + signatures
