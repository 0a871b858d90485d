"""Names in certificates of a tenant's keys: those that the box's officers registered, and no others."""

from __future__ import annotations

import msgspec
import pytest

from appliance.box.adoption import AdoptionRefused, check_adoption
from appliance.box.settings import (
    BoxSettings,
    CertificateAuthoritySettings,
    LogKeySettings,
    LogSettings,
    TenantSettings,
    TokenSettings,
)
from appliance.ceremonies.actions import IssueCertificate, RenameTenant
from appliance.keymaster.certificates.naming import NameRefused, check_names, check_registered
from firmware_tests.ceremonies.test_quorum import proposal as made
from firmware_tests.recorder import running

BANK = "Demo Bank 示范银行"


def settings(organisation: str | None = BANK, *, rehearsal: bool = False) -> BoxSettings:
    tenant = TenantSettings(name="demo", token="demo", data_key="secrets/x", organisation=organisation)
    return msgspec.structs.replace(running.settings(), tenants=[tenant], rehearsal=rehearsal)


def issue(common_name: str, organisation: str, tenant: str | None = "demo") -> IssueCertificate:
    return IssueCertificate(
        tenant=tenant, key="k", authority="seal-ca", common_name=common_name, organisation=organisation,
        country="CN", days=90,
    )  # fmt: skip


@pytest.mark.parametrize("rehearsal", [True, False])
@pytest.mark.parametrize("common_name", [BANK, f"{BANK} letters 2027"])
def test_the_registered_name_is_taken(common_name: str, rehearsal: bool) -> None:
    check_names(settings(rehearsal=rehearsal), None, issue(common_name, BANK))


@pytest.mark.parametrize("rehearsal", [True, False])
@pytest.mark.parametrize(
    ("common_name", "organisation"),
    [
        (BANK, "Other Bank"),
        ("Other Bank", BANK),
        (f"{BANK}rupt", BANK),
        (f"Other Bank, {BANK}", BANK),
        (BANK.lower(), BANK.lower()),
        (BANK, f"{BANK} "),
    ],
)
def test_any_other_is_refused(common_name: str, organisation: str, rehearsal: bool) -> None:
    with pytest.raises(NameRefused):
        check_names(settings(rehearsal=rehearsal), None, issue(common_name, organisation))


def test_who_has_no_registered_name() -> None:
    """A tenant that provisioning made, which is for rehearsal; the box itself names its own keys."""
    check_names(settings(None, rehearsal=True), None, issue("Any", "Name"))
    with pytest.raises(NameRefused):
        check_names(settings(None), None, issue("Any", "Name"))
    check_names(settings(None), None, issue("Answers", "The box", tenant=None))


@pytest.mark.parametrize("name", ["x" * 65, " Bank", "Bank ", "Ba\u202enk", "Ba\tnk"])
def test_what_cannot_be_registered(name: str) -> None:
    with pytest.raises(NameRefused):
        check_registered(name)


def whole(organisation: str | None) -> BoxSettings:
    """Settings whose parts fit each other, as a running box has them."""
    made, uri = settings(organisation, rehearsal=True), "pkcs11:token=demo?module-path=/m.so"
    key = LogKeySettings(key_uri="pkcs11:object=log", token="demo", name="log.example")
    return msgspec.structs.replace(
        made,
        tokens=[TokenSettings(name="demo", uri=uri, pin_file="secrets/demo.pin")],
        logs=[LogSettings(origin=f"log.example/{one}", tenant=one, keys=[key]) for one in (None, "demo")],
        authorities=[
            CertificateAuthoritySettings(
                name="ca", token="demo", key_uri="pkcs11:object=ca", scheme="ecdsa-p256-sha256",
                certificate="trust/ca.pem", crl="trust/ca.crl",
            )
        ],
    )  # fmt: skip


def test_a_running_box_takes_another_name_over_and_never_none() -> None:
    check_adoption(whole(BANK), whole("Other Bank"))
    check_adoption(whole(None), whole(BANK))
    with pytest.raises(AdoptionRefused, match="keeps one"):
        check_adoption(whole(BANK), whole(None))


def test_a_name_that_is_registered_in_the_same_ceremony_counts_from_there_on() -> None:
    old, new = issue(BANK, BANK), issue("Other Bank", "Other Bank")
    renamed = RenameTenant(name="demo", title="Other Bank")
    proposal = made(old, renamed, new)
    for certificate in (old, new):
        check_names(settings(), proposal, certificate)
    with pytest.raises(NameRefused):
        check_names(settings(), made(new, renamed), new)
    with pytest.raises(NameRefused):
        check_names(settings(), made(RenameTenant(name="other", title="Other Bank"), new), new)
