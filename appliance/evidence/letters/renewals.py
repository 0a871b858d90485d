"""Records over an evidence file as it was, each with its manifest: what they show of the entries, the newest first.

A renewal that passes shows that every entry which it names existed when its first time-stamp was made. What is older in
the file, seals, tokens, earlier renewals, is then judged at that time.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from appliance.asic.errors import ManifestRefused
from appliance.asic.names import MOST_RENEWALS, RenewalNames, read_name, renewal_names
from appliance.asic.renewal import RenewalManifest, read_renewal_manifest
from appliance.der import DerError
from appliance.evidence import archives
from appliance.evidence.certificates import spoken
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, Refusal, SubIndication
from appliance.evidence.items import Shown
from appliance.evidence.letters.facts import RenewalFact
from appliance.evidence.signatures import digest
from appliance.evidence.stamps import JudgedStamp
from appliance.evidence.strength import Use
from appliance.evidence_records import EvidenceMismatch, verify_group
from appliance.evidence_records.record import MAX_ARCHIVE_TIMESTAMPS, EvidenceRecord
from appliance.quoting import escape, quote


@dataclass(frozen=True)
class Renewed:
    """One renewal, taken apart; nothing believed yet."""

    number: int
    names: RenewalNames
    manifest: RenewalManifest
    record: EvidenceRecord


@dataclass
class Archived:
    """By when entries are shown to have existed."""

    all_trusted: Shown | None = None
    """By when all of the file is, by stamps and records beside it, of anyone whom the trust bundle believes."""
    all_outside: Shown | None = None
    """The same by parties other than the box, of an accepted class."""
    _trusted: dict[str, Shown] = field(default_factory=dict)
    _outside: dict[str, Shown] = field(default_factory=dict)
    facts: list[RenewalFact] = field(default_factory=list)

    def trusted(self, names: Iterable[str]) -> Shown | None:
        """By when all of these are shown, by anyone whom the trust bundle believes."""
        return _last(self._trusted, names, self.all_trusted)

    def outside(self, names: Iterable[str]) -> Shown | None:
        """The same by parties other than the box, of an accepted class."""
        return _last(self._outside, names, self.all_outside)

    @property
    def tells(self) -> bool:
        """Whether anything is shown."""
        return bool(self._trusted) or self.all_trusted is not None

    def keep(self, names: Iterable[str], stamps: Sequence[JudgedStamp], accepted: frozenset[str]) -> None:
        """Enter what a renewal's time-stamps show; all of them hold."""
        shown = [
            Shown(0, one.stamp.info.latest_us, one.authority.time_class, f"a time-stamp by “{one.name}”")
            for one in stamps
            if one.authority is not None
        ]
        for found, those in ((self._trusted, shown), (self._outside, [s for s in shown if s.time_class in accepted])):
            first = min(those, key=_time, default=None)
            if first is None:
                continue
            for name in names:
                found[name] = min(first, found.get(name, first), key=_time)


def _last(found: Mapping[str, Shown], names: Iterable[str], whole: Shown | None) -> Shown | None:
    times = [min((one for one in (found.get(name), whole) if one), key=_time, default=None) for name in names]
    known = [one for one in times if one is not None]
    return max(known, key=_time) if known and len(known) == len(times) else None


def _time(shown: Shown) -> int:
    return shown.time_us


def _time_of(shown: Shown | None, *_: object) -> int | None:
    return None if shown is None else shown.time_us


