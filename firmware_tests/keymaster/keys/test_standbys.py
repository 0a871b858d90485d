"""Which token may stand by for which: the rules. The running box is in firmware_tests/ceremonies/test_golden.py."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from appliance.box.settings import BoxSettings, CertificateAuthoritySettings, TenantSettings, TokenSettings
from appliance.errors import CinnabarError, Conflict, NotFound
from appliance.keymaster.keys.ownership import check_token, check_unused, first_of, is_boxs, owner_of
from appliance.keymaster.keys.standbys import check_end, check_set, find_pair, holdings, with_standby
from firmware_tests.keymaster.keys.custodians import with_second_token
from firmware_tests.keymaster.room import Bench, Life
from firmware_tests.recorder import running
from hsm.testing.softhsm import SoftHsm


def settings() -> BoxSettings:
    """Tokens of the box and of two tenants, and two that serve nobody."""
    names = ("box", "acme", "other", "spare", "spare-2")
    return msgspec.structs.replace(
        running.settings(),
        tokens=[TokenSettings(name=one, uri=f"pkcs11:token={one}", pin_file=f"secrets/{one}.pin") for one in names],
        tenants=[TenantSettings(name=one, token=one, data_key=f"secrets/{one}.key") for one in ("acme", "other")],
        authorities=[
            CertificateAuthoritySettings(
                name="ca", token="box", key_uri="pkcs11:object=ca", scheme="ecdsa-p256-sha256", certificate="c", crl="r"
            )
        ],
        logs=[],
    )


def set_up(known: BoxSettings, tenant: str | None, token: str, standby: str) -> BoxSettings:
    pair = find_pair(known, tenant, token, standby)
    check_set(known, pair)
    return with_standby(known, token, pair.standby)


@pytest.mark.parametrize(("tenant", "token"), [("acme", "acme"), (None, "box")])
def test_a_token_that_serves_nobody_stands_by_and_is_its_owners_then(tenant: str | None, token: str) -> None:
    after = set_up(settings(), tenant, token, "spare")
    first = next(one for one in after.tokens if one.name == token)
    assert (first.standby_uri, first.standby_pin_file) == ("pkcs11:token=spare", "secrets/spare.pin")
    assert first_of(after, "spare") == token
    assert owner_of(after, "spare") == tenant
    assert is_boxs(after, "spare") is (tenant is None)
    check_token(after, None, tenant, "spare")
    with pytest.raises(NotFound):
        check_token(after, None, "other", "spare")
    with pytest.raises(Conflict):
        check_unused(after, "spare")
    assert set_up(after, tenant, token, "spare") == after
    pair = find_pair(after, tenant, token, "spare")
    check_end(pair)
    assert with_standby(after, token, None) == settings()


@pytest.mark.parametrize(
    ("tenant", "token", "standby", "error"),
    [
        ("acme", "acme", "acme", Conflict),
        ("acme", "acme", "missing", NotFound),
        ("acme", "missing", "spare", NotFound),
        ("acme", "other", "spare", NotFound),
        ("acme", "acme", "other", NotFound),
        ("acme", "acme", "box", NotFound),
        ("acme", "spare", "spare-2", NotFound),
        (None, "acme", "spare", NotFound),
        (None, "spare", "spare-2", NotFound),
        (None, "box", "acme", NotFound),
    ],
)
def test_what_is_another_owners_is_refused_like_what_is_not_there(
    tenant: str | None, token: str, standby: str, error: type[CinnabarError]
) -> None:
    with pytest.raises(error):
        set_up(settings(), tenant, token, standby)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda known: set_up(known, "acme", "acme", "spare-2"), "taken out first"),
        (lambda known: set_up(known, "other", "other", "spare"), "no such token|serves somebody"),
        (lambda known: with_pins(known, "spare", "tpm"), "under lock"),
        (lambda known: with_pins(known, "acme", "officer"), "under lock"),
    ],
)
def test_a_token_has_one_standby_and_a_standby_one_token(
    change: Callable[[BoxSettings], BoxSettings], why: str
) -> None:
    with pytest.raises(CinnabarError, match=why):
        set_up(change(settings()), "acme", "acme", "spare")


def with_pins(known: BoxSettings, token: str, source: str) -> BoxSettings:
    tokens = [msgspec.structs.replace(one, pin_source=source) if one.name == token else one for one in known.tokens]
    return msgspec.structs.replace(known, tokens=tokens)


def test_the_standby_has_keys_of_the_first_and_no_others(bench: Bench, softhsm: SoftHsm) -> None:
    with_second_token(bench, softhsm)

    async def story(life: Life) -> None:
        ledger = life.room.ledger
        pair = find_pair(life.room.settings, None, "box", "second")

        def add(token: str, label: str, public_key: bytes = b"p", tenant: str | None = None) -> None:
            ledger.add_key(
                token=token, cka_id=label.encode(), label=label, purpose="seal", scheme="ecdsa-p256-sha256",
                tenant=tenant, public_key=public_key, made=0,
            )  # fmt: skip

        def refused(error: type[CinnabarError], label: str) -> None:
            with pytest.raises(error):
                holdings(ledger, None, pair)
            ledger.set_state(next(one for one in ledger.keys(every=True) if one.label == label), "destroyed")

        with pytest.raises(Conflict, match="no key of box was restored"):
            holdings(ledger, None, pair)
        add("box", "k-1")
        add("box", "k-2")
        add("second", "k-1")
        held = holdings(ledger, None, pair)
        assert [(first.token, copy.token) for first, copy in held.shared] == [("box", "second")]
        assert [key.label for key in held.first_only] == ["k-2"]
        # What is decided of the key holds for both; that one is destroyed is each token's own.
        ledger.set_state(ledger.key(None, "k-1"), "suspended")
        ledger.set_certificates(ledger.key(None, "k-1"), [b"certificate"])
        assert [(key.state, key.certificates) for key in ledger.copies(ledger.key(None, "k-1"))] == [
            ("suspended", [b"certificate"])
        ] * 2
        assert ledger.key(None, "k-2").state == "pre-active"
        add("second", "theirs", tenant="acme")
        refused(NotFound, "theirs")
        ledger.set_state(ledger.key(None, "k-1"), "destroyed")
        assert [key.token for key in ledger.copies(ledger.key(None, "k-1"))] == ["second"]
        with pytest.raises(Conflict, match="no key of box was restored"):
            holdings(ledger, None, pair)

    bench.run(story)
