"""Officers set and change the witnesses of a log on a running box: who is asked, and what verifiers are told."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.box.settings import read_settings, write_settings
from appliance.ceremonies.actions import SetWitnesses
from appliance.errors import CinnabarError
from appliance.evidence.bundle import BundleDocument, CosigningEntry, TimeRules
from appliance.evidence.directory import read_directory
from appliance.evidence.trust import TrustBundle, read_bundle
from appliance.keymaster.certificates.witness_policies import (
    LogWitnesses,
    WitnessPolicies,
    says_witnesses,
    wanted_cosigning,
    wanted_witnesses,
    with_witnesses_time,
)
from appliance.log import VerifierKey
from appliance.log.note import COSIGNATURE_V1
from firmware_tests.cosigner.tls import make_tls
from firmware_tests.cosigner.witness import Witness, three_witnesses
from firmware_tests.governed import Governed, governed
from firmware_tests.running import RunningBox, wait_until

STAMP = {"digest": "ab" * 32}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tls(tmp_path_factory.mktemp("witness-tls"))


@pytest.fixture(scope="module")
def three(tls: Path) -> Iterator[list[Witness]]:
    with three_witnesses(tls) as made:
        yield made


@pytest.fixture(scope="module")
def office(open_directory: Path) -> Iterator[Governed]:
    def prepare(box: RunningBox) -> None:
        quick = msgspec.structs.replace(read_settings(box.home.settings), cosign_interval_ms=100)
        write_settings(box.home.settings, quick)

    made = governed(open_directory / "witnesses-set", "demo", prepare=prepare)
    yield made
    assert made.box.stop() == 0, made.box.said()


def asking(tls: Path, witnesses: list[Witness], needed: int, *revoked: str, tenant: str | None = None) -> SetWitnesses:
    der = ssl.PEM_cert_to_DER_cert((tls / "ca.crt").read_text())
    return SetWitnesses(
        tenant=tenant, witnesses=[f"{one.vkey}={one.url}" for one in witnesses], needed=needed,
        witness_authorities=[base64.b64encode(der).decode()] if witnesses else [], revoked=list(revoked),
    )  # fmt: skip


def trust(box: RunningBox) -> TrustBundle:
    return read_bundle(read_directory(box.home.trust), None)


def test_the_boxs_officers_give_its_log_witnesses_and_change_them(
    office: Governed, three: list[Witness], tls: Path
) -> None:
    box = office.box
    key = (box.home.trust / "box-log.vkey").read_text().strip()
    origin = VerifierKey.parse(key).name
    for witness in three:
        witness.watch(origin, key)
    assert "cosigner" not in box.processes()
    assert trust(box).cosigning is None
    with box.http() as http:
        path = f"/log/{origin}/cosigned-checkpoint"
        assert http.get(path).status_code == 404
        for wrong in (
            asking(tls, three[:2], 3),
            asking(tls, three[:2], 0),
            asking(tls, [], 1),
            SetWitnesses(tenant=None, witnesses=[f"{three[0].vkey}=http://witness.example"], needed=1),
            SetWitnesses(tenant=None, witnesses=["nonsense"], needed=1),
            asking(tls, three[:2], 1, three[0].vkey),
        ):
            with pytest.raises(CinnabarError):
                office.submit([wrong])
        office.decide([asking(tls, three[:2], 2)])
        wait_until(lambda: "cosigner" in box.processes(), 30, "the cosigner is started")
        wait_until(lambda: http.get(path).status_code == 200, 60, "a cosigned head")
        first = trust(box)
        assert first.cosigning is not None
        before, now = first.cosigning[origin]
        assert (before.quorum, before.witnesses) == (0, frozenset())
        assert before.last_size is not None, "no head up to there needed any"
        assert (now.quorum, now.last_size) == (2, None)
        assert "witness" in first.document.time.accepted
        # One goes, another comes; the key of the one that went is declared somebody else's.
        office.decide([asking(tls, three[1:], 1, three[0].vkey)])
        second = trust(box)
        assert second.cosigning is not None
        assert [one.quorum for one in second.cosigning[origin]] == [0, 2, 1]
        assert [name for name, _ in second.revoked_witnesses] == [three[0].name]
        assert three[0].name not in {key.name for key in second.witnesses}
        wait_until(lambda: three[2].size(origin) > 0, 60, "the new one is asked")
        with pytest.raises(CinnabarError, match="was revoked"):
            office.submit([asking(tls, three, 1)])
        # None any more: what was cosigned stays served, nobody is asked.
        office.decide([asking(tls, [], 0)])
        wait_until(lambda: "cosigner" not in box.processes(), 30, "the cosigner ends")
        third = trust(box)
        assert third.cosigning is not None
        assert third.cosigning[origin][-1].quorum == 0
        assert http.get(path).status_code == 200
        assert http.post("/v1/stamps", json=STAMP).status_code == 200


ORIGIN = "log.example"
KEYS = [str(VerifierKey(f"w{number}", bytes([number]) * 32, COSIGNATURE_V1)) for number in range(4)]


@settings(max_examples=100)
@given(
    steps=st.lists(st.tuples(st.sets(st.integers(0, 3)), st.integers(0, 4), st.integers(0, 5)), max_size=6),
)
def test_whatever_is_decided_one_after_the_other_makes_policies_that_can_be(
    steps: list[tuple[set[int], int, int]],
) -> None:
    """Rising sizes, the last in force, nothing that held at a size is lost; and once said, nothing more is wanted."""
    document = BundleDocument(
        constitution="00" * 32, version=1, previous=None, rehearsal=True, issued="2026-01-01T00:00:00Z",
        expires="2027-01-01T00:00:00Z", signer="", successors=[], authorities=[], revocation_lists=[], logs=[],
    )  # fmt: skip
    size = 0
    for numbers, quorum, grown in steps:
        size += grown
        keys = [KEYS[number] for number in sorted(numbers)]
        needed = min(max(quorum, 1), len(keys))
        policies = WitnessPolicies(logs={ORIGIN: LogWitnesses(witnesses=keys, quorum=needed, size=size)})
        cosigning = wanted_cosigning(policies, document)
        document = msgspec.structs.replace(
            document,
            witnesses=wanted_witnesses(policies, document),
            cosigning=msgspec.UNSET if cosigning is None else cosigning,
            time=with_witnesses_time(TimeRules(), cosigning),
        )
        assert says_witnesses(policies, document)
        rules = cosigning or []
        lasts = [rule.last_size for rule in rules]
        assert not lasts or lasts[-1] is None
        assert lasts[:-1] == sorted({last for last in lasts[:-1] if last is not None})
    if isinstance(document.cosigning, list):
        first: CosigningEntry = document.cosigning[0]
        assert (first.quorum, first.witnesses) == (0, []), "what passed before there were policies passes"
