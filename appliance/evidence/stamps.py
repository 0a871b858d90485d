"""Time-stamp tokens (RFC 3161, RFC 5816, ETSI EN 319 422), judged at the time that they state.

The two deviations from EN 319 102-1, and why, are in docs/decisions/0005-verifier.md: a token is judged at its genTime,
also after its certificate has expired; and a later revocation only counts against it as RFC 3161, section 4, says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.ber import definite
from appliance.der import GENERALIZED_TIME, OCTET_STRING, DerError, Reader
from appliance.evidence import cms
from appliance.evidence.certificates import Certificate, spoken
from appliance.evidence.chains import Moment, check_chain
from appliance.evidence.context import Context
from appliance.evidence.findings import Indication, Journal, Refusal, SubIndication
from appliance.evidence.revocation import RevocationWord
from appliance.evidence.signatures import digest, digest_name, read_algorithm
from appliance.evidence.signers import (
    check_attributes,
    check_signer_signature,
    check_signer_strength,
    readable_certificates,
    signed_digest,
    signing_certificate,
)
from appliance.evidence.strength import NONE_ENDED, Algorithms, Relied
from appliance.evidence.trust import Authority
from appliance.quoting import escape

_TIME_STAMPING = "time_stamping"
_LONGEST_SERIAL_BITS = 160
_QUALIFIED_STATEMENTS = "1.3.6.1.5.5.7.1.3"
_KNOWN_EXTENSIONS = frozenset((_QUALIFIED_STATEMENTS,))


@dataclass(frozen=True)
class TimeStampInfo:
    """TSTInfo (RFC 3161, section 2.4.2). Times in microseconds since the epoch."""

    policy: str
    digest_name: str
    imprint: bytes
    serial: int
    time_us: int
    accuracy_us: int | None
    ordering: bool
    nonce: int | None
    tsa: bytes | None
    """Encoded GeneralName."""

    @property
    def latest_us(self) -> int:
        """The latest time that the token allows for: genTime and its accuracy."""
        return self.time_us + (self.accuracy_us or 0)


@dataclass(frozen=True)
class Stamp:
    """A token taken apart; nothing believed yet."""

    encoded: bytes
    signed_data: cms.SignedData
    info: TimeStampInfo

    @property
    def signature(self) -> bytes:
        """The signature value of its one signer."""
        return self.signed_data.signers[0].signature


@dataclass(frozen=True)
class StampTerms:
    """What tokens are judged by."""

    trusted: Sequence[Authority]
    """Authorities for time-stamps."""
    lists: Sequence[RevocationWord]
    others: Sequence[Certificate]
    """Certificates that help."""
    now_us: int
    algorithms: Algorithms = NONE_ENDED
    """Until when algorithms may be relied on."""


@dataclass(frozen=True)
class JudgedStamp:
    """A token and what the checks concluded about it, apart from what it is a stamp of."""

    stamp: Stamp
    journal: Journal
    authority: Authority | None
    name: str
    """Subject of the unit's certificate, escaped."""

    @property
    def indication(self) -> Indication:
        """The status of the token."""
        return self.journal.indication


def read_stamp(encoded: bytes) -> Stamp:
    """A TimeStampToken or a TimeStampResp that grants one. Raises DerError, Refusal (FORMAT_FAILURE)."""
    encoded = definite(encoded)
    outer = Reader(encoded)
    first = outer.enter()
    outer.finish()
    if first.peek() == 0x30:
        encoded = _token_of_response(first)
    signed_data = cms.read_signed_data(encoded)
    if signed_data.content_type != cms.TST_INFO or signed_data.content is None:
        raise DerError("the SignedData holds no TSTInfo")
    if len(signed_data.signers) != 1:
        raise DerError("a time-stamp token has one signer (RFC 3161, section 2.4.2)")
    return Stamp(encoded, signed_data, read_info(signed_data.content))


def _token_of_response(response: Reader) -> bytes:
    """The token of a TimeStampResp (RFC 3161, section 2.4.2)."""
    status = response.enter().integer(max_bytes=2)
    if status not in (0, 1) or not response:
        raise Refusal(
            "format",
            SubIndication.FORMAT_FAILURE,
            f"The time-stamping authority refused (status {status}): the response holds no token.",
        )
    token = response.raw()
    response.finish()
    return token


