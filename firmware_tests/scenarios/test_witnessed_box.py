"""A real box whose logs three outside witnesses cosign over TLS: what it serves, proves, tells; nothing is delayed."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from appliance.asic import read_container
from appliance.box.settings import read_settings, write_settings
from appliance.client import Client, Credentials
from appliance.evidence.browser import rules
from appliance.evidence.directory import read_directory
from appliance.log import TlogProof, VerifierKey, parse_note
from firmware_tests.cosigner.tls import make_tls
from firmware_tests.cosigner.witness import Witness, three_witnesses
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.letters.test_evidence_file import Auditor, taken
from firmware_tests.running import RunningBox, cinnabar, wait_until

STAMP = {"digest": "ab" * 32}


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tls(tmp_path_factory.mktemp("witness-tls"))


@pytest.fixture(scope="module")
def three(tls: Path) -> Iterator[list[Witness]]:
    with three_witnesses(tls) as made:
        yield made


def enter_logs(box: RunningBox, witnesses: list[Witness]) -> list[str]:
    """What the witnesses' operators do: they enter the logs by their keys."""
    keys = [path.read_text().strip() for path in sorted(box.home.trust.glob("*.vkey"))]
    for witness in witnesses:
        for key in keys:
            witness.watch(VerifierKey.parse(key).name, key)
    return [VerifierKey.parse(key).name for key in keys]


@pytest.fixture(scope="module")
def box(open_directory: Path, three: list[Witness], tls: Path) -> Iterator[RunningBox]:
    made = RunningBox(open_directory / "witnessed", "demo", "other")
    named = [f"--witness={witness.vkey}={witness.url}" for witness in three]
    made.provision(*named, "--witness-quorum", "2", "--witness-ca", str(tls / "ca.crt"))
    settings = read_settings(made.home.settings)
    changed = msgspec.structs.replace(settings, box_leaf_interval_s=1, cosign_interval_ms=100)
    write_settings(made.home.settings, changed)
    assert len(enter_logs(made, three)) == 3
    made.start("--metrics", "127.0.0.1:0", "--public", "127.0.0.1:0")
    yield made
    if made.running:
        assert made.stop() == 0, made.said()


@pytest.fixture
def client(box: RunningBox) -> Iterator[Client]:
    certificate, key = box.credentials("demo")
    with Client(box.url, credentials=Credentials(certificate, key, box.home.trust / "box-ca.pem")) as made:
        yield made


def origin_of(box: RunningBox, tenant: str | None) -> str:
    return next(log.origin for log in read_settings(box.home.settings).logs if log.tenant == tenant)


def lines_of(note: bytes, box: RunningBox) -> list[str]:
    return [line.name for line in parse_note(note).signatures if line.name.startswith("witness-")]


def test_the_head_with_its_cosignatures_is_served_beside_the_plain_one(
    box: RunningBox, three: list[Witness], tmp_path: Path
) -> None:
    with box.http() as http:
        assert http.post("/v1/stamps", json=STAMP).status_code == 200
        own, others, boxs = (origin_of(box, tenant) for tenant in ("demo", "other", None))
        path = f"/log/{own}/cosigned-checkpoint"
        wait_until(lambda: http.get(path).status_code == 200, 20, "a cosigned head")
        served = http.get(path)
        assert served.headers["content-type"] == "text/plain; charset=utf-8"
        assert len(lines_of(served.content, box)) >= 2
        assert http.get(f"/log/{others}/cosigned-checkpoint").status_code == 404, "another tenant's (CHANNEL)"
        assert http.get(f"/log/{boxs}/cosigned-checkpoint").status_code == 200
    trusted = ssl.create_default_context(cafile=str(box.home.trust / "box-ca.pem"))
    with httpx.Client(base_url=f"https://{box.address('public')}", verify=trusted) as anybody:
        wait_until(lambda: anybody.get(f"/log/{boxs}/cosigned-checkpoint").status_code == 200, 20, "the box's own")
        assert anybody.get(f"/log/{own}/cosigned-checkpoint").status_code == 404, "the tenant does not publish it"
    # openssl verifies each cosignature over the message that tlog-cosignature spells out.
    note = parse_note(served.content)
    for line in note.signatures:
        witness = next((one for one in three if one.name == line.name), None)
        if witness is None:
            continue
        seconds = int.from_bytes(line.signature[:8], "big")
        assert abs(time.time() - seconds) < 60
        (tmp_path / "message").write_bytes(b"cosignature/v1\ntime %d\n" % seconds + note.text)
        (tmp_path / "signature").write_bytes(line.signature[8:])
        raw = witness.key.public_key().public_bytes_raw()
        (tmp_path / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + raw)
        subprocess.run(
            ("openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin", "-in",
             "message", "-sigfile", "signature"), cwd=tmp_path, check=True, capture_output=True,
        )  # fmt: skip


