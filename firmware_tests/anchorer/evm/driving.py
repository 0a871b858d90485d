"""A ledger of type evm driven as the anchorer drives it: every step is stored before the next one, the table of states
is held to, and a desk builds each transaction from fields."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import coincurve
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.anchorer.evm.ledger import EvmLedger
from appliance.anchorer.ledger import Ledger, Surroundings, Work
from appliance.anchors import LedgerProfile, Receipt, State, canonical, check_transition, commitment_of
from appliance.anchors.evm.rules import ContractRules, Rules
from appliance.anchors.evm.secp256k1 import normalised
from appliance.anchors.evm.transactions import LegacyTransaction
from appliance.box.ledgers.common import AccountSettings
from appliance.box.ledgers.evm import EvmEndpoint, EvmLedgerSettings
from appliance.log.checkpoint import Checkpoint, sign_checkpoint
from appliance.log.ledgers.evm import EvmRequest, EvmTransactions
from appliance.log.ledgers.request import CheckedCheckpoint
from appliance.log.note import VerifierKey
from firmware_tests.others.evm_nodes import Node, account_of

ORIGIN = "log.example/rehearsal/box"
GWEI = 10**9
_LOG_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BUILT: dict[str, Any] = msgspec.json.decode(
    (Path(__file__).parents[3] / "appliance/anchors/evm/contracts/built.json").read_bytes()
)["contracts"]


def note(size: int) -> bytes:
    """A signed head of the box's log."""
    head = Checkpoint(ORIGIN, size, hashlib.sha256(size.to_bytes(8, "big")).digest())
    return sign_checkpoint(head, [(VerifierKey(ORIGIN, _LOG_KEY.public_key().public_bytes_raw()), _LOG_KEY.sign)])


class HeldDesk:
    """A desk whose key is in memory: what it builds and refuses is the log follower's own."""

    def __init__(self, settings: EvmLedgerSettings, key: bytes) -> None:
        self.settings = settings
        self._key = coincurve.PrivateKey(key)
        self.requests: list[EvmRequest] = []

    async def account(self, ledger: str) -> bytes:
        assert ledger == self.settings.name
        return self._key.public_key.format()

    async def sign(self, request: Any) -> bytes:
        self.requests.append(request)
        text = Checkpoint(ORIGIN, 0, bytes(32))  # which head it is, the desk itself looks up
        checked = CheckedCheckpoint(text, commitment_of(request.checkpoint))
        unsigned = EvmTransactions().make(request, checked, self.settings, self._key.public_key.format())
        return unsigned.signed([self._key.sign_recoverable(digest, None)[:64] for digest in unsigned.digests])


@dataclass
class Anchor:
    """As the outbox holds it."""

    number: int
    checkpoint: bytes
    state: State | None = None
    memory: bytes = b""
    receipt: Receipt | None = None
    history: list[tuple[State | None, str]] = field(default_factory=list)

    @property
    def states(self) -> list[State | None]:
        """The states it went through, each once in a row."""
        return [
            one for place, (one, _) in enumerate(self.history) if not place or self.history[place - 1][0] is not one
        ]

    @property
    def causes(self) -> str:
        return "\n".join(cause for _, cause in self.history)

    def work(self) -> Work:
        return Work(self.number, self.checkpoint, commitment_of(self.checkpoint), self.state, self.memory)


