"""What the handlers of one worker share. A worker holds no state of its own: it can die at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from appliance.anchorer.asking import AnchorerAsking
from appliance.api.awaited import Awaited, AwaitedKey, not_open
from appliance.api.bodies import BodyCipher
from appliance.api.callers import Caller, Callers
from appliance.api.errors import NotPermitted
from appliance.api.filing.adapters import Adapters
from appliance.api.gates import Gates
from appliance.api.letters.anchoring import AnchorSource
from appliance.api.letters.approvals import ApproverFiles
from appliance.api.letters.kinds import Kinds
from appliance.api.seal_objects import SealObjects
from appliance.box.home import Home
from appliance.box.settings import BoxSettings
from appliance.box.states import StatePage
from appliance.box.users import has_anchorer
from appliance.clock import Clock
from appliance.enrolment import Enroller
from appliance.errors import BadRequest
from appliance.log import BoxProofs, LogReader
from appliance.log.cosigned import CosignedHeads
from appliance.log.lines import Line
from appliance.store import Documents

if TYPE_CHECKING:
    from appliance.api.awaited import Reopening
    from appliance.api.filing.sender import Sender
    from appliance.api.hub import Hub
    from appliance.api.intakes.runner import IntakeRunner
    from appliance.api.jobs import JobRunner
    from appliance.api.letters.clockwork import Clockwork
    from appliance.api.units import ReleaseKey, SealingKey, StampingUnit
    from appliance.documents import DocumentsClient
    from appliance.letters.counting import Whom
    from appliance.recorder import RecorderClient
    from appliance.recorder.counts import CallCounter
    from hsm import MacKey, Token
    from hsm.agreement import AgreementKey

_Owned = TypeVar("_Owned", "StampingUnit", "SealingKey")


@dataclass(frozen=True)
class HostedLog:
    """A log that this box keeps."""

    origin: str
    tenant: str | None
    """None: the box's own."""
    published: bool
    reader: LogReader
    cosigned: CosignedHeads
    witnessed: bool
    """Whether it has witnesses now."""
    goes_on: bool = True
    """It was not renewed."""

    def tlog_proof(self, index: int, entry: bytes) -> bytes:
        """The .tlog-proof of an entry: under the first head that witnesses cosigned and that covers it, where there is
        one, else under the latest. Raises NotYetIncluded, LogDamaged."""
        return self.reader.tlog_proof(index, entry=entry, note=self.cosigned.covering(index + 1))


class BoxLog(NamedTuple):
    """The box's own log, and what tenants may see of its leaves."""

    origin: str
    openings: BoxProofs


