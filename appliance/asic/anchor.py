"""One anchor in a letter's evidence: from the record of each event to a head of the box's log that a ledger holds.

    record -> audit path -> tenant's head, in the opening -> box leaf -> head of the box's log -> receipt of the ledger

Canonical JSON, one entry an anchor. All events go by one box leaf, the first that covers the newest of them. Where the
tenant's log was renewed meanwhile, the record of an event from before goes through the successors to the first entry of
the log that the leaf commits to (appliance.log.successor).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import msgspec

from appliance.anchors import AnchorRefused, Reason, Receipt, read_receipt
from appliance.anchors.canonical import NotCanonical, Number, decode, encode
from appliance.anchors.receipt import RECEIPT_BYTES
from appliance.asic.container import read_container, write_container
from appliance.asic.errors import EvidenceNotBuildable
from appliance.asic.names import MIMETYPE
from appliance.log.successor import MOST_STEPS, ContinuationStep

ANCHOR_BYTES: Final = RECEIPT_BYTES + 32 * 1024 * 1024
"""Of a letter with 4,096 events the paths are 5 MiB in a log of 10^6 records, and 27 where that was renewed."""
MOST_ANCHORS: Final = 32
"""In one evidence file."""
MOST_HASHES: Final = 64
TreeHex = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64}){1,2}\Z")]
"""A hash of a log's tree."""
_Steps = Annotated[list[ContinuationStep], msgspec.Meta(min_length=1, max_length=MOST_STEPS)]
_OPENING_CHARACTERS: Final = 65_536
_PROOF_CHARACTERS: Final = 131_072
"""A note with 64 signatures and a path of 63 hashes are below 30,000."""


class AnchoredRecord(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an event's record stands under the tenant's head."""

    continued: _Steps | msgspec.UnsetType = msgspec.UNSET
    """Of a record in a log that ended before: how it goes on to the log of that head, whose first entry `index` (0) and
    `hashes` are then of."""
    hashes: Annotated[list[TreeHex], msgspec.Meta(max_length=MOST_HASHES)]
    """Its audit path, leaf's sibling first (RFC 6962, section 2.1.1)."""
    index: Number
    """Of its leaf in the tenant's log."""


class LetterAnchor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """META-INF/anchor-LEDGER-SIZE.json."""

    format: Literal["cinnabar-letter-anchor/1"] = "cinnabar-letter-anchor/1"
    opening: Annotated[str, msgspec.Meta(max_length=_OPENING_CHARACTERS)]
    """The tenant's opening of a box leaf (docs/log.md), as the box hands it out."""
    receipt: msgspec.Raw
    """The ledger's receipt of the head in `tlog_proof` (docs/anchors.md)."""
    records: dict[str, AnchoredRecord]
    """By the tail of each event's names."""
    tlog_proof: Annotated[str, msgspec.Meta(max_length=_PROOF_CHARACTERS)]
    """Of the leaf, under the head that was anchored (C2SP tlog-proof)."""


def read_anchor(encoded: bytes) -> tuple[LetterAnchor, Receipt]:
    """An anchor and its receipt; nothing in it is believed yet. Raises AnchorRefused (MALFORMED)."""
    try:
        anchor = decode(encoded, LetterAnchor, ANCHOR_BYTES)
    except NotCanonical as error:
        raise AnchorRefused(Reason.MALFORMED, f"no anchor of a letter: {error}") from None
    if any(one.continued and one.index for one in anchor.records.values()):
        raise AnchorRefused(Reason.MALFORMED, "a successor is the first entry of its log")
    return anchor, read_receipt(bytes(anchor.receipt))


def with_anchors(container: bytes, anchors: Mapping[str, bytes]) -> tuple[bytes, list[str]]:
    """An evidence file with further anchors, by the names of their entries, and which of them it lacked. What stands in
    it stays as it is. Raises ContainerRefused, EvidenceNotBuildable."""
    entries = read_container(container)
    further = {name: content for name, content in sorted(anchors.items()) if name not in entries}
    there = [(name, content) for name, content in entries.items() if name != MIMETYPE]
    if not further:
        return container, []
    return write_container([*there, *further.items()]), list(further)


def write_anchor(opening: bytes, tlog_proof: bytes, records: dict[str, AnchoredRecord], receipt: bytes) -> bytes:
    """An anchor's canonical bytes. Raises EvidenceNotBuildable for one that could not be read again."""
    encoded = encode(
        LetterAnchor(
            opening=opening.decode(), receipt=msgspec.Raw(receipt), records=records, tlog_proof=tlog_proof.decode()
        )
    )
    try:
        read_anchor(encoded)
    except AnchorRefused as error:
        raise EvidenceNotBuildable(str(error)) from None
    return encoded