class Driven:
    """A ledger with the anchors that are open on it."""

    def __init__(self, make: Callable[[], Ledger], first_size: int = 7) -> None:
        self._make = make
        self._first_size = first_size
        self.ledger = make()
        self.anchors: list[Anchor] = []

    def anchor(self) -> Anchor:
        """A new anchor, due."""
        made = Anchor(len(self.anchors) + 1, note(len(self.anchors) + self._first_size))
        self.anchors.append(made)
        return made

    @property
    def open(self) -> list[Anchor]:
        return [one for one in self.anchors if one.state in (None, State.SUBMITTED, State.MINED)]

    async def step(self, stored: bool = True) -> None:
        """One step. Not stored: as if the process had been killed right after it."""
        works = self.open
        progress = await self.ledger.advance([one.work() for one in works])
        assert len(progress) == len(works)
        for one, came in zip(works, progress, strict=True):
            check_transition(one.state, came.state)
            assert (came.receipt is not None) is (came.state is State.FINAL)
            if stored:
                one.state, one.memory, one.receipt = came.state, came.memory, came.receipt
                one.history.append((came.state, came.cause))

    async def until(
        self,
        reached: Callable[[], object],
        between: Callable[[], object] = lambda: None,
        steps: int = 60,
        pause_s: float = 0.0,
    ) -> None:
        """Steps until something holds; `between` is done between two of them."""
        for _ in range(steps):
            if reached():
                return
            await self.step()
            if reached():
                return
            between()
            await asyncio.sleep(pause_s)
        raise AssertionError("\n".join(f"{one.number} {one.history[-6:]}" for one in self.anchors))

    async def restart(self) -> None:
        """As if the process had been killed: what was stored is all there is."""
        await self.ledger.close()
        self.ledger = self._make()

    async def close(self) -> None:
        await self.ledger.close()


@dataclass
class Place:
    """A chain with a contract, and an account that may write to it."""

    settings: EvmLedgerSettings
    rules: Rules
    home: Path
    key: bytes

    @property
    def profile(self) -> LedgerProfile:
        rules = msgspec.Raw(canonical.encode(self.rules))
        return LedgerProfile(name=self.settings.name, rules=rules, tolerance_s=30, type="evm")

    def changed(self, **members: Any) -> Place:
        """The same with other settings."""
        return Place(msgspec.structs.replace(self.settings, **members), self.rules, self.home, self.key)

    def ruled(self, **members: Any) -> Place:
        """The same with other rules."""
        return Place(self.settings, msgspec.structs.replace(self.rules, **members), self.home, self.key)

    def driven(
        self, desk: HeldDesk | None = None, clock: Callable[[], float] = time.time, first_size: int = 7
    ) -> Driven:
        used = desk or HeldDesk(self.settings, self.key)
        return Driven(lambda: EvmLedger(self.settings, Surroundings(self.home, self.profile, used), clock), first_size)


def deploy(node: Node, sender: str, contract: str, arguments: bytes = b"") -> str:
    """A contract on anvil, by an account that it holds unlocked: its address."""
    code = "0x" + BUILT[contract]["bytecode"].removeprefix("0x") + arguments.hex()
    name = node("eth_sendTransaction", {"from": sender, "data": code, "gas": hex(3_000_000)})
    receipt = node.mined(name)
    assert receipt["status"] == "0x1"
    address: str = receipt["contractAddress"]
    return address


def deploy_raw(node: Node, key: bytes, chain_id: int, contract: str, seal: Callable[[], object], nonce: int = 0) -> str:
    """A contract by a signed transaction, as any tool does it: its address."""
    code = bytes.fromhex(BUILT[contract]["bytecode"].removeprefix("0x"))
    made = LegacyTransaction(chain_id=chain_id, nonce=nonce, gas_price=5 * GWEI, gas=3_000_000, to=b"", data=code)
    digest = made.signing_hash()
    signature = coincurve.PrivateKey(key).sign_recoverable(digest, None)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    raw = made.signed(*normalised(digest, r, s, bytes.fromhex(account_of(key)[2:])))
    name = node("eth_sendRawTransaction", "0x" + raw.hex())
    seal()
    receipt = node.mined(name)
    assert receipt["status"] == "0x1"
    address: str = receipt["contractAddress"]
    return address


def settings_of(urls: Sequence[str], chain_id: int, contract: ContractRules, **more: Any) -> EvmLedgerSettings:
    given: dict[str, Any] = {
        "name": "chain",
        "profile": "ledger-chain.json",
        "endpoints": [EvmEndpoint(url=url) for url in urls],
        "account": AccountSettings(token="box", key_uri="pkcs11:object=chain"),
        "chain_id": chain_id,
        "contract": contract,
        "maximum_fee_per_gas": 200 * GWEI,
        "maximum_priority_fee_per_gas": 20 * GWEI,
        "poll_s": 0.05,
        "timeout_s": 5.0,
        **more,
    }
    return EvmLedgerSettings(**given)
