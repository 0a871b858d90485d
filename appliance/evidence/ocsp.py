"""OCSP answers (RFC 6960) about one certificate, as boxes sign them in advance (RFC 5019) and put them into evidence.

An answer is signed by the issuer, or by whom the issuer certified for nothing else and for whom nobody has to ask again
(id-pkix-ocsp-nocheck), while that certificate is in force; one whose responder a list revokes is not used. It adds to
what lists say and takes nothing away: what one of them revokes stays revoked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from appliance.der import ENUMERATED, OCTET_STRING, SEQUENCE, DerError, Reader
from appliance.evidence.certificates import Certificate
from appliance.evidence.revocation import RevocationList, RevocationWord, Revoked, is_signed
from appliance.evidence.signatures import Algorithm, read_algorithm
from appliance.evidence.signers import readable_certificates

BASIC = "1.3.6.1.5.5.7.48.1.1"
"""id-pkix-ocsp-basic."""
NO_CHECK = "1.3.6.1.5.5.7.48.1.5"
# Not for security: they say which certificate is meant (RFC 6960, section 4.1.1); what is said of it is signed.
_NAMED_BY = {"1.3.14.3.2.26": "sha1", "2.16.840.1.101.3.4.2.1": "sha256"}
_LARGEST = 64 * 1024
_MOST_CERTIFICATES = 4


@dataclass(frozen=True)
class OcspAnswer:
    """A parsed answer; its signature is checked when it is used, against the issuer on the path."""

    named_by: str
    issuer_name: bytes
    """Digest of the issuer's name."""
    issuer_key: bytes
    """Digest of the issuer's public key."""
    serial: int
    this_update_us: int
    next_update_us: int | None
    revoked: Mapping[int, Revoked]
    signed: bytes = field(repr=False)
    algorithm: Algorithm
    signature: bytes = field(repr=False)
    responders: Sequence[Certificate] = field(repr=False)
    shown_us: int | None = None

    def tells(self, certificate: Certificate, issuer: Certificate, words: Sequence[RevocationWord]) -> bool:
        """Of one certificate alone."""
        try:
            names = [hashlib.new(self.named_by, one).digest() for one in (issuer.subject, _key_bits(issuer.public_key))]
            if certificate.serial != self.serial or names != [self.issuer_name, self.issuer_key]:
                return False
            return any(self._is_by(one, issuer, words) for one in (issuer, *self.responders))
        except DerError:  # in a certificate of a responder's: whoever adds one to a file refutes nothing by it
            return False

    def _is_by(self, responder: Certificate, issuer: Certificate, words: Sequence[RevocationWord]) -> bool:
        if responder != issuer and not _may_answer(responder, issuer, self.this_update_us, words):
            return False
        return is_signed(responder.public_key, self.algorithm, self.signature, self.signed)


def _may_answer(one: Certificate, issuer: Certificate, at_us: int, words: Sequence[RevocationWord]) -> bool:
    """Whether the issuer certified a responder, for this alone (RFC 6960, section 4.2.2.2), and takes no word of it
    back."""
    usage = one.parsed.extended_key_usage_value
    marks = {extension["extn_id"].dotted for extension in one.parsed["tbs_certificate"]["extensions"]}
    if usage is None or usage.native != ["ocsp_signing"] or one.parsed.ca or NO_CHECK not in marks:
        return False
    if one.issuer != issuer.subject or not one.not_before_us <= at_us <= one.not_after_us:
        return False
    body = Reader(one.encoded).enter()
    signed, algorithm = body.raw(), read_algorithm(body)
    if not is_signed(issuer.public_key, algorithm, body.bit_string(), signed):
        return False
    lists = [word for word in words if isinstance(word, RevocationList) and word.tells(one, issuer)]
    return not any(one.serial in word.revoked for word in lists)


def _key_bits(public_key: bytes) -> bytes:
    """The public key itself, without what kind of key it is."""
    key = Reader(public_key).enter()
    key.raw(SEQUENCE)
    return key.bit_string()


def read_ocsp_answer(encoded: bytes) -> OcspAnswer:
    """Parse an OCSPResponse of at most 64 KiB that tells of one certificate. Raises DerError."""
    if len(encoded) > _LARGEST:
        raise DerError(f"OCSP answer of {len(encoded)} bytes")
    outer = Reader(encoded)
    response = outer.enter()
    outer.finish()
    if response.integer(ENUMERATED, max_bytes=1) != 0:
        raise DerError("the OCSP responder gave no answer")
    explicit = response.enter(0xA0)
    response.finish()
    wrapped = explicit.enter()
    explicit.finish()
    if wrapped.oid() != BASIC:
        raise DerError("an OCSP answer of an unknown kind")
    whole = Reader(wrapped.read(OCTET_STRING))
    wrapped.finish()
    basic = whole.enter()
    whole.finish()
    signed, algorithm = basic.raw(SEQUENCE), read_algorithm(basic)
    signature = basic.bit_string()
    certificates: list[bytes] = []
    if (given := basic.enter_optional(0xA0)) is not None:
        members = given.enter()
        given.finish()
        while members and len(certificates) < _MOST_CERTIFICATES:
            certificates.append(members.raw())
        members.finish()
    basic.finish()
    return _answer(signed, algorithm, signature, certificates)


def _answer(signed: bytes, algorithm: Algorithm, signature: bytes, certificates: Sequence[bytes]) -> OcspAnswer:
    data = Reader(signed).enter()
    if data.enter_optional(0xA0) is not None:
        raise DerError("an OCSP answer of an unknown version")
    data.raw(0xA1 if data.peek() == 0xA1 else 0xA2)
    data.generalized_time()
    answers = data.enter()
    _refuse_critical(data.enter_optional(0xA1))
    data.finish()
    one = answers.enter()
    answers.finish()
    named = one.enter()
    named_by = _NAMED_BY.get(read_algorithm(named).oid)
    issuer_name, issuer_key, serial = named.octet_string(), named.octet_string(), named.integer()
    named.finish()
    if named_by is None:
        raise DerError("an OCSP answer that names its certificate in an unknown way")
    revoked = _status(one, serial)
    this_update_us = one.generalized_time()
    until = one.enter_optional(0xA0)
    next_update_us = None
    if until is not None:
        next_update_us = until.generalized_time()
        until.finish()
    _refuse_critical(one.enter_optional(0xA1))
    one.finish()
    return OcspAnswer(
        named_by=named_by, issuer_name=issuer_name, issuer_key=issuer_key, serial=serial,
        this_update_us=this_update_us, next_update_us=next_update_us, revoked=revoked, signed=signed,
        algorithm=algorithm, signature=signature, responders=readable_certificates(certificates),
    )  # fmt: skip


def _status(one: Reader, serial: int) -> dict[int, Revoked]:
    if one.peek() == 0x80:
        one.read(0x80)
        return {}
    if one.peek() != 0xA1:
        raise DerError("an OCSP answer that knows nothing of its certificate")
    revoked = one.enter(0xA1)
    time_us = revoked.generalized_time()
    reason = None
    if (explicit := revoked.enter_optional(0xA0)) is not None:
        reason = explicit.integer(ENUMERATED, max_bytes=1)
        explicit.finish()
    revoked.finish()
    return {serial: Revoked(time_us, reason)}


def _refuse_critical(wrapped: Reader | None) -> None:
    if wrapped is None:
        return
    extensions = wrapped.enter()
    wrapped.finish()
    while extensions:
        extension = extensions.enter()
        extension.oid()
        if extension.peek() != OCTET_STRING:
            raise DerError("an OCSP answer with a critical extension")
        extension.raw()
        extension.finish()
