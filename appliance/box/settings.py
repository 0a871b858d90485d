"""The settings of a box: HOME/box.json, read by every process at its start, checked as a whole.

Names are those of design: a tenant has a token, units and seal keys; a log has keys; the box has its own token and log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class LaneSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many calls a token takes at once, and how each process makes them (see hsm.lanes)."""

    mode: Literal["inline", "threads"] = "inline"
    """inline: one call at a time on the caller's thread; threads: `count` calls in flight in each process."""
    count: int = 1
    timeout_ms: int = 10_000
    """A call that takes longer counts as failed and its lane is replaced (threads only)."""


class TokenSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    uri: str
    """RFC 7512 URI of the token, with module-path in its query part."""
    pin_file: str
    """Path of the user PIN, relative to the home."""
    lanes: LaneSettings = LaneSettings()
    standby_uri: str | None = None
    """A second token that holds the same backup-made keys."""
    standby_pin_file: str | None = None
    allow_weak_keys: bool = False


class UnitSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A time-stamping unit."""

    name: str
    tenant: str
    token: str
    key_uri: str
    """RFC 7512 URI path attributes of the key on that token: object or id."""
    scheme: str
    """A scheme of hsm.mechanisms, for example ecdsa-p256-sha256."""
    certificate: str
    """Path, relative to the home, of a PEM file: the unit's certificate and then its chain."""
    default_policy: str
    accepted_policies: list[str] = []
    accuracy_us: int | None = 1_000_000
    """Declared accuracy in microseconds; None under a rehearsal clock that cannot be shown (control TIME)."""
    ordering: bool = False
    tsa_name: bool = True
    qualified: bool = False
    digests: tuple[str, ...] = ("sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512")
    public: bool = False
    """Served on listener (b), charged to the tenant."""


class SealKeySettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A tenant's seal key."""

    name: str
    tenant: str
    token: str
    key_uri: str
    scheme: str
    certificate: str
    digests: tuple[str, ...] = ("sha256", "sha384", "sha512")


class LogKeySettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    key_uri: str
    token: str
    name: str
    """Key name of the signed-note verifier key (C2SP): the log's origin."""
    from_size: int = 0
    """First tree size that this key signs."""
    until_size: int | None = None
    """Last tree size that this key signs; None while it is in use."""


class LogSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    origin: str
    tenant: str | None
    """None: the box's own log."""
    keys: list[LogKeySettings]
    """Every key that signs or signed checkpoints, in order; two may overlap during a rotation."""
    published: bool = False
    """Served on the public listener; the box's own log always is."""


class TenantSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: str
    """Lower-case letters, digits and hyphens; unique on the box."""
    token: str
    data_key: str
    """Path, relative to the home, of the tenant's content key, wrapped by the token (see hsm.vault)."""


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


class CertificateAuthoritySettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A CA whose key is in the box's token and which publishes a CRL."""

    name: str
    token: str
    key_uri: str
    scheme: str
    certificate: str
    crl: str
    """Path of the published CRL, relative to the home."""
    crl_days: int = 7


class LimitSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes in bytes unless the name says otherwise."""

    stamp_request: int = 4_096
    json_request: int = 4 * 1024 * 1024
    document: int = 32 * 1024 * 1024
    bulk_items: int = 10_000
    in_flight: int = 4_096
    """Requests that one worker holds before it answers busy."""
    idempotency_window_hours: int = 24
    disk_warn_bytes: int = 2 * 1024**3
    disk_refuse_bytes: int = 512 * 1024**2


class UserSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Numeric user ids that the processes run under when the supervisor is root; None keeps the supervisor's own."""

    tokens: int | None = None
    """Processes that open tokens: workers, the log signer, the keymaster (SoftHSM's files allow one user only)."""
    recorder: int | None = None
    front: int | None = None


class FrontSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Addresses HOST:PORT of the TLS front's listeners; None: the listener is off. Port 0 takes a free one."""

    applications: str | None = "127.0.0.1:8443"
    tsa: str | None = None
    tsa_networks: tuple[str, ...] = ("127.0.0.1/32",)
    public: str | None = None
    metrics: str | None = None


class RecordSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long what stands where: see docs/recorder.md."""

    segment_bytes: int = 4 * 1024**3
    """A segment is sealed when it is so large, or so old."""
    segment_hours: int = 24
    archive: str = "records/archive"
    """Where sealed segments are exported to, relative to the home."""
    keep_days: int | None = None
    """Days after which an exported segment is pruned from the database; None: never."""
    job_days: int = 7
    """Days after which a finished job's request and verdicts are forgotten; its records stay."""


class BoxSettings(_Settings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["cinnabar-box/1"] = "cinnabar-box/1"
    box_id: str
    """32 hexadecimal digits, random."""
    name: str
    rehearsal: bool
    """Permanent: a rehearsal home never becomes a production home."""
    environment: dict[str, str] = {}
    """Variables that the token's module needs, for example SOFTHSM2_CONF; values may begin with {home}."""
    workers: int = 2
    tokens: list[TokenSettings]
    tenants: list[TenantSettings]
    units: list[UnitSettings]
    seal_keys: list[SealKeySettings]
    logs: list[LogSettings]
    authorities: list[CertificateAuthoritySettings]
    clock: ClockSettings = ClockSettings()
    limits: LimitSettings = LimitSettings()
    records: RecordSettings = RecordSettings()
    users: UserSettings = UserSettings()
    front: FrontSettings = FrontSettings()
    checkpoint_interval_ms: int = 1_000
    checkpoint_exports: str = "exports/checkpoints"
    """Where signed checkpoints are exported before they are published (control FORK): relative to the home, or an
    absolute path, which in production lies on a disk that is not restored together with the box."""
    box_leaf_interval_s: int = 60


def read_settings(path: Path) -> BoxSettings:
    """Read and check box.json. Raises msgspec.ValidationError with the path of the offending member."""
    return msgspec.json.decode(path.read_bytes(), type=BoxSettings)


def write_settings(path: Path, settings: BoxSettings) -> None:
    """Write box.json, readable by people."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(settings), indent=2) + b"\n")
