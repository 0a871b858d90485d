"""Programs of the parties beside the institutions; run as a program while the box is stopped: their certificates.

python -m firmware_tests.scenarios.systems.desks HOME
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes

import hsm
from appliance.box.home import Home
from appliance.box.settings import read_settings
from appliance.keymaster.certificates import profiles
from firmware_tests.scenarios.issue_client import issue
from hsm.x509 import private_key


class Desk(NamedTuple):
    tenant: str
    name: str
    roles: tuple[str, ...]
    kinds: tuple[str, ...] = ()
    """Of a partner, which speaks by messages alone: of which letters."""
    parties: tuple[str, ...] = ()
    """Ids of the firms whose program it is; `*`: it serves all of them."""

    @property
    def permissions(self) -> list[str]:
        partner = [f"partner-{self.name}"] if self.kinds else []
        given = [*(f"role-{role}" for role in self.roles), *(f"party-{party}" for party in self.parties), *partner]
        return [*given, f"{self.tenant}-seal", f"{self.tenant}-tsu"]


SECOND_TIER = {"name": "第二级供应商", "id": "91440101MA5TIER02X"}
"""A supplier that has a program of its own, which may come in every role of a firm, and for that firm alone."""
XIAMEN_BANK = {"name": "厦门银行", "id": "913502001550XMBANK"}
EVERBRIGHT = {"name": "光大银行", "id": "91110000100EVRBANK"}
BEIJING_BANK = {"name": "北京银行中关村支行", "id": "91110108802BJBANKX"}
"""Banks whose systems dock by messages."""
REGUARANTOR = {"name": "广东省融资再担保有限公司", "id": "91440000687REGUARX"}
"""Likewise."""
OWNER = {"name": "广州市住房和城乡建设局", "id": "11440100007OWNER0X"}
"""A beneficiary that has a program of its own."""
OTHER_BRANCH = {"name": "外地分行", "id": "91440300192BRANCHX"}
"""A bank's branch with a program of its own, beside those whose letters the bank's core system writes."""


DESKS = (
    Desk("guarantor", "beneficiary-desk", ("beneficiary",), parties=(OWNER["id"],)),
    Desk("platform", "supplier-desk", ("supplier", "holder", "subject", "borrower", "applicant"), parties=("*",)),
    Desk("platform", "core-desk", ("debtor", "core-firm"), parties=("*",)),
    Desk(
        "platform",
        "second-tier-desk",
        ("holder", "supplier", "subject", "borrower", "firm", "guarantor", "debtor", "funder", "applicant"),
        parties=(SECOND_TIER["id"],),
    ),
    Desk("platform", "funder-desk", ("funder", "bank"), parties=("*",)),
    Desk("guarantor", "trade-centre", ("platform", "gateway"), ("bid-bond-veiled", "sealed-deposit")),
    Desk("guarantor", "reguarantor", ("other-bank",), ("attestation",), (REGUARANTOR["id"],)),
    Desk("platform", "srm", ("supplier", "platform"), ("purchase-order", "credit-voucher")),
    Desk("platform", "single-window", ("applicant",), ("invoice",), ("*",)),
    Desk("platform", "bank-core", ("bank",), ("confirmation-letter",), (XIAMEN_BANK["id"],)),
    Desk("platform", "second-ekyc", ("other-bank",), ("attestation", "consent"), (BEIJING_BANK["id"],)),
    Desk("platform", "other-bank-desk", ("bank",), parties=(OTHER_BRANCH["id"],)),
    Desk("bank", "branch-desk", ("bank", "pledgee", "trustee", "servicer"), parties=(OTHER_BRANCH["id"],)),
    Desk("bank", "everbright", ("funder",), ("forfaiting-asset",), (EVERBRIGHT["id"],)),
)


def main(root: str) -> None:
    home = Home(Path(root))
    settings = read_settings(home.settings)
    os.environ.update({name: value.replace("{home}", root) for name, value in settings.environment.items()})
    authority = next(one for one in settings.authorities if one.name == "box-ca")
    token = next(one for one in settings.tokens if one.name == authority.token)
    opened = hsm.open_token(hsm.Pkcs11Uri.parse(token.uri), hsm.PinFile(home.root / token.pin_file), hsm.LaneSettings())
    key = private_key(opened.signing_key(hsm.Pkcs11Uri.parse(authority.key_uri), authority.scheme))
    certificate = x509.load_pem_x509_certificate((home.root / authority.certificate).read_bytes())
    issuer = profiles.Issuer(certificate, key, hashes.SHA384(), "http://crl.invalid/x.crl")
    for desk in DESKS:
        issue(issuer, home.clients / desk.name, 0)
    opened.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
