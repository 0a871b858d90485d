"""As what the seals of an event are seen on pages: the seal objects that travel beside it (appliance.letters)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.ceremonies.canonical import instant
from appliance.ceremonies.errors import DocumentRefused
from appliance.evidence.findings import Journal, SubIndication
from appliance.letters.event import Event
from appliance.letters.seal_object import BESIDE, ON_DOCUMENT, SealObject, read_seal_object
from appliance.quoting import quote


def judge_seal_objects(
    event: Event, files: Mapping[str, bytes], seal: bytes, at_us: int | None, journal: Journal
) -> None:
    """Say which they are, and whether this key could be seen as them then. `seal`: the event's, DER; its key made the
    seals on the pages too. `at_us`: when the event says that it happened."""
    for name in (BESIDE, ON_DOCUMENT):
        if name in files:
            _judge(event, files[name], seal, at_us, journal)


def _judge(event: Event, text: bytes, seal: bytes, at_us: int | None, journal: Journal) -> None:
    try:
        found = read_seal_object(text)
        within = at_us is not None and (
            instant(found.not_before).timestamp() <= at_us / 1_000_000 <= instant(found.not_after).timestamp()
        )
    except DocumentRefused:
        journal.refuse("seal object", SubIndication.FORMAT_FAILURE, "The seal object beside the event is none.")
        return
    journal.note(
        "seal object",
        f"The seal is seen as the seal object {quote(found.seal)}, {quote(found.title)}, version {found.version}, "
        f"SHA-256 {hashlib.sha256(text).hexdigest()}; in force from {found.not_before} to {found.not_after}.",
    )
    journal.expect(
        within and not found.withdrawn and found.tenant == event.actor.tenant and _listed(found, seal),
        "seal object",
        "The seal object was the tenant's, in force then, and permits the certificate of the seal.",
        SubIndication.SIG_CONSTRAINTS_FAILURE,
        "The seal object was not the tenant's, not in force then, or does not permit the certificate of the seal.",
    )


def _listed(found: SealObject, seal: bytes) -> bool:
    try:
        certificates = pkcs7.load_der_pkcs7_certificates(seal)
    except ValueError:
        return False
    there = {hashlib.sha256(one.public_bytes(Encoding.DER)).hexdigest() for one in certificates}
    return not there.isdisjoint(found.certificates)
