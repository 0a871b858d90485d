"""The nodes of one chain that stand in for each other: which of them is asked now, and whether they say the same."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import structlog

from appliance.anchorer.evm.errors import NodeFailed, NodeRefused, OtherChain
from appliance.anchorer.evm.forms import BlockForm, Quantity, data, number
from appliance.anchorer.evm.rpc import Call, Node
from appliance.anchors.evm.rules import Rules
from appliance.box.ledgers.evm import EvmLedgerSettings

FIRST_REST_SECONDS: Final = 1.0
LONGEST_REST_SECONDS: Final = 120.0
"""How long a node that failed is asked after the others; twice as long after each further failure."""
BEHIND_BLOCKS: Final = 8
"""A node that is so far behind what most of them have seen is asked after the others."""

Form = TypeVar("Form")

log = structlog.get_logger("anchorer")


async def ask(node: Node, form: type[Form] | Any, method: str, *params: Any) -> Any:
    """The result of a call, of this form. Raises NodeFailed, NodeRefused."""
    return decoded(node, form, method, await node.call(method, *params))


def decoded(node: Node, form: type[Form] | Any, method: str, result: msgspec.Raw) -> Any:
    """A result as its form. Raises NodeFailed."""
    try:
        return msgspec.json.decode(result, type=form)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise NodeFailed(f"{node.name} answers {method} in another form: {str(error)[:200]}") from None


@dataclass
class _Standing:
    """How one node did lately."""

    node: Node
    rest_s: float = 0.0
    until: float = float("-inf")
    told: str = ""


@dataclass(frozen=True)
class View:
    """What one node says of the chain now."""

    node: Node
    head: BlockForm

    @property
    def height(self) -> int:
        return number(self.head.number)


class Nodes:
    """All endpoints of a ledger. Make it inside a running loop."""

    def __init__(
        self,
        settings: EvmLedgerSettings,
        rules: Rules,
        home: Path,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = settings.name
        self._rules = rules
        self._clock = clock
        self._all = [_Standing(Node(one, home, settings.timeout_s)) for one in settings.endpoints]

    async def close(self) -> None:
        for one in self._all:
            await one.node.close()

    async def view(self) -> View:
        """What the first of the nodes says that is of this chain, answers, and is not behind the others. Raises
        NodeFailed with what is wrong with each."""
        now = self._clock()
        rested = [one for one in self._all if one.until <= now]
        troubles: list[str] = []
        for some in (rested, [one for one in self._all if one not in rested]):
            looked = await asyncio.gather(*(self._looked(one) for one in some))
            views = [one for one in looked if isinstance(one, View)]
            troubles += [one for one in looked if isinstance(one, str)]
            if views:
                most = statistics.median_low([one.height for one in views])
                return next(one for one in views if one.height >= most - BEHIND_BLOCKS)
        raise NodeFailed("; ".join(troubles))

    async def agreeing(self, height: int, block: bytes) -> int:
        """How many of the nodes have this block at this height."""
        looked = await asyncio.gather(*(self._has(one, height, block) for one in self._all))
        return sum(looked)

    def distrust(self, node: Node, why: str) -> None:
        """What the node said does not hold together: another is asked next."""
        for one in self._all:
            if one.node is node:
                self._failed(one, why, at_least=LONGEST_REST_SECONDS / 4)

    async def _looked(self, one: _Standing) -> View | str:
        try:
            view = await self._identified(one.node)
        except NodeFailed as error:
            self._failed(one, str(error))
            return str(error)
        one.rest_s, one.told = 0.0, ""
        return view

    async def _identified(self, node: Node) -> View:
        """Raises NodeFailed, OtherChain."""
        calls = [
            Call("eth_chainId"),
            Call("eth_getBlockByNumber", ("0x0", False)),
            Call("eth_getBlockByNumber", ("latest", False)),
        ]
        results = []
        for call, form, result in zip(calls, (Quantity, BlockForm, BlockForm), await node.calls(calls), strict=True):
            if isinstance(result, NodeRefused):
                raise NodeFailed(f"{node.name}: {result}")
            results.append(decoded(node, form, call.method, result))
        chain, genesis, head = results
        if number(chain) != self._rules.chain_id:
            raise OtherChain(f"{node.name} is of the chain {number(chain)}, not of {self._rules.chain_id}")
        if data(genesis.hash).hex() != self._rules.genesis:
            raise OtherChain(
                f"{node.name} is of a chain of the same number that began with another block, {genesis.hash}"
            )
        return View(node, head)

    async def _has(self, one: _Standing, height: int, block: bytes) -> bool:
        try:
            await self._identified(one.node)
            found = await ask(one.node, BlockForm | None, "eth_getBlockByNumber", hex(height), False)
        except (NodeFailed, NodeRefused):
            return False
        return found is not None and data(found.hash) == block

    def _failed(self, one: _Standing, why: str, at_least: float = FIRST_REST_SECONDS) -> None:
        one.rest_s = min(LONGEST_REST_SECONDS, max(at_least, 2 * one.rest_s))
        one.until = self._clock() + one.rest_s
        if why != one.told:
            log.warning("node-in-trouble", ledger=self._ledger, node=one.node.name, error=why)
        one.told = why
