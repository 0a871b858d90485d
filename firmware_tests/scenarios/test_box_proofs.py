"""From a record to the box's own log, as a tenant shows it to others; and to that tenant alone (control CHANNEL)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.box.settings import read_settings, write_settings
from appliance.client import Client, Credentials, Refused
from appliance.log import ProofInvalid, verify_box_proof
from appliance.log.box_leaf import NO_COMMITMENT, TenantStatement, parse_opening, verify_opening
from appliance.tree_hash import SHA256
from firmware_tests.running import RunningBox, cinnabar, wait_until


@pytest.fixture(scope="module")
def box(open_directory: Path) -> Iterator[RunningBox]:
    """Two tenants, and a box leaf each second."""
    made = RunningBox(open_directory / "box-proofs", "demo", "other")
    made.provision()
    settings = read_settings(made.home.settings)
    write_settings(made.home.settings, msgspec.structs.replace(settings, box_leaf_interval_s=1))
    made.start()
    yield made
    if made.running:
        assert made.stop() == 0, made.said()


@pytest.fixture(scope="module")
def letter(box: RunningBox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stamped letter, and beside it its record with the proof under the box's log."""
    path = tmp_path_factory.mktemp("letters") / "letter.txt"
    path.write_text("Dear Sir or Madam")
    stamped = cinnabar("stamp", "--home", str(box.home.root), "--as", "demo-app", str(path))
    assert stamped.returncode == 0, stamped.stderr
    record = Path(f"{path}.tst.record.json")
    record_id = json.loads(record.read_text())["record"]
    with box.http() as http:
        wait_until(lambda: http.get(f"/v1/records/{record_id}").json()["box_proof"], what="a box leaf over the record")
        record.write_bytes(http.get(f"/v1/records/{record_id}").content)
    return path


def verified(box: RunningBox, letter: Path, record: Path) -> tuple[int, list[dict[str, Any]]]:
    """Exit status of `cinnabar verify`, and its checks of the record."""
    trust = ("--trust", str(box.home.trust), "--state", str(box.home.root.parent / "verifier"))
    result = cinnabar("verify", "--json", *trust, str(letter), f"{letter}.tst", str(record))
    report = json.loads(result.stdout)
    parts = next(file for file in report["files"] if file["name"].endswith(".json"))["parts"]
    return result.returncode, [check for part in parts for check in part["checks"]]


def test_record_to_box_log(box: RunningBox, letter: Path) -> None:
    status, checks = verified(box, letter, Path(f"{letter}.tst.record.json"))
    assert status == 0, checks
    found = [check for check in checks if check["name"] == "box log"]
    assert [check["outcome"] for check in found] == ["passed"]
    assert "The box's own log commits to the log" in found[0]["text"]


