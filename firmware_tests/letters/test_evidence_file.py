"""Evidence of a running box's letters: the same file each time, checked offline by the verifier, by its page's rules in
another engine, and by OpenSSL; the letters' own pages and receipts are inside."""

from __future__ import annotations

import datetime
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7

from appliance.asic import event_names, read_container, read_manifest
from appliance.asic.names import kind_name
from appliance.client import Client
from appliance.client.errors import Refused
from appliance.evidence import NamedBytes, Report, TrustBundle, read_bundle, verify
from appliance.evidence.browser import rules
from appliance.evidence.directory import read_directory
from appliance.evidence.letters import LetterFacts
from appliance.evidence.page import report_page
from appliance.evidence.page_setter import set_page
from appliance.pdf import read_rendering
from firmware_tests.evidence.browser.engine import judged_by_page
from firmware_tests.letters.kinds import FIELDS, catalogue
from firmware_tests.running import RunningBox

VOUCHER = catalogue("credit-voucher")


def taken(client: Client, letter: str) -> bytes:
    """The evidence, once the log's signed head covers the newest event."""
    for _ in range(100):
        try:
            return client.evidence(letter)
        except Refused as refused:
            if refused.code != "evidence-not-ready":
                raise
            time.sleep(0.1)
    raise AssertionError("no signed head covers the letter")


@dataclass
class Auditor:
    trust: TrustBundle
    files: dict[str, bytes]
    script: Path

    def report(self, content: bytes, *more: tuple[str, bytes], pages: int = 0) -> tuple[Report, LetterFacts]:
        named = [NamedBytes("letter.asice", content), *(NamedBytes(name, one) for name, one in more)]
        found = verify(named, self.trust, now_us=time.time_ns() // 1000, set_page=set_page)
        told = [(part.title, one.text) for part in found.files[0].parts for one in part.checks if one.sub_indication]
        assert found.exit_code == 0, told
        checks = [one for part in found.files[0].parts for one in part.checks if one.name == "page"]
        assert [one.outcome for one in checks] == ["passed"] * pages, checks
        facts = found.files[0].letter
        assert isinstance(facts, LetterFacts)
        return found, facts

    def in_another_engine(self, content: bytes) -> dict[str, Any]:
        return judged_by_page(self.script, self.files, content)


@pytest.fixture(scope="module")
def auditor(letter_box: RunningBox, tmp_path_factory: pytest.TempPathFactory) -> Auditor:
    files = read_directory(letter_box.home.trust)
    script = tmp_path_factory.mktemp("rules") / "rules.js"
    script.write_text(rules())
    return Auditor(read_bundle(files, None), files, script)


def test_a_letters_whole_life_in_one_file(
    client: Client, auditor: Auditor, letter_box: RunningBox, tmp_path: Path
) -> None:
    issued = client.begin_letter("bid-bond", FIELDS | {"tender_code": f"E-{uuid.uuid4().hex[:12]}"}, document=True)
    letter = issued.happened.letter
    client.letter_event(letter, "claim", data={"claimed": FIELDS["amount"], "reason": "拒签中标合同"})
    client.letter_event(letter, "pay", data={"paid": {"amount": "1.50", "currency": "CNY"}})
    content = taken(client, letter)
    assert content == taken(client, letter)
    assert "REHEARSAL" in read_container(content)["META-INF/for-people.html"].decode()
    beside = [
        (name.rpartition("/")[2], one)
        for name, one in read_container(content).items()
        if name.startswith("event-0001/")
    ]
    assert [one[:5] for name, one in beside if name.endswith(".pdf")] == [b"%PDF-"]
    report, facts = auditor.report(content, *beside, pages=1)
    box = client.verify([("letter.asice", content)])
    assert box.files[0].letter == facts
    told = [one.text for part in box.files[0].parts for one in part.checks if one.name == "page"]
    assert told == ["The page was not compared with the event: `cinnabar verify` does."]
    assert (facts.state, facts.balance, len(facts.events)) == (
        client.letter(letter).state, "499998.50 CNY", 3,
    )  # fmt: skip
    assert all(one.covered_by == ["letter.asice"] for one in report.files[1:])
    assert facts.head == client.letter(letter).head
    assert report_page(report, "zh-Hans").startswith(b"<!DOCTYPE html>")
    found = auditor.in_another_engine(content)
    assert found["indication"] == "TOTAL-PASSED", found["told"]
    client.letter_event(letter, "release")
    longer = taken(client, letter)
    before, after = read_container(content), read_container(longer)
    assert all(after[name] == one for name, one in before.items() if "0001" in name or "0003" in name)
    _openssl(after, letter_box.home.trust / "seal-ca.pem", tmp_path)
    assert len(longer) < 300 * 1024 + sum(len(one) for name, one in after.items() if name.endswith(".pdf"))


def _openssl(entries: dict[str, bytes], authority: Path, directory: Path) -> None:
    for name in [one for one in entries if "ASiCManifest" in one]:
        (directory / "manifest").write_bytes(entries[name])
        (directory / "seal").write_bytes(entries[name.replace("ASiCManifest", "signature").replace(".xml", ".p7s")])
        subprocess.run(
            ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(directory / "seal"), "-content",
             str(directory / "manifest"), "-CAfile", str(authority), "-purpose", "any", "-out", "/dev/null"],
            check=True, capture_output=True,
        )  # fmt: skip
        subprocess.run(["xmllint", "--noout", "--nonet", str(directory / "manifest")], check=True)


