"""One look at a chain: what has become of the transactions of each anchor, and what is done next about it.

A step signs, or sends, or looks: what was signed is stored before it is sent, so that a crash anywhere sends the same
transaction again and no other. A nonce that another transaction has is given up only once that one is as deep as an
anchor has to be: until then ours might still be the one that counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from appliance.anchorer.evm import fees
from appliance.anchorer.evm.errors import NodeFailed, NodeRefused
from appliance.anchorer.evm.fees import Fees, TooDear
from appliance.anchorer.evm.forms import BlockForm, Hash, Quantity, ReceiptForm, data, number, shown
from appliance.anchorer.evm.memory import MOST_ATTEMPTS, Attempt, Memory, write_memory
from appliance.anchorer.evm.nodes import Nodes, View, ask
from appliance.anchorer.evm.nonces import next_nonce
from appliance.anchorer.evm.proving import blocks_on_top, prove
from appliance.anchorer.ledger import Progress, Surroundings, Work
from appliance.anchors import AnchorRefused, Receipt, State, judge
from appliance.anchors.evm.proof import write_proof
from appliance.anchors.evm.reasons import EvmReason
from appliance.anchors.evm.rules import Rules
from appliance.anchors.evm.secp256k1 import address_of
from appliance.box.ledgers.evm import EvmLedgerSettings
from appliance.log.ledgers import EvmRequest

_KNOWN: Final = ("already known", "known transaction", "already in pool", "already imported", "alreadyknown")
"""Parts of what nodes answer about a transaction that they have."""
LEAST_TAKEN_BLOCKS: Final = 2
"""A node may tell of a block's nonces before it tells of its receipts."""


@dataclass(frozen=True)
class Mined:
    """A transaction of ours, in a block that counts."""

    attempt: Attempt
    height: int
    block: bytes
    succeeded: bool


