"""Evidence records (RFC 4998): a hash tree from the document to a time-stamp, and its renewals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from appliance.evidence.certificates import spoken
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, Refusal, SubIndication
from appliance.evidence.stamps import JudgedStamp, Stamp, judge_stamp, read_stamp
from appliance.evidence.strength import Use
from appliance.evidence.subjects import Subject
from appliance.evidence_records import (
    ArchiveTimeStamp,
    EvidenceMismatch,
    EvidenceRecord,
    EvidenceRejected,
    parse_evidence_record,
    verify_hash_chain,
)
from appliance.quoting import escape


def read_evidence_record(encoded: bytes) -> EvidenceRecord:
    """Parse. Raises Refusal (FORMAT_FAILURE)."""
    try:
        return parse_evidence_record(encoded)
    except EvidenceRejected as error:
        raise Refusal("format", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.") from None


def covered_subjects(record: EvidenceRecord, subjects: Sequence[Subject]) -> list[int]:
    """Indexes of the subjects that the record's hash trees lead from."""
    names = {chain[0].algorithm.name for chain in record.chains if chain}
    found: list[int] = []
    for index, subject in enumerate(subjects):
        digests = {name: value for name in names if (value := subject.digest(name)) is not None}
        try:
            verify_hash_chain(record, digests)
        except EvidenceMismatch:
            continue
        found.append(index)
    return found


def judge_stamps(
    journal: Journal, record: EvidenceRecord, context: Context, proven: Callable[[Stamp], int | None],
    shown_us: int | None = None,
) -> list[JudgedStamp]:  # fmt: skip
    """Judge every token of the record, the newest first; each must have stood when the next one was made (RFC 4998,
    section 5.3), and each chain's hash when the next chain began.

    `proven`: when this very token is shown by other evidence to have existed; `shown_us`: when the record is, by anyone
    whom the trust bundle believes. Enters in `journal` what goes wrong. Gives the judged tokens, the oldest first.
    """
    ends = {sum(map(len, record.chains[: number + 1])) - 1: chain[0] for number, chain in enumerate(record.chains)}
    stamps: list[ArchiveTimeStamp] = [stamp for chain in record.chains for stamp in chain]
    judged: list[JudgedStamp] = []
    renewed_us: int | None = None
    for number in range(len(stamps) - 1, -1, -1):
        if number in ends:
            context.relied(shown_us).check(
                journal, "The evidence record's hash tree", [Use(ends[number].algorithm.name)]
            )
        stamp = read_stamp(stamps[number].token)
        proven_us = min((us for us in (proven(stamp), renewed_us) if us is not None), default=None)
        one = judge_stamp(stamp, context, proven_us=proven_us, shown_us=shown_us)
        judged.insert(0, one)
        which = f"time-stamp {number + 1} of {len(stamps)}"
        if one.indication is Indication.PASSED:
            journal.passed(which, f"Made at {spoken(stamp.info.time_us)}, and holds.")
        for check in one.journal.checks:
            if check.sub_indication is not None:
                journal.refuse(which, check.sub_indication, check.text)
        if one.indication is Indication.PASSED:
            # Whoever made it, the token before it was there: what that relied on need not have held longer.
            shown_us = min(stamp.info.latest_us, shown_us) if shown_us is not None else stamp.info.latest_us
        outside = one.indication is Indication.PASSED and one.authority is not None and one.authority.party != "box"
        if outside:
            renewed_us = min(stamp.info.latest_us, renewed_us) if renewed_us is not None else stamp.info.latest_us
    return judged
