"""Whoever has a tenant's PIN can do more than use its keys: what he does is found in time, and signing stops."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.box.settings import read_settings
from appliance.box.states import Cause, State, StatePage
from appliance.ceremonies.actions import DeclareCompromised, DestroyKey, ResumeTenant, SuspendTenant, Unlock
from appliance.errors import CinnabarError
from appliance.keymaster.keys.comparison import compare
from firmware_tests.keymaster.governed import GovernedBox, now_text
from firmware_tests.keymaster.keys.test_keys import seal
from firmware_tests.running import RunningBox, wait_until
from hsm.inventory import TokenObject

_HOSTILE = """
import sys
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token, constants as ck
from hsm.agreement import generate_agreement_key
from hsm.keys import destroy_key_pair, generate_key_pair
from hsm.mac import generate_mac_key
from pathlib import Path
uri, pin, what, label = sys.argv[1:]
token = open_token(Pkcs11Uri.parse(uri), PinFile(Path(pin)), LaneSettings())
if what == "make":
    generate_key_pair(token, label, "ecdsa-p256-sha256", allow_weak_keys=True)
elif what == "destroy":
    destroy_key_pair(token, Pkcs11Uri(object=label))
elif what == "destroy-secret":
    with token.session(writable=True) as (cryptoki, session):
        for one in cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_SECRET_KEY, ck.CKA_LABEL: label}):
            cryptoki.destroy_object(session, one)
elif what == "exchange":
    # Another private key under the label and id of the old one, beside its public half.
    with token.session(writable=True) as (cryptoki, session):
        old = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PRIVATE_KEY, ck.CKA_LABEL: label})
        identifier = cryptoki.get_attributes(session, old[0], (ck.CKA_ID,))[ck.CKA_ID]
        cryptoki.destroy_object(session, old[0])
        kept = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY, ck.CKA_LABEL: label})
    generate_key_pair(token, label, "ecdsa-p256-sha256", id=identifier)
    with token.session(writable=True) as (cryptoki, session):
        for one in cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY, ck.CKA_LABEL: label}):
            if one not in kept:
                cryptoki.destroy_object(session, one)
elif what in ("exchange-mac", "exchange-release"):
    kind = ck.CKO_SECRET_KEY if what == "exchange-mac" else ck.CKO_PRIVATE_KEY
    with token.session(writable=True) as (cryptoki, session):
        old = cryptoki.find_objects(session, {ck.CKA_CLASS: kind, ck.CKA_LABEL: label})
        identifier = cryptoki.get_attributes(session, old[0], (ck.CKA_ID,))[ck.CKA_ID]
        cryptoki.destroy_object(session, old[0])
        kept = cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY, ck.CKA_LABEL: label})
    (generate_mac_key if what == "exchange-mac" else generate_agreement_key)(token, label, id=identifier)
    with token.session(writable=True) as (cryptoki, session):
        for one in cryptoki.find_objects(session, {ck.CKA_CLASS: ck.CKO_PUBLIC_KEY, ck.CKA_LABEL: label}):
            if one not in kept:
                cryptoki.destroy_object(session, one)
elif what == "data":
    with token.session(writable=True) as (cryptoki, session):
        cryptoki.create_object(session, {
            ck.CKA_CLASS: ck.CKO_DATA, ck.CKA_TOKEN: True, ck.CKA_PRIVATE: True, ck.CKA_LABEL: label,
            ck.CKA_APPLICATION: "cinnabar", ck.CKA_VALUE: bytes(32)})
