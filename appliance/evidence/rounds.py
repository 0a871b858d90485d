"""One round of judgement over all files: each by its kind, with what an earlier round has shown of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from appliance.der import DerError
from appliance.errors import CinnabarError
from appliance.evidence import archives, cms, cosigning, logs, openings
from appliance.evidence.contents import signed_content
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, Refusal, SubIndication
from appliance.evidence.items import Earliest, Item, JudgedAlone, JudgedFiles, Shown, fingerprint
from appliance.evidence.openings import SignatureFacts
from appliance.evidence.recognise import Kind, recognise
from appliance.evidence.seals import JudgedSigner, WholeSeal, judge_signer
from appliance.evidence.stamps import JudgedStamp, judge_stamp, read_stamp
from appliance.evidence.strength import Use
from appliance.evidence.subjects import NamedBytes, Subject, matching
from appliance.evidence.trust import TrustBundle
from appliance.evidence_records import CompactBatch
from appliance.quoting import escape
from appliance.tree_hash import TreeHash

SUBJECTS_ONLY = frozenset((Kind.DOCUMENT, Kind.DIGEST))
_PROOFS = frozenset((Kind.LOG_PROOF, Kind.RECEIPT, Kind.CONTINUATION))
_LARGEST_ENTRY = 65_535  # C2SP tlog-tiles, entry bundles
_SECOND_US = 1_000_000
RECORDS_LEAN_ON = "sha256"
"""By it records name signatures, and audit exports what is in them, whatever the hash of the log's tree is."""
LOGS_LEAN_ON = (Use(RECORDS_LEAN_ON), Use("ed25519"))
"""Heads are signed and cosigned by keys of this kind."""


_Check = Callable[[bytes, Sequence[logs.Entry], TrustBundle], logs.Included | None]


@dataclass(frozen=True)
class Input:
    """A file or digest, and what kind it was recognised as."""

    index: int
    subject: Subject
    kind: Kind
    objects: list[bytes] = field(repr=False)
    anchored: tuple[AnchoredTime, ...] = ()
    """Of an opening: what ledgers are shown to hold its commitment, judged before."""


@dataclass(frozen=True)
class AnchoredTime:
    """A ledger shows that something existed no later than a time (microseconds)."""

    time_us: int
    by: str
    """Which, in words."""


@dataclass(frozen=True)
class _Entry:
    """What may stand in a log."""

    index: int
    content: logs.Entry
    signature: str | None = None
    """Fingerprint of the signature that a commitment binds; None for a file that stands in the log as it is."""


def _as_it_is(content: bytes, _: TreeHash) -> bytes:
    """A file that stands in a log is the same under every hash."""
    return content


def _proven_us(where: Earliest, item: Item, signature: bytes) -> int | None:
    shown = where.of(item.index, fingerprint(signature))
    return None if shown is None else shown.time_us


def _whole_us(where: Earliest, index: int) -> int | None:
    """When every byte of a file is shown to have existed."""
    shown = where.whole.get(index)
    return None if shown is None else shown.time_us


