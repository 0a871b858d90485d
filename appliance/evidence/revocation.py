"""Certificate revocation lists (RFC 5280, section 5), judged for a moment that may lie in the past; and what else may
tell of a certificate, which is an OCSP answer (appliance.evidence.ocsp).

A list answers for a moment if it was in force then (thisUpdate <= moment <= nextUpdate) or was issued later. Of all
lists of an issuer everything that is revoked counts, since later lists may drop expired certificates; only a hold ends
when a later list no longer names it. Delta, indirect and partitioned lists are not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol

from appliance.der import BIT_STRING, ENUMERATED, GENERALIZED_TIME, INTEGER, SEQUENCE, UTC_TIME, DerError, Reader
from appliance.evidence.certificates import Certificate, spoken
from appliance.evidence.findings import Refusal, SubIndication
from appliance.evidence.signatures import Algorithm, check_signature, read_algorithm
from appliance.evidence.strength import Algorithms, Relied, uses_of

KEY_COMPROMISE_FREE = frozenset((0, 3, 4, 5))
"""Reason codes after which earlier stamps stay good (RFC 3161, section 4): unspecified, affiliationChanged, superseded,
cessationOfOperation. A missing reason is not among them."""
HOLD = 6

_REASON = "2.5.29.21"
_KNOWN_EXTENSIONS = frozenset(("2.5.29.20", "2.5.29.35"))
_LARGEST = 16 * 1024 * 1024


@dataclass(frozen=True)
class Revoked:
    """An entry of a list."""

    time_us: int
    reason: int | None


class RevocationWord(Protocol):
    """What tells whether certificates of an issuer are revoked: a list, or an answer about one of them."""

    @property
    def this_update_us(self) -> int: ...

    @property
    def next_update_us(self) -> int | None: ...

    @property
    def revoked(self) -> Mapping[int, Revoked]: ...

    @property
    def algorithm(self) -> Algorithm:
        """Of its signature."""
        ...

    @property
    def shown_us(self) -> int | None:
        """By when it is shown to have existed, for what it was signed with; 0: the trust bundle names it by its digest,
        so that it counts in any case."""
        ...

    def tells(self, certificate: Certificate, issuer: Certificate, words: Sequence[RevocationWord]) -> bool:
        """Whether it is about this certificate, and genuine. `words`: all that is at hand."""
        ...


@dataclass(frozen=True)
class RevocationList:
    """A parsed list; its signature is checked when it is used, against the issuer on the path."""

    issuer: bytes
    this_update_us: int
    next_update_us: int | None
    revoked: Mapping[int, Revoked]
    usable: bool
    """False for delta, indirect and partitioned lists, or with other critical extensions."""
    signed: bytes = field(repr=False)
    algorithm: Algorithm
    signature: bytes = field(repr=False)
    shown_us: int | None = None

    def tells(self, _certificate: Certificate, issuer: Certificate, _words: Sequence[RevocationWord] = ()) -> bool:
        """Of every certificate of its issuer."""
        usage = issuer.parsed.key_usage_value
        if not self.usable or self.issuer != issuer.subject or (usage is not None and "crl_sign" not in usage.native):
            return False
        return is_signed(issuer.public_key, self.algorithm, self.signature, self.signed)


@lru_cache(maxsize=16)
def is_signed(public_key: bytes, algorithm: Algorithm, signature: bytes, signed: bytes) -> bool:
    """Whether the key signed it. Remembered, as every event of a letter asks the same of the same lists and answers."""
    try:
        check_signature(public_key, algorithm, None, signature, signed)
    except Refusal:
        return False
    return True


def read_revocation_list(encoded: bytes) -> RevocationList:
    """Parse a CertificateList of at most 16 MiB. Raises DerError."""
    if len(encoded) > _LARGEST:
        raise DerError(f"CRL of {len(encoded)} bytes")
    outer = Reader(encoded)
    body = outer.enter()
    outer.finish()
    signed = body.raw(SEQUENCE)
    algorithm = read_algorithm(body)
    signature = body.bit_string() if body.peek() == BIT_STRING else body.read(BIT_STRING)
    body.finish()
    tbs = Reader(signed).enter()
    if tbs.peek() == INTEGER:
        tbs.integer(max_bytes=1)
    inner = read_algorithm(tbs)
    if inner != algorithm:
        raise DerError("CRL names two signature algorithms")
    issuer = tbs.raw(SEQUENCE)
    this_update_us = tbs.cms_time() * 1_000_000
    next_update_us = tbs.cms_time() * 1_000_000 if tbs.peek() in (UTC_TIME, GENERALIZED_TIME) else None
    revoked: dict[int, Revoked] = {}
    entries_usable = True
    if (entries := tbs.enter_optional(SEQUENCE)) is not None:
        entries_usable = _read_entries(entries, revoked)
    extensions_usable = True
    if (wrapped := tbs.enter_optional(0xA0)) is not None:
        extensions_usable = all(
            oid in _KNOWN_EXTENSIONS or not critical for oid, critical, _ in _extensions(wrapped.enter())
        )
    tbs.finish()
    return RevocationList(
        issuer=issuer,
        this_update_us=this_update_us,
        next_update_us=next_update_us,
        revoked=revoked,
        usable=entries_usable and extensions_usable,
        signed=signed,
        algorithm=algorithm,
        signature=signature,
    )


def _read_entries(entries: Reader, revoked: dict[int, Revoked]) -> bool:
    usable = True
    while entries:
        entry = entries.enter()
        serial, time_us, reason = entry.integer(), entry.cms_time() * 1_000_000, None
        if entry:
            for oid, critical, value in _extensions(entry.enter()):
                if oid == _REASON:
                    reason = Reader(value).integer(ENUMERATED, max_bytes=1)
                elif critical:
                    usable = False
        entry.finish()
        revoked[serial] = Revoked(time_us, reason)
    return usable


def _extensions(reader: Reader) -> list[tuple[str, bool, bytes]]:
    found: list[tuple[str, bool, bytes]] = []
    while reader:
        extension = reader.enter()
        oid = extension.oid()
        critical = extension.boolean() if extension.peek() == 0x01 else False
        found.append((oid, critical, extension.octet_string()))
        extension.finish()
    return found


def revocation_of(
    certificate: Certificate, issuer: Certificate, words: Sequence[RevocationWord], moment_us: int, now_us: int,
    algorithms: Algorithms,
) -> Revoked | None:  # fmt: skip
    """What the issuer's lists, and answers, say of the certificate: None if it is not revoked, now or at the moment.

    Raises Refusal (TRY_LATER) when none of the issuer answers for the moment. One from after `now` is not used, nor one
    whose signature anybody could have made by the time at which it is shown (`algorithms`).
    """
    genuine = [
        one
        for one in words
        if one.this_update_us <= now_us
        and one.tells(certificate, issuer, words)
        and not Relied(algorithms, now_us, one.shown_us).ended(uses_of(issuer.public_key, one.algorithm))
    ]
    if not any(_answers(one, moment_us) for one in genuine):
        raise Refusal(
            "revocation",
            SubIndication.TRY_LATER,
            f"No revocation list of “{issuer.name}” at hand was in force at {spoken(moment_us)} or issued later.",
        )
    newest = max(genuine, key=lambda one: one.this_update_us)
    found = [one.revoked[certificate.serial] for one in genuine if certificate.serial in one.revoked]
    final = [one for one in found if one.reason != HOLD]
    if final:
        return min(final, key=lambda one: one.time_us)
    return newest.revoked.get(certificate.serial)


def _answers(one: RevocationWord, moment_us: int) -> bool:
    return one.this_update_us >= moment_us or (one.next_update_us is not None and moment_us <= one.next_update_us)
