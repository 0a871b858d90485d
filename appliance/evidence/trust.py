"""The trust bundle: the only source of trust anchors, signed, versioned, expiring (see docs/trust.md).

A bundle is a directory: `bundle.json` (canonical JSON, RFC 8785), `bundle.json.sig` (the raw signature over exactly
those bytes: ECDSA in DER with SHA-256, or SHA-384 on P-384; or Ed25519), the CRL files that it names, and under
`history/` the versions before it. Everything here is a pure function of bytes; rules, in the order they are checked:

1. sizes, canonical form, known members only;
2. the signature is by the key that the bundle names as its signer;
3. that key is one the verifier already trusts: given, or pinned, or named as successor by a version it has seen;
4. the version is not older than the highest seen, the same version is the same bytes, the next one names its digest;
5. rehearsal stays rehearsal: the flag never changes, and names of logs and of the box's authorities say which it is;
6. every CRL file is there with the digest that the bundle states.

Whether it has expired depends on the time of validation and is judged by `appliance.evidence.verify`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Literal

import msgspec
import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_der_public_key

from appliance.der import DerError
from appliance.errors import CinnabarError
from appliance.evidence.canonical import NotCanonical, check_canonical
from appliance.evidence.certificates import Certificate, microseconds, read_certificate
from appliance.evidence.quoting import escape, quote
from appliance.evidence.revocation import RevocationList, read_revocation_list
from appliance.log.checkpoint import LogKey
from appliance.log.errors import MalformedNote
from appliance.log.note import COSIGNATURE_V1, ED25519, VerifierKey

BUNDLE = "bundle.json"
SIGNATURE = "bundle.json.sig"
HISTORY = "history"
LARGEST_BUNDLE = 1024 * 1024
LARGEST_CRL = 16 * 1024 * 1024

Role = Literal["tsa", "seal", "tls"]
TimeClass = Literal["box", "tsa", "witness", "ledger"]
"""Who says a time: the box itself, another party's time-stamping authority, a log witness, an outside ledger."""

_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
_Time = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
_Policy = Annotated[str, msgspec.Meta(pattern=r"^[0-2](\.(0|[1-9]\d{0,38})){1,30}$", max_length=400)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class TrustRefused(CinnabarError):
    """The trust bundle cannot be believed; nothing can be verified with it."""

    code = "trust-refused"
    status = 422
    title = "The trust bundle is not acceptable"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class AuthorityEntry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A certificate authority and what it is trusted for."""

    certificate: str
    """DER in base64."""
    role: Role
    party: _Text = "box"
    """Who answers for it: `box`, or the name of another party."""
    time_class: TimeClass = "box"
    """For role tsa: whose word its stamps are."""
    policies: list[_Policy] = []
    """For role tsa: the accepted policy identifiers; none other counts."""


class RevocationListEntry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CRL file beside the bundle."""

    file: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,100}$")]
    sha256: _Digest


class LogEntry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of a log and the tree sizes that it signs."""

    origin: _Text
    key: _Text
    """Verifier key of C2SP signed-note: NAME+HASH+KEY."""
    first_size: _Size = 0
    last_size: _Size | None = None


class WitnessEntry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A witness whose cosignatures (C2SP tlog-cosignature) tell a time."""

    key: _Text
    """Verifier key of C2SP signed-note, for cosignatures."""


