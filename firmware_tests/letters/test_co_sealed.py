"""Seals seen on letters' pages, and PDFs that several institutions seal in their order."""

from __future__ import annotations

import hashlib
import subprocess
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from appliance.api.letters.signers import named
from appliance.api.pdf_schemas import SealSeen
from appliance.client import Client, Refused
from appliance.letters.check import check
from appliance.letters.co_sealing import Signer, check_document
from appliance.letters.errors import DocumentNotInOrder
from appliance.letters.kind import SealedDocument, read_kind
from appliance.letters.seal_object import BESIDE
from firmware_tests.letters.kinds import FIELDS, OWN
from firmware_tests.others.pyhanko_validation import validate
from firmware_tests.pdf.sealed import letter as rendered
from firmware_tests.running import RunningBox, cinnabar
from firmware_tests.seals.sealing import Authority, new_key
from provisioning.rehearsal_seal import NAME


def party(box: RunningBox, tenant: str) -> dict[str, str]:
    path = box.home.root / f"certificates/{tenant}-seal.pem"
    certificate = x509.load_pem_x509_certificates(path.read_bytes())[0]
    return {"name": str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)}


def test_the_seal_is_seen_on_the_letters_page(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    made = client.begin_letter("bid-bond", FIELDS | {"tender_code": "GD-SEEN"}, document=True, document_seal=NAME)
    beside = made.happened.beside
    text = (letter_box.home.seal_objects / "demo" / NAME / "1.json").read_bytes()
    assert beside[BESIDE] == text
    assert hashlib.sha256(text).hexdigest().encode() not in made.happened.event  # the manifest names it by its digest
    assert BESIDE.encode() in made.happened.manifest
    (tmp_path / "letter.pdf").write_bytes(beside["letter.pdf"])
    subprocess.run(
        ["pdftoppm", "-r", "72", "-singlefile", tmp_path / "letter.pdf", tmp_path / "seen"], check=True, timeout=60
    )
    assert b"\xc8\x20\x1c" in (tmp_path / "seen.ppm").read_bytes(), "the red of the seal"
    with pytest.raises(Refused, match="there is no seal object") as error:
        client.begin_letter("bid-bond", FIELDS, document=True, document_seal="nothing")
    assert error.value.code == "seal-object-refused"


def test_a_letters_own_page_is_kept_for_long(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    """A further seal brings what the box has set to B-LTA; the first one stays as it was."""
    made = client.begin_letter("bid-bond", FIELDS | {"tender_code": "GD-LONG"}, document=True)
    page = made.happened.beside["letter.pdf"]
    kept = client.seal_pdf(page, level="B-LTA")
    assert (kept.level, len(kept.stamp_records), kept.document.startswith(page)) == ("B-LTA", 2, True)
    roots = [
        x509.load_pem_x509_certificate((letter_box.home.trust / name).read_bytes()).public_bytes(Encoding.DER)
        for name in ("seal-ca.pem", "tsa-ca.pem")
    ]
    assert [one.bottom_line for one in validate(kept.document, roots)] == [True] * 3
    (tmp_path / "kept.pdf").write_bytes(kept.document)
    subprocess.run(["qpdf", "--check", tmp_path / "kept.pdf"], check=True, capture_output=True, timeout=60)
    told = subprocess.run(
        ["pdfsig", "-nocert", tmp_path / "kept.pdf"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert told.count("Signature is Valid") == 2


def test_two_institutions_seal_in_their_order(
    client: Client, other: Client, letter_box: RunningBox, tmp_path: Path
) -> None:
    pdf = rendered()
    fields = {
        "contract": hashlib.sha256(pdf).hexdigest(),
        "applicant": party(letter_box, "demo"),
        "bank": party(letter_box, "other"),
    }
    ours = client.begin_letter("co-sealed", fields).happened.letter
    theirs = other.begin_letter("co-sealed", fields).happened.letter
    refusals = [
        (client, ours, "seal-as-applicant", None, "comes as `pdf`"),
        (client, ours, "seal-as-applicant", rendered(2), "not the one whose digest"),
        (other, theirs, "seal-as-bank", pdf, "bears 0 seals"),
        (other, theirs, "seal-as-applicant", pdf, "not one of that party's"),
    ]
    for who, letter, event, given, says in refusals:
        with pytest.raises(Refused, match=says) as error:
            who.letter_event(letter, event, pdf=given)
        assert error.value.code == "document-not-in-order"
    first = client.letter_event(
        ours, "seal-as-applicant", pdf=pdf, pdf_seen=SealSeen(seal=NAME, page=-1, left=30, bottom=60)
    ).happened.beside
    assert set(first) == {"document.pdf", "document-seal-object.json"}
    with pytest.raises(Refused, match="bears 1 seals"):
        client.letter_event(
            client.begin_letter("co-sealed", fields).happened.letter, "seal-as-applicant", pdf=first["document.pdf"]
        )
    second = other.letter_event(theirs, "seal-as-bank", pdf=first["document.pdf"]).happened.beside["document.pdf"]
    assert second.startswith(first["document.pdf"])
    (tmp_path / "both.pdf").write_bytes(second)
    said = subprocess.run(
        ["pdfsig", "-nocert", tmp_path / "both.pdf"], check=True, capture_output=True, text=True, timeout=60
    ).stdout
    assert said.count("Signature is Valid") == 2
    with pytest.raises(Refused, match="seals no document"):
        client.begin_letter("co-sealed", fields, pdf=pdf)


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('own = "bank"', 'own = "guarantor"', "not-in-order"),
        ('digest = "contract"', 'digest = "applicant"', "wrong-type"),
        ('order = ["applicant", "bank"]', 'order = ["bank", "bank"]', "named-twice"),
        ('order = ["applicant", "bank"]', 'order = ["nobody", "bank", "applicant"]', "no-such-field"),
        ('type = "party" }\n\n', 'type = "party", required = false }\n\n', "not-required"),
    ],
)
def test_a_kind_names_those_who_seal(old: str, new: str, rule: str) -> None:
    text = (OWN / "co-sealed.toml").read_text()
    assert check(read_kind(text.encode()).kind) == []
    found = check(read_kind(text.replace(old, new).encode()).kind)
    assert rule in {one.rule for one in found}
    assert msgspec.json.encode(text)


def test_the_verifier_says_as_what_the_seal_is_seen(client: Client, letter_box: RunningBox, tmp_path: Path) -> None:
    letter = client.begin_letter(
        "bid-bond", FIELDS | {"tender_code": "GD-SAID"}, document=True, document_seal=NAME
    ).happened.letter
    file = tmp_path / "letter.asice"
    file.write_bytes(client.evidence(letter))
    done = cinnabar("verify", str(file), "--trust", str(letter_box.home.trust), "--state", str(tmp_path / "state"))
    digest = hashlib.sha256((letter_box.home.seal_objects / "demo" / NAME / "1.json").read_bytes()).hexdigest()
    assert done.returncode == 0, done.stdout
    assert digest in done.stdout
    assert "permits the certificate of the seal" in done.stdout


RULE = SealedDocument(digest="contract", order=["applicant", "bank"], own="bank")


@pytest.mark.parametrize(
    ("first_ends", "says"), [([], "changed with its first seal"), ([5], "is not the one whose digest"), ([8, 9], None)]
)
def test_a_pdf_that_its_first_signer_changed_is_not_that_pdf(first_ends: list[int], says: str | None) -> None:
    pdf = b"contract\nseal"
    fields = {"contract": hashlib.sha256(b"contract").hexdigest(), "applicant": {"name": "A"}, "bank": {"name": "B"}}
    own, before = Signer(frozenset({"B"})), [Signer(frozenset({"A"}))]
    with nullcontext() if says is None else pytest.raises(DocumentNotInOrder, match=says):
        check_document(RULE, fields, pdf, before, first_ends, own)


def test_a_common_name_does_not_make_one_institution_another() -> None:
    def certificate(**parts: str) -> x509.Certificate:
        oids = {"o": NameOID.ORGANIZATION_NAME, "cn": NameOID.COMMON_NAME}
        authority, key = Authority(), new_key("ecdsa-p256-sha256")
        subject = x509.Name([x509.NameAttribute(oids[name], text) for name, text in parts.items()])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(authority.certificate.subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
            .sign(authority.key, SHA256())
        )

    posing, plain = certificate(o="Guarantor", cn="Bank"), certificate(cn="Bank")
    assert named(posing, rehearsal=False).names == {"Guarantor"}
    assert named(plain, rehearsal=False).names == {"Bank"}
    assert named(posing, rehearsal=True).names == {"Guarantor", "Bank"}
