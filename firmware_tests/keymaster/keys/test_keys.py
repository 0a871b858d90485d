"""Keys on a running box: ceremonies that make, certify, use, rotate, stop and destroy them, and what then signs."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.box.settings import read_settings
from appliance.ceremonies.actions import (
    ActivateKey,
    CreateAuthority,
    DeactivateKey,
    DeclareCompromised,
    DestroyKey,
    GenerateKey,
    InitialiseToken,
    IssueCertificate,
    Lock,
    RequestCertificate,
    ResumeKey,
    RotateKey,
    SuspendKey,
    Unlock,
)
from appliance.errors import CinnabarError
from appliance.recorder.admin import AdminClient
from firmware_tests.keymaster.governed import LATER, GovernedBox, now_text
from firmware_tests.running import cinnabar, wait_until
from provisioning.names import REHEARSAL_STAMP_POLICY


@pytest.fixture(scope="module")
def box(open_directory: Path) -> Iterator[GovernedBox]:
    running = GovernedBox(open_directory / "keyed", "demo", "other")
    running.begin()
    yield running
    if running.running:
        assert running.stop() == 0, running.said()


def generate(key: str, purpose: str = "seal", tenant: str | None = "demo", **more: Any) -> GenerateKey:
    given = {"scheme": "ecdsa-p256-sha256", "until": LATER, "token": tenant or "box"} | more
    return GenerateKey(tenant=tenant, key=key, purpose=purpose, **given)  # type: ignore[arg-type]


def issue(key: str, authority: str = "seal-ca", tenant: str | None = "demo") -> IssueCertificate:
    return IssueCertificate(
        tenant=tenant,
        key=key,
        authority=authority,
        common_name=f"Seal {key}",
        organisation="Demo",
        country="CN",
        days=90,
    )


def made_and_used(box: GovernedBox, key: str, **more: Any) -> dict[str, Any]:
    return box.hold(generate(key, **more), issue(key), ActivateKey(tenant="demo", key=key))


def seal(client: httpx.Client, key: str) -> httpx.Response:
    return client.post("/v1/seals", json={"document": base64.b64encode(b"a letter").decode(), "key": key})


def test_a_seal_key_from_nothing_to_a_letter_that_verifies(box: GovernedBox, tmp_path: Path) -> None:
    shown = made_and_used(box, "demo-seal-2")
    generated, issued, activated = (step["facts"] for step in shown["steps"])
    assert generated["attributes"]["true"].count("CKA_NEVER_EXTRACTABLE") == 1
    assert "CKA_EXTRACTABLE" in generated["attributes"]["false"]
    assert issued["lint"] == "passed"
    assert "REHEARSAL" in issued["subject"]
    assert activated["state"] == "active"
    told = box.key("demo-seal-2")
    assert (told["state"], told["id"]) == ("active", generated["id"])
    with box.http() as client:
        answer = seal(client, "demo-seal-2")
        assert answer.status_code == 200, answer.text
    letter = tmp_path / "letter.txt"
    letter.write_text("a letter\n")
    done = cinnabar("seal", "--home", str(box.home.root), "--as", "demo-app", "--seal-key", "demo-seal-2", str(letter))
    assert done.returncode == 0, done.stderr
    made = [str(path) for path in sorted(tmp_path.glob("letter*"))]
    verified = cinnabar("verify", "--trust", str(box.home.trust), "--state", str(tmp_path / "state"), *made)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    pem = box.home.root / "certificates" / "demo-seal-2.pem"
    openssl = subprocess.run(
        ("openssl", "verify", "-x509_strict", "-CAfile", str(box.home.trust / "seal-ca.pem"), str(pem)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert openssl.returncode == 0, openssl.stdout + openssl.stderr
    own = x509.load_pem_x509_certificates(pem.read_bytes())[0]
    digest = hashlib.sha256(own.public_bytes(serialization.Encoding.DER)).hexdigest()
    assert digest == issued["certificate"]
    assert (box.home.issued / f"{digest}.pem").exists()


def test_a_unit_whose_policy_verifiers_learn(box: GovernedBox, tmp_path: Path) -> None:
    policy = f"{REHEARSAL_STAMP_POLICY}.77"
    box.hold(
        generate("demo-tsu-2", "stamp", signature_limit=3),
        issue("demo-tsu-2", "tsa-ca"),
        ActivateKey(tenant="demo", key="demo-tsu-2", policies=[policy]),
    )
    letter = tmp_path / "letter.txt"
    letter.write_text("a letter\n")
    made = cinnabar("stamp", "--home", str(box.home.root), "--as", "demo-app", "--unit", "demo-tsu-2", str(letter))
    assert made.returncode == 0, made.stderr
    files = [str(path) for path in sorted(tmp_path.glob("letter*"))]

    def verifies() -> bool:
        state = tmp_path / f"state-{len(list(tmp_path.iterdir()))}"
        return cinnabar("verify", "--trust", str(box.home.trust), "--state", str(state), *files).returncode == 0

    wait_until(verifies, 20, "the bundle that names the policy")
    with box.http() as client:
        answers = [
            client.post("/v1/stamps", json={"digest": "ab" * 32, "unit": "demo-tsu-2"}).status_code for _ in range(4)
        ]
    assert answers[:2] == [200, 200]
    assert 200 not in answers[2:], "the limit of three signatures holds"


def test_stopping_acts_at_once_and_comes_back(box: GovernedBox) -> None:
    made_and_used(box, "demo-seal-3")
    with box.http() as client:
        assert seal(client, "demo-seal-3").status_code == 200
        box.word(SuspendKey(tenant="demo", key="demo-seal-3"))
        refused = seal(client, "demo-seal-3")
        assert refused.status_code in {403, 409, 503}, refused.text
        assert box.key("demo-seal-3")["state"] == "suspended"
        box.hold(ResumeKey(tenant="demo", key="demo-seal-3"))
        assert seal(client, "demo-seal-3").status_code == 200
        box.word(DeactivateKey(tenant="demo", key="demo-seal-3"))
        assert seal(client, "demo-seal-3").status_code != 200
        assert seal(client, "demo-seal").status_code == 200


def test_a_successor_takes_a_seal_keys_place(box: GovernedBox) -> None:
    made_and_used(box, "demo-seal-4")
    rotated = box.hold(
        generate("demo-seal-5"),
        issue("demo-seal-5"),
        RotateKey(tenant="demo", key="demo-seal-4", successor="demo-seal-5", overlap_hours=0),
    )
    assert rotated["steps"][2]["facts"]["successor"] == "demo-seal-5"
    names = [key.name for key in read_settings(box.home.settings).seal_keys]
    assert "demo-seal-5" in names
    wait_until(lambda: box.key("demo-seal-4")["state"] == "deactivated", 30, "the end of the overlap")
    names = [key.name for key in read_settings(box.home.settings).seal_keys]
    assert "demo-seal-4" not in names
    with box.http() as client:
        assert seal(client, "demo-seal-5").status_code == 200
        assert seal(client, "demo-seal-4").status_code != 200


def test_a_log_key_is_followed_by_one_that_both_sign_for(box: GovernedBox, tmp_path: Path) -> None:
    rotated = box.hold(
        generate("demo-log-2", "log", scheme="ed25519"),
        RotateKey(tenant="demo", key="demo-log-1", successor="demo-log-2", overlap_hours=0),
    )
    with box.desk() as desk:
        outputs = {one["name"]: one["data"] for one in desk.transcript(rotated["digest"])["outputs"]}
    assert outputs["rotation.note"].count("\u2014".encode()) == 2
    wait_until(lambda: box.key("demo-log-1")["state"] == "deactivated", 30, "the end of the overlap")
    (log,) = [one for one in read_settings(box.home.settings).logs if one.tenant == "demo"]
    assert [key.until_size is None for key in log.keys] == [False, True]

    def refused() -> bool:
        with AdminClient(box.home.admin_socket) as admin:
            said = [one for one in admin.query("key_states") if one["key"].startswith("log.")]
        return sorted(one["state"] for one in said) == ["active", "deactivated"]

    wait_until(refused, 10, "the recorder takes no head of the old key")
    letter = tmp_path / "letter.txt"
    letter.write_text("a letter\n")
    done = cinnabar("seal", "--home", str(box.home.root), "--as", "demo-app", str(letter))
    assert done.returncode == 0, done.stderr
    made = [str(path) for path in sorted(tmp_path.glob("letter*"))]
    verified = cinnabar("verify", "--trust", str(box.home.trust), "--state", str(tmp_path / "state"), *made)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    checked = cinnabar("log", "check", "--home", str(box.home.root))
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_an_authority_that_a_ceremony_made_certifies(box: GovernedBox) -> None:
    authority = {"common_name": "Second seal CA", "organisation": "Box", "country": "CN", "days": 3650}
    box.hold(
        generate("seal-ca-2", "authority", None, scheme="ecdsa-p384-sha384"),
        CreateAuthority(key="seal-ca-2", role="seal", **authority),
        ActivateKey(tenant=None, key="seal-ca-2"),
    )
    assert (box.home.trust / "seal-ca-2.crl").exists()
    box.hold(generate("demo-seal-6"), issue("demo-seal-6", "seal-ca-2"), ActivateKey(tenant="demo", key="demo-seal-6"))
    with box.http() as client:
        assert seal(client, "demo-seal-6").status_code == 200


def test_a_compromised_authority_is_declared_to_verifiers_and_destroyed(box: GovernedBox, tmp_path: Path) -> None:
    """What it certified and others have seen before stands; the box issues nothing by it; the others' CRLs go on."""
    authority = {"common_name": "Third seal CA", "organisation": "Box", "country": "CN", "days": 3650}
    box.hold(
        generate("seal-ca-3", "authority", None),
        CreateAuthority(key="seal-ca-3", role="seal", **authority),
        ActivateKey(tenant=None, key="seal-ca-3"),
        generate("demo-seal-9"),
        issue("demo-seal-9", "seal-ca-3"),
        ActivateKey(tenant="demo", key="demo-seal-9"),
    )

    def sealed(name: str) -> list[str]:
        (tmp_path / name).mkdir()
        letter = tmp_path / name / "letter.txt"
        letter.write_text("a letter\n")
        done = cinnabar(
            "seal", "--home", str(box.home.root), "--as", "demo-app", "--seal-key", "demo-seal-9", str(letter)
        )
        assert done.returncode == 0, done.stderr
        return [str(path) for path in sorted(letter.parent.iterdir())]

    def verified(files: list[str]) -> subprocess.CompletedProcess[str]:
        return cinnabar("verify", "--trust", str(box.home.trust), "--state", str(tmp_path / "state"), *files)

    before = sealed("before")
    time.sleep(2)  # both times are told in whole seconds
    since = now_text()
    time.sleep(1)
    after = sealed("after")
    assert [verified(files).returncode for files in (before, after)] == [0, 0]
    told = box.key("seal-ca-3", None)
    shown = box.hold(DeclareCompromised(tenant=None, key="seal-ca-3", since=since, because="The shares were copied"))
    bundle = json.loads((box.home.trust / "bundle.json").read_text())
    assert bundle["version"] >= shown["steps"][0]["facts"]["trust_bundle"]
    (mark,) = [one["compromised"] for one in bundle["authorities"] if "compromised" in one]
    assert mark["since"] == since < mark["declared"]
    stamped = [verified(files) for files in (before, after)]
    assert [one.returncode for one in stamped] == [0, 2], [one.stdout for one in stamped]
    assert "declares the key" in stamped[1].stdout
    with pytest.raises(CinnabarError, match="is compromised"):
        box.approved(generate("demo-seal-10"), issue("demo-seal-10", "seal-ca-3"))
    with pytest.raises(CinnabarError, match="it stays"):
        box.approved(DestroyKey(tenant=None, key="box-ca", public_key=box.key("box-ca", None)["public_key"]))
    box.hold(DestroyKey(tenant=None, key="seal-ca-3", public_key=told["public_key"]))
    assert "seal-ca-3" not in [one.name for one in read_settings(box.home.settings).authorities]
    # The round that makes CRLs goes on, and the next bundle still tells of the authority, with its last CRL.
    made_and_used(box, "demo-seal-11")
    box.hold(DeclareCompromised(tenant="demo", key="demo-seal-11", since=now_text(), because="A test"))
    version = bundle["version"]
    wait_until(
        lambda: json.loads((box.home.trust / "bundle.json").read_text())["version"] > version, 15, "the next bundle"
    )
    bundle = json.loads((box.home.trust / "bundle.json").read_text())
    assert [one["compromised"] for one in bundle["authorities"] if "compromised" in one] == [mark]
    assert "seal-ca-3.crl" in [one["file"] for one in bundle["revocation_lists"]]
    assert verified(before).returncode == 0


