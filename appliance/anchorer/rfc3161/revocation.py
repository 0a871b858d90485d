"""The revocation lists that a token's certificates name, and OCSP answers where there is no list, so that its receipt
can be judged without a network."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from appliance.anchorer.ledger import LedgerUnavailable
from appliance.anchorer.rfc3161.authority import fetch_answer, fetch_list
from appliance.der import DerError
from appliance.evidence.certificates import Certificate
from appliance.evidence.ocsp import read_ocsp_answer
from appliance.evidence.revocation import read_revocation_list

MOST_LISTS: Final = 8


class Found:
    """What was had, DER, and what was not."""

    def __init__(self) -> None:
        self.lists: list[bytes] = []
        self.answers: list[bytes] = []
        self.troubles: list[str] = []


async def find_revocation(
    certificates: Sequence[Certificate], issuers: Sequence[Certificate], more: Sequence[str], timeout_s: float
) -> Found:
    """The lists of a token's certificates, and an OCSP answer about each whose issuer has none. `issuers`: certificates
    of authorities beside the token's own; `more`: addresses of lists, given by hand. Each request takes `timeout_s` at
    most."""
    found, answered = Found(), set()
    for address in list_addresses(certificates, more):
        try:
            async with asyncio.timeout(timeout_s):
                one = await fetch_list(address, timeout_s)
            answered.add(read_revocation_list(one).issuer)
            found.lists.append(one)
        except LedgerUnavailable as error:
            found.troubles.append(str(error))
        except (TimeoutError, DerError) as error:
            found.troubles.append(f"the revocation list at {address}: {type(error).__name__}")
    unanswered = [one for one in certificates if one.issuer not in answered and one.issuer != one.subject]
    for address, request in _questions(unanswered, issuers):
        try:
            async with asyncio.timeout(timeout_s):
                one = await fetch_answer(address, request, timeout_s)
            read_ocsp_answer(one)
            found.answers.append(one)
        except LedgerUnavailable as error:
            found.troubles.append(str(error))
        except (TimeoutError, DerError) as error:
            found.troubles.append(f"the OCSP responder {address}: {type(error).__name__}")
    return found


def list_addresses(certificates: Iterable[Certificate], more: Sequence[str]) -> list[str]:
    """Addresses of plain HTTP or HTTPS where these certificates say that their issuers' lists are (RFC 5280, section
    4.2.1.13), after those given by hand; each once, at most eight."""
    found = list(more)
    for certificate in certificates:
        points = certificate.parsed.crl_distribution_points_value
        for point in points or ():
            name = point["distribution_point"]
            if name.name != "full_name":
                continue
            found += [one.native for one in name.chosen if one.name == "uniform_resource_identifier"]
    return _plain(found)[:MOST_LISTS]


def _questions(certificates: Sequence[Certificate], issuers: Sequence[Certificate]) -> Iterator[tuple[str, bytes]]:
    """Whom to ask about each certificate that names a responder (RFC 5280, section 4.2.2.1), and in which words: an
    OCSPRequest without a nonce, its certificate named by SHA-1, as every responder takes it (RFC 5019, section 2.1)."""
    for certificate in certificates[:MOST_LISTS]:
        addresses = _plain(certificate.parsed.ocsp_urls)
        issuer = next((one for one in issuers if one.subject == certificate.issuer), None)
        if not addresses or issuer is None:
            continue
        try:
            about, by = (x509.load_der_x509_certificate(one.encoded) for one in (certificate, issuer))
            made = ocsp.OCSPRequestBuilder().add_certificate(about, by, hashes.SHA1()).build()  # noqa: S303 - names it
        except ValueError:
            continue  # a certificate that asn1crypto reads and cryptography does not
        yield addresses[0], made.public_bytes(Encoding.DER)


def _plain(addresses: Iterable[str]) -> list[str]:
    """Those of HTTP and HTTPS, each once."""
    return [one for one in dict.fromkeys(addresses) if one.startswith(("http://", "https://"))]
