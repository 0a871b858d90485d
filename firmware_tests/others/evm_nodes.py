"""Nodes of EVM chains: anvil, and chains with Clique seals whose signers are processes: of @ethereumjs/client
(npm/client-node.mjs), and of a program of ours that seals by command too (npm/clique-node.mjs)."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import coincurve
import httpx
from Crypto.Hash import keccak

_NPM = Path(__file__).parent / "npm"
_READY_SECONDS = 60.0
_LONGEST_START = 1 << 20
"""Bytes of output that are looked at for the line that says where a node listens."""
_MINED_SECONDS = 30.0
ETHER = 10**18


class RpcError(Exception):
    """A node answered with an error."""


class _Program:
    """A node's process. What it says goes to a file: a node whose output nobody reads stops once a pipe is full."""

    def __init__(self, command: Sequence[str], cwd: Path | None = None) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the process
        self.process = subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.PIPE, stdout=self._output, stderr=subprocess.STDOUT, text=True
        )

    def line(self, begin: str) -> str:
        """The first line that begins so, once it is said."""
        late = time.monotonic() + _READY_SECONDS
        while True:
            ended = self.process.poll() is not None
            # Not read(): the process writes at the offset that is common to both.
            said = os.pread(self._output.fileno(), _LONGEST_START, 0).decode(errors="replace")
            for line in said.splitlines(keepends=True):
                if line.startswith(begin) and line.endswith("\n"):
                    return line.strip()
            assert not ended, said
            assert time.monotonic() < late, said
            time.sleep(0.02)

    def kill(self) -> None:
        """Also one that was killed before."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._output.close()


class Node:
    """A node, spoken to as any client would."""

    def __init__(self, program: _Program, port: int) -> None:
        self._program = program
        self.url = f"http://127.0.0.1:{port}"
        self._http = httpx.Client(timeout=30)

    def __call__(self, method: str, *params: Any) -> Any:
        """The result of a method. Raises RpcError."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = self._http.post(self.url, json=call).json()
        if "error" in answer:
            raise RpcError(answer["error"]["message"])
        return answer["result"]

    def mined(self, transaction: str) -> dict[str, Any]:
        """The receipt of a transaction, once the node tells it."""
        late = time.monotonic() + _MINED_SECONDS
        while time.monotonic() < late:
            receipt = self("eth_getTransactionReceipt", transaction)
            if receipt is not None:
                assert isinstance(receipt, dict)
                return receipt
            time.sleep(0.01)
        raise AssertionError(f"{transaction} is in no block")

    def stop(self) -> None:
        """Kill it, as a power cut does."""
        self._http.close()
        self._program.kill()


class Anvil(Node):
    """anvil on a free port. It mines each transaction at once unless `options` say otherwise."""

    def __init__(self, *options: str) -> None:
        program = _NPM / "node_modules" / ".bin" / "anvil"
        if not program.exists():
            raise FileNotFoundError("run: make var/setup/npm")
        started = _Program([str(program), "--port", "0", *options])
        super().__init__(started, int(started.line("Listening on ").rpartition(":")[2]))


def account_of(key: bytes) -> str:
    """The address of a private key on secp256k1, as nodes write it."""
    public = coincurve.PrivateKey(key).public_key.format(compressed=False)
    return "0x" + keccak.new(digest_bits=256, data=public[1:]).digest()[-20:].hex()


def signer_key(number: int) -> bytes:
    """The key of a signer of test chains: known to everybody."""
    return (0x5160_0000 + number).to_bytes(32, "big")


class CliqueNode(Node):
    """One node of a chain with Clique seals."""

    def __init__(self, directory: Path, settings: Mapping[str, Any]) -> None:
        if not (_NPM / "node_modules" / "@ethereumjs").exists():
            raise FileNotFoundError("run: make var/setup/npm")
        path = directory / f"node-{time.monotonic_ns()}.json"
        path.write_text(json.dumps(settings))
        started = _Program(["node", "clique-node.mjs", str(path)], _NPM)
        said = json.loads(started.line('{"port"'))
        self.genesis: str = said["genesis"]
        super().__init__(started, said["port"])

    def seal(self, count: int = 1) -> None:
        """Seal blocks by command."""
        for _ in range(count):
            self("test_seal")

    @property
    def height(self) -> int:
        return int(self("eth_blockNumber"), 16)


