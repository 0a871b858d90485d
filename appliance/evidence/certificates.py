"""Certificates, and the path from one to a certificate authority of the trust bundle (RFC 5280, section 6.1).

Paths are built and checked by pyhanko-certvalidator at a stated moment, with no fetching. Revocation is judged in
`appliance.evidence.revocation`, because RFC 3161 (section 4) asks more of it than RFC 5280 does.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, TypeVar

from asn1crypto import x509
from pyhanko_certvalidator.authority import CertTrustAnchor, derive_quals_from_cert
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import (
    CRLValidationError,
    ExpiredError,
    NotYetValidError,
    OCSPValidationError,
    PathBuildingError,
    PathError,
    ValidationError,
)
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import NO_REVOCATION, CertRevTrustPolicy
from pyhanko_certvalidator.validate import async_validate_path

from appliance.der import DerError, Reader
from appliance.evidence.findings import Refusal, SubIndication
from appliance.evidence.signatures import check_signature, read_algorithm
from appliance.instants import instant, microseconds
from appliance.quoting import escape

_T = TypeVar("_T")
_LARGEST = 64 * 1024
_PLAIN = frozenset(("common_name", "organization_name", "organizational_unit_name", "country_name"))

ASN1_TROUBLE = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError)
"""What asn1crypto raises on malformed input, besides its own."""


@dataclass(frozen=True)
class Certificate:
    """An X.509 certificate with what the checks ask for. Times are microseconds since 1970-01-01T00:00:00Z."""

    encoded: bytes
    serial: int
    issuer: bytes
    subject: bytes
    public_key: bytes
    not_before_us: int
    not_after_us: int
    name: str
    """The subject for people, already escaped."""
    parsed: x509.Certificate = field(compare=False, repr=False)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the whole certificate, hexadecimal."""
        return hashlib.sha256(self.encoded).hexdigest()


@functools.lru_cache(maxsize=64)
def read_certificate(encoded: bytes) -> Certificate:
    """Parse DER strictly enough to use it. Remembered, as the seals of a letter share theirs. Raises DerError."""
    if len(encoded) > _LARGEST:
        raise DerError(f"certificate of {len(encoded)} bytes")
    outer = Reader(encoded)
    body = outer.enter()
    outer.finish()
    _strict_fields(body.enter())
    try:
        parsed = x509.Certificate.load(encoded, strict=True)
        # Parse every extension and prepare the names (RFC 4518) now rather than in the middle of a check.
        _ = parsed.native, parsed.subject.hashable, parsed.issuer.hashable
        return Certificate(
            encoded=encoded,
            serial=parsed.serial_number,
            issuer=parsed.issuer.dump(),
            subject=parsed.subject.dump(),
            public_key=parsed.public_key.dump(),
            not_before_us=microseconds(parsed.not_valid_before),
            not_after_us=microseconds(parsed.not_valid_after),
            name=escape(_name(parsed.subject)),
            parsed=parsed,
        )
    except ASN1_TROUBLE as error:
        raise DerError(f"malformed certificate ({type(error).__name__})") from None


def _strict_fields(tbs: Reader) -> None:
    """What asn1crypto is lenient about: an extension that stands there twice (RFC 5280, section 4.2)."""
    while tbs:
        if tbs.peek() != 0xA3:
            tbs.raw()
            continue
        wrapped = tbs.enter(0xA3)
        extensions, seen = wrapped.enter(), set[str]()
        while extensions:
            oid = extensions.enter().oid()
            if oid in seen:
                raise DerError(f"certificate with extension {oid} twice")
            seen.add(oid)


def _name(subject: x509.Name) -> str:
    """For people: the values, common name first, in the manner of RFC 4514 where a kind must be told."""
    parts = [(part["type"].native, str(part["value"].native)) for rdn in subject.chosen for part in rdn]
    parts.reverse()
    parts.sort(key=lambda part: part[0] != "common_name")
    shown = [value if kind in _PLAIN else f"{kind}={value}" for kind, value in parts]
    return ", ".join(shown) or "(no name)"


def spoken(time_us: int) -> str:
    """A time for people: ISO 8601, UTC, as many fractional digits as are needed."""
    text = instant(time_us).replace(tzinfo=None).isoformat(sep=" ")
    return (text.rstrip("0") if "." in text else text) + " UTC"