def voucher() -> dict[str, object]:
    party = {"name": "甲供应商", "id": "91440101MA5CXXXX1K"}
    due = datetime.datetime.now(datetime.UTC).date() + datetime.timedelta(days=90)
    return {
        "number": f"V-{uuid.uuid4().hex[:12]}", "debtor": party, "holder": party,
        "face": {"amount": "900.00", "currency": "CNY"}, "issued_on": "2026-01-01", "due": due.isoformat(),
        "trade": uuid.uuid4().hex * 2,
    }  # fmt: skip


def test_a_divided_voucher_is_followed_to_its_parts(client: Client, auditor: Auditor) -> None:
    first = client.begin_letter("credit-voucher", voucher()).happened.letter
    client.letter_event(first, "confirm")

    def rows(*amounts: str) -> dict[str, object]:
        holders = [{"name": f"供应商{number}", "id": f"9144010{number}"} for number in range(len(amounts))]
        money = [{"amount": amount, "currency": "CNY"} for amount in amounts]
        return {"parts": [{"amount": one, "holder": two} for one, two in zip(money, holders, strict=True)]}

    parts = client.letter_event(first, "transfer", data=rows("300.00", "200.00")).parts
    client.letter_event(first, "transfer", data=rows("400.00"))
    again = client.letter_event(parts[0], "transfer", data=rows("100.00"), document=True).parts
    for letter, events, chain, balance, pages in (
        (first, 4, 1, "0.00 CNY", 0), (parts[0], 4, 2, "200.00 CNY", 1), (parts[1], 3, 2, "200.00 CNY", 0),
        (again[0], 4, 3, "100.00 CNY", 1),
    ):  # fmt: skip
        content = taken(client, letter)
        _, facts = auditor.report(content, pages=pages)
        assert (facts.letter, len(facts.events), len(facts.title_chain), facts.balance) == (
            letter,
            events,
            chain,
            balance,
        )
        assert read_container(content)[kind_name(VOUCHER.digest)] == VOUCHER.source
        assert facts.kind_title is not None, "of the kind's file within"
        found = auditor.in_another_engine(content)
        assert found["indication"] == "TOTAL-PASSED", found["told"]
        told = msgspec.convert(found["facts"], dict[str, object])
        assert (told["letter"], told["balance"]) == (letter, balance)


def test_a_page_with_a_hidden_field_is_made_again_of_its_event(client: Client, auditor: Auditor) -> None:
    fields = {
        "institution": {"name": "甲担保", "id": uuid.uuid4().hex[:18].upper()}, "category": "guarantor",
        "scope": "q\u0301, which typst sets", "licence": "ab" * 32, "contact": "王某",
    }  # fmt: skip
    letter = client.begin_letter("institution", fields, document=True).happened.letter
    content = taken(client, letter)
    assert read_rendering(read_container(content)["event-0001/letter.pdf"]).creator.startswith(b"(Typst ")
    auditor.report(content, pages=1)


def test_what_tells_of_revocation_is_in_the_file_and_openssl_reads_it(
    client: Client, letter_box: RunningBox, tmp_path: Path
) -> None:
    home = letter_box.home
    for name in ("seal-ca", "tsa-ca"):
        wait_for(lambda name=name: any((home.ocsp / name).glob("*-sha256.der")), f"answers of {name}")
    letter = client.begin_letter("bid-bond", FIELDS | {"tender_code": f"E-{uuid.uuid4().hex[:12]}"}).happened.letter
    content = taken(client, letter)
    entries = read_container(content)
    within = pkcs7.load_der_pkcs7_certificates(entries[event_names(1).seal])
    sealer = next(one for one in within if one.subject not in {other.issuer for other in within})
    told = ocsp_told(entries, sealer, home.trust / "seal-ca.pem", tmp_path)
    assert told == ["good"], "one answer is about the seal's certificate, and its signature holds"
    lists = [one for name, one in entries.items() if name.endswith(".crl")]
    assert [crl_holds(one, home.trust, tmp_path) for one in lists] == [True] * len(lists)
    assert len([name for name in entries if name.endswith(".ors")]) == 2, "the seal's and the time-stamping unit's"
    # Everything is said anew by the time of a later event, and the file up to this one stays as it is.
    package = read_container(client.court_evidence(letter))
    named = {one.name for one in read_manifest(package["META-INF/ASiCManifest-court.xml"]).references}
    assert {name for name in entries if name.endswith((".ors", ".crl", ".toml"))} <= named, (
        "under the court package's seal"
    )
    assert content == taken(client, letter)


def ocsp_told(entries: dict[str, bytes], about: x509.Certificate, authority: Path, directory: Path) -> list[str]:
    """What OpenSSL reads of a certificate out of the answers of its authority."""
    (directory / "about.pem").write_bytes(about.public_bytes(serialization.Encoding.PEM))
    found = []
    for name in [one for one in entries if one.endswith(".ors")]:
        (directory / "answer").write_bytes(entries[name])
        command = ["openssl", "ocsp", "-respin", str(directory / "answer"), "-issuer", str(authority), "-sha256"]
        command += ["-cert", str(directory / "about.pem"), "-CAfile", str(authority)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        said = [line.rpartition(": ")[2] for line in done.stdout.splitlines() if line.startswith(str(directory))]
        if "Response verify OK" in done.stderr:
            found += [one for one in said if "ERROR" not in one]
    return found


def crl_holds(encoded: bytes, trust: Path, directory: Path) -> bool:
    (directory / "list").write_bytes(encoded)
    command = ["openssl", "crl", "-inform", "DER", "-in", str(directory / "list"), "-noout", "-CAfile"]
    said = [
        subprocess.run([*command, str(one)], capture_output=True, text=True, check=False).stderr
        for one in trust.glob("*-ca.pem")
    ]
    return any("verify OK" in one for one in said)


def wait_for(holds: Callable[[], bool], what: str) -> None:
    for _ in range(300):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError(f"no {what}")