token.close()
"""


def hostile(box: RunningBox, token: str, what: str, label: str) -> None:
    """A process of the workers' user with the token's user PIN, and nothing else."""
    settings = read_settings(box.home.settings)
    wanted = next(one for one in settings.tokens if one.name == token)
    worker = settings.users.worker if os.geteuid() == 0 else None
    pin = box.home.root / wanted.pin_file if worker is None else box.home.secrets / "for" / str(worker) / f"{token}.pin"
    done = subprocess.run(
        (sys.executable, "-P", "-c", _HOSTILE, wanted.uri, str(pin), what, label),
        env={"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(box.home.tokens / "softhsm2.conf")},
        user=worker,
        group=worker,
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def box(open_directory: Path) -> Iterator[GovernedBox]:
    running = GovernedBox(open_directory / "watched", "demo", "other")
    running.begin(key_comparison_s=1)
    yield running
    if running.running:
        assert running.stop() == 0, running.said()


def tenant_state(box: RunningBox, tenant: str) -> str:
    with box.admin() as admin:
        return str(dict(admin.query("register_states")["tenants"])[tenant])


def leaves(box: RunningBox, log: str) -> list[str]:
    with box.admin() as admin:
        return [row[4] for row in admin.query("read_records", log, 0, 1000) if row[3] == "ceremony"]


def test_provisioning_is_written_down(box: GovernedBox) -> None:
    assert leaves(box, "@box")[0] == "ledger-begun"
    assert leaves(box, "demo")[0] == "ledger-begun"
    with box.desk() as desk:
        tenants_keys = {key["name"] for key in desk.call("keys", "tenant/demo")}
        boxs_keys = {key["name"] for key in desk.call("keys", "box")}
    assert tenants_keys == {"demo-seal", "demo-tsu", "demo-tsu-rsa", "demo-log-1", "demo-release-1"}
    authorities = {"box-ca", "tsa-ca", "seal-ca"}
    assert boxs_keys == authorities | {f"{name}-ocsp" for name in authorities} | {"box-log-1"}


@pytest.mark.parametrize(
    ("what", "label"), [("make", "hidden"), ("data", "cinnabar-constitution-7"), ("make", "demo-seal-x")]
)
def test_what_a_hostile_worker_makes_is_found_and_taken_away(box: GovernedBox, what: str, label: str) -> None:
    with box.http() as client, box.http("other") as bystander:
        assert seal(client, "demo-seal").status_code == 200
        hostile(box, "demo", what, label)
        wait_until(lambda: tenant_state(box, "demo") == "suspended", 20, "the tenant's suspension")
        assert seal(client, "demo-seal").status_code == 401
        assert seal(bystander, "other-seal").status_code == 200
        assert leaves(box, "demo")[-1] == "keys-unexplained"
        assert "keys-unexplained" not in leaves(box, "other")
        page = StatePage.open(box.home.state_page)
        label_of = Cause.TENANT_KEYS_UNEXPLAINED.label
        wait_until(lambda: label_of in page.report().causes, 10, "the cause")
        assert "demo" not in page.report().causes[label_of]
        assert page.state() is State.DEGRADED
        shown = box.hold(ResumeTenant(name="demo"))
        (settled,) = {one["what"] for one in shown["steps"][0]["facts"]["settled"]}
        assert settled == "new"
        assert seal(client, "demo-seal").status_code == 200
        wait_until(lambda: page.state() is State.OPERATIONAL, 10, "the box as before")


@pytest.mark.parametrize(
    ("token", "what", "label"),
    [("demo", "exchange-mac", "demo-uniqueness"), ("demo-release", "exchange-release", "demo-release-1")],
)
def test_a_key_of_letters_that_was_exchanged_is_found_and_given_up(
    box: GovernedBox, token: str, what: str, label: str
) -> None:
    """Alike in label, id and attributes: what it makes tells it. No letter is judged by another's key."""
    assert label in box.home.settings.read_text()
    hostile(box, token, what, label)
    wait_until(lambda: tenant_state(box, "demo") == "suspended", 20, "the tenant's suspension")
    shown = box.hold(ResumeTenant(name="demo"))
    (settled,) = shown["steps"][0]["facts"]["settled"]
    assert (settled["what"], settled["token"], settled["label"]) == ("changed", token, label)
    assert tenant_state(box, "demo") == "active"
    assert label not in box.home.settings.read_text()
    with box.http() as client:
        assert seal(client, "demo-seal").status_code == 200