def test_a_records_proofs_are_under_the_first_cosigned_head_and_stay_so(box: RunningBox, client: Client) -> None:
    with box.http() as http:
        record = http.post("/v1/stamps", json=STAMP).json()["record"]

        def cosigned() -> bool:
            answer = http.get(f"/v1/records/{record}").json()
            found = [answer["proof"], (answer["box_proof"] or {}).get("leaf")]
            return all(one and len(lines_of(_note(one["tlog_proof"]), box)) >= 2 for one in found)

        wait_until(cosigned, 30, "proofs under cosigned heads of both logs")
        first = http.get(f"/v1/records/{record}").json()
        for _ in range(3):
            later = http.post("/v1/stamps", json=STAMP).json()["record"]
            wait_until(lambda later=later: http.get(f"/v1/records/{later}").json()["proof"], 20, "the next head")
        assert http.get(f"/v1/records/{record}").json() == first


def _note(proof: str) -> bytes:
    return TlogProof.parse(proof.encode()).checkpoint


def cosigned_evidence(client: Client, letter: str, box: RunningBox) -> bytes:
    """The evidence, once every proof in it is under a cosigned head."""
    content = b""

    def there() -> bool:
        nonlocal content
        content = taken(client, letter)
        proofs = [one for name, one in read_container(content).items() if "/proof-" in name]
        return all(len(lines_of(TlogProof.parse(one).checkpoint, box)) >= 2 for one in proofs)

    wait_until(there, 30, "evidence under cosigned heads")
    return content


def test_a_letters_evidence_is_judged_by_the_policy_offline(box: RunningBox, client: Client, tmp_path: Path) -> None:
    letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": "E-WITNESSED"}).happened.letter
    client.letter_event(letter, "surrender")
    content = cosigned_evidence(client, letter, box)
    for _ in range(3):
        client.begin_letter("bid-bond", FIELDS | {"tender_code": f"E-{time.time_ns()}"})
        assert taken(client, letter) == content, "it stays the same bytes"
    files = read_directory(box.home.trust)
    file, script = tmp_path / "letter.asice", tmp_path / "rules.js"
    file.write_bytes(content)
    script.write_text(rules())
    report = verified(box, file, tmp_path)
    assert report["indication"] == "TOTAL-PASSED"
    shown = report["files"][0]["existed_no_later_than"]
    assert shown["by"].startswith("2 witness(es) of the log: ")
    from appliance.evidence import read_bundle

    auditor = Auditor(read_bundle(files, None), files, script)
    said = auditor.in_another_engine(content)
    assert said["indication"] == "TOTAL-PASSED"
    facts = said["facts"]
    assert isinstance(facts, dict)
    assert facts["existed"] == shown["time_us"] // 1000
    # The same letter, its witnesses' lines taken off.
    entries = {
        name: _without_witnesses(one) if "/proof-" in name else one for name, one in read_container(content).items()
    }
    from appliance.asic import write_container

    file.write_bytes(write_container(entries.items()))
    stripped = verified(box, file, tmp_path)
    assert stripped["indication"] == "INDETERMINATE"
    assert stripped["files"][0]["sub_indications"] == ["NO_POE"]
    assert auditor.in_another_engine(file.read_bytes())["indication"] == "INDETERMINATE"


def _without_witnesses(proof: bytes) -> bytes:
    return b"".join(line for line in proof.splitlines(keepends=True) if not line.startswith("— witness-".encode()))


def verified(box: RunningBox, file: Path, tmp_path: Path) -> dict:  # type: ignore[type-arg]
    arguments = ("--trust", str(box.home.trust), "--state", str(tmp_path / "state"), "--json")
    report: dict = json.loads(cinnabar("verify", str(file), *arguments).stdout)  # type: ignore[type-arg]
    return report


def test_a_court_package_waits_for_its_cosignatures(box: RunningBox, client: Client, tmp_path: Path) -> None:
    letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": "E-COURT-WITNESSED"}).happened.letter
    cosigned_evidence(client, letter, box)
    file = tmp_path / "court.asice"
    file.write_bytes(client.court_evidence(letter))
    assert verified(box, file, tmp_path)["indication"] == "TOTAL-PASSED"


def _metrics(box: RunningBox) -> dict[tuple[str, str], float]:
    text = httpx.get(f"http://{box.address('metrics')}/workers/0/metrics").text
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            others = [value for name, value in sample.labels.items() if name != "worker"]
            found[sample.name, others[0] if others else ""] = sample.value
    return found