def find_path(
    leaf: Certificate, others: Sequence[Certificate], anchors: Sequence[Certificate], moment_us: int
) -> tuple[Certificate, ...]:
    """The certificates from `leaf` to an anchor, both included, valid at the moment. Raises Refusal.

    `others` are untrusted helpers: they may lie in the checked file. Anchors only ever come from the trust bundle.
    """
    if not anchors:
        raise _no_chain("The trust bundle names no certificate authority for this purpose.")
    others = certified(others, anchors)
    try:
        context = ValidationContext(
            trust_roots=[_anchor(anchor) for anchor in anchors],
            other_certs=[other.parsed for other in others],
            moment=instant(moment_us),
            allow_fetching=False,
            time_tolerance=timedelta(0),
            revinfo_policy=CertRevTrustPolicy(NO_REVOCATION),
        )
        paths = _run(_paths(context, leaf.parsed))
    except PathBuildingError:
        paths = []
    except ASN1_TROUBLE as error:
        raise _no_chain(f"The certificates do not make a path ({type(error).__name__}).") from None
    if not paths:
        raise _no_chain(f"No path leads from “{leaf.name}” to a certificate authority of the trust bundle.")
    refusals: list[Refusal] = []
    for path in paths:
        try:
            certificates = _as_certificates(path)
            for lower, upper in pairwise(certificates):
                _check_issued(lower, upper)
            _run(async_validate_path(context, path))
        except (ExpiredError, NotYetValidError):
            refusals.append(
                Refusal(
                    "certificate path",
                    SubIndication.OUT_OF_BOUNDS_NO_POE,
                    f"A certificate on the path was not valid at {spoken(moment_us)}.",
                )
            )
        except (PathError, ValidationError, CRLValidationError, OCSPValidationError, *ASN1_TROUBLE) as error:
            refusals.append(
                Refusal(
                    "certificate path",
                    SubIndication.CHAIN_CONSTRAINTS_FAILURE,
                    f"The path to the certificate authority breaks a rule of RFC 5280: {escape(str(error))}",
                )
            )
        except Refusal as refusal:
            refusals.append(refusal)
        else:
            return certificates
    raise refusals[0]


def certified(others: Sequence[Certificate], anchors: Sequence[Certificate]) -> list[Certificate]:
    """The helpers that anchors certified, or those whom they certified: no other stands on a path.

    The library goes by names alone, and tries every order of them: ten certificates that name each other as their
    issuer, which anybody can make, took it minutes, and each further one ten times as long.
    """
    found: list[Certificate] = []
    left = [one for one in dict.fromkeys(others) if one not in anchors]
    issuers = list(anchors)
    while issuers and left:
        issued = [one for one in left if any(_issued(one, issuer) for issuer in issuers)]
        left = [one for one in left if one not in issued]
        found += issued
        issuers = issued
    return found


@functools.lru_cache(maxsize=1024)
def _issued(lower: Certificate, upper: Certificate) -> bool:
    """Whether one names the other as its issuer, and was signed by it. Remembered, as every signature in a file has the
    same helpers."""
    if lower.parsed.issuer.hashable != upper.parsed.subject.hashable:
        return False
    try:
        _check_issued(lower, upper)
    except (Refusal, DerError):
        return False
    return True


def _anchor(certificate: Certificate) -> CertTrustAnchor:
    """RFC 5280 asks an anchor for name and key alone; its validity, path length and names bind here too (RFC 5937)."""
    qualifiers = derive_quals_from_cert(certificate.parsed)
    parameters = qualifiers.standard_parameters
    if parameters is not None:
        # Which certificate policies count is for the bundle to say, not for the anchor.
        every = frozenset(("any_policy",))
        parameters = replace(parameters, user_initial_policy_set=every, initial_explicit_policy=False)
    # The library takes the last limit over whenever there is a path length, also when it is absent itself.
    limit = qualifiers.max_path_length
    return CertTrustAnchor(
        certificate.parsed, replace(qualifiers, standard_parameters=parameters, max_aa_path_length=limit)
    )


def _check_issued(lower: Certificate, upper: Certificate) -> None:
    """The issuer's signature, first: without it there is no path, whatever the names say. Raises Refusal."""
    body = Reader(lower.encoded).enter()
    signed, algorithm = body.raw(), read_algorithm(body)
    try:
        check_signature(upper.public_key, algorithm, None, body.bit_string(), signed)
    except Refusal as refusal:
        if refusal.sub_indication is SubIndication.SIG_CRYPTO_FAILURE:
            raise _no_chain(f"“{lower.name}” names “{upper.name}” as its issuer, but was not signed by it.") from None
        raise


def _as_certificates(path: ValidationPath) -> tuple[Certificate, ...]:
    return tuple(reversed([read_certificate(one.dump()) for one in path.iter_certs(include_root=True)]))


async def _paths(context: ValidationContext, leaf: x509.Certificate) -> list[ValidationPath]:
    paths: list[ValidationPath] = []
    async for path in context.path_builder.async_build_paths_lazy(leaf):
        if path.pkix_len == 0:
            continue  # a certificate authority of the bundle is no signer
        paths.append(path)
        if len(paths) == 8:  # enough for any honest file; a knot of cross-certificates shall not cost us time
            break
    return paths


def _run(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Run a coroutine that never waits: the library is asynchronous only for its fetching, which is off.

    So the verifier works inside and outside an event loop alike."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: _T = done.value
        return result
    coroutine.close()
    raise _no_chain("The path check asked for something outside the file and the trust bundle.")


def _no_chain(text: str) -> Refusal:
    return Refusal("certificate path", SubIndication.NO_CERTIFICATE_CHAIN_FOUND, text)
