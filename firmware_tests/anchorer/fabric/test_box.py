"""A whole box is connected to a channel as an operator does it: a key made at provisioning, a request for its
certificate from the running box, the certificate put into the home; then its heads become final by themselves."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.anchorer.client import AnchorerClient
from appliance.anchorer.views import LedgerView
from appliance.anchors import LedgerProfile, canonical, write_profile
from appliance.anchors.fabric import NOT_YET_RUN
from appliance.box.ledgers import FabricGateway, FabricLedgerSettings
from appliance.box.ledgers.fabric import FabricAccountSettings
from appliance.box.settings import read_settings, write_settings
from firmware_tests.anchorer.fabric.peer import Gateway, serving
from firmware_tests.anchors.fabric.network import CHAINCODE, CHANNEL, FUNCTION, Network
from firmware_tests.running import RunningBox, cinnabar, wait_until

LEDGER = "consortium"


@dataclass
class Connected:
    box: RunningBox
    network: Network
    gateway: Gateway

    def ledger(self) -> LedgerView:
        with AnchorerClient(self.box.home.anchorer_socket) as client:
            (view,) = client.ledgers()
        return view


@pytest.fixture(scope="module")
def site(open_directory: Path) -> Iterator[Connected]:
    box = RunningBox(open_directory / "fabric", "demo")
    box.provision("--account=fabric-account:p256")
    network = Network()
    gateway = Gateway(network)
    directory = box.home.root / "ledgers"
    directory.mkdir(mode=0o755, exist_ok=True)
    profile = LedgerProfile(
        name=LEDGER, type="fabric", tolerance_s=0, rules=msgspec.Raw(canonical.encode(network.rules()))
    )
    (directory / "ledger-consortium.json").write_bytes(write_profile(profile))
    with serving(gateway, directory) as address:
        ledger = FabricLedgerSettings(
            name=LEDGER,
            profile="ledgers/ledger-consortium.json",
            account=FabricAccountSettings(token="box", key_uri="pkcs11:object=fabric-account"),
            certificate="ledgers/fabric.pem",
            msp="Org1MSP",
            gateways=[FabricGateway(address=address, ca="ledgers/tls-ca.pem")],
            channel=CHANNEL,
            chaincode=CHAINCODE,
            function=FUNCTION,
            poll_s=0.3,
        )
        for path in directory.iterdir():
            path.chmod(0o644)
        settings = read_settings(box.home.settings)
        write_settings(box.home.settings, msgspec.structs.replace(settings, ledgers=[ledger], box_leaf_interval_s=1))
        box.start()
        yield Connected(box, network, gateway)
        if box.running:
            assert box.stop() == 0, box.said()


def test_without_its_certificate_the_box_waits_and_says_so(site: Connected) -> None:
    wait_until(site.box.home.anchorer_socket.exists, 30, "the anchorer")
    wait_until(lambda: "fabric.pem" in site.ledger().trouble, 30, "what is missing is told")
    assert site.gateway.calls == []
    with site.box.http() as client:
        answer = client.post("/v1/stamps", json={"digest": "aa" * 32})
        assert answer.status_code == 200, "no key is unexplained, and no stamp waits for a ledger"


def test_with_the_certificate_that_it_asked_for_its_heads_become_final(site: Connected, tmp_path: Path) -> None:
    home = str(site.box.home.root)
    asked = cinnabar("anchor", "request", LEDGER, "--name", "cinnabar", "--home", home)
    assert asked.returncode == 0, asked.stderr
    request = x509.load_pem_x509_csr(asked.stdout.encode())
    assert request.is_signature_valid
    key = request.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    member = site.network.organisations.endorsing[0].member("cinnabar", "client", key)
    place = site.box.home.root / "ledgers" / "fabric.pem"
    place.write_bytes(member.pem)
    place.chmod(0o644)
    wait_until(lambda: site.ledger().final is not None, 90, "a final anchor")
    final = site.ledger().final
    assert final is not None
    assert (final.state, final.strength) == ("final", "proven")
    told = cinnabar("anchor", "list", "--home", home)
    assert NOT_YET_RUN in told.stdout
    shown = json.loads(cinnabar("anchor", "list", "--home", home, "--json").stdout)
    assert shown[0]["caveat"] == NOT_YET_RUN
    receipt = tmp_path / "receipt.json"
    assert cinnabar("anchor", "export", LEDGER, str(final.number), str(receipt), "--home", home).returncode == 0
    profile = str(site.box.home.root / "ledgers" / "ledger-consortium.json")
    judged = cinnabar("anchor", "verify", str(receipt), "--ledger", profile)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    assert "proven by validator_seals" in judged.stdout
    assert NOT_YET_RUN in judged.stdout


def test_the_books_agree_after_it_signed_for_the_ledger(site: Connected) -> None:
    assert site.box.stop() == 0, site.box.said()
    checked = cinnabar("counts", "--home", str(site.box.home.root))
    assert checked.returncode == 0, checked.stdout + checked.stderr
