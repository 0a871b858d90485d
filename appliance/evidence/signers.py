"""One signer of a CMS SignedData: which certificate, what it signed, and whether the signature fits.

The checks that stamps (RFC 3161) and seals (CAdES, ETSI EN 319 122-1) share, in the order of EN 319 102-1: format,
identification of the signing certificate (clause 5.2.3), cryptographic verification (clause 5.2.7).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from appliance.der import DerError, Reader
from appliance.evidence import cms
from appliance.evidence.certificates import Certificate, read_certificate
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.signatures import DIGEST_OIDS, Algorithm, check_signature, digest, digest_name, read_algorithm
from appliance.evidence.strength import Relied, Use, uses_of


def readable_certificates(encoded: Iterable[bytes]) -> tuple[Certificate, ...]:
    """The certificates that can be parsed, each once; the others cannot be of use to anyone."""
    found: dict[bytes, Certificate] = {}
    for one in encoded:
        try:
            found[one] = read_certificate(one)
        except DerError:
            continue
    return tuple(found.values())


def signing_certificate(journal: Journal, signer: cms.SignerInfo, candidates: Sequence[Certificate]) -> Certificate:
    """The certificate that the signer names, which the signed attribute signing-certificate-v2 must name too.

    Raises Refusal: NO_SIGNING_CERTIFICATE_FOUND, FORMAT_FAILURE, CRYPTO_CONSTRAINTS_FAILURE.
    """
    named = [one for one in candidates if names_certificate(signer, one)]
    if not named:
        raise Refusal(
            "signing certificate",
            SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
            "The certificate of the signer is neither in the file nor among those given.",
        )
    algorithm, certificate_digest, issuer_serial = _first_ess_certificate(signer.signed)
    name = digest_name(algorithm, "signing-certificate-v2 attribute")
    matching = [one for one in named if digest(name, one.encoded) == certificate_digest]
    if not matching or (issuer_serial is not None and issuer_serial != (matching[0].issuer, matching[0].serial)):
        raise Refusal(
            "signing certificate",
            SubIndication.NO_SIGNING_CERTIFICATE_FOUND,
            "The certificate that the signer names is not the one that the signed attribute binds.",
        )
    journal.passed("signing certificate", f"The signed attributes bind the certificate of “{matching[0].name}”.")
    return matching[0]


def names_certificate(signer: cms.SignerInfo, certificate: Certificate) -> bool:
    """Whether the signer identifier is this certificate's."""
    if signer.key_identifier is not None:
        return bool(certificate.parsed.key_identifier == signer.key_identifier)
    return signer.issuer == certificate.issuer and signer.serial == certificate.serial


def _first_ess_certificate(attributes: cms.Attributes) -> tuple[Algorithm, bytes, tuple[bytes, int] | None]:
    """ESSCertIDv2 of the signer: the first of SigningCertificateV2 (RFC 5035, section 3)."""
    reader = Reader(attributes.sole(cms.SIGNING_CERTIFICATE_V2, "signing-certificate-v2"))
    certificate = reader.enter().enter().enter()
    algorithm = Algorithm(DIGEST_OIDS["sha256"])
    if certificate.peek() == 0x30:
        algorithm = read_algorithm(certificate)
    certificate_digest = certificate.octet_string()
    issuer_serial = None
    if (named := certificate.enter_optional(0x30)) is not None:
        general_names = named.enter()
        directory_name = general_names.enter(0xA4)
        issuer_serial = (directory_name.raw(), named.integer())
        named.finish()
    certificate.finish()
    return algorithm, certificate_digest, issuer_serial


def check_attributes(journal: Journal, signer: cms.SignerInfo, content_type: str) -> None:
    """Content type and algorithm protection. Raises Refusal (FORMAT_FAILURE, SIG_CONSTRAINTS_FAILURE)."""
    if cms.identifier(signer.signed.sole(cms.CONTENT_TYPE, "content-type")) != content_type:
        raise Refusal(
            "signed attributes",
            SubIndication.FORMAT_FAILURE,
            "The content type that was signed is not the one that the file states.",
        )
    signer.signed.optional(cms.SIGNING_TIME, "signing-time")
    protection = signer.signed.optional(cms.ALGORITHM_PROTECTION, "cms-algorithm-protection")
    if protection is not None and not _protects(protection, signer):
        raise Refusal(
            "signed attributes",
            SubIndication.SIG_CONSTRAINTS_FAILURE,
            "The algorithms that were signed are not those that the file states (RFC 6211).",
        )
    journal.passed("signed attributes", "Each attribute that must be signed stands there once.")


def _protects(protection: bytes, signer: cms.SignerInfo) -> bool:
    inner = Reader(protection).enter()
    if read_algorithm(inner).oid != signer.digest_algorithm.oid or inner.peek() != 0xA1:
        return False
    implicit = inner.enter(0xA1)
    return implicit.oid() == signer.signature_algorithm.oid and implicit.rest() == signer.signature_algorithm.parameters


def signed_digest(signer: cms.SignerInfo) -> tuple[str, bytes]:
    """Name of the digest algorithm, and the digest of the content that was signed. Raises Refusal."""
    name = digest_name(signer.digest_algorithm, "signer")
    return name, cms.octets(signer.signed.sole(cms.MESSAGE_DIGEST, "message-digest"))


def check_signer_signature(journal: Journal, signer: cms.SignerInfo, certificate: Certificate) -> None:
    """The signature over the signed attributes. Raises Refusal."""
    check_signature(
        certificate.public_key,
        signer.signature_algorithm,
        digest_name(signer.digest_algorithm, "signer"),
        signer.signature,
        signer.signed_bytes,
    )
    journal.passed("signature", f"The signature was made with the private key of “{certificate.name}”.")


def check_signer_strength(
    journal: Journal, relied: Relied, signer: cms.SignerInfo, certificate: Certificate, what: str
) -> None:
    """Whether what the signature relies on had not ended: key, digests of what was signed and of the attributes, and
    the digest that binds the certificate. `what`: in words that begin a sentence."""
    name = digest_name(signer.digest_algorithm, "signer")
    uses = [*uses_of(certificate.public_key, signer.signature_algorithm, name), Use(name)]
    if signer.signed.optional(cms.SIGNING_CERTIFICATE_V2, "signing-certificate-v2") is not None:
        bound, _, _ = _first_ess_certificate(signer.signed)
        uses.append(Use(digest_name(bound, "signing-certificate-v2 attribute")))
    relied.check(journal, what, uses)