def test_a_witness_that_stops_is_told_and_stops_nothing(box: RunningBox, three: list[Witness]) -> None:
    name = three[0].name
    with box.http() as http:
        path = f"/log/{origin_of(box, 'demo')}/cosigned-checkpoint"
        wait_until(lambda: http.get(path).status_code == 200, 20, "a cosigned head")
        three[0].stop()
        try:
            before = http.get(path).content
            assert http.post("/v1/stamps", json=STAMP).status_code == 200
            wait_until(lambda: http.get(path).content != before, 30, "a head without it")
            wait_until(lambda: _trouble(http.get("/health").json(), name) == "silent", 30, "the health tells")
            health = http.get("/health").json()
            (own,) = health["cosigning"]
            assert own["origin"] == origin_of(box, "demo"), "of the caller's own log alone (CHANNEL)"
            assert (own["quorum"], own["problem"]) == (2, None)
            assert health["state"] == "operational"
            said = cinnabar("health", "--home", str(box.home.root), "--as", "demo-app").stdout
            assert f"witness {name}: silent" in said
            assert f"witness {three[1].name}: cosigns" in said
            seen = _metrics(box)
            assert seen["cinnabar_witness_cosigns", name] == 0
            assert seen["cinnabar_witness_cosigns", three[1].name] == 1
            assert seen["cinnabar_cosigner_answers", ""] == 1
            assert seen["cinnabar_logs_not_cosigned", ""] == 0
            assert ("cinnabar_cosigning_behind_seconds", origin_of(box, None)) in seen
            assert ("cinnabar_cosigning_behind_seconds", origin_of(box, "demo")) not in seen
        finally:
            three[0].start()
        wait_until(lambda: _trouble(http.get("/health").json(), name) is None, 90, "it is back")


def _trouble(health: dict, name: str) -> str | None:  # type: ignore[type-arg]
    return next(one["trouble"] for one in health["cosigning"][0]["witnesses"] if one["name"] == name)


def test_a_fork_that_a_witness_reports_is_a_state_that_everybody_sees(box: RunningBox, three: list[Witness]) -> None:
    with box.http() as http:
        three[2].lasting = "status:422"
        try:
            assert http.post("/v1/stamps", json=STAMP).status_code == 200
            wait_until(lambda: http.get("/health").json()["state"] == "degraded", 30, "the state says so")
            assert http.post("/v1/stamps", json=STAMP).status_code == 200, "a lying witness stops no box"
            assert _metrics(box)["cinnabar_witness_doubts", three[2].name] >= 1
            # The box's own log may have been refused before the caller's.
            wait_until(lambda: _trouble(http.get("/health").json(), three[2].name) == "forked", 30, "its log's too")
        finally:
            three[2].lasting = ""
        wait_until(lambda: http.get("/health").json()["state"] == "operational", 90, "it cosigns again")
    assert "witness-doubts-log" in box.said() or "witness-doubts-log" in box.output.read_text()


def test_witnesses_that_hang_delay_no_answer(box: RunningBox, three: list[Witness]) -> None:
    for witness in three:
        witness.lasting = "hang"
    try:
        with box.http() as http:
            for _ in range(20):
                started = time.monotonic()
                record = http.post("/v1/stamps", json=STAMP).json()["record"]
                assert time.monotonic() - started < 5
            wait_until(lambda: http.get(f"/v1/records/{record}").json()["proof"], 20, "a plain proof meanwhile")
    finally:
        for witness in three:
            witness.lasting = ""
            witness.hurry.set()
            witness.hurry.clear()
    with box.http() as http:
        wait_until(
            lambda: len(lines_of(_note(http.get(f"/v1/records/{record}").json()["proof"]["tlog_proof"]), box)) >= 2,
            120, "cosigned in the end",
        )  # fmt: skip


def test_the_cosigner_is_killed_and_goes_on(box: RunningBox) -> None:
    import os
    import signal

    with box.http() as http:
        path = f"/log/{origin_of(box, 'demo')}/cosigned-checkpoint"
        before = http.get(path).content
        os.kill(box.processes()["cosigner"], signal.SIGKILL)
        assert http.post("/v1/stamps", json=STAMP).status_code == 200
        assert http.get(path).content == before
        wait_until(lambda: http.get(path).content != before, 30, "the next cosigned head")


def test_no_other_process_gives_witnesses_anything(box: RunningBox, three: list[Witness]) -> None:
    """The cosigner has no PIN, token or database: what it can read, and what stands in its environment."""
    pid = box.processes()["cosigner"]
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"PIN" not in environment.upper().replace(b"CINNABAR_HOME", b"")
    opened = {str(path.resolve()) for path in Path(f"/proc/{pid}/fd").iterdir() if path.exists()}
    assert not [path for path in opened if "sqlite" in path or "/tokens/" in path or "/secrets/" in path]