def read_info(encoded: bytes) -> TimeStampInfo:
    """A TSTInfo. Raises DerError, Refusal."""
    outer = Reader(encoded)
    reader = outer.enter()
    outer.finish()
    if reader.integer(max_bytes=1) != 1:
        raise DerError("TSTInfo of an unknown version")
    policy = reader.oid()
    imprint = reader.enter()
    algorithm = read_algorithm(imprint)
    hashed = imprint.octet_string()
    imprint.finish()
    serial = reader.integer()
    if reader.peek() != GENERALIZED_TIME:
        raise DerError("TSTInfo without genTime")
    time_us = reader.generalized_time()
    accuracy = reader.enter_optional(0x30)
    ordering = reader.boolean() if reader.peek() == 0x01 else False
    nonce = reader.integer() if reader.peek() == 0x02 else None
    tsa = None
    if (explicit := reader.enter_optional(0xA0)) is not None:
        tsa = explicit.raw()
        explicit.finish()
    if (extensions := reader.enter_optional(0xA1)) is not None:
        _check_extensions(extensions)
    reader.finish()
    return TimeStampInfo(
        policy=policy,
        digest_name=digest_name(algorithm, "message imprint"),
        imprint=hashed,
        serial=serial,
        time_us=time_us,
        accuracy_us=None if accuracy is None else _accuracy(accuracy),
        ordering=ordering,
        nonce=nonce,
        tsa=tsa,
    )


def _accuracy(reader: Reader) -> int:
    seconds = reader.integer(max_bytes=3) if reader.peek() == 0x02 else 0
    millis = reader.integer(0x80, max_bytes=2) if reader.peek() == 0x80 else None
    micros = reader.integer(0x81, max_bytes=2) if reader.peek() == 0x81 else None
    reader.finish()
    if seconds < 0 or any(part is not None and not 1 <= part <= 999 for part in (millis, micros)):
        raise DerError("accuracy out of its range (RFC 3161, section 2.4.2)")
    return seconds * 1_000_000 + (millis or 0) * 1000 + (micros or 0)


def _check_extensions(extensions: Reader) -> None:
    while extensions:
        extension = extensions.enter()
        oid = extension.oid()
        critical = extension.boolean() if extension.peek() == 0x01 else False
        extension.read(OCTET_STRING)
        extension.finish()
        if critical and oid not in _KNOWN_EXTENSIONS:
            raise Refusal(
                "extensions",
                SubIndication.SIG_CONSTRAINTS_FAILURE,
                f"The token has a critical extension, {escape(oid)}, that this verifier does not know.",
            )


def judge_stamp(
    stamp: Stamp, context: Context, *, nonce: int | None = None, proven_us: int | None = None,
    shown_us: int | None = None,
) -> JudgedStamp:  # fmt: skip
    """Every check of a token but that of its imprint. `proven_us`: shown by someone other than the box to have existed
    by then; `shown_us`: by anyone whom the trust bundle believes, for the algorithms that it relies on."""
    trust = context.trust
    terms = StampTerms(
        trust.trusted_for("tsa"), context.lists, context.others, context.now_us, algorithms=trust.algorithms
    )
    return judge_stamp_by(terms, stamp, nonce=nonce, proven_us=proven_us, shown_us=shown_us)


def judge_stamp_by(
    terms: StampTerms, stamp: Stamp, *, nonce: int | None = None, proven_us: int | None = None,
    shown_us: int | None = None,
) -> JudgedStamp:  # fmt: skip
    """As `judge_stamp`, by what somebody trusts who has no trust bundle."""
    journal = Journal()
    authority, name = None, "an unknown unit"
    relied = Relied(terms.algorithms, terms.now_us, proven_us).at(shown_us)
    try:
        authority, name = _judge(journal, stamp, terms, nonce, (proven_us, shown_us), relied)
    except Refusal as refusal:
        journal.add(refusal)
    except DerError as error:
        journal.refuse("format", SubIndication.FORMAT_FAILURE, f"Malformed: {escape(str(error))}.")
    return JudgedStamp(stamp, journal, authority, name)


