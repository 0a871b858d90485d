"""The JSON of the local API, for the server, the client and the OpenAPI alike.

Digests, nonces, serials and ids are lower-case hexadecimal; DER, documents and other bytes are base64; times are RFC
3339 in UTC with microseconds. Unknown members are refused.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from appliance.calls.problems import Problem
from appliance.seals import SealOptions

DigestName = Literal["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"]
Hex = Annotated[str, Meta(pattern="^([0-9a-f]{2}){32,64}$", description="A digest, lower-case hexadecimal.")]
NonceHex = Annotated[
    str, Meta(pattern="^[0-9a-f]{1,64}$", description="A positive number in hexadecimal, to 256 bits.")
]
RecordId = Annotated[str, Meta(pattern="^[0-9a-f]{44}$", description="Id of a record, 22 bytes.")]
JobId = Annotated[str, Meta(pattern="^[0-9a-f]{44}$", description="Id of a job, 22 bytes.")]
Oid = Annotated[str, Meta(pattern=r"^(0|1|2)(\.(0|[1-9][0-9]{0,18})){1,31}$", description="Object identifier, dotted.")]
Name = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9.-]{0,62}$")]
Time = Annotated[str, Meta(description="RFC 3339, UTC, microseconds.")]


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


# Stamps.


class StampRequest(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for one time-stamp."""

    digest: Hex
    hash: DigestName = "sha256"
    """The hash that the digest was made with."""
    unit: Name | None = None
    """The time-stamping unit; the first that the caller may use if left out."""
    policy: Oid | None = None
    """The policy that the stamp must be issued under; the unit's default if left out."""
    nonce: NonceHex | None = None
    """A positive number that the token repeats, hexadecimal, to 256 bits (RFC 3161, section 2.4.1)."""
    certificates: bool = True
    """Whether the token carries the unit's certificates."""


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """A time-stamp."""

    record: RecordId
    unit: str
    time: Time
    serial: str
    """Serial number of the token, hexadecimal."""
    policy: str
    token: bytes
    """TimeStampToken, DER (RFC 3161, section 2.4.2)."""


