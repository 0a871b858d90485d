"""Real nodes, and a chain with a contract on each."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.anchors.evm.headers import HeaderHash
from appliance.anchors.evm.rules import ContractRules, NodeAttests, Rules, Validators, ValidatorSet
from firmware_tests.anchorer.evm.driving import Place, deploy, deploy_raw, settings_of
from firmware_tests.others.evm_nodes import ETHER, Anvil, ClientChain, CliqueChain, account_of

DEPTH = 3


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    """Each transaction is mined at once."""
    node = Anvil()
    yield node
    node.stop()


def place_on_anvil(anvil: Anvil, home: Path, depth: int = DEPTH) -> Place:
    """A contract, and an account of its own with one ether."""
    key = secrets.token_bytes(32)
    rich = anvil("eth_accounts")[0]
    anvil("anvil_setBalance", account_of(key), hex(ETHER))
    contract = ContractRules(address=deploy(anvil, rich, "CommitmentAnchors")[2:].lower(), shape="event")
    chain_id = int(anvil("eth_chainId"), 16)
    rules = Rules(
        accounts=(account_of(key)[2:],),
        chain_id=chain_id,
        consensus=NodeAttests(),
        contract=contract,
        depth=depth,
        genesis=anvil("eth_getBlockByNumber", "0x0", False)["hash"][2:],
        header_hash=HeaderHash.ETHEREUM,
    )
    return Place(settings_of([anvil.url], chain_id, contract), rules, home, key)


@pytest.fixture
def on_anvil(anvil: Anvil, tmp_path: Path) -> Place:
    return place_on_anvil(anvil, tmp_path)


CLIQUE_KEY = bytes([7] * 32)


@pytest.fixture
def clique(tmp_path: Path) -> Iterator[CliqueChain]:
    """Three signers; blocks are sealed by command."""
    chain = CliqueChain(tmp_path, [account_of(CLIQUE_KEY)])
    yield chain
    chain.stop()


def place_on_clique(
    chain: CliqueChain | ClientChain, home: Path, depth: int = DEPTH, seal: Callable[[], object] | None = None
) -> Place:
    """`seal`: how a block comes to be on this chain; by command where nothing is said."""
    address = deploy_raw(chain.nodes[0], CLIQUE_KEY, chain.chain_id, "CommitmentAnchors", seal or chain.seal)
    contract = ContractRules(address=address[2:].lower(), shape="event")
    signers = tuple(one[2:] for one in chain.signers)
    rules = Rules(
        accounts=(account_of(CLIQUE_KEY)[2:],),
        chain_id=chain.chain_id,
        consensus=Validators(sets=(ValidatorSet(addresses=signers, from_block=0),)),
        contract=contract,
        depth=depth,
        genesis=chain.genesis.hex(),
        header_hash=HeaderHash.CLIQUE,
    )
    urls = [node.url for node in chain.nodes]
    return Place(settings_of(urls, chain.chain_id, contract), rules, home, CLIQUE_KEY)


@pytest.fixture
def on_clique(clique: CliqueChain, tmp_path: Path) -> Place:
    return place_on_clique(clique, tmp_path)
