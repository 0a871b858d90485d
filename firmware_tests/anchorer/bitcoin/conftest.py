"""Nodes of the regtest chain for the tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
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
def stage(tmp_path: Path, node: LitecoinNode) -> Iterator[Stage]:
    """A ledger on that node, its account paid two coins that are deep enough."""
    made = Stage(tmp_path, node)
    node.pay(made.address, ("1", "1"))
    node.mine(3)
    yield made
    made.close()
