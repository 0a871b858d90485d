"""Proofs that an entry stands in a log: C2SP .tlog-proof files and COSE receipts (RFC 9942), under trusted log keys.

Continuations lead an entry of a log that was renewed to the log that succeeds it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.evidence.certificates import spoken
from appliance.evidence.cosigning import Cosigned, judge_cosignatures
from appliance.evidence.findings import Refusal, SubIndication
from appliance.evidence.trust import TrustBundle
from appliance.log.box_proofs import verify_box_proof
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import MalformedNote, MalformedProof, ProofInvalid, SignatureInvalid
from appliance.log.note import Note, parse_note
from appliance.log.proofs import TlogProof, verify_tlog_proof
from appliance.log.receipts import parse_receipt, verify_receipt
from appliance.log.successor import Continuation, ContinuationStep, follow, verify_continuation
from appliance.quoting import quote
from appliance.tree_hash import TreeHash, hash_of

Entry = Callable[[TreeHash], bytes]
"""What may stand in a log: a commitment is another one under each hash, a file is the same under all."""


@dataclass(frozen=True)
class Included:
    """An entry was found in a log."""

    entry: int
    """Which of the candidates it is."""
    text: str
    """What was shown, in words."""
    cosigned: Cosigned
    """What the witnesses under its head come to."""
    hashing: TreeHash
    """Of the log whose head shows it."""


def check_proof(encoded: bytes, entries: Sequence[Entry], trust: TrustBundle) -> Included | None:
    """Check a .tlog-proof for one of the entries; None if it is sound but of another entry. Raises Refusal."""
    try:
        proof = TlogProof.parse(encoded)
        note = parse_note(proof.checkpoint)
        origin = Checkpoint.parse(note.text).origin
    except (MalformedNote, MalformedProof) as error:
        raise _malformed(str(error)) from None
    keys = trust.logs.get(origin)
    if keys is None:
        raise Refusal(
            "log", SubIndication.NO_CERTIFICATE_CHAIN_FOUND, f"The trust bundle does not name the log {quote(origin)}."
        )
    for number, entry in enumerate(entries):
        try:
            checkpoint = verify_tlog_proof(proof, entry(hash_of(origin)), origin, keys)
        except ProofInvalid:
            continue
        except SignatureInvalid as error:
            raise _not_signed(str(error)) from None
        except MalformedNote as error:
            raise _malformed(str(error)) from None
        text = (
            f"Entry {proof.index} of the log {quote(origin)}, under its signed head of {checkpoint.size} entries: "
            "the log cannot drop or change it without contradicting its own signature."
        )
        return Included(number, text, judge_cosignatures(note, origin, checkpoint.size, trust), hash_of(origin))
    return None


@dataclass(frozen=True)
class Place:
    """Where a log proof says that an entry stands, and under which head."""

    origin: str
    index: int
    size: int = 0
    """0: under no head in particular."""
    root: bytes = b""


def place_of(tlog_proof: bytes) -> Place | None:
    """What a proof says; whether it holds is judged elsewhere. None where it cannot be read."""
    try:
        proof = TlogProof.parse(tlog_proof)
        head = Checkpoint.parse(parse_note(proof.checkpoint).text)
    except (MalformedNote, MalformedProof):
        return None
    return Place(head.origin, proof.index, head.size, head.root)


class LeafProof:
    """That a leaf stands in the box's own log, under one head: looked at once, however many records are led to it."""

    def __init__(self, tlog_proof: bytes, trust: TrustBundle) -> None:
        self._tlog_proof, self._trust = tlog_proof, trust
        self._included: dict[bytes, Included | None] = {}

    @functools.cached_property
    def hashing(self) -> TreeHash:
        """Of the log that the proof names. Raises MalformedNote, MalformedProof."""
        return hash_of(Checkpoint.parse(parse_note(TlogProof.parse(self._tlog_proof).checkpoint).text).origin)

    def included(self, entry: bytes) -> Included | None:
        """As `check_proof` finds the leaf's entry. Raises Refusal."""
        if entry not in self._included:
            self._included[entry] = check_proof(self._tlog_proof, [lambda _: entry], self._trust)
        return self._included[entry]


def check_box_proof(
    opening: bytes, leaf: LeafProof, index: int, path: tuple[bytes, ...], entry: Entry, place: Place | None
) -> Included:
    """Check that the box's own log commits to a head of the tenant's log that holds the entry. `place`: where the
    entry's own log proof has it; else, or under another head of one size, the log has two histories. Raises Refusal."""
    try:
        shown = verify_box_proof(opening, index, path, entry, leaf.hashing)
    except (MalformedNote, MalformedProof) as error:
        raise _malformed(str(error)) from None
    except ProofInvalid:
        raise _not_led() from None
    found = leaf.included(shown.entry)
    if found is None:
        raise _not_led()
    statement = shown.statement
    _check_one_history(Place(statement.origin, index, statement.size, bytes.fromhex(statement.root)), place)
    text = (
        f"The box's own log commits to the log {quote(statement.origin)} of {statement.size} entries, this record "
        f"among them, as of {spoken(shown.time_us)} by the box's word. {found.text}"
    )
    return Included(0, text, found.cosigned, found.hashing)


