"""The trust bundle in its files: the only source of trust anchors, signed, versioned, expiring (docs/trust.md).

A bundle is a directory: `bundle.json` (canonical JSON, RFC 8785), `bundle.json.sig` (the raw signature over exactly
those bytes: ECDSA in DER with SHA-256, or SHA-384 on P-384; or Ed25519), the CRL files that it names, and under
`history/` the versions before it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from appliance.anchors.profile import LedgerName, LedgerProfile, LedgerType
from appliance.errors import CinnabarError
from appliance.log.witnesses import MOST_WITNESSES

BUNDLE = "bundle.json"
SIGNATURE = "bundle.json.sig"
HISTORY = "history"
LARGEST_BUNDLE = 1024 * 1024
LARGEST_CRL = 16 * 1024 * 1024

Role = Literal["tsa", "seal", "tls"]
AlgorithmName = Literal[
    "sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512", "sm3", "rsa", "ecdsa", "ed25519", "ml-dsa",
]  # fmt: skip
"""Digests, and kinds of keys."""
TimeClass = Literal["box", "tsa", "witness", "ledger"]
"""Who says a time: the box itself, another party's time-stamping authority, a log witness, an outside ledger."""

_Digest = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
_Time = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}(?:-[0-9]{2}){2}T[0-9]{2}(?::[0-9]{2}){2}Z\Z")]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
_Policy = Annotated[str, msgspec.Meta(pattern=r"\A[0-2](\.(0|[1-9][0-9]{0,38})){1,30}\Z", max_length=400)]
_Size = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class TrustRefused(CinnabarError):
    """The trust bundle cannot be believed; nothing can be verified with it."""

    code = "trust-refused"
    status = 422
    title = "The trust bundle is not acceptable"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class AuthorityCompromise(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That an authority's key is, or may be, somebody else's. The entry stays, so that verifiers can say why."""

    since: _Time
    """From when on: what it certified counts where others show that it existed before."""
    declared: _Time
    """When this was said."""


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
    compromised: AuthorityCompromise | msgspec.UnsetType = msgspec.UNSET
    """Left out as long as nobody has declared it."""


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
    succeeds: _Text | msgspec.UnsetType = msgspec.UNSET
    """Origin of the log that this one goes on from under another hash (docs/log.md): that one has ended, and this one's
    first entry commits to all of it. Left out in a log that succeeds none."""


class WitnessEntry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A witness whose cosignatures (C2SP tlog-cosignature) tell a time."""

    key: _Text
    """Verifier key of C2SP signed-note, for cosignatures."""
    revoked: _Time | msgspec.UnsetType = msgspec.UNSET
    """Since when its key is, or may be, somebody else's: none of its cosignatures counts any more, whatever time they
    state. Left out as long as nobody has declared it."""


class CosigningEntry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which witnesses must have cosigned a log's head before it counts, up to a size of the log."""

    origin: _Text
    witnesses: list[_Text]
    """Names of witnesses, each once; a witness that changed its key keeps its name."""
    quorum: Annotated[int, msgspec.Meta(ge=0, le=MOST_WITNESSES)]
    """How many of them; 0, and only where it names none: no head up to that size needs any."""
    last_size: _Size | None = None
    """Up to which size of the log it holds; null for the one in force. Where several hold, one of them is enough."""


class TimeRules(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose word counts for “existed no later than”. The box's own never does."""

    accepted: list[Literal["tsa", "witness", "ledger"]] = []
    witnesses: Annotated[int, msgspec.Meta(ge=1, le=100)] = 1
    """How many witnesses must agree: the k-th earliest cosignature gives the time."""


class CeremonyTrust(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the box's constitution began: record bundles of its ceremonies are followed from there."""

    genesis: _Digest
    """SHA-256 of the first constitution, as people compared it at the founding."""


class AlgorithmEnd(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Until when an algorithm may be relied on: what is not shown to have existed by then does not count any more."""

    algorithm: AlgorithmName
    below_bits: Annotated[int, msgspec.Meta(ge=1, le=65_536)] | None = None
    """Only keys of fewer bits (rsa, ecdsa); null: all."""
    until: _Time


class LedgerEntry(_Part, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trusted of a ledger that heads of the box's log are anchored on: its profile (docs/anchors.md)."""

    name: LedgerName
    rules: dict[str, Any]
    """As the ledger's type has them."""
    tolerance_s: Annotated[int, msgspec.Meta(ge=0, le=31_622_400)]
    type: LedgerType

    def profile(self) -> LedgerProfile:
        """As judges take it."""
        rules = msgspec.Raw(msgspec.json.encode(self.rules, order="sorted"))
        return LedgerProfile(name=self.name, rules=rules, tolerance_s=self.tolerance_s, type=self.type)


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
    cosigning: list[CosigningEntry] | msgspec.UnsetType = msgspec.UNSET
    """By log, those of rising sizes. Left out where no log has such a policy; once it is there, witnesses count by it
    alone."""
    ceremonies: CeremonyTrust | msgspec.UnsetType = msgspec.UNSET
    """Left out before the founding; bundles from before there were ceremonies have none."""
    algorithms: list[AlgorithmEnd] | msgspec.UnsetType = msgspec.UNSET
    """Left out as long as no algorithm has an end."""
    ledgers: list[LedgerEntry] | msgspec.UnsetType = msgspec.UNSET
    """Left out where nothing is anchored."""
