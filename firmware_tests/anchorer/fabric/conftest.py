"""A box with an account on the tests' channel, and the Gateway that it speaks to."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.anchorer.desk_client import DeskClient
from appliance.anchors import LedgerProfile, canonical
from appliance.box.ledgers import FabricGateway, FabricLedgerSettings
from appliance.box.ledgers.fabric import FabricAccountSettings
from firmware_tests.anchorer.fabric.peer import Gateway, serving
from firmware_tests.anchorer.fabric.site import LEDGER, Site
from firmware_tests.anchors.fabric.network import CHAINCODE, CHANNEL, FUNCTION, Network
from firmware_tests.log.box import BOX_ORIGIN, Box, running_box
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token
from hsm.keys import generate_key_pair
from hsm.testing.softhsm import SoftHsm


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, softhsm: SoftHsm) -> Iterator[Box]:
    with running_box(tmp_path_factory.mktemp("fabric") / "home", softhsm) as made:
        yield made


@pytest.fixture(scope="module")
def site(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One box for a module: its log follower with SoftHSM signs everything."""
    token_settings = box.settings.tokens[0]
    pin = PinFile(box.home.root / token_settings.pin_file)
    token = open_token(Pkcs11Uri.parse(token_settings.uri), pin, LaneSettings())
    uri = generate_key_pair(token, "fabric-account", "ecdsa-p256-sha256")
    public_key = token.signing_key(uri, "ecdsa-p256-sha256").public_key
    token.close()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    network = Network()
    network.client = network.organisations.endorsing[0].member("cinnabar", "client", public_key)
    gateway = Gateway(network)
    directory = box.home.root / "ledgers"
    directory.mkdir()
    (directory / "certificate.pem").write_bytes(network.client.pem)
    profile = LedgerProfile(
        name=LEDGER, type="fabric", tolerance_s=0, rules=msgspec.Raw(canonical.encode(network.rules()))
    )
    (directory / "ledger-consortium.json").write_bytes(canonical.encode(profile))
    with serving(gateway, directory) as address:
        settings = FabricLedgerSettings(
            name=LEDGER,
            profile="ledgers/ledger-consortium.json",
            account=FabricAccountSettings(
                token="box", key_uri="pkcs11:object=fabric-account", transactions_per_hour=100_000
            ),
            certificate="ledgers/certificate.pem",
            msp=network.client.msp,
            gateways=[FabricGateway(address=address, ca="ledgers/tls-ca.pem")],
            channel=CHANNEL,
            chaincode=CHAINCODE,
            function=FUNCTION,
            timeout_s=5,
            poll_s=0.2,
            send_again_s=0.5,
        )
        box.settings = msgspec.structs.replace(box.settings, ledgers=[settings])
        box.write()
        box.start_follower()
        box.wait_for_size(BOX_ORIGIN, 1)
        yield Site(box, network, gateway, settings, profile, DeskClient(box.home.ledger_desk_socket))


@pytest.fixture(autouse=True)
def honest(site: Site) -> Iterator[None]:
    """Each test begins and ends with a Gateway that does as it should."""
    yield
    for faults in (site.gateway.before, site.gateway.after, site.gateway.lies, site.gateway.instead):
        faults.clear()
    site.gateway.ordering = True
    site.gateway.calls.clear()
    site.gateway.submitted.clear()
    site.network.on_endorse = None