@dataclass
class Round:
    """A look at the chain through one node."""

    settings: EvmLedgerSettings
    rules: Rules
    surroundings: Surroundings
    nodes: Nodes
    view: View
    now_s: float
    reserved: set[tuple[bytes, int]]
    """Accounts with nonces of the transactions that were signed here for open anchors."""
    _counts: dict[bytes, int] = field(default_factory=dict)

    async def step(self, work: Work, memory: Memory) -> Progress:
        """The next step of an anchor. Raises NodeFailed, NodeRefused, RequestRefused, Unavailable, TooDear."""
        if not memory.attempts:
            return await self._sign_first(work, memory)
        mined = await self._mined(memory)
        if mined is not None and work.state is None:  # it was sent, and that was not stored
            return self._to(State.SUBMITTED, memory, f"sent as {shown(mined.attempt.hash)}", again_s=0.0)
        if mined is None:
            return await self._follow(work, memory)
        if memory.step + 1 < self.rules.contract.described.steps:
            return self._next_call(work, memory, mined)
        return await self._deepen(work, memory, mined)

    # --- what was signed, and stands in a block -----------------------------------------------------------------

    async def _mined(self, memory: Memory) -> Mined | None:
        for attempt in reversed(memory.attempts):
            name = shown(attempt.hash)
            receipt = await ask(self.view.node, ReceiptForm | None, "eth_getTransactionReceipt", name)
            if receipt is None or receipt.block_hash is None or receipt.block_number is None:
                continue
            if data(receipt.transaction_hash) != attempt.hash:
                raise NodeFailed(f"{self.view.node.name} gives the receipt of another transaction")
            block = await self._block(receipt.block_number)
            if block is not None and block.hash == receipt.block_hash:
                succeeded = receipt.status is None or number(receipt.status) == 1
                return Mined(attempt, number(receipt.block_number), data(block.hash), succeeded)
        return None

    async def _block(self, height: str) -> BlockForm | None:
        found: BlockForm | None = await ask(self.view.node, BlockForm | None, "eth_getBlockByNumber", height, False)
        return found

    def _next_call(self, work: Work, memory: Memory, mined: Mined) -> Progress:
        call = f"call {memory.step + 1} of {self.rules.contract.described.steps}"
        if not mined.succeeded:
            if self._on_top(mined) < blocks_on_top(self.rules, mined.height):
                return self._stays(work, memory, f"{call} failed in block {mined.height}, which is not yet final")
            return self._to(State.FAILED, memory, f"the contract refused {call}, in block {mined.height}")
        done = Memory(step=memory.step + 1, earlier=(*memory.earlier, mined.attempt))
        return self._to(State.SUBMITTED, done, f"{call} is in block {mined.height}", again_s=0.0)

    async def _deepen(self, work: Work, memory: Memory, mined: Mined) -> Progress:
        needed = blocks_on_top(self.rules, mined.height)
        place = f"block {mined.height} ({shown(mined.block)})"
        if self._on_top(mined) < needed:
            failed = "" if mined.succeeded else "; the transaction failed in it"
            return self._to(State.MINED, memory, f"{place}; final with {needed} blocks on top{failed}")
        if self.settings.agreeing > 1:
            agreeing = await self.nodes.agreeing(mined.height, mined.block)
            if agreeing < self.settings.agreeing:
                cause = f"{place}, which {agreeing} nodes have, and not {self.settings.agreeing}"
                return self._to(State.MINED, memory, cause)
        proof = await prove(self.view.node, self.rules, mined.attempt.raw, mined.block)
        profile = self.surroundings.profile
        receipt = Receipt(
            checkpoint=work.checkpoint.decode(),
            ledger=profile.name,
            proof=msgspec.Raw(write_proof(proof)),
            type=profile.type,
        )
        try:
            found = judge(receipt, work.commitment, profile, now_us=int(self.now_s * 1_000_000))
        except AnchorRefused as error:
            if error.reason is EvmReason.FAILED_TRANSACTION:
                return self._to(State.FAILED, memory, f"the transaction failed in {place}")
            self.nodes.distrust(self.view.node, f"its receipt does not hold: {error.reason}: {error}")
            return self._to(State.MINED, memory, f"{place}; the receipt does not hold: {error.reason}: {error}")
        return Progress(State.FINAL, f"{found.place}, {found.strength}", write_memory(memory), 0.0, receipt)

    def _on_top(self, mined: Mined) -> int:
        return self.view.height - mined.height

    # --- what was signed, and stands in none ---------------------------------------------------------------------

    async def _follow(self, work: Work, memory: Memory) -> Progress:
        newest = memory.newest
        if not newest.sent_s:
            return await self._send(memory)
        left = "its block was left behind by a reorganisation; " if work.state is State.MINED else ""
        mined = await self._count(newest.sender)
        if mined > newest.nonce:
            return self._taken(memory, left)
        memory = msgspec.structs.replace(memory, taken_at=0)
        old = abs(self.now_s - newest.sent_s) >= self.settings.replace_after_s  # also by a clock that was set back
        # A chain that makes no blocks takes none for a higher fee either.
        if old and mined == newest.nonce and self.view.height > newest.sent_at:
            replaced = await self._replace(work, memory)
            if replaced is not None:
                return replaced
            left += "no more may be offered for it; "
        for attempt in (*memory.earlier, newest):
            known = await self.view.node.call("eth_getTransactionByHash", shown(attempt.hash))
            if bytes(known) == b"null":
                return await self._send(memory, left, attempt)
        ahead = f", behind {newest.nonce - mined} others of the account" if newest.nonce > mined else ""
        return self._to(State.SUBMITTED, memory, f"{left}waits for a block{ahead}")

    def _taken(self, memory: Memory, left: str) -> Progress:
        nonce, height = memory.newest.nonce, self.view.height
        at = memory.taken_at or max(1, height)
        if height - at < max(LEAST_TAKEN_BLOCKS, blocks_on_top(self.rules, height)):
            waiting = msgspec.structs.replace(memory, taken_at=at)
            return self._to(State.SUBMITTED, waiting, f"{left}another transaction of the account has the nonce {nonce}")
        anew = Memory(step=memory.step, earlier=memory.earlier)
        return self._to(State.SUBMITTED, anew, f"another transaction has the nonce {nonce}: made anew", again_s=0.0)

    async def _send(self, memory: Memory, left: str = "", attempt: Attempt | None = None) -> Progress:
        """Send what was stored. Whatever the node answers, it may have it."""
        sent = attempt or memory.newest
        try:
            name = await ask(self.view.node, Hash, "eth_sendRawTransaction", shown(sent.raw))
            cause = f"sent as {shown(sent.hash)}"
            if data(name) != sent.hash:
                raise NodeFailed(f"{self.view.node.name} calls the transaction {name}, not {shown(sent.hash)}")
        except NodeRefused as error:
            known = any(one in error.message.lower() for one in _KNOWN)
            cause = f"{shown(sent.hash)} waits for a block" if known else str(error)
        if not sent.sent_s:
            now_sent = msgspec.structs.replace(sent, sent_s=self.now_s, sent_at=self.view.height)
            memory = msgspec.structs.replace(memory, attempts=(*memory.attempts[:-1], now_sent))
        return self._to(State.SUBMITTED, memory, left + cause)

    # --- signing -------------------------------------------------------------------------------------------------

    async def _sign_first(self, work: Work, memory: Memory) -> Progress:
        account = address_of(await self.surroundings.desk.account(self.settings.name))
        offered = await self._fees()
        await self._would_work(work, memory, account)
        return await self._sign(work, memory, await self._free_nonce(account), offered)

    async def _replace(self, work: Work, memory: Memory) -> Progress | None:
        """Have the same signed for a higher fee; None: the settings do not allow it."""
        before = memory.newest
        try:
            raised = fees.raised(self.settings, before.fees, await self._fees())
        except TooDear:
            return None
        if raised is None or len(memory.attempts) >= MOST_ATTEMPTS:
            return None
        if before.sender != address_of(await self.surroundings.desk.account(self.settings.name)):
            return None  # of a key that was in use before
        return await self._sign(work, memory, before.nonce, raised)

    async def _sign(self, work: Work, memory: Memory, nonce: int, offered: Fees) -> Progress:
        request = EvmRequest(
            ledger=self.settings.name,
            checkpoint=work.checkpoint,
            nonce=nonce,
            gas=self.settings.gas,
            fee=offered.fee,
            tip=offered.tip,
            step=memory.step,
        )
        attempt = Attempt(await self.surroundings.desk.sign(request), self.now_s)
        self.reserved.add((attempt.sender, attempt.nonce))
        signed = msgspec.structs.replace(memory, attempts=(*memory.attempts, attempt))
        what = f"signed with the nonce {attempt.nonce}, for at most {offered.fee} wei a gas"
        return Progress(work.state, what, write_memory(signed), 0.0)

    async def _fees(self) -> Fees:
        base = self.view.head.base_fee_per_gas
        legacy = self.settings.transactions == "legacy"
        method = "eth_gasPrice" if legacy else "eth_maxPriorityFeePerGas"
        try:
            suggested = number(await ask(self.view.node, Quantity, method))
        except NodeRefused:
            if legacy:
                raise
            suggested = self.settings.maximum_priority_fee_per_gas
        return fees.first(self.settings, None if base is None else number(base), suggested)

    async def _would_work(self, work: Work, memory: Memory, account: bytes) -> None:
        """Ask the node whether the call would succeed. Raises NodeRefused with its answer where it would not."""
        contract = self.rules.contract
        call = {
            "from": shown(account),
            "to": shown(account) if contract.address is None else "0x" + contract.address,
            "data": shown(contract.described.call_data(memory.step, work.commitment)),
        }
        gas = number(await ask(self.view.node, Quantity, "eth_estimateGas", call))
        if gas > self.settings.gas:
            raise TooDear(f"the call takes {gas} gas, the settings allow {self.settings.gas}")

    async def _free_nonce(self, account: bytes) -> int:
        mined = await self._count(account)
        try:
            waiting = number(await ask(self.view.node, Quantity, "eth_getTransactionCount", shown(account), "pending"))
        except NodeRefused:
            waiting = mined
        return next_nonce(mined, waiting, {nonce for sender, nonce in self.reserved if sender == account})

    async def _count(self, account: bytes) -> int:
        """How many transactions of an account the chain has."""
        if account not in self._counts:
            count = await ask(self.view.node, Quantity, "eth_getTransactionCount", shown(account), "latest")
            self._counts[account] = number(count)
        return self._counts[account]

    # --- what came of it -----------------------------------------------------------------------------------------

    def _to(self, state: State, memory: Memory, cause: str, again_s: float | None = None) -> Progress:
        again = self.settings.poll_s if again_s is None else again_s
        return Progress(state, cause, write_memory(memory), again)

    def _stays(self, work: Work, memory: Memory, cause: str) -> Progress:
        return Progress(work.state, cause, write_memory(memory), self.settings.poll_s)
