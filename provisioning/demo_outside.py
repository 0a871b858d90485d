"""The parties outside the box, as the demonstration runs them: three witnesses, and two chains of the Ethereum family.

The witnesses are what any institution racks. The chain has three signers, each a process, whose seals (Clique) prove
an anchor; anvil seals nothing, so that its anchors are attested by the node alone. Both chains are programs for tests.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import coincurve
import httpx
import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from msgspec.structs import replace

import hsm
from appliance.anchors import LedgerProfile, canonical, write_profile
from appliance.anchors.evm.headers import HeaderHash
from appliance.anchors.evm.rules import Consensus, ContractRules, NodeAttests, Rules, Validators, ValidatorSet
from appliance.anchors.evm.secp256k1 import address_of, normalised
from appliance.anchors.evm.transactions import LegacyTransaction
from appliance.box.home import Home
from appliance.box.ledgers.common import AccountSettings
from appliance.box.ledgers.evm import EvmEndpoint, EvmLedgerSettings
from appliance.box.settings import read_settings, write_settings
from provisioning.tokens import SOFTHSM_VARIABLE

ROOT: Final = Path(__file__).resolve().parent.parent
PROGRAMS: Final = ROOT / "firmware_tests" / "others" / "npm"
"""Nodes of chains, and the libraries that they need (`make var/setup/npm`)."""
BUILT: Final = ROOT / "appliance" / "anchors" / "evm" / "contracts" / "built.json"
WITNESSES: Final = (("supervisor", "Supervision centre"), ("mediator", "Mediation chamber"), ("auditor", "Auditor"))
LEDGERS: Final = ("consortium", "laboratory")
"""What receipts call the chain with seals, and the one without."""
ACCOUNT: Final = "ledger-account"
ACCOUNT_KEY: Final = f"pkcs11:object={ACCOUNT}"
ACCOUNT_SCHEME: Final = "ecdsa-secp256k1-sha256"
DEPTH: Final = 3
ETHER: Final = 10**18
GWEI: Final = 10**9
START_SECONDS: Final = 60.0
_PORT: Final = re.compile(r'(?:"port": ?|Listening on [0-9.]+:)([0-9]+)')


def free_address() -> str:
    """An address of this machine that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{one.getsockname()[1]}"


