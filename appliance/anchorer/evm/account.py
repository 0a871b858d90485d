"""What an operator has to know of a chain's account: its address, what it has, and what anchors may cost it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from appliance.anchorer.evm.errors import NodeFailed, NodeRefused
from appliance.anchorer.evm.forms import Hash, Quantity, number, shown
from appliance.anchorer.evm.nodes import decoded
from appliance.anchorer.evm.rpc import Call, Node
from appliance.anchors.evm.secp256k1 import address_of
from appliance.box.ledgers.evm import EvmLedgerSettings

WEI: Final = 10**18
"""In one of the chain's coin."""


class _Genesis(msgspec.Struct, frozen=True):
    """Block 0, of which the profile has the hash; nodes of chains that are not of Ethereum's form tell little else."""

    hash: Hash


async def account_lines(settings: EvmLedgerSettings, home: Path, public_key: bytes) -> list[str]:
    """Of the account of this key (compressed, 33 bytes), as each node tells it. Raises OSError, ValueError where the
    settings of an endpoint cannot be used."""
    address = address_of(public_key)
    calls = settings.contract.described.steps
    most = calls * settings.gas * settings.maximum_fee_per_gas
    lines = [f"{settings.name}: account {shown(address)}; in the profile's rules {address.hex()}"]
    for endpoint in settings.endpoints:
        node = Node(endpoint, home, settings.timeout_s)
        try:
            lines.append(await _told(node, settings, address, most))
        except (NodeFailed, NodeRefused) as error:
            said = str(error)
            lines.append(said if said.startswith(node.name) else f"{node.name}: {said}")
        finally:
            await node.close()
    lines.append(
        f"An anchor takes {calls} transaction{'s' if calls > 1 else ''} of at most {settings.gas} gas at"
        f" {settings.maximum_fee_per_gas} wei, so at most {_ether(most)} of the coin; most chains take far less."
    )
    return lines


async def _told(node: Node, settings: EvmLedgerSettings, address: bytes, most: int) -> str:
    of = shown(address)
    calls = [
        Call("eth_chainId"),
        Call("eth_getBalance", (of, "latest")),
        Call("eth_getTransactionCount", (of, "latest")),
        Call("eth_getBlockByNumber", ("0x0", False)),
    ]
    told = []
    for call, form, result in zip(
        calls, (Quantity, Quantity, Quantity, _Genesis), await node.calls(calls), strict=True
    ):
        if isinstance(result, NodeRefused):
            raise result
        told.append(decoded(node, form, call.method, result))
    chain, balance, count = map(number, told[:3])
    if chain != settings.chain_id:
        return f"{node.name}: is of chain {chain}, box.json says {settings.chain_id}"
    need = "" if balance >= most else "; fund it, unless gas is free there"
    genesis = told[3].hash[2:]
    of_coin = f"{_ether(balance)} of its coin, transactions so far: {count}{need}"
    return f"{node.name}: chain {chain}, {of_coin}; genesis {genesis}"


def _ether(wei: int) -> str:
    """An amount in the chain's coin, exactly."""
    whole, rest = divmod(wei, WEI)
    return f"{whole}.{rest:018d}".rstrip("0").rstrip(".")
