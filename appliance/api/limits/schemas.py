"""What the endpoints of limits and fees take and give. Amounts are decimal texts in the currency that stands beside."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from appliance.api.letters.schemas import LimitNotice
from appliance.api.schemas import Name

Month = Annotated[str, Meta(pattern=r"\A[0-9]{4}-(0[1-9]|1[0-2])\Z")]


class CounterUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a counter came to for one whom it counts."""

    whom: str
    """As the letters name it; empty: everybody."""
    used: str
    share: str | None = None
    """Per cent of the limit's last tier, or of the sum that a share is of."""


class CounterLimit(msgspec.Struct, frozen=True, kw_only=True):
    """A counter and what it is held to."""

    counter: str
    currency: str
    window: str
    """The one that runs now; empty: what is outstanding, or ever."""
    rule: str
    """limit, or share of another counter's sum."""
    most: str
    """Of a limit its last tier; of a share, per cent."""
    of: str | None
    """Of a share, the sum's counter."""
    uses: list[CounterUse]
    """The largest first, at most 20."""


class StoppedKind(msgspec.Struct, frozen=True, kw_only=True):
    kind: str
    since: str
    reason: str
    """The breaker, or an officer's words."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits in force, and what stands under them."""

    version: int
    """Of the file; 0: the quorum has set none."""
    counters: list[CounterLimit]
    stopped: list[StoppedKind]
    """Kinds of which nothing new is issued."""


class Warned(LimitNotice, frozen=True, kw_only=True):
    """A warning or a stop, as it is kept."""

    number: int
    at: str
    whom: str
    """Whom the subject's keyed hash hides; empty: nobody."""


class Warnings(msgspec.Struct, frozen=True, kw_only=True):
    """Warnings and stops, the newest first."""

    warnings: list[Warned]
    next: int | None
    """`before` of the next page."""


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """Events of a month, metered together."""

    kind: str
    event: str
    application: str
    whom: str
    """For whom they are metered, where the kind says so: a payer, a source of data."""
    party: str
    """The keyed hash of it, by which a bill asks for it."""
    currency: str
    """Of the amounts; empty: the events move no value."""
    tariff: int
    """Version of the tariff in force; 0: none."""
    count: int
    amount: str
    fee: str
    billed: int
    """How many of them stand in bills."""
    billed_fee: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What was metered in a month."""

    month: str
    lines: list[UsageLine]
    next: str | None
    """`after` of the next page; null: these are the last."""


class BillLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is not billed yet."""

    kind: str
    event: str
    application: str
    whom: str
    party: str
    currency: str
    tariff: int
    title: str
    """Of the fee."""
    count: int
    amount: str
    fee: str
    before: int
    """How many were billed before."""


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """The bill of a month as it stands: what costs something and stands in no bill yet."""

    month: str
    currency: str
    lines: list[BillLine]
    count: int
    total: str


class TariffVersion(msgspec.Struct, frozen=True, kw_only=True):
    version: int
    since: int
    """Microseconds since the epoch: events from then on cost what it says."""
    document: str


class Tariffs(msgspec.Struct, frozen=True, kw_only=True):
    """Every version of the tenant's tariff."""

    tariffs: list[TariffVersion]


class BillRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Close the bill of a month: a letter of kind `fee-bill`, whose lines are charged in the same transaction."""

    month: Month
    """Such as 2026-11."""
    number: Annotated[str, Meta(min_length=1, max_length=40)]
    """The bill's."""
    payer: dict[str, Any]
    """{"name", "id"}."""
    payee: dict[str, Any] | None = None
    """Whom the fee is owed to, likewise: wanted by the kind's version 2, and not known to version 1."""
    party: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")] | None = None
    """Only what was metered for this one, by its keyed hash; left out: everything."""
    key: Name | None = None
    """The seal key; the first that the caller may use if left out."""
    unit: Name | None = None
    """The time-stamping unit, likewise."""