class TimeRules(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose word counts for “existed no later than”. The box's own never does."""

    accepted: list[Literal["tsa", "witness", "ledger"]] = []
    witnesses: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    """How many witnesses must agree: the k-th earliest cosignature gives the time."""


class BundleDocument(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """bundle.json as it stands."""

    format: Literal["cinnabar-trust/1"] = "cinnabar-trust/1"
    constitution: _Digest
    """SHA-256 of the SubjectPublicKeyInfo of the first version's signer: the name of this line of bundles."""
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
    previous: _Digest | None
    """SHA-256 of the bundle.json before; null in version 1."""
    rehearsal: bool
    issued: _Time
    expires: _Time
    signer: str
    """SubjectPublicKeyInfo of the key that signed this version, DER in base64."""
    successors: list[str]
    """SubjectPublicKeyInfos of the keys that may sign the next version."""
    authorities: list[AuthorityEntry]
    revocation_lists: list[RevocationListEntry]
    logs: list[LogEntry]
    witnesses: list[WitnessEntry] = []
    time: TimeRules = TimeRules()


@dataclass(frozen=True)
class Pin:
    """What a verifier keeps of the highest bundle it has seen; or only a key that it was given."""

    keys: frozenset[bytes]
    """SubjectPublicKeyInfos that may sign what comes next."""
    version: int = 0
    digest: str | None = None
    constitution: str | None = None
    rehearsal: bool | None = None


@dataclass(frozen=True)
class Authority:
    """A trusted certificate authority."""

    certificate: Certificate
    role: Role
    party: str
    time_class: TimeClass
    policies: frozenset[str]


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
    first_use: bool
    """Its signing key was believed because it was the first one seen."""

    def anchors(self, role: Role) -> tuple[Certificate, ...]:
        """The certificate authorities of one role."""
        return tuple(one.certificate for one in self.authorities if one.role == role)

    def authority(self, role: Role, certificate: Certificate) -> Authority:
        """The entry of an anchor."""
        return next(one for one in self.authorities if one.role == role and one.certificate == certificate)

    @property
    def signer(self) -> str:
        """Fingerprint of the key that signed it: SHA-256 of its SubjectPublicKeyInfo, hexadecimal."""
        return hashlib.sha256(base64.b64decode(self.document.signer)).hexdigest()

    def pin(self) -> Pin:
        """What a verifier shall keep after having believed this bundle."""
        keys = [self.document.signer, *self.document.successors]
        return Pin(
            keys=frozenset(base64.b64decode(key) for key in keys),
            version=self.document.version,
            digest=self.digest,
            constitution=self.document.constitution,
            rehearsal=self.document.rehearsal,
        )


def read_bundle(files: Mapping[str, bytes], pin: Pin | None) -> TrustBundle:
    """Read and check a bundle. `files` maps names relative to the directory to bytes; `pin` is what the verifier keeps,
    or None on first use. Raises TrustRefused.
    """
    encoded = _file(files, BUNDLE)
    document, signer = _read_signed(encoded, _file(files, SIGNATURE))
    digest = hashlib.sha256(encoded).hexdigest()
    _check_line(document, signer)
    if pin is not None:
        _check_pin(document, digest, signer, _walk(files, pin, document))
    issued, expires = _instant(document.issued), _instant(document.expires)
    if expires <= issued:
        raise TrustRefused("the trust bundle expires before it was issued")
    authorities = tuple(_authority(entry) for entry in document.authorities)
    _check_rehearsal(document, authorities)
    return TrustBundle(
        document=document,
        digest=digest,
        issued_us=issued,
        expires_us=expires,
        authorities=authorities,
        revocation_lists=tuple(_revocation_list(files, entry) for entry in document.revocation_lists),
        logs=_logs(document),
        witnesses=tuple(_verifier_key(entry.key, COSIGNATURE_V1) for entry in document.witnesses),
        first_use=pin is None,
    )


@dataclass(frozen=True)
class LastVersion:
    """The bundle that the next version follows."""

    document: BundleDocument
    encoded: bytes
    signature: bytes
    pin: Pin


def read_last(files: Mapping[str, bytes]) -> LastVersion:
    """The last version in a directory, for whoever makes the next one. Raises TrustRefused.

    Its revocation lists are not held to it: newer ones may stand in their place already. A writer that died between
    signature and bundle left the old bundle beside the new signature; the old signature stands in the history then.
    """
    encoded, signature = _file(files, BUNDLE), _file(files, SIGNATURE)
    try:
        document, signer = _read_signed(encoded, signature)
    except TrustRefused:
        version = next((name for name, content in files.items() if content == encoded and name != BUNDLE), None)
        if version is None:
            raise
        signature = _file(files, f"{version}.sig")
        document, signer = _read_signed(encoded, signature)
    _check_line(document, signer)
    keys = frozenset(_decode(key) for key in (document.signer, *document.successors))
    digest = hashlib.sha256(encoded).hexdigest()
    return LastVersion(
        document, encoded, signature, Pin(keys, document.version, digest, document.constitution, document.rehearsal)
    )


def make_bundle(
    *,
    signer: bytes,
    sign: Callable[[bytes], bytes],
    previous: Mapping[str, bytes] | None,
    rehearsal: bool,
    issued: datetime,
    expires: datetime,
    authorities: Sequence[AuthorityEntry],
    revocation_lists: Mapping[str, bytes],
    logs: Sequence[LogEntry],
    witnesses: Sequence[WitnessEntry] = (),
    time: TimeRules | None = None,
    successors: Sequence[bytes] | None = None,
) -> dict[str, bytes]:
    """Make the next version of a bundle: file names relative to the trust directory, and what to write in them.

    `signer` is the SubjectPublicKeyInfo (DER) of the key behind `sign`, which takes the bytes of bundle.json and gives
    the raw signature. `previous` is the directory as it is now (None for version 1); its bundle moves into history.
    `successors` defaults to the same signer. The result has been read back: it raises TrustRefused rather than make
    a bundle that verifiers would refuse. Write the files in the order given, so that readers never see a bundle whose
    parts are missing; the signature and the bundle cannot be replaced in one step, so readers retry once.
    """
    written: dict[str, bytes] = {}
    version, digest, constitution, pin = 1, None, hashlib.sha256(signer).hexdigest(), None
    history: dict[str, bytes] = {}
    if previous is not None:
        before = read_last(previous)
        version, digest, constitution = before.document.version + 1, before.pin.digest, before.document.constitution
        pin = before.pin
        history = {name: content for name, content in previous.items() if name.startswith(f"{HISTORY}/")}
        written[f"{HISTORY}/{before.document.version}.json"] = before.encoded
        written[f"{HISTORY}/{before.document.version}.json.sig"] = before.signature
    document = BundleDocument(
        constitution=constitution,
        version=version,
        previous=digest,
        rehearsal=rehearsal,
        issued=_timestamp(issued),
        expires=_timestamp(expires),
        signer=base64.b64encode(signer).decode(),
        successors=[base64.b64encode(key).decode() for key in (successors if successors is not None else [signer])],
        authorities=list(authorities),
        revocation_lists=[
            RevocationListEntry(file=name, sha256=hashlib.sha256(content).hexdigest())
            for name, content in sorted(revocation_lists.items())
        ],
        logs=list(logs),
        witnesses=list(witnesses),
        time=TimeRules() if time is None else time,
    )
    encoded = rfc8785.dumps(msgspec.to_builtins(document))
    written |= dict(revocation_lists) | {SIGNATURE: sign(encoded), BUNDLE: encoded}
    read_bundle(history | written, pin)
    return written


# --- the rules ---------------------------------------------------------------------------------------------------


def _file(files: Mapping[str, bytes], name: str) -> bytes:
    content = files.get(name)
    if content is None:
        raise TrustRefused(f"the trust directory lacks {quote(name)}")
    if len(content) > (LARGEST_CRL if name not in (BUNDLE, SIGNATURE) else LARGEST_BUNDLE):
        raise TrustRefused(f"{quote(name)} in the trust directory is larger than any real one")
    return content


def _read_signed(encoded: bytes, signature: bytes) -> tuple[BundleDocument, bytes]:
    """Rules 1 and 2."""
    if len(encoded) > LARGEST_BUNDLE:
        raise TrustRefused("the trust bundle is larger than 1 MiB")
    try:
        check_canonical(encoded)
        document = msgspec.json.decode(encoded, type=BundleDocument)
    except NotCanonical as error:
        raise TrustRefused(f"the trust bundle is {error}") from None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise TrustRefused(f"the trust bundle is not of the format cinnabar-trust/1: {escape(str(error))}") from None
    signer = _decode(document.signer)
    for key in document.successors:
        _decode(key)
    if not _is_signed(signer, signature, encoded):
        raise TrustRefused("the trust bundle's signature is not by the key that it names")
    return document, signer


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


def _check_line(document: BundleDocument, signer: bytes) -> None:
    if (document.version == 1) != (document.previous is None):
        raise TrustRefused("the first version of a trust bundle, and only it, has none before it")
    if document.version == 1 and document.constitution != hashlib.sha256(signer).hexdigest():
        raise TrustRefused("the first version of a trust bundle is not signed by the key that names its line")


def _walk(files: Mapping[str, bytes], pin: Pin, document: BundleDocument) -> Pin:
    """Follow the versions between the one seen and this one, as far as the history goes."""
    if pin.digest is None:
        return pin
    for version in range(pin.version + 1, document.version):
        encoded, signature = files.get(f"{HISTORY}/{version}.json"), files.get(f"{HISTORY}/{version}.json.sig")
        if encoded is None or signature is None:
            return pin
        step, signer = _read_signed(encoded, signature)
        digest = hashlib.sha256(encoded).hexdigest()
        if step.version != version:
            raise TrustRefused(f"version {version} in the history is another one")
        _check_pin(step, digest, signer, pin)
        keys = frozenset(_decode(key) for key in (step.signer, *step.successors))
        pin = Pin(keys, version, digest, step.constitution, step.rehearsal)
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
    return Authority(certificate, entry.role, entry.party, entry.time_class, frozenset(entry.policies))


def _revocation_list(files: Mapping[str, bytes], entry: RevocationListEntry) -> RevocationList:
    content = _file(files, entry.file)
    if hashlib.sha256(content).hexdigest() != entry.sha256:
        raise TrustRefused(f"{quote(entry.file)} is not the revocation list that the trust bundle names")
    try:
        return read_revocation_list(content)
    except DerError as error:
        raise TrustRefused(f"{quote(entry.file)} is malformed: {error}") from None


def _logs(document: BundleDocument) -> dict[str, tuple[LogKey, ...]]:
    found: dict[str, tuple[LogKey, ...]] = {}
    for entry in document.logs:
        key = LogKey(_verifier_key(entry.key, ED25519), entry.first_size, entry.last_size)
        found[entry.origin] = (*found.get(entry.origin, ()), key)
    return found


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


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
