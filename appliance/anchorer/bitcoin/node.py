"""A node's JSON-RPC, call by call: what it answers is held to its form and to bounds, and believed no further.

A node may be slow, hang, lie or be another than yesterday. Its answers are used to find out what to do next; what is
said of an anchor rests on the headers and branches that it hands out, which `appliance.anchorer.bitcoin.chain` checks.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final

import httpx

from appliance.anchorer.ledger import LedgerUnavailable
from appliance.anchors.bitcoin.anchor_transaction import Coin
from appliance.anchors.bitcoin.encoding import from_shown, shown, unhex
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.transaction import OutPoint
from appliance.outward import IDENTITY, AnswerRefused, basic_authorization, body_of, tls_context
from appliance.quoting import escape

ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Largest answer: the ids of a block's transactions, or a search of a well-filled account."""
SMALLEST_UNITS: Final = 100_000_000
"""In one coin."""
NO_SUCH_BLOCK: Final = (-5, -8)
"""RPC_INVALID_ADDRESS_OR_KEY and RPC_INVALID_PARAMETER: unknown, or above the tip."""
ALREADY_IN_CHAIN: Final = -27
COINBASE_MATURITY: Final = 100
"""Blocks before coins that a block created may be spent."""
MOST_COINS_LISTED: Final = 100_000


class NodeRefused(LedgerUnavailable):
    """The node answered with an error."""

    def __init__(self, method: str, number: int, text: str) -> None:
        super().__init__(f"{method}: {escape(text)} ({number})")
        self.number = number
        self.text = text