class CliqueChain:
    """A chain of some signers, each a process of its own, all peers of each other."""

    def __init__(
        self,
        directory: Path,
        funded: Sequence[str],
        *,
        signers: int = 3,
        chain_id: int = 61_337,
        by_itself: bool = False,
        hardfork: str = "london",
        timestamp: int | None = None,
    ) -> None:
        """`funded`: accounts with 1,000 ether each. `by_itself`: a block a second; else blocks are sealed by command,
        and their times run ahead of the clock by a second each, from an hour ago on."""
        self._directory = directory
        self._made: list[CliqueNode] = []
        self.keys = [signer_key(number) for number in range(signers)]
        self.signers = sorted(account_of(key) for key in self.keys)
        self._settings: dict[str, Any] = {
            "chainId": chain_id,
            "signers": self.signers,
            "alloc": {account: str(1000 * ETHER) for account in funded},
            "period": 1,
            "hardfork": hardfork,
            "timestamp": int(time.time()) - 3_600 if timestamp is None else timestamp,
            "sealing": "period" if by_itself else "command",
        }
        self.chain_id = chain_id
        self.nodes = [self.node(key) for key in self.keys]
        self.join(*self.nodes)

    def node(self, key: bytes | None = None) -> CliqueNode:
        """A further node, with nobody as its peer: of this signer, or of none."""
        made = CliqueNode(self._directory, {**self._settings, **({"key": "0x" + key.hex()} if key else {})})
        self._made.append(made)
        return made

    @property
    def genesis(self) -> bytes:
        return bytes.fromhex(self.nodes[0].genesis[2:])

    def join(self, *nodes: CliqueNode) -> None:
        """These have each other as peers, and nobody else."""
        for _ in range(2):  # the first to hear of the others did not yet have what they hear of each other
            for node in nodes:
                node("test_peers", [other.url for other in nodes if other is not node])

    def seal(self, count: int = 1, nodes: Sequence[CliqueNode] | None = None) -> None:
        """Seal blocks by command, each by a signer of these nodes that may."""
        among = self.nodes if nodes is None else nodes
        for _ in range(count):
            for node in sorted(among, key=lambda one: not one("test_may_seal", True)):
                if node("test_may_seal", False):
                    node.seal()
                    break
            else:
                raise AssertionError("none of the signers may seal")

    def stop(self) -> None:
        for node in self._made:
            node.stop()


class ClientNode(Node):
    """A signer on @ethereumjs/client, which has nobody as its peer yet. Its process has been started."""

    def __init__(self, program: _Program) -> None:
        said = json.loads(program.line('{"port"'))
        self.genesis: str = said["genesis"]
        self.as_peer = {"id": said["id"], "peerPort": said["peerPort"]}
        super().__init__(program, said["port"])

    def meet(self, others: Sequence[ClientNode]) -> None:
        """Have these as peers, and nobody else."""
        stdin = self._program.process.stdin
        assert stdin is not None
        stdin.write(json.dumps([other.as_peer for other in others]) + "\n")
        stdin.flush()

    @property
    def height(self) -> int:
        return int(self("eth_blockNumber"), 16)


class ClientChain:
    """A chain of some signers on @ethereumjs/client, each a process of its own, all peers of each other. A block a
    second while all of them run; a signer that is away has its turns taken a second or two later."""

    def __init__(self, directory: Path, funded: Sequence[str], *, signers: int = 3, chain_id: int = 61_338) -> None:
        """`funded`: accounts with 1,000 ether each."""
        if not (_NPM / "node_modules" / "@ethereumjs" / "client").exists():
            raise FileNotFoundError("run: make var/setup/npm")
        keys = [signer_key(number) for number in range(signers)]
        self.signers = sorted(account_of(key) for key in keys)
        self.chain_id = chain_id
        settings: dict[str, Any] = {
            "chainId": chain_id,
            "signers": self.signers,
            "alloc": {account: str(1000 * ETHER) for account in funded},
            "period": 1,
            "timestamp": int(time.time()) - 10,
        }
        programs = []
        for number, key in enumerate(keys):
            path = directory / f"client-{number}.json"
            path.write_text(json.dumps({**settings, "key": "0x" + key.hex()}))
            programs.append(_Program(["node", "client-node.mjs", str(path)], _NPM))
        self.nodes = [ClientNode(program) for program in programs]
        self.join(*self.nodes)
        self.seal()  # before the first block its nodes take no transactions

    @property
    def genesis(self) -> bytes:
        return bytes.fromhex(self.nodes[0].genesis[2:])

    def join(self, *nodes: ClientNode) -> None:
        """These have each other as peers, and nobody else."""
        for node in nodes:
            node.meet([other for other in nodes if other is not node])

    def seal(self, count: int = 1, nodes: Sequence[ClientNode] | None = None) -> None:
        """Wait until the chain of these nodes has that many blocks more, which its signers seal by themselves."""
        among = self.nodes if nodes is None else nodes
        aim = max(node.height for node in among) + count
        late = time.monotonic() + _MINED_SECONDS * count
        while min(node.height for node in among) < aim:
            assert time.monotonic() < late, [node.height for node in among]
            time.sleep(0.05)

    def stop(self) -> None:
        for node in self.nodes:
            node.stop()
