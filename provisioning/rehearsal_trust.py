"""The trust bundle of a rehearsal box, signed by its device key, which stands in for a constitution there."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Final, Literal, TypedDict

from cryptography.hazmat.primitives import serialization

import hsm
from appliance.box import settings as box
from appliance.evidence import CosigningEntry, LogEntry, TimeRules, WitnessEntry
from appliance.keymaster.certificates.trust_bundles import make_bundle
from appliance.log.witnesses import WitnessPolicy
from provisioning.genesis import SignedThing
from provisioning.rehearsal_certificates import Certificates

BUNDLE_LIFETIME: Final = datetime.timedelta(days=365)
AUTHORITIES: Final[dict[str, Literal["tsa", "seal", "tls"]]] = {"box-ca": "tls", "tsa-ca": "tsa", "seal-ca": "seal"}
"""What each authority is believed for."""


class _TrustedWitnesses(TypedDict, total=False):
    """What a trust bundle says of witnesses."""

    witnesses: list[WitnessEntry]
    cosigning: list[CosigningEntry]
    time: TimeRules


def add_trust_bundle(
    certificates: Certificates,
    device: hsm.SigningKey,
    stamp_policies: Sequence[str],
    logs: Sequence[LogEntry],
    witnesses: Sequence[box.WitnessSettings],
    policy: WitnessPolicy,
) -> None:
    """Put the bundle beside the box's other public files, and its signature among the rows. `policy`: of each log."""
    home = certificates.home

    def sign(encoded: bytes) -> bytes:
        signature = device.sign(encoded)
        certificates.signed.append(SignedThing("certificate", "device", "trust bundle", encoded))
        return signature

    bundle = make_bundle(
        signer=device.public_key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
        sign=sign,
        previous=None,
        rehearsal=True,
        issued=certificates.now,
        expires=certificates.now + BUNDLE_LIFETIME,
        authorities=[
            certificates.trusted(name, role, list(stamp_policies) if role == "tsa" else [])
            for name, role in AUTHORITIES.items()
        ],
        revocation_lists={f"{name}.crl": certificates.outputs[home.trust / f"{name}.crl"] for name in AUTHORITIES},
        logs=list(logs),
        **_trusted(logs, witnesses, policy),
    )
    certificates.outputs |= {home.trust / file: content for file, content in bundle.items()}


def _trusted(
    logs: Sequence[LogEntry], witnesses: Sequence[box.WitnessSettings], policy: WitnessPolicy
) -> _TrustedWitnesses:
    """Every log's policy on witnesses, whose word then counts for time."""
    if not witnesses:
        return {}
    names = [key.name for key in policy.keys]
    return {
        "witnesses": [WitnessEntry(key=one.key) for one in witnesses],
        "cosigning": [CosigningEntry(origin=log.origin, witnesses=names, quorum=policy.quorum) for log in logs],
        "time": TimeRules(accepted=["witness"]),
    }
