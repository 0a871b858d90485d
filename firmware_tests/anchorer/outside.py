"""A ledger of time-stamps for a test's box: its profile as a file of the home, and its block in box.json."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.anchorer.outbox import FILE, Outbox
from appliance.anchors import LedgerProfile, canonical, write_profile
from appliance.anchors.rfc3161.judge import Rules, TrustedAuthority
from appliance.box.ledgers import Rfc3161Authority, Rfc3161LedgerSettings
from appliance.box.settings import read_settings, write_settings
from firmware_tests.anchorer.made import head
from firmware_tests.running import RunningBox


def stamp_profile(name: str, authorities: Sequence[bytes], policies: Sequence[str], tolerance_s: int = 0) -> bytes:
    """`authorities`: certificates, DER."""
    trusted = [
        TrustedAuthority(certificate=base64.b64encode(one).decode(), policies=list(policies)) for one in authorities
    ]
    rules = msgspec.Raw(canonical.encode(Rules(authorities=trusted)))
    return write_profile(LedgerProfile(name=name, rules=rules, tolerance_s=tolerance_s, type="rfc3161"))


def der_of(pem: Path) -> bytes:
    return x509.load_pem_x509_certificate(pem.read_bytes()).public_bytes(Encoding.DER)


def add_ledger(
    box: RunningBox, profile: bytes, *authorities: Rfc3161Authority, name: str = "outside", **changed: Any
) -> Path:
    """Before the box is started. Returns the profile's path."""
    place = box.home.root / "ledgers" / f"ledger-{name}.json"
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(profile)
    settings = read_settings(box.home.settings)
    ledger = Rfc3161LedgerSettings(
        name=name, profile=str(place.relative_to(box.home.root)), authorities=list(authorities), **changed
    )
    write_settings(box.home.settings, msgspec.structs.replace(settings, ledgers=[*settings.ledgers, ledger]))
    return place


def once_anchored(box: RunningBox, ledger: str) -> None:
    """Before the box is started: an anchor was due on a ledger that box.json lists no more."""
    box.home.anchors.mkdir(mode=0o700)
    outbox = Outbox(box.home.anchors / FILE)
    outbox.make_due(ledger, head(7), "the interval", 1_700_000_000_000_000)
    outbox.close()
