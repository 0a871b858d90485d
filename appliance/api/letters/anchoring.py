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
from appliance.log import BoxProofs, Checkpoint, NotYetIncluded, parse_note
from appliance.log.lines import Line


@dataclass(frozen=True)
class AnchorSource:
    """Where anchors of the box's log are found."""

    box: Line
    """The box's own logs."""
    socket: Path
    """The anchorer's."""

    def covering(self, size: int, origin: str) -> list[bytes]:
        """Receipts of heads of this log, one a ledger at most; none where the anchorer does not answer."""
        with contextlib.suppress(AnchorerUnavailable), AnchorerClient(self.socket) as client:
            return [receipt for _, receipt in client.covering(size, origin)]
        return []


async def letter_anchors(
    source: AnchorSource, tenant: str, line: Line, chain: Sequence[EventFiles], letter: str
) -> list[tuple[str, int, bytes]]:
    """Ledger, size of the anchored head, and the anchor, of each ledger that has one. Raises LogDamaged."""
    return await asyncio.to_thread(_letter_anchors, source, tenant, line, chain, letter)


def _letter_anchors(
    source: AnchorSource, tenant: str, line: Line, chain: Sequence[EventFiles], letter: str
) -> list[tuple[str, int, bytes]]:
    path = follow_line([read_event(one.artifact.event) for one in chain], letter)
    logs = {one.opened.log for one in chain}
    log = next((one for one in line.logs if {one.origin} == logs), None)
    box = None if log is None else source.box.beside(line, log)
    if log is None or box is None:
        return []  # its events stand in several logs: no one leaf of the box's covers them all
    places = {step.tail: (one.opened.index, one) for step, one in zip(path.steps, chain, strict=True)}
    newest = max(index for index, _ in places.values() if index is not None)
    leaf = BoxProofs(box.reader).covering(tenant, log.origin, newest)
    if leaf is None:
        return []
    root = bytes.fromhex(leaf.statement.root)
    records: dict[str, AnchoredRecord] = {}
    found: list[tuple[str, int, bytes]] = []
    for encoded in source.covering(leaf.index + 1, box.origin):
        if not records:
            records = {
                tail: AnchoredRecord(
                    index=index or 0,
                    hashes=[
                        one.hex()
                        for one in log.reader.audit_path(index or 0, leaf.statement.size, root, files.opened.commitment)
                    ],
                )
                for tail, (index, files) in places.items()
            }
        receipt = read_receipt(encoded)
        note = receipt.checkpoint.encode()
        with contextlib.suppress(NotYetIncluded):
            entry = leaf.opening.leaf.entry(box.era.hashing)
            proof = box.reader.tlog_proof(leaf.index, entry=entry, note=note)
            size = Checkpoint.parse(parse_note(note).text).size
            found.append((receipt.ledger, size, write_anchor(leaf.opening.encode(), proof, records, encoded)))
    return found
