"""Wherever Fabric is shown, it is said that it has not run on a real network. The account's certification request."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
from click.testing import CliRunner
from cryptography import x509

from appliance.anchorer.cli import anchor_group
from appliance.anchorer.methods import Methods
from appliance.anchorer.outbox import Outbox
from appliance.anchorer.views import LedgerView
from appliance.anchors import canonical, write_receipt
from appliance.anchors.fabric import NOT_YET_RUN
from appliance.anchors.receipt import Receipt
from appliance.api import anchors as api_anchors
from firmware_tests.anchorer.fabric.site import LEDGER, Site
from firmware_tests.anchors.fabric.made import anchored
from firmware_tests.anchors.fabric.network import Network
from firmware_tests.anchors.fabric.test_judge import COMMITMENT
from firmware_tests.anchors.test_core import NOTE
from firmware_tests.log.box import BOX_ORIGIN, wait_for
from mgmt_service.areas import ledgers

DOCS = Path(__file__).parents[3] / "docs"


def test_the_ledgers_view_says_so(site: Site, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "outbox.sqlite")
    try:
        methods = Methods(site.box.settings, outbox, {}, {LEDGER: "not started"})
        (view,) = asyncio.run(methods.ledgers())
    finally:
        outbox.close()
    assert (view.type, view.caveat) == ("fabric", NOT_YET_RUN)


def test_the_api_and_the_officers_page_say_so() -> None:
    view = LedgerView(
        name=LEDGER,
        type="fabric",
        configured=True,
        caveat=NOT_YET_RUN,
        trouble="",
        begun=True,
        open=0,
        newest=None,
        final=None,
    )
    assert api_anchors._ledger(view).caveat == NOT_YET_RUN
    tried = msgspec.structs.replace(view, type="rfc3161", caveat="")
    assert [ledgers._part(one, []).untried for one in (view, tried)] == [True, False]
    page = (Path(ledgers.__file__).parents[1] / "templates/box/ledgers.html").read_text(encoding="utf-8")
    assert "{% if one.untried %}" in page


def test_the_command_line_says_so_of_a_running_anchorer(site: Site) -> None:
    process = site.box.start("appliance.anchorer")
    try:
        wait_for(site.box.home.anchorer_socket.exists, "the anchorer is up", 60)
        ran = CliRunner().invoke(anchor_group, ["list", "--home", str(site.home)])
        assert ran.exit_code == 0, ran.output
        assert NOT_YET_RUN in ran.output
    finally:
        site.box.stop(process)


def test_a_verified_receipt_says_so(tmp_path: Path) -> None:
    network = Network()
    made = anchored(network, COMMITMENT)
    receipt = Receipt(checkpoint=NOTE.decode(), ledger="consortium", proof=msgspec.Raw(made.proof), type="fabric")
    (tmp_path / "receipt").write_bytes(write_receipt(receipt))
    rules = canonical.encode(network.rules()).decode()
    (tmp_path / "profile").write_text(
        f'{{"name":"consortium","rules":{rules},"tolerance_s":0,"type":"fabric"}}', encoding="utf-8"
    )
    arguments = ["verify", str(tmp_path / "receipt"), "--ledger", str(tmp_path / "profile")]
    ran = CliRunner().invoke(anchor_group, arguments)
    assert ran.exit_code == 0, ran.output
    assert "proven by validator_seals" in ran.output
    assert NOT_YET_RUN in ran.output


def test_the_page_says_so_before_anything_else() -> None:
    page = (DOCS / "anchors-fabric.md").read_text(encoding="utf-8")
    assert page.splitlines()[2].startswith("**Not yet run on a real network.**")


def test_a_certification_request_is_printed(site: Site) -> None:
    ran = CliRunner().invoke(anchor_group, ["request", LEDGER, "--name", "cinnabar", "--home", str(site.home)])
    assert ran.exit_code == 0, ran.output
    request = x509.load_pem_x509_csr(ran.output.encode())
    assert request.is_signature_valid
    assert request.public_key() == site.network.client.certificate.public_key()
    account = CliRunner().invoke(anchor_group, ["account", LEDGER, "--home", str(site.home)])
    assert account.exit_code == 1
    assert "cinnabar anchor request" in account.output
    refused = CliRunner().invoke(anchor_group, ["request", "other", "--name", "x", "--home", str(site.home)])
    assert refused.exit_code == 1
    assert "no ledger 'other' has an account" in refused.output
    assert BOX_ORIGIN not in refused.output
