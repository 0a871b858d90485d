"""What every request of the audit process needs: settings, opened content keys, the records, the index, the logs."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass, field

import structlog

import hsm
from appliance.anchorer.asking import AnchorerAsking
from appliance.api.bodies import BodyCipher
from appliance.api.letters.anchoring import AnchorSource
from appliance.api.letters.approvals import ApproverFiles
from appliance.api.letters.kinds import Kinds
from appliance.audit.errors import NO_SUCH_LOG
from appliance.audit.following import catch_up
from appliance.audit.index import Index
from appliance.audit.opening import Opener
from appliance.audit.source import RecordSource
from appliance.box.home import Home
from appliance.box.pins import pin_path
from appliance.box.settings import BoxSettings, read_settings
from appliance.box.users import has_anchorer
from appliance.errors import CinnabarError, NotFound
from appliance.log.lines import Line
from appliance.recorder.errors import RecorderUnavailable
from appliance.recorder.messages import BOX_LOG, Entry
from appliance.recorder.readings import ReadingRecord, reading_entry
from hsm import vault

log = structlog.get_logger("audit")


@dataclass(frozen=True)
class AuditedLog:
    """A log that can be asked about."""

    name: str
    """The tenant's, or @box."""
    line: Line
    """Its logs: it may have been renewed."""
    witnessed: bool
    """Whether it has witnesses now."""
    opener: Opener
    cipher: BodyCipher | None
    """None: the box's own, which is kept in clear."""


@dataclass(frozen=True)
class Asker:
    """Who asks."""

    user: int
    """Numeric user id of the process, as the socket shows it."""
    person: str
    """As the management service says; nobody else has looked."""


@dataclass
class AuditRoom:
    """One life of the audit process."""

    home: Home
    settings: BoxSettings
    source: RecordSource
    index: Index
    logs: dict[str, AuditedLog] = field(default_factory=dict)
    kinds: Kinds = field(init=False)
    approvers: ApproverFiles = field(init=False)
    anchorer: AnchorerAsking = field(init=False)
    _read: float = 0.0
    _catching_up: dict[str, asyncio.Lock] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kinds = Kinds(self.home)
        self.approvers = ApproverFiles(self.home)
        self.anchorer = AnchorerAsking(self.home.anchorer_socket)

    @property
    def anchors(self) -> AnchorSource | None:
        """Where anchors of the box's log are found; None: the box has, and had, no ledgers."""
        box = next((log for log in self.settings.logs if log.tenant is None), None)
        if box is None or not has_anchorer(self.home, self.settings):
            return None
        return AnchorSource(Line(self.home.logs, self.home.cosigned, box), self.anchorer)

    def open_logs(self) -> None:
        """Open the content key of every tenant; the tokens are let go of again. Tenants that cannot be opened are told
        and left out."""
        tenants = {tenant.name: tenant for tenant in self.settings.tenants}
        wanted = [entry for entry in self.settings.logs if (entry.tenant or BOX_LOG) not in self.logs]
        tokens: dict[str, hsm.Token] = {}
        try:
            for entry in wanted:
                cipher = None
                if entry.tenant is not None:
                    tenant = tenants.get(entry.tenant)
                    try:
                        if tenant is None:
                            continue
                        wrapped = (self.home.root / tenant.data_key).read_bytes()
                        token = tokens.get(tenant.token) or self._open_token(tenant.token)
                        tokens[tenant.token] = token
                        cipher = BodyCipher(tenant.name, vault.open_content_key(token, wrapped))
                    except (hsm.HsmError, OSError, KeyError) as error:
                        log.error("tenant-not-opened", tenant=entry.tenant, error=type(error).__name__)
                        continue
                name = entry.tenant or BOX_LOG
                line = Line(self.home.logs, self.home.cosigned, entry)
                opener = Opener(name, cipher, line.eras)
                self.logs[name] = AuditedLog(name, line, bool(entry.witnesses), opener, cipher)
        finally:
            for token in tokens.values():
                token.close()

    def _open_token(self, name: str) -> hsm.Token:
        settings = {token.name: token for token in self.settings.tokens}[name]
        return hsm.open_token(
            hsm.Pkcs11Uri.parse(settings.uri),
            hsm.PinFile(pin_path(self.home, settings)),
            hsm.LaneSettings(),
            count_call=_never,
            allow_weak_keys=settings.allow_weak_keys,
        )

    def log(self, name: str) -> AuditedLog:
        """A log by its name; the settings are read again for one that is not known. Raises NotFound."""
        found = self.logs.get(name)
        if found is None and time.monotonic() > self._read + 1.0:
            self._read = time.monotonic()
            self.settings = read_settings(self.home.settings)
            self.open_logs()
            found = self.logs.get(name)
        if found is None:
            raise NotFound(NO_SUCH_LOG)
        return found

    async def catch_up(self, name: str, patience: float = 0.02) -> int:
        """Bring the index up to the log, for about `patience` seconds; gives the leaves that it then has."""
        lock = self._catching_up.setdefault(name, asyncio.Lock())
        async with lock:
            return await catch_up(self.index, self.source, name, patience)

    async def tell(self, asker: Asker, audited: AuditedLog, wanted: str, first: int, end: int, count: int) -> None:
        """Put a read of content on record, before anything is shown. Raises what the recorder refuses it with."""
        record = ReadingRecord(
            action="content-read",
            count=count,
            end=end,
            filter=wanted,
            first=first,
            person=asker.person,
            tenant=audited.name,
            time=time.time_ns() // 1000,
            user=asker.user,
        )
        await self.record(record)

    async def record(self, record: ReadingRecord) -> tuple[int, bytes, Entry]:
        """Leaf index, salt and entry of the record, once it is on disk."""
        made, salt = reading_entry(record, self.logs[record.tenant].line.newest.era.hashing)
        committed = await self.source.recorder.reading(record.tenant, made)
        return committed.first_index, salt, made

    async def follow(self) -> None:
        """Keep the index close to every log, for ever. One that cannot be read now, such as one whose archive is not
        mounted, is told of once and looked at again; the others have their index meanwhile."""
        behind: dict[str, str] = {}
        while True:
            for name in list(self.logs):
                fault = ""
                try:
                    await self.catch_up(name, 0.25)
                except (NotFound, RecorderUnavailable):
                    continue
                except sqlite3.OperationalError as error:  # a full disk: the index goes on when there is room
                    fault = error.sqlite_errorname
                    await asyncio.sleep(1.0)
                except CinnabarError as error:
                    fault = error.code
                if fault and behind.get(name) != fault:
                    log.warning("index-behind", log=name, error=fault)
                behind[name] = fault
            await asyncio.sleep(0.25)


def _never() -> None:
    raise AssertionError("the audit process makes no signature")
