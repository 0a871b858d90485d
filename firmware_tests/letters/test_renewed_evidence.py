"""Evidence of a running box's letter, renewed by the command a keeper runs: it holds offline under the box's own trust
bundle, in another JavaScript engine, and for a program that knows ASiC-E and nothing of us."""

from __future__ import annotations

import json
from pathlib import Path

from appliance.asic import read_container
from appliance.client import Client
from firmware_tests.letters.test_evidence_file import Auditor, auditor, taken
from firmware_tests.letters.test_letters import bid
from firmware_tests.others.npm import node
from firmware_tests.running import RunningBox, cinnabar

__all__ = ["auditor"]


def test_renewed_twice_and_checked_by_all(
    client: Client, auditor: Auditor, letter_box: RunningBox, tmp_path: Path
) -> None:
    letter = client.begin_letter("bid-bond", bid(), document=True).happened.letter
    client.letter_event(letter, "release", document=True)
    path = tmp_path / "letter.asice"
    path.write_bytes(taken(client, letter))
    old = read_container(path.read_bytes())
    certificate, key = letter_box.credentials("demo")
    for name in ("sha512", "sha384"):
        done = cinnabar(
            "evidence", "renew", "--to", name, "--url", letter_box.url, "--cert", str(certificate), "--key", str(key),
            "--ca", str(letter_box.home.trust / "box-ca.pem"), "--trust", str(letter_box.home.trust),
            "--state", str(tmp_path / "state"), "--job", str(tmp_path / "job"), str(path),
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "1 renewed, 0 not renewed\n"), done.stderr
    content = path.read_bytes()
    new = read_container(content)
    assert list(new)[: len(old)] == list(old)
    assert {name: new[name] for name in old} == old
    assert len(new) == len(old) + 4
    _, facts = auditor.report(content, pages=2)
    assert [(one.hash, one.entries) for one in facts.renewals] == [("sha512", len(old)), ("sha384", len(old) + 2)]
    assert auditor.in_another_engine(content)["indication"] == "TOTAL-PASSED"
    trust = letter_box.home.trust
    found = node("check-asice.mjs", str(path), str(trust / "seal-ca.pem"), str(trust / "tsa-ca.pem"))
    assert found["wrong"] == []
    ended = tmp_path / "algorithms.json"
    ended.write_text(json.dumps([{"algorithm": "sha256", "below_bits": None, "until": "2020-01-01T00:00:00Z"}]))
    told = cinnabar(
        "verify", "--trust", str(trust), "--state", str(tmp_path / "state"), "--algorithms", str(ended), "--json",
        str(path),
    )  # fmt: skip
    report = json.loads(told.stdout)
    assert told.returncode == 2
    assert report["indication"] == "INDETERMINATE"
    assert "CRYPTO_CONSTRAINTS_FAILURE_NO_POE" in report["sub_indications"], "it was renewed after that end"
