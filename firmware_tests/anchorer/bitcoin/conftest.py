"""Nodes of the regtest chain for the tests of this room."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware_tests.anchorer.bitcoin.stage import Stage
from firmware_tests.others.litecoin import LitecoinNode


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LitecoinNode]:
    """A node with coins of its own."""
    made = LitecoinNode(tmp_path / "node")
    made.start()
    made.mine(105)
    yield made
    made.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Makes ledgers, which are closed at the end."""
    made: list[Stage] = []

    def ledger(node: LitecoinNode, **settings: object) -> Stage:
        made.append(Stage(tmp_path, node, **settings))  # type: ignore[arg-type]
        return made[-1]

    yield ledger
    for one in made:
        one.close()


@pytest.fixture
def stage(node: LitecoinNode, make: Callable[..., Stage]) -> Stage:
    """A ledger on that node, its account paid two coins that are deep enough."""
    made = make(node)
    node.pay(made.address, ("1", "1"))
    node.mine(3)
    return made
