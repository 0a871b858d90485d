"""The ledger of type bitcoin: each open anchor one step further.

An anchor is due, then signed, then sent, then waits for a block, then for blocks on top. Only the newest due one is
begun: the others are covered by it. Rules that hold whatever the node says:

- What is signed is stored before it is sent (appliance.anchorer.ledger).
- A further transaction for the same anchor spends the coins of the one before it, so that at most one of them can ever
  stand in a chain. Other coins are taken only when a coin of all earlier ones has been gone from the chain, with none
  of them in it, for as many blocks as finality takes.
- Final is what the judge has taken, from headers with work: the node's word is not enough.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine, Sequence

import msgspec
import structlog

from appliance.anchorer.bitcoin.attempts import Attempts
from appliance.anchorer.bitcoin.chain import Chain, OtherChain
from appliance.anchorer.bitcoin.memory import OpenAnchor
from appliance.anchorer.bitcoin.node import Node
from appliance.anchorer.bitcoin.receipts import receipt_of
from appliance.anchorer.ledger import LedgerUnavailable, Progress, Surroundings, Work
from appliance.anchors import AnchorRefused, Receipt, State, Strength
from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.judge import Rules, judge
from appliance.anchors.judging import rules_of
from appliance.box.ledgers.bitcoin import BitcoinLedgerSettings
from appliance.errors import CinnabarError

logger = structlog.get_logger("anchorer")


class BitcoinLedger:
    """A chain of the Bitcoin family, by one node."""

    def __init__(self, settings: BitcoinLedgerSettings, surroundings: Surroundings) -> None:
        """Raises AnchorRefused where the profile's rules are not of the type."""
        rules = rules_of(surroundings.profile)
        assert isinstance(rules, Rules)  # noqa: S101 - what rules_of promises for this type
        self.name = settings.name
        self._settings = settings
        self._rules = rules
        ca = None if settings.ca is None else surroundings.home / settings.ca
        self._node = Node(settings.url, surroundings.home / settings.password_file, settings.timeout_s, ca)
        self._chain = Chain(self._node, rules)
        self._attempts = Attempts(self._node, self._chain, settings, rules.depth, surroundings.desk)

    async def close(self) -> None:
        await self._node.close()

    async def advance(self, work: Sequence[Work]) -> Sequence[Progress]:
        """One step of each. Raises LedgerUnavailable."""
        kept = [_remembered(one) for one in work]
        anchors = [one for one in kept if one is not None]
        found = iter(await self._advance(anchors) if anchors else ())
        return [self._damaged(one) if known is None else next(found) for one, known in zip(work, kept, strict=True)]

    def _damaged(self, work: Work) -> Progress:
        cause = "what is remembered of it is no memory of this type of ledger"
        return Progress(work.state, cause, work.memory, self._settings.poll_s)

    async def _advance(self, anchors: Sequence[OpenAnchor]) -> Sequence[Progress]:
        await self._chain.look()
        await self._hold_to_what_was_seen(anchors)
        begun = [one for one in anchors if one.attempts]
        if begun:
            watched = {attempt.txid for one in begun for attempt in one.attempts}
            await self._chain.follow(min(one.since for one in begun), watched)
            if not self._chain.complete:
                cause = f"the chain is followed: block {self._chain.height} of {self._chain.node_height}"
                return [self._progress(one, one.work.state, cause, again_s=0) for one in anchors]
        return [await self._step(one, anchors) for one in anchors]

    async def _hold_to_what_was_seen(self, anchors: Sequence[OpenAnchor]) -> None:
        """A node that no longer has a block as deep as finality is not followed: it was swapped, or the chain has left
        what was final, and a person decides which is true (docs/anchors-bitcoin.md). Raises OtherChain."""
        for point in {one.seen for one in anchors if one.seen is not None}:
            if self._chain.node_height < point.height:
                raise LedgerUnavailable(f"the node is behind, at block {self._chain.node_height} of {point.height}")
            if not await self._chain.has(point):
                raise OtherChain(f"the node's chain no longer has block {point.height} ({shown(point.hash)})")
        deep = await self._chain.point(self._chain.node_height - self._rules.depth)
        for one in anchors:
            if deep is not None and (one.seen is None or one.seen.height < deep.height):
                one.seen = deep

    async def _step(self, one: OpenAnchor, anchors: Sequence[OpenAnchor]) -> Progress:
        if not one.attempts:
            return await self._begin(one, anchors)
        for attempt in one.attempts:
            height = self._chain.find(attempt.txid)
            if height is not None:
                return await self._stands(one, attempt.txid, height)
        left = one.mined
        if left is not None:
            logger.warning("anchor-left-behind", ledger=self.name, anchor=one.work.number, block=left.height)
            one.mined = None
        cause = await self._told(self._attempts.tend(one, anchors, time.time()))
        if left is not None:
            cause = f"block {left.height} ({shown(left.hash)}) left the chain; {cause}"
        return self._progress(one, State.SUBMITTED, cause, again_s=0 if self._attempts.unsent(one) else None)

    async def _begin(self, one: OpenAnchor, anchors: Sequence[OpenAnchor]) -> Progress:
        if any(other.work.number > one.work.number for other in anchors):
            return self._progress(one, one.work.state, "a newer head is anchored and covers this one")
        waiting = [
            other
            for other in anchors
            if other.attempts and all(self._chain.find(a.txid) is None for a in other.attempts)
        ]
        if len(waiting) >= self._settings.unconfirmed:
            return self._progress(one, one.work.state, f"{len(waiting)} earlier anchors are in no block yet")
        cause = await self._told(self._attempts.begin(one, anchors, time.time()))
        if not one.attempts:
            return self._progress(one, one.work.state, cause)
        return self._progress(one, State.SUBMITTED, cause, again_s=0)

    async def _told(self, step: Coroutine[None, None, str]) -> str:
        """What a step came to. A refusal by the desk concerns its anchor: what else is under way goes on."""
        try:
            return await step
        except LedgerUnavailable:
            raise
        except CinnabarError as error:
            return str(error)

    async def _stands(self, one: OpenAnchor, txid: bytes, height: int) -> Progress:
        attempt = next(attempt for attempt in one.attempts if attempt.txid == txid)
        point = await self._chain.point(height)
        if point is None or point.hash != self._chain.block(height).header.hash:
            raise LedgerUnavailable("the chain moved on while it was looked at")
        one.mined, one.missing = point, {}
        depth, place = self._chain.height - height + 1, self._chain.place(height)
        if depth < self._rules.depth:
            return self._progress(one, State.MINED, f"{place}, {depth} of {self._rules.depth} deep")
        receipt = await receipt_of(
            self._node, self._chain, self._rules, self.name, one.work, attempt.transaction, height
        )
        try:
            judgement = judge(bytes(receipt.proof), one.work.commitment, self._rules)
        except AnchorRefused as error:
            return self._progress(one, State.MINED, f"{place}; the receipt does not hold: {error}")
        if judgement.strength is not Strength.PROVEN and self._rules.least_work is not None:
            return self._progress(one, State.MINED, f"{place}; its headers took less work than the profile asks for")
        self._attempts.learn(attempt)
        return self._progress(one, State.FINAL, place, receipt=receipt)

    def _progress(
        self,
        one: OpenAnchor,
        state: State | None,
        cause: str,
        *,
        again_s: float | None = None,
        receipt: Receipt | None = None,
    ) -> Progress:
        wait = self._settings.poll_s if again_s is None else again_s
        return Progress(state, cause, one.encode(), wait, receipt)


def _remembered(work: Work) -> OpenAnchor | None:
    """None: another type of ledger left it, or it is damaged. That anchor alone stands still."""
    try:
        return OpenAnchor.of(work)
    except (msgspec.MsgspecError, MalformedBitcoin, ValueError):
        return None
