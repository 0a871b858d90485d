"""As what the seals of an event are seen on pages: the seal objects that travel beside it (appliance.letters)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from appliance.ceremonies.canonical import instant
from appliance.ceremonies.errors import DocumentRefused
from appliance.der import DerError
from appliance.evidence import cms
from appliance.evidence.context import Context
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.signers import readable_certificates, signing_certificate
from appliance.letters.event import Event
from appliance.letters.seal_object import BESIDE, ON_DOCUMENT, SealObject, read_seal_object
from appliance.quoting import quote


def judge_seal_objects(
    event: Event, files: Mapping[str, bytes], seal: bytes, at_us: int | None, context: Context, journal: Journal
) -> None:
    """Say which they are, and whether this key could be seen as them then: of an object that the verifier has from
    elsewhere too, by its SHA-256; for else it says of itself that it may be used. `seal`: the event's, DER; its key
    made the seals on the pages too. `at_us`: when the event says that it happened."""
    for name in (BESIDE, ON_DOCUMENT):
        if name in files:
            _judge(event, files[name], seal, at_us, context, journal)


def _judge(event: Event, text: bytes, seal: bytes, at_us: int | None, context: Context, journal: Journal) -> None:
    try:
        found = read_seal_object(text)
        within = at_us is not None and (
            instant(found.not_before).timestamp() <= at_us / 1_000_000 <= instant(found.not_after).timestamp()
        )
    except DocumentRefused:
        journal.refuse("seal object", SubIndication.FORMAT_FAILURE, "The seal object beside the event is none.")
        return
    digest = hashlib.sha256(text).hexdigest()
    journal.note(
        "seal object",
        f"The seal is seen as the seal object {quote(found.seal)}, {quote(found.title)}, version {found.version}, "
        f"SHA-256 {digest}; in force from {found.not_before} to {found.not_after}.",
    )
    if not (within and not found.withdrawn and found.tenant == event.actor.tenant and _listed(found, seal, context)):
        journal.refuse(
            "seal object",
            SubIndication.SIG_CONSTRAINTS_FAILURE,
            "The seal object was not the tenant's, not in force then, or does not permit the certificate of the seal.",
        )
    elif digest in context.digests:
        journal.passed(
            "seal object",
            "The seal object was the tenant's, in force then, and permits the certificate of the seal.",
        )
    else:
        journal.note(
            "seal object",
            "The seal object says that it was the tenant's, in force then, and permits the certificate of the seal; "
            "that officers registered it is said by the seal alone. Compare its SHA-256, and give it with --digest.",
        )


def _listed(found: SealObject, seal: bytes, context: Context) -> bool:
    """Whether it permits the certificates by which the seal was made; others travel in the seal too."""
    try:
        signed = cms.read_signed_data(seal)
        candidates = (*readable_certificates(signed.certificates), *context.others)
        made_by = [signing_certificate(Journal(), one, candidates) for one in signed.signers]
    except (DerError, Refusal):
        return False
    digests = {hashlib.sha256(one.encoded).hexdigest() for one in made_by}
    return bool(digests) and digests <= set(found.certificates)
