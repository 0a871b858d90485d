"""What a transaction offers for its gas: never above the settings, and for a replacement enough to be taken. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from appliance.box.ledgers.evm import EvmLedgerSettings

RAISE_DIVISOR: Final = 8
"""A replacement offers an eighth more: nodes want a tenth (go-ethereum, Besu, anvil)."""
BASE_FEES: Final = 2
"""A first offer covers twice the base fee of now: that is how high it can rise in six full blocks (EIP-1559)."""


@dataclass(frozen=True)
class Fees:
    """In wei for one gas."""

    fee: int
    """At most this altogether; a legacy transaction's gas price."""
    tip: int
    """Of it for whoever makes the block; 0 in a legacy transaction."""


class TooDear(ValueError):
    """The chain wants more than the settings allow; the message says it for operators."""


def first(settings: EvmLedgerSettings, base_fee: int | None, suggested: int) -> Fees:
    """The first offer. `base_fee`: of the newest block, None where the chain has none; `suggested`: what the node would
    give as a tip, or as a gas price. Raises TooDear."""
    most = settings.maximum_fee_per_gas
    if settings.transactions == "legacy":
        price = min(suggested, most)
        if base_fee is not None and price < base_fee:
            raise TooDear(f"the chain wants {base_fee} wei for a gas, the settings allow {most}")
        return Fees(price, 0)
    if base_fee is None:
        raise TooDear("the chain has no fee market (EIP-1559): its transactions are legacy")
    if base_fee > most:
        raise TooDear(f"the chain wants {base_fee} wei for a gas, the settings allow {most}")
    tip = min(suggested, settings.maximum_priority_fee_per_gas, most - base_fee)
    return Fees(min(BASE_FEES * base_fee + tip, most), tip)


def raised(settings: EvmLedgerSettings, before: Fees, wanted: Fees) -> Fees | None:
    """What replaces an offer: an eighth more, or what a first one would be now where that is more. None: the settings
    do not allow enough."""
    fee = max(_more(before.fee), wanted.fee)
    if settings.transactions == "legacy":
        return Fees(fee, 0) if fee <= settings.maximum_fee_per_gas else None
    tip = min(max(_more(before.tip), wanted.tip), fee)
    fits = fee <= settings.maximum_fee_per_gas and tip <= settings.maximum_priority_fee_per_gas
    return Fees(fee, tip) if fits and tip >= _more(before.tip) else None


def _more(amount: int) -> int:
    return amount + amount // RAISE_DIVISOR + 1
