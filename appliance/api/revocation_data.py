"""What a verifier needs of a seal later: certificates, and the newest revocation lists of those who issued them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.errors import Conflict
from appliance.pdf import ValidationData

if TYPE_CHECKING:
    from appliance.api.units import SealingKey, StampingUnit
    from appliance.api.worker import Worker


class RevocationUnknown(Conflict):
    """The box has no revocation list of an authority that issued a certificate of the seal or of its time-stamp."""

    code = "revocation-unknown"
    status = 409
    title = "The box has no revocation list for a seal of this level"


async def validation_data(worker: Worker, key: SealingKey, unit: StampingUnit) -> ValidationData:
    """Raises RevocationUnknown."""
    profile = unit.unit.profile
    stamps = [one.public_bytes(Encoding.DER) for one in (profile.certificate, *profile.chain)]
    certificates = list(dict.fromkeys([*key.profile.certificates, *stamps]))
    now_us = worker.clock.read().time_us
    found = [await worker.recorder.query("list_at", one.name, now_us) for one in worker.settings.authorities]
    lists = {x509.load_der_x509_crl(one).issuer: one for one in found if one is not None}
    needed = []
    for encoded in certificates:
        certificate = x509.load_der_x509_certificate(encoded)
        if certificate.issuer == certificate.subject:
            continue
        if certificate.issuer not in lists:
            raise RevocationUnknown(f"there is no list of {certificate.issuer.rfc4514_string()} on this box")
        needed.append(lists[certificate.issuer])
    return ValidationData(certificates=certificates, crls=list(dict.fromkeys(needed)))