def read_renewals(entries: Mapping[str, bytes], journal: Journal) -> list[Renewed]:
    """Take the renewals apart, and hold each manifest to the entries. Enters in `journal` what is wrong."""
    order = {name: place for place, name in enumerate(entries)}
    tails = {place.tail for name in entries if (place := read_name(name)) and place.role.startswith("renewal")}
    found: list[Renewed] = []
    stamps = 0
    for number in range(1, min(len(tails), MOST_RENEWALS) + 1):
        names = renewal_names(number)
        encoded, text = entries.get(names.record), entries.get(names.manifest)
        if encoded is None or text is None:
            _refuse(journal, f"Renewal {number} of the file is not there, or without its manifest.")
            continue
        try:
            manifest = read_renewal_manifest(text)
            record = archives.read_evidence_record(encoded)
        except ManifestRefused as error:
            _refuse(journal, f"{quote(names.manifest)}: {escape(str(error))}.")
            continue
        except Refusal as refusal:
            journal.add(refusal)
            continue
        places = [order.get(one.name, -1) for one in manifest.references]
        if manifest.record != names.record or -1 in places or places != sorted(places):
            _refuse(journal, f"{quote(names.manifest)} names what is not there, or in another order than the file's.")
            continue
        if {names.record, names.manifest} & {one.name for one in manifest.references}:
            _refuse(journal, f"{quote(names.manifest)} names itself or its own record.")
            continue
        stamps += sum(map(len, record.chains))
        found.append(Renewed(number, names, manifest, record))
    if len(tails) > MOST_RENEWALS or stamps > MAX_ARCHIVE_TIMESTAMPS:
        _refuse(journal, "The file was renewed more often than one may be.")
        return []
    return found


def judge_renewals(
    renewals: Sequence[Renewed], entries: Mapping[str, bytes], context: Context, accepted: frozenset[str],
    parts: list[tuple[str, Journal]], archived: Archived,
) -> None:  # fmt: skip
    """Judge them, the newest first. `accepted`: the classes of time that count. Enters a part for each in `parts`, and
    what they show in `archived`."""
    digests: dict[tuple[str, str], bytes] = {}

    def digest_of(name: str, hash_name: str) -> bytes:
        if (name, hash_name) not in digests:
            digests[name, hash_name] = digest(hash_name, entries[name])
        return digests[name, hash_name]

    judged: list[tuple[str, Journal]] = []
    first: dict[int, JudgedStamp] = {}
    for one in reversed(renewals):
        journal = Journal()
        judged.insert(0, (f"renewal {one.number} of the file", journal))
        named = [reference.name for reference in one.manifest.references]
        hashes = {chain[0].algorithm.name for chain in one.record.chains} | {one.manifest.hash_name}
        group = [{hash_name: digest_of(name, hash_name) for hash_name in hashes} for name in named]
        if any(
            digest_of(reference.name, one.manifest.hash_name) != reference.digest
            for reference in one.manifest.references
        ):
            journal.refuse(
                "manifest", SubIndication.HASH_FAILURE,
                "An entry is not the one that the renewal's manifest names: it was changed after it was renewed.",
            )  # fmt: skip
            continue
        try:
            verify_group(one.record, group)
        except EvidenceMismatch as error:
            journal.refuse(
                "hash tree", SubIndication.HASH_FAILURE,
                f"The evidence record is not over the entries that its manifest names: {escape(str(error))}.",
            )  # fmt: skip
            continue
        journal.passed(
            "hash tree", f"{len(named)} entries of the file are, byte for byte, in the tree that was stamped."
        )
        later = archived.trusted([one.names.record, *named])
        context.relied(_time_of(later)).check(
            journal, "The digests of the renewal", [Use(one.record.chains[-1][0].algorithm.name)]
        )
        by_others, by_any = archived.outside([one.names.record]), archived.trusted([one.names.record])
        try:
            stamps = archives.judge_stamps(
                journal, one.record, context, functools.partial(_time_of, by_others), _time_of(by_any)
            )
        except Refusal as refusal:
            journal.add(refusal)
            continue
        except DerError as error:
            journal.refuse("format", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
            continue
        journal.complete()
        if journal.indication is Indication.PASSED:
            archived.keep(named, stamps, accepted)
            first[one.number] = stamps[0]
    parts += judged
    archived.facts += [
        _fact(one, first.get(one.number), journal) for one, (_, journal) in zip(renewals, judged, strict=True)
    ]


def _fact(one: Renewed, first: JudgedStamp | None, journal: Journal) -> RenewalFact:
    return RenewalFact(
        number=one.number,
        hash=one.record.chains[-1][0].algorithm.name,
        entries=len(one.manifest.references),
        time="" if first is None else spoken(first.stamp.info.time_us),
        by="" if first is None else f"a time-stamp by “{first.name}”",
        indication=journal.indication,
    )


def _refuse(journal: Journal, text: str) -> None:
    journal.refuse("container", SubIndication.FORMAT_FAILURE, text)
