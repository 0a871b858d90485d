"""A channel of Fabric as a ledger.

    proposal signed ──► endorsed ──► transaction signed ──► sent ──► committed ──► block read and judged: final
                                                            ▲  │
                                                            └──┘ the same transaction, which can be committed once only

Each arrow is a step of its own, stored before the next. Until the transaction is signed nothing can be committed: a
proposal that comes to nothing is dropped, and another made. Afterwards no other is ever made for that anchor. Blocks
of Fabric stay: there is nothing to wait for once one holds the anchor.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from appliance.anchorer.fabric.gateway import CommitStatus, Gateway, GatewayRefuses
from appliance.anchorer.fabric.memory import Memory, read_memory, write_memory
from appliance.anchorer.ledger import LedgerUnavailable, Progress, Surroundings, Work
from appliance.anchors import AnchorRefused, Reason, Receipt, State
from appliance.anchors.fabric.endorsing import check_answer, endorsers
from appliance.anchors.fabric.identities import Members
from appliance.anchors.fabric.judge import BLOCK_BYTES, Rules, judge, write_proof
from appliance.anchors.fabric.messages import Header, Proposal, SignatureHeader, SignedProposal
from appliance.anchors.fabric.transactions import (
    NONCE_BYTES,
    Endorsed,
    place_of,
    prepared,
    proposal_hash,
    transaction_id,
)
from appliance.anchors.fabric.wire import MalformedMessage
from appliance.anchors.judging import rules_of
from appliance.box.ledgers.fabric import FabricLedgerSettings
from appliance.errors import CinnabarError
from appliance.instants import now_us
from appliance.log.ledgers import RequestRefused
from appliance.log.ledgers.fabric import (
    FabricBlock,
    FabricEndorsement,
    FabricPart,
    FabricProposal,
    FabricRequest,
    FabricStatus,
    FabricTransaction,
)

LATER_S: Final = 3_600.0
"""Until an anchor that waits for a newer one is looked at again."""
MOST_AT_ONCE: Final = 16
"""Transactions that are asked about at the same time."""
LONGEST_PAUSE_S: Final = 300.0
"""Between two proposals of one anchor; twice as long after each that came to nothing."""
DUPLICATE: Final = 9
"""protos.TxValidationCode DUPLICATE_TXID: the same transaction once more, which says nothing of the first."""


class FabricLedger:
    """See appliance.anchorer.ledger."""

    def __init__(
        self, settings: FabricLedgerSettings, around: Surroundings, clock_us: Callable[[], int] = now_us
    ) -> None:
        rules = rules_of(around.profile)
        assert isinstance(rules, Rules)  # noqa: S101 - the profile is of this type
        self.name = settings.name
        self._settings = settings
        self._rules = rules
        self._home: Path = around.home
        self._desk = around.desk
        self._clock_us = clock_us
        self._gateways = [Gateway(one, around.home) for one in settings.gateways]

    @property
    def _gateway(self) -> Gateway:
        return self._gateways[0]

    async def advance(self, work: Sequence[Work]) -> Sequence[Progress]:
        """An anchor without a transaction goes on if it is the newest of all, which covers the others. Raises
        LedgerUnavailable with what each anchor met where none came further; of a single anchor, whatever that met."""
        memories = {one.number: read_memory(one.memory) for one in work}
        newest = work[-1].number
        sent = [number for number, memory in memories.items() if memory.envelope]
        stepped = frozenset((newest, *sent[-MOST_AT_ONCE:]))
        met = await asyncio.gather(*(self._try(one, memories[one.number]) for one in work if one.number in stepped))
        troubles = [one for one in met if isinstance(one, CinnabarError)]
        if len(troubles) == len(met):
            raise troubles[0] if len(troubles) == 1 else LedgerUnavailable("; ".join(map(str, troubles)))
        found = dict(zip((one.number for one in work if one.number in stepped), met, strict=True))
        return [self._came_to(one, found.get(one.number), newest) for one in work]

    async def _try(self, work: Work, memory: Memory) -> Progress | CinnabarError:
        try:
            return await self._step(work, memory)
        except LedgerUnavailable as error:
            self._turn()
            return error
        except CinnabarError as error:  # the log follower's: of this anchor alone
            return error

    def _came_to(self, work: Work, met: Progress | CinnabarError | None, newest: int) -> Progress:
        if isinstance(met, Progress):
            return met
        if met is not None:
            return Progress(work.state, str(met), work.memory, self._settings.poll_s)
        if read_memory(work.memory).envelope:
            return Progress(work.state, "later anchors are asked about first", work.memory, self._settings.poll_s)
        cause = f"anchor {newest} is asked for, which covers it"
        return Progress(work.state or State.SUBMITTED, cause, b"", LATER_S)

    async def close(self) -> None:
        """Connections end with each call."""

    def _turn(self) -> None:
        """Another Gateway's turn: this one is away, or what it says does not hold."""
        self._gateways.append(self._gateways.pop(0))

    async def _step(self, work: Work, memory: Memory) -> Progress:
        if not memory.envelope:
            if not memory.proposal:
                return await self._propose(work, memory)
            if not memory.answer:
                return await self._have_endorsed(work, memory)
            return await self._sign(work, memory)
        if memory.block is None:
            return await self._follow(memory)
        if not memory.query:
            return await self._ask_for_block(work, memory)
        return await self._prove(work, memory)

    # --- until the transaction is signed, nothing of it can be committed ---------------------------------------------

    async def _propose(self, work: Work, memory: Memory) -> Progress:
        nonce, moment = secrets.token_bytes(NONCE_BYTES), self._clock_us()
        certificate = self._certificate()
        part = FabricProposal(nonce=nonce, time_us=moment)
        signed = await self._desk.sign(self._request(work, certificate, part))
        made = Memory(
            tries=memory.tries,
            nonce=nonce,
            time_us=moment,
            certificate=certificate,
            transaction=transaction_id(nonce, _signer(signed).creator),
            proposal=signed,
        )
        return self._submitted(made, "peers are asked to endorse it", 0.0)

    async def _have_endorsed(self, work: Work, memory: Memory) -> Progress:
        try:
            payload = await self._gateway.endorse(
                self._settings.channel,
                memory.transaction,
                memory.proposal,
                list(self._settings.endorsing),
                self._settings.timeout_s,
            )
            endorsed = prepared(payload)
            self._check(endorsed, memory)
        except GatewayRefuses as error:
            return self._proposal_dropped(work, memory, str(error))
        except AnchorRefused as error:
            return self._proposal_dropped(work, memory, f"{self._gateway.address}: {error.reason}: {error}")
        except MalformedMessage as error:
            return self._proposal_dropped(work, memory, f"{self._gateway.address}: {Reason.MALFORMED}: {error}")
        made = replace(
            memory,
            answer=endorsed.payload,
            endorsements=[
                FabricEndorsement(endorser=one.endorser, signature=one.signature) for one in endorsed.endorsements
            ],
        )
        return self._submitted(made, "endorsed; the transaction is to be signed", 0.0)

    def _check(self, endorsed: Endorsed, memory: Memory) -> None:
        """Raises AnchorRefused for an endorsement with which no receipt would hold."""
        proposal = Proposal.decode(SignedProposal.decode(memory.proposal).proposal_bytes)
        header = Header.decode(proposal.header)
        check_answer(endorsed, proposal_hash(header, proposal.payload), self._settings.chaincode)
        moment = datetime.fromtimestamp(memory.time_us / 1_000_000, UTC)
        endorsers(endorsed, self._rules.endorsement, Members(self._rules.msps), moment)

    async def _sign(self, work: Work, memory: Memory) -> Progress:
        wanted = FabricTransaction(
            nonce=memory.nonce, time_us=memory.time_us, answer=memory.answer, endorsements=memory.endorsements
        )
        try:
            envelope = await self._desk.sign(self._request(work, memory.certificate, wanted))
        except RequestRefused as error:
            return self._proposal_dropped(work, memory, f"the log follower signs no such transaction: {error}")
        status = await self._desk.sign(
            self._request(work, memory.certificate, FabricStatus(transaction=memory.transaction))
        )
        made = replace(memory, envelope=envelope, status=status, answer=b"", endorsements=[])
        return self._submitted(made, f"transaction {memory.transaction} is to be sent", 0.0)

    def _proposal_dropped(self, work: Work, memory: Memory, cause: str) -> Progress:
        self._turn()
        pause = min(LONGEST_PAUSE_S, self._settings.poll_s * 2**memory.tries)
        return Progress(work.state, cause, write_memory(Memory(tries=min(memory.tries + 1, 32))), pause)

    # --- from here on there is one transaction, and never another ----------------------------------------------------

    async def _follow(self, memory: Memory) -> Progress:
        """Sent, and asked about; sent again, the same, once nobody has heard of it for long."""
        settings = self._settings
        waiting = f"transaction {memory.transaction} is with the orderers"
        if memory.sent_us:
            found = await self._gateway.commit_status(memory.status, min(settings.poll_s, settings.timeout_s))
            if found is not None and found.code == 0:
                made = replace(memory, block=found.block, denials=0)
                return Progress(State.MINED, f"committed in block {found.block}", write_memory(made), 0.0)
            if found is not None and found.code != DUPLICATE:
                return self._denied(memory, found)
            if self._clock_us() - memory.sent_us < settings.send_again_s * 1_000_000:
                return self._submitted(memory, waiting, 0.0 if found is None else settings.poll_s)
        await self._gateway.submit(settings.channel, memory.transaction, memory.envelope, settings.timeout_s)
        return self._submitted(replace(memory, sent_us=self._clock_us()), waiting, 0.0)

    def _denied(self, memory: Memory, found: CommitStatus) -> Progress:
        """It was ordered, and peers count it as invalid: so one says. Every Gateway is asked before it is believed."""
        self._turn()
        cause = f"transaction {memory.transaction} was ordered and is invalid: {found.name}"
        if memory.denials + 1 >= len(self._gateways):
            return Progress(State.FAILED, cause, write_memory(memory), LATER_S)
        return self._submitted(replace(memory, denials=memory.denials + 1), cause, 0.0)

    async def _ask_for_block(self, work: Work, memory: Memory) -> Progress:
        certificate = self._certificate()
        nonce = secrets.token_bytes(NONCE_BYTES)
        part = FabricBlock(nonce=nonce, time_us=self._clock_us(), transaction=memory.transaction)
        query = await self._desk.sign(self._request(work, certificate, part))
        made = replace(memory, query=query, query_transaction=transaction_id(nonce, _signer(query).creator))
        return Progress(State.MINED, f"committed in block {memory.block}", write_memory(made), 0.0)

    async def _prove(self, work: Work, memory: Memory) -> Progress:
        gateway = self._gateway
        try:
            block = await gateway.evaluate(
                self._settings.channel, memory.query_transaction, memory.query, self._settings.timeout_s
            )
        except GatewayRefuses as error:
            # Whether it was committed is asked again, and of another: this one does not stand by its word.
            self._turn()
            made = replace(memory, block=None, query=b"", sent_us=self._clock_us())
            return Progress(State.SUBMITTED, str(error), write_memory(made), self._settings.poll_s)
        try:
            receipt, place = self._receipt(work, memory, block)
        except (AnchorRefused, MalformedMessage) as error:
            reason = error.reason if isinstance(error, AnchorRefused) else Reason.MALFORMED
            raise LedgerUnavailable(
                f"{gateway.address}: the block does not prove the anchor: {reason}: {error}"
            ) from None
        return Progress(State.FINAL, f"{place}, by {gateway.address}", b"", 0.0, receipt)

    def _receipt(self, work: Work, memory: Memory, block: bytes) -> tuple[Receipt, str]:
        """The receipt, and where the anchor stands by it. Raises AnchorRefused, MalformedMessage."""
        if len(block) > BLOCK_BYTES:
            raise MalformedMessage(f"a block of {len(block)} bytes does not fit into a receipt")
        proof = write_proof(block, place_of(block, memory.transaction))
        place = judge(proof, work.commitment, self._rules).place
        checkpoint = work.checkpoint.decode()
        return Receipt(checkpoint=checkpoint, ledger=self.name, proof=msgspec.Raw(proof), type="fabric"), place

    def _certificate(self) -> bytes:
        """Read anew each time, so that a renewed one needs no restart. Raises LedgerUnavailable."""
        try:
            return (self._home / self._settings.certificate).read_bytes()
        except OSError as error:
            raise LedgerUnavailable(f"{self._settings.certificate}: {error.strerror}") from None

    def _submitted(self, memory: Memory, cause: str, again_s: float) -> Progress:
        return Progress(State.SUBMITTED, cause, write_memory(memory), again_s)

    def _request(self, work: Work, certificate: bytes, part: FabricPart) -> FabricRequest:
        return FabricRequest(ledger=self.name, checkpoint=work.checkpoint, certificate=certificate, part=part)


def _signer(signed: bytes) -> SignatureHeader:
    """Who signed a SignedProposal, and the nonce."""
    proposal = Proposal.decode(SignedProposal.decode(signed).proposal_bytes)
    return SignatureHeader.decode(Header.decode(proposal.header).signature_header)