class Round:
    """Judges every input once. `trusted` and `outside`: what the round before showed, by anyone the bundle trusts, and
    by parties other than the box. `alone`: what neither needs nor gives help, judged before."""

    def __init__(
        self,
        inputs: Sequence[Input],
        context: Context,
        trusted: Earliest,
        outside: Earliest,
        alone: Mapping[int, JudgedAlone],
    ) -> None:
        self.inputs = inputs
        self.subjects = [one.subject for one in inputs]
        self.context = context
        self.trusted = trusted
        self.outside = outside
        self.alone = alone
        self.items = [Item(one.index, one.kind) for one in inputs]
        self.facts: list[SignatureFacts] = []

    def judge(self) -> list[Item]:
        """Stamps, seals and evidence records first, then proofs, then the openings that need them all."""
        self._each(Kind.STAMP, self._stamp)
        self._each(Kind.SEAL, self._seal)
        self._each(Kind.EVIDENCE_RECORD, self._evidence_record)
        entries = self._entries()
        self._each(Kind.LOG_PROOF, lambda item, encoded: self._proof(item, encoded, entries, logs.check_proof))
        self._each(Kind.RECEIPT, lambda item, encoded: self._proof(item, encoded, entries, logs.check_receipt))
        self._each(
            Kind.CONTINUATION, lambda item, encoded: self._proof(item, encoded, entries, logs.check_continuation)
        )
        self._each(Kind.OPENING, self._opening)
        self._alone()
        self._judge_missing()
        return self.items

    def _each(self, kind: Kind, judge: Callable[[Item, bytes], None]) -> None:
        for one in self.inputs:
            if one.kind is kind:
                self._guarded(self.items[one.index], kind.value, one.objects[0], judge)

    def _guarded(self, item: Item, title: str, encoded: bytes, judge: Callable[[Item, bytes], None]) -> None:
        try:
            judge(item, encoded)
        except (DerError, Refusal) as error:
            journal = Journal()
            if isinstance(error, Refusal):
                journal.add(error)
            else:
                journal.refuse("format", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
            item.parts.append((title, journal))

    def _cover(self, item: Item, journal: Journal, indexes: Sequence[int], *digests: str) -> None:
        """Note what it binds by a digest. Where that has ended, whoever wants finds another file of the same digest, so
        it binds only what is shown, by something else, to have existed before."""
        uses = [Use(name) for name in digests]
        for index in indexes:
            what = f"The digest of “{escape(self.subjects[index].name)}”"
            self.context.relied(_whole_us(self.trusted, index)).check(journal, what, uses)
        item.cover(indexes)

    def _lean(self, item: Item, journal: Journal, hashing: str = RECORDS_LEAN_ON) -> None:
        """Of what stands on a hash of a log or a record, and on signatures of heads, the witnesses' among them."""
        uses = [Use(hashing), Use("ed25519")]
        self.context.relied(_whole_us(self.trusted, item.index)).check(journal, "The log", uses)

    # --- stamps ------------------------------------------------------------------------------------------------------

    def _stamp(self, item: Item, encoded: bytes) -> None:
        stamp = read_stamp(encoded)
        proven_us = _proven_us(self.outside, item, stamp.signature)
        shown_us = _proven_us(self.trusted, item, stamp.signature)
        judged = judge_stamp(stamp, self.context, nonce=self.context.nonce, proven_us=proven_us, shown_us=shown_us)
        info, journal = stamp.info, judged.journal
        covered = [i for i in matching(self.subjects, info.digest_name, info.imprint) if i != item.index]
        for index in covered:
            journal.passed("imprint", f"“{escape(self.subjects[index].name)}” is, byte for byte, what was stamped.")
        if not covered:
            item.missing.append(journal)
        self._cover(item, journal, covered, info.digest_name)
        item.parts.append(("time-stamp token (RFC 3161)", journal))
        item.signatures.append(fingerprint(stamp.signature))
        signer = stamp.signed_data.signers[0]
        self.facts.append(
            SignatureFacts(
                item.index, signer.signature, signer.signed_bytes, info.digest_name, info.imprint, info.time_us, 1
            )
        )
        self._say(item, judged, covered)

    def _say(self, item: Item, judged: JudgedStamp, targets: Sequence[int], signature: str | None = None) -> None:
        """Enter the time that a stamp states, as claimed or as shown: of the targets, or of one signature in them."""
        info, authority = judged.stamp.info, judged.authority
        if authority is None:
            return
        by = f"a time-stamp by “{judged.name}”"
        if authority.party == "box":
            item.claimed.append((info.time_us, by))
        for target in targets:
            item.shown.append(Shown(target, info.latest_us, authority.time_class, by, signature))

    # --- seals -------------------------------------------------------------------------------------------------------

    def _seal(self, item: Item, encoded: bytes) -> None:
        signed_data = cms.read_signed_data(encoded)
        if not signed_data.signers:
            raise DerError("a seal without a signer")
        content = signed_content(signed_data, self.subjects)
        for number, signer in enumerate(signed_data.signers, 1):
            proven_us = _proven_us(self.trusted, item, signer.signature)
            whole = WholeSeal(_whole_us(self.trusted, item.index), _whole_us(self.outside, item.index))
            judged = judge_signer(self.context, signed_data, signer, content, self.subjects, proven_us, whole)
            self._add_signer(item, judged, f"signer {number} of {len(signed_data.signers)}")

    def _add_signer(self, item: Item, judged: JudgedSigner, which: str) -> None:
        item.parts.append((f"{which}: “{judged.name}”, {judged.level}", judged.journal))
        name, value = judged.content or (None, None)
        self.facts.append(
            SignatureFacts(item.index, judged.signature, judged.signed_bytes, name, value, judged.stated_us, _SECOND_US)
        )
        item.signatures.append(fingerprint(judged.signature))
        self._cover(item, judged.journal, judged.subjects, *([] if name is None else [name]))
        if judged.content_missing:
            item.missing.append(judged.journal)
        if judged.claimed_us is not None:
            item.claimed.append((judged.claimed_us, f"a seal by “{judged.name}”"))
        for stamp in judged.stamps:
            if stamp.indication is Indication.PASSED:
                self._say(item, stamp, [item.index], fingerprint(judged.signature))

    # --- evidence records --------------------------------------------------------------------------------------------

    def _evidence_record(self, item: Item, encoded: bytes) -> None:
        record = archives.read_evidence_record(encoded)
        journal = Journal()
        item.parts.append(("evidence record (RFC 4998)", journal))
        covered = [i for i in archives.covered_subjects(record, self.subjects) if i != item.index]
        for index in covered:
            journal.passed(
                "hash tree", f"“{escape(self.subjects[index].name)}” is, byte for byte, in the tree that was stamped."
            )
        if not covered:
            item.missing.append(journal)
        self._cover(item, journal, covered, record.chains[-1][0].algorithm.name)
        stamps = archives.judge_stamps(
            journal, record, self.context, lambda stamp: _proven_us(self.outside, item, stamp.signature),
            _whole_us(self.trusted, item.index),
        )  # fmt: skip
        journal.complete()
        for number, judged in enumerate(stamps):
            item.signatures.append(fingerprint(judged.stamp.signature))
            signer, info = judged.stamp.signed_data.signers[0], judged.stamp.info
            # A renewal also shows the document, but only the first token speaks about what the record says.
            self._say(item, judged, covered)
            if number == 0:
                self.facts.append(
                    SignatureFacts(
                        item.index, signer.signature, signer.signed_bytes, info.digest_name, info.imprint,
                        info.time_us, 1,
                    )
                )  # fmt: skip

    # --- logs --------------------------------------------------------------------------------------------------------

    def _entries(self) -> list[_Entry]:
        """What may stand in a log: the commitments of openings, and small files as they are."""
        entries: list[_Entry] = []
        for one in self.inputs:
            if one.kind is Kind.OPENING:
                try:
                    opening = openings.read_opening(one.objects[0])
                except Refusal:
                    continue
                entries.append(_Entry(one.index, opening.commitment, opening.record.signature_digest))
            elif isinstance(one.subject.source, NamedBytes) and len(one.subject.source.content) <= _LARGEST_ENTRY:
                content = one.subject.source.content
                entries.append(_Entry(one.index, partial(_as_it_is, content)))
        return entries

    def _proof(
        self,
        item: Item,
        encoded: bytes,
        entries: Sequence[_Entry],
        check: _Check,
    ) -> None:
        journal = Journal()
        item.parts.append((item.kind.value, journal))
        others = [entry for entry in entries if entry.index != item.index]
        try:
            included = check(encoded, [entry.content for entry in others], self.context.trust)
        except Refusal as refusal:
            journal.add(refusal)
            return
        if included is None:
            item.missing.append(journal)
            return
        entry = others[included.entry]
        journal.passed("inclusion", f"“{escape(self.subjects[entry.index].name)}”: {included.text}")
        self._lean(item, journal, included.hashing.name)
        if entry.signature is None:
            self._cover(item, journal, [entry.index], included.hashing.name)
        else:
            item.bind(entry.index, entry.signature)
        self._witness(item, journal, entry, included)
        journal.complete()

    def _witness(
        self, item: Item, journal: Journal, entry: _Entry, included: logs.Included, *, needed: bool = True
    ) -> None:
        """`needed`: whether the record depends on the policy of the log that it was found in."""
        cosigned = included.cosigned
        if cosigned.shown is not None and cosigned.shown[0] > self.context.now_us + _SECOND_US:
            journal.note("witnesses", "The cosignatures state a time that is still to come, so they show none.")
            cosigned = replace(cosigned, shown=None)
        cosigning.tell(journal, cosigned, needed=needed)
        if cosigned.shown is not None:
            time_us, names = cosigned.shown
            item.shown.append(Shown(entry.index, time_us, "witness", names, entry.signature))

    def _opening(self, item: Item, encoded: bytes) -> None:
        opening = openings.read_opening(encoded)
        journal = Journal()
        item.parts.append(("record", journal))
        openings.describe(journal, opening)
        self._lean(item, journal)
        item.signatures.append(opening.record.signature_digest)
        self._find_in_log(item, journal, opening)
        self._find_in_box_log(item, journal, opening)
        for held in self.inputs[item.index].anchored:
            item.shown.append(Shown(item.index, held.time_us, "ledger", held.by, opening.record.signature_digest))
        own = {one.index for one in self.facts}
        if opening.artifact is not None and not openings.find(opening, self.facts):
            self._artifact(item, opening.artifact)
        found = openings.compare(journal, opening, self.facts)
        self.facts = [one for one in self.facts if one.index in own]
        for one in found:
            item.bind(one.index, opening.record.signature_digest)
        covered = matching(self.subjects, opening.record.content_hash, bytes.fromhex(opening.record.content_digest))
        self._cover(item, journal, covered, opening.record.content_hash)
        journal.complete()
        if journal.indication is Indication.PASSED:
            item.claimed.append((opening.record.time, "the record"))

    def _artifact(self, item: Item, artifact: bytes) -> None:
        """Judge the stamp or seal that lies in the opening, as if it were a file."""
        kind, _ = recognise(NamedBytes("artifact", artifact))
        judges = {Kind.STAMP: self._stamp, Kind.SEAL: self._seal}
        if kind not in judges:
            try:
                kind, artifact = self._of_batch(CompactBatch.decode(artifact))
            except CinnabarError:
                return  # nothing that could be checked; the report says that the signature is missing
        judge = judges.get(kind, self._evidence_record)
        self._guarded(item, f"{kind.value} in the record", artifact, judge)

    def _of_batch(self, batch: CompactBatch) -> tuple[Kind, bytes]:
        """What a batch says of the files given: the evidence record of the first of its items, or the token alone."""
        tree = batch.tree
        leaves = {tree.leaf(index): index for index in range(tree.count)}
        for subject in self.subjects:
            found = leaves.get(subject.digest(tree.algorithm.name) or b"")
            if found is not None:
                return Kind.EVIDENCE_RECORD, batch.evidence_record(found)
        return Kind.STAMP, batch.token

    def _find_in_box_log(self, item: Item, journal: Journal, opening: openings.Opening) -> None:
        """The record under the box's own log, which any anchor or witness of that log then shows too."""
        proof = opening.box_proof
        if proof is None:
            return
        try:
            included = logs.check_box_proof(
                proof.opening, logs.LeafProof(proof.tlog_proof, self.context.trust), proof.index, proof.path,
                opening.commitment, None if opening.tlog_proof is None else logs.place_of(opening.tlog_proof),
            )  # fmt: skip
        except Refusal as refusal:
            if refusal.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND:
                journal.note("box log", f"Not looked at. {refusal.text}")  # the record's own log is what must be known
            else:
                journal.refuse("box log", refusal.sub_indication, refusal.text)
            return
        journal.passed("box log", included.text)
        entry = _Entry(item.index, opening.commitment, opening.record.signature_digest)
        self._witness(item, journal, entry, included, needed=False)

    def _find_in_log(self, item: Item, journal: Journal, opening: openings.Opening) -> None:
        if opening.tlog_proof is not None or opening.continuation is not None:
            if opening.tlog_proof is not None:
                # How the log goes on stands without the hash of the log as it was.
                leaning = opening.continuation is None
                self._find(item, journal, opening, opening.tlog_proof, logs.check_proof, leaning=leaning)
            if opening.continuation is not None:
                self._find(item, journal, opening, opening.continuation, logs.check_continuation)
        elif any(
            other.kind in _PROOFS and item.index in other.speaks_about and other.indication is Indication.PASSED
            for other in self.items
        ):
            journal.passed("inclusion", "Another of the files given proves that the record stands in the log.")
        else:
            journal.refuse(
                "inclusion", SubIndication.NO_POE, "Nothing given proves that the record stands in a trusted log."
            )

    def _find(
        self,
        item: Item,
        journal: Journal,
        opening: openings.Opening,
        encoded: bytes,
        check: _Check,
        *,
        leaning: bool = True,
    ) -> None:
        """Find the record by what its opening brings. `leaning`: on the hash of the log in which that finds it."""
        try:
            included = check(encoded, [opening.commitment], self.context.trust)
        except Refusal as refusal:
            journal.add(refusal)
            return
        if included is None:
            journal.refuse(
                "inclusion", SubIndication.HASH_FAILURE, "The proof does not lead from this record to the log."
            )
            return
        journal.passed("inclusion", included.text)
        if leaning and included.hashing.name != RECORDS_LEAN_ON:
            self._lean(item, journal, included.hashing.name)
        entry = _Entry(item.index, opening.commitment, opening.record.signature_digest)
        self._witness(item, journal, entry, included)

    def _alone(self) -> None:
        for index, judged in self.alone.items():
            item = self.items[index]
            item.parts += judged.parts
            if not isinstance(judged, JudgedFiles):
                leaning = Journal()
                self._lean(item, leaning)
                leaning.complete()
                item.parts += [("log", leaning)] if leaning.checks else []
            if judged.table is not None:
                item.cover(matching(self.subjects, "sha256", bytes.fromhex(judged.table)))
            if judged.missing is not None:
                journal = Journal()
                item.parts.append((judged.missing, journal))
                item.missing.append(journal)
            if judged.claimed_us is not None:
                item.claimed.append((judged.claimed_us, judged.claimed_by))
            if isinstance(judged, JudgedFiles):
                self._files(item, judged)

    def _files(self, item: Item, judged: JudgedFiles) -> None:
        """What a container's seals cover, where it is among the files as well; and when all of it existed."""
        item.cover([n for n, one in enumerate(self.subjects) if (one.digest("sha256") or b"").hex() in judged.digests])
        if judged.shown is not None:
            time_us, time_class, by = judged.shown
            item.shown.append(Shown(item.index, time_us, time_class, by))

    # --- what is about nothing that was given ------------------------------------------------------------------------

    def _judge_missing(self) -> None:
        """A detached object without its document: refuted if a document was given that nothing else speaks about."""
        covered = {index for item in self.items for index in item.covers}
        unclaimed = [item for item in self.items if item.kind in SUBJECTS_ONLY and item.index not in covered]
        for item in self.items:
            for journal in item.missing:
                if unclaimed:
                    journal.refuse(
                        "content",
                        SubIndication.HASH_FAILURE,
                        "None of the files given is the one that this speaks about.",
                    )
                else:
                    journal.refuse(
                        "content",
                        SubIndication.SIGNED_DATA_NOT_FOUND,
                        "What this speaks about is not among the files given.",
                    )
