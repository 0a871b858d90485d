"""The evidence file of a letter, put together: an ASiC-E container with every event that leads to the letter.

Pure, and the same bytes for the same parts. Each event stands with the manifest that names it and what is beside it,
the seal over the manifest, its record opened, and the proof that the record stands in the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from appliance.asic.chain import Line, follow_line
from appliance.asic.container import write_container
from appliance.asic.errors import EvidenceNotBuildable, ManifestRefused
from appliance.asic.manifest import Manifest, evidence_record_manifest, read_manifest
from appliance.asic.names import (
    COURT,
    COURT_PARTS,
    LETTER,
    MOST_KINDS,
    PAGE,
    anchor_name,
    answer_name,
    certificate_name,
    kind_name,
    list_name,
    names_of,
    read_name,
)
from appliance.asic.page import page_for_people
from appliance.evidence_records import EvidenceMismatch, EvidenceRejected
from appliance.letters.artifact import Artifact
from appliance.letters.errors import EventDamaged
from appliance.letters.event import read_event
from appliance.letters.kind import LoadedKind
from appliance.record import commitment

FORMAT = "cinnabar-letter-evidence/1"


class About(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """META-INF/letter.json: which letter the file is about."""

    format: str = FORMAT
    letter: str


class OpenedRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record with what proves that it stands in its tenant's log."""

    record: bytes
    """Canonical JSON: appliance.record."""
    salt: bytes
    index: int | None = None
    """Of its leaf."""
    proof: bytes | None = None
    """C2SP .tlog-proof with its checkpoint; None: not in a signed head yet."""
    box_proof: Mapping[str, Any] | None = None
    """Under the box's own log: `hashes` and `leaf`, as GET /v1/records/{id} answers them."""


class EventFiles(msgspec.Struct, frozen=True, kw_only=True):
    """One event, its seal and its record."""

    artifact: Artifact
    opened: OpenedRecord


class CourtPackage(msgspec.Struct, frozen=True, kw_only=True):
    """What a court gets beside (K16), sealed once, when it was asked for."""

    parts: Mapping[str, bytes]
    """By name: see appliance.asic.names.COURT_PARTS."""
    manifest: bytes
    """appliance.asic.court_manifest over the parts, the newest event and the helpers: what the seal signs."""
    seal: bytes
    opened: OpenedRecord
    """Its kind is appliance.asic.names.COURT_RECORD, its tenant the letter's."""


class Extras(msgspec.Struct, frozen=True, kw_only=True):
    """What goes in beside the events."""

    certificates: Sequence[bytes] = ()
    """DER: authorities between the signers and the trust bundle, where the seals do not hold them."""
    lists: Sequence[bytes] = ()
    """DER: revocation lists of the authorities of signers and time-stamping units."""
    answers: Sequence[bytes] = ()
    """DER: OCSP answers about the certificates of signers and time-stamping units."""
    disclosed: Sequence[str] = ()
    """Names of hidden fields whose disclosures go in, for whoever the file is for; the others stay hidden."""
    court: CourtPackage | None = None
    anchors: Sequence[tuple[str, int, bytes]] = ()
    """Ledger, size of the anchored head, and what `appliance.asic.anchor` writes of it."""
    kinds: Sequence[LoadedKind] = ()
    """Those that the events name: their titles stand on the page for people, and whoever checks the file has them."""
    rehearsal: bool = False
    """Whether the box is one for practice: the page for people says so."""


def letter_container(chain: Sequence[EventFiles], extras: Extras | None = None, letter: str | None = None) -> bytes:
    """The evidence file. `chain`: every event that leads to the letter, oldest first: where it was split off, those of
    its parents up to the splits come first. `letter`: its id; None: that of the last event. It must be given for a
    letter that was just split off and had no event of its own.

    Raises EvidenceNotBuildable where the events do not lead to the letter, or a manifest names other files.
    """
    extras = extras or Extras()
    try:
        events = [read_event(one.artifact.event) for one in chain]
        line = follow_line(events, letter or (events[-1].letter if events else ""))
    except EventDamaged as error:
        raise EvidenceNotBuildable(str(error)) from None
    kinds = {one.digest for one in extras.kinds}
    if len(kinds) > MOST_KINDS or not kinds <= {event.kind.digest for event in events}:
        raise EvidenceNotBuildable(f"the kinds are not those of the events, or more than {MOST_KINDS}")
    return write_container(_entries(chain, line, extras))


