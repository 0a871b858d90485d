"""Seals: CAdES baseline signatures (ETSI EN 319 122-1), made in two pure steps around one call to the HSM.

`SealProfile.prepare*` gives the exact bytes to sign, `SealProfile.complete` the CMS; `add_signature_timestamp` makes
B-T of B-B. Nothing here reads a clock, a key or a file.
"""

from appliance.seals.attributes import NO_OPTIONS, SealOptions
from appliance.seals.errors import (
    CertificateNotValid,
    CertificateUnfit,
    ContentMismatch,
    JsonRejected,
    PreparedExpired,
    PreparedRejected,
    SealRefused,
    SignedDataRejected,
)
from appliance.seals.profile import PreparedSeal, SealProfile

__all__ = [
    "NO_OPTIONS",
    "CertificateNotValid",
    "CertificateUnfit",
    "ContentMismatch",
    "JsonRejected",
    "PreparedExpired",
    "PreparedRejected",
    "PreparedSeal",
    "SealOptions",
    "SealProfile",
    "SealRefused",
    "SignedDataRejected",
]
