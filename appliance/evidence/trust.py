"""What makes a trust bundle believed: pure functions of its bytes and of what the verifier has seen before.

The rules, in the order they are checked:

1. sizes, canonical form, known members only;
2. the signature is by the key that the bundle names as its signer;
3. that key is one the verifier already trusts: given, or pinned, or named as successor by a version it has seen;
4. the version is not older than the highest seen, the same version is the same bytes, the next one names its digest;
5. rehearsal stays rehearsal: the flag never changes, and names of logs and of the box's authorities say which it is;
6. every CRL file is there with the digest that the bundle states;
7. each witness's key stands once, and policies on witnesses can hold;
8. the box does not speak for others: no witness has a log's key, no ledger of time-stamps an authority of the box's;
9. a log that succeeds another one follows one that has ended, under another hash, and is the only one to.

Whether it has expired depends on the time of validation and is judged by `appliance.evidence.verify`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.anchors.profile import LedgerProfile
from appliance.der import DerError
from appliance.evidence.bundle import (
    BUNDLE,
    HISTORY,
    LARGEST_BUNDLE,
    LARGEST_CRL,
    SIGNATURE,
    AlgorithmEnd,
    AuthorityCompromise,
    AuthorityEntry,
    BundleDocument,
    LedgerEntry,
    RevocationListEntry,
    Role,
    TimeClass,
    TrustRefused,
    WitnessEntry,
)
from appliance.evidence.canonical import NotCanonical, check_canonical, read_json
from appliance.evidence.certificates import Certificate, read_certificate
from appliance.evidence.revocation import RevocationList, read_revocation_list
from appliance.evidence.strength import NONE_ENDED, Algorithms, algorithms_of
from appliance.instants import microseconds
from appliance.log.checkpoint import LogKey
from appliance.log.errors import MalformedNote
from appliance.log.note import COSIGNATURE_V1, ED25519, VerifierKey
from appliance.log.successor import last_size
from appliance.quoting import escape, quote
from appliance.tree_hash import hash_of


@dataclass(frozen=True)
class Pin:
    """What a verifier keeps of the highest bundle it has seen; or only a key that it was given."""

    keys: frozenset[bytes]
    """SubjectPublicKeyInfos that may sign what comes next."""
    version: int = 0
    digest: str | None = None
    constitution: str | None = None
    rehearsal: bool | None = None

    @classmethod
    def of(cls, document: BundleDocument, digest: str) -> Pin:
        """What a believed version leaves: its signer and the successors it names may sign the next one."""
        keys = frozenset(_decode(key) for key in (document.signer, *document.successors))
        return cls(keys, document.version, digest, document.constitution, document.rehearsal)


@dataclass(frozen=True)
class Authority:
    """A trusted certificate authority."""

    certificate: Certificate
    role: Role
    party: str
    time_class: TimeClass
    policies: frozenset[str]
    compromised_us: int | None = None
    """Since when its key is declared to be somebody else's."""


@dataclass(frozen=True)
class CosigningRule:
    """Which witnesses must have cosigned a log's heads up to a size."""

    witnesses: frozenset[str]
    quorum: int
    last_size: int | None


@dataclass(frozen=True)
class TrustBundle:
    """A bundle that was read, checked and believed."""

    document: BundleDocument
    digest: str
    issued_us: int
    expires_us: int
    authorities: tuple[Authority, ...]
    revocation_lists: tuple[RevocationList, ...] = field(repr=False)
    logs: Mapping[str, tuple[LogKey, ...]]
    """The keys of each trusted log, by its origin."""
    witnesses: tuple[VerifierKey, ...]
    """Those whose cosignatures count."""
    revoked_witnesses: Mapping[tuple[str, bytes], int]
    """By name and key id, keys of witnesses that count for nothing any more, and since when, in microseconds."""
    cosigning: Mapping[str, tuple[CosigningRule, ...]] | None
    """By the log's origin, the newest last; None: the bundle has no policies."""
    first_use: bool
    """Its signing key was believed because it was the first one seen."""
    algorithms: Algorithms = NONE_ENDED
    """Until when algorithms may be relied on."""
    ledgers: Mapping[str, LedgerProfile] = field(default_factory=dict)
    """What is trusted of each ledger, by its name."""
    succeeds: Mapping[str, str] = field(default_factory=dict)
    """By the origin of each log that goes on from another one: that one's origin."""

    def trusted_for(self, role: Role) -> tuple[Authority, ...]:
        """The certificate authorities of one role."""
        return tuple(one for one in self.authorities if one.role == role)

    def renewals_between(self, ended: str, origin: str) -> int | None:
        """How often a log was renewed until it was `origin`: 0 where both are one; None: it does not go on from it."""
        line = _line(origin, self.succeeds)
        return line.index(ended) if ended in line else None

    @property
    def signer(self) -> str:
        """Fingerprint of the key that signed it: SHA-256 of its SubjectPublicKeyInfo, hexadecimal."""
        return hashlib.sha256(base64.b64decode(self.document.signer)).hexdigest()

    def pin(self) -> Pin:
        """What a verifier shall keep after having believed this bundle."""
        return Pin.of(self.document, self.digest)