@pytest.mark.parametrize("scheme", ["ecdsa-p256-sha256", "ed25519", "rsa-pss-sha256"])
def test_a_request_for_an_outside_ca(box: GovernedBox, scheme: str) -> None:
    key = f"demo-seal-7-{scheme}"
    shown = box.hold(
        generate(key, scheme=scheme),
        RequestCertificate(tenant="demo", key=key, common_name="Demo", organisation="Demo", country="CN"),
    )
    with box.desk() as desk:
        (pem,) = [o["data"] for o in desk.transcript(shown["digest"])["outputs"] if o["name"].endswith(".csr.pem")]
    request = x509.load_pem_x509_csr(pem)
    assert request.is_signature_valid
    checked = subprocess.run(("openssl", "req", "-verify", "-noout"), input=pem, capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_compromised_key_is_revoked_counted_and_destroyed(box: GovernedBox) -> None:
    since = now_text()
    made_and_used(box, "demo-seal-8")
    with box.http() as client:
        for _ in range(3):
            assert seal(client, "demo-seal-8").status_code == 200
    told = box.key("demo-seal-8")
    shown = box.hold(DeclareCompromised(tenant="demo", key="demo-seal-8", since=since, because="A laptop was lost"))
    facts = shown["steps"][0]["facts"]
    assert facts["affected"]["records"] == 3
    assert facts["revoked"] == told["certificates"][:1]
    serial = x509.load_pem_x509_certificate(
        (box.home.issued / f"{told['certificates'][0]}.pem").read_bytes()
    ).serial_number

    def listed() -> bool:
        crl = x509.load_der_x509_crl((box.home.trust / "seal-ca.crl").read_bytes())
        entry = crl.get_revoked_certificate_by_serial_number(serial)
        if entry is None:
            return False
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
        invalid = entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
        return reason is x509.ReasonFlags.key_compromise and invalid.strftime("%Y-%m-%dT%H:%M:%SZ") == since

    wait_until(listed, 15, "the certificate on the CRL")
    with box.http() as client:
        assert seal(client, "demo-seal-8").status_code != 200
    with pytest.raises(CinnabarError, match=r"does not allow|cannot be changed"):
        box.hold(ResumeKey(tenant="demo", key="demo-seal-8"))
    with pytest.raises(CinnabarError, match="another public key"):
        box.hold(DestroyKey(tenant="demo", key="demo-seal-8", public_key="0" * 64))
    box.hold(DestroyKey(tenant="demo", key="demo-seal-8", public_key=told["public_key"]))
    assert box.key("demo-seal-8")["state"] == "destroyed"


def test_a_new_token_begins_empty(box: GovernedBox) -> None:
    box.hold(InitialiseToken(tenant=None, token="spare"))
    assert [token.name for token in read_settings(box.home.settings).tokens][-1] == "spare"
    for name in ("spare.pin", "spare.so-pin"):
        assert (box.home.secrets / name).stat().st_mode & 0o777 == 0o600
    box.hold(generate("spare-key", "log", None, scheme="ed25519", token="spare"))


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (generate("demo-seal"), "taken"),
        (generate("x", token="other"), "no such token"),
        (generate("x", token="box"), "no such token"),
        (generate("x", token="nowhere"), "no such token"),
        (generate("x", scheme="ed448"), "cannot be used"),
        (generate("x", "log"), "cannot be used"),
        (generate("x", "authority", scheme="ecdsa-p384-sha384"), "box's own"),
        (generate("x", until="2020-01-01T00:00:00Z"), "over before"),
        (DestroyKey(tenant="demo", key="demo-seal", public_key="0" * 64), "cannot be changed"),
        (ResumeKey(tenant="demo", key="other-seal"), "no such key"),
        (ResumeKey(tenant="demo", key="nobody"), "no such key"),
        (issue("other-seal"), "no such key"),
        (issue("demo-seal", "tsa-ca"), "does not certify"),
        (issue("demo-seal", "nowhere"), "no such authority|no authority"),
        (ActivateKey(tenant="demo", key="demo-tsu", policies=["1.2.3"]), "cannot be changed|rehearsal|stand under"),
        (RotateKey(tenant="demo", key="demo-seal", successor="demo-tsu", overlap_hours=1), "purpose|cannot be changed"),
        (RotateKey(tenant="demo", key="demo-seal", successor="demo-seal", overlap_hours=1), "follow itself"),
        (DeclareCompromised(tenant="demo", key="demo-seal", since=LATER, because="x"), "time to come"),
    ],
)
def test_what_is_refused_before_anybody_signs(box: GovernedBox, action: Any, why: str) -> None:
    with pytest.raises(CinnabarError, match=why):
        box.approved(action)


