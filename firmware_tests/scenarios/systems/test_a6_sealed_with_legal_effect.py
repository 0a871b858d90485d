"""A6: the guarantor's own seal stands on the letter; whoever holds it checks it with tools that are not ours."""

from __future__ import annotations

import base64
import os
import re
import subprocess
from pathlib import Path

import msgspec

import hsm
from appliance.box.settings import read_settings
from appliance.ceremonies import encode
from appliance.ceremonies.actions import ActivateKey, GenerateKey, ImportCertificate, RequestCertificate
from appliance.client import Client
from appliance.letters.seal_object import BESIDE, read_seal_object
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.running import RunningBox
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.outside_ca import OutsideAuthority
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    digest,
    firm,
    moment,
    number,
    printed,
    refuses,
    yuan,
)
from provisioning.rehearsal_seal import NAME

not_yet("A6", "K17", "SM2 seals come with the national suite")


def test_a6_the_letter_bears_the_institutions_seal(
    town: RunningBox, guarantor: Client, beneficiary: Client, tmp_path: Path
) -> None:
    fields = {
        "tender_code": number("GD"),
        "project": "白云机场三期配套工程",
        "bidder": firm("岭南路桥有限公司"),
        "beneficiary": {"name": "广州市公共资源交易中心"},
        "amount": yuan("800000.00"),
        "opening": moment(86_400),
        "valid_until": day(90),
    }

    with shows("A6", "K15", "Who may not issue for the institution does not: a beneficiary's program has no such role"):
        with refuses("role-missing", "guarantor"):
            beneficiary.begin_letter("bid-bond", fields)

    letter = guarantor.begin_letter("bid-bond", fields, document=True).happened
    (tmp_path / "letter").write_bytes(letter.manifest)
    (tmp_path / "seal").write_bytes(letter.seal)
    anchor = str(town.home.trust / "seal-ca.pem")
    verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(tmp_path / "seal")]
    verify += ["-content", str(tmp_path / "letter"), "-CAfile", anchor, "-purpose", "any", "-out", "/dev/null"]

    with shows("A6", "K1 K17", "OpenSSL accepts the seal, and the certificate in it is that of the institution's seal"):
        signer = str(tmp_path / "signer.pem")
        subprocess.run([*verify, "-signer", signer], check=True, capture_output=True)
        said = subprocess.run(["openssl", "x509", "-in", signer, "-noout", "-subject"], check=True, capture_output=True)
        assert b"seal of guarantor" in said.stdout

    with shows("A6", "K1", "One changed character and the seal no longer holds"):
        (tmp_path / "letter").write_bytes(letter.manifest.replace(b"event-0001", b"event-0002"))
        assert subprocess.run(verify, check=False, capture_output=True).returncode != 0

    with shows(
        "A6", "K1", "The letter itself is a PDF in both languages; poppler finds the institution's seal valid in it"
    ):
        pdf = tmp_path / "letter.pdf"
        pdf.write_bytes(letter.beside["letter.pdf"])
        said = subprocess.run(["pdfsig", "-nocert", str(pdf)], check=False, capture_output=True, text=True).stdout
        assert "Signature is Valid" in said
        assert "Total document signed" in said
        assert "投标保函" in printed(pdf)
        assert "Bid bond" in printed(pdf)


def test_a6_the_seal_is_seen_and_bound_to_its_seal_object(
    town: RunningBox, guarantor: Client, offline: Offline, tmp_path: Path
) -> None:
    fields = {
        "tender_code": number("GD"),
        "project": "南沙港区四期工程",
        "bidder": firm("岭南路桥有限公司"),
        "beneficiary": {"name": "广州市公共资源交易中心"},
        "amount": yuan("650000.00"),
        "opening": moment(86_400),
        "valid_until": day(90),
    }
    letter = guarantor.begin_letter("bid-bond", fields, document=True, document_seal=NAME).happened
    pdf = tmp_path / "letter.pdf"
    pdf.write_bytes(letter.beside["letter.pdf"])

    with shows("A6", "K1", "The institution's round red seal is seen on the page, and poppler finds it valid"):
        subprocess.run(["pdftoppm", "-r", "72", "-singlefile", pdf, tmp_path / "seen"], check=True)
        assert b"\xc8\x20\x1c" in (tmp_path / "seen.ppm").read_bytes()
        said = subprocess.run(["pdfsig", "-nocert", pdf], check=True, capture_output=True, text=True).stdout
        assert "Signature is Valid" in said

    with shows(
        "A6", "K1 K7", "The seal object is named by its digest, and the offline verifier finds that it permits the key"
    ):
        report = str(offline.verify(guarantor.evidence(letter.letter)))
        assert digest(letter.beside[BESIDE]) in report
        assert "permits the certificate of the seal" in report

    with shows("A6", "K1", "A seal object that nobody registered, or that is over, is not seen on anything"):
        directory = town.home.seal_objects / "guarantor" / "over"
        directory.mkdir(parents=True, exist_ok=True)
        over = msgspec.structs.replace(
            read_seal_object(letter.beside[BESIDE]), seal="over", not_after="2020-01-01T00:00:00Z"
        )
        (directory / "1.json").write_bytes(encode(over))
        for name, says in (("nobodys", "there is no seal object"), ("over", "may be used from")):
            with refuses("seal-object-refused", says):
                guarantor.begin_letter("bid-bond", fields, document=True, document_seal=name)