@dataclass
class Outside:
    """`run` types a command of `cinnabar` and gives what it says."""

    root: Path
    home: Home
    program: str
    """The command line, for what goes on running."""
    shown: Callable[[Path], str]
    run: Callable[..., str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def make_witnesses(self) -> list[str]:
        """Three witnesses, each with a key of its own: words for `cinnabar provision`."""
        words = []
        for name, title in WITNESSES:
            where = self.root / "witnesses" / name
            said = self.run("witness", "init", "--home", self.shown(where), "--name", f"{name}.example/w1")
            address = free_address()
            (where / "witness.toml").write_text(
                f'format = "cinnabar-witness/1"\ntitle = "{title}"\n\n[[keys]]\nname = "{name}.example/w1"\n'
                f'file = "witness.key"\n\n[submission]\nlisten = "{address}"\n'
            )
            words += ["--witness", f"{said.splitlines()[1]}=http://{address}"]
        return words

    def start_witnesses(self) -> None:
        """Each knows the logs of the box by hand, and cosigns what extends what it saw."""
        logs = "".join(
            f'\n[[logs]]\norigin = "{log.origin}"\n'
            f'keys = [{{ key = "{(self.home.trust / (log.keys[0].token + "-log.vkey")).read_text().strip()}" }}]\n'
            for log in read_settings(self.home.settings).logs
        )
        for name, _ in WITNESSES:
            where = self.root / "witnesses" / name
            with (where / "witness.toml").open("a") as settings:
                settings.write(logs)
            with (self.root / "witnesses" / f"{name}.log").open("w") as output:
                self.processes.append(
                    subprocess.Popen(
                        (self.program, "witness", "run", "--home", str(where)), stdout=output, stderr=output, text=True
                    )
                )

    def start_chains(self) -> None:
        """Run both, have somebody deploy the contract and fund the box's account, and name them in box.json."""
        account = self._account()
        operator = coincurve.PrivateKey()
        signers = [coincurve.PrivateKey() for _ in range(3)]
        listed = sorted(_address(one) for one in signers)
        common: dict[str, Any] = {
            "chainId": 61_337, "signers": ["0x" + one for one in listed], "period": 1, "hardfork": "london",
            "alloc": {"0x" + _address(operator): str(1_000 * ETHER)}, "timestamp": int(time.time()),
            "sealing": "period",
        }  # fmt: skip
        nodes = [self._clique_node(number, common, one) for number, one in enumerate(signers)]
        for _ in range(2):  # the first to hear of the others did not yet have what they hear of each other
            for node in nodes:
                node("test_peers", [other.url for other in nodes if other is not node])
        seals = Validators(sets=(ValidatorSet(addresses=tuple(listed), from_block=0),))
        self._connect(LEDGERS[0], nodes, operator, account, seals, HeaderHash.CLIQUE)
        anvil = str(PROGRAMS / "node_modules" / ".bin" / "anvil")
        lone = _Node(self._started((anvil, "--port", "0", "--block-time", "1"), "anvil"))
        lone("anvil_setBalance", "0x" + _address(operator), hex(1_000 * ETHER))
        self._connect(LEDGERS[1], [lone], operator, account, NodeAttests(), HeaderHash.ETHEREUM)

    def stop(self) -> None:
        """All of them: nothing of what follows asks anybody."""
        while self.processes:
            process = self.processes.pop()
            process.terminate()
            process.wait(20)

    def anchor(self, letters: Sequence[str]) -> None:
        """Have heads anchored until both chains hold one that covers each letter, as deep as their profiles ask."""
        home = ("--home", self.shown(self.home.root))
        for ledger in LEDGERS:
            self.run("anchor", "now", ledger, *home)
        evidence = self.root / "chain" / "evidence.asice"
        deadline = time.monotonic() + 2 * START_SECONDS
        while True:
            held = []
            for letter in letters:
                self._quietly("letter", "evidence", *home, letter, "--output", str(evidence))
                held.append(evidence.read_bytes())
            if all(f"META-INF/anchor-{ledger}-".encode() in file for ledger in LEDGERS for file in held):
                break
            if time.monotonic() > deadline:
                raise RuntimeError("a letter is not under a final anchor of each chain")
            for one in json.loads(self._quietly("anchor", "list", "--json", *home)):
                if not one["open"]:
                    self._quietly("anchor", "now", one["name"], *home)
            time.sleep(1)
        evidence.unlink()
        self.run("anchor", "list", *home)
        ledgers = json.loads(self._quietly("anchor", "list", "--json", *home))
        final = next(one["final"]["number"] for one in ledgers if one["name"] == LEDGERS[0])
        self.run("anchor", "show", LEDGERS[0], str(final), *home)

    def _quietly(self, *words: str) -> str:
        return subprocess.run((self.program, *words), stdout=subprocess.PIPE, text=True, check=True).stdout

    def _account(self) -> str:
        """The address of the box's account, whose key stays in its token."""
        os.environ[SOFTHSM_VARIABLE] = str(self.home.tokens / "softhsm2.conf")
        settings = next(one for one in read_settings(self.home.settings).tokens if one.name == "box")
        pin = hsm.PinFile(self.home.root / settings.pin_file)
        token = hsm.open_token(hsm.Pkcs11Uri.parse(settings.uri), pin, hsm.LaneSettings())
        try:
            key = token.signing_key(hsm.Pkcs11Uri.parse(ACCOUNT_KEY), ACCOUNT_SCHEME)
            return address_of(key.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)).hex()
        finally:
            token.close()

    def _clique_node(self, number: int, common: dict[str, Any], key: coincurve.PrivateKey) -> _Node:
        settings = self.root / "chain" / f"signer-{number}.json"
        settings.parent.mkdir(exist_ok=True)
        settings.write_text(json.dumps({**common, "key": "0x" + key.secret.hex()}))
        return _Node(self._started(("node", "clique-node.mjs", str(settings)), f"signer-{number}"))

    def _started(self, command: Sequence[str], name: str) -> str:
        """The program's port, as it told it."""
        log = self.root / "chain" / f"{name}.log"
        with log.open("w") as output:
            process = subprocess.Popen(command, cwd=PROGRAMS, stdout=output, stderr=output, text=True)
        self.processes.append(process)
        deadline = time.monotonic() + START_SECONDS
        while (found := _PORT.search(log.read_text())) is None:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{name} did not come up; see {log}")
            time.sleep(0.1)
        return found[1]

    def _connect(
        self,
        name: str,
        nodes: Sequence[_Node],
        operator: coincurve.PrivateKey,
        account: str,
        consensus: Consensus,
        header_hash: HeaderHash,
    ) -> None:
        node = nodes[0]
        code = bytes.fromhex(msgspec.json.decode(BUILT.read_bytes())["contracts"]["CommitmentAnchors"]["bytecode"])
        address = node.send(operator, 0, data=code)["contractAddress"][2:].lower()
        node.send(operator, 1, to=bytes.fromhex(account), value=ETHER)
        contract = ContractRules(address=address, shape="event")
        chain_id = int(node("eth_chainId"), 16)
        rules = Rules(
            accounts=(account,),
            chain_id=chain_id,
            consensus=consensus,
            contract=contract,
            depth=DEPTH,
            genesis=node("eth_getBlockByNumber", "0x0", False)["hash"][2:],
            header_hash=header_hash,
        )
        path = f"ledgers/ledger-{name}.json"
        profile = LedgerProfile(name=name, rules=msgspec.Raw(canonical.encode(rules)), tolerance_s=30, type="evm")
        (self.home.root / path).parent.mkdir(exist_ok=True)
        (self.home.root / path).write_bytes(write_profile(profile))
        ledger = EvmLedgerSettings(
            name=name,
            profile=path,
            endpoints=[EvmEndpoint(url=one.url) for one in nodes],
            account=AccountSettings(token="box", key_uri=ACCOUNT_KEY),
            chain_id=chain_id,
            contract=contract,
            maximum_fee_per_gas=200 * GWEI,
            poll_s=1.0,
        )
        settings = read_settings(self.home.settings)
        # A head commits to every tenant once a minute, where nobody waits for it.
        changed = replace(settings, ledgers=[*settings.ledgers, ledger], box_leaf_interval_s=2)
        write_settings(self.home.settings, changed)


