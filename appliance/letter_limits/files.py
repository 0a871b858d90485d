"""The two files in which a tenant's quorum says what its letters may come to, and what events cost: their schemas.

TOML, because officers read them as they stand. A digest is the SHA-256 of the file's bytes. What must hold between the
members is checked where they are compiled (rules, tariffs), what must hold with the tenant's kinds in `against_kinds`.
"""

from __future__ import annotations

import hashlib
import tomllib
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from appliance.letter_limits.errors import LimitsRefused
from appliance.letter_limits.numbers import Amount, Percent, PerMille
from appliance.letters.kind import Currency, Name, Words

FILE_BYTES = 256 * 1024
"""Largest file of limits or tariffs."""

Counter = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_-]{0,62}/[a-z][a-z0-9_-]{0,62}\Z")]
"""KIND/QUOTA, or GROUP/QUOTA of kinds that count together: a quota that the tenant's kinds count."""
Policy = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{0,62}\Z")]
AnyCurrency = Annotated[str, msgspec.Meta(pattern=r"\A([A-Z]{3})?\Z")]
"""Empty: the counter counts letters or events."""
Version = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
_Thresholds = Annotated[list[Percent], msgspec.Meta(max_length=8)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class LimitTier(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Up to an amount: by itself, or with the approvals of a policy."""

    up_to: Amount
    policy: Policy | None = None
    """An approval policy of the tenant; None: nobody needs to approve."""


class Limit(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much a counter may come to; for one that counts by somebody, of each one."""

    counter: Counter
    currency: AnyCurrency = ""
    tiers: Annotated[list[LimitTier], msgspec.Meta(min_length=1, max_length=16)]
    """Rising; above the last one an event is refused."""
    warn_at: _Thresholds = []
    """Per cent of the last tier: each is warned of once when it is crossed."""


class Share(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The largest share that any one of a counter may have of another counter's sum: concentration."""

    counter: Counter
    """One that counts by somebody."""
    of: Counter
    """The sum; it counts the same, by nobody."""
    currency: AnyCurrency = ""
    most: Percent
    floor: Amount = "0"
    """While the sum is below it, no share is looked at: the first letter of all is the whole."""
    then: Literal["warn", "refuse"]


class Breaker(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An indicator above whose limit nothing new of some kinds is issued, until the quorum lets it go on."""

    name: Name
    stops: Annotated[list[Name], msgspec.Meta(min_length=1, max_length=64)]
    """Kinds."""
    indicator: Literal["ratio", "growth", "refusals"]
    """ratio: `of` to `over`, in per cent; growth: a window of `of` to the window before, in per cent; refusals: how
    many events of these kinds the box refused in an hour, because something was taken, used up or above a limit."""
    of: Counter | None = None
    over: Counter | None = None
    currency: AnyCurrency = ""
    above: Percent
    """Per cent; of refusals a whole number."""
    floor: Amount = "0"
    """While `over`, or the window before, is below it, the indicator says nothing."""


class LimitFile(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See the module."""

    format: Literal["cinnabar-limits/1"]
    version: Version
    """Rises by one."""
    limits: Annotated[list[Limit], msgspec.Meta(max_length=512)] = []
    shares: Annotated[list[Share], msgspec.Meta(max_length=128)] = []
    breakers: Annotated[list[Breaker], msgspec.Meta(max_length=128)] = []


class RateTier(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rate of amounts up to an end: of the whole amount, not of the part above the tier before."""

    up_to: Amount | None = None
    """None: without end; the last tier."""
    per_mille: PerMille


class Fee(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one event costs: `each`, and by its amount a rate; the sum held between `least` and `most`."""

    title: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    kind: Name
    event: Name
    each: Amount = "0"
    rates: Annotated[list[RateTier], msgspec.Meta(max_length=16)] = []
    """By the value that the event moves."""
    least: Amount = "0"
    most: Amount | None = None


class TariffFile(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What events cost, in one currency: events of other currencies are counted and cost nothing."""

    format: Literal["cinnabar-tariff/1"]
    version: Version
    title: Words
    currency: Currency
    rounding: Literal["half-up"]
    """Each event's fee, to the currency's digits."""
    fees: Annotated[list[Fee], msgspec.Meta(min_length=1, max_length=512)]


_File = TypeVar("_File", LimitFile, TariffFile)


def digest(text: bytes) -> str:
    """Of a file."""
    return hashlib.sha256(text).hexdigest()


def read_limit_file(text: bytes) -> LimitFile:
    """Against the schema alone. Raises LimitsRefused."""
    return _convert(_document(text), LimitFile)


def read_tariff_file(text: bytes) -> TariffFile:
    """Against the schema alone. Raises LimitsRefused."""
    return _convert(_document(text), TariffFile)


def read_terms(text: bytes) -> LimitFile | TariffFile:
    """Either, as the file's `format` says. Raises LimitsRefused."""
    document = _document(text)
    if document.get("format") == "cinnabar-tariff/1":
        return _convert(document, TariffFile)
    return _convert(document, LimitFile)


def _document(text: bytes) -> dict[str, Any]:
    if len(text) > FILE_BYTES:
        raise LimitsRefused(f"a file of limits or tariffs has at most {FILE_BYTES} bytes")
    if b"\r" in text:
        raise LimitsRefused("its lines end with a line feed alone, so that its digest is the same everywhere")
    try:
        return tomllib.loads(text.decode())
    except UnicodeDecodeError as error:
        raise LimitsRefused(f"not UTF-8 at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise LimitsRefused(f"not TOML: {error}") from None
    except RecursionError:
        raise LimitsRefused("nested too deeply") from None


def _convert(document: dict[str, Any], form: type[_File]) -> _File:
    try:
        return msgspec.convert(document, form)
    except msgspec.ValidationError as error:
        raise LimitsRefused(str(error)) from None
