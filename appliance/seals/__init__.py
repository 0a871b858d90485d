"""Seals: CAdES baseline signatures (ETSI EN 319 122-1), made in two pure steps around one call to the HSM.

`SealProfile.prepare*` gives the exact bytes to sign, `SealProfile.complete` the CMS, B-T where it is given a token;
`add_signature_timestamp` makes B-T of a B-B that is there already; `read_existing` reads a CMS for a further signature.
`export_prepared` and `import_prepared` carry a prepared seal to a client and back (two-step sealing); `canonical_json`
gives the bytes that are sealed of a JSON document. Nothing here reads a clock, a key or a file.
"""

from appliance.seals.attributes import NO_OPTIONS, SealOptions
from appliance.seals.canonical_json import canonical_json
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
from appliance.seals.further import ExistingSeal, read_existing
from appliance.seals.profile import PreparedSeal, SealProfile
from appliance.seals.signature_timestamp import add_signature_timestamp
from appliance.seals.signed_data import SignedData, parse_signed_data
from appliance.seals.two_step import export_prepared, import_prepared, prepared_digest

__all__ = [
    "NO_OPTIONS",
    "CertificateNotValid",
    "CertificateUnfit",
    "ContentMismatch",
    "ExistingSeal",
    "JsonRejected",
    "PreparedExpired",
    "PreparedRejected",
    "PreparedSeal",
    "SealOptions",
    "SealProfile",
    "SealRefused",
    "SignedData",
    "SignedDataRejected",
    "add_signature_timestamp",
    "canonical_json",
    "export_prepared",
    "import_prepared",
    "parse_signed_data",
    "prepared_digest",
    "read_existing",
]