def read_bundle(files: Mapping[str, bytes], pin: Pin | None) -> TrustBundle:
    """Read and check a bundle. `files` maps names relative to the directory to bytes; `pin` is what the verifier keeps,
    or None on first use. Raises TrustRefused.
    """
    encoded = file_of(files, BUNDLE)
    document, signer = read_version(encoded, file_of(files, SIGNATURE))
    digest = hashlib.sha256(encoded).hexdigest()
    if pin is not None:
        _check_pin(document, digest, signer, _walk(files, pin, document))
    issued, expires = _instant(document.issued), _instant(document.expires)
    if expires <= issued:
        raise TrustRefused("the trust bundle expires before it was issued")
    authorities = tuple(_authority(entry) for entry in document.authorities)
    _check_rehearsal(document, authorities)
    keys = _witness_keys(document)
    logs = _logs(document)
    _check_others(document)
    return TrustBundle(
        document=document,
        digest=digest,
        issued_us=issued,
        expires_us=expires,
        authorities=authorities,
        revocation_lists=tuple(_revocation_list(files, entry) for entry in document.revocation_lists),
        logs=logs,
        witnesses=tuple(key for key, entry in keys if entry.revoked is msgspec.UNSET),
        revoked_witnesses={
            (key.name, key.key_id): _instant(entry.revoked) for key, entry in keys if isinstance(entry.revoked, str)
        },
        cosigning=_cosigning(document),
        first_use=pin is None,
        algorithms=algorithms_of(document.algorithms or []),
        ledgers=_ledgers(document),
        succeeds=_succeeds(document, logs),
    )


def with_algorithms(bundle: TrustBundle, encoded: bytes) -> TrustBundle:
    """The bundle with further ends of algorithms, which the verifier has from elsewhere: a JSON list of what the
    bundle's own member `algorithms` holds. An earlier end counts, whoever says so. Raises TrustRefused."""
    try:
        read_json(encoded)
        entries = msgspec.json.decode(encoded, type=list[AlgorithmEnd])
    except (NotCanonical, msgspec.MsgspecError, RecursionError) as error:
        raise TrustRefused(f"the list of algorithms is malformed: {escape(str(error))}") from None
    return replace(bundle, algorithms=Algorithms((*bundle.algorithms.ends, *algorithms_of(entries).ends)))


def read_version(encoded: bytes, signature: bytes) -> tuple[BundleDocument, bytes]:
    """One version by itself, with its signer's SubjectPublicKeyInfo: rules 1 and 2, and whether it may begin a line.

    Raises TrustRefused. It says nothing of whether the signer is to be believed.
    """
    if len(encoded) > LARGEST_BUNDLE:
        raise TrustRefused("the trust bundle is larger than 1 MiB")
    try:
        stated = check_canonical(encoded)
        document = msgspec.json.decode(encoded, type=BundleDocument)
    except NotCanonical as error:
        raise TrustRefused(f"the trust bundle is {error}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TrustRefused(f"the trust bundle is not of the format cinnabar-trust/1: {escape(str(error))}") from None
    if "format" not in stated:  # which a Struct fills in by itself
        raise TrustRefused("the trust bundle does not say that it is of the format cinnabar-trust/1")
    signer = _decode(document.signer)
    for key in document.successors:
        _decode(key)
    if not _is_signed(signer, signature, encoded):
        raise TrustRefused("the trust bundle's signature is not by the key that it names")
    if (document.version == 1) != (document.previous is None):
        raise TrustRefused("the first version of a trust bundle, and only it, has none before it")
    if document.version == 1 and document.constitution != hashlib.sha256(signer).hexdigest():
        raise TrustRefused("the first version of a trust bundle is not signed by the key that names its line")
    return document, signer


def file_of(files: Mapping[str, bytes], name: str) -> bytes:
    """A file of a trust directory. Raises TrustRefused where it is missing or too large."""
    content = files.get(name)
    if content is None:
        raise TrustRefused(f"the trust directory lacks {quote(name)}")
    if len(content) > (LARGEST_CRL if name not in (BUNDLE, SIGNATURE) else LARGEST_BUNDLE):
        raise TrustRefused(f"{quote(name)} in the trust directory is larger than any real one")
    return content


def _is_signed(signer: bytes, signature: bytes, encoded: bytes) -> bool:
    try:
        key = load_der_public_key(signer)
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, encoded)
        elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1"):
            digest = hashes.SHA384() if key.curve.name == "secp384r1" else hashes.SHA256()
            key.verify(signature, encoded, ec.ECDSA(digest))
        else:
            return False
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def _walk(files: Mapping[str, bytes], pin: Pin, document: BundleDocument) -> Pin:
    """Follow the versions between the one seen and this one, as far as the history goes."""
    if pin.digest is None:
        return pin
    for version in range(pin.version + 1, document.version):
        encoded, signature = files.get(f"{HISTORY}/{version}.json"), files.get(f"{HISTORY}/{version}.json.sig")
        if encoded is None or signature is None:
            return pin
        step, signer = read_version(encoded, signature)
        digest = hashlib.sha256(encoded).hexdigest()
        if step.version != version:
            raise TrustRefused(f"version {version} in the history is another one")
        _check_pin(step, digest, signer, pin)
        pin = Pin.of(step, digest)
    return pin