class Node:
    """One node. Make and use it inside a running loop."""

    def __init__(self, url: str, password_file: Path, timeout_s: float, ca: Path | None = None) -> None:
        self._url = url
        self._password_file = password_file
        self._timeout_s = timeout_s
        self._ca = ca
        self._client: httpx.AsyncClient | None = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def _call(self, method: str, *parameters: object) -> Any:
        """The answer's result. Raises LedgerUnavailable, NodeRefused."""
        try:
            async with asyncio.timeout(self._timeout_s):
                status, body = await self._exchange(method, parameters)
        except TimeoutError:
            raise LedgerUnavailable(f"{method}: no answer within {self._timeout_s:g} s") from None
        except AnswerRefused as error:
            raise LedgerUnavailable(f"{method}: {error}") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            raise LedgerUnavailable(f"{method}: {type(error).__name__}") from None
        if status == 401:
            raise LedgerUnavailable(f"{method}: the node does not take the user and password")
        try:
            answer = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
            failure = answer["error"]
            if failure is None:
                return answer["result"]
            raise NodeRefused(method, int(failure["code"]), str(failure["message"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            raise LedgerUnavailable(f"{method}: the answer (HTTP {status}) is no JSON-RPC") from None

    async def _exchange(self, method: str, parameters: tuple[object, ...]) -> tuple[int, bytes]:
        if self._client is None:
            # A node that is told to stop waits for connections that are kept open.
            single = httpx.Limits(max_keepalive_connections=0)
            self._client = httpx.AsyncClient(
                timeout=self._timeout_s, trust_env=False, verify=tls_context(self._ca), limits=single
            )
        call = {"jsonrpc": "1.0", "id": 0, "method": method, "params": parameters}
        headers = IDENTITY | {"authorization": await asyncio.to_thread(basic_authorization, self._password_file)}
        async with self._client.stream("POST", self._url, json=call, headers=headers) as answer:
            return answer.status_code, await body_of(answer, ANSWER_BYTES)

    async def tip(self) -> bytes:
        """The hash of the last block of the node's best chain."""
        return _hash("getbestblockhash", await self._call("getbestblockhash"))

    async def block_at(self, height: int) -> bytes | None:
        """The hash of the block of the best chain at this height; None above its tip."""
        try:
            return _hash("getblockhash", await self._call("getblockhash", height))
        except NodeRefused as error:
            if error.number in NO_SUCH_BLOCK:
                return None
            raise

    async def height_of(self, block: bytes) -> int | None:
        """The height of a block of the best chain; None where the node does not know it, or has it elsewhere."""
        try:
            told = await self._call("getblockheader", shown(block))
        except NodeRefused as error:
            if error.number in NO_SUCH_BLOCK:
                return None
            raise
        height, depth = _member("getblockheader", told, "height"), _member("getblockheader", told, "confirmations")
        if not isinstance(height, int) or not isinstance(depth, int) or height < 0:
            raise LedgerUnavailable("getblockheader: the answer is not of its form")
        return height if depth > 0 else None

    async def header(self, block: bytes) -> bytes:
        """A block's header, 80 bytes if it is one."""
        return _bytes("getblockheader", await self._call("getblockheader", shown(block), False))

    async def transactions(self, block: bytes) -> list[bytes]:
        """The ids of a block's transactions, in order."""
        listed = _member("getblock", await self._call("getblock", shown(block), 1), "tx")
        if not isinstance(listed, list) or not listed:
            raise LedgerUnavailable("getblock: the answer is not of its form")
        return [_hash("getblock", one) for one in listed]

    async def transaction_in(self, block: bytes, txid: bytes) -> bytes:
        """A transaction of a block, as the node writes it."""
        method = "getrawtransaction"
        return _bytes(method, await self._call(method, shown(txid), False, shown(block)))

    async def waits(self, txid: bytes) -> bool:
        """Whether the transaction waits to be taken into a block."""
        try:
            await self._call("getmempoolentry", shown(txid))
        except NodeRefused as error:
            if error.number in NO_SUCH_BLOCK:
                return False
            raise
        return True

    async def coin(self, at: OutPoint, *, waiting: bool) -> tuple[Coin, bytes, int] | None:
        """An output that is not spent, its script and how many blocks have it (0: none yet, or too few for coins that a
        block created); else None.

        `waiting`: with what waits to be taken into a block, both what it makes and what it spends."""
        told = await self._call("gettxout", shown(at.txid), at.index, waiting)
        if told is None:
            return None
        script, depth = _member("gettxout", told, "scriptPubKey"), _member("gettxout", told, "confirmations")
        if not isinstance(depth, int):
            raise LedgerUnavailable("gettxout: the answer is not of its form")
        if _member("gettxout", told, "coinbase"):
            depth = max(0, depth - COINBASE_MATURITY)
        coin = Coin(at, _amount("gettxout", _member("gettxout", told, "value")))
        return coin, _bytes("gettxout", _member("gettxout", script, "hex")), depth

    async def coins_of(self, script: bytes) -> list[tuple[Coin, int]]:
        """All confirmed outputs with this script, each with its block's height. Searches the whole set of outputs."""
        method = "scantxoutset"
        told = await self._call(method, "start", [f"raw({script.hex()})"])
        listed = _member(method, told, "unspents")
        if not isinstance(listed, list) or len(listed) > MOST_COINS_LISTED:
            raise LedgerUnavailable(f"{method}: the answer is not of its form")
        found = []
        for one in listed:
            index, height = _member(method, one, "vout"), _member(method, one, "height")
            if not isinstance(index, int) or not isinstance(height, int) or not 0 <= index < 1 << 32:
                raise LedgerUnavailable(f"{method}: the answer is not of its form")
            at = OutPoint(_hash(method, _member(method, one, "txid")), index)
            found.append((Coin(at, _amount(method, _member(method, one, "amount"))), height))
        return found

    async def send(self, raw: bytes) -> None:
        """Give a transaction to the node, which passes it on. Raises NodeRefused where it does not take it."""
        try:
            await self._call("sendrawtransaction", raw.hex())
        except NodeRefused as error:
            if error.number != ALREADY_IN_CHAIN:
                raise

    async def fee_rates(self) -> tuple[int, int]:
        """What the node asks for 1,000 virtual bytes at present, and by how much a replacement must pay more."""
        pool, network = await self._call("getmempoolinfo"), await self._call("getnetworkinfo")
        asked = [_member("getmempoolinfo", pool, "mempoolminfee"), _member("getnetworkinfo", network, "relayfee")]
        more = _amount("getnetworkinfo", _member("getnetworkinfo", network, "incrementalfee"))
        with contextlib.suppress(NodeRefused):  # a node that relays no transactions of others estimates nothing
            estimate = await self._call("estimatesmartfee", 6)
            if isinstance(estimate, dict) and "feerate" in estimate:
                asked.append(estimate["feerate"])
        return max(_amount("fee", one) for one in asked), more


def _no_constant(_: str) -> Any:
    raise ValueError


def _member(method: str, value: object, name: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise LedgerUnavailable(f"{method}: the answer has no {name}")
    return value[name]


def _hash(method: str, value: object) -> bytes:
    try:
        return from_shown(str(value))
    except MalformedBitcoin:
        raise LedgerUnavailable(f"{method}: the answer is no hash") from None


def _bytes(method: str, value: object) -> bytes:
    try:
        return unhex(str(value))
    except MalformedBitcoin:
        raise LedgerUnavailable(f"{method}: the answer is not hexadecimal") from None


def _amount(method: str, value: object) -> int:
    """In the smallest unit, exactly."""
    try:
        if not isinstance(value, (int, Decimal)) or isinstance(value, bool):
            raise ValueError
        units = Decimal(value) * SMALLEST_UNITS
        if units != units.to_integral_value() or not 0 <= units <= 2**53:
            raise ValueError
    except (ValueError, InvalidOperation):
        raise LedgerUnavailable(f"{method}: an amount is none") from None
    return int(units)