class SecondDigests(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Digests of the same documents by another hash, in the same order."""

    digests: Annotated[list[Hex], Meta(min_length=1, max_length=10_000)]
    """Lower-case hexadecimal, all as long as `hash` makes them."""
    hash: DigestName
    """Another hash than the first one."""


class BulkStampRequest(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for one time-stamp over many digests of one hash algorithm."""

    digests: Annotated[list[Hex], Meta(min_length=1, max_length=10_000)]
    """Digests, lower-case hexadecimal; each gets a verdict."""
    hash: DigestName = "sha256"
    """The hash that the digests were made with, all of them."""
    unit: Name | None = None
    """The time-stamping unit; the first that the caller may use if left out."""
    policy: Oid | None = None
    """The policy that the stamp must be issued under; the unit's default if left out."""
    paths: bool = True
    """Whether each item's path stands in the answer; a client that keeps its digests can compute them."""
    second: SecondDigests | None = None
    """Stamped by a tree and a token of their own, at once with the first: who keeps digests and no documents cannot
    renew the first tree when its hash ends (RFC 4998), and has the second then."""


class BulkStamp(msgspec.Struct, frozen=True, kw_only=True):
    """One token over the root of a hash tree, and where each digest stands in it."""

    record: RecordId
    unit: str
    time: Time
    serial: str
    policy: str
    hash: str
    count: int
    """Leaves of the tree: the distinct digests."""
    root: str
    """Root of the tree, which the token covers, hexadecimal."""
    token: bytes
    second: SecondStamp | UnsetType = UNSET
    """Of the second digests, where there were any."""
    items: list[BulkStampItem]


class SecondStamp(msgspec.Struct, frozen=True, kw_only=True):
    """The token over the second digests, and where each stands."""

    record: RecordId
    unit: str
    time: Time
    serial: str
    policy: str
    hash: str
    count: int
    """Leaves of the tree: the distinct digests."""
    root: str
    """Root of the tree, which the token covers, hexadecimal."""
    token: bytes
    items: list[BulkStampItem]


class BulkStampItem(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one digest: its position, and its path to the root."""

    item: int
    """Position in the request."""
    status: Literal["stamped", "refused"] = "stamped"
    leaf: int | UnsetType = UNSET
    """Position among the tree's leaves: that of the first equal digest."""
    path: list[str] | UnsetType = UNSET
    """Sibling hashes from the leaf to the root, hexadecimal."""
    problem: Problem | UnsetType = UNSET


# Seals.


class SealRequest(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a seal: of a `digest` or `document`, as a further signature on `existing`, or of what was `prepared`."""

    key: Name | None = None
    """The seal key; the first that the caller may use if left out."""
    digest: Hex | None = None
    """Digest of a document that stays with the caller; the seal is then detached."""
    hash: DigestName = "sha256"
    """The seal key's own hash, which a `digest` was made with."""
    document: bytes | None = None
    """The document itself; the box takes its digest, and carries it in the CMS where the form is enveloping."""
    existing: bytes | None = None
    """A CMS SignedData, DER, which gets a further signature over the same document."""
    form: Literal["detached", "enveloping"] = "detached"
    """Whether the CMS carries the document."""
    level: Literal["B-B", "B-T"] = "B-B"
    """CAdES baseline level; B-T carries a time-stamp of the signature."""
    unit: Name | None = None
    """The time-stamping unit of a B-T seal; the first that the caller may use if left out."""
    options: SealOptions = SealOptions()
    """Optional signed attributes."""
    prepared: bytes | None = None
    """What /v1/seals/prepare answered. Of the other members only `key`, `level` and `unit` may stand beside it, and
    again `document` for an enveloping seal and `existing` for a further signature."""


class PreparedSeal(msgspec.Struct, frozen=True, kw_only=True):
    """The first half of a two-step seal."""

    to_be_signed: bytes
    """The exact bytes that the key will sign: the DER SET OF signed attributes (RFC 5652, section 5.4)."""
    digest: str
    """SHA-256 of to_be_signed, for people to compare."""
    prepared: bytes
    """Hand it back to /v1/seals within its lifetime."""
    expires: Time


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """A seal."""

    record: RecordId
    key: str
    time: Time
    level: str
    cms: bytes
    """CMS SignedData, DER: CAdES baseline (ETSI EN 319 122-1)."""
    stamp_record: RecordId | UnsetType = UNSET
    """The record of a B-T seal's time-stamp."""


class BulkSealRequest(_Strict, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a detached seal of each digest."""

    digests: Annotated[list[Hex], Meta(min_length=1, max_length=10_000)]
    """Digests, lower-case hexadecimal; each gets a seal or a problem."""
    hash: DigestName = "sha256"
    """The hash that the digests were made with, all of them."""
    key: Name | None = None
    """The seal key; the first that the caller may use if left out."""


class SealVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict on one item of a bulk seal: a seal or a problem."""

    item: int
    status: Literal["sealed", "refused"]
    record: RecordId | UnsetType = UNSET
    cms: bytes | UnsetType = UNSET
    problem: Problem | UnsetType = UNSET


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Long work, and a page of its verdicts."""

    job: JobId
    kind: str
    """`seals`."""
    state: Literal["running", "done"]
    items: int
    """Digests of the request."""
    done: int
    """How many of them have a verdict."""
    verdicts: list[SealVerdict]
    """One page of them, at most 1,000."""
    next: int | None = None
    """Where the next page begins; null when this page ends with the last verdict there is."""


# Records, verification, health.


class InclusionProof(msgspec.Struct, frozen=True, kw_only=True):
    """That the record's commitment is a leaf of the tenant's log."""

    origin: str
    index: int
    tree_size: int
    hashes: list[str]
    """RFC 6962, section 2.1.1, hexadecimal, from the leaf upward."""
    checkpoint: str
    """The signed note of the tree's head (C2SP tlog-checkpoint): the first that witnesses cosigned and that covers the
    record, with their cosignatures, where there is one; else the latest."""
    tlog_proof: str
    """All of this as one C2SP tlog-proof file."""
    cosigned: bool | None = None
    """Whether witnesses cosigned the head, as many as the log asks for; null where it has none."""


class BoxOpening(msgspec.Struct, frozen=True, kw_only=True):
    """What the box's own log holds about the tenant's log, opened for that tenant alone."""

    origin: str
    """Origin of the box's log."""
    index: int
    """Of the box leaf in that log."""
    opening: str
    """JSON: leaf, salt, position, path, and the statement on the tenant's log at that time; see docs/log.md."""
    tlog_proof: str
    """That the leaf stands in the box's log: a C2SP tlog-proof file."""


class BoxProof(msgspec.Struct, frozen=True, kw_only=True):
    """That the box's own log commits to a head of the tenant's log that covers the record."""

    hashes: list[str]
    """From the record's leaf to the root that the opening states, as in the proof; hexadecimal."""
    leaf: BoxOpening
    """The first box leaf over the record."""


class RecordAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A record, opened for its tenant."""

    record: RecordId
    content: str
    """The record: canonical JSON, exactly as committed to."""
    salt: str
    """32 bytes, hexadecimal."""
    commitment: str
    """Hash, by that of the log, over the domain, the salt and the record: the log's entry, hexadecimal."""
    index: int
    """Leaf index in the tenant's log."""
    artifact: bytes
    """What was handed out: a TimeStampToken, a CMS SignedData, or a batch."""
    artifact_type: str
    proof: InclusionProof | None = None
    """Null until the log has integrated the record, a second or so."""
    box_proof: BoxProof | None = None
    """Null until the box's own log has its next leaf over all tenants, a minute or so."""
    continuation: str | None = None
    """Of a record whose log was renewed: how it goes on in the log that succeeds it, canonical JSON. Null else."""

    @property
    def proved(self) -> bool:
        """Whether it has its proof, under a cosigned head where the log has witnesses."""
        return self.proof is not None and self.proof.cosigned is not False


class KeyHealth(msgspec.Struct, frozen=True, kw_only=True):
    """A unit or seal key of the caller's tenant."""

    name: str
    usable: bool
    certificate_days_left: int
    detail: str = ""
    weaknesses: list[str] = []
    """Why the key is weaker than this box makes them, as hsm.policy names it; the settings accept it all the same."""


class Weakness(msgspec.Struct, frozen=True, kw_only=True):
    """What makes the box weaker than it could be while it works as it is set up."""

    name: str
    """Such as `rehearsal`, `clock-unverified`, `users-shared`, `weak-key`."""
    detail: str


class QuotaUse(msgspec.Struct, frozen=True, kw_only=True):
    """One limit and what is used of it."""

    limit: int | None
    """Null where there is no limit."""
    used: int


class KeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit or seal key may still do. Keys about which nothing is said are left out."""

    key: str
    state: Literal["active", "suspended", "deactivated", "compromised"]
    until: str | None
    """End of its period of use, RFC 3339 in UTC; null without one."""
    signatures: QuotaUse
    """In all, not of a day."""


class QuotaAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the caller's tenant may use of the day (UTC), and has used."""

    day: str
    """YYYY-MM-DD."""
    ends: str
    """When the next day begins, RFC 3339 in UTC."""
    signatures: QuotaUse
    """Signatures of every kind, stamps among them."""
    stamps: QuotaUse
    storage_bytes: QuotaUse
    """Bytes of records and of bulk requests."""
    keys: list[KeyUse]
    """Those that the caller may use."""


class QuotaWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A limit of which four fifths are used."""

    tenant: str
    what: str
    """signatures, stamps or storage_bytes of the day, or `key NAME` for the signatures of a key."""
    percent: int


class WitnessHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one witness is with one log."""

    name: str
    size: int
    """Of the last head that it cosigned."""
    trouble: str | None
    """silent, busy, unknown-log, unknown-key, malformed; about the log itself (control FORK): ahead, forked. Null: it
    cosigns."""
    detail: str
    """The same in words."""


class CosigningHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How a log that has witnesses is cosigned."""

    origin: str
    quorum: int
    """How many of its witnesses must cosign a head."""
    size: int
    """Of its newest head."""
    cosigned: int
    """Of the largest head that has its quorum."""
    behind_s: int
    """How many seconds a head has waited for its quorum; 0: the newest one has it."""
    problem: str | None
    """What keeps the log from being cosigned at all; null: nothing."""
    witnesses: list[WitnessHealth]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """How the box is. Beyond `live`, `ready` and `state`, only a known caller is told, and of its own tenant alone."""

    live: bool
    """The worker answers."""
    ready: bool
    """The worker can do its main work now."""
    state: str
    clock: Literal["shown", "not-shown"] | UnsetType = UNSET
    recorder: Literal["connected", "not-connected"] | UnsetType = UNSET
    hsm: Literal["working", "failing"] | UnsetType = UNSET
    keys: list[KeyHealth] | UnsetType = UNSET
    weaknesses: list[Weakness] | UnsetType = UNSET
    """Those of the box, and of the caller's own keys."""
    cosigning: list[CosigningHealth] | UnsetType = UNSET
    """How the caller's own log is cosigned, if it has witnesses; on the metrics listener, every log."""
    quotas: list[QuotaWarning] | UnsetType = UNSET
    """What is nearly used up, of all tenants; on the metrics listener only."""
