"""OCSP answers, made with other means than the product's (`cryptography`)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp

from firmware_tests.evidence.material import DAY, T0, Holder, certify

RESPONDING = x509.ExtendedKeyUsageOID.OCSP_SIGNING
NO_CHECK: tuple[x509.ExtensionType, bool] = (x509.OCSPNoCheck(), False)


def responder(issuer: Holder, **changes: Any) -> Holder:
    """Whom the issuer certified to answer, and for nothing else."""
    wanted: dict[str, Any] = {"eku": [RESPONDING], "eku_critical": False, "extra": [NO_CHECK]}
    return certify("OCSP", issuer, **(wanted | changes))


def answer(
    about: Holder,
    issuer: Holder,
    by: Holder,
    *,
    revoked: tuple[datetime, x509.ReasonFlags | None] | None = None,
    issued: datetime = T0 - DAY,
    until: datetime | None = T0 + 400 * DAY,
    named_by: hashes.HashAlgorithm | None = None,
) -> bytes:
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=about.certificate,
            issuer=issuer.certificate,
            algorithm=named_by or hashes.SHA256(),
            cert_status=ocsp.OCSPCertStatus.GOOD if revoked is None else ocsp.OCSPCertStatus.REVOKED,
            this_update=issued,
            next_update=until,
            revocation_time=None if revoked is None else revoked[0],
            revocation_reason=None if revoked is None else revoked[1],
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, by.certificate)
        .certificates([by.certificate])
    )
    return builder.sign(by.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]
