"""Officers say on a running box until when algorithms may be relied on; verifiers go by its next trust bundle."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ceremonies import DocumentRefused
from appliance.ceremonies.actions import SetAlgorithmEnds
from appliance.ceremonies.explain import explain_action
from appliance.errors import CinnabarError
from appliance.evidence.bundle import AlgorithmEnd
from appliance.evidence.directory import read_directory
from appliance.evidence.trust import read_bundle
from appliance.keymaster.actions.algorithm_ends import ends_of
from firmware_tests.governed import Governed, governed
from firmware_tests.running import cinnabar

LATER = "2035-12-31T23:59:59Z"
PAST = "2001-01-01T00:00:00Z"


@pytest.fixture(scope="module")
def office(open_directory: Path) -> Iterator[Governed]:
    made = governed(open_directory / "algorithm-ends", "demo")
    yield made
    assert made.box.stop() == 0, made.box.said()


def said(office: Governed) -> list[AlgorithmEnd]:
    """Of the box's trust bundle, as a verifier reads it."""
    document = read_bundle(read_directory(office.box.home.trust), None).document
    return list(document.algorithms or ())


def test_the_next_trust_bundle_says_what_the_boxs_officers_decided(office: Governed, tmp_path: Path) -> None:
    stamped = tmp_path / "letter.txt"
    stamped.write_bytes(b"A letter")
    digest = hashlib.sha256(stamped.read_bytes()).hexdigest()
    with office.box.http() as http:
        answer = http.post("/v1/stamps", json={"digest": digest})
    assert answer.status_code == 200, answer.text
    token = tmp_path / "letter.tst"
    token.write_bytes(base64.b64decode(answer.json()["token"]))

    def verified() -> dict[str, Any]:
        done = cinnabar(
            "verify", "--trust", str(office.box.home.trust), "--state", str(tmp_path / "state"), "--json",
            str(token), str(stamped),
        )  # fmt: skip
        report: dict[str, Any] = msgspec.json.decode(done.stdout)
        report["exit"] = done.returncode
        return report

    assert verified()["exit"] == 0
    assert said(office) == []
    office.decide([SetAlgorithmEnds(algorithms=[f"sha256={LATER}", f"rsa<3000={LATER}"])])
    assert said(office) == [
        AlgorithmEnd(algorithm="rsa", below_bits=3000, until=LATER),
        AlgorithmEnd(algorithm="sha256", until=LATER),
    ]
    assert verified()["exit"] == 0
    # All of it anew; what nothing shows to have existed before the end does not pass any more.
    office.decide([SetAlgorithmEnds(algorithms=[f"sha256={PAST}"])])
    assert said(office) == [AlgorithmEnd(algorithm="sha256", until=PAST)]
    ended = verified()
    assert ended["exit"] == 2
    assert "CRYPTO_CONSTRAINTS_FAILURE_NO_POE" in msgspec.json.encode(ended).decode()
    # Later versions of the bundle, also those that another life of the box makes, carry it on.
    assert office.box.stop() == 0, office.box.said()
    office.box.start()
    assert said(office) == [AlgorithmEnd(algorithm="sha256", until=PAST)]
    office.decide([SetAlgorithmEnds(algorithms=[])])
    assert said(office) == []
    assert verified()["exit"] == 0


@pytest.mark.parametrize(
    "algorithms",
    [
        ["md5=2035-12-31T23:59:59Z"],
        ["sha256=2035-12-31"],
        ["sha256<256=2035-12-31T23:59:59Z"],
        ["rsa<0=2035-12-31T23:59:59Z"],
        ["rsa<70000=2035-12-31T23:59:59Z"],
        ["sha256=2035-02-30T00:00:00Z"],
        [f"sha256={LATER}", f"sha256={PAST}"],
        [f"sha256={LATER}\n"],
        [f"ecdsa<{bits}={LATER}" for bits in range(1, 66)],
    ],
)
def test_what_is_no_end_of_an_algorithm_is_refused_when_it_is_handed_in(
    office: Governed, algorithms: list[str]
) -> None:
    before = said(office)
    with pytest.raises(CinnabarError):
        office.submit([SetAlgorithmEnds(algorithms=algorithms)])
    assert said(office) == before


TIMES = st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}".rjust(20, "0"))
ENDS = st.one_of(
    st.tuples(st.sampled_from(["sha256", "sha3-512", "sm3", "ed25519", "ml-dsa", "rsa", "ecdsa"]), st.none()),
    st.tuples(st.sampled_from(["rsa", "ecdsa"]), st.integers(1, 65_536)),
)


@given(st.dictionaries(ENDS, TIMES, max_size=8))
def test_what_is_spelt_is_what_the_bundle_says(ends: dict[tuple[str, int | None], str]) -> None:
    texts = [f"{name}{'' if bits is None else f'<{bits}'}={until}" for (name, bits), until in ends.items()]
    action = msgspec.convert({"action": "set-algorithm-ends", "algorithms": texts}, SetAlgorithmEnds)
    found = ends_of(action)
    assert {(one.algorithm, one.below_bits): one.until for one in found} == ends
    assert found == ends_of(SetAlgorithmEnds(algorithms=texts[::-1])), "the order says nothing"
    if texts:
        with pytest.raises(DocumentRefused, match="one end"):
            ends_of(SetAlgorithmEnds(algorithms=[*texts, texts[0]]))
        shown = "\n".join(fact.value for fact in explain_action(action, "en").facts)
        assert all(text in shown for text in texts), "officers read every end"
