"""Which ledgers of box.json come into the trust bundle."""

from __future__ import annotations

import base64
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from appliance.anchors import LedgerProfile, canonical, write_profile
from appliance.anchors.rfc3161.judge import Rules, TrustedAuthority
from appliance.box.ledgers.rfc3161 import Rfc3161Authority, Rfc3161LedgerSettings
from appliance.box.settings import BoxSettings
from appliance.keymaster.certificates.ledger_entries import wanted_ledgers
from firmware_tests.evidence.material import POLICY, make_world


@pytest.mark.parametrize("whose", ["tsa_ca", "foreign_ca"])
def test_the_box_s_own_stamps_come_into_no_bundle(tmp_path: Path, whose: str) -> None:
    """A bundle that called them a ledger's would be refused by every verifier, and no list could be published."""
    world = make_world()
    listed = base64.b64encode(getattr(world, whose).der).decode()
    rules = canonical.encode(Rules(authorities=[TrustedAuthority(certificate=listed, policies=[POLICY])]))
    profile = LedgerProfile(name="outside", rules=msgspec.Raw(rules), tolerance_s=0, type="rfc3161")
    (tmp_path / "profile.json").write_bytes(write_profile(profile))
    asked = [Rfc3161Authority(url="http://127.0.0.1:1/")]
    ledger = Rfc3161LedgerSettings(name="outside", profile="profile.json", authorities=asked)
    settings = BoxSettings(
        box_id="0" * 32, name="box", rehearsal=True, tokens=[], tenants=[], units=[], seal_keys=[], logs=[],
        authorities=[], ledgers=[ledger],
    )  # fmt: skip
    document = world.trust().document
    with capture_logs() as told:
        found = wanted_ledgers(tmp_path, settings, document)
    own = whose == "tsa_ca"
    assert [one.name for one in found] == ([] if own else ["outside"])
    assert [one["event"] for one in told] == (["ledger-of-the-box-itself"] if own else [])
    assert set(world.trust(ledgers=found).ledgers) == {one.name for one in found}
