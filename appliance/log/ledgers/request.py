"""What the desk is asked, and what it makes of it. Pure: the desk itself (appliance.log.ledger_desk) signs.

A request has fields and never bytes to be signed. A type's request:

    class EvmRequest(RequestCommon, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="evm"):
        nonce: int
        ...

    class EvmTransactions:                 # a TransactionMaker
        def make(self, request, checkpoint, settings, public_key) -> UnsignedTransaction: ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

import msgspec

from appliance.errors import Conflict
from appliance.log.checkpoint import Checkpoint


class RequestRefused(Conflict):
    """The desk does not sign what was asked: it is outside of what box.json allows, or about no head of this box's."""

    code = "ledger-request-refused"
    title = "The log follower does not sign this transaction"
    control = "RECORD"


class RequestCommon(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Of each request, whatever its type."""

    ledger: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """Name of a ledger of box.json, of the request's type."""
    checkpoint: Annotated[bytes, msgspec.Meta(max_length=65_536)]
    """Signed note of a head of the box's log: what its commitment is made of."""


@dataclass(frozen=True)
class CheckedCheckpoint:
    """A checkpoint that the desk has found to be signed by this box's own log."""

    checkpoint: Checkpoint
    commitment: bytes
    """32 bytes."""


class UnsignedTransaction(Protocol):
    """A transaction that keeps to every bound, before it is signed."""

    @property
    def digests(self) -> Sequence[bytes]:
        """What the account's key signs, 32 bytes each; one signature of the token for each."""

    def signed(self, signatures: Sequence[bytes]) -> bytes:
        """The raw transaction. `signatures`: 64 bytes each, r and s, big-endian, s in the lower half of the order."""


class TransactionMaker(Protocol):
    """Builds transactions of one type of ledger."""

    def make(
        self, request: Any, checkpoint: CheckedCheckpoint, settings: Any, public_key: bytes
    ) -> UnsignedTransaction:
        """The transaction, held to the bounds of the ledger's settings. `public_key`: of the account, compressed, 33
        bytes. Raises RequestRefused."""
