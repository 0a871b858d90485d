"""One seal of a letter's evidence, over its manifest, with its record in the log and the record that stamps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from appliance.der import DerError
from appliance.evidence import cms
from appliance.evidence.canonical import NotCanonical, check_canonical
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, SubIndication, worst
from appliance.evidence.items import Earliest, Item, Shown, earliest
from appliance.evidence.letters.layout import Sealed
from appliance.evidence.letters.renewals import Archived
from appliance.evidence.logs import place_of
from appliance.evidence.openings import read_opening
from appliance.evidence.recognise import Kind
from appliance.evidence.rounds import AnchoredTime, Input, Round
from appliance.evidence.strength import Use
from appliance.evidence.subjects import NamedBytes, Subject
from appliance.quoting import escape

_BOX_AND_OTHERS: Final = frozenset(("box", "tsa", "witness", "ledger"))
_OPENING: Final = {"box_proof", "commitment", "content", "index", "salt"}
_MANIFEST, _SEAL = range(2)


@dataclass
class JudgedSeal:
    """What was found of one seal with its record."""

    journals: list[tuple[str, Journal]]
    signers: list[str]
    stamped_us: int | None
    record: Any
    origin: str
    index: int | None
    trusted_us: int | None
    """By when it existed, by the word of anyone the bundle trusts."""
    outside: Shown | None

    @property
    def indication(self) -> Indication:
        return worst([journal.indication for _, journal in self.journals])


def judge_sealed(
    sealed: Sealed, context: Context, accepted: frozenset[str], journal: Journal, archived: Archived,
    anchored: Sequence[AnchoredTime] = (),
) -> JudgedSeal:  # fmt: skip
    """Judge it. `accepted`: the classes of time that count; `journal`: of the event or package that it seals;
    `archived`: what records over the file show of its entries; `anchored`: by when ledgers are shown to have held its
    record."""
    inputs = [
        Input(_MANIFEST, Subject(NamedBytes(sealed.names.manifest, sealed.manifest)), Kind.DOCUMENT, []),
        Input(_SEAL, Subject(NamedBytes(sealed.names.seal, sealed.seal)), Kind.SEAL, [sealed.seal]),
    ]
    opening, index, origin = _opening(sealed, journal)
    record_at, stamp_at = -1, -1
    if opening is not None:
        record_at = len(inputs)
        subject = Subject(NamedBytes(sealed.names.opening, opening))
        inputs.append(Input(record_at, subject, Kind.OPENING, [opening], tuple(anchored)))
    if sealed.evidence_record is not None:
        stamp_at = len(inputs)
        subject = Subject(NamedBytes(sealed.names.evidence_record, sealed.evidence_record))
        inputs.append(Input(stamp_at, subject, Kind.EVIDENCE_RECORD, [sealed.evidence_record]))
    before, by_others = archived.trusted(sealed.entries), archived.outside(sealed.entries)
    what = "The manifest and the chain of events"
    context.relied(None if before is None else before.time_us).check(journal, what, [Use("sha256")])
    trusted, outside = _with(Earliest(), before, inputs), _with(Earliest(), by_others, inputs)
    items = Round(inputs, context, trusted, outside, {}).judge()
    trusted = _with(earliest(items, _BOX_AND_OTHERS), before, inputs)
    outside = _with(earliest(items, accepted), by_others, inputs)
    items = Round(inputs, context, trusted, outside, {}).judge()
    trusted = _with(earliest(items, _BOX_AND_OTHERS), before, inputs)
    outside = _with(earliest(items, accepted), by_others, inputs)
    if _MANIFEST not in items[_SEAL].covers:
        journal.refuse("seal", SubIndication.HASH_FAILURE, "The seal does not show that it is over this manifest.")
    _refuse_several(sealed, journal)
    shown = list(items[_SEAL].shown)
    if stamp_at >= 0:
        if _SEAL not in items[stamp_at].covers:
            journal.refuse(
                "evidence record", SubIndication.HASH_FAILURE,
                "The evidence record is over something else than this event's seal.",
            )  # fmt: skip
        if items[stamp_at].indication is Indication.PASSED:
            shown += [one for one in items[stamp_at].shown if one.target == _SEAL]
    record = None
    if opening is not None and items[record_at].indication is not Indication.FAILED:
        record = read_opening(opening).record
        if items[_SEAL].signatures and all(index != _SEAL for index, _ in items[record_at].binds):
            journal.refuse("record", SubIndication.HASH_FAILURE, "The record is about another seal than this one.")
    known = trusted.files.get(_MANIFEST)
    return JudgedSeal(
        journals=[(name, one) for item in items[1:] for name, one in item.parts],
        signers=_signers(items[_SEAL]),
        stamped_us=min((one.time_us for one in shown), default=None),
        record=record,
        origin=origin,
        index=index,
        trusted_us=None if known is None else known.time_us,
        outside=outside.files.get(_MANIFEST),
    )


def _with(known: Earliest, shown: Shown | None, inputs: Sequence[Input]) -> Earliest:
    """What is known, and that all of the inputs are shown by a record over the file."""
    if shown is not None:
        for one in inputs:
            known.keep(replace(shown, target=one.index))
    return known


def _opening(sealed: Sealed, journal: Journal) -> tuple[bytes | None, int | None, str]:
    """The record's opening with its log proof in it, as the box answers it; its place; the log's origin."""
    if sealed.opening is None:
        journal.refuse("record", SubIndication.NO_POE, "The event's record is not in the file, so no log shows it.")
        return None, None, ""
    try:
        value = check_canonical(sealed.opening)
    except NotCanonical as error:
        journal.refuse("record", SubIndication.FORMAT_FAILURE, f"The record's opening is {escape(str(error))}.")
        return None, None, ""
    if not isinstance(value, dict) or not value.keys() <= _OPENING:
        journal.refuse("record", SubIndication.FORMAT_FAILURE, "The record's opening has members that nothing covers.")
        return None, None, ""
    if sealed.proof is None:
        return sealed.opening, None, ""
    place = place_of(sealed.proof)
    index, origin = (None, "") if place is None else (place.index, place.origin)
    stated = value.get("index", index)
    if isinstance(stated, bool) or stated != index:
        journal.refuse("record", SubIndication.FORMAT_FAILURE, "The opening and the proof name different entries.")
    try:
        value["proof"] = {"tlog_proof": sealed.proof.decode()}
    except UnicodeDecodeError:
        journal.refuse("record", SubIndication.FORMAT_FAILURE, "The log proof is not text.")
        return sealed.opening, None, ""
    return msgspec.json.encode(value), index, origin


def _refuse_several(sealed: Sealed, journal: Journal) -> None:
    """Boxes sign a seal once and stamp it once. Another tenant of the box could have it sign the same manifest, and
    stand beside who sealed it; a second token would let whoever adds it choose which of them dates the event."""
    try:
        signers = cms.read_signed_data(sealed.seal).signers
    except DerError:
        return  # judged elsewhere
    if len(signers) != 1:
        journal.refuse("seal", SubIndication.FORMAT_FAILURE, "The seal is not of one signature alone.")
    for signer in signers:
        values = [values for oid, values in signer.unsigned.members if oid == cms.SIGNATURE_TIME_STAMP]
        if len(values) > 1 or any(len(one) != 1 for one in values):
            journal.refuse(
                "signature time-stamp", SubIndication.SIG_CONSTRAINTS_FAILURE,
                "The seal has several time-stamps, which no seal of a box has.",
            )  # fmt: skip


def _signers(item: Item) -> list[str]:
    begin = "a seal by “"
    return list(dict.fromkeys(by[len(begin) : -1] for _, by in item.claimed if by.startswith(begin)))