def _check_pin(document: BundleDocument, digest: str, signer: bytes, pin: Pin) -> None:
    """Rules 3, 4 and the first half of 5."""
    if pin.constitution is not None and document.constitution != pin.constitution:
        raise TrustRefused("the trust bundle belongs to another constitution")
    if pin.rehearsal is not None and document.rehearsal != pin.rehearsal:
        raise TrustRefused("a rehearsal bundle and a production bundle never stand in one line")
    if document.version < pin.version:
        raise TrustRefused(
            f"the trust bundle is version {document.version}, but version {pin.version} has already been seen"
        )
    if document.version == pin.version:
        if digest != pin.digest:
            raise TrustRefused(f"there are two different bundles of version {document.version}")
        return
    if signer not in pin.keys:
        raise TrustRefused("the trust bundle is signed by a key that is not trusted")
    if pin.digest is not None and document.version == pin.version + 1 and document.previous != pin.digest:
        raise TrustRefused("the trust bundle does not follow the version that was seen before it")


def _check_rehearsal(document: BundleDocument, authorities: Sequence[Authority]) -> None:
    """Rule 5: in a rehearsal every name says so; in production none does."""
    names = [entry.origin for entry in document.logs]
    names += [one.certificate.name for one in authorities if one.party == "box"]
    for name in names:
        if ("rehearsal" in name.lower()) != document.rehearsal:
            kind = "a rehearsal" if document.rehearsal else "a production"
            raise TrustRefused(f"{quote(name)} cannot stand in {kind} bundle")


def _authority(entry: AuthorityEntry) -> Authority:
    try:
        certificate = read_certificate(_decode(entry.certificate))
    except DerError as error:
        raise TrustRefused(f"an authority's certificate is malformed: {error}") from None
    if not certificate.parsed.ca:
        raise TrustRefused(f"“{certificate.name}” is no certificate authority")
    if (entry.party == "box") != (entry.time_class == "box"):
        raise TrustRefused("an authority's time class does not fit its party: the box's word is only the box's")
    compromised = entry.compromised
    since = _instant(compromised.since) if isinstance(compromised, AuthorityCompromise) else None
    return Authority(certificate, entry.role, entry.party, entry.time_class, frozenset(entry.policies), since)


def _revocation_list(files: Mapping[str, bytes], entry: RevocationListEntry) -> RevocationList:
    content = file_of(files, entry.file)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise TrustRefused(f"{quote(entry.file)} is not the revocation list that the trust bundle names")
    try:
        return replace(read_revocation_list(content), shown_us=0)
    except DerError as error:
        raise TrustRefused(f"{quote(entry.file)} is malformed: {error}") from None


def _logs(document: BundleDocument) -> dict[str, tuple[LogKey, ...]]:
    found: dict[str, tuple[LogKey, ...]] = {}
    for entry in document.logs:
        key = LogKey(_verifier_key(entry.key, ED25519), entry.first_size, entry.last_size)
        found[entry.origin] = (*found.get(entry.origin, ()), key)
    return found


def _succeeds(document: BundleDocument, logs: Mapping[str, tuple[LogKey, ...]]) -> dict[str, str]:
    """Rule 9."""
    found: dict[str, str] = {}
    for entry in document.logs:
        if not isinstance(entry.succeeds, str):
            continue
        if found.setdefault(entry.origin, entry.succeeds) != entry.succeeds:
            raise TrustRefused(f"the log {quote(entry.origin)} succeeds two others in the trust bundle")
    for origin, before in found.items():
        if last_size(logs.get(before, ())) is None:
            raise TrustRefused(f"the log {quote(origin)} succeeds one that the trust bundle does not name as ended")
        if hash_of(origin) == hash_of(before):
            raise TrustRefused(f"the log {quote(origin)} succeeds one under the same hash")
    if len(set(found.values())) != len(found):
        raise TrustRefused("two logs in the trust bundle succeed the same one")
    for origin in found:
        if origin in _line(origin, found)[1:]:
            raise TrustRefused(f"the log {quote(origin)} succeeds itself in the trust bundle")
    return found


