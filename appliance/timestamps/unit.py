"""A time-stamping unit: its profile, checked as a whole, and the two steps around each signature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance import der
from appliance.algorithms import SignatureScheme, UnknownAlgorithm, digest_algorithm, signature_scheme
from appliance.clock import Reading, TimeNotShown
from appliance.timestamps.certificate import (
    Validity,
    certificate_faults,
    issuer_and_serial,
    subject,
    unit_validity,
)
from appliance.timestamps.errors import FailureInfo, StampRejected, UnitFaults, UnitStopped
from appliance.timestamps.marks import HighWaterMark
from appliance.timestamps.request import NONCE_BYTES, RequestDecoder, imprint_heads
from appliance.timestamps.token import PreparedStamp, TokenBuilder, qualified_statement, tst_accuracy

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

    from appliance.box.settings import UnitSettings

_DAY_US = 86_400_000_000
_LONGEST_QUALIFIED_ACCURACY_US = 1_000_000


@dataclass(frozen=True, kw_only=True)
class UnitProfile:
    """Everything that a unit's tokens say, and the rules by which it grants them."""

    name: str
    scheme: SignatureScheme
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = ()
    """Certificates that go into tokens beside the unit's own, each the issuer of the one before."""
    default_policy: str
    """Dotted decimals."""
    accepted_policies: tuple[str, ...] = ()
    """Policies that a client may ask for, beside the default."""
    accuracy_us: int | None
    """Declared accuracy in microseconds, at least 1; None: none is declared (rehearsal only)."""
    ordering: bool = False
    tsa_name: bool = True
    """Whether tokens name the TSA: the certificate's subject as a directoryName."""
    qualified: bool = False
    """Whether tokens carry esi4-qtstStatement-1."""
    digests: tuple[str, ...] = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
    rehearsal: bool = False
    lanes: int = 1
    """Calls in flight at once on the unit's token, over all processes."""
    request_limit: int = 4096
    """The largest TimeStampReq in bytes."""
    sends_certificates: bool = True
    """Whether a request with certReq gets them; if not it is rejected with addInfoNotAvailable."""

    @classmethod
    def from_settings(
        cls, settings: UnitSettings, pem: bytes, *, rehearsal: bool, lanes: int = 1, request_limit: int = 4096
    ) -> Self:
        """The profile of a unit in box.json. `pem`: its certificate file; self-signed CAs in it are left out.

        Raises UnknownAlgorithm for the scheme, UnitFaults if the file holds no certificates.
        """
        try:
            certificate, *chain = x509.load_pem_x509_certificates(pem)
        except ValueError:
            raise UnitFaults(settings.name, ["the certificate file cannot be read"]) from None
        return cls(
            name=settings.name,
            scheme=signature_scheme(settings.scheme),
            certificate=certificate,
            chain=tuple(issuer for issuer in chain if issuer.issuer != issuer.subject),
            default_policy=settings.default_policy,
            accepted_policies=tuple(settings.accepted_policies),
            accuracy_us=settings.accuracy_us,
            ordering=settings.ordering,
            tsa_name=settings.tsa_name,
            qualified=settings.qualified,
            digests=tuple(settings.digests),
            rehearsal=rehearsal,
            lanes=lanes,
            request_limit=request_limit,
        )

    @property
    def validity(self) -> Validity:
        return unit_validity(self.certificate)


def _settings_faults(profile: UnitProfile) -> list[str]:
    faults = []
    for policy in (profile.default_policy, *profile.accepted_policies):
        try:
            der.oid(policy)
        except ValueError:
            faults.append(f"policy {policy!r} is not an object identifier")
    for digest in profile.digests:
        try:
            digest_algorithm(digest)
        except UnknownAlgorithm as error:
            faults.append(str(error))
    if not profile.digests:
        faults.append("no digest is accepted")
    if profile.accuracy_us is None and not profile.rehearsal:
        faults.append("only a rehearsal unit may do without an accuracy")
    if profile.accuracy_us is not None and profile.accuracy_us < 1:
        faults.append("the accuracy is not positive")
    if profile.ordering and profile.lanes != 1:
        faults.append("an ordering unit has one lane")
    if profile.qualified:
        if profile.rehearsal:
            faults.append("a rehearsal unit is never qualified")
        if profile.ordering:
            faults.append("a qualified unit does not claim ordering (EN 319 422)")
        if profile.accuracy_us is None or profile.accuracy_us > _LONGEST_QUALIFIED_ACCURACY_US:
            faults.append("a qualified unit declares an accuracy of one second or better (EN 319 422)")
    return faults


def check_unit_certificate(profile: UnitProfile, public_key: PublicKeyTypes, now_us: int) -> Validity:
    """Check a unit's settings and certificate against its key and the time. Raises UnitFaults with every fault."""
    faults = _settings_faults(profile)
    faults += certificate_faults(profile.certificate, list(profile.chain), profile.scheme, public_key, now_us)
    if faults:
        raise UnitFaults(profile.name, faults)
    return profile.validity


