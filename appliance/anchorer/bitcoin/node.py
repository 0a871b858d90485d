"""A node's JSON-RPC, call by call: what it answers is held to its form and to bounds, and believed no further.

A node may be slow, hang, lie or be another than yesterday. Its answers are used to find out what to do next; what is
said of an anchor rests on the headers and branches that it hands out, which `appliance.anchorer.bitcoin.chain` checks.
"""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar

import httpx
import msgspec

from appliance.anchorer.ledger import LedgerUnavailable
from appliance.anchors.bitcoin.anchor_transaction import Coin
from appliance.anchors.bitcoin.encoding import from_shown, shown, unhex
from appliance.anchors.bitcoin.errors import MalformedBitcoin
from appliance.anchors.bitcoin.transaction import OutPoint
from appliance.outward import IDENTITY, AnswerRefused, basic_authorization, body_of, tls_context
from appliance.quoting import escape

ANSWER_BYTES: Final = 8 * 1024 * 1024
"""Largest answer: the ids of a block's transactions, or a search of a well-filled account. It is held to its form while
it is read, so that what a lying node has read in vain keeps the other ledgers waiting for less than a second."""
SMALLEST_UNITS: Final = 100_000_000
"""In one coin."""
NO_SUCH_BLOCK: Final = (-5, -8)
"""RPC_INVALID_ADDRESS_OR_KEY and RPC_INVALID_PARAMETER: unknown, or above the tip."""
ALREADY_IN_CHAIN: Final = -27
COINBASE_MATURITY: Final = 100
"""Blocks before coins that a block created may be spent."""


class _Error(msgspec.Struct, frozen=True):
    code: int
    message: str


class _Answer(msgspec.Struct, frozen=True):
    result: msgspec.Raw
    error: _Error | None


class _Placed(msgspec.Struct, frozen=True):
    """getblockheader."""

    height: Annotated[int, msgspec.Meta(ge=0)]
    confirmations: int


class _Block(msgspec.Struct, frozen=True):
    """getblock."""

    tx: Annotated[list[str], msgspec.Meta(min_length=1)]


class _Script(msgspec.Struct, frozen=True):
    hex: str


class _Output(msgspec.Struct, frozen=True, rename="camel"):
    """gettxout."""

    bestblock: str
    confirmations: int
    value: Decimal
    script_pub_key: _Script
    coinbase: bool


class _Unspent(msgspec.Struct, frozen=True):
    txid: str
    vout: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
    amount: Decimal
    height: int


class _Scanned(msgspec.Struct, frozen=True):
    """scantxoutset."""

    unspents: list[_Unspent]


class _Pool(msgspec.Struct, frozen=True):
    """getmempoolinfo."""

    mempoolminfee: Decimal


class _Network(msgspec.Struct, frozen=True):
    """getnetworkinfo."""

    relayfee: Decimal
    incrementalfee: Decimal


class _Estimate(msgspec.Struct, frozen=True):
    """estimatesmartfee."""

    feerate: Decimal | None = None


