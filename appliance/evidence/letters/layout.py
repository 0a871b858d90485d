"""The container of a letter's evidence, before anything in it is believed: what stands where, and what covers what.

Every entry is named by a manifest that a seal signs, or is one of a few in META-INF that prove themselves: a seal by
its signature, a record by the log, a list by its issuer. What is neither refutes the whole file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from appliance.asic.anchor import MOST_ANCHORS
from appliance.asic.container import read_container
from appliance.asic.errors import ContainerRefused, ManifestRefused
from appliance.asic.letter import About
from appliance.asic.manifest import Manifest, evidence_record_manifest, read_manifest
from appliance.asic.names import (
    COURT,
    HELPERS,
    LETTER,
    MOST_KINDS,
    PAGE,
    Entry,
    EventNames,
    kind_name,
    names_of,
    read_name,
)
from appliance.evidence.canonical import NotCanonical, check_canonical
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.letters.renewals import Renewed, read_renewals
from appliance.letters.errors import EventDamaged
from appliance.letters.event import Event, read_event
from appliance.letters.kind import KIND_BYTES
from appliance.quoting import escape, quote

_OF_A_SEAL = frozenset(("seal", "evidence-record", "evidence-manifest", "opening", "proof", "disclosures"))
_OF_THE_COURT = frozenset(("court", "event", *HELPERS))
_DEEPEST = 32
"""No kind has values that are nested as deeply: a table's row holds at most a party."""


@dataclass(frozen=True)
class Sealed:
    """What one seal covers, with what belongs to it."""

    tail: str
    names: EventNames
    manifest: bytes
    seal: bytes
    opening: bytes | None
    proof: bytes | None
    files: Mapping[str, bytes]
    """By name without the folder: what stands beside the event, or the parts of the court package."""
    evidence_record: bytes | None = None
    """Over the seal (RFC 4998)."""
    entries: tuple[str, ...] = ()
    """Names of all entries that it consists of, itself among them."""


@dataclass
class Layout:
    """A container whose entries all have a place."""

    letter: str
    events: list[tuple[Event, Sealed]] = field(default_factory=list)
    """Oldest first."""
    court: Sealed | None = None
    disclosures: dict[str, bytes] = field(default_factory=dict)
    """By tail."""
    certificates: list[bytes] = field(default_factory=list)
    lists: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)
    """OCSP answers."""
    kinds: dict[str, bytes] = field(default_factory=dict)
    """Files of kinds by their SHA-256, each named by an event."""
    anchors: dict[str, bytes] = field(default_factory=dict)
    """By ledger and size, as in the entry's name."""
    digests: frozenset[str] = frozenset()
    """SHA-256 of every file that a manifest names, hexadecimal."""
    page: bool = False
    """Whether it holds a page for people, which nothing vouches for."""
    entries: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """All of it, by name."""
    renewals: list[Renewed] = field(default_factory=list)
    """Records over the file as it was, the first one first."""


def read_layout(content: bytes, journal: Journal) -> Layout | None:
    """Take the container apart; whatever is wrong with it is entered, and then there is nothing to go on with."""
    try:
        entries = read_container(content)
        layout = _Reading(entries, journal).layout()
    except ContainerRefused as error:
        journal.refuse("container", SubIndication.FORMAT_FAILURE, f"The container is refused: {escape(str(error))}.")
        return None
    except Refusal as refusal:
        journal.add(refusal)
        return None
    if journal.sub_indications:
        return None
    journal.passed(
        "container",
        f"{len(entries)} entries, none twice, nothing between or after them; each is named by a sealed manifest or "
        "proves itself.",
    )
    return layout


