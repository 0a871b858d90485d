"""What a ceremony can do: one frozen structure an action, every parameter in it, nothing that matters outside it.

Each class says whose quorum decides (`scope_of`) and whether a single officer's word is enough because the action only
takes power away and can be undone (`takes_away`). Names of keys, units and authorities are those of the box's settings.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from appliance.ceremonies.canonical import Base64, Digest, Instant, Name, Text
from appliance.ceremonies.constitution import BOX, Constitution, tenant_scope
from appliance.filing.adapter import ADAPTER_BYTES
from appliance.gateway.profile import MOST_CERTIFICATES as MOST_SIGNERS
from appliance.gateway.profile import MOST_KINDS, LetterKind, PartnerName, WindowSeconds
from appliance.letter_limits.files import FILE_BYTES
from appliance.letters.kind import KIND_BYTES
from appliance.letters.kind import Name as KindName
from appliance.letters.seal_types import SealType, Side
from appliance.log.witnesses import MOST_WITNESSES

Days = Annotated[int, msgspec.Meta(ge=1, le=36_500)]
Amount = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]
Purpose = Literal["seal", "stamp", "log", "authority", "ocsp", "release", "account"]
Scheme = Annotated[str, msgspec.Meta(pattern=r"\A[a-z0-9-]{1,40}\Z")]
"""A scheme of hsm.mechanisms; of a release key, which signs nothing: ecdh-p256."""
MOST_NAMES = 256
MOST_CERTIFICATES = 16


class _Action(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="action"):
    takes_away: ClassVar[bool] = False


class _BoxAction(_Action, frozen=True, kw_only=True, forbid_unknown_fields=True):
    def scope_of(self) -> str:
        return BOX


class _OwnedAction(_Action, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of a tenant, or of the box itself where the tenant is None."""

    tenant: Name | None

    def scope_of(self) -> str:
        return BOX if self.tenant is None else tenant_scope(self.tenant)


# Who decides


class AmendConstitution(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="amend-constitution"):
    """Officers, thresholds, rules of approval. The scopes that must approve follow from the change itself."""

    constitution: Constitution
    recovery: bool = False
    """Decided by the recovery roster of the one affected scope, after its public waiting period."""


# Keys


class InitialiseToken(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="initialise-token"):
    """Make a new token with PINs of the keymaster's own making. Never one that is in use."""

    token: Name


class GenerateKey(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="generate-key"):
    token: Name
    key: Name
    scheme: Scheme
    purpose: Purpose
    for_backup: bool = False
    """Extractable under a trusted wrapping key only; otherwise never."""
    until: Instant
    """End of the cryptoperiod: no signature is made after it."""
    signature_limit: Amount | None = None
    """Signatures after which the key stops."""
    applications: Annotated[list[Name], msgspec.Meta(max_length=MOST_NAMES)] = []
    """Applications that may use it; empty: every one that the register permits."""


class RequestCertificate(
    _OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="request-certificate"
):
    """Make a PKCS#10 request, signed by the key, for a CA outside the box."""

    key: Name
    common_name: Text
    organisation: Text
    country: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{2}\Z")]


class ImportCertificate(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="import-certificate"):
    """The certificate that an outside CA made for a key, with its chain."""

    key: Name
    chain: Annotated[list[Base64], msgspec.Meta(max_length=MOST_CERTIFICATES)]
    """DER; the key's own first."""


class IssueCertificate(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="issue-certificate"):
    """A certificate for a key of this scope by an authority of the box."""

    key: Name
    authority: Name
    common_name: Text
    """Of a tenant's key: the organisation, or a name that begins with it and a space."""
    organisation: Text
    """Of a tenant's key: its registered name."""
    country: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{2}\Z")]
    days: Days


