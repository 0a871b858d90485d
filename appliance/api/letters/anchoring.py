"""The anchors of a letter: of each ledger the first final one that covers its newest event.

They are the same each time: which anchor is the first does not change once there is one. Where the anchorer does not
answer, a file has none, and is refreshed later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import structlog

from appliance.anchorer.asking import AnchorerAsking
from appliance.anchorer.client import AnchorerUnavailable
from appliance.anchorer.views import AnchorView
from appliance.anchors import AnchorRefused, read_receipt
from appliance.asic import EventFiles, OpenedRecord
from appliance.asic.anchor import AnchoredRecord, write_anchor
from appliance.asic.chain import follow_line
from appliance.errors import CinnabarError
from appliance.letters.event import read_event
from appliance.log import BoxProofs, MalformedNote, NotYetIncluded
from appliance.log.box_proofs import OpenedLeaf
from appliance.log.checkpoint import open_checkpoint
from appliance.log.errors import SignatureInvalid
from appliance.log.keys import read_log_keys
from appliance.log.lines import Line, LineLog, Placed

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
    """Where the events of a letter stand, as one log of the tenant and one box leaf have them."""

    line: Line
    """The tenant's logs."""
    log: LineLog
    """That of them which the leaf commits to."""
    box: LineLog
    """The box's beside it."""
    leaf: OpenedLeaf
    """The first that covers the newest event."""
    events: Mapping[str, EventFiles]
    """By their tails."""


async def letter_anchors(
    source: AnchorSource, tenant: str, line: Line, chain: Sequence[EventFiles], letter: str
) -> list[tuple[str, int, bytes]]:
    """Ledger, size of the anchored head, and the anchor, of each ledger that has one. Raises LogDamaged."""
    found: dict[str, tuple[str, int, bytes]] = {}
    # Where the logs were renewed: what was anchored while the newest event's own log went on, else what was since.
    for log in line.logs[max(_log_of(line, one.opened) for one in chain) :]:
        places = await asyncio.to_thread(_places, source.box, tenant, line, log, chain, letter)
        if places is None:
            continue
        receipts = await source.covering(places.box, places.leaf.index + 1)
        further = [one for one in receipts if one.ledger not in found]
        if further:
            found |= {one[0]: one for one in await asyncio.to_thread(_anchors, places, further)}
    return list(found.values())


def _log_of(line: Line, opened: OpenedRecord) -> int:
    return next(place for place, log in enumerate(line.logs) if log.origin == opened.log)


def _places(
    own: Line, tenant: str, line: Line, log: LineLog, chain: Sequence[EventFiles], letter: str
) -> _Places | None:
    box = own.beside(line, log)
    if box is None:
        return None
    path = follow_line([read_event(one.artifact.event) for one in chain], letter)
    events = {step.tail: one for step, one in zip(path.steps, chain, strict=True)}
    newest = max((one.opened.index or 0 for one in chain if one.opened.log == log.origin), default=0)
    leaf = BoxProofs(box.reader).covering(tenant, log.origin, newest)
    return None if leaf is None else _Places(line, log, box, leaf, events)


def _anchors(places: _Places, receipts: Sequence[CoveringReceipt]) -> list[tuple[str, int, bytes]]:
    leaf, box = places.leaf, places.box
    records = {tail: _record(places, one.opened) for tail, one in places.events.items()}
    found: list[tuple[str, int, bytes]] = []
    for one in receipts:
        with contextlib.suppress(NotYetIncluded):
            entry = leaf.opening.leaf.entry(box.era.hashing)
            proof = box.reader.tlog_proof(leaf.index, entry=entry, note=one.note)
            found.append((one.ledger, one.size, write_anchor(leaf.opening.encode(), proof, records, one.encoded)))
    return found


def _record(places: _Places, opened: OpenedRecord) -> AnchoredRecord:
    line, head = places.line, places.leaf.statement
    placed = Placed(line.logs[_log_of(line, opened)], opened.index or 0)
    steps, entry = line.steps(placed, opened.commitment, places.log)
    index = 0 if steps else placed.index
    path = places.log.reader.audit_path(index, head.size, bytes.fromhex(head.root), entry)
    return AnchoredRecord(continued=steps or msgspec.UNSET, hashes=[one.hex() for one in path], index=index)