class _Reading:
    def __init__(self, entries: Mapping[str, bytes], journal: Journal) -> None:
        self._entries = entries
        self._journal = journal
        self._named: set[str] = set()
        self._places: dict[str, Entry] = {}
        self._by_tail: dict[str, list[str]] = {}
        """Names, in the order of the file: of a file with thousands of events, each looks at its own alone."""

    def layout(self) -> Layout:
        """Raises Refusal where nothing can be read any further."""
        for name in self._entries:
            place = read_name(name)
            if place is None:
                self._refuse(f"The entry {quote(name)} is none that an evidence file has.")
            else:
                self._places[name] = place
                self._by_tail.setdefault(COURT if place.role == "court" else place.tail, []).append(name)
        layout = Layout(self._about(), page=PAGE in self._entries, entries=self._entries)
        tails = [place.tail for place in self._places.values() if place.role == "manifest"]
        parsed: dict[str, tuple[Event, Sealed]] = {}
        for tail in tails:
            sealed = self._sealed(tail)
            if sealed is None:
                continue
            if tail == COURT:
                layout.court = sealed
            else:
                parsed[tail] = (self._event(sealed), sealed)
        self._outside(set(tails))
        layout.events = _ordered(parsed)
        self._court_names_the_newest(layout)
        layout.renewals = read_renewals(self._entries, self._journal)
        for name, place in self._places.items():
            if place.role == "disclosures":
                layout.disclosures[place.tail] = self._entries[name]
            elif place.role == "kind":
                self._named_by_digest(name, place)
                layout.kinds[place.name] = self._entries[name]
            elif place.role == "anchor":
                layout.anchors[place.name] = self._entries[name]
            elif place.role in HELPERS:
                self._named_by_digest(name, place)
                helpers = {"certificate": layout.certificates, "crl": layout.lists, "ocsp": layout.answers}
                helpers[place.role].append(self._entries[name])
        self._kinds_of_the_events(layout)
        if len(layout.anchors) > MOST_ANCHORS:
            self._refuse("There are more anchors than a box puts into a file.")
        layout.digests = frozenset(hashlib.sha256(self._entries[name]).hexdigest() for name in self._named)
        return layout

    def _about(self) -> str:
        try:
            encoded = self._entries[LETTER]
            check_canonical(encoded)
            about = msgspec.json.decode(encoded, type=About)
        except (KeyError, NotCanonical, msgspec.MsgspecError):
            raise Refusal(
                "container", SubIndication.FORMAT_FAILURE, "It does not say which letter it is about, as boxes do."
            ) from None
        if about != About(letter=about.letter):
            raise Refusal("container", SubIndication.FORMAT_FAILURE, "It is of a format that this verifier lacks.")
        return about.letter

    def _sealed(self, tail: str) -> Sealed | None:
        names = names_of(tail)
        entries = self._entries
        try:
            manifest = read_manifest(entries[names.manifest])
        except ManifestRefused as error:
            self._refuse(f"{quote(names.manifest)}: {escape(str(error))}.")
            return None
        if manifest.tail != tail or names.seal not in entries:
            self._refuse(f"{quote(names.manifest)} has no seal of its own.")
            return None
        self._check_references(names, manifest)
        own = [one for one in self._by_tail[tail] if self._places[one].role in ("beside", "court")]
        files = {name.removeprefix(names.beside): entries[name] for name in sorted(own)}
        return Sealed(
            tail, names, entries[names.manifest], entries[names.seal], entries.get(names.opening),
            entries.get(names.proof), files, self._evidence_record(names, tail),
            tuple(one for one in self._by_tail[tail] if self._places[one].tail == tail),
        )  # fmt: skip

    def _evidence_record(self, names: EventNames, tail: str) -> bytes | None:
        """It has a manifest of its own, which says that it is over the seal, and nothing else."""
        record, manifest = self._entries.get(names.evidence_record), self._entries.get(names.evidence_manifest)
        expected = evidence_record_manifest(tail, hashlib.sha256(self._entries[names.seal]).digest())
        if (record is None) != (manifest is None):
            self._refuse(f"{quote(names.evidence_record)} and its manifest are not both there.")
        elif manifest is not None and manifest != expected:
            self._journal.refuse(
                "manifest", SubIndication.HASH_FAILURE,
                f"{quote(names.evidence_manifest)} names something else than the seal of its event as it is here.",
            )  # fmt: skip
        return record

    def _check_references(self, names: EventNames, manifest: Manifest) -> None:
        for one in manifest.references:
            content = self._entries.get(one.name)
            place = self._places.get(one.name)
            if content is None or place is None:
                self._refuse(f"{quote(names.manifest)} names {quote(one.name)}, which is not there.")
            elif hashlib.sha256(content).digest() != one.digest:
                self._journal.refuse(
                    "manifest", SubIndication.HASH_FAILURE,
                    f"{quote(one.name)} is not the file that {quote(names.manifest)} names: it was changed.",
                )  # fmt: skip
            elif place.tail == manifest.tail or (manifest.tail == COURT and place.role in _OF_THE_COURT):
                self._named.add(one.name)
            else:
                self._refuse(f"{quote(names.manifest)} names {quote(one.name)}, which is not its own.")

    def _event(self, sealed: Sealed) -> Event:
        try:
            event = read_event(self._entries[sealed.names.event])
            if _depth((event.fields, event.data, [part.fields for part in event.parts])) > _DEEPEST:
                raise EventDamaged("its values are nested too deeply")
            return event
        except KeyError:
            raise Refusal(
                "event", SubIndication.FORMAT_FAILURE, f"{quote(sealed.names.manifest)} covers no event."
            ) from None
        except RecursionError:
            raise Refusal(
                "event", SubIndication.FORMAT_FAILURE, f"{quote(sealed.names.event)}: nested too deeply."
            ) from None
        except EventDamaged as error:
            raise Refusal(
                "event", SubIndication.FORMAT_FAILURE, f"{quote(sealed.names.event)}: {escape(str(error))}."
            ) from None

    def _outside(self, tails: set[str]) -> None:
        """Entries that no manifest names, though they must be, and those that belong to no manifest."""
        for name, place in self._places.items():
            if place.role in ("event", "beside", "court") and name not in self._named:
                self._refuse(f"{quote(name)} stands outside every sealed manifest.")
            elif place.role in _OF_A_SEAL and place.tail not in tails:
                self._refuse(f"{quote(name)} belongs to no manifest.")

    def _court_names_the_newest(self, layout: Layout) -> None:
        if layout.court is None or not layout.events:
            return
        newest = layout.events[-1][1].names.event
        references = [one.name for one in read_manifest(layout.court.manifest).references]
        if [one for one in references if one in self._places and self._places[one].role == "event"] != [newest]:
            self._refuse("The court package was sealed for another event than the newest one in the file.")

    def _kinds_of_the_events(self, layout: Layout) -> None:
        """Nothing vouches for a kind's file but an event that names it: any other is a foreign entry."""
        named = {event.kind.digest for event, _ in layout.events}
        for digest, content in layout.kinds.items():
            if digest not in named:
                self._refuse(f"{quote(kind_name(digest))} is of a kind that no event names.")
            elif len(content) > KIND_BYTES:
                self._refuse(f"{quote(kind_name(digest))} is larger than a kind's file.")
        if len(layout.kinds) > MOST_KINDS:
            self._refuse("There are more kinds than a letter has.")

    def _named_by_digest(self, name: str, place: Entry) -> None:
        if hashlib.sha256(self._entries[name]).hexdigest() != place.name:
            self._journal.refuse("helper", SubIndication.HASH_FAILURE, f"{quote(name)} is not what its name says.")

    def _refuse(self, text: str) -> None:
        self._journal.refuse("container", SubIndication.FORMAT_FAILURE, text)


def _depth(value: Any) -> int:
    """How deeply values are nested."""
    deepest, waiting = 0, [(value, 1)]
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        if isinstance(one, dict):
            waiting += [(inner, depth + 1) for inner in one.values()]
        elif isinstance(one, list | tuple):
            waiting += [(inner, depth + 1) for inner in one]
    return deepest


def _ordered(parsed: Mapping[str, tuple[Event, Sealed]]) -> list[tuple[Event, Sealed]]:
    """The first letter's events, then those of the letter that its last event makes, and so on."""
    letters: dict[str, list[tuple[Event, Sealed]]] = {}
    first: list[tuple[Event, Sealed]] = []
    for tail, one in sorted(parsed.items(), key=lambda item: item[1][0].number):
        (letters.setdefault(tail.partition("-")[0], []) if "-" in tail else first).append(one)
    ordered = first
    while ordered and letters:
        following = [part.letter for part in ordered[-1][0].parts if part.letter in letters]
        if not following:
            break
        ordered = ordered + letters.pop(following[0])
    # What is led to by nothing comes last, where following the line stops at it.
    return ordered + [one for left in letters.values() for one in left]
