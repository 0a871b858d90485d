"""Anchors in a letter's evidence: from each event's record to a head of the box's log, and that head in a ledger.

What does not lead there, or is in another form, refutes the file. A receipt that a ledger's judge refuses leaves the
file undecided: nobody's seal covers the receipt, and it shows nothing. So does one that relies on an algorithm that
has ended, where no record over the file shows that it was there before. A ledger that the verifier does not know is
told, and counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from appliance.anchors import AnchorRefused, Judgement, Reason, Receipt, Strength, commitment_of, judge
from appliance.asic.anchor import AnchoredRecord, LetterAnchor, read_anchor
from appliance.asic.names import ANCHOR
from appliance.evidence.canonical import NotCanonical
from appliance.evidence.certificates import spoken
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, Refusal, SubIndication
from appliance.evidence.letters.facts import LedgerFact
from appliance.evidence.letters.layout import Layout, Sealed
from appliance.evidence.letters.renewals import Archived
from appliance.evidence.logs import Entry, LeafProof, Place, check_box_proof, check_steps, place_of
from appliance.evidence.openings import read_opening
from appliance.evidence.rounds import LOGS_LEAN_ON, AnchoredTime
from appliance.evidence.strength import Use
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import MalformedNote, MalformedProof
from appliance.log.note import parse_note
from appliance.log.proofs import TlogProof
from appliance.quoting import escape, quote
from appliance.tree_hash import TreeHash, hash_of

_ALTERED = {
    Reason.MALFORMED: SubIndication.FORMAT_FAILURE,
    Reason.OTHER_CHECKPOINT: SubIndication.HASH_FAILURE,
    Reason.OTHER_COMMITMENT: SubIndication.HASH_FAILURE,
}


@dataclass
class JudgedAnchors:
    """What the anchors of a file show."""

    parts: list[tuple[str, Journal]] = field(default_factory=list)
    facts: list[LedgerFact] = field(default_factory=list)
    times: dict[str, list[AnchoredTime]] = field(default_factory=dict)
    """By the tail of each event: when ledgers are proven to have held its record."""


def judge_anchors(layout: Layout, context: Context, archived: Archived) -> JudgedAnchors:
    """Every anchor in the file, each by itself. `archived`: what records over the file show of its entries."""
    judged = JudgedAnchors()
    entries = {sealed.tail: sealed for _, sealed in layout.events}
    for name, encoded in sorted(layout.anchors.items()):
        journal = Journal()
        judged.parts.append((f"anchor on {name.rpartition('-')[0]}", journal))
        try:
            anchor, receipt = read_anchor(encoded)
        except AnchorRefused as error:
            journal.refuse("anchor", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
            continue
        head = _head(anchor, journal)
        if head is None or not _is_named(name, receipt, head, journal):
            continue
        if not _leads(anchor, entries, context, journal):
            continue
        fact, judgement = _in_ledger(receipt, anchor, head, context, journal)
        shown = archived.trusted([f"{ANCHOR}{name}.json"])
        relied = context.relied(None if shown is None else shown.time_us)
        relied.check(journal, "The log", (*LOGS_LEAN_ON, Use(hash_of(head.origin).name)))
        if judgement is not None:
            relied.check(journal, "The ledger's receipt", [Use(*one) for one in judgement.relies_on])
        journal.complete()
        held = journal.indication is Indication.PASSED
        judged.facts.append(fact if held or judgement is None else _ended(fact))
        if held and judgement is not None and judgement.strength is Strength.PROVEN:
            by = f"the ledger {quote(receipt.ledger)}, {judgement.place}"
            for tail in anchor.records:
                judged.times.setdefault(tail, []).append(AnchoredTime(judgement.no_later_us, by))
    return judged


def _ended(fact: LedgerFact) -> LedgerFact:
    """A receipt that holds, by what anybody may be able to make by now."""
    reason = "ended_algorithm: nothing shows that it was there before what it relies on had ended"
    return msgspec.structs.replace(fact, strength="refused", time="", existed_no_later_than="", reason=reason)


def _head(anchor: LetterAnchor, journal: Journal) -> Checkpoint | None:
    try:
        return Checkpoint.parse(parse_note(TlogProof.parse(anchor.tlog_proof.encode()).checkpoint).text)
    except (MalformedNote, MalformedProof, UnicodeEncodeError) as error:
        journal.refuse("anchor", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
        return None


def _is_named(name: str, receipt: Receipt, head: Checkpoint, journal: Journal) -> bool:
    return journal.expect(
        name == f"{receipt.ledger}-{head.size}",
        "name",
        f"It is about the ledger {quote(receipt.ledger)} and a head of {head.size} entries, as its name says.",
        SubIndication.FORMAT_FAILURE,
        "Its name is of another ledger or head than what is in it.",
    )


def _leads(anchor: LetterAnchor, events: dict[str, Sealed], context: Context, journal: Journal) -> bool:
    """Whether every event's record leads to the head; what else it names, or lacks, refutes it."""
    if set(anchor.records) != set(events):
        journal.refuse("records", SubIndication.HASH_FAILURE, "It is about other events than those of this file.")
        return False
    leaf = LeafProof(anchor.tlog_proof.encode(), context.trust)
    for tail, place in sorted(anchor.records.items()):
        opening, proof = events[tail].opening, events[tail].proof
        try:
            if opening is None:
                raise Refusal("records", SubIndication.NO_POE, f"The record of event {tail} is not in the file.")
            shown = _shown(anchor, place, read_opening(opening).commitment, proof, leaf, context)
        except Refusal as refusal:
            journal.refuse("records", refusal.sub_indication, refusal.text)
            return False
        except (NotCanonical, UnicodeEncodeError):
            journal.refuse("records", SubIndication.FORMAT_FAILURE, "It is not text.")
            return False
        for text in shown:
            journal.passed("records", f"Event {tail}: {text}")
    return True