_Form = TypeVar("_Form")
_answer = msgspec.json.Decoder(_Answer)


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

    async def _call(self, form: type[_Form], method: str, *parameters: object) -> _Form:
        """The answer's result, of that form. Raises LedgerUnavailable, NodeRefused."""
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
            answer = _answer.decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            raise LedgerUnavailable(f"{method}: the answer (HTTP {status}) is no JSON-RPC") from None
        if answer.error is not None:
            raise NodeRefused(method, answer.error.code, answer.error.message)
        try:
            return msgspec.json.decode(answer.result, type=form)
        except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
            raise LedgerUnavailable(f"{method}: the answer is not of its form") from None

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
        return _hash("getbestblockhash", await self._call(str, "getbestblockhash"))

    async def block_at(self, height: int) -> bytes | None:
        """The hash of the block of the best chain at this height; None above its tip."""
        try:
            return _hash("getblockhash", await self._call(str, "getblockhash", height))
        except NodeRefused as error:
            if error.number in NO_SUCH_BLOCK:
                return None
            raise

    async def height_of(self, block: bytes) -> int | None:
        """The height of a block of the best chain; None where the node does not know it, or has it elsewhere."""
        try:
            told = await self._call(_Placed, "getblockheader", shown(block))
        except NodeRefused as error:
            if error.number in NO_SUCH_BLOCK:
                return None
            raise
        return told.height if told.confirmations > 0 else None

    async def header(self, block: bytes) -> bytes:
        """A block's header, 80 bytes if it is one."""
        return _bytes("getblockheader", await self._call(str, "getblockheader", shown(block), False))

    async def transactions(self, block: bytes) -> list[bytes]:
        """The ids of a block's transactions, in order."""
        told = await self._call(_Block, "getblock", shown(block), 1)
        return [_hash("getblock", one) for one in told.tx]

    async def transaction_in(self, block: bytes, txid: bytes) -> bytes:
        """A transaction of a block, as the node writes it."""
        method = "getrawtransaction"
        return _bytes(method, await self._call(str, method, shown(txid), False, shown(block)))

    async def maker(self, at: OutPoint) -> bytes:
        """The transaction that made an output which the chain has not spent, or that waits itself. Raises NodeRefused
        where the node no longer has it."""
        told = await self._output(at, waiting=False)
        if told is None:
            return _bytes("getrawtransaction", await self._call(str, "getrawtransaction", shown(at.txid), False))
        tip = await self.height_of(_hash("gettxout", told.bestblock))
        block = None if tip is None else await self.block_at(tip + 1 - told.confirmations)
        if block is None:
            raise LedgerUnavailable("gettxout: the chain moved on while it was looked at")
        return await self.transaction_in(block, at.txid)

    async def waits(self, txid: bytes) -> bool:
        """Whether the transaction waits to be taken into a block."""
        try:
            await self._call(msgspec.Raw, "getmempoolentry", shown(txid))
        except NodeRefused as error:
            if error.number in NO_SUCH_BLOCK:
                return False
            raise
        return True

    async def coin(self, at: OutPoint, *, waiting: bool) -> tuple[Coin, bytes, int] | None:
        """An output that is not spent, its script and how many blocks have it (0: none yet, or too few for coins that a
        block created); else None.

        `waiting`: with what waits to be taken into a block, both what it makes and what it spends."""
        told = await self._output(at, waiting=waiting)
        if told is None:
            return None
        depth = max(0, told.confirmations - COINBASE_MATURITY) if told.coinbase else told.confirmations
        return Coin(at, _amount("gettxout", told.value)), _bytes("gettxout", told.script_pub_key.hex), depth

    async def _output(self, at: OutPoint, *, waiting: bool) -> _Output | None:
        form: Any = _Output | None
        found: _Output | None = await self._call(form, "gettxout", shown(at.txid), at.index, waiting)
        return found

    async def coins_of(self, script: bytes) -> list[tuple[Coin, int]]:
        """All confirmed outputs with this script, each with its block's height. Searches the whole set of outputs."""
        method = "scantxoutset"
        told = await self._call(_Scanned, method, "start", [f"raw({script.hex()})"])
        return [
            (Coin(OutPoint(_hash(method, one.txid), one.vout), _amount(method, one.amount)), one.height)
            for one in told.unspents
        ]

    async def send(self, raw: bytes) -> None:
        """Give a transaction to the node, which passes it on. Raises NodeRefused where it does not take it."""
        try:
            await self._call(msgspec.Raw, "sendrawtransaction", raw.hex())
        except NodeRefused as error:
            if error.number != ALREADY_IN_CHAIN:
                raise

    async def fee_rates(self) -> tuple[int, int]:
        """What the node asks for 1,000 virtual bytes at present, and by how much a replacement must pay more."""
        pool, network = await self._call(_Pool, "getmempoolinfo"), await self._call(_Network, "getnetworkinfo")
        asked = [pool.mempoolminfee, network.relayfee]
        with contextlib.suppress(NodeRefused):  # a node that relays no transactions of others estimates nothing
            estimate = await self._call(_Estimate, "estimatesmartfee", 6)
            if estimate.feerate is not None:
                asked.append(estimate.feerate)
        return max(_amount("fee", one) for one in asked), _amount("getnetworkinfo", network.incrementalfee)


def _hash(method: str, value: str) -> bytes:
    try:
        return from_shown(value)
    except MalformedBitcoin:
        raise LedgerUnavailable(f"{method}: the answer is no hash") from None


def _bytes(method: str, value: str) -> bytes:
    try:
        return unhex(value)
    except MalformedBitcoin:
        raise LedgerUnavailable(f"{method}: the answer is not hexadecimal") from None


def _amount(method: str, value: Decimal) -> int:
    """In the smallest unit, exactly."""
    try:
        units = value * SMALLEST_UNITS
        if units != units.to_integral_value() or not 0 <= units <= 2**53:
            raise ValueError
    except (ValueError, ArithmeticError):
        raise LedgerUnavailable(f"{method}: an amount is none") from None
    return int(units)
