"""The box's quorum decides that the logs go on under another hash; without it the command and the bundle do nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.box.settings import read_settings, write_settings
from appliance.ceremonies.actions import RenewLogs
from appliance.errors import CinnabarError
from appliance.evidence import Indication, NamedBytes, TrustBundle, read_bundle, verify
from appliance.evidence.directory import read_directory
from appliance.log import VerifierKey
from firmware_tests.cosigner.tls import make_tls
from firmware_tests.cosigner.witness import Witness
from firmware_tests.governed import Governed, governed
from firmware_tests.keymaster.test_witnesses import asking
from firmware_tests.running import RunningBox, cinnabar, wait_until

STAMP = {"digest": "ab" * 32}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tls(tmp_path_factory.mktemp("renewal-tls"))


@pytest.fixture(scope="module")
def witness(tls: Path) -> Iterator[Witness]:
    made = Witness("witness-of-renewals.example", tls)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def office(open_directory: Path) -> Iterator[Governed]:
    def prepare(box: RunningBox) -> None:
        quick = msgspec.structs.replace(read_settings(box.home.settings), cosign_interval_ms=100)
        write_settings(box.home.settings, quick)

    made = governed(open_directory / "renewal-decided", "demo", prepare=prepare)
    yield made
    if made.box.running:
        assert made.box.stop() == 0, made.box.said()


def trust(box: RunningBox) -> TrustBundle:
    return read_bundle(read_directory(box.home.trust), None)


def renew(box: RunningBox, *options: str) -> tuple[int, str]:
    done = cinnabar("log", "renew", "--home", str(box.home.root), "--hash", "sha512", *options)
    return done.returncode, done.stdout + done.stderr


def test_officers_decide_and_the_command_does(office: Governed, witness: Witness, tls: Path) -> None:
    box = office.box
    key = (box.home.trust / "box-log.vkey").read_text().strip()
    old = VerifierKey.parse(key).name
    witness.watch(old, key)
    named = office.decide([asking(tls, [witness], 1)])
    assert box.stop() == 0, box.said()
    status, said = renew(box)
    assert status == 1
    assert "no ceremony has decided" in said
    # Whoever writes the settings alone begins other logs, but no verifier is told of them.
    box.start()
    assert trust(box).succeeds == {}
    witness.stop()
    decided = office.decide([RenewLogs(hash="sha512")])
    assert trust(box).succeeds == {}
    assert box.stop() == 0, box.said()
    status, said = renew(box)
    assert status == 1
    assert "lacks 1 of 1 cosignatures" in said
    witness.start()
    status, said = renew(box)
    assert status == 0, said
    assert "has seen no larger head" in said
    box.start()
    new_key = (box.home.trust / "box-log.vkey").read_text().strip()
    new = VerifierKey.parse(new_key).name
    assert new == f"{old}/sha512"
    witness.watch(new, new_key)
    wait_until(lambda: trust(box).succeeds.get(new) == old, 30, "the bundle to name the new logs")
    found = trust(box)
    assert found.cosigning is not None
    # The new log begins with the witnesses of the old one.
    assert [(one.witnesses, one.quorum) for one in found.cosigning[new]] == [(frozenset([witness.name]), 1)]
    with box.http() as http:
        assert http.post("/v1/stamps", json=STAMP).status_code == 200
        wait_until(lambda: http.get(f"/log/{new}/cosigned-checkpoint").status_code == 200, 60, "a cosigned head")
    with pytest.raises(CinnabarError, match="is, or has been, under sha512"):
        office.submit([RenewLogs(hash="sha512")])
    # Ceremonies of before are shown with the proofs of before, and others are held under the new log.
    for digest in (named, decided, office.decide([RenewLogs(hash="sm3")])):
        bundle = office.bundle(digest)
        report = verify([NamedBytes("ceremony", bundle)], found, now_us=time.time_ns() // 1000)
        wrong = [one.text for part in report.files[0].parts for one in part.checks if one.sub_indication]
        assert report.indication is Indication.PASSED, wrong
