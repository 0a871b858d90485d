"""The transaction of a chain of the Bitcoin family: coins of the account in, the commitment and the change out.

Nothing else can be asked for. The amount of a single coin is the anchorer's word: the digest commits to it, so a wrong
one makes a transaction that no node takes (BIP 143). Where several are spent, each signature commits to the amount of
its own coin only, and two requests that lie about another coin each would give, put together, a transaction that pays
a whole coin as its fee (CVE-2020-14199). So several coins come with the transactions that made them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from appliance.anchors.bitcoin.anchor_transaction import MOST_COINS, Coin, anchor_transaction
from appliance.anchors.bitcoin.encoding import from_shown, shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.scripts import payment_script
from appliance.anchors.bitcoin.signing import signature_digest, signed
from appliance.anchors.bitcoin.transaction import OutPoint, Transaction, parse_transaction
from appliance.box.ledgers.bitcoin import BitcoinLedgerSettings
from appliance.log.ledgers.request import CheckedCheckpoint, RequestCommon, RequestRefused

MAKER_BYTES: Final = 100_000
"""Largest transaction without its witnesses that nodes relay."""
_Amount = Annotated[int, msgspec.Meta(ge=1, le=2_100_000_000_000_000)]


class BitcoinCoin(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An output of the account that is to be spent."""

    txid: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
    """As it is shown."""
    index: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]
    amount: _Amount
    """In the chain's smallest unit."""
    made_by: Annotated[bytes, msgspec.Meta(max_length=MAKER_BYTES)] = b""
    """The transaction that made it, without its witnesses: it shows the amount where several coins are spent."""


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
        if len(request.coins) > 1:
            for one in request.coins:
                _check_amount(one, public_key)
        coins = [Coin(OutPoint(from_shown(one.txid), one.index), one.amount) for one in request.coins]
        if sum(coin.amount for coin in coins) - request.fee < settings.least_change:
            raise RequestRefused(f"it leaves less change than the {settings.least_change} of the settings")
        try:
            made = anchor_transaction(coins, checkpoint.commitment, public_key, request.fee)
        except MalformedBitcoin as error:
            raise RequestRefused(str(error)) from None
        digests = [signature_digest(made, at, public_key, coin.amount) for at, coin in enumerate(coins)]
        return UnsignedAnchor(made, public_key, digests)


def _check_amount(coin: BitcoinCoin, public_key: bytes) -> None:
    """Raises RequestRefused unless the transaction that made the coin pays so much to the account."""
    try:
        maker = parse_transaction(coin.made_by)
    except MalformedBitcoin as error:
        raise RequestRefused(f"several coins are spent, and what made {coin.txid} is not shown: {error}") from None
    output = maker.outputs[coin.index] if coin.index < len(maker.outputs) else None
    if shown(maker.txid) != coin.txid or output is None:
        raise RequestRefused(f"what is shown did not make the coin {coin.txid}:{coin.index}")
    if output.amount != coin.amount or output.script != payment_script(public_key):
        raise RequestRefused(f"the coin {coin.txid}:{coin.index} is another's, or not of {coin.amount}")
