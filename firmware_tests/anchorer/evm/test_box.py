"""A whole box anchors on chains with Clique seals, of @ethereumjs/client and of our nodes: its account's key is in the
token, the log follower signs, the anchorer sends, and the receipt is proven with the chain stopped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import coincurve
import msgspec
import pytest

from appliance.anchors import Strength, commitment_of, judge, read_receipt, write_profile
from appliance.anchors.evm.secp256k1 import address_of, normalised
from appliance.anchors.evm.transactions import LegacyTransaction
from appliance.anchors.profile import LedgerProfile
from appliance.box.ledgers.common import AccountSettings
from appliance.box.settings import read_settings, write_settings
from appliance.calls.client import CallClient
from appliance.ceremonies import instant_text
from appliance.ceremonies.actions import GenerateKey
from firmware_tests.anchorer.evm.conftest import CLIQUE_KEY, place_on_clique
from firmware_tests.anchorer.evm.driving import GWEI
from firmware_tests.governed import Governed, governed
from firmware_tests.others.evm_nodes import ETHER, ClientChain, CliqueChain, account_of
from firmware_tests.running import RunningBox, cinnabar, wait_until

_MAKE = """
import sys
from pathlib import Path
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token
from hsm.keys import generate_key_pair
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
token = open_token(Pkcs11Uri.parse(sys.argv[1]), PinFile(Path(sys.argv[2])), LaneSettings())
uri = generate_key_pair(token, "chain-account", "ecdsa-secp256k1-sha256")
key = token.signing_key(uri, "ecdsa-secp256k1-sha256")
print(key.public_key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint).hex())
token.close()
"""


def box_token(box: RunningBox) -> str:
    """The token of the box's own log."""
    return next(log.keys[0].token for log in read_settings(box.home.settings).logs if log.tenant is None)