def _shown(
    anchor: LetterAnchor, record: AnchoredRecord, entry: Entry, proof: bytes | None, leaf: LeafProof, context: Context
) -> list[str]:
    """What leads a record to the head. `entry`: its commitment; `proof`: its own log proof; `leaf`: where all of them
    are led. Raises Refusal."""
    place, texts = None if proof is None else place_of(proof), []
    if record.continued:
        followed = check_steps(record.continued, entry, context.trust, place)
        place, texts = Place(followed.origin, 0), [followed.text]

        def entry(_: TreeHash) -> bytes:
            return followed.entry

    path = tuple(bytes.fromhex(one) for one in record.hashes)
    shown = check_box_proof(anchor.opening.encode(), leaf, record.index, path, entry, place)
    return [*texts, shown.text]


def _in_ledger(
    receipt: Receipt, anchor: LetterAnchor, head: Checkpoint, context: Context, journal: Journal
) -> tuple[LedgerFact, Judgement | None]:
    note = TlogProof.parse(anchor.tlog_proof.encode()).checkpoint
    fact = LedgerFact(
        ledger=receipt.ledger, type=receipt.type, strength="unknown", by="", place="", time="",
        existed_no_later_than="", size=head.size, reason="",
    )  # fmt: skip
    profile = context.ledgers.get(receipt.ledger)
    named = f"the ledger {quote(receipt.ledger)}"
    if profile is None:
        journal.note("ledger", f"Nothing is trusted of {named}: its receipt was not looked at.")
        return fact, None
    try:
        judgement = judge(receipt, commitment_of(note), profile, now_us=context.now_us, revocations=context.lists)
    except AnchorRefused as error:
        reason = f"{error.reason}: {error}"  # what it copied of the receipt is quoted
        journal.refuse("ledger", _sub_indication(error), f"The receipt of {named} is refused, {reason}.")
        return msgspec.structs.replace(fact, strength="refused", reason=reason), None
    by = str(judgement.by).replace("_", " ")
    words, no_later = f"{judgement.place}, at {spoken(judgement.time_us)}", ""
    if judgement.strength is Strength.PROVEN:
        no_later = spoken(judgement.no_later_us)
        words += f"; the head existed no later than {no_later}"
        journal.passed("ledger", f"It is proven that {named} holds the head ({by}): {words}.")
    else:
        words += "; this shows no time"
        journal.note("ledger", f"It is attested, not proven, that {named} holds the head ({by}): {words}.")
    for one in judgement.notes:
        journal.note("ledger", escape(one))
    fact = msgspec.structs.replace(
        fact, strength=str(judgement.strength), by=str(judgement.by), place=judgement.place,
        time=spoken(judgement.time_us), existed_no_later_than=no_later,
    )  # fmt: skip
    return fact, judgement


def _sub_indication(error: AnchorRefused) -> SubIndication:
    reason = error.reason
    return _ALTERED.get(reason, SubIndication.NO_POE) if isinstance(reason, Reason) else SubIndication.NO_POE