class TimeStampUnit:
    """Prepares and completes the stamps of one unit; signing stands between and belongs to the caller.

    The profile must have passed `check_unit_certificate`; the mark must have been given the durable mark.
    """

    def __init__(self, profile: UnitProfile, mark: HighWaterMark) -> None:
        self.profile = profile
        self._mark = mark
        self._validity = profile.validity
        self._accuracy_us = profile.accuracy_us
        self._policies = {der.oid(policy): policy for policy in (profile.default_policy, *profile.accepted_policies)}
        self._default_policy = der.oid(profile.default_policy)
        digests = [digest_algorithm(name) for name in profile.digests]
        self._digests = {digest.name: (digest.size, imprint_heads(digest)[0]) for digest in digests}
        self._decoder = RequestDecoder(digests, list(self._policies.values()), limit=profile.request_limit)
        certificate = profile.certificate.public_bytes(Encoding.DER)
        issuer, serial = issuer_and_serial(certificate)
        after_time = b"" if profile.accuracy_us is None else tst_accuracy(profile.accuracy_us)
        if profile.ordering:
            after_time += der.ENCODED_TRUE
        after_nonce = (
            der.tlv(der.context(0), der.tlv(der.context(4), subject(certificate))) if profile.tsa_name else b""
        )
        if profile.qualified:
            after_nonce += qualified_statement()
        self._builder = TokenBuilder(
            scheme=profile.scheme,
            certificate=certificate,
            chain=[issuer_certificate.public_bytes(Encoding.DER) for issuer_certificate in profile.chain],
            issuer=issuer,
            serial=serial,
            after_time=after_time,
            after_nonce=after_nonce,
        )

    def days_left(self, now_us: int) -> float:
        """Days until the unit stops: negative once it has."""
        return (self._validity.end_us - now_us) / _DAY_US

    def prepare(self, request: bytes, reading: Reading) -> PreparedStamp:
        """A stamp for a DER TimeStampReq at the time of the reading; the mark is taken (control TIME).

        Raises StampRejected, UnitStopped, TimeNotShown or TimeRanBackwards.
        """
        asked = self._decoder.decode(request)
        policy = asked.policy or self._default_policy
        return self._prepare(
            policy, asked.digest_name, asked.digest, asked.imprint, asked.nonce, asked.certificates, reading
        )

    def prepare_digest(
        self,
        digest_name: str,
        digest: bytes,
        reading: Reading,
        *,
        policy: str | None = None,
        nonce: int | None = None,
        certificates: bool = True,
    ) -> PreparedStamp:
        """The same for a client that gives a digest instead of DER; the same rules and errors."""
        size, head = self._digests.get(digest_name, (0, b""))
        if not head:
            raise StampRejected(FailureInfo.badAlg, f"digest {digest_name} is not accepted")
        if len(digest) != size:
            raise StampRejected(FailureInfo.badDataFormat, f"a digest of {digest_name} has {size} bytes")
        policy_der = self._default_policy
        if policy is not None:
            try:
                policy_der = der.oid(policy)
            except ValueError:
                raise StampRejected(FailureInfo.badDataFormat, "the policy is not an object identifier") from None
            if policy_der not in self._policies:
                raise StampRejected(FailureInfo.unacceptedPolicy, f"policy {policy} is not accepted")
        nonce_der = b"" if nonce is None else der.integer(nonce)
        if len(nonce_der) > 2 + NONCE_BYTES:
            raise StampRejected(FailureInfo.badRequest, f"the nonce is longer than {NONCE_BYTES} bytes")
        return self._prepare(policy_der, digest_name, digest, head + digest, nonce_der, certificates, reading)

    def _prepare(
        self,
        policy: bytes,
        digest_name: str,
        digest: bytes,
        imprint: bytes,
        nonce: bytes,
        certificates: bool,
        reading: Reading,
    ) -> PreparedStamp:
        if certificates and not self.profile.sends_certificates:
            raise StampRejected(FailureInfo.addInfoNotAvailable, "this unit does not send its certificates")
        if not self._validity.start_us <= reading.time_us < self._validity.end_us:
            raise UnitStopped(f"time-stamping unit {self.profile.name} is outside its validity")
        if self._accuracy_us is not None:
            if reading.error_us is None:
                raise TimeNotShown(f"the {reading.source} clock is not shown to be right")
            if reading.error_us > self._accuracy_us:
                raise TimeNotShown(f"the clock's error bound, {reading.error_us} us, is above the unit's accuracy")
        time_us = self._mark.take(reading.time_us)
        return self._builder.prepare(
            policy, self._policies[policy], digest_name, digest, imprint, nonce, time_us, certificates
        )

    def complete(self, prepared: PreparedStamp, signature: bytes) -> bytes:
        """The DER TimeStampToken, from the signature over `prepared.to_be_signed` (DER for ECDSA)."""
        return self._builder.complete(prepared, signature)