def test_an_exchanged_key_of_a_federation_locks_the_box_and_is_given_up(box: GovernedBox) -> None:
    page = StatePage.open(box.home.state_page)
    hostile(box, "registry", "exchange-mac", "rehearsal-uniqueness")
    wait_until(lambda: page.state() is State.LOCKED, 20, "the lock")
    box.hold(Unlock())
    assert Cause.KEYS_UNEXPLAINED.label not in page.report().causes
    left = [one.key_uri for one in read_settings(box.home.settings).federations]
    assert not [uri for uri in left if "rehearsal-uniqueness" in uri]
    with box.http() as client:
        assert seal(client, "demo-seal").status_code == 200


def stamps(box: GovernedBox, tenant: str) -> bool:
    """Whether a stamp is made by a unit of the tenant's."""
    content = {"digest": hashlib.sha256(b"a letter").hexdigest()}
    with box.http(tenant) as client:
        return client.post("/v1/stamps", json=content).status_code == 200


def seals(box: GovernedBox, tenant: str) -> bool:
    with box.http(tenant) as client:
        return seal(client, f"{tenant}-seal").status_code == 200


def in_use(box: GovernedBox) -> set[str]:
    """The units and seal keys of the settings."""
    now = read_settings(box.home.settings)
    return {one.name for one in now.units} | {one.name for one in now.seal_keys}


def fresh_workers(box: GovernedBox) -> None:
    """Every API worker is killed; others come up in their place with what box.json says now."""
    names = [name for name in box.processes() if name.startswith("api-")]
    assert names
    for name in names:
        before = box.processes()[name]
        os.kill(before, signal.SIGKILL)
        wait_until(lambda name=name, before=before: box.processes().get(name, before) != before, 20, f"another {name}")


def works(box: GovernedBox, tenant: str, asked: Callable[[GovernedBox, str], bool]) -> None:
    def answered() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return asked(box, tenant)
        return False

    wait_until(answered, 30, f"{asked.__name__} for {tenant}")


def test_a_private_key_exchanged_under_its_public_half_is_found(box: GovernedBox) -> None:
    hostile(box, "other", "exchange", "other-seal")
    wait_until(lambda: tenant_state(box, "other") == "suspended", 20, "the tenant's suspension")
    with pytest.raises(AssertionError, match="keys-still-unexplained"):
        box.hold(ResumeTenant(name="other"))
    assert tenant_state(box, "other") == "suspended"


def test_a_destroyed_key_is_found_and_given_up_by_a_ceremony(box: GovernedBox) -> None:
    """It stops its tenant alone, before it is settled and after, although the other's key is broken all the while."""
    hostile(box, "demo", "destroy", "demo-tsu-rsa")
    wait_until(lambda: tenant_state(box, "demo") == "suspended", 20, "the tenant's suspension")
    shown = box.hold(ResumeTenant(name="demo"))
    settled = shown["steps"][0]["facts"]["settled"]
    assert [one["left_use"] for one in settled if "left_use" in one] == ["demo-tsu-rsa"]
    assert box.key("demo-tsu-rsa")["state"] == "destroyed"
    assert tenant_state(box, "demo") == "active"
    assert "demo-tsu-rsa" not in in_use(box)
    fresh_workers(box)
    works(box, "demo", stamps)
    works(box, "demo", seals)


def test_one_tenants_broken_keys_stop_no_other(box: GovernedBox) -> None:
    """Those that are refused are declared compromised and destroyed; then the tenant goes on with what it has left."""
    hostile(box, "other", "destroy", "other-tsu-rsa")
    fresh_workers(box)
    works(box, "demo", stamps)
    assert not stamps(box, "other")
    key = box.key("other-seal", "other")
    since = now_text(seconds=-1)
    box.hold(DeclareCompromised(tenant="other", key="other-seal", since=since, because="It was exchanged"))
    box.hold(DestroyKey(tenant="other", key="other-seal", public_key=key["public_key"]))
    digest = box.approved(ResumeTenant(name="other"))
    with box.desk() as desk, contextlib.suppress(CinnabarError):
        desk.execute(digest, 0.0)
    # The keymaster dies in the middle: what the step says it did is the same.
    wait_until(lambda: "other-tsu-rsa" not in in_use(box), 30, "the new settings")
    os.kill(box.processes()["keymaster"], signal.SIGKILL)
    settled = box.finish(digest)["steps"][0]["facts"]["settled"]
    assert [one["left_use"] for one in settled if "left_use" in one] == ["other-tsu-rsa"]
    assert box.key("other-tsu-rsa", "other")["state"] == "destroyed"
    assert tenant_state(box, "other") == "active"
    assert "other-seal" not in in_use(box)
    fresh_workers(box)
    works(box, "other", stamps)
    works(box, "demo", seals)


