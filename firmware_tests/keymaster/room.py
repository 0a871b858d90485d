"""A keymaster's room in this process, beside a recorder process and a SoftHSM token; and officers who speak there."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.box.home import Home
from appliance.box.settings import (
    BoxSettings,
    CertificateAuthoritySettings,
    TokenSettings,
    read_settings,
    write_settings,
)
from appliance.ceremonies import Constitution, Proposal, digest_words, encode, read_proposal
from appliance.ceremonies.actions import GenerateKey
from appliance.ceremonies.constitution import ApprovalRules
from appliance.ceremonies.statements import Statement
from appliance.keymaster.desk import Desk
from appliance.keymaster.engine import now_utc, uptime_s
from appliance.keymaster.officers.founding import first_constitution, found
from appliance.keymaster.process import Keymaster
from appliance.recorder import RecorderClient
from firmware_tests.officers import ORIGIN, RP_ID, SoftwareOfficer
from firmware_tests.recorder import running
from hsm.testing.softhsm import SoftHsm, ThrowawayToken

TENANT = "acme"
STARTED = now_utc()


def room_settings(token: ThrowawayToken, home: Path) -> BoxSettings:
    """A box with one token, which holds the pins, and the recorder's two logs."""
    (home / "secrets").mkdir(exist_ok=True)
    pin_file = token.pin_file(home / "secrets")
    return msgspec.structs.replace(
        running.settings(),
        tokens=[TokenSettings(name="box", uri=str(token.uri), pin_file=str(pin_file.relative_to(home)))],
        tenants=[],
        authorities=[
            CertificateAuthoritySettings(
                name="box-ca",
                token="box",
                key_uri="pkcs11:object=box-ca",
                scheme="ecdsa-p384-sha384",
                certificate="trust/box-ca.pem",
                crl="trust/box-ca.crl",
            )
        ],
    )


def key(name: str = "k1", tenant: str | None = None) -> GenerateKey:
    """What a ceremony is about where it does not matter."""
    return GenerateKey(
        tenant=tenant, token="box", key=name, scheme="ed25519", purpose="seal", until="2099-01-01T00:00:00Z"
    )


class Bench:
    """A home with a recorder and a token, on which lives of the keymaster follow each other."""

    def __init__(self, root: Path, softhsm: SoftHsm) -> None:
        self.home = Home(root)
        self.token = softhsm.token()
        self.settings = room_settings(self.token, root)
        write_settings(self.home.settings, self.settings)
        for path in (self.home.trust, self.home.counters):
            path.mkdir(parents=True, exist_ok=True)
        self.recorder = running.Recorder(root)
        self.officers = {name: SoftwareOfficer(name) for name in ("ann", "bo", "cai", "dan")}
        self.now: Callable[[], datetime.datetime] = now_utc
        self.uptime: Callable[[], float] = lambda: (self.now() - STARTED).total_seconds()  # noqa: PLW0108 - the same

    def start(self) -> None:
        self.recorder.start()
        with self.recorder.admin() as admin:
            admin.enrol_tenant(TENANT)

    @classmethod
    def reopened(cls, root: Path) -> Bench:
        """The bench of another process, for a life of the keymaster in this one. Its recorder is not ours."""
        bench = cls.__new__(cls)
        bench.home, bench.now, bench.officers = Home(root), now_utc, {}
        bench.uptime = uptime_s
        bench.settings = read_settings(bench.home.settings)
        bench.recorder = running.Recorder(root)
        return bench

    @contextlib.asynccontextmanager
    async def life(self) -> AsyncIterator[Life]:
        """One life of the keymaster, without sockets of its own and without housekeeping."""
        keymaster = Keymaster(self.home, self.settings)
        keymaster.engine.clock = lambda: self.now()  # noqa: PLW0108 - a test changes it meanwhile
        keymaster.engine.uptime = lambda: self.uptime()  # noqa: PLW0108
        room = keymaster.room
        room.recorder = await RecorderClient.connect(self.home.recorder_socket, "a" * 32, lambda: (0, {}))
        await room.constitutions.load()
        try:
            yield Life(self, keymaster)
        finally:
            await keymaster.executions.stop()
            await room.recorder.close()
            room.admin.close()
            room.tokens.close()
            room.journal.close()
            keymaster._counter.close(remove=True)

    def put_journal_back(self, kept: Path) -> None:
        """The journal as it was when it was copied."""
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.home.journal}{suffix}").unlink(missing_ok=True)
        shutil.copy(kept, self.home.journal)

    def run(self, body: Callable[[Life], Awaitable[Any]]) -> Any:
        async def main() -> Any:
            async with self.life() as life:
                return await body(life)

        return asyncio.run(main())


class Life:
    """One life of the keymaster, and what officers do in it."""

    def __init__(self, bench: Bench, keymaster: Keymaster) -> None:
        self.bench = bench
        self.room = keymaster.room
        self.engine = keymaster.engine
        self.executions = keymaster.executions
        self.desk = Desk(self.engine, self.executions)

    def confirm(self, officer: SoftwareOfficer) -> None:
        candidates = self.room.candidates
        one = candidates.register(candidates.invite(officer.name, officer.title), officer.credential())
        candidates.confirm(one.id, candidates.show_code(one.id))

    async def found(self, threshold: int = 2, *, names: tuple[str, ...] = ("ann", "bo", "cai", "dan")) -> Constitution:
        for name in names:
            self.confirm(self.bench.officers[name])
        rules = ApprovalRules(rp_id=RP_ID, origins=[ORIGIN], backup_eligible=True)
        document = first_constitution(
            self.room.settings, rules, self.room.candidates.confirmed(), threshold, {}, self.engine.clock()
        )
        await found(self.room, document, self.engine.clock())
        return document

    async def draft(self, *actions: msgspec.Struct, requester: str = "ann", hours: int = 24) -> Proposal:
        text = await self.engine.draft(
            requester, "A test", "It must hold 必须", msgspec.json.encode(list(actions)), hours
        )
        return read_proposal(text)

    async def submit(self, *actions: msgspec.Struct, requester: str = "ann", hours: int = 24) -> str:
        return await self.engine.submit(encode(await self.draft(*actions, requester=requester, hours=hours)))

    def statement(self, digest: str, verb: str, name: str) -> Statement:
        return self.bench.officers[name].sign(verb, digest)  # type: ignore[arg-type]

    async def say(self, digest: str, *said: str) -> dict[str, Any]:
        """Statements from texts `verb officer`; the summary after the last."""
        shown: dict[str, Any] = {}
        for text in said:
            verb, name = text.split()
            shown = await self.desk.state(encode(self.statement(digest, verb, name)))
        return shown

    async def approved(self, *actions: msgspec.Struct, hours: int = 24) -> str:
        digest = await self.submit(*actions, hours=hours)
        shown = await self.say(digest, "request ann", "approve bo", "approve cai")
        assert shown["state"] == "approved", shown
        return digest

    def leaves(self, log: str) -> list[dict[str, Any]]:
        """The records of ceremonies in a log, oldest first."""
        with self.bench.recorder.admin() as admin:
            rows = admin.query("read_records", log, 0, 1000)
        return [msgspec.json.decode(msgspec.msgpack.decode(row[7])[1]) for row in rows if row[3] == "ceremony"]


def words_of(digest: str) -> str:
    return " ".join(digest_words(digest).split()[:4])
