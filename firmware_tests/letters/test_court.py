"""The package for a court: complete, sealed with the newest event, on record, and of one letter alone."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from pathlib import Path

import pytest

from appliance.asic.names import COURT_PARTS
from appliance.client import Client, Refused
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.running import RunningBox, cinnabar


def unzipped(file: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(file)) as container:
        return {entry: container.read(entry) for entry in container.namelist()}


def verified(box: RunningBox, file: bytes, tmp_path: Path) -> str:
    (tmp_path / "court.asice").write_bytes(file)
    arguments = ("--trust", str(box.home.trust), "--state", str(tmp_path / "state"), "--json")
    report = json.loads(cinnabar("verify", str(tmp_path / "court.asice"), *arguments).stdout)
    return str(report["indication"])


def test_a_package_holds_what_a_court_asks_for(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": "GD-COURT"}).happened.letter
    client.letter_event(letter, "surrender")
    file = client.court_evidence(letter)
    assert verified(letter_box, file, tmp_path) == "TOTAL-PASSED"
    parts = {name.removeprefix("court/"): one for name, one in unzipped(file).items() if name.startswith("court/")}
    assert set(parts) == set(COURT_PARTS) - {"certificate.html"}
    steps = json.loads(parts["steps.json"])
    assert [one["event"] for one in steps] == ["issue", "surrender"]
    assert {one["application"] for one in steps} == {"demo-app"}
    (key,) = json.loads(parts["keys.json"])
    assert (key["key"], key["held"], key["weaknesses"]) == ("demo-seal", True, [])
    assert json.loads(parts["clock.json"])["source"] == "system"
    assert json.loads(parts["software.json"])["packages"]["cinnabar"]
    (tmp_path / "certificate.pdf").write_bytes(parts["certificate.pdf"])
    printed = subprocess.run(
        ["pdftotext", "-layout", tmp_path / "certificate.pdf", "-"], check=True, capture_output=True, text=True
    ).stdout
    assert "存证证明" in printed
    assert "Certificate of Evidence" in printed
    assert letter in printed


def test_openssl_finds_its_seal_over_its_manifest(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": "GD-COURT-2"}).happened.letter
    entries = unzipped(client.court_evidence(letter))
    (tmp_path / "manifest").write_bytes(entries["META-INF/ASiCManifest-court.xml"])
    (tmp_path / "seal").write_bytes(entries["META-INF/signature-court.p7s"])
    verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", tmp_path / "seal", "-content"]
    verify += [tmp_path / "manifest", "-CAfile", letter_box.home.trust / "seal-ca.pem", "-purpose", "any"]
    subprocess.run([*verify, "-out", "/dev/null"], check=True, capture_output=True, timeout=60)
    opening = json.loads(entries["META-INF/opening-court.json"])
    assert json.loads(opening["content"])["kind"] == "court"


def test_a_changed_part_is_seen_and_another_tenants_letter_is_not_found(
    client: Client, other: Client, letter_box: RunningBox, tmp_path: Path
) -> None:
    letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": "GD-COURT-3"}).happened.letter
    file = client.court_evidence(letter)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as container:
        for name, content in unzipped(file).items():
            container.writestr(
                name, content.replace(b"demo-app", b"fake-app") if name == "court/steps.json" else content
            )
    assert verified(letter_box, made.getvalue(), tmp_path) == "TOTAL-FAILED"
    with pytest.raises(Refused) as error:
        other.court_evidence(letter)
    assert error.value.code == "not-found"
