"""A ledger of type bitcoin on a real node, with an outbox in memory that holds it to the rules of the real one: allowed
transitions, memory kept between steps, the receipt judged before an anchor is final."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import coincurve
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.anchorer.bitcoin import BitcoinLedger
from appliance.anchorer.ledger import LedgerUnavailable, Progress, Surroundings, Work
from appliance.anchors import (
    Judgement,
    LedgerProfile,
    Receipt,
    State,
    canonical,
    check_transition,
    commitment_of,
    judge,
)
from appliance.anchors.bitcoin.address import address_of
from appliance.anchors.bitcoin.judge import Rules
from appliance.anchors.bitcoin.scripts import commitments_of, witness_program
from appliance.anchors.bitcoin.transaction import Transaction, parse_transaction
from appliance.anchors.states import OPEN
from appliance.box.ledgers.bitcoin import BitcoinLedgerSettings
from appliance.box.ledgers.common import AccountSettings
from appliance.log.checkpoint import Checkpoint, sign_checkpoint
from appliance.log.ledgers.bitcoin import BitcoinRequest, BitcoinTransactions
from appliance.log.ledgers.request import CheckedCheckpoint
from appliance.log.note import VerifierKey
from firmware_tests.others.litecoin import LitecoinNode

ORIGIN = "log.example/rehearsal/box"
REGTEST = Rules(
    depth=3,
    easiest_bits="207fffff",
    genesis="530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9",
    work="scrypt",
)
LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def profile_of(rules: Rules) -> LedgerProfile:
    return LedgerProfile(name="ltc", rules=msgspec.Raw(canonical.encode(rules)), tolerance_s=7_200, type="bitcoin")


def checkpoint(size: int) -> bytes:
    """A head of the box's log, signed."""
    verifier = VerifierKey(ORIGIN, LOG_KEY.public_key().public_bytes_raw())
    head = Checkpoint(ORIGIN, size, hashlib.sha256(size.to_bytes(8, "big")).digest())
    return sign_checkpoint(head, [(verifier, LOG_KEY.sign)])


class Account:
    """What the log follower is to a ledger: it makes the transaction by its own rules and signs it. The key is in
    memory; firmware_tests/scenarios has the one in a token."""

    def __init__(self, settings: BitcoinLedgerSettings, secret: bytes) -> None:
        self._settings = settings
        self._key = coincurve.PrivateKey(secret)
        self.public_key = self._key.public_key.format()
        self.signed: list[Transaction] = []

    async def account(self, ledger: str) -> bytes:
        assert ledger == self._settings.name
        return self.public_key

    async def sign(self, request: BitcoinRequest) -> bytes:
        note = request.checkpoint
        head = Checkpoint.parse(note.partition(b"\n\n")[0] + b"\n")
        made = BitcoinTransactions().make(
            request, CheckedCheckpoint(head, commitment_of(note)), self._settings, self.public_key
        )
        signatures = [self._key.sign_recoverable(digest, hasher=None)[:64] for digest in made.digests]
        raw = made.signed(signatures)
        self.signed.append(parse_transaction(raw))
        return raw


class Stage:
    """One box's ledger. `crash` is what kill -9 of the anchorer comes to: a new process with what was stored."""

    def __init__(
        self,
        home: Path,
        node: LitecoinNode,
        *,
        rules: Rules = REGTEST,
        secret: bytes = bytes(31) + b"\1",
        **settings: object,
    ) -> None:
        given: dict[str, object] = {
            "name": "ltc",
            "profile": "ledger-ltc.json",
            "account": AccountSettings(token="box", key_uri="pkcs11:object=ltc"),
            "address_prefix": "rltc",
            "url": node.url,
            "password_file": str(node.cookie),
            "timeout_s": 20.0,
            "poll_s": 0.05,
        }
        self.settings = BitcoinLedgerSettings(**{**given, **settings})  # type: ignore[arg-type]
        self.profile = profile_of(rules)
        self.desk = Account(self.settings, secret)
        self._surroundings = Surroundings(home, self.profile, self.desk)
        self._runner = asyncio.Runner()
        self.work: dict[int, Work] = {}
        self.told: dict[int, list[tuple[State | None, str]]] = {}
        self.receipts: dict[int, Receipt] = {}
        self.ledger = BitcoinLedger(self.settings, self._surroundings)

    @property
    def address(self) -> str:
        return address_of("rltc", witness_program(self.desk.public_key))

    def due(self, size: int | None = None) -> int:
        """One more head is to be anchored, of `size` leaves: as many as its number, where nothing else is said."""
        number = len(self.work) + 1
        note = checkpoint(size or number)
        self.work[number] = Work(number, note, commitment_of(note), None, b"")
        self.told[number] = []
        return number

    def state(self, number: int) -> State | None:
        return self.work[number].state

    def step(self, *, store: bool = True) -> Sequence[Progress]:
        """One step of all that is open. `store`: False, where the process dies before it has stored what came of it."""
        opened = [one for one in self.work.values() if one.state in OPEN]
        found = self._runner.run(self.ledger.advance(opened))
        assert len(found) == len(opened)
        if store:
            for one, progress in zip(opened, found, strict=True):
                self._store(one, progress)
        return found

    def _store(self, one: Work, progress: Progress) -> None:
        check_transition(one.state, progress.state)
        assert progress.state is not State.SUPERSEDED
        assert (progress.receipt is not None) == (progress.state is State.FINAL)
        if progress.receipt is not None:
            self.receipts[one.number] = progress.receipt
            self.judge(one.number)
            for number, other in self.work.items():
                if number < one.number and other.state in OPEN:
                    self.work[number] = replace(other, state=State.SUPERSEDED)
        self.work[one.number] = replace(one, state=progress.state, memory=progress.memory)
        self.told[one.number].append((progress.state, progress.cause))

    def judge(self, number: int) -> Judgement:
        now = time.time_ns() // 1000 + 7_200_000_000
        return judge(self.receipts[number], self.work[number].commitment, self.profile, now_us=now)

    def until(
        self, condition: Callable[[], bool], between: Callable[[], object] = lambda: None, steps: int = 60
    ) -> None:
        """Step until the condition holds, with something done after each step."""
        for _ in range(steps):
            if condition():
                return
            try:
                self.step()
            except LedgerUnavailable as error:
                self.told.setdefault(0, []).append((None, str(error)))
            between()
        raise AssertionError(self.told)

    def crash(self) -> None:
        self._runner.run(self.ledger.close())
        self.ledger = BitcoinLedger(self.settings, self._surroundings)

    def close(self) -> None:
        self._runner.run(self.ledger.close())
        self._runner.close()


def anchors_in(node: LitecoinNode, stage: Stage) -> dict[bytes, list[str]]:
    """Which transactions of the node's chain carry which head of this stage."""
    wanted = {one.commitment for one in stage.work.values()}
    found: dict[bytes, list[str]] = {}
    for height in range(1, node.height + 1):
        block = node.cli("getblock", node.cli("getblockhash", str(height)), "2")
        for one in block["tx"]:
            for commitment in commitments_of(parse_transaction(bytes.fromhex(one["hex"]))):
                if commitment in wanted:
                    found.setdefault(commitment, []).append(one["txid"])
    return found