def changes(answer: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each step of the proof, changed a little."""

    def changed(name: str, **leaf: object) -> tuple[str, dict[str, Any]]:
        proof = answer["box_proof"]
        return name, {**answer, "box_proof": {**proof, "leaf": {**proof["leaf"], **leaf}}}

    proof, opening = answer["box_proof"], json.loads(answer["box_proof"]["leaf"]["opening"])
    other = "0" * 64
    yield "another path of the record", {**answer, "box_proof": {**proof, "hashes": [*proof["hashes"], other]}}
    yield "another index of the record", {**answer, "index": answer["index"] + 1}
    for name, value in (
        ("salt", other),
        ("position", opening["position"] ^ 1),
        ("path", [other, *opening["path"][1:]]),
        ("leaf", {**opening["leaf"], "time": opening["leaf"]["time"] + 1}),
        ("leaf", {**opening["leaf"], "root": other}),
        ("statement", {**opening["statement"], "size": opening["statement"]["size"] + 1}),
        ("statement", {**opening["statement"], "root": other}),
        ("statement", {**opening["statement"], "origin": "log.example/another"}),
    ):
        yield f"another {name}", changed(name, opening=json.dumps({**opening, name: value}, separators=(",", ":")))[1]
    lines = proof["leaf"]["tlog_proof"].split("\n")
    lines[1] = f"index {int(lines[1].removeprefix('index ')) + 1}"
    yield "another index of the leaf", changed("", tlog_proof="\n".join(lines))[1]
    head = proof["leaf"]["tlog_proof"].rsplit(" ", 1)
    signature = bytearray(base64.b64decode(head[1]))
    signature[-1] ^= 1
    forged = f"{head[0]} {base64.b64encode(signature).decode()}\n"
    yield "a signature that is none", changed("", tlog_proof=forged)[1]


def test_every_step_is_looked_at(box: RunningBox, letter: Path, tmp_path: Path) -> None:
    answer = json.loads(Path(f"{letter}.tst.record.json").read_text())
    record = tmp_path / "changed.record.json"
    for what, changed in changes(answer):
        record.write_text(json.dumps(changed))
        status, checks = verified(box, letter, record)
        assert status == 1, (what, checks)
        assert any(check["name"] == "box log" and check["outcome"] == "failed" for check in checks), (what, checks)
    for malformed in (7, {}, {"hashes": 1, "leaf": {}}, {"hashes": ["x"], "leaf": {"opening": "", "tlog_proof": ""}}):
        record.write_text(json.dumps({**answer, "box_proof": malformed}))
        assert verified(box, letter, record)[0] == 1


def test_chain_of_a_tenants_heads(box: RunningBox) -> None:
    """One request a leaf; each head binds the one before, and no statement is another tenant's."""
    certificate, key = box.credentials("other")
    previous, first, sizes = NO_COMMITMENT, 0, []
    credentials = Credentials(certificate, key, box.home.trust / "box-ca.pem")
    with Client(box.url, credentials=credentials) as client:
        origin = client.opening().origin
        for _ in range(3):
            wait_until(lambda index=first: _there(client, index), what="the next leaf")
            found = client.opening(first)
            opening = parse_opening(found.opening.encode())
            statement = verify_opening(opening)
            assert isinstance(statement, TenantStatement)
            assert statement.origin.endswith("/other")
            assert found.origin == origin
            assert statement.previous == previous
            previous, first = opening.commitment().hex(), found.index + 1
            sizes.append(statement.size)
    assert sizes == sorted(sizes)


def _there(client: Client, index: int) -> bool:
    try:
        client.opening(index)
    except Refused as refused:
        if refused.code != "not-found":
            raise
        return False
    return True


def test_others_learn_nothing(box: RunningBox, letter: Path) -> None:
    """Another tenant's record answers as one that is not there; openings are the caller's own, whatever it asks."""
    answer = json.loads(Path(f"{letter}.tst.record.json").read_text())
    own = json.loads(answer["box_proof"]["leaf"]["opening"])
    with box.http("other") as http:
        foreign = http.get(f"/v1/records/{answer['record']}")
        unknown = http.get(f"/v1/records/{'0' * 44}")
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.json() == unknown.json()
        same_leaf = http.get("/v1/log/openings", params={"from": answer["box_proof"]["leaf"]["index"]}).json()
        theirs = json.loads(same_leaf["opening"])
        assert theirs["leaf"] == own["leaf"]
        assert theirs["statement"]["origin"] != own["statement"]["origin"]
        assert theirs["salt"] != own["salt"]
        assert own["salt"] not in same_leaf["opening"] + same_leaf["tlog_proof"]
        beyond = http.get("/v1/log/openings", params={"from": 10**12})
        assert beyond.status_code == 404
        assert beyond.json()["type"].endswith("not-found")
        assert http.get("/v1/log/openings", params={"from": "-1"}).status_code == 422
    entry = bytes.fromhex(answer["commitment"])
    path = tuple(bytes.fromhex(one) for one in answer["box_proof"]["hashes"])
    with pytest.raises(ProofInvalid):
        verify_box_proof(same_leaf["opening"].encode(), answer["index"], path, lambda _: entry, SHA256)
