"""A whole box anchors on a chain with Clique seals, of @ethereumjs/client and of our nodes: its account's key is in the
token, the log follower signs, the anchorer sends, and the receipt is proven with the chain stopped."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.anchors import Strength, commitment_of, judge, read_receipt, write_profile
from appliance.anchors.evm.secp256k1 import address_of
from appliance.anchors.profile import LedgerProfile
from appliance.box.ledgers.common import AccountSettings
from appliance.box.settings import read_settings, write_settings
from appliance.calls.client import CallClient
from firmware_tests.anchorer.evm.conftest import CLIQUE_KEY, place_on_clique
from firmware_tests.others.evm_nodes import ClientChain, CliqueChain, account_of
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


Anchoring = tuple[RunningBox, CliqueChain | ClientChain, LedgerProfile]


@pytest.fixture(params=["ours"])
def anchoring(open_directory: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Anchoring]:
    """A box whose account is funded on a chain that seals by itself: our nodes, or @ethereumjs/client ("client")."""
    box = RunningBox(open_directory / f"evm-{request.node.name[-20:]}")
    box.provision()
    account = made_account(box)
    funded = [account_of(CLIQUE_KEY), "0x" + account.hex()]
    chain: CliqueChain | ClientChain
    chain = CliqueChain(tmp_path, funded, by_itself=True) if request.param == "ours" else ClientChain(tmp_path, funded)
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


@pytest.mark.parametrize("anchoring", ["client"], indirect=True)
def test_a_box_anchors_its_log_and_the_chain_proves_it(anchoring: Anchoring) -> None:
    box, chain, profile = anchoring
    box.start()

    def newest() -> dict[str, Any]:
        with Anchorer(box.home.anchorer_socket) as client:
            (ledger,) = client.call("ledgers")
        found: dict[str, Any] = ledger["newest"] or {"state": "none", "cause": ledger["trouble"]}
        return found

    wait_until(lambda: newest()["state"] not in ("none", "due"), 60, "an anchor")
    told = cinnabar("anchor", "account", "chain", "--home", str(box.home.root))
    assert told.returncode == 0, told.stderr
    (address,) = msgspec.json.decode(profile.rules)["accounts"]
    assert f"account 0x{address}; in the profile's rules {address}" in told.stdout
    assert re.search(rf"chain {chain.chain_id}, (999\.\d+|1000) of its coin", told.stdout), told.stdout
    refused = cinnabar("anchor", "account", "other", "--home", str(box.home.root))
    assert refused.returncode != 0
    assert "no ledger" in refused.stderr
    chain.nodes[0].stop()  # a signer may stop at any time, and it is the first endpoint
    wait_until(lambda: newest()["state"] == "final", 120, "a final anchor")
    shown = newest()
    assert shown["strength"] == "proven"
    assert list(dict.fromkeys(step["state"] for step in shown["steps"])) == ["submitted", "mined", "final"]
    with Anchorer(box.home.anchorer_socket) as client:
        encoded = client.call("receipt", profile.name, shown["number"])
    assert box.stop() == 0, box.said()
    chain.stop()
    receipt = read_receipt(encoded)
    found = judge(receipt, commitment_of(receipt.checkpoint.encode()), profile, now_us=time.time_ns() // 1000)
    assert found.strength is Strength.PROVEN


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