@dataclass
class Worker:
    """See the module. Everything here is set at start and stays, but for what the register and the counts move, and
    for what is opened later because its token did not open at once."""

    number: int
    home: Home
    settings: BoxSettings
    callers: Callers
    clock: Clock
    recorder: RecorderClient
    documents: DocumentsClient
    """What others upload goes there to be read."""
    counter: CallCounter
    state: StatePage
    tokens: Mapping[str, Token]
    ciphers: Mapping[str, BodyCipher]
    """By tenant."""
    units: Mapping[str, StampingUnit]
    seal_keys: Mapping[str, SealingKey]
    logs: Mapping[str, HostedLog]
    """By origin."""
    revocation_lists: Mapping[str, Path]
    """CRL files by the name that their addresses end with."""
    responders: frozenset[str]
    """Authorities that have OCSP answers."""
    enroller: Enroller
    """Requests for certificates go there."""
    kinds: Kinds
    """Kinds of letters, by tenant."""
    macs: Mapping[str, MacKey]
    """Keys of uniqueness, by tenant and by federation ("@NAME")."""
    release_keys: Mapping[str, Sequence[ReleaseKey]]
    """Keys that values are veiled to, by tenant, the newest first."""
    message_keys: Mapping[str, Sequence[AgreementKey]]
    """Keys that partners' messages are encrypted to, by tenant, the newest first."""
    gates: Gates = field(default_factory=Gates)
    """Asked before each signature."""
    awaited: Awaited = field(default_factory=Awaited)
    """Units and seal keys that are not in `units` and `seal_keys` because their token does not open."""
    whom: dict[str, dict[Whom, tuple[str, bytes]]] = field(init=False, default_factory=dict)
    """Keyed hashes of whom counts are of, with their labels, by tenant (appliance.api.letters.counted)."""
    approvers: ApproverFiles = field(init=False)
    """Who may approve letters' events, by tenant."""
    seal_objects: SealObjects = field(init=False)
    """As what seals are seen, by tenant."""
    reopening: Reopening = field(init=False)
    jobs: JobRunner = field(init=False)
    intakes: IntakeRunner = field(init=False)
    stored: Documents = field(init=False)
    """Files that were sent, encrypted by their tenants."""
    clockwork: Clockwork = field(init=False)
    sender: Sender = field(init=False)
    adapters: Adapters = field(init=False)
    """By what letters are filed with authorities, by tenant."""
    hub: Hub = field(init=False)
    box_log: BoxLog | None = field(init=False)
    anchorer: AnchorerAsking = field(init=False)
    lines: dict[str | None, Line] = field(init=False)
    """By tenant, None for the box's own."""
    anchors: AnchorSource | None = field(init=False)
    """None: the box has no ledgers."""
    description: bytes | None = None
    """The OpenAPI document, once somebody asked for it."""
    _scopes: frozenset[tuple[str, str]] = field(init=False)
    """(tenant, scope of uniqueness) of those that there are: the tenant's own is empty."""

    def __post_init__(self) -> None:
        self.approvers = ApproverFiles(self.home)
        self.adapters = Adapters(self.home)
        self.stored = Documents(self.home.documents)
        self.seal_objects = SealObjects(self.home)
        own_scopes = {(tenant.name, "") for tenant in self.settings.tenants if tenant.uniqueness_key}
        self._scopes = frozenset(own_scopes).union(
            (tenant, f"@{federation.name}") for federation in self.settings.federations for tenant in federation.tenants
        )
        own = self.log_of(None)
        self.box_log = None if own is None else BoxLog(own.origin, BoxProofs(own.reader, own.cosigned.covering))
        self.anchorer = AnchorerAsking(self.home.anchorer_socket)
        self.lines = {log.tenant: Line(self.home.logs, self.home.cosigned, log) for log in self.settings.logs}
        self.anchors = None
        if own is not None and has_anchorer(self.home, self.settings):
            self.anchors = AnchorSource(self.lines[None], self.anchorer)

    @property
    def stopping(self) -> bool:
        return self.hub.stopping

    def log_of(self, tenant: str | None) -> HostedLog | None:
        """The log of a tenant that goes on; of None, the box's own."""
        return next((log for log in self.logs.values() if log.tenant == tenant and log.goes_on), None)

    def witnessed(self, tenant: str | None) -> bool:
        """Whether the log of a tenant has witnesses now."""
        log = self.log_of(tenant)
        return log is not None and log.witnessed

    def line_of(self, tenant: str | None) -> Line | None:
        """Every log that a tenant has had; of None, the box's own."""
        return self.lines.get(tenant)

    def cipher_of(self, tenant: str) -> BodyCipher:
        """The cipher of a tenant of this box. Raises hsm.errors.TokenUnavailable while its token does not open."""
        found = self.ciphers.get(tenant)
        if found is None:
            raise not_open()
        return found

    def mac_of(self, tenant: str, scope: str) -> Callable[[bytes], asyncio.Future[bytes]]:
        """HMAC-SHA-256 under the key of a scope of uniqueness: the tenant's own where `scope` is empty, else that of a
        federation, "@NAME". Raises NotPermitted where the tenant has none, or is no member (an unknown federation is
        answered alike), and hsm.errors.TokenUnavailable while its token does not open."""
        if (tenant, scope) not in self._scopes:
            raise NotPermitted("This tenant has no such scope of uniqueness.")
        found = self.macs.get(scope or tenant)
        if found is None:
            raise not_open()
        return found.mac_async

    def unit_for(self, caller: Caller, name: str | None) -> StampingUnit:
        """The unit of the caller's tenant by name, or the first that the caller may use. Raises NotPermitted, and
        hsm.errors.TokenUnavailable while its token does not open."""
        if self.awaited.units:
            order = [one.name for one in self.settings.units]
            _refuse_awaited(self.units, self.awaited.units, order, caller, name)
        return _permitted(self.units, caller, name, "This application has no time-stamping unit.")

    def seal_key_for(self, caller: Caller, name: str | None) -> SealingKey:
        """The seal key of the caller's tenant by name, or the first that the caller may use. Raises NotPermitted, and
        hsm.errors.TokenUnavailable while its token does not open."""
        if self.awaited.seal_keys:
            order = [one.name for one in self.settings.seal_keys]
            _refuse_awaited(self.seal_keys, self.awaited.seal_keys, order, caller, name)
        return _permitted(self.seal_keys, caller, name, "This application has no seal key.")


def _refuse_awaited(
    owned: Mapping[str, _Owned], awaited: Mapping[str, AwaitedKey], order: list[str], caller: Caller, name: str | None
) -> None:
    """Raises TokenUnavailable where what the caller may use and asks for waits for its token: another one in its place
    would sign under another certificate."""
    for one in order if name is None else [name]:
        found = awaited.get(one) or owned.get(one)
        if found is not None and found.tenant == caller.tenant and caller.may_use(one):
            if one in awaited:
                raise not_open()
            return


def _permitted(owned: Mapping[str, _Owned], caller: Caller, name: str | None, none: str) -> _Owned:
    """Another tenant's and an unknown one are refused alike (control CHANNEL)."""
    if name is not None:
        named = owned.get(name)
        if named is None or named.tenant != caller.tenant:
            raise NotPermitted("This application may not use that unit or key.")
        caller.authorise(name)
        return named
    for one in owned.values():
        if one.tenant == caller.tenant and caller.may_use(one.name):
            return one
    raise BadRequest(none)