def test_a6_the_seal_key_has_the_certificate_of_a_recognised_ca(
    hall: ManagedBox, guarantor: Client, tmp_path: Path
) -> None:
    outside = OutsideAuthority(tmp_path)
    key = {"tenant": "guarantor", "key": "letters-2027"}
    made = GenerateKey(
        **key, token="guarantor", scheme="ecdsa-p256-sha256", purpose="seal", until="2029-01-01T00:00:00Z"
    )
    request = RequestCertificate(**key, common_name="guarantor letters", organisation="guarantor", country="CN")

    with shows(
        "A6",
        "K17",
        "Its seal key is made in its HSM once two officers approve what a third asks; what leaves is a request",
    ):
        ceremony = hall.held(made, request)
        assert {"CKA_EXTRACTABLE"} <= set(ceremony["steps"][0]["facts"]["attributes"]["false"])
        (asked,) = [one["data"] for one in ceremony["outputs"] if one["name"].endswith(".csr.pem")]
        with refuses("not-permitted"):
            guarantor.seal("一份函件".encode(), seal_key="letters-2027")  # it has no certificate, and is not in use

    with shows("A6", "K17", "OpenSC reads in the token that the key was made there, and can never be extracted"):
        said = in_token(hall, "guarantor", "letters-2027")
        assert "Access:     sensitive, always sensitive, never extractable, local" in said, said

    with shows(
        "A6", "K15", "A CA that is not the box's certifies it; officers take the certificate in, and put it to use"
    ):
        chain = [base64.b64encode(one).decode() for one in outside.certify(asked)]
        hall.decide(ImportCertificate(**key, chain=chain), ActivateKey(**key))
        fields = {
            "tender_code": number("GD"),
            "project": "琶洲会展中心四期",
            "bidder": firm("岭南路桥有限公司"),
            "beneficiary": {"name": "广州市公共资源交易中心"},
            "amount": yuan("500000.00"),
            "opening": moment(86_400),
            "valid_until": day(90),
        }
        letter = guarantor.begin_letter("bid-bond", fields, seal_key="letters-2027").happened
        (tmp_path / "letter").write_bytes(letter.manifest)
        (tmp_path / "seal").write_bytes(letter.seal)
        verify = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", "seal", "-content", "letter"]
        verify += ["-CAfile", str(outside.root), "-purpose", "any", "-out", "/dev/null"]
        assert b"successful" in subprocess.run(verify, cwd=tmp_path, check=True, capture_output=True).stderr


def in_token(hall: ManagedBox, name: str, key: str) -> str:
    """What OpenSC's pkcs11-tool finds of a private key in a token of the box."""
    settings = read_settings(hall.home.settings)
    token = next(one for one in settings.tokens if one.name == name)
    uri = hsm.Pkcs11Uri.parse(token.uri)
    changed = {
        variable: value.replace("{home}", str(hall.home.root)) for variable, value in settings.environment.items()
    }
    variables = os.environ | changed | {"PIN": (hall.home.root / token.pin_file).read_text().strip()}

    def told(*asked: str) -> str:
        command = ("pkcs11-tool", "--module", str(uri.module_path), *asked)
        return subprocess.run(command, check=True, capture_output=True, text=True, env=variables).stdout

    # By slot: a label would also find a token whose label begins with it, such as that of the release key.
    slot = re.search(rf"\((0x[0-9a-f]+)\): [^\n]*\n  token label +: {uri.token}\n", told("--list-slots"))
    assert slot is not None
    return told("--slot", slot[1], "--login", "--pin", "env:PIN", "--list-objects", "--type", "privkey", "--label", key)
