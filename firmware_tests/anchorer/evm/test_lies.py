"""A node that lies in each field of each answer: never a false final, never more paid than allowed."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from appliance.anchorer.evm.memory import read_memory
from appliance.anchors import State
from appliance.box.ledgers.evm import EvmEndpoint
from appliance.errors import CinnabarError
from firmware_tests.anchorer.evm.driving import GWEI, Place
from firmware_tests.anchorer.evm.lying import Change, LyingNode, honest, lying
from firmware_tests.others.evm_nodes import CliqueChain

Path = tuple[Any, ...]
ALWAYS = ("other", "null", "gone")
IN_TURN = ("text", "number", "huge", "list")


def ways(place: int) -> tuple[str, ...]:
    """How a place is changed: in three ways, and one more of four in turn."""
    return (*ALWAYS, IN_TURN[place % len(IN_TURN)])


def lie(method: str, path: Path, how: str) -> Change:
    """One place of the answers to one method is changed, always alike."""

    def change(asked: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        return mutated(answer, path, how) if asked == method else answer

    return change


def paths(value: Any, so_far: Path = ()) -> Iterator[Path]:
    """Every place in a JSON value, the whole first. Of a list the first and the last."""
    yield so_far
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from paths(inner, (*so_far, name))
    elif isinstance(value, list):
        for place in sorted({0, len(value) - 1} if value else ()):
            yield from paths(value[place], (*so_far, place))


def mutated(answer: dict[str, Any], path: Path, how: str) -> dict[str, Any]:
    """The answer with one place of its result changed; as it is where there is no such place."""
    changed = copy.deepcopy(answer)
    inside: Any = changed
    full = ("result", *path)
    try:
        for step in full[:-1]:
            inside = inside[step]
        old = inside[full[-1]]
    except (KeyError, IndexError, TypeError):
        return answer
    if how == "gone":
        del inside[full[-1]]
    else:
        inside[full[-1]] = {
            "other": _other(old),
            "null": None,
            "text": "0xnonsense",
            "number": 7,
            "huge": "0x" + "f" * 64,
            "list": [[[]]],
        }[how]
    return changed


def _other(value: Any) -> Any:
    """The same kind of value, and another one."""
    if isinstance(value, str) and value.startswith("0x"):
        last = value[-1:]
        return value[:-1] + ("1" if last != "1" else "2") if len(value) > 2 else "0x01"
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [*value, *value[:1]] if value else [{}]
    return {} if isinstance(value, dict) else "0x1"


def through(place: Place, node: LyingNode) -> Place:
    return place.changed(endpoints=[EvmEndpoint(url=node.url)], timeout_s=5.0)


@pytest.mark.timeout(600)
def test_no_lie_about_a_block_or_a_receipt_makes_a_false_final(clique: CliqueChain, on_clique: Place) -> None:
    """The anchor is in a block, deep enough; what is left is its proof. Whatever the node changes, the receipt is the
    honest one, or there is none."""

    async def run() -> None:
        with lying(clique.nodes[0].url) as node:
            driven = through(on_clique, node).driven()
            anchor = driven.anchor()
            await driven.until(lambda: anchor.state is State.MINED, clique.seal)
            clique.seal(3)
            before = anchor.work()
            node.calls.clear()
            answers: dict[tuple[str, str], Any] = {}

            def remembered(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
                answers[method, repr(params)] = answer["result"]
                return answer

            node.change = remembered
            (honest,) = await driven.ledger.advance([before])
            assert honest.state is State.FINAL
            assert honest.receipt is not None
            told = {(method, path) for (method, _), result in answers.items() for path in paths(result)}
            assert len(told) > 120
            finals, refusals = 0, 0
            node.repeats = True  # the chain stands still
            for place, (method, path) in enumerate(sorted(told, key=repr)):
                for how in ways(place):
                    node.change = lie(method, path, how)
                    try:
                        (came,) = await driven.ledger.advance([before])
                    except CinnabarError:
                        refusals += 1
                        continue
                    if came.state is State.FINAL:
                        finals += 1
                        assert came.receipt == honest.receipt, (method, path, how)
                    else:
                        refusals += 1
                        assert came.state in (State.MINED, State.SUBMITTED), (method, path, how)
                        assert came.cause, (method, path, how)
                    assert len(read_memory(came.memory).attempts) == 1, (method, path, how)
            assert refusals > finals > 0  # members that nobody looks at make no difference
            node.change = remembered
            (last,) = await driven.ledger.advance([before])
            assert last.receipt == honest.receipt
            await driven.close()

    asyncio.run(run())


def test_no_lie_about_the_account_or_its_fees_costs_more_than_allowed(clique: CliqueChain, on_clique: Place) -> None:
    """From the first look until it is sent. Nothing that is signed is above the settings, and a lie that passes leaves
    an anchor that becomes final with an honest node, or is signed anew."""

    async def run() -> None:
        with lying(clique.nodes[0].url) as node:
            limited = through(on_clique, node).changed(maximum_fee_per_gas=40 * GWEI)
            asked = {
                "eth_chainId",
                "eth_getTransactionCount",
                "eth_maxPriorityFeePerGas",
                "eth_estimateGas",
                "eth_sendRawTransaction",
                "eth_getTransactionReceipt",
                "eth_getTransactionByHash",
                "eth_getBlockByNumber",
            }
            for place, method in enumerate(sorted(asked)):
                fields: list[Path] = [()]
                if method == "eth_getBlockByNumber":
                    fields += [("baseFeePerGas",), ("number",), ("hash",), ("timestamp",)]
                for path in fields:
                    for how in ways(place):
                        node.change = lie(method, path, how)
                        driven = limited.driven()
                        anchor = driven.anchor()
                        for _ in range(3):
                            try:
                                await driven.step()
                            except CinnabarError:
                                break
                        assert anchor.state in (None, State.SUBMITTED), (method, path, how)
                        for attempt in read_memory(anchor.memory).attempts:
                            assert attempt.fees.fee <= 40 * GWEI
                            assert attempt.read.transaction.gas <= limited.settings.gas
                            assert attempt.read.transaction.value == 0
                        await driven.close()
                        for one in clique.nodes:
                            one("test_forget")

    asyncio.run(run())


def test_errors_from_every_method(clique: CliqueChain, on_clique: Place) -> None:
    """A node that refuses one method altogether: told, tried again, and final as soon as it answers."""

    async def run() -> None:
        with lying(clique.nodes[0].url) as node:
            driven = through(on_clique, node).driven()
            anchor = driven.anchor()
            for method in (
                "eth_chainId",
                "eth_getBlockByNumber",
                "eth_estimateGas",
                "eth_getTransactionCount",
                "eth_sendRawTransaction",
                "eth_getTransactionReceipt",
            ):

                def refused(
                    told: str, params: list[Any], answer: dict[str, Any], method: str = method
                ) -> dict[str, Any]:
                    if told != method:
                        return answer
                    return {"jsonrpc": "2.0", "id": answer["id"], "error": {"code": -32601, "message": "not\u202ehere"}}

                node.change = refused
                troubles = ""
                try:
                    await driven.step()
                except CinnabarError as error:
                    troubles = str(error)
                assert "\u202e" not in troubles + anchor.causes
            node.change = honest
            await driven.until(lambda: anchor.state is State.FINAL, clique.seal)
            await driven.close()

    asyncio.run(run())


def test_receipts_are_fetched_one_by_one_where_the_node_knows_no_other_way(
    clique: CliqueChain, on_clique: Place
) -> None:
    def unknown(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method not in ("eth_getBlockReceipts", "eth_maxPriorityFeePerGas"):
            return answer
        return {"jsonrpc": "2.0", "id": answer["id"], "error": {"code": -32601, "message": "the method does not exist"}}

    async def run() -> None:
        with lying(clique.nodes[0].url) as node:
            node.change = unknown
            driven = through(on_clique, node).driven()
            anchor = driven.anchor()
            await driven.until(lambda: anchor.state is State.FINAL, clique.seal)
            await driven.close()

    asyncio.run(run())


def test_of_several_nodes_the_honest_one_is_asked(clique: CliqueChain, on_clique: Place) -> None:
    """The first endpoint answers, and every receipt of its does not hold: the second one makes it final."""

    def forged(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method != "eth_getBlockReceipts":
            return answer
        return mutated(answer, (0, "logs", 0, "data"), "other")

    async def run() -> None:
        with lying(clique.nodes[0].url) as node:
            node.change = forged
            endpoints = [EvmEndpoint(url=node.url), EvmEndpoint(url=clique.nodes[1].url)]
            driven = on_clique.changed(endpoints=endpoints).driven()
            anchor = driven.anchor()
            await driven.until(lambda: anchor.state is State.FINAL, clique.seal)
            assert "not those of block" in anchor.causes
            await driven.close()

    asyncio.run(run())


def test_a_node_far_behind_the_others_is_not_waited_for(clique: CliqueChain, on_clique: Place) -> None:
    """It has stopped to follow the chain, answers as before, and is the first endpoint."""
    clique.join(*clique.nodes[1:])
    clique.nodes[0]("test_peers", [])
    clique.seal(20, clique.nodes[1:])

    async def run() -> None:
        driven = on_clique.driven()
        anchor = driven.anchor()
        await driven.until(lambda: anchor.state is State.FINAL, lambda: clique.seal(1, clique.nodes[1:]))
        await driven.close()

    asyncio.run(run())


def test_lies_in_turn_end_when_the_node_is_honest_again(clique: CliqueChain, on_clique: Place) -> None:
    """A node that lies about nonces makes an anchor that no block takes; the next one goes under the true nonce."""

    def ahead(method: str, params: list[Any], answer: dict[str, Any]) -> dict[str, Any]:
        if method == "eth_getTransactionCount":
            answer["result"] = hex(int(answer["result"], 16) + 1_000)
        return answer

    async def run() -> None:
        with lying(clique.nodes[0].url) as node:
            node.change = ahead
            driven = through(on_clique, node).driven()
            stray = driven.anchor()
            await driven.until(lambda: stray.state is State.SUBMITTED)
            node.change = honest
            following = driven.anchor()
            await driven.until(lambda: following.state is State.FINAL, clique.seal)
            assert stray.state is State.SUBMITTED
            await driven.close()

    asyncio.run(run())


@pytest.mark.parametrize("memory", [b"\xc1", msgspec.msgpack.encode({"attempts": [[b"\xc0", 1.0, 1.0]]})])
def test_an_anchor_whose_memory_is_damaged_stands_alone(clique: CliqueChain, on_clique: Place, memory: bytes) -> None:
    async def run() -> None:
        driven = on_clique.driven()
        damaged = driven.anchor()
        damaged.memory = memory
        following = driven.anchor()
        await driven.until(lambda: following.state is State.FINAL, clique.seal)
        assert damaged.state is None
        assert "cannot be read" in damaged.causes
        await driven.close()

    asyncio.run(run())
