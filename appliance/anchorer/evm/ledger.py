"""An EVM chain as a ledger: all its open anchors, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final, cast

from appliance.anchorer.evm.errors import MemoryDamaged, NodeFailed
from appliance.anchorer.evm.fees import TooDear
from appliance.anchorer.evm.memory import Memory, read_memory
from appliance.anchorer.evm.nodes import Nodes
from appliance.anchorer.evm.round import Round
from appliance.anchorer.ledger import LedgerUnavailable, Progress, Surroundings, Work
from appliance.anchors import AnchorRefused, Reason
from appliance.anchors.evm.rules import Rules
from appliance.anchors.judging import rules_of
from appliance.box.ledgers.evm import EvmLedgerSettings
from appliance.errors import CinnabarError

MOST_UNDER_WAY: Final = 16
"""Anchors whose transactions wait at once; further ones stay due."""


class EvmLedger:
    """A ledger of type evm."""

    def __init__(
        self, settings: EvmLedgerSettings, surroundings: Surroundings, clock: Callable[[], float] = time.time
    ) -> None:
        """`clock`: seconds since the epoch. Raises AnchorRefused for rules that cannot be read, or are of another
        chain or contract than the settings."""
        self.name = settings.name
        self._settings = settings
        self._surroundings = surroundings
        self._rules = cast(Rules, rules_of(surroundings.profile))
        self._clock = clock
        self._nodes: Nodes | None = None
        if self._rules.chain_id != settings.chain_id or self._rules.contract != settings.contract:
            what = f"the profile of {settings.name} has another chain or contract than box.json"
            raise AnchorRefused(Reason.RULES_UNREADABLE, what)

    async def advance(self, work: Sequence[Work]) -> Sequence[Progress]:
        """One step of each open anchor. Raises LedgerUnavailable where no node of the chain answers."""
        nodes = self._opened()
        view = await nodes.view()
        memories = [_remembered(one) for one in work]
        under_way = [memory for memory in memories if isinstance(memory, Memory) and memory.attempts]
        look = Round(
            settings=self._settings,
            rules=self._rules,
            surroundings=self._surroundings,
            nodes=nodes,
            view=view,
            now_s=self._clock(),
            reserved={(memory.newest.sender, memory.newest.nonce) for memory in under_way},
        )
        progress = []
        for one, memory in zip(work, memories, strict=True):
            if isinstance(memory, str):
                progress.append(self._waits(one, memory))
            elif one.state is None and not memory.attempts and one is not work[-1]:
                progress.append(self._waits(one, "a later head is anchored, which covers this one"))
            elif not memory.attempts and len(under_way) >= MOST_UNDER_WAY:
                progress.append(self._waits(one, f"{len(under_way)} earlier ones wait for a block"))
            else:
                progress.append(await self._stepped(look, one, memory))
        return progress

    async def _stepped(self, look: Round, work: Work, memory: Memory) -> Progress:
        """A step of one anchor; what goes wrong with it is its own, and it is tried again."""
        try:
            return await look.step(work, memory)
        except NodeFailed as error:
            look.nodes.distrust(look.view.node, str(error))
            return self._waits(work, str(error))
        except (CinnabarError, TooDear) as error:
            return self._waits(work, str(error))

    def _waits(self, work: Work, cause: str) -> Progress:
        return Progress(work.state, cause, work.memory, self._settings.poll_s)

    def _opened(self) -> Nodes:
        if self._nodes is None:
            try:
                self._nodes = Nodes(self._settings, self._rules, self._surroundings.home)
            except (OSError, ValueError) as error:
                raise LedgerUnavailable(f"the endpoints of {self.name} cannot be used: {error}") from None
        return self._nodes

    async def close(self) -> None:
        if self._nodes is not None:
            await self._nodes.close()
            self._nodes = None


def _remembered(work: Work) -> Memory | str:
    """What is remembered of an anchor, or what is wrong with it: that one alone stands still then."""
    try:
        return read_memory(work.memory)
    except MemoryDamaged as error:
        return str(error)
