"""What a letter keeps from some of its readers (control VEIL), held to what its events say: envelopes beside them, what
was opened, and hidden values with their disclosures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec
import rfc8785

from appliance.evidence.canonical import NotCanonical, check_canonical
from appliance.evidence.findings import Journal, SubIndication
from appliance.evidence.letters.facts import FieldFact
from appliance.evidence.letters.layout import Sealed
from appliance.evidence.letters.telling import field_facts
from appliance.letters.envelope import read_envelope
from appliance.letters.errors import DisclosureRefused, EnvelopeRefused
from appliance.letters.event import Event
from appliance.letters.hidden import read_disclosure
from appliance.letters.kind import Field
from appliance.letters.veil import check_opening
from appliance.quoting import escape, quote


class Confidential:
    """Of one letter, event by event, the oldest first."""

    def __init__(self, letter: str) -> None:
        self.disclosed: dict[str, Any] = {}
        """Values of the letter's hidden fields, as far as they are told."""
        self.hidden = 0
        """Hidden values that nothing in the file tells."""
        self._letter = letter
        self._files: dict[str, bytes] = {}
        """Those beside the events so far, by SHA-256."""
        self._sealed: dict[str, str] = {}
        """SHA-256 of the envelopes of veiled fields so far, by field."""

    def check_beside(self, event: Event, sealed: Sealed, journal: Journal) -> None:
        """Enter whether what an event names beside it is there, and whether what it opened was committed to."""
        there = {hashlib.sha256(content).hexdigest() for content in sealed.files.values()}
        self._files |= {hashlib.sha256(content).hexdigest(): content for content in sealed.files.values()}
        for name, salt in sorted(event.opened.items()):
            self._check_opened(name, salt, event.fields.get(name), journal)
        self._sealed |= event.sealed
        for name, digest in sorted(event.sealed.items()):
            if digest not in there:
                journal.note("envelope", f"The envelope of the encrypted field {quote(name)} is not in the file.")
        for one in event.receipts:
            journal.expect(
                one.digest in there,
                "receipt",
                f"The receipt {quote(one.number)} of {quote(one.registry)} is beside the event, byte for byte.",
                SubIndication.SIGNED_DATA_NOT_FOUND,
                f"The receipt {quote(one.number)} of {quote(one.registry)} is not in the file.",
            )

    def _check_opened(self, name: str, salt: str, value: Any, journal: Journal) -> None:
        """What was opened is what its sender committed to when the letter began (control VEIL)."""
        encoded = self._files.get(self._sealed.get(name, ""))
        if encoded is None:
            journal.refuse(
                "opening", SubIndication.SIGNED_DATA_NOT_FOUND,
                f"The envelope of the opened field {quote(name)} is not in the file.",
            )  # fmt: skip
            return
        try:
            held = check_opening(read_envelope(encoded).header.commitment, bytes.fromhex(salt), rfc8785.dumps(value))
        except (EnvelopeRefused, ValueError, RecursionError):
            held = False
        journal.expect(
            held,
            "opening",
            f"The opened field {quote(name)} is what its sender had committed to.",
            SubIndication.HASH_FAILURE,
            f"The opened field {quote(name)} is not what its sender had committed to.",
        )

    def disclosed_by(
        self, event: Event, encoded: bytes | None, declared: Mapping[str, Field], journal: Journal
    ) -> list[FieldFact]:
        """Hidden values of an event whose disclosures are in the file. `encoded`: these, None where there are none;
        `declared`: the kind's fields."""
        shown: dict[str, Any] = {}
        if encoded is not None:
            try:
                members = check_canonical(encoded)
                for name, text in msgspec.convert(members, dict[str, str]).items():
                    disclosure = read_disclosure(text)
                    if disclosure.name != name or disclosure.digest not in event.hidden:
                        raise DisclosureRefused("it is of no hidden field of this event")
                    shown[name] = disclosure.value
            except (NotCanonical, DisclosureRefused, msgspec.MsgspecError) as error:
                journal.refuse(
                    "disclosures",
                    SubIndication.HASH_FAILURE,
                    f"A disclosure is not the event's: {escape(str(error))}.",
                )
                return []
            journal.passed("disclosures", f"{len(shown)} hidden value(s) are those whose digests the event holds.")
        self.hidden += len(event.hidden) - len(shown)
        if event.letter == self._letter:
            if len(event.hidden) > len(shown):
                self.disclosed.clear()  # any of them may be what this event replaced, and does not tell
            self.disclosed |= shown
        return field_facts(shown, declared, "disclosed")
