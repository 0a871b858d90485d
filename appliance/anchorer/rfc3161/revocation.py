"""The revocation lists that a token's certificates name, so that its receipt can be judged without a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from appliance.evidence.certificates import ASN1_TROUBLE, Certificate

MOST_LISTS: Final = 8


def list_addresses(
    certificates: Sequence[Certificate], trusted: Sequence[Certificate], more: Sequence[str]
) -> list[str]:
    """Addresses of plain HTTP or HTTPS where these certificates say that their issuers' lists are (RFC 5280, section
    4.2.1.13), after those given by hand; each once, at most eight.

    Only certificates that a trusted one issued, or one of these that it did, are asked: whoever answers in an
    authority's place can put any certificate beside a token, and would have the box fetch any address inside."""
    found = list(more)
    for certificate in _issued(certificates, trusted):
        try:
            points = certificate.parsed.crl_distribution_points_value or ()
            names = [point["distribution_point"] for point in points]
            full = [one for name in names if name.name == "full_name" for one in name.chosen]
            found += [one.native for one in full if one.name == "uniform_resource_identifier"]
        except ASN1_TROUBLE:
            continue
    wanted = [one for one in dict.fromkeys(found) if one.startswith(("http://", "https://"))]
    return wanted[:MOST_LISTS]


def _issued(certificates: Sequence[Certificate], trusted: Sequence[Certificate]) -> list[Certificate]:
    """In their order, those that lead to a trusted certificate by their signatures."""
    issuers, left = list(trusted), list(certificates)
    found: list[Certificate] = []
    while True:
        more = [one for one in left if any(_issued_by(one, issuer) for issuer in issuers)]
        if not more:
            return [one for one in certificates if one in found]
        found += more
        issuers += more
        left = [one for one in left if one not in more]


def _issued_by(certificate: Certificate, issuer: Certificate) -> bool:
    if certificate.issuer != issuer.subject:
        return False
    try:
        lower, upper = map(x509.load_der_x509_certificate, (certificate.encoded, issuer.encoded))
        lower.verify_directly_issued_by(upper)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True
