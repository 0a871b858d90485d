"""The receipt of an anchor: a checkpoint, the ledger that holds its commitment, and the ledger's proof of that."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

from appliance.anchors import canonical
from appliance.anchors.judgement import AnchorRefused, Reason
from appliance.anchors.profile import LedgerName, LedgerType

RECEIPT_BYTES: Final = 4 * 1024 * 1024
"""Largest receipt."""
CHECKPOINT_CHARACTERS: Final = 65_536


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A receipt as it is kept and handed out: canonical JSON (RFC 8785)."""

    checkpoint: Annotated[str, msgspec.Meta(max_length=CHECKPOINT_CHARACTERS)]
    """The signed note of the checkpoint, of the box's log, that was anchored."""
    format: Literal["cinnabar-anchor-receipt/1"] = "cinnabar-anchor-receipt/1"
    ledger: LedgerName
    """As the box's settings and the profile call it."""
    proof: msgspec.Raw
    """A JSON object; what is in it is the type's own, whose reader also holds it to its canonical form."""
    type: LedgerType


def read_receipt(encoded: bytes) -> Receipt:
    """A receipt; nothing in it is believed yet. Raises AnchorRefused (MALFORMED)."""
    try:
        receipt = canonical.decode(encoded, Receipt, RECEIPT_BYTES)
    except canonical.NotCanonical as error:
        raise AnchorRefused(Reason.MALFORMED, f"no anchor receipt: {error}") from None
    if not bytes(receipt.proof).startswith(b"{"):
        raise AnchorRefused(Reason.MALFORMED, "the receipt's proof is no JSON object")
    return receipt


def write_receipt(receipt: Receipt) -> bytes:
    """A receipt's canonical bytes. Raises AnchorRefused for one that could not be read again."""
    encoded = canonical.encode(receipt)
    read_receipt(encoded)
    return encoded
