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
from appliance.seals.errors import CertificateNotValid, CertificateUnfit, SealRefused
from appliance.seals.further import ExistingSeal, read_existing

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
    existing: ExistingSeal | None
    """What the signature is added to."""


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
        self.certificates = [self.certificate.der, *self.certificate.chain]
        identifier = self.digest_algorithm.identifier
        self._constant_attributes = [
            signing_certificate_v2(self.certificate.der, self.digest_algorithm.name, identifier),
            algorithm_protection(identifier, self.scheme.identifier),
        ]
        self._signer_info = cms.signer_info_assembler(
            self.certificate.issuer_and_serial, identifier, self.scheme.identifier
        )
        self._detached = cms.detached_assembler(self._signer_info, identifier, self.certificates)
        self._template = lru_cache(maxsize=256)(self._make_template)
        self._plain_template = self._template(NO_OPTIONS, _UTC_TIME_ATTRIBUTE_SIZE)
        self._timeless_template = self._make_template(NO_OPTIONS, 0)
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
        self._check_digest(digest, digest_algorithm)
        return self._prepare(digest, time_us // 1_000_000, options)

    def prepare_timeless(self, digest: bytes, digest_algorithm: str, time_us: int) -> PreparedSeal:
        """As `prepare`, without a signing-time attribute: in a PDF the signature dictionary says it, and the attribute
        must not be there (ETSI EN 319 142-1, section 6.3). Raises SealRefused, CertificateNotValid."""
        self._check_digest(digest, digest_algorithm)
        time = time_us // 1_000_000
        self._check_time(time)
        return PreparedSeal(self._timeless_template(b"", digest), digest, time, NO_OPTIONS, None, None)

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
        if digest is not None:
            self._check_digest(digest, self.digest_algorithm.name)
        return self.prepare_beside(
            read_existing(existing, self.digest_algorithm, self.certificates, digest=digest, document=document),
            time_us,
            options,
        )

    def prepare_beside(self, existing: ExistingSeal, time_us: int, options: SealOptions = NO_OPTIONS) -> PreparedSeal:
        """As `prepare_further`, of a CMS that was read elsewhere. Raises SealRefused, CertificateNotValid.

        The signed attributes are made here, of the digest and nothing else that `existing` holds.
        """
        self._check_digest(existing.digest, self.digest_algorithm.name)
        return self._prepare(existing.digest, time_us // 1_000_000, options, None, existing)

    def _prepare(
        self,
        digest: bytes,
        time: int,
        options: SealOptions,
        content: bytes | None = None,
        existing: ExistingSeal | None = None,
    ) -> PreparedSeal:
        last, attribute = self._last_time
        if time != last:
            self._check_time(time)
            attribute = signing_time(time)
            self._last_time = (time, attribute)
        fill = self._plain_template
        if options is not NO_OPTIONS or len(attribute) != _UTC_TIME_ATTRIBUTE_SIZE:
            fill = self._template(options, len(attribute))
        return PreparedSeal(fill(attribute, digest), digest, time, options, content, existing)

    def complete(self, prepared: PreparedSeal, signature: bytes, timestamp: bytes | None = None) -> bytes:
        """The CMS ContentInfo, DER, from a prepared seal and the signature value over its `to_be_signed`.

        `signature` is in X.509 form: DER for ECDSA, the bare value otherwise. With `timestamp`, an RFC 3161 token over
        the signature value, the seal is B-T: as add_signature_timestamp makes it, without reading anything again.
        """
        unsigned = b"" if timestamp is None else cms.timestamp_attributes(timestamp)
        if prepared.content is None and prepared.existing is None:
            return self._detached(prepared.to_be_signed, signature, unsigned)
        signer = self._signer_info(prepared.to_be_signed, signature, unsigned)
        if prepared.existing is not None:
            return cms.content_info(prepared.existing.head, [*prepared.existing.signers, signer])
        before = cms.head(1, [self.digest_algorithm.identifier], prepared.content, self.certificates, None)
        return cms.content_info(before, [signer])

    def _check_time(self, time: int) -> None:
        if not self.certificate.not_before <= time <= self.certificate.not_after:
            raise CertificateNotValid(f"the certificate of {self.name} is not valid at the signing time")

    def _check_digest(self, digest: bytes, digest_algorithm: str) -> None:
        own = self.digest_algorithm
        if digest_algorithm != own.name:
            raise SealRefused(f"the seal key {self.name} seals {own.name} digests, not {digest_algorithm[:32]}")
        if len(digest) != own.size:
            raise SealRefused(f"a {own.name} digest has {own.size} bytes, not {len(digest)}")
