"""Names in certificates of a tenant's keys: those that the box's officers registered, and no others."""

from __future__ import annotations

import msgspec
import pytest

from appliance.box.adoption import AdoptionRefused, check_adoption
from appliance.box.settings import BoxSettings, TenantSettings
from appliance.ceremonies.actions import IssueCertificate
from appliance.keymaster.certificates.naming import NameRefused, check_names, check_registered
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


def test_a_name_does_not_change_while_the_box_runs() -> None:
    with pytest.raises(AdoptionRefused):
        check_adoption(settings(), settings("Other Bank"))
