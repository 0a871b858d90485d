"""Revocation reaches everything: open connections at once, the published CRL and the trust bundle within seconds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from appliance.keymaster.word import read_word
from firmware_tests.running import RunningBox, cinnabar, wait_until

STAMP = {"digest": "77" * 32}
CRL = "box-ca.crl"


@pytest.fixture(scope="module")
def revoking_box(open_directory: Path) -> Iterator[RunningBox]:
    """A box whose application loses and gains its right to call."""
    running = RunningBox(open_directory / "revoking", "demo", "other")
    running.provision()
    running.start()
    yield running
    assert running.stop() == 0, running.said()


def change(box: RunningBox, verb: str, *options: str) -> None:
    done = cinnabar("register", verb, "--home", str(box.home.root), "--tenant", "demo", *options)
    assert done.returncode == 0, done.stderr


def certificate_of(box: RunningBox, tenant: str = "demo") -> x509.Certificate:
    return x509.load_pem_x509_certificate(box.credentials(tenant)[0].read_bytes())


def fingerprint(box: RunningBox) -> str:
    return certificate_of(box).fingerprint(hashes.SHA256()).hex()


def status(client: httpx.Client) -> int:
    answer = client.post("/v1/stamps", json=STAMP)
    if answer.status_code != 200:
        assert answer.json()["type"] == "urn:cinnabar:problem:unknown-caller"
        assert answer.json()["control"] == "CHANNEL"
    return answer.status_code


def connections(client: httpx.Client) -> set[int]:
    """Local ports of the client's open connections."""
    pool = client._transport._pool  # type: ignore[attr-defined]
    streams = [connection._connection._network_stream for connection in pool.connections]
    return {stream.get_extra_info("client_addr")[1] for stream in streams}


def published_crl(box: RunningBox, client: httpx.Client) -> x509.CertificateRevocationList:
    served = client.get(f"/crl/{CRL}")
    assert served.status_code == 200
    return x509.load_der_x509_crl(served.content)


def bundle_version(trust: Path) -> int:
    version: int = json.loads((trust / "bundle.json").read_bytes())["version"]
    return version


@pytest.mark.parametrize("names", [(), ("--application", "demo-app"), ("--application", "demo-app", "--certificate")])
def test_suspending_acts_at_once_on_open_connections(revoking_box: RunningBox, names: tuple[str, ...]) -> None:
    what = (*names, fingerprint(revoking_box)) if "--certificate" in names else names
    with revoking_box.http() as client, revoking_box.http("other") as bystander:
        assert (status(client), status(bystander)) == (200, 200)
        open_before = connections(client)
        # The command has returned: what is asked after that is refused.
        change(revoking_box, "suspend", *what)
        assert (status(client), status(bystander)) == (401, 200)
        change(revoking_box, "resume", *what)
        assert (status(client), status(bystander)) == (200, 200)
        assert connections(client) == open_before, "these were not the connections that were open"


def test_a_revoked_certificate_is_refused_for_ever_and_published(revoking_box: RunningBox, tmp_path: Path) -> None:
    box, trust, state = revoking_box, revoking_box.home.trust, str(tmp_path / "state")
    letter = tmp_path / "letter.txt"
    letter.write_text("a letter\n")
    stamped = cinnabar("stamp", "--home", str(box.home.root), "--as", "demo-app", str(letter))
    assert stamped.returncode == 0, stamped.stderr
    made = [str(path) for path in sorted(tmp_path.glob("letter*"))]
    older = tmp_path / "older-trust"
    shutil.copytree(trust, older)
    assert cinnabar("verify", "--trust", str(older), "--state", state, *made).returncode == 0
    two_rounds(box)  # what the tests before have changed and changed back is on no list any more
    serial, version = certificate_of(box).serial_number, bundle_version(trust)
    with box.http() as client, box.http("other") as bystander:
        number = crl_number(published_crl(box, bystander))
        assert status(client) == 200
        change(box, "revoke", "--application", "demo-app", "--certificate", fingerprint(box))
        assert status(client) == 401
        wait_until(
            lambda: published_crl(box, bystander).get_revoked_certificate_by_serial_number(serial) is not None,
            10,
            "the serial number on the published CRL",
        )
        two_rounds(box)
        assert crl_number(published_crl(box, bystander)) == number + 1, "one change, one list"
        wait_until(lambda: bundle_version(trust) > version, 10, "a newer trust bundle")
        resumed = cinnabar(
            "register", "resume", "--home", str(box.home.root), "--tenant", "demo", "--application", "demo-app",
            "--certificate", fingerprint(box),
        )  # fmt: skip
        assert resumed.returncode != 0
        assert status(client) == 401, "a revoked certificate never calls again"
    newer = cinnabar("verify", "--trust", str(trust), "--state", state, *made)
    assert newer.returncode == 0, newer.stdout + newer.stderr
    refused = cinnabar("verify", "--trust", str(older), "--state", state, *made)
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert f"version {version + 1} has already been seen" in refused.stderr


def test_a_keymaster_that_died_while_publishing_is_mended_by_the_next_round(
    revoking_box: RunningBox, tmp_path: Path
) -> None:
    """Bundle, signature and CRLs cannot be replaced in one step: whatever was left is made whole again."""
    box, trust = revoking_box, revoking_box.home.trust
    letter = tmp_path / "letter.txt"
    letter.write_text("a letter\n")
    assert cinnabar("stamp", "--home", str(box.home.root), "--as", "other-app", str(letter)).returncode == 0
    made = [str(path) for path in sorted(tmp_path.glob("letter*"))]
    if bundle_version(trust) == 1:
        (trust / "seal-ca.crl").unlink()  # a list that is gone is made anew, and a bundle with it
        wait_until(lambda: bundle_version(trust) == 2, 15, "a second version")
    version = bundle_version(trust)
    before = trust / "history" / f"{version - 1}.json"
    # The CRLs and the signature were new already, the bundle was not.
    shutil.copy(before, trust / "bundle.json")

    def verifies() -> bool:
        state = tmp_path / f"state-{len(list(tmp_path.iterdir()))}"
        return cinnabar("verify", "--trust", str(trust), "--state", str(state), *made).returncode == 0

    wait_until(verifies, 15, "a trust directory that is whole again")
    assert bundle_version(trust) == version


def two_rounds(box: RunningBox) -> None:
    """A whole round of the keymaster that began after now: it makes the lists that are due."""
    begun = rounds(box)
    wait_until(lambda: rounds(box) >= begun + 2, 20, "two rounds of the keymaster")


def rounds(box: RunningBox) -> int:
    word = read_word(box.home.keymaster_word)
    assert word is not None
    return word.rounds


def crl_number(crl: x509.CertificateRevocationList) -> int:
    return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