def made_account(box: RunningBox) -> bytes:
    """A key on secp256k1 in the box's token, before its first start: its address."""
    settings = read_settings(box.home.settings)
    token = next(one for one in settings.tokens if one.name == box_token(box))
    environment = {name: value.replace("{home}", str(box.home.root)) for name, value in settings.environment.items()}
    made = subprocess.run(
        (sys.executable, "-P", "-c", _MAKE, token.uri, str(box.home.root / token.pin_file)),
        env={"PATH": os.environ["PATH"], **environment},
        cwd=box.home.root,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return address_of(bytes.fromhex(made.stdout.strip()))


class Anchorer(CallClient):
    """The anchorer's socket."""


Anchoring = tuple[RunningBox, CliqueChain, LedgerProfile]


@pytest.fixture
def anchoring(open_directory: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Anchoring]:
    """A box whose account is funded on a chain that seals by itself."""
    box = RunningBox(open_directory / f"evm-{request.node.name[-20:]}")
    box.provision()
    account = made_account(box)
    chain = CliqueChain(tmp_path, [account_of(CLIQUE_KEY), "0x" + account.hex()], by_itself=True)
    place = place_on_clique(chain, tmp_path, seal=lambda: None).ruled(accounts=(account.hex(),))
    token = AccountSettings(token=box_token(box), key_uri="pkcs11:object=chain-account")
    ledger = place.changed(account=token, poll_s=0.3).settings
    settings = read_settings(box.home.settings)
    write_settings(box.home.settings, msgspec.structs.replace(settings, ledgers=[ledger], box_leaf_interval_s=1))
    profile = box.home.root / ledger.profile
    profile.write_bytes(write_profile(place.profile))
    profile.chmod(0o644)
    yield box, chain, place.profile
    if box.running:
        box.kill()
    chain.stop()


@pytest.fixture
def office(open_directory: Path) -> Iterator[Governed]:
    """A box with officers."""

    def prepare(box: RunningBox) -> None:
        quick = msgspec.structs.replace(read_settings(box.home.settings), box_leaf_interval_s=1)
        write_settings(box.home.settings, quick)

    made = governed(open_directory / "evm-connected", "demo", prepare=prepare)
    yield made
    if made.box.running:
        made.box.kill()


@pytest.fixture
def client_chain(tmp_path: Path) -> Iterator[ClientChain]:
    made = ClientChain(tmp_path, [account_of(CLIQUE_KEY)])
    yield made
    made.stop()


def again(box: RunningBox) -> None:
    assert box.stop() == 0, box.said()
    box.start()


def pay(chain: ClientChain, account: bytes, wei: int) -> None:
    """From who has deployed the contract."""
    made = LegacyTransaction(chain_id=chain.chain_id, nonce=1, gas_price=5 * GWEI, gas=21_000, to=account, value=wei)
    digest = made.signing_hash()
    signature = coincurve.PrivateKey(CLIQUE_KEY).sign_recoverable(digest, None)
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big")
    raw = made.signed(*normalised(digest, r, s, bytes.fromhex(account_of(CLIQUE_KEY)[2:])))
    assert chain.nodes[0].mined(chain.nodes[0]("eth_sendRawTransaction", "0x" + raw.hex()))["status"] == "0x1"


def test_a_chain_is_connected_as_the_page_says_and_proves_the_boxs_log(
    office: Governed, client_chain: ClientChain, tmp_path: Path
) -> None:
    """docs/anchors-evm.md, step by step on a running box: the officers make the account's key, somebody pays it, the
    profile says so. A signer stops meanwhile; the receipt is judged with the chain stopped."""
    box, chain = office.box, client_chain
    until = instant_text(datetime.now(UTC) + timedelta(days=365))
    office.decide([
        GenerateKey(
            tenant=None, token=box_token(box), key="chain-account", scheme="ecdsa-secp256k1-sha256", purpose="account",
            until=until,
        )
    ])  # fmt: skip
    place = place_on_clique(chain, tmp_path)
    account = AccountSettings(token=box_token(box), key_uri="pkcs11:object=chain-account")
    ledger = place.changed(account=account, poll_s=0.3).settings
    settings = read_settings(box.home.settings)
    write_settings(box.home.settings, msgspec.structs.replace(settings, ledgers=[ledger]))
    again(box)
    told = cinnabar("anchor", "account", "chain", "--home", str(box.home.root))
    assert told.returncode == 0, told.stderr
    found = re.search(r"account 0x([0-9a-f]{40}); in the profile's rules \1", told.stdout)
    assert found, told.stdout
    assert f"chain {chain.chain_id}, 0 of its coin" in told.stdout
    assert f"; genesis {chain.genesis.hex()}\n" in told.stdout
    refused = cinnabar("anchor", "account", "other", "--home", str(box.home.root))
    assert refused.returncode != 0
    assert "no ledger" in refused.stderr
    pay(chain, bytes.fromhex(found[1]), ETHER)
    profile = place.ruled(accounts=(found[1],)).profile
    (box.home.root / ledger.profile).write_bytes(write_profile(profile))
    (box.home.root / ledger.profile).chmod(0o644)
    again(box)
    chain.nodes[0].stop()  # a signer may stop at any time, and it is the first endpoint
    with box.http() as http:

        def asked() -> dict[str, Any]:
            (shown,) = http.get("/v1/anchors").json()["ledgers"]
            assert (shown["name"], shown["type"], shown["caveat"]) == ("chain", "evm", "")
            final: dict[str, Any] = shown["final"] or {}
            return final

        wait_until(lambda: bool(asked()), 120, "a final anchor")
        anchor = asked()
        assert anchor["strength"] == "proven"
        assert list(dict.fromkeys(step["state"] for step in anchor["steps"])) == ["submitted", "mined", "final"]
        assert http.get(f"/v1/anchors/chain/{anchor['number']}").json() == anchor
        receipt = read_receipt(http.get(f"/v1/anchors/chain/{anchor['number']}/receipt").content)
        for missing in ("/v1/anchors/other/1", "/v1/anchors/chain/999", "/v1/anchors/chain/999/receipt"):
            assert http.get(missing).status_code == 404
        assert http.post("/v1/stamps", json={"digest": "ab" * 32}).status_code == 200, "no key is unexplained"
    assert box.stop() == 0, box.said()
    chain.stop()
    judged = judge(receipt, commitment_of(receipt.checkpoint.encode()), profile, now_us=time.time_ns() // 1000)
    assert judged.strength is Strength.PROVEN
    assert anchor["commitment"] == commitment_of(receipt.checkpoint.encode()).hex()


def test_a_box_killed_while_it_anchors_goes_on_and_anchors_once(anchoring: Anchoring) -> None:
    box, chain, profile = anchoring

    def newest() -> dict[str, Any]:
        with Anchorer(box.home.anchorer_socket) as client:
            (ledger,) = client.call("ledgers")
        found: dict[str, Any] = ledger["newest"] or {"state": "none", "number": 0}
        return found

    for state in ("submitted", "mined"):
        box.start()
        wait_until(lambda state=state: newest()["state"] in (state, "mined", "final"), 60, state)  # type: ignore[misc]
        box.kill()
    box.start()
    wait_until(lambda: newest()["state"] == "final", 120, "a final anchor")
    assert newest()["number"] == 1
    account = "0x" + msgspec.json.decode(profile.rules)["accounts"][0]
    assert chain.nodes[0]("eth_getTransactionCount", account, "latest") == "0x1"
    assert box.stop() == 0, box.said()
