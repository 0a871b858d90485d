"""Settings of a ledger of type bitcoin: a chain of the Bitcoin family, by a node of one's own."""

from __future__ import annotations

from pathlib import PurePath
from typing import Annotated

import msgspec

from appliance.box.ledgers.common import AccountSettings, LedgerCommon

_Amount = Annotated[int, msgspec.Meta(ge=1, le=2_100_000_000_000_000)]


class BitcoinLedgerSettings(LedgerCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="bitcoin"):
    """A node's JSON-RPC, and what an anchor may cost. Amounts are in the chain's smallest unit, the 100,000,000th."""

    account: AccountSettings
    """The key whose coins pay."""
    address_prefix: Annotated[str, msgspec.Meta(pattern=r"\A[a-z]{2,10}\Z")]
    """Of the chain's bech32 addresses, such as bc or ltc: for people, who are told the account's address."""
    url: Annotated[str, msgspec.Meta(pattern=r"\Ahttps?://[^@#\s]+\Z", max_length=2_000)]
    """The node's JSON-RPC."""
    ca: str | None = None
    """Path, relative to the home, of the CA certificates that its TLS certificate comes from; None: the system's."""
    password_file: str
    """Path, relative to the home, of a file with `USER:PASSWORD`, such as the node's own cookie file: read anew for
    each call."""
    timeout_s: Annotated[float, msgspec.Meta(ge=0.1, le=600)] = 30.0
    """Of one call. The search for coins takes minutes on a large chain: then more."""
    poll_s: Annotated[float, msgspec.Meta(ge=0.05, le=3_600)] = 30.0
    """The node is asked so often about an anchor that is under way."""
    fee_rate: _Amount = 2_000
    """For 1,000 virtual bytes, at least: more where the node asks for more."""
    most_fee: _Amount = 100_000
    """Largest fee of one transaction: the log follower signs none with a larger one."""
    least_change: _Amount = 10_000
    """A coin that would leave less is not spent, and the log follower signs no such change."""
    raise_after_s: Annotated[float, msgspec.Meta(ge=0.05, le=604_800)] = 3_600.0
    """An anchor that is in no block for so long is sent again with a higher fee."""
    unconfirmed: Annotated[int, msgspec.Meta(ge=1, le=20)] = 4
    """Most anchors that are in no block at the same time; each may spend the change of the one before it."""

    @property
    def secret_files(self) -> list[str]:
        # A node's own file, elsewhere, stays the node's.
        return [] if PurePath(self.password_file).is_absolute() else [self.password_file]