def _line(origin: str, succeeds: Mapping[str, str]) -> list[str]:
    """A log and those before it, as far as they are followed without meeting one twice."""
    line = [origin]
    while (before := succeeds.get(line[-1])) is not None and len(line) <= len(succeeds):
        line.append(before)
    return line


def _ledgers(document: BundleDocument) -> dict[str, LedgerProfile]:
    entries = document.ledgers if isinstance(document.ledgers, list) else []
    found = {entry.name: entry.profile() for entry in entries}
    if len(found) != len(entries):
        raise TrustRefused("a ledger stands twice in the trust bundle")
    return found


def _witness_keys(document: BundleDocument) -> list[tuple[VerifierKey, WitnessEntry]]:
    """Each key once: a cosignature does not say whose it is, so that one key under two names would count twice."""
    found = [(_verifier_key(entry.key, COSIGNATURE_V1), entry) for entry in document.witnesses]
    if len({key.public for key, _ in found}) != len(found):
        raise TrustRefused("a witness's key stands twice in the trust bundle")
    return found


def _check_others(document: BundleDocument) -> None:
    """Rule 8: the box's own word, called a witness's or a ledger's, would count as somebody else's."""
    logs = {_verifier_key(entry.key, ED25519).public for entry in document.logs}
    if any(_verifier_key(entry.key, COSIGNATURE_V1).public in logs for entry in document.witnesses):
        raise TrustRefused("a witness has the key of a log: nobody is a witness of himself")
    for entry in document.ledgers if isinstance(document.ledgers, list) else []:
        if is_of_the_box(entry, document.authorities):
            raise TrustRefused(f"the ledger {quote(entry.name)} has an authority of the box's own")


def is_of_the_box(ledger: LedgerEntry, authorities: Sequence[AuthorityEntry]) -> bool:
    """Whether a ledger of time-stamps counts stamps of the box itself."""
    listed = ledger.rules.get("authorities") if ledger.type == "rfc3161" else None
    given = [one.get("certificate") for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    keys = {_public_key(one) for one in given if isinstance(one, str)} - {None}
    return any(one.party == "box" and _public_key(one.certificate) in keys for one in authorities)


def _public_key(encoded: str) -> bytes | None:
    """Of a certificate in base64; None for one that cannot be read, which its ledger's judge refuses."""
    try:
        return read_certificate(_decode(encoded)).public_key
    except (DerError, TrustRefused):
        return None


def _cosigning(document: BundleDocument) -> dict[str, tuple[CosigningRule, ...]] | None:
    """Rule 7: policies that can hold, of logs and witnesses that the bundle names."""
    if not isinstance(document.cosigning, list):
        return None
    logs = {entry.origin for entry in document.logs}
    known = {_verifier_key(entry.key, COSIGNATURE_V1).name for entry in document.witnesses}
    found: dict[str, tuple[CosigningRule, ...]] = {}
    for entry in document.cosigning:
        rule = CosigningRule(frozenset(entry.witnesses), entry.quorum, entry.last_size)
        before = found.get(entry.origin, ())
        if entry.origin not in logs or not rule.witnesses <= known:
            raise TrustRefused(f"a policy of {quote(entry.origin)} names a log or witness that is not in the bundle")
        least, most = (1 if rule.witnesses else 0), len(rule.witnesses)
        if most != len(entry.witnesses) or not least <= rule.quorum <= most:
            raise TrustRefused(f"a policy of {quote(entry.origin)} can never hold, or asks for nobody")
        if before and not (_until(before[-1]) < _until(rule)):
            raise TrustRefused(f"the policies of {quote(entry.origin)} are not by rising sizes")
        found[entry.origin] = (*before, rule)
    if any(rules[-1].last_size is not None for rules in found.values()):
        raise TrustRefused("a log that has policies has one in force")
    return found


def _until(rule: CosigningRule) -> float:
    return float("inf") if rule.last_size is None else rule.last_size


def _verifier_key(text: str, kind: int) -> VerifierKey:
    try:
        key = VerifierKey.parse(text)
    except MalformedNote as error:
        raise TrustRefused(f"a verifier key in the trust bundle is malformed: {error}") from None
    if key.type != kind:
        raise TrustRefused(f"the verifier key {quote(key.name)} is not of the kind that its place asks for")
    return key


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise TrustRefused("base64 in the trust bundle is malformed") from None


def _instant(text: str) -> int:
    try:
        return microseconds(datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC))
    except ValueError:
        raise TrustRefused("a time in the trust bundle does not exist") from None