class _Node:
    """A node of a chain, spoken to as the chain's operator does."""

    def __init__(self, port: str) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def __call__(self, method: str, *params: Any) -> Any:
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        answer = httpx.post(self.url, json=call, timeout=30, trust_env=False).json()
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def send(self, key: coincurve.PrivateKey, nonce: int, **more: Any) -> dict[str, Any]:
        """Send a transaction of this account and wait for its receipt."""
        chain_id = int(self("eth_chainId"), 16)
        fields: dict[str, Any] = {"gas_price": 10 * GWEI, "gas": 3_000_000, "to": b"", **more}
        transaction = LegacyTransaction(chain_id=chain_id, nonce=nonce, **fields)
        digest = transaction.signing_hash()
        signature = key.sign_recoverable(digest, None)
        numbers = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"))
        raw = transaction.signed(*normalised(digest, *numbers, bytes.fromhex(_address(key))))
        name = self("eth_sendRawTransaction", "0x" + raw.hex())
        deadline = time.monotonic() + START_SECONDS
        while (receipt := self("eth_getTransactionReceipt", name)) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{name} is in no block of {self.url}")
            time.sleep(0.2)
        if receipt["status"] != "0x1":
            raise RuntimeError(f"{name} failed on {self.url}")
        return dict(receipt)


def _address(key: coincurve.PrivateKey) -> str:
    return address_of(key.public_key.format(compressed=False)).hex()