def _judge(
    journal: Journal,
    stamp: Stamp,
    terms: StampTerms,
    nonce: int | None,
    seen_us: tuple[int | None, int | None],
    relied: Relied,
) -> tuple[Authority | None, str]:
    """`seen_us`: when others show that the token existed, and when anybody does whom the trust bundle believes."""
    info, signed_data, proven_us = stamp.info, stamp.signed_data, seen_us[0]
    signer = signed_data.signers[0]
    candidates = (*readable_certificates(signed_data.certificates), *terms.others)
    certificate = signing_certificate(journal, signer, candidates)
    check_attributes(journal, signer, cms.TST_INFO)
    name, message_digest = signed_digest(signer)
    assert signed_data.content is not None  # noqa: S101 - read_stamp saw to it
    if digest(name, signed_data.content) != message_digest:
        raise Refusal("signature", SubIndication.HASH_FAILURE, "What the token states is not what was signed.")
    check_signer_signature(journal, signer, certificate)
    check_signer_strength(journal, relied, signer, certificate, "The time-stamp's signature")
    _check_statement(journal, info, certificate, nonce, terms.now_us)
    first_us = min((one for one in seen_us if one is not None), default=None)
    if first_us is not None and info.time_us - (info.accuracy_us or 0) > first_us:
        stated, first = spoken(info.time_us), spoken(first_us)
        journal.refuse(
            "stated time",
            SubIndication.TIMESTAMP_ORDER_FAILURE,
            f"Contradiction: the stamp states {stated}, but others show that it existed no later than {first}."
            if first_us == proven_us
            else f"Contradiction: the stamp states {stated}, but a later one of the box's says that it existed at "
            f"{first}.",
        )
    _check_purpose(journal, certificate, info)
    moment = Moment(info.time_us, "the time that the stamp states", claimed_by_signer=True, proven_us=proven_us)
    authority = check_chain(journal, certificate, candidates, terms.trusted, terms.lists, moment, relied)
    if authority is not None:
        journal.expect(
            info.policy in authority.policies,
            "policy",
            f"The stamp was made under policy {info.policy}, which the trust bundle accepts.",
            SubIndication.SIG_CONSTRAINTS_FAILURE,
            f"The stamp was made under policy {info.policy}, which the trust bundle does not accept.",
        )
    journal.complete()
    return authority, certificate.name


def _check_statement(
    journal: Journal, info: TimeStampInfo, certificate: Certificate, nonce: int | None, now_us: int
) -> None:
    wide = f" ± {info.accuracy_us / 1_000_000:g} s" if info.accuracy_us is not None else " (no accuracy stated)"
    journal.note("stated time", f"The stamp states {spoken(info.time_us)}{wide}, serial number {info.serial:x}.")
    if info.serial <= 0 or info.serial.bit_length() > _LONGEST_SERIAL_BITS:
        journal.refuse(
            "serial number",
            SubIndication.SIG_CONSTRAINTS_FAILURE,
            "The serial number is not a positive number of at most 160 bits (RFC 3161, section 2.4.2).",
        )
    if info.time_us - (info.accuracy_us or 0) > now_us:
        journal.refuse(
            "stated time",
            SubIndication.TIMESTAMP_ORDER_FAILURE,
            "The stamp states a time that is still to come.",
        )
    if nonce is not None:
        journal.expect(
            info.nonce == nonce,
            "nonce",
            "The stamp carries the nonce that was given: it answers that request.",
            SubIndication.SIG_CONSTRAINTS_FAILURE,
            "The stamp does not carry the nonce that was given: it answers another request.",
        )
    if info.tsa is not None and not _is_name_of(info.tsa, certificate):
        journal.refuse(
            "authority's name",
            SubIndication.SIG_CONSTRAINTS_FAILURE,
            "The authority that the stamp names is not the one that its certificate names.",
        )


def _is_name_of(general_name: bytes, certificate: Certificate) -> bool:
    reader = Reader(general_name)
    if reader.peek() == 0xA4 and reader.enter(0xA4).raw() == certificate.subject:
        return True
    alternatives = certificate.parsed.subject_alt_name_value
    return alternatives is not None and any(one.dump() == general_name for one in alternatives)


def _check_purpose(journal: Journal, certificate: Certificate, info: TimeStampInfo) -> None:
    """A critical, sole extended key usage (RFC 3161, section 2.3), a key usage that fits, the key's own period."""
    parsed = certificate.parsed
    usage = parsed.extended_key_usage_value
    journal.expect(
        usage is not None and usage.native == [_TIME_STAMPING] and "extended_key_usage" in parsed.critical_extensions,
        "purpose",
        "The certificate is for time-stamping and nothing else, and says so critically.",
        SubIndication.CHAIN_CONSTRAINTS_FAILURE,
        "The certificate is not marked, critically and solely, as one for time-stamping (RFC 3161, section 2.3).",
    )
    key_usage = parsed.key_usage_value
    if key_usage is not None and not {"digital_signature", "non_repudiation"} & set(key_usage.native):
        journal.refuse(
            "purpose", SubIndication.CHAIN_CONSTRAINTS_FAILURE, "The certificate's key may not sign documents."
        )
    period = parsed.private_key_usage_period_value
    if period is not None:
        start, end = period["not_before"].native, period["not_after"].native
        stated = info.time_us / 1_000_000
        if (start is not None and stated < start.timestamp()) or (end is not None and stated > end.timestamp()):
            journal.refuse(
                "purpose",
                SubIndication.CHAIN_CONSTRAINTS_FAILURE,
                "The stamp states a time outside the period in which its key may be used.",
            )