@dataclass(frozen=True)
class Followed:
    """Where an entry of an ended log goes on."""

    origin: str
    """Of the log to which it was led."""
    entry: bytes
    """The first one of that log."""
    text: str
    """What was shown, in words."""


def check_steps(steps: Sequence[ContinuationStep], entry: Entry, trust: TrustBundle, place: Place | None) -> Followed:
    """Lead an entry of an ended log to the log of the last step, whose head is still to be shown. `place`: where the
    entry's own log proof has it. Raises Refusal."""
    origin = _ended_log(steps, trust)
    try:
        ended, first, last = follow(steps, entry(hash_of(origin)), origin, trust.logs, trust.succeeds)
    except ProofInvalid:
        raise _not_led() from None
    except SignatureInvalid as error:
        raise _not_signed(str(error)) from None
    except (MalformedNote, MalformedProof) as error:
        raise _malformed(str(error)) from None
    _check_one_history(Place(origin, steps[0].index, ended[0].size, ended[0].root), place)
    return Followed(last, first, f"{_went_on(steps[0].index, ended[0], last)}.")


def _ended_log(steps: Sequence[ContinuationStep], trust: TrustBundle) -> str:
    origin = trust.succeeds.get(steps[0].origin)
    if origin is None:
        raise Refusal(
            "log",
            SubIndication.NO_CERTIFICATE_CHAIN_FOUND,
            f"The trust bundle does not name {quote(steps[0].origin)} as a log that succeeds another one.",
        )
    return origin


def _went_on(index: int, ended: Checkpoint, origin: str) -> str:
    return (
        f"Entry {index} of the log {quote(ended.origin)}, which ended at {ended.size} entries: the log "
        f"{quote(origin)} succeeds it and commits to every entry of it under {hash_of(origin).name}"
    )


def _check_one_history(shown: Place, place: Place | None) -> None:
    """Raises Refusal where the file's other proofs, by which the record is at `place`, say otherwise."""
    if place is None:
        return
    if (shown.origin, shown.index) != (place.origin, place.index):
        has = "this record in another place"
    elif shown.size == place.size and shown.root != place.root:
        has = "another head of the same size"
    else:
        return
    raise Refusal(
        "box log", SubIndication.SIG_CONSTRAINTS_FAILURE,
        f"Contradiction: the tenant's log, as the box's own log commits to it, has {has} than the file's other proofs: "
        "it has two histories.",
    )  # fmt: skip


def _not_led() -> Refusal:
    return Refusal(
        "box log", SubIndication.HASH_FAILURE, "The box proof does not lead from this record to the box's own log."
    )


def check_receipt(encoded: bytes, entries: Sequence[Entry], trust: TrustBundle) -> Included | None:
    """Check a COSE receipt of inclusion for one of the entries; None if no entry fits. Raises Refusal."""
    try:
        receipt = parse_receipt(encoded)
    except MalformedProof as error:
        raise _malformed(str(error)) from None
    for number, entry in enumerate(entries):
        for origin, keys in trust.logs.items():
            try:
                # A receipt signs no origin: only the key's name says which log it is of (C2SP tlog-checkpoint).
                own = [key for key in keys if key.verifier.name == origin]
                verify_receipt(receipt, entry(hash_of(origin)), own, hash_of(origin))
            except (ProofInvalid, SignatureInvalid):
                continue
            text = f"Entry {receipt.index} of the log {quote(origin)}, under its signed root of {receipt.size} entries."
            # A receipt is of the log's root alone: no witness signs one.
            nobody = Note(Checkpoint(origin, receipt.size, b"").text(), ())
            cosigned = judge_cosignatures(nobody, origin, receipt.size, trust)
            return Included(number, text, cosigned, hash_of(origin))
    return None


def check_continuation(encoded: bytes, entries: Sequence[Entry], trust: TrustBundle) -> Included | None:
    """Check a continuation for one of the entries, of a log that the bundle says to have ended; None if it is sound but
    of another entry. Raises Refusal."""
    try:
        continuation = Continuation.parse(encoded)
    except MalformedProof as error:
        raise _malformed(str(error)) from None
    origin = _ended_log(continuation.steps, trust)
    for number, entry in enumerate(entries):
        try:
            found = verify_continuation(continuation, entry(hash_of(origin)), origin, trust.logs, trust.succeeds)
        except ProofInvalid:
            continue
        except SignatureInvalid as error:
            raise _not_signed(str(error)) from None
        except (MalformedNote, MalformedProof) as error:
            raise _malformed(str(error)) from None
        cosigned = judge_cosignatures(found.note, found.origin, found.head.size, trust)
        went_on = _went_on(found.index, found.ended[0], found.origin)
        text = f"{went_on}, under its signed head of {found.head.size} entries."
        return Included(number, text, cosigned, hash_of(found.origin))
    return None


def _malformed(text: str) -> Refusal:
    return Refusal("format", SubIndication.FORMAT_FAILURE, f"Malformed: {quote(text)}.")


def _not_signed(text: str) -> Refusal:
    return Refusal(
        "log",
        SubIndication.SIG_CRYPTO_FAILURE,
        f"No key of the log that the trust bundle names for this size has signed its head ({quote(text)}).",
    )