def _entries(chain: Sequence[EventFiles], line: Line, extras: Extras) -> Iterator[tuple[str, bytes]]:
    yield LETTER, _json(About(letter=line.state.letter))
    kind = next((one.kind for one in extras.kinds if one.digest == line.state.kind.digest), None)
    yield PAGE, page_for_people(line, kind, rehearsal=extras.rehearsal)
    for one, step in zip(chain, line.steps, strict=True):
        artifact, names = one.artifact, names_of(step.tail)
        beside = {names.beside + name: content for name, content in sorted(artifact.beside.items())}
        _check_manifest(artifact.manifest, step.tail, [names.event, *beside])
        yield names.event, artifact.event
        yield from beside.items()
        yield from _sealed(step.tail, artifact.manifest, artifact.seal, one.opened, _evidence_record(artifact))
        shown = {name: text for name, text in artifact.disclosures.items() if name in extras.disclosed}
        if shown:
            yield names.disclosures, _json(shown)
    helpers = dict(helper_entries(extras))
    if extras.court is not None:
        yield from _court(extras.court, names_of(line.steps[-1].tail).event, helpers)
    yield from helpers.items()
    for ledger, size, encoded in sorted(extras.anchors):
        yield anchor_name(ledger, size), encoded


def helper_entries(extras: Extras) -> Iterator[tuple[str, bytes]]:
    """The entries that are named by their own SHA-256."""
    helpers = (
        (certificate_name, extras.certificates), (list_name, extras.lists), (answer_name, extras.answers),
        (kind_name, [one.source for one in extras.kinds]),
    )  # fmt: skip
    for naming, contents in helpers:
        yield from sorted({naming(hashlib.sha256(one).hexdigest()): one for one in contents}.items())


def _evidence_record(artifact: Artifact) -> bytes | None:
    try:
        return artifact.evidence_record()
    except (EvidenceMismatch, EvidenceRejected) as error:
        raise EvidenceNotBuildable(str(error)) from None


def _sealed(
    tail: str, manifest: bytes, seal: bytes, opened: OpenedRecord, evidence_record: bytes | None = None
) -> Iterator[tuple[str, bytes]]:
    names = names_of(tail)
    yield names.manifest, manifest
    yield names.seal, seal
    if evidence_record is not None:
        yield names.evidence_record, evidence_record
        yield names.evidence_manifest, evidence_record_manifest(tail, hashlib.sha256(seal).digest())
    value: dict[str, Any] = {
        "commitment": commitment(opened.salt, opened.record).hex(),
        "content": opened.record.decode(),
        "salt": opened.salt.hex(),
    }
    if opened.index is not None:
        value["index"] = opened.index
    if opened.box_proof is not None:
        value["box_proof"] = opened.box_proof
    yield names.opening, _json(value)
    if opened.proof is not None:
        yield names.proof, opened.proof


def _court(court: CourtPackage, newest: str, helpers: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    unknown = sorted(set(court.parts) - set(COURT_PARTS))
    if unknown:
        raise EvidenceNotBuildable(f"a court package has no part {unknown[0]!r}")
    parts = {names_of(COURT).beside + name: content for name, content in sorted(court.parts.items())}
    # Packages from before OCSP answers name no helpers.
    named = {one.name for one in read_manifest(court.manifest).references} & helpers.keys()
    _check_manifest(court.manifest, COURT, [*parts, newest, *named])
    yield from parts.items()
    yield from _sealed(COURT, court.manifest, court.seal, court.opened)


def _check_manifest(encoded: bytes, tail: str, files: Sequence[str]) -> None:
    try:
        manifest: Manifest = read_manifest(encoded)
    except ManifestRefused as error:
        raise EvidenceNotBuildable(str(error)) from None
    if manifest.tail != tail or sorted(one.name for one in manifest.references) != sorted(files):
        raise EvidenceNotBuildable(f"the manifest of {tail} names other files than there are")
    strange = [name for name in files if read_name(name) is None]
    if strange:
        raise EvidenceNotBuildable(f"no entry of an evidence file has the name {strange[0]!r}")


_json = msgspec.json.Encoder(order="sorted").encode
