"""The transaction of a chain of the Bitcoin family: coins of the account in, the commitment and the change out.

Nothing else can be asked for. A coin's amount is the anchorer's word: the digest commits to it, so a wrong one makes a
transaction that no node takes (BIP 143).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from appliance.anchors.bitcoin.anchor_transaction import MOST_COINS, Coin, anchor_transaction
from appliance.anchors.bitcoin.encoding import from_shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.signing import signature_digest, signed
from appliance.anchors.bitcoin.transaction import OutPoint, Transaction
from appliance.box.ledgers.bitcoin import BitcoinLedgerSettings
from appliance.log.ledgers.request import CheckedCheckpoint, RequestCommon, RequestRefused

_Amount = Annotated[int, msgspec.Meta(ge=1, le=2_100_000_000_000_000)]


class BitcoinCoin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An output of the account that is to be spent."""

    txid: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    """As it is shown."""
    index: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
    amount: _Amount
    """In the chain's smallest unit."""


class BitcoinRequest(RequestCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="bitcoin"):
    coins: Annotated[list[BitcoinCoin], msgspec.Meta(min_length=1, max_length=MOST_COINS)]
    fee: _Amount
    """All that the coins have above it comes back to the account."""


@dataclass(frozen=True)
class UnsignedAnchor:
    """An anchor that keeps to the bounds."""

    transaction: Transaction
    public_key: bytes
    digests: Sequence[bytes]

    def signed(self, signatures: Sequence[bytes]) -> bytes:
        return signed(self.transaction, self.public_key, signatures).encode()


class BitcoinTransactions:
    """The TransactionMaker of type bitcoin."""

    def make(
        self,
        request: BitcoinRequest,
        checkpoint: CheckedCheckpoint,
        settings: BitcoinLedgerSettings,
        public_key: bytes,
    ) -> UnsignedAnchor:
        """Raises RequestRefused."""
        if request.fee > settings.most_fee:
            raise RequestRefused(f"a fee of {request.fee}, above the {settings.most_fee} of the settings")
        coins = [Coin(OutPoint(from_shown(one.txid), one.index), one.amount) for one in request.coins]
        if sum(coin.amount for coin in coins) - request.fee < settings.least_change:
            raise RequestRefused(f"it leaves less change than the {settings.least_change} of the settings")
        try:
            made = anchor_transaction(coins, checkpoint.commitment, public_key, request.fee)
        except MalformedBitcoin as error:
            raise RequestRefused(str(error)) from None
        digests = [signature_digest(made, at, public_key, coin.amount) for at, coin in enumerate(coins)]
        return UnsignedAnchor(made, public_key, digests)