class ActivateKey(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="activate-key"):
    """Begin to use a key that has its certificate: as a seal key, as a unit, or as a log key."""

    key: Name
    policies: Annotated[
        list[Annotated[str, msgspec.Meta(pattern=r"\A[0-2](?:\.[0-9]+)+\Z", max_length=128)]],
        msgspec.Meta(max_length=MOST_CERTIFICATES),
    ] = []
    """Policy OIDs of a unit; the first is the default."""
    public: bool = False
    """A unit that listener (b) serves."""


class RotateKey(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rotate-key"):
    """Put `successor`, made and certified, in the place of `key`; both work for the overlap."""

    key: Name
    successor: Name
    overlap_hours: Annotated[int, msgspec.Meta(ge=0, le=24 * 365)]


class ResumeKey(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="resume-key"):
    """Back from suspended or deactivated."""

    key: Name


class DeclareCompromised(
    _OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="declare-compromised"
):
    """The key is compromised since `since`: it never signs again, its certificate is revoked."""

    key: Name
    since: Instant
    because: Text


class DestroyKey(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="destroy-key"):
    """Destroy a deactivated or compromised key in its token. Nothing brings it back but a backup."""

    key: Name
    public_key: Digest
    """SHA-256 of its SubjectPublicKeyInfo, so that no other key can be meant."""


class DestroyReleaseKey(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="destroy-release-key"):
    """Destroy a deactivated or compromised release key. What was veiled to it and is not opened, nobody ever opens."""

    key: Name
    public_key: Digest
    """SHA-256 of its SubjectPublicKeyInfo, so that no other key can be meant."""
    unopened: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    """How many values veiled to it are not opened: as many as the box counts, or it is refused."""


class MakeMessageKey(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="make-message-key"):
    """The key that partners encrypt messages to, or the next one: docs/gateway.md. The one before still opens."""

    token: Name
    """One with the tenant's release keys."""


class MakeUniquenessKey(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="make-uniqueness-key"):
    """The key by which a tenant's letters are used once, where it has none and nothing was ever used under one. It is
    never followed by another: what was used under it would be found no more."""


class BackUpKeys(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="back-up-keys"):
    """Wrap keys made for backup under a wrapping key split among custodians."""

    keys: Annotated[list[Name], msgspec.Meta(max_length=MOST_NAMES)]
    custodians: Annotated[list[Name], msgspec.Meta(max_length=MOST_NAMES)]
    """Persons of the constitution, one share each."""
    threshold: Annotated[int, msgspec.Meta(ge=2, le=100)]
    """Shares that bring the wrapping key together."""


class RestoreKeys(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="restore-keys"):
    backup: Digest
    """SHA-256 of the backup file."""
    keys: Annotated[list[Name], msgspec.Meta(max_length=MOST_NAMES)]
    token: Name
    """The token to restore into."""


class SetStandby(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set-standby"):
    """Let a second token, with keys restored into it, sign for the token of its owner while that one is gone."""

    token: Name
    """The owner's token."""
    standby: Name
    """The token that stands by for it."""


class EndStandby(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="end-standby"):
    """Let a token sign for another one no longer. Its keys stay in it."""

    token: Name
    standby: Name


# Certificates of the box's own authorities


class CreateAuthority(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="create-authority"):
    """A self-signed root over a key of purpose `authority`."""

    key: Name
    common_name: Text
    organisation: Text
    country: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{2}\Z")]
    days: Days
    role: Literal["tsa", "seal", "tls"]


class SetCertificateProfile(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set-profile"):
    """Who may enrol for certificates unattended (EST), under which names, how long and how many."""

    profile: Name
    authority: Name
    tenant: Name
    use: Literal["tls-client", "tls-server"]
    common_name_pattern: Annotated[str, msgspec.Meta(max_length=200)]
    """An anchored regular expression over the common name, without nesting of repetition."""
    days: Days
    most: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    """Certificates that may be in force at once."""
    until: Instant
    """End of the authorisation."""


class AuthoriseEnrolment(
    _OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="authorise-enrolment"
):
    """Let an application of the tenant enrol under a profile once, with a secret that the console shows."""

    profile: Name
    application: Name


class RevokeCertificate(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="revoke-certificate"):
    """For ever; a hold can be lifted, this cannot."""

    certificate: Digest
    reason: Literal["unspecified", "key-compromise", "affiliation-changed", "superseded", "cessation-of-operation"]


# Tenants


class Quota(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Most of each in a day (UTC); None: no limit."""

    signatures: Amount | None = None
    stamps: Amount | None = None
    storage_bytes: Amount | None = None


class CreateTenant(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="create-tenant"):
    """A tenant with a token, a content key and a log. Its officers come by an amendment in the same ceremony."""

    name: Name
    title: Text
    """The institution's name: certificates that the box's authorities issue to the tenant's keys say it."""
    token: Name
    published: bool = False
    """Whether its log is served to the public."""
    quota: Quota = Quota()


class RenameTenant(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="rename-tenant"):
    """Register another name of a tenant's institution: certificates issued from then on say it."""

    name: Name
    """Of the tenant; it stays."""
    title: Text
    """The institution's name, as it is now."""


class SetQuota(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set-quota"):
    name: Name
    """Of the tenant."""
    quota: Quota


class ResumeTenant(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="resume-tenant"):
    name: Name


# Federations: registers of what is used once among several tenants


class CreateFederation(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="create-federation"):
    """A register of what may be used once among several institutions, with a key of its own. It has no members yet."""

    name: Name
    """What kinds call the scope, with an @ before it."""
    token: Name
    """A token that has keys of federations and nothing else; made where the box has none of that name."""
    institutions: Annotated[list[Name], msgspec.Meta(max_length=MOST_NAMES)]
    """Tenants that may join."""


class AdmitToFederation(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="admit-to-federation"):
    """Let one more tenant join."""

    name: Name
    """Of the federation."""
    institution: Name
    """The tenant that may join."""


class JoinFederation(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="join-federation"):
    """Take part: the tenant's letters are used once among all members, and it learns 'taken' and nothing else."""

    federation: Name


class LeaveFederation(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="leave-federation"):
    """Take part no more. What the tenant's letters use stays used."""

    federation: Name


# Applications


PARTY = "party-"
"""Before the id of a party that an application acts for, or `*`, among its permissions."""
Permission = Annotated[str, msgspec.Meta(pattern=r"\A(?:\*|[a-z0-9-]{1,64}|party-(?:\*|[A-Za-z0-9.:_-]{1,64}))\Z")]
"""Of an application; a party's id is written as letters have it."""


class EnrolApplication(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="enrol-application"):
    """Add an application, or give it other permissions: names of units and seal keys, `role-NAME`, `partner-NAME`,
    `party-ID` of whom it acts for; `*` for all, `party-*` for every party."""

    application: Name
    permissions: Annotated[list[Permission], msgspec.Meta(max_length=MOST_NAMES)]


class EnrolCertificate(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="enrol-certificate"):
    """Let the holder of a certificate call as an application."""

    application: Name
    certificate: Base64
    """DER."""


# Letters: kinds, approvals, limits, seals, and with whom they are exchanged


class SetApprovalPolicy(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set-approval-policy"):
    """Who must approve letters of a kind, by amount; kept for the letters to read."""

    policy: Name
    tiers: Annotated[list[ApprovalTier], msgspec.Meta(max_length=64)]


class ApprovalTier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    up_to: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9]{1,18}(?:\.[0-9]{1,4})?|)\Z")]
    """Amount, a decimal text; empty: without end."""
    currency: Annotated[str, msgspec.Meta(pattern=r"\A[A-Z]{3}\Z")]
    approvers: Annotated[list[Name], msgspec.Meta(max_length=MOST_NAMES)]
    threshold: Annotated[int, msgspec.Meta(ge=0, le=100)]
    in_order: bool = False


class InstallKind(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="install-kind"):
    """Let a tenant write letters of a kind, or of its next version: docs/kinds.md."""

    file: Annotated[str, msgspec.Meta(min_length=1, max_length=KIND_BYTES)]
    """The kind's file, whole; its digest is the SHA-256 of its UTF-8."""


class SetLetterTerms(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set-letter-terms"):
    """How much a tenant's letters may come to, or what their events cost: docs/limits.md."""

    terms: Annotated[str, msgspec.Meta(min_length=1, max_length=FILE_BYTES)]
    """The file, whole; its digest is the SHA-256 of its UTF-8."""


class ResumeIssuing(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="resume-issuing"):
    """Let letters of a kind be issued again, whatever stopped it."""

    kind: KindName
    because: Text


class RegisterSeal(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="register-seal"):
    """Let seals of the tenant be seen as a picture, or as its next version: docs/pdf.md."""

    seal: Name
    """Of the seal object."""
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """The seal's own name, as people call it."""
    seal_type: SealType
    image: Annotated[Base64, msgspec.Meta(min_length=1)]
    """PNG."""
    side_mm: Side
    """Side of the square that it is seen in."""
    not_before: Instant
    not_after: Instant
    certificates: Annotated[list[Digest], msgspec.Meta(min_length=1, max_length=MOST_CERTIFICATES)]
    """SHA-256 of the certificates whose keys may seal with it."""


class InstallAdapter(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="install-adapter"):
    """Have a tenant's letters of a kind filed with an authority, or by the adapter's next version: docs/filing.md."""

    adapter: Annotated[str, msgspec.Meta(min_length=1, max_length=ADAPTER_BYTES)]
    """The adapter's file, whole."""


class SetWitnesses(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set-witnesses"):
    """Who cosigns the heads of a log, and how many of them must: docs/log.md. All of it anew."""

    witnesses: Annotated[list[Text], msgspec.Meta(max_length=MOST_WITNESSES)]
    """VKEY=URL of each: its verifier key for cosignatures, and its submission prefix. Empty: nobody cosigns now."""
    witness_authorities: Annotated[list[Base64], msgspec.Meta(max_length=MOST_CERTIFICATES)] = []
    """DER: CA certificates that the witnesses' TLS certificates come from; none: the system's."""
    needed: Annotated[int, msgspec.Meta(ge=0, le=MOST_WITNESSES)]
    """How many must cosign a head; 0 only without witnesses."""
    revoked: Annotated[list[Text], msgspec.Meta(max_length=MOST_WITNESSES)] = []
    """Verifier keys of earlier witnesses that are, or may be, somebody else's: none of their cosignatures counts any
    more, for ever."""


class RenewLogs(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="renew-logs"):
    """That every log of the box, the tenants' too, goes on under another hash once somebody stops the box and gives the
    command `cinnabar log renew`: docs/log.md. Without it verifiers are told of no such log."""

    hash: Literal["sha512", "sm3"]
    """Of the new logs' trees."""


AlgorithmEnd = Annotated[
    str,
    msgspec.Meta(
        pattern=r"\A(?:(?:rsa|ecdsa)(?:<[1-9][0-9]{0,4})?|(?:sha|sha3-)(?:256|384|512)|sm3|ed25519|ml-dsa)"
        r"=[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z\Z"
    ),
]
"""ALGORITHM=TIME, or ALGORITHM<BITS=TIME for keys of fewer bits alone."""
MOST_ENDS = 64


class SetAlgorithmEnds(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set-algorithm-ends"):
    """Until when verifiers may rely on algorithms, as the trust bundle tells them: docs/trust.md. All of it anew."""

    algorithms: Annotated[list[AlgorithmEnd], msgspec.Meta(max_length=MOST_ENDS)]
    """`sha256=2035-12-31T23:59:59Z`; `rsa<3000=2028-12-31T23:59:59Z` for keys of fewer bits (`rsa`, `ecdsa`). Empty: no
    algorithm has an end."""


class SetPartner(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="set-partner"):
    """What a partner of a tenant may send to its message gateway, and how: docs/gateway.md. All of it anew."""

    partner: PartnerName
    """The application that has the permission `partner-` and this name."""
    title: Text
    """The institution."""
    format: Literal["envelope", "jose"]
    sign: Literal["RS256", "PS256", "ES256", "ES384"]
    sign_certificates: Annotated[list[Base64], msgspec.Meta(min_length=1, max_length=MOST_SIGNERS)]
    """DER; two while one follows the other."""
    encrypt_certificate: Base64
    """DER; to whose key answers are encrypted."""
    answer_key: Name
    """The tenant's seal key that signs answers."""
    calls: Annotated[
        list[Annotated[str, msgspec.Meta(pattern=r"\A(?:begin|event|letter)\Z")]], msgspec.Meta(max_length=3)
    ]
    """Empty: the partner is closed."""
    kinds: Annotated[list[LetterKind], msgspec.Meta(max_length=MOST_KINDS)]
    window_s: WindowSeconds = 300


# The box


class ApproveUpdate(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="approve-update"):
    version: Text
    bundle: Digest
    """SHA-256 of the whole update."""


class RecoverFromTamper(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="recover-from-tamper"):
    finding: Text
    """What was found when the box was examined."""


class Unlock(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="unlock"):
    """Let a locked box sign again."""


# One officer's word is enough


class _Away(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True):
    takes_away: ClassVar[bool] = True


class SuspendKey(_Away, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="suspend-key"):
    key: Name


class DeactivateKey(_Away, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="deactivate-key"):
    key: Name


class WithdrawSeal(_Away, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="withdraw-seal"):
    """No seal is seen as this any more, until a quorum registers it again. What was sealed stays."""

    seal: Name
    because: Text


class HoldCertificate(_Away, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hold-certificate"):
    certificate: Digest


class SuspendApplication(_Away, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="suspend-application"):
    application: Name


class StopIssuing(_Away, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="stop-issuing"):
    """Nothing new of a kind is issued, until a quorum lets it go on; what stands goes on."""

    kind: KindName
    because: Text


class SuspendTenant(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="suspend-tenant"):
    takes_away: ClassVar[bool] = True
    name: Name


class Lock(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="lock"):
    """Stop signing on the whole box until an unlock."""

    takes_away: ClassVar[bool] = True


class Stop(_BoxAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="stop"):
    """Shut the box down."""

    takes_away: ClassVar[bool] = True


class ResumeApplication(_OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="resume-application"):
    application: Name


class ReleaseCertificate(
    _OwnedAction, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="release-certificate"
):
    """Lift a hold."""

    certificate: Digest


Action = (
    AmendConstitution
    | InitialiseToken | GenerateKey | RequestCertificate | ImportCertificate | IssueCertificate
    | ActivateKey | RotateKey | ResumeKey | DeclareCompromised | DestroyKey | BackUpKeys | RestoreKeys
    | DestroyReleaseKey | MakeMessageKey | MakeUniquenessKey | SetStandby | EndStandby
    | CreateAuthority | SetCertificateProfile | AuthoriseEnrolment | RevokeCertificate | ReleaseCertificate
    | CreateTenant | RenameTenant | SetQuota | ResumeTenant | EnrolApplication | EnrolCertificate | ResumeApplication
    | CreateFederation | AdmitToFederation | JoinFederation | LeaveFederation
    | SetApprovalPolicy | InstallKind | SetPartner | RegisterSeal | WithdrawSeal | ApproveUpdate | RecoverFromTamper
    | Unlock | InstallAdapter | SetWitnesses | SetAlgorithmEnds | RenewLogs
    | SetLetterTerms | StopIssuing | ResumeIssuing
    | SuspendKey | DeactivateKey | HoldCertificate | SuspendApplication | SuspendTenant | Lock | Stop
)  # fmt: skip
