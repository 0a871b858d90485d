"""The anchors of a letter: of each ledger the first final one that covers its newest event.

They are the same each time: which anchor is the first does not change once there is one. Where the anchorer does not
answer, a file has none, and is refreshed later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.anchorer.client import AnchorerClient, AnchorerUnavailable
from appliance.anchors import read_receipt
from appliance.asic import EventFiles
from appliance.asic.anchor import AnchoredRecord, write_anchor
from appliance.asic.chain import follow_line
from appliance.letters.event import read_event
from appliance.log import BoxProofs, Checkpoint, LogReader, NotYetIncluded, parse_note
from appliance.record import commitment


@dataclass(frozen=True)
class AnchorSource:
    """Where anchors of the box's log are found."""

    box: LogReader
    """The box's own log."""
    socket: Path
    """The anchorer's."""

    def covering(self, size: int) -> list[bytes]:
        """Receipts, one a ledger at most; none where the anchorer does not answer."""
        with contextlib.suppress(AnchorerUnavailable), AnchorerClient(self.socket) as client:
            return [receipt for _, receipt in client.covering(size)]
        return []


async def letter_anchors(
    source: AnchorSource, tenant: str, origin: str, log: LogReader, chain: Sequence[EventFiles], letter: str
) -> list[tuple[str, int, bytes]]:
    """Ledger, size of the anchored head, and the anchor, of each ledger that has one. Raises LogDamaged."""
    return await asyncio.to_thread(_letter_anchors, source, tenant, origin, log, chain, letter)


def _letter_anchors(
    source: AnchorSource, tenant: str, origin: str, log: LogReader, chain: Sequence[EventFiles], letter: str
) -> list[tuple[str, int, bytes]]:
    line = follow_line([read_event(one.artifact.event) for one in chain], letter)
    places = {step.tail: (one.opened.index, one) for step, one in zip(line.steps, chain, strict=True)}
    newest = max(index for index, _ in places.values() if index is not None)
    leaf = BoxProofs(source.box).covering(tenant, origin, newest)
    if leaf is None:
        return []
    root = bytes.fromhex(leaf.statement.root)
    records: dict[str, AnchoredRecord] = {}
    found: list[tuple[str, int, bytes]] = []
    for encoded in source.covering(leaf.index + 1):
        if not records:
            records = {
                tail: AnchoredRecord(
                    index=index or 0,
                    hashes=[
                        one.hex()
                        for one in log.audit_path(
                            index or 0, leaf.statement.size, root, commitment(files.opened.salt, files.opened.record)
                        )
                    ],
                )
                for tail, (index, files) in places.items()
            }
        receipt = read_receipt(encoded)
        note = receipt.checkpoint.encode()
        with contextlib.suppress(NotYetIncluded):
            proof = source.box.tlog_proof(leaf.index, entry=leaf.opening.leaf.entry(), note=note)
            size = Checkpoint.parse(parse_note(note).text).size
            found.append((receipt.ledger, size, write_anchor(leaf.opening.encode(), proof, records, encoded)))
    return found
