"""What an anchorer that was taken over can get out of the signing desk in time: counts outlive a restart and are of the
account, a lock holds for those who wait, and nobody but a person asks for a certificate."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

import hsm
from appliance.anchors.bitcoin.signing import HALF_ORDER
from appliance.box.home import Home
from appliance.box.ledgers import BitcoinLedgerSettings
from appliance.box.settings import LogSettings
from appliance.calls.sockets import Peer
from appliance.errors import Unavailable
from appliance.log.checkpoint import Checkpoint, LogKey, sign_checkpoint
from appliance.log.errors import LogLocked
from appliance.log.keys import write_log_keys
from appliance.log.ledger_desk import LedgerDesk
from appliance.log.ledgers import BitcoinRequest, RequestRefused
from appliance.log.ledgers.bitcoin import BitcoinCoin
from appliance.log.note import VerifierKey
from appliance.log.reader import log_directory
from firmware_tests.log.test_ledger_desk import LEDGER

ORIGIN = "log.example/rehearsal/box"
ORDER = 2 * HALF_ORDER + 1


class Key:
    """An account's key in memory; `turn` is awaited before each signature."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256K1())
        self.public_key = self._key.public_key()
        self.turn = asyncio.Event()
        self.signed = 0

    async def sign_async(self, digest: bytes) -> bytes:
        await self.turn.wait()
        self.signed += 1
        r, s = decode_dss_signature(self._key.sign(digest, ec.ECDSA(Prehashed(hashes.SHA256()))))
        return encode_dss_signature(r, min(s, ORDER - s))


class Place:
    """A home with a head of the box's log, and desks over it."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        log_key = Ed25519PrivateKey.generate()
        verifier = VerifierKey(ORIGIN, log_key.public_key().public_bytes_raw())
        directory = log_directory(self.home.logs, ORIGIN)
        directory.mkdir(parents=True)
        write_log_keys(directory, ORIGIN, [LogKey(verifier)])
        self.note = sign_checkpoint(Checkpoint(ORIGIN, 7, bytes(32)), [(verifier, log_key.sign)])
        self.key = Key()
        self.rows: list[bytes] = []

    def desk(self, *ledgers: BitcoinLedgerSettings) -> LedgerDesk:
        """Another life of the log follower."""
        settings: Any = _Settings(list(ledgers or (LEDGER,)))
        return LedgerDesk(self.home, settings, self, self, lambda _reason, _count: None)  # type: ignore[arg-type]

    def signing_key(self, *_: object, **__: object) -> Key:
        return self.key

    async def record(self, _kind: str, _key: str, _time: int, _subject: str, body: bytes) -> None:
        self.rows.append(body)

    def request(self, ledger: str = "chain", **changed: Any) -> BitcoinRequest:
        coin = BitcoinCoin(txid="ab" * 32, index=0, amount=1_000_000)
        return BitcoinRequest(**{"ledger": ledger, "checkpoint": self.note, "coins": [coin], "fee": 500, **changed})


class _Settings:
    def __init__(self, ledgers: list[BitcoinLedgerSettings]) -> None:
        self.ledgers = ledgers
        self.logs = [LogSettings(origin=ORIGIN, tenant=None, keys=[])]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr("appliance.log.ledger_desk.desk_users", lambda _: frozenset({0}))
    return Place(tmp_path)


def test_the_hours_count_outlives_the_desk_and_is_of_the_account(place: Place) -> None:
    other = msgspec.structs.replace(LEDGER, name="chain-2")

    async def run() -> None:
        place.key.turn.set()
        for life in range(4):
            desk = place.desk(LEDGER, other)
            await desk.sign(place.request("chain" if life % 2 else "chain-2"))
        for ledger in ("chain", "chain-2"):
            with pytest.raises(RequestRefused, match="within the hour"):
                await place.desk(LEDGER, other).sign(place.request(ledger))

    asyncio.run(run())
    assert len(place.rows) == 4


def test_a_clock_that_ran_ahead_blocks_an_account_for_an_hour_and_not_for_ever(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.time() + 10 * 365 * 86_400]
    monkeypatch.setattr("appliance.log.ledger_desk.time.time", lambda: now[0])

    async def run() -> None:
        place.key.turn.set()
        desk = place.desk()
        for _ in range(4):
            await desk.sign(place.request())
        now[0] -= 10 * 365 * 86_400
        with pytest.raises(RequestRefused, match="within the hour"):
            await desk.sign(place.request())

    asyncio.run(run())


def test_what_is_refused_counts_for_nothing(place: Place) -> None:
    async def run() -> None:
        place.key.turn.set()
        desk = place.desk()
        for _ in range(20):
            with pytest.raises(RequestRefused, match="above"):
                await desk.sign(place.request(fee=1_000_000_000))
        await desk.sign(place.request())

    asyncio.run(run())


def test_a_history_that_is_locked_meanwhile_holds_for_those_who_wait(place: Place) -> None:
    async def run() -> list[object]:
        desk = place.desk()
        waiting = [asyncio.ensure_future(desk.sign(place.request())) for _ in range(3)]
        while not place.home.logs.joinpath("ledger-desk.json").exists():
            await asyncio.sleep(0.01)
        place.home.history_lock.write_text("a fork was found")
        place.key.turn.set()
        return await asyncio.gather(*waiting, return_exceptions=True)

    first, *others = asyncio.run(run())
    assert isinstance(first, bytes)  # it was at the token already
    assert [type(one) for one in others] == [LogLocked, LogLocked]
    assert place.key.signed == len(place.rows) == 1


def test_nothing_is_signed_that_a_full_disk_does_not_count(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("appliance.log.ledger_desk.write_durably", full)
    place.key.turn.set()
    with pytest.raises(OSError, match="No space"):
        asyncio.run(place.desk().sign(place.request()))
    assert place.key.signed == 0


def test_the_anchorer_has_no_certificate_asked_for(place: Place) -> None:
    stranger = Peer(user=os.geteuid() + 4_711, group=1, process=1)
    with pytest.raises(RequestRefused, match="only root"):
        asyncio.run(place.desk().certificate_request(stranger, "chain", "Somebody else"))


def test_a_token_that_is_away_holds_up_the_logs_once_and_not_at_each_call(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> Key:
        time.sleep(0.3)
        raise hsm.TokenUnavailable("not connected")

    monkeypatch.setattr(place, "signing_key", slow)
    desk = place.desk()
    started = time.monotonic()
    with pytest.raises(hsm.TokenUnavailable):
        asyncio.run(desk.account("chain"))
    for _ in range(20):
        with pytest.raises(Unavailable, match="a moment ago"):
            asyncio.run(desk.account("chain"))
    assert time.monotonic() - started < 3