def test_a_word_that_came_after_an_approval_is_not_undone_by_it(box: GovernedBox) -> None:
    """A service keeps an approved resumption back, and has it executed after the next officer's word: what takes power
    away holds until officers decide who have seen it."""
    made_and_used(box, "demo-seal-kept")
    box.word(SuspendKey(tenant="demo", key="demo-seal-kept"))
    back = ResumeKey(tenant="demo", key="demo-seal-kept")
    kept, used = box.approved(back), box.approved(back)
    box.finish(used)
    assert box.key("demo-seal-kept")["state"] == "active"
    box.word(SuspendKey(tenant="demo", key="demo-seal-kept"))
    with box.desk() as desk, contextlib.suppress(CinnabarError):
        desk.execute(kept, 20.0)
    assert box.key("demo-seal-kept")["state"] == "suspended"


def test_a_locked_box_certifies_nothing(box: GovernedBox) -> None:
    """One officer locked the box: no authority signs what was approved before, until officers unlock it."""
    kept = box.approved(generate("demo-seal-locked"), issue("demo-seal-locked"))
    box.word(Lock())
    wait_until(box.home.lock.exists, 10, "the lock")
    with box.desk() as desk, contextlib.suppress(CinnabarError):
        desk.execute(kept, 20.0)
    with box.desk() as desk:
        signed = [one["facts"] for one in desk.proposal(kept)["steps"] if one["state"] == "done"]
    box.hold(Unlock())
    assert not [facts for facts in signed if "certificate" in facts or "serial" in facts], signed
