"""Nodes of a chain that is not ours: Debian's litecoind on regtest, spoken to by its own litecoin-cli.

Blocks cost no work to speak of here (regtest). A chain ends at block 431: for the next one this version wants a payment
into its extension block.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from firmware_tests.ports import HeldPort

READY_SECONDS = 60.0
_SETTINGS = """
regtest=1
server=1
txindex=0
dbcache=4
maxmempool=5
mempoolreplacement={replacement}
par=1
[regtest]
port={port}
bind=127.0.0.1:{port}
rpcbind=127.0.0.1
rpcallowip=127.0.0.1
rpcport={rpc}
rpcthreads=2
discover=0
dnsseed=0
fallbackfee=0.0001
"""


class LitecoinRefused(Exception):
    """The node's answer is an error."""


class LitecoinNode:
    """One node in a directory of its own, with a wallet that mines."""

    def __init__(self, directory: Path, rpc: int | None = None, *, replaces: bool = True) -> None:
        """`rpc`: the port of its JSON-RPC, to stand in another one's place while that is stopped; None: one of its own.
        `replaces`: whether it takes a transaction that replaces one that waits; by default this version does not."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._replaces = replaces
        self._peers, self._calls = HeldPort(), HeldPort()
        self.port = self._peers.number
        self.rpc = rpc or self._calls.number
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.rpc}/"

    @property
    def cookie(self) -> Path:
        """User and password of its JSON-RPC, as the node writes them at each start."""
        return self.directory / "regtest" / ".cookie"

    def start(self) -> None:
        """Start and wait until it answers, at the same ports each time."""
        settings = _SETTINGS.format(port=self.port, rpc=self.rpc, replacement=int(self._replaces))
        (self.directory / "litecoin.conf").write_text(settings)
        with (self.directory / "output").open("ab") as output:
            self._process = subprocess.Popen(("litecoind", f"-datadir={self.directory}"), stdout=output, stderr=output)
        assert self._wait(), (self.directory / "output").read_text()[-2000:]
        with contextlib.suppress(LitecoinRefused):
            self.cli("createwallet", "miner", "false", "false", "", "false", "false", "true")

    def _wait(self) -> bool:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                return False
            with contextlib.suppress(LitecoinRefused):
                self.cli("getblockcount")
                return True
            time.sleep(0.1)
        return False

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(LitecoinRefused):
                self.cli("stop")
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()
        self._process = None

    def kill(self) -> None:
        """As in a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def cli(self, *arguments: str) -> Any:
        """What litecoin-cli says; JSON where it is."""
        done = subprocess.run(
            ("litecoin-cli", f"-datadir={self.directory}", *arguments),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise LitecoinRefused(done.stderr.strip())
        try:
            return json.loads(done.stdout)
        except ValueError:
            return done.stdout.strip()

    def mine(self, blocks: int = 1) -> list[str]:
        """Blocks with what waits, paid to the node's own wallet."""
        mined: list[str] = self.cli("generatetoaddress", str(blocks), self.cli("getnewaddress"))
        return mined

    def mine_without(self, blocks: int = 1) -> None:
        """Blocks that leave out all that waits."""
        for _ in range(blocks):
            self.cli("generateblock", self.cli("getnewaddress"), "[]")

    @property
    def height(self) -> int:
        return int(self.cli("getblockcount"))

    def pay(self, address: str, coins: Sequence[str]) -> None:
        """Payments of so many coins each, mined."""
        for amount in coins:
            self.cli("sendtoaddress", address, amount)
        self.mine()

    def connect(self, other: LitecoinNode) -> None:
        self.cli("addnode", f"127.0.0.1:{other.port}", "onetry")

    def part(self) -> None:
        """Let go of all peers, until `join`."""
        self.cli("setnetworkactive", "false")

    def join(self, *others: LitecoinNode) -> None:
        """Meet the others again and wait until all have one tip."""
        self.cli("setnetworkactive", "true")
        for other in others:
            other.cli("setnetworkactive", "true")
        deadline = time.monotonic() + READY_SECONDS
        while len({one.cli("getbestblockhash") for one in (self, *others)}) > 1:
            for other in others:
                self.connect(other)
            assert time.monotonic() < deadline, "the nodes do not agree"
            time.sleep(0.2)
