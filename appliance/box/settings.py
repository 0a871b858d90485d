"""The settings of a box: HOME/box.json, read by every process at its start, checked as a whole.

Names are those of design: a tenant has a token, units and seal keys; a log has keys; the box has its own token and log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from appliance.box.ledgers import LedgerSettings


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class LaneSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many calls a token takes at once, and how each process makes them (see hsm.lanes)."""

    mode: Literal["inline", "threads"] = "inline"
    """inline: one call at a time on the caller's thread; threads: `count` calls in flight in each process."""
    count: int = 1
    """Calls in flight in each process that opens the token; inline takes one."""
    timeout_ms: int = 10_000
    """A call that takes longer counts as failed and its lane is replaced (threads only)."""


class TokenSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    """What units, keys, tenants and authorities call the token by."""
    uri: str
    """RFC 7512 URI of the token, with module-path in its query part."""
    pin_file: str
    """Path of the user PIN, relative to the home."""
    pin_source: Literal["file", "tpm", "officer"] = "file"
    """file: the PIN stands in `pin_file`, root's alone; tpm: under lock in the home, opened by this machine's TPM at
    the start; officer: opened by passphrases that officers type (`cinnabar console unlock`). See `cinnabar pins`."""
    lanes: LaneSettings = LaneSettings()
    """How many calls it takes at once."""
    standby_uri: str | None = None
    """A second token that holds the same backup-made keys."""
    standby_pin_file: str | None = None
    """Path of its user PIN, relative to the home; None: the same PIN file."""
    allow_weak_keys: bool = False
    """Accept keys that hsm.policy finds weak; health then names each weakness."""


class UnitSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time-stamping unit."""

    name: str
    """Last part of the address /tsa/NAME; unique on the box."""
    tenant: str
    """Whose unit it is: its records stand in that tenant's log."""
    token: str
    """Name of a token above."""
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token: object or id."""
    scheme: str
    """A scheme of hsm.mechanisms, for example ecdsa-p256-sha256."""
    certificate: str
    """Path, relative to the home, of a PEM file: the unit's certificate and then its chain."""
    default_policy: str
    """Policy OID of stamps for requests that name none."""
    accepted_policies: list[str] = []
    """Policy OIDs that a request may name."""
    accuracy_us: int | None = 1_000_000
    """Declared accuracy in microseconds; None under a rehearsal clock that cannot be shown (control TIME)."""
    ordering: bool = False
    """Every stamp is later than the one before; for a token with one lane on a box with one worker."""
    tsa_name: bool = True
    """Whether stamps carry the name of the unit's certificate."""
    qualified: bool = False
    """Whether stamps carry the qualified statement (EN 319 422); never on a rehearsal box."""
    digests: tuple[str, ...] = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
    """Digests that it stamps."""
    public: bool = False
    """Answered on the plain `tsa` listener, charged to the tenant by an entry of the register, which comes with the
    unit (provisioning, or the ceremony that activates its key); set here later, it alone opens nothing."""


class SealKeySettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant's seal key."""

    name: str
    """What callers ask for; unique on the box."""
    tenant: str
    """Whose seal it is."""
    token: str
    """Name of a token above."""
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token."""
    scheme: str
    """A scheme of hsm.mechanisms."""
    certificate: str
    """Path, relative to the home, of a PEM file: the certificate and then its chain."""
    digests: tuple[str, ...] = ("sha256", "sha384", "sha512")
    """Digests that it takes, of those that its scheme can."""


class LogKeySettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token."""
    token: str
    """Name of a token above."""
    name: str
    """Key name of the signed-note verifier key (C2SP): the log's origin."""
    from_size: int = 0
    """First tree size that this key signs."""
    until_size: int | None = None
    """Last tree size that this key signs; None while it is in use."""


class EndedLogSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A log that was renewed (`cinnabar log renew`): another one goes on from it, and it never has another entry."""

    origin: str
    """As below."""
    keys: list[LogKeySettings]
    """Every key that signed its checkpoints."""
    size: int
    """Its entries."""
    base: int = 0
    """As below."""


class LogSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    origin: str
    """The log's origin (C2SP tlog-checkpoint): a URL without a scheme."""
    tenant: str | None
    """None: the box's own log."""
    keys: list[LogKeySettings]
    """Every key that signs or signed checkpoints, in order; two may overlap during a rotation."""
    published: bool = False
    """Served on the public listener; the box's own log always is."""
    witnesses: list[str] = []
    """Names of witnesses above that cosign this log's heads; none: nobody does."""
    witness_quorum: int = 0
    """How many of them must have cosigned a head before it counts as cosigned, and before a restored box is resumed
    with it; at least one where any is named."""
    base: int = 0
    """Number of a record less its index in this log: 0, but in a log that succeeds another one, where the first index
    is that of the leaf which commits to that one."""
    ended: list[EndedLogSettings] = []
    """The logs before this one, the first one first; the last of them is the one that this one succeeds."""


class WitnessSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An outside witness of logs (C2SP tlog-witness), known by the name in its key."""

    key: str
    """Verifier key for cosignatures (C2SP signed-note, type 0x04): NAME+KEYID+KEY."""
    url: str
    """Submission prefix: https://HOST[:PORT][/PATH]; http only where it is on this machine."""
    ca: str | None = None
    """CA certificates that its TLS certificate must come from, PEM; None: the system's."""


class ReleaseKeySettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that veiled values are encrypted to: of P-256, it agrees on secrets and does nothing else (see
    hsm.agreement and docs/veil.md)."""

    name: str
    """What the register calls it, where its state stands; unique on the box among keys."""
    token: str
    """Name of a token above, on which this tenant has release keys and nothing else."""
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token."""
    certificate: str
    """Path, relative to the home, of a PEM file: its certificate and then its chain, by which senders know it."""


class MessageKeySettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key that partners' messages are encrypted to: of P-256, it agrees on secrets and does nothing else (see
    hsm.agreement and docs/gateway.md)."""

    token: str
    """Name of a token above, on which this tenant has release keys and keys of messages, and nothing else."""
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token."""


class TenantSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    """Lower-case letters, digits and hyphens; unique on the box."""
    token: str
    """Name of the tenant's token above."""
    data_key: str
    """Path, relative to the home, of the tenant's content key, wrapped by the token (see hsm.vault)."""
    uniqueness_key: str | None = None
    """RFC 7512 URI path attributes of the MAC key on that token by which the tenant's letters are used once (see
    appliance.letters.uniqueness). None: its kinds can have no uniqueness of the tenant's own."""
    organisation: str | None = None
    """The institution's name, as the box's officers registered it: it stands in the tenant's certificates. None, on a
    rehearsal box only: any."""
    release_keys: list[ReleaseKeySettings] = []
    """Keys that this tenant's veiled values are encrypted to, the newest first: senders get the first active one;
    older ones open what was veiled to them."""
    message_keys: list[MessageKeySettings] = []
    """Keys that messages to this tenant are encrypted to, the newest first; older ones open what was on its way."""

    @property
    def agreement_keys(self) -> list[ReleaseKeySettings | MessageKeySettings]:
        """All that agree on secrets."""
        return [*self.release_keys, *self.message_keys]


class FederationSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tenants that share a register of what is unique among all of them (control ONCE)."""

    name: str
    """What kinds call the scope, with an @ before it: lower-case letters, digits and hyphens; unique on the box."""
    tenants: list[str]
    """Its members, names of tenants above: nobody else reads or claims in it."""
    institutions: list[str] = []
    """Names of tenants above that may join, as the box's officers admitted them."""
    token: str
    """Name of a token above that is nobody's but the federations'."""
    key_uri: str
    """RFC 7512 URI path attributes of the federation's MAC key on that token."""


class ClockSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    source: Literal["chrony", "system"] = "system"
    """system: the unverified system clock, rehearsal only."""
    chrony_address: str | None = None
    """Address of chronyd's command socket or HOST:PORT; None for its default."""
    maximum_error_us: int = 500_000
    """The clock's shown error bound above which stamps stop; at most the smallest declared accuracy of a unit."""
    word_lifetime_ms: int = 3_000
    """How long a measurement is believed."""
    leap_policy: Literal["refuse", "smear"] = "refuse"
    """refuse: no stamps within 5 s of an announced leap second; smear: the servers smear it (see docs/clock.md)."""


class ResponderSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The key that signs an authority's OCSP answers (RFC 6960, section 4.2.2.2), whose certificate the keymaster
    renews."""

    token: str
    """Name of a token above."""
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token."""
    scheme: str
    """A scheme of hsm.mechanisms."""
    certificate: str
    """Path, relative to the home, of its certificate, PEM."""


class CertificateAuthoritySettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CA whose key is in the box's token and which publishes a CRL."""

    name: str
    """The CRL is served as /crl/NAME.crl."""
    token: str
    """Name of a token above."""
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token."""
    scheme: str
    """A scheme of hsm.mechanisms."""
    certificate: str
    """Path, relative to the home, of its certificate, PEM."""
    crl: str
    """Path of the published CRL, relative to the home."""
    crl_days: int = 7
    """Life of a CRL and of an OCSP answer; the next is made at half of it, and at every revocation."""
    responder: ResponderSettings | None = None
    """Answers are served as /ocsp/NAME; None: there are none."""


class LimitSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes in bytes unless the name says otherwise."""

    stamp_request: int = 4_096
    """Largest TimeStampReq."""
    json_request: int = 4 * 1024 * 1024
    """Largest body of a bulk request."""
    document: int = 32 * 1024 * 1024
    """Largest document to seal or verify."""
    bulk_items: int = 10_000
    """Most digests in one bulk call."""
    in_flight: int = 4_096
    """Requests that one worker holds before it answers busy."""
    idempotency_window_hours: int = 24
    """How long an Idempotency-Key is remembered; an older one is refused."""
    disk_warn_bytes: int = 2 * 1024**3
    """Below so much free space the box is degraded."""
    disk_refuse_bytes: int = 512 * 1024**2
    """Below so much free space it is read-only."""


class UserSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numeric user ids, one for each kind of process, that they run under when the supervisor is root.

    While one of them but `audit`, `filer`, `cosigner` and `anchorer` is None, all run under the supervisor's own."""

    worker: int | None = None
    """API workers. Where a token is SoftHSM's, whose files one user alone can read, also the log follower, the
    keymaster and the audit process; the status then says so."""
    log: int | None = None
    """The log follower."""
    keymaster: int | None = None
    """The keymaster."""
    clock: int | None = None
    """The clock monitor."""
    recorder: int | None = None
    """The recorder."""
    front: int | None = None
    """nginx."""
    documents: int | None = None
    """Document workers: they read what others upload, and of the home the public trust bundle alone."""
    management: int | None = None
    """The management service: it reaches the keymaster's desk and nothing else."""
    audit: int | None = None
    """The audit process, which opens what is kept of records and signs nothing; None: the workers' user, and the status
    says so."""
    filer: int | None = None
    """The filer, which speaks to authorities and holds nothing; None: the workers' user, and the status says so where
    `filing_hosts` lists any."""
    anchorer: int | None = None
    """The anchorer, which speaks to ledgers and holds nothing secret but their passwords; None: the workers' user, and
    the status says so where `ledgers` lists any."""
    cosigner: int | None = None
    """The cosigner, which has witnesses cosign the logs and holds nothing; None: the workers' user, and the status says
    so where a log names any witness."""


class FrontSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses HOST:PORT of the TLS front's listeners; None: the listener is off. Port 0 takes a free one."""

    applications: str | None = "127.0.0.1:8443"
    """The local API, with client certificates."""
    tsa: str | None = None
    """Plain RFC 3161 for units that are public."""
    tsa_passwords: str | None = None
    """Path, relative to the home, of a password file (lines `user:hash`, the hash as `openssl passwd -5` makes it):
    whoever knows one may use the listener from any network. HTTP Basic in clear, for networks that you trust."""
    tsa_networks: tuple[str, ...] = ("127.0.0.1/32",)
    """Networks that may use the tsa listener; all others are refused."""
    public: str | None = None
    """Published logs and CRLs, TLS without client certificates, rate-limited."""
    metrics: str | None = None
    """Prometheus and health, from loopback only."""
    revocation: str | None = None
    """CRLs and OCSP answers over plain HTTP: they carry their own signatures, and a client that asks whether a TLS
    certificate still holds must not need TLS for it (RFC 5280, section 8)."""
    revocation_url: str | None = None
    """Where clients find that listener: http://HOST or http://HOST:PORT. It stands in every certificate that the box
    issues; None: they name no address."""
    letters_url: str | None = None
    """Where people check letters: https://HOST/PATH. It stands in the QR of every letter's page, followed by the
    letter's code; None: pages have no QR."""
    management: str | None = None
    """The officers' pages, and under `approve.` and the same name the keymaster's own, TLS."""
    management_name: str = "localhost"
    """The domain name that officers' browsers know the box by: never an IP address, for passkeys are bound to it."""


class RecordSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long what stands where: see docs/recorder.md."""

    segment_bytes: int = 4 * 1024**3
    """A segment is sealed when it is so large, or so old."""
    segment_hours: int = 24
    """Age at which a segment is sealed."""
    archive: str = "records/archive"
    """Where sealed segments are exported to, relative to the home."""
    keep_days: int | None = None
    """Days after which an exported segment is pruned from the database; None: never."""
    job_days: int = 7
    """Days after which a finished job's request and verdicts are forgotten; its records stay."""


class DocumentSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Document workers, which read what others upload: see docs/documents.md. Limits are those of one task."""

    workers: int = 2
    """Tasks at work at once; one tenant leaves one of them to the others."""
    cpu_seconds: int = 10
    """Processor time."""
    wall_seconds: int = 30
    """Time from its begin."""
    memory_mb: int = 768
    """MiB of address space, the request's own bytes too."""


class AuditSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What leaves the box as syslog, and whether the box works without: see docs/audit.md."""

    syslog: str | None = None
    """HOST:PORT of a receiver of syslog over TLS (RFC 5425); None: nothing is forwarded."""
    syslog_ca: str | None = None
    """Path, relative to the home, of the CA certificates that the receiver's must come from."""
    syslog_name: str | None = None
    """The name that its certificate must have; None: the host above."""
    syslog_certificate: str | None = None
    """Path, relative to the home, of our own certificate, where the receiver asks for one."""
    syslog_key: str | None = None
    """Path, relative to the home, of its key."""
    records: bool = False
    """Forward signing records too, without their content."""
    forced: bool = False
    """Refuse new work while more entries wait for the receiver than `backlog`."""
    backlog: int = 10_000
    """Entries that may wait before forced audit stops the work."""


class BoxSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["cinnabar-box/1"] = "cinnabar-box/1"
    """Version of this file's form."""
    box_id: str
    """32 hexadecimal digits, random."""
    name: str
    """The box's name, for people."""
    rehearsal: bool
    """Permanent: a rehearsal home never becomes a production home."""
    environment: dict[str, str] = {}
    """Variables that the token's module needs, for example SOFTHSM2_CONF; values may begin with {home}."""
    workers: int = 2
    """API worker processes."""
    filing_hosts: tuple[str, ...] = ()
    """HOST:PORT that tenants' adapters may file with; the filer speaks to nobody else, and is not started where none is
    listed (docs/filing.md)."""
    ledgers: list[LedgerSettings] = []
    """Where heads of the box's log are anchored (docs/anchors.md); the anchorer is not started where none is listed."""
    tokens: list[TokenSettings]
    tenants: list[TenantSettings]
    units: list[UnitSettings]
    seal_keys: list[SealKeySettings]
    logs: list[LogSettings]
    witnesses: list[WitnessSettings] = []
    """Those that logs may name; no log is sent to one that it does not name."""
    authorities: list[CertificateAuthoritySettings]
    federations: list[FederationSettings] = []
    clock: ClockSettings = ClockSettings()
    limits: LimitSettings = LimitSettings()
    records: RecordSettings = RecordSettings()
    documents: DocumentSettings = DocumentSettings()
    audit: AuditSettings = AuditSettings()
    users: UserSettings = UserSettings()
    front: FrontSettings = FrontSettings()
    key_comparison_s: int = 60
    """How often every token is held against the ledger of keys (control QUORUM)."""
    checkpoint_interval_ms: int = 1_000
    """How often a log with something new gets a signed head."""
    checkpoint_exports: str = "exports/checkpoints"
    """Where signed checkpoints are exported before they are published (control FORK): relative to the home, or an
    absolute path, which in production lies on a disk that is not restored together with the box."""
    cosign_interval_ms: int = 1_000
    """How often a log with a new head has its witnesses asked for cosignatures."""
    box_leaf_interval_s: int = 60
    """How often the box's log gets a leaf that covers every tenant."""


def read_settings(path: Path) -> BoxSettings:
    """Read and check box.json. Raises msgspec.ValidationError with the path of the offending member."""
    return msgspec.json.decode(path.read_bytes(), type=BoxSettings)


def encode_settings(settings: BoxSettings) -> bytes:
    """box.json, readable by people."""
    return msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n"


def write_settings(path: Path, settings: BoxSettings) -> None:
    """Write box.json where nobody reads it yet. Raises OSError."""
    path.write_bytes(encode_settings(settings))