def test_the_boxs_own_token_locks_the_box(box: GovernedBox) -> None:
    page = StatePage.open(box.home.state_page)
    hostile(box, "box", "make", "another-ca")
    wait_until(lambda: page.state() is State.LOCKED, 20, "the lock")
    assert Cause.KEYS_UNEXPLAINED.label in page.report().causes
    with box.http() as client:
        assert seal(client, "demo-seal").status_code == 503
    box.hold(Unlock())
    assert Cause.KEYS_UNEXPLAINED.label not in page.report().causes
    with box.http() as client:
        assert seal(client, "demo-seal").status_code == 200


def test_what_was_approved_before_something_was_found_settles_nothing(box: GovernedBox) -> None:
    """A service keeps an approved resumption back until a worker of the attacker's has been at the token."""
    with pytest.raises(CinnabarError, match="nothing is stopped"):
        box.approved(ResumeTenant(name="demo"))
    box.word(SuspendTenant(name="demo"))
    before = leaves(box, "demo").count("keys-unexplained")
    kept = box.approved(ResumeTenant(name="demo"))
    hostile(box, "demo", "make", "hidden-2")
    wait_until(lambda: leaves(box, "demo").count("keys-unexplained") > before, 20, "the finding")
    with box.desk() as desk, contextlib.suppress(CinnabarError):
        desk.execute(kept, 20.0)
    assert tenant_state(box, "demo") == "suspended"
    box.hold(ResumeTenant(name="demo"))
    assert tenant_state(box, "demo") == "active"


def test_lost_keys_of_letters_and_of_content_stop_their_tenant_alone(box: GovernedBox) -> None:
    """A worker that starts leaves them closed and serves everybody else; without the key of its content no tenant
    goes on, since every worker would look for it."""
    hostile(box, "other", "destroy-secret", "other-uniqueness")
    hostile(box, "other-release", "destroy", "other-release-1")
    wait_until(lambda: tenant_state(box, "other") == "suspended", 20, "the tenant's suspension")
    fresh_workers(box)
    works(box, "demo", seals)
    hostile(box, "other", "destroy-secret", "content-key-wrapping")
    fresh_workers(box)
    works(box, "demo", seals)
    assert not stamps(box, "other")
    with pytest.raises(AssertionError, match="keys-still-unexplained"):
        box.hold(ResumeTenant(name="other"))
    assert tenant_state(box, "other") == "suspended"


# The rule itself


_labels = st.text("ab", min_size=1, max_size=2)
_objects = st.builds(
    TokenObject,
    kind=st.sampled_from(["private-key", "public-key", "data"]),
    label=_labels,
    id=st.binary(max_size=1),
    key_type=st.just(3),
    flags=st.sampled_from([(), ("CKA_SIGN",), ("CKA_SIGN", "CKA_UNWRAP")]),
    cleared=st.just(()),
    value=st.sampled_from(["", "00", "11"]),
)


@given(st.lists(_objects, max_size=6, unique=True), st.lists(_objects, max_size=6))
def test_nothing_unexplained_passes(known: list[TokenObject], found: list[TokenObject]) -> None:
    ledger = {one.fingerprint: one.described() for one in known}
    outcome = compare(ledger, found, lambda _: False, lambda _: False)
    same = sorted(one.fingerprint for one in known) == sorted(one.fingerprint for one in found)
    assert bool(outcome.differences) is not same
    assert compare(ledger, found, lambda _: False, lambda _: True).explained == ()
    lenient = compare(ledger, found, lambda _: True, lambda _: True)
    # An object that is there twice is never explained.
    assert bool(lenient.differences) is any(found.count(one) > 1 for one in known)
