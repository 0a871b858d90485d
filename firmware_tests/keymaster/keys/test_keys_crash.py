"""The keymaster dies at any point of a key ceremony: the next life goes on, and everything is made exactly once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from appliance.box.settings import read_settings
from appliance.ceremonies.actions import ActivateKey
from appliance.keymaster.context import step_key_id
from firmware_tests.keymaster.governed import GovernedBox
from firmware_tests.keymaster.keys.test_keys import generate, issue, seal
from firmware_tests.running import wait_until

DELAYS = (0.02, 0.12, 0.4, 1.0, 2.5)


_LIST = """
import json, sys
from pathlib import Path
from hsm import LaneSettings, PinFile, Pkcs11Uri, open_token
from hsm.inventory import list_objects
uri, pin, label = sys.argv[1:]
token = open_token(Pkcs11Uri.parse(uri), PinFile(Path(pin)), LaneSettings())
print(json.dumps(sorted(one.kind for one in list_objects(token) if one.label == label)))
token.close()
"""


def kinds_in_token(box: GovernedBox, label: str) -> list[str]:
    """The objects of that label, by a process of its own: this one's SoftHSM may know other tokens by now."""
    wanted = next(token for token in read_settings(box.home.settings).tokens if token.name == "demo")
    listed = subprocess.run(
        (sys.executable, "-P", "-c", _LIST, wanted.uri, str(box.home.root / wanted.pin_file), label),
        env={"PATH": os.environ["PATH"], "SOFTHSM2_CONF": str(box.home.tokens / "softhsm2.conf")},
        capture_output=True,
        text=True,
        check=True,
    )
    kinds: list[str] = json.loads(listed.stdout)
    return kinds


@pytest.fixture(scope="module")
def box(open_directory: Path) -> Iterator[GovernedBox]:
    running = GovernedBox(open_directory / "dying", "demo")
    running.begin(key_comparison_s=1)
    yield running
    if running.running:
        assert running.stop() == 0, running.said()


def begin_and_kill(box: GovernedBox, digest: str, delay: float) -> None:
    keymaster = box.processes()["keymaster"]
    with box.desk() as desk:
        desk.execute(digest, 0.0)
    time.sleep(delay)
    with contextlib.suppress(ProcessLookupError):
        os.kill(keymaster, signal.SIGKILL)
    wait_until(lambda: box.processes().get("keymaster") not in {None, keymaster}, 20, "another keymaster")
    wait_until(box.home.desk_socket.exists, 20, "its desk")


@pytest.mark.parametrize(("number", "delay"), list(enumerate(DELAYS)))
def test_a_ceremony_cut_off_by_kill_9(box: GovernedBox, number: int, delay: float) -> None:
    name = f"demo-cut-{number}"
    digest = box.approved(generate(name), issue(name), ActivateKey(tenant="demo", key=name))
    begin_and_kill(box, digest, delay)
    box.finish(digest)
    told = box.key(name)
    assert told["state"] == "active"
    assert bytes.fromhex(told["id"]) == step_key_id(digest, 0)
    assert [key.name for key in read_settings(box.home.settings).seal_keys].count(name) == 1
    # One pair in the token, and one certificate for its key.
    assert kinds_in_token(box, name) == ["private-key", "public-key"]
    issued = [
        certificate
        for certificate in (x509.load_pem_x509_certificate(path.read_bytes()) for path in box.home.issued.iterdir())
        if hashlib.sha256(
            certificate.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        ).hexdigest()
        == told["public_key"]
    ]
    assert len(issued) == 1
    with box.http() as client:
        assert seal(client, name).status_code == 200


def test_half_made_objects_were_explained(box: GovernedBox) -> None:
    with box.admin() as admin:
        states = dict(admin.query("register_states")["tenants"])
    assert states["demo"] == "active"
    assert "keys-unexplained" not in box.said()
