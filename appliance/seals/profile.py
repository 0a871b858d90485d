"""A seal key's profile: what it seals, and the two steps of doing so.

    prepared = profile.prepare(digest, "sha256", now_us)      # pure
    signature = key.sign(prepared.to_be_signed)               # the caller's: HSM, lane, count
    cms = profile.complete(prepared, signature)               # pure

The exact bytes that are signed are the DER SET OF signed attributes. They are always built here from a digest, a time
and a checked set of options, never taken from a caller, so that a seal key signs seals of its profile and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from functools import lru_cache

import msgspec
from cryptography import x509

from appliance.algorithms import signature_scheme
from appliance.seals import cms
from appliance.seals.attributes import (
    NO_OPTIONS,
    SealOptions,
    Template,
    algorithm_protection,
    optional_attributes,
    signing_certificate_v2,
    signing_time,
    template,
)
from appliance.seals.certificates import check_seal_certificate
from appliance.seals.errors import (
    CertificateNotValid,
    CertificateUnfit,
    ContentMismatch,
    SealRefused,
    SignedDataRejected,
)
from appliance.seals.signed_data import MAX_SIGNERS, SignedData, check_coverage, parse_signed_data

_UTC_TIME_ATTRIBUTE_SIZE = len(signing_time(0))


class PreparedSeal(msgspec.Struct, frozen=True, gc=False):
    """A seal before its signature. `to_be_signed` goes to the key."""

    to_be_signed: bytes
    """The DER SET OF signed attributes, whole."""
    digest: bytes
    """Digest of the sealed content, by the profile's digest algorithm."""
    time: int
    """Signing time that the seal claims, seconds since the epoch."""
    options: SealOptions
    content: bytes | None
    """The document that an enveloping seal carries."""
    existing: SignedData | None
    """What the signature is added to."""
    existing_digest: bytes | None
    """SHA-256 of the CMS that the signature is added to."""


