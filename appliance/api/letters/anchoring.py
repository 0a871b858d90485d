"""The anchors of a letter: of each ledger the first final one that covers its newest event.

They are the same each time: which anchor is the first does not change once there is one. Where the anchorer does not
answer, a file has none, and is refreshed later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from appliance.anchorer.asking import AnchorerAsking
from appliance.anchorer.client import AnchorerUnavailable
from appliance.anchorer.views import AnchorView
from appliance.anchors import AnchorRefused, read_receipt
from appliance.asic import EventFiles
from appliance.asic.anchor import AnchoredRecord, write_anchor
from appliance.asic.chain import follow_line
from appliance.errors import CinnabarError
from appliance.letters.event import read_event
from appliance.log import BoxProofs, MalformedNote, NotYetIncluded
from appliance.log.box_proofs import OpenedLeaf
from appliance.log.checkpoint import open_checkpoint
from appliance.log.errors import SignatureInvalid
from appliance.log.keys import read_log_keys
from appliance.log.lines import Line, LineLog

log = structlog.get_logger("api")


@dataclass(frozen=True)
class CoveringReceipt:
    """A receipt about a head that the box's log signed."""

    ledger: str
    size: int
    """Leaves under the head."""
    note: bytes
    """The signed checkpoint."""
    encoded: bytes
    """The receipt."""


@dataclass(frozen=True)
class AnchorSource:
    """Where anchors of the box's log are found."""

    box: Line
    """The box's own logs."""
    anchorer: AnchorerAsking

    async def covering(self, box: LineLog, size: int) -> list[CoveringReceipt]:
        """Receipts of heads of this log of the box, one a ledger at most; none where the anchorer does not answer."""
        try:
            found = await self.anchorer.ask(lambda client: client.covering(size, box.origin))
        except AnchorerUnavailable:
            return []
        except CinnabarError as error:  # whatever it answers, the file is made
            log.error("receipts-not-used", error=f"{type(error).__name__}: {error}")
            return []
        return await asyncio.to_thread(_checked, box, found)


def _checked(box: LineLog, found: Sequence[tuple[AnchorView, bytes]]) -> list[CoveringReceipt]:
    """Those that are about a head of this log: what the anchorer says, it may say wrongly."""
    keys = read_log_keys(box.reader.directory)
    receipts: dict[str, CoveringReceipt] = {}
    for anchor, encoded in found:
        try:
            receipt = read_receipt(encoded)
            note = receipt.checkpoint.encode()
            head = open_checkpoint(note, box.origin, keys)
        except (AnchorRefused, MalformedNote, SignatureInvalid) as error:
            log.error("receipt-not-used", ledger=anchor.ledger, number=anchor.number, error=type(error).__name__)
        else:
            receipts.setdefault(receipt.ledger, CoveringReceipt(receipt.ledger, head.size, note, encoded))
    return list(receipts.values())


@dataclass(frozen=True)
class _Places:
    """Where the events of a letter stand."""

    log: LineLog
    """That of the tenant."""
    box: LineLog
    """That of the box beside it."""
    leaf: OpenedLeaf
    """The box leaf that covers the newest."""
    events: Mapping[str, tuple[int | None, EventFiles]]
    """Index in the tenant's log, by the event's tail."""


async def letter_anchors(
    source: AnchorSource, tenant: str, line: Line, chain: Sequence[EventFiles], letter: str
) -> list[tuple[str, int, bytes]]:
    """Ledger, size of the anchored head, and the anchor, of each ledger that has one. Raises LogDamaged."""
    places = await asyncio.to_thread(_places, source.box, tenant, line, chain, letter)
    receipts = [] if places is None else await source.covering(places.box, places.leaf.index + 1)
    if places is None or not receipts:
        return []
    return await asyncio.to_thread(_anchors, places, receipts)


def _places(own: Line, tenant: str, line: Line, chain: Sequence[EventFiles], letter: str) -> _Places | None:
    logs = {one.opened.log for one in chain}
    log = next((one for one in line.logs if {one.origin} == logs), None)
    box = None if log is None else own.beside(line, log)
    if log is None or box is None:
        return None  # its events stand in several logs: no one leaf of the box's covers them all
    path = follow_line([read_event(one.artifact.event) for one in chain], letter)
    events = {step.tail: (one.opened.index, one) for step, one in zip(path.steps, chain, strict=True)}
    newest = max(index for index, _ in events.values() if index is not None)
    leaf = BoxProofs(box.reader).covering(tenant, log.origin, newest)
    return None if leaf is None else _Places(log, box, leaf, events)


def _anchors(places: _Places, receipts: Sequence[CoveringReceipt]) -> list[tuple[str, int, bytes]]:
    leaf, box = places.leaf, places.box
    root = bytes.fromhex(leaf.statement.root)
    records = {
        tail: AnchoredRecord(
            index=index or 0,
            hashes=[
                one.hex()
                for one in places.log.reader.audit_path(index or 0, leaf.statement.size, root, files.opened.commitment)
            ],
        )
        for tail, (index, files) in places.events.items()
    }
    found: list[tuple[str, int, bytes]] = []
    for one in receipts:
        with contextlib.suppress(NotYetIncluded):
            entry = leaf.opening.leaf.entry(box.era.hashing)
            proof = box.reader.tlog_proof(leaf.index, entry=entry, note=one.note)
            found.append((one.ledger, one.size, write_anchor(leaf.opening.encode(), proof, records, one.encoded)))
    return found
