"""The verifier: a pure function of the bytes of files, a trust bundle and the time that “now” means.

Files are judged twice. The first round takes no help from one file for another; what passed in it may show when other
files existed, and the second round judges with that. So two files can never lift each other up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING

import msgspec

from appliance.anchors.profile import LedgerProfile
from appliance.asic.container import LARGEST_CONTAINER
from appliance.der import DerError
from appliance.errors import BadRequest
from appliance.evidence import cms
from appliance.evidence.certificates import spoken
from appliance.evidence.context import Context
from appliance.evidence.exports import JudgedExport, judge_export
from appliance.evidence.findings import Indication, Journal, SubIndication, worst
from appliance.evidence.items import Earliest, Item, JudgedAlone, earliest
from appliance.evidence.letters.judge import JudgedLetter, judge_letter
from appliance.evidence.letters.pages import SetPage
from appliance.evidence.letters.renewals import Archived
from appliance.evidence.recognise import Kind, recognise
from appliance.evidence.report import FileReport, Part, Report, TimeWord, TrustSummary, merged
from appliance.evidence.revocation import RevocationList, read_revocation_list
from appliance.evidence.rounds import SUBJECTS_ONLY, Input, Round
from appliance.evidence.signers import readable_certificates
from appliance.evidence.subjects import NamedBytes, NamedDigest, NamedFile, Subject
from appliance.evidence.trust import TrustBundle
from appliance.evidence_records import EvidenceRejected, parse_evidence_record
from appliance.letters.kind import LoadedKind
from appliance.limits import VERIFIED_FILES
from appliance.quoting import escape

if TYPE_CHECKING:
    from appliance.ceremonies.constitution import Constitution

_BOX_AND_OTHERS = frozenset(("box", "tsa", "witness", "ledger"))
_MOST_LISTS_IN_TOKENS = 64
_HELPERS = frozenset((Kind.CERTIFICATE, Kind.REVOCATION_LIST))


class TooMuch(BadRequest):
    """More files than one call takes."""

    code = "too-many-files"
    title = "More files than one verification takes"


def verify(
    files: Sequence[NamedBytes | NamedFile],
    trust: TrustBundle,
    *,
    now_us: int,
    digests: Sequence[NamedDigest] = (),
    nonce: int | None = None,
    genesis: str | None = None,
    kinds: Sequence[LoadedKind] = (),
    set_page: SetPage | None = None,
    ledgers: Sequence[LedgerProfile] = (),
) -> Report:
    """Verify files together: each may be the document, the stamp, the seal or the proof of another.

    `now_us` is the validation time in microseconds since the epoch; it decides whether the bundle has expired, and
    stands for the signing time where nothing shows an earlier one (EN 319 102-1, clause 5.5). `digests` stand for
    documents that are not given; `nonce` is what every stamp must answer; `genesis` the SHA-256 of the constitution
    that ceremonies are followed from, where the trust bundle names none; `kinds` are those of letters whose file lacks
    its kind's; `set_page` sets letters' pages again, so that they are compared with their events; `ledgers` are
    trusted beside those of the bundle, and instead of one of the same name. Raises TooMuch;
    whatever is wrong with a file stands in the report.
    """
    if len(files) + len(digests) > VERIFIED_FILES:
        raise TooMuch(f"more than {VERIFIED_FILES} files")
    inputs = _recognised(files, digests)
    context = _context(inputs, trust, now_us, nonce, genesis)
    known = {**trust.ledgers, **{one.name: one for one in ledgers}}
    context = replace(context, ledgers=known)
    accepted = frozenset(trust.document.time.accepted) - {"box"}
    others: dict[int, JudgedAlone] = {**_exports(inputs, trust), **_ceremonies(inputs, trust, genesis)}
    given = _shown_of_letters(inputs, context, accepted, others)
    letters = _letters(inputs, context, accepted, kinds, set_page, given)
    alone: dict[int, JudgedAlone] = {**others, **letters}
    items = Round(inputs, context, Earliest(), Earliest(), alone).judge()
    items = Round(inputs, context, earliest(items, _BOX_AND_OTHERS), earliest(items, accepted), alone).judge()
    return _report(inputs, items, context, accepted, letters)


def _recognised(files: Sequence[NamedBytes | NamedFile], digests: Sequence[NamedDigest]) -> list[Input]:
    inputs: list[Input] = []
    for file in files:
        kind, objects = recognise(file)
        inputs.append(Input(len(inputs), Subject(file), kind, objects))
    for given in digests:
        inputs.append(Input(len(inputs), Subject(given), Kind.DIGEST, []))
    return inputs


def _exports(inputs: Sequence[Input], trust: TrustBundle) -> dict[int, JudgedExport]:
    """Audit exports, by their places. They neither need nor give help, so they are judged once, each as a stream."""
    judged: dict[int, JudgedExport] = {}
    for one in inputs:
        if one.kind is not Kind.EXPORT:
            continue
        with contextlib.ExitStack() as opened:

            def table(digest: str, opened: contextlib.ExitStack = opened) -> IO[bytes] | None:
                for other in inputs:
                    if other.kind in SUBJECTS_ONLY and (other.subject.digest("sha256") or b"").hex() == digest:
                        stream = other.subject.stream()
                        return None if stream is None else opened.enter_context(stream)
                return None

            stream = one.subject.stream()
            if stream is not None:
                judged[one.index] = judge_export(opened.enter_context(stream), trust, table)
    return judged


def _ceremonies(inputs: Sequence[Input], trust: TrustBundle, genesis: str | None) -> dict[int, JudgedAlone]:
    """Record bundles of ceremonies, by their places, each judged once as exports are."""
    found = [one for one in inputs if one.kind is Kind.CEREMONY]
    if not found:
        return {}
    # The rules of ceremonies read cards' signatures with this package's own reader of CMS, so they come after it.
    from appliance.ceremonies.judging import judge_bundle  # noqa: PLC0415

    return {one.index: judge_bundle(one.objects[0], trust, genesis) for one in found}


def _shown_of_letters(
    inputs: Sequence[Input], context: Context, accepted: frozenset[str], others: Mapping[int, JudgedAlone]
) -> dict[int, Archived]:
    """When whole files of letters are shown to have existed, by stamps and records over them among the other files."""
    letters = [one.index for one in inputs if one.kind is Kind.LETTER]
    if len(letters) == len(inputs):
        return {}
    items = Round(inputs, context, Earliest(), Earliest(), others).judge()
    trusted, outside = earliest(items, _BOX_AND_OTHERS).whole, earliest(items, accepted).whole
    return {index: Archived(trusted.get(index), outside.get(index)) for index in letters}


def _letters(
    inputs: Sequence[Input], context: Context, accepted: frozenset[str], kinds: Sequence[LoadedKind],
    set_page: SetPage | None, given: Mapping[int, Archived],
) -> dict[int, JudgedLetter]:  # fmt: skip
    """Evidence of letters, by their places. `given`: when each whole file is shown to have existed."""
    judged: dict[int, JudgedLetter] = {}
    for one in inputs:
        stream = one.subject.stream() if one.kind is Kind.LETTER else None
        if stream is not None:
            with stream:
                content = stream.read(LARGEST_CONTAINER + 1)
                judged[one.index] = judge_letter(content, context, accepted, kinds, set_page, given.get(one.index))
    return judged


def _constitutions(inputs: Sequence[Input], trust: TrustBundle, genesis: str | None) -> dict[str, Constitution]:
    """Of all record bundles; what is not followed from the trusted founding is not there."""
    found = [one for one in inputs if one.kind is Kind.CEREMONY]
    if not found:
        return {}
    from appliance.ceremonies.judging import followed_constitutions  # noqa: PLC0415 - as above

    return {law.digest: law for one in found for law in followed_constitutions(one.objects[0], trust, genesis)}


def _context(
    inputs: Sequence[Input], trust: TrustBundle, now_us: int, nonce: int | None, genesis: str | None
) -> Context:
    """Helpers may lie in any file: a CRL is signed by its issuer, and a certificate counts only below an anchor."""
    certificates: list[bytes] = []
    lists: list[RevocationList] = list(trust.revocation_lists)
    for one in inputs:
        if one.kind is Kind.CERTIFICATE:
            certificates += one.objects
        found = one.objects if one.kind is Kind.REVOCATION_LIST else []
        if one.kind in (Kind.SEAL, Kind.STAMP):
            found = _embedded_lists(one.objects[0])
        if one.kind is Kind.EVIDENCE_RECORD:
            found = _lists_in_tokens(one.objects[0])
        for encoded in found:
            try:
                lists.append(read_revocation_list(encoded))
            except DerError:
                continue
    digests = [one.subject.digest("sha256") for one in inputs if one.kind is Kind.DIGEST]
    given = frozenset(one.hex() for one in digests if one is not None)
    constitutions = _constitutions(inputs, trust, genesis)
    return Context(trust, tuple(lists), readable_certificates(certificates), now_us, nonce, constitutions, given)


def _embedded_lists(encoded: bytes) -> list[bytes]:
    try:
        return list(cms.read_signed_data(encoded).crls)
    except DerError:
        return []


def _lists_in_tokens(encoded: bytes) -> list[bytes]:
    """Those that authorities, or who renewed a record, put into its tokens (RFC 4998, section 4.1)."""
    try:
        record = parse_evidence_record(encoded)
    except EvidenceRejected:
        return []
    found = [one for chain in record.chains for stamp in chain for one in _embedded_lists(stamp.token)]
    return list(dict.fromkeys(found))[:_MOST_LISTS_IN_TOKENS]


# --- the report --------------------------------------------------------------------------------------------------


def _report(
    inputs: Sequence[Input], items: Sequence[Item], context: Context, accepted: frozenset[str],
    letters: Mapping[int, JudgedLetter],
) -> Report:  # fmt: skip
    trust = context.trust
    expired = not trust.issued_us <= context.now_us <= trust.expires_us
    outside = earliest(items, accepted)
    files = [_file_report(inputs, items, item, outside, expired=expired) for item in items]
    for index, found in letters.items():
        if found.facts is not None:
            files[index] = msgspec.structs.replace(files[index], letter=found.facts)
    judged = [file.indication for file in files if file.indication is not None]
    document = trust.document
    return Report(
        indication=worst(judged),
        sub_indications=merged([file.sub_indications for file in files]),
        validation_time=spoken(context.now_us),
        trust=TrustSummary(
            constitution=document.constitution,
            signer=trust.signer,
            version=document.version,
            digest=trust.digest,
            rehearsal=document.rehearsal,
            issued=document.issued,
            expires=document.expires,
            first_use=trust.first_use,
        ),
        notes=_notes(trust, expired=expired),
        files=files,
    )


def _notes(trust: TrustBundle, *, expired: bool) -> list[str]:
    notes: list[str] = []
    if trust.document.rehearsal:
        notes.append("REHEARSAL: this trust bundle is for practice. What it verifies binds nobody.")
    if trust.first_use:
        notes.append(
            "The trust bundle's key was believed because it is the first one seen. Compare its fingerprint with one "
            f"that you got by other means: SHA-256 {trust.signer}"
        )
    if expired:
        notes.append("The trust bundle is not in force at the time of this check; nothing passes until it is renewed.")
    return notes


def _file_report(
    inputs: Sequence[Input], items: Sequence[Item], item: Item, outside: Earliest, *, expired: bool
) -> FileReport:
    subject = inputs[item.index].subject
    covering = [other for other in items if item.index in other.speaks_about]
    parts = _parts(item, covering, [escape(one.subject.name) for one in inputs])
    if expired and parts:
        journal = Journal()
        journal.refuse(
            "trust bundle", SubIndication.TRY_LATER, "The trust bundle is not in force at the time of this check."
        )
        parts.append(_part("trust", journal))
    source = subject.source
    shown = outside.files.get(item.index)
    return FileReport(
        name=escape(subject.name),
        kind=item.kind.value,
        size=_size(source),
        sha256=None if isinstance(source, NamedDigest) else (subject.digest("sha256") or b"").hex(),
        indication=None if item.kind in _HELPERS else worst([part.indication for part in parts]),
        sub_indications=merged([part.sub_indications for part in parts]),
        parts=parts,
        covers=[escape(inputs[index].subject.name) for index in item.speaks_about],
        covered_by=[escape(inputs[other.index].subject.name) for other in covering],
        claimed=[
            TimeWord(time=spoken(time_us), time_us=time_us, by=by, source=escape(inputs[other.index].subject.name))
            for other in (item, *(one for one in covering if one.indication is Indication.PASSED))
            for time_us, by in other.claimed
        ],
        existed_no_later_than=None
        if shown is None
        else TimeWord(time=spoken(shown.time_us), time_us=shown.time_us, by=shown.by, source=escape(subject.name)),
    )


def _size(source: NamedBytes | NamedFile | NamedDigest) -> int | None:
    if isinstance(source, NamedBytes):
        return len(source.content)
    return source.size if isinstance(source, NamedFile) else None


def _parts(item: Item, covering: Sequence[Item], names: Sequence[str]) -> list[Part]:
    if item.kind not in SUBJECTS_ONLY:
        return [_part(title, journal) for title, journal in item.parts]
    journal = Journal()
    passing = [other for other in covering if other.indication is Indication.PASSED]
    if not covering:
        journal.refuse(
            "document", SubIndication.SIGNED_DATA_NOT_FOUND, "None of the files given speaks about this one."
        )
    elif not passing:
        journal.refuse("document", SubIndication.NO_POE, "What speaks about this file did not pass.")
    else:
        about = ", ".join(f"“{names[other.index]}”" for other in passing)
        journal.passed("document", f"These files speak about exactly these bytes, and hold: {about}.")
        journal.complete()
    return [_part("document", journal)]


def _part(title: str, journal: Journal) -> Part:
    return Part(
        title=title, indication=journal.indication, sub_indications=journal.sub_indications, checks=journal.checks
    )
