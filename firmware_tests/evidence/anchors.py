"""A box's own log in software over letters of `letters`, and anchors of its heads by another authority's stamps."""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import msgspec

from appliance.anchors import LedgerProfile, Receipt, canonical, commitment_of, write_receipt
from appliance.anchors.rfc3161 import write_proof
from appliance.anchors.rfc3161.judge import Rules, TrustedAuthority
from appliance.asic import EventFiles
from appliance.asic.anchor import AnchoredRecord, write_anchor
from appliance.asic.chain import follow_line
from appliance.evidence import LogEntry, TrustBundle
from appliance.evidence.bundle import LedgerEntry, TimeRules
from appliance.letters.event import read_event
from appliance.log import TlogProof, inclusion_proof, leaf_hash, parse_note, root, subtree_reader
from appliance.log.box_leaf import TenantStatement, make_box_leaf
from appliance.record import commitment
from firmware_tests.evidence.letters import surroundings
from firmware_tests.evidence.logs import Log
from firmware_tests.evidence.material import POLICY, T0, Holder, World, certify, crl, microseconds, time_stamper, token
from firmware_tests.evidence.test_logs import ORIGIN

Receipts: TypeAlias = Callable[[bytes], bytes]
"""What makes a receipt of a signed head."""
BOX_ORIGIN = "box.rehearsal.example/log"
LEDGER = "outside"
STAMPED = T0 + timedelta(hours=2)
CA = certify("Ledger CA", ca=True)
UNIT = time_stamper("Ledger unit", CA)


@functools.cache
def box_log() -> Log:
    return Log(BOX_ORIGIN)


def rules(ca: Holder = CA) -> Rules:
    return Rules(authorities=[TrustedAuthority(certificate=base64.b64encode(ca.der).decode(), policies=[POLICY])])


def profile(name: str = LEDGER, ca: Holder = CA, tolerance_s: int = 0) -> LedgerProfile:
    encoded = msgspec.Raw(canonical.encode(rules(ca)))
    return LedgerProfile(name=name, rules=encoded, tolerance_s=tolerance_s, type="rfc3161")


def entry(one: LedgerProfile) -> LedgerEntry:
    return LedgerEntry(name=one.name, rules=msgspec.json.decode(one.rules), tolerance_s=one.tolerance_s, type=one.type)


def anchored_world() -> World:
    """The letters' world, whose bundle names the box's log too."""
    world, _ = surroundings()
    logs = (*world.logs, LogEntry(origin=BOX_ORIGIN, key=str(box_log().verifier)))
    return replace(world, logs=logs, time=TimeRules(accepted=["tsa", "ledger"]))


def trust(*profiles: LedgerProfile) -> TrustBundle:
    return anchored_world().trust(ledgers=[entry(one) for one in profiles or (profile(),)])


def receipt(note: bytes, when: datetime = STAMPED, ledger: str = LEDGER, unit: Holder = UNIT, ca: Holder = CA) -> bytes:
    text = parse_note(note).text
    stamp = token(unit, text, when)
    proof = write_proof(stamp, [], [crl(ca)])
    made = Receipt(checkpoint=note.decode(), ledger=ledger, proof=proof, type="rfc3161")
    return write_receipt(made)


def anchor_of(
    chain: Sequence[EventFiles], letter: str | None = None, *, of: bytes | Receipts | None = None, origin: str = ORIGIN,
    tails: Sequence[str] | None = None, entries_before: Sequence[bytes] | None = None, **stamping: Any,
) -> tuple[str, int, bytes]:  # fmt: skip
    """As Extras take it. `of`: another receipt than the head's own stamp, or what makes one of the head;
    `entries_before`: what the tenant's log has before the letter, where that is another history than the one of the
    letter's proofs."""
    _, tenant = surroundings()
    events = [read_event(one.artifact.event) for one in chain]
    line = follow_line(events, letter or events[-1].letter)
    commitments = [commitment(one.opened.salt, one.opened.record) for one in chain]
    before = tenant.entries if entries_before is None else entries_before
    hashes = [leaf_hash(one) for one in [*before, *commitments]]
    read, size = subtree_reader(hashes), len(hashes)
    statement = TenantStatement(origin=origin, previous="00" * 32, root=root(hashes).hex(), size=size)
    leaf = make_box_leaf({"bank": statement}, microseconds(T0 + timedelta(hours=1)))
    log = box_log()
    entries = [*log.entries, leaf.leaf.entry()]
    path = inclusion_proof(5, 6, subtree_reader([leaf_hash(one) for one in entries]))
    note = log.checkpoint(entries, [])
    records = {
        step.tail: AnchoredRecord(
            index=len(before) + place,
            hashes=[one.hex() for one in inclusion_proof(len(before) + place, size, read)],
        )
        for place, step in enumerate(line.steps)
    }
    if tails is not None:
        records = {tail: next(iter(records.values())) for tail in tails}
    proof = TlogProof(5, tuple(path), note).encode()
    ledger = stamping.get("ledger", LEDGER)
    held = of(note) if callable(of) else of or receipt(note, **stamping)
    return ledger, 6, write_anchor(leaf.openings["bank"].encode(), proof, records, held)


__all__ = ["BOX_ORIGIN", "CA", "LEDGER", "STAMPED", "UNIT", "anchor_of", "commitment_of", "profile", "receipt", "trust"]
