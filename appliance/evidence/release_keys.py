"""Whether a release key is whose it is said to be (control VEIL): what a sender checks before it veils anything.

The key's certificate is by an authority of the trust bundle that certifies seals, in force and not revoked now, and for
a key that agrees on secrets and does nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.der import DerError
from appliance.errors import CinnabarError
from appliance.evidence.certificates import Certificate, read_certificate
from appliance.evidence.chains import Moment, check_chain
from appliance.evidence.findings import Indication, Journal, SubIndication
from appliance.evidence.strength import Relied
from appliance.evidence.trust import TrustBundle


class ReleaseKeyRefused(CinnabarError):
    """Nothing is to be veiled to this key."""

    code = "release-key-refused"
    status = 422
    title = "Nothing is to be veiled to this key"
    control = "VEIL"


@dataclass(frozen=True)
class CheckedReleaseKey:
    """A release key that counts now."""

    public_key: bytes
    """SubjectPublicKeyInfo, DER."""
    name: str
    """Of whose it is, as its certificate says, escaped for people."""
    organisation: str
    """As the certificate says it, unescaped; empty where it says none."""
    not_after_us: int


def check_release_key(chain: Sequence[bytes], trust: TrustBundle, now_us: int) -> CheckedReleaseKey:
    """`chain`: certificates, DER, the key's own first. Raises ReleaseKeyRefused with every finding."""
    try:
        certificates = [read_certificate(one) for one in chain]
    except DerError as error:
        raise ReleaseKeyRefused(f"its certificate cannot be read: {error}") from None
    if not certificates:
        raise ReleaseKeyRefused("it has no certificate")
    own, journal = certificates[0], Journal()
    authorities = [one for one in trust.authorities if one.role == "seal"]
    moment = Moment(now_us, "now", claimed_by_signer=False)
    check_chain(
        journal, own, certificates[1:], authorities, trust.revocation_lists, moment, Relied(trust.algorithms, now_us)
    )
    _check_purpose(journal, own)
    journal.complete()
    if journal.indication is not Indication.PASSED:
        raise ReleaseKeyRefused(" ".join(one.text for one in journal.checks if one.outcome in {"failed", "undecided"}))
    named = own.parsed.subject.native.get("organization_name", "")
    return CheckedReleaseKey(own.public_key, own.name, named if isinstance(named, str) else "", own.not_after_us)


def _check_purpose(journal: Journal, certificate: Certificate) -> None:
    usage = certificate.parsed.key_usage_value
    journal.expect(
        usage is not None and set(usage.native) == {"key_agreement"} and not certificate.parsed.ca,
        "purpose",
        "The certificate is one of a release key.",
        SubIndication.CHAIN_CONSTRAINTS_FAILURE,
        "The certificate is not one of a release key.",
    )