class SealProfile:
    """What one seal key seals: immutable, shared by all requests of a process.

    `certificates` are the key's own and then its chain, issuer first; they are all put into the seals. `scheme` is a
    name of appliance.algorithms. `digests` lists what the settings allow; of these the profile makes seals over the
    scheme's own digest alone, because a SignerInfo has one digest algorithm for its content and for its signature
    (RFC 5652, section 5.3).

    Raises CertificateUnfit, UnknownAlgorithm.
    """

    def __init__(
        self,
        name: str,
        certificates: Sequence[x509.Certificate],
        scheme: str,
        digests: Collection[str] = ("sha256", "sha384", "sha512"),
    ) -> None:
        self.name = name
        self.scheme = signature_scheme(scheme)
        self.digest_algorithm = self.scheme.digest
        if self.digest_algorithm.name not in digests:
            raise CertificateUnfit(f"{scheme} seals {self.digest_algorithm.name}, which the settings do not list")
        self.certificate = check_seal_certificate(certificates, self.scheme)
        self.certificate_digest = hashlib.sha256(self.certificate.der).digest()
        self._all_certificates = [self.certificate.der, *self.certificate.chain]
        identifier = self.digest_algorithm.identifier
        self._constant_attributes = [
            signing_certificate_v2(self.certificate.der, self.digest_algorithm.name, identifier),
            algorithm_protection(identifier, self.scheme.identifier),
        ]
        self._signer_info = cms.signer_info_assembler(
            self.certificate.issuer_and_serial, identifier, self.scheme.identifier
        )
        self._detached = cms.detached_assembler(self._signer_info, identifier, self._all_certificates)
        self._template = lru_cache(maxsize=256)(self._make_template)
        self._plain_template = self._template(NO_OPTIONS, _UTC_TIME_ATTRIBUTE_SIZE)
        self._last_time = (-1, b"")

    def _make_template(self, options: SealOptions, time_attribute_size: int) -> Template:
        constant = self._constant_attributes + optional_attributes(options)
        return template(constant, time_attribute_size, self.digest_algorithm.size)

    def prepare(
        self, digest: bytes, digest_algorithm: str, time_us: int, options: SealOptions = NO_OPTIONS
    ) -> PreparedSeal:
        """Prepare a detached seal over content known by its digest alone.

        `time_us` is the signing time in microseconds since the epoch; a seal claims whole seconds. Raises SealRefused
        when the digest is not one of the profile's algorithm, CertificateNotValid.
        """
        if digest_algorithm != self.digest_algorithm.name or len(digest) != self.digest_algorithm.size:
            self._refuse_digest(digest, digest_algorithm)
        return self._prepare(digest, time_us // 1_000_000, options)

    def prepare_document(
        self, document: bytes, time_us: int, options: SealOptions = NO_OPTIONS, *, enveloping: bool = False
    ) -> PreparedSeal:
        """Prepare a seal over a document, which an enveloping seal carries within. Raises CertificateNotValid."""
        digest = self.digest_algorithm.digest(document)
        return self._prepare(digest, time_us // 1_000_000, options, document if enveloping else None)

    def prepare_further(
        self,
        existing: bytes,
        time_us: int,
        options: SealOptions = NO_OPTIONS,
        *,
        digest: bytes | None = None,
        document: bytes | None = None,
    ) -> PreparedSeal:
        """Prepare a further, parallel signature on a CMS that someone brings, detached or enveloping.

        For a detached one give the digest (by the profile's algorithm) or the document. The existing signatures are
        compared with it by their message digests; they are not verified, and the new one says nothing about them.
        Raises SignedDataRejected, ContentMismatch, SealRefused, CertificateNotValid.
        """
        parsed = parse_signed_data(existing)
        if len(parsed.signers) >= MAX_SIGNERS:
            raise SignedDataRejected(f"the CMS already has {MAX_SIGNERS} signers")
        if parsed.content is not None:
            if document is not None and document != parsed.content:
                raise ContentMismatch("the CMS carries another document than the one given")
            document = parsed.content
        if document is not None:
            covered = self.digest_algorithm.digest(document)
            if digest is not None and digest != covered:
                raise ContentMismatch("the digest given is not that of the document")
            digest = covered
        if digest is None:
            raise SealRefused("the CMS is detached: give the digest or the document that it covers")
        if len(digest) != self.digest_algorithm.size:
            self._refuse_digest(digest, self.digest_algorithm.name)
        check_coverage(parsed, self.digest_algorithm.oid, digest, document)
        whole = hashlib.sha256(existing).digest()
        return self._prepare(digest, time_us // 1_000_000, options, parsed.content, parsed, whole)

    def _prepare(
        self,
        digest: bytes,
        time: int,
        options: SealOptions,
        content: bytes | None = None,
        existing: SignedData | None = None,
        existing_digest: bytes | None = None,
    ) -> PreparedSeal:
        last, attribute = self._last_time
        if time != last:
            if not self.certificate.not_before <= time <= self.certificate.not_after:
                raise CertificateNotValid(f"the certificate of {self.name} is not valid at the signing time")
            attribute = signing_time(time)
            self._last_time = (time, attribute)
        fill = self._plain_template
        if options is not NO_OPTIONS or len(attribute) != _UTC_TIME_ATTRIBUTE_SIZE:
            fill = self._template(options, len(attribute))
        return PreparedSeal(fill(attribute, digest), digest, time, options, content, existing, existing_digest)

    def complete(self, prepared: PreparedSeal, signature: bytes) -> bytes:
        """The CMS ContentInfo, DER, from a prepared seal and the signature value over its `to_be_signed`.

        `signature` is in X.509 form: DER for ECDSA, the bare value otherwise.
        """
        if prepared.content is None and prepared.existing is None:
            return self._detached(prepared.to_be_signed, signature)
        signer = self._signer_info(prepared.to_be_signed, signature)
        digest = self.digest_algorithm
        if prepared.existing is not None:
            forms = [digest.identifier, digest.identifier_with_null]
            return cms.with_signer(prepared.existing, signer, forms, self._all_certificates)
        return cms.content_info(1, [digest.identifier], prepared.content, self._all_certificates, None, [signer])

    def _refuse_digest(self, digest: bytes, digest_algorithm: str) -> None:
        own = self.digest_algorithm
        if digest_algorithm != own.name:
            raise SealRefused(f"the seal key {self.name} seals {own.name} digests, not {digest_algorithm[:32]}")
        raise SealRefused(f"a {own.name} digest has {own.size} bytes, not {len(digest)}")
