"""Seals on PDFs through the API of a running box, judged by tools that are not ours."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.api.pdf_schemas import SealSeen
from appliance.api.texts import new_idempotency_key
from appliance.ceremonies import encode
from appliance.client import Client, Credentials, Refused
from appliance.letters.seal_object import SealObject, read_seal_object
from firmware_tests.documents.test_foreign import LAYER, covered, plain
from firmware_tests.others.bouncycastle import PDFBOX, BouncyCastle
from firmware_tests.others.pyhanko_validation import validate
from firmware_tests.pdf.sealed import letter
from firmware_tests.running import RunningBox, cinnabar
from provisioning.rehearsal_seal import NAME

SEEN = SealSeen(seal=NAME, page=-1, left=130, bottom=30)


def client_of(box: RunningBox, tenant: str) -> Client:
    certificate, key = box.credentials(tenant)
    return Client(box.url, credentials=Credentials(certificate, key, box.home.trust / "box-ca.pem"))


@pytest.fixture(scope="module")
def demo(box: RunningBox) -> Iterator[Client]:
    with client_of(box, "demo") as client:
        yield client


@pytest.fixture(scope="module")
def other(box: RunningBox) -> Iterator[Client]:
    with client_of(box, "other") as client:
        yield client


@pytest.fixture(scope="module")
def roots(box: RunningBox) -> list[bytes]:
    files = [box.home.trust / f"{name}.pem" for name in ("seal-ca", "tsa-ca")]
    return [x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER) for path in files]


def pdfsig(path: Path) -> str:
    return subprocess.run(["pdfsig", "-nocert", path], check=True, capture_output=True, text=True, timeout=60).stdout


def test_each_level_holds_before_tools_that_are_not_ours(
    demo: Client, roots: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tmp_path = tmp_path_factory.mktemp("levels")
    pdf = letter()
    files: dict[str, Path] = {}
    for level, stamps in (("B-B", 0), ("B-T", 1), ("B-LT", 1), ("B-LTA", 2)):
        made = demo.seal_pdf(pdf, level=level, seen=SEEN)  # type: ignore[arg-type]
        assert made.document.startswith(pdf)
        assert (made.level, made.findings, len(made.stamp_records)) == (level, ["attachments"], stamps)
        files[level] = tmp_path / f"{level}.pdf"
        files[level].write_bytes(made.document)
        verdicts = validate(made.document, roots)
        assert all(one.bottom_line for one in verdicts), verdicts
        assert len(verdicts) == (2 if level == "B-LTA" else 1)
        subprocess.run(["qpdf", "--check", files[level]], check=True, capture_output=True, timeout=60)
        assert "Signature is Valid" in pdfsig(files[level])
    lines = BouncyCastle(tmp_path, PDFBOX).run("PdfVerify", *files.values())
    assert len(lines) == 5
    assert not [line for line in lines if " valid " not in line]
    subprocess.run(["pdftoppm", "-r", "72", "-singlefile", files["B-T"], tmp_path / "seen"], check=True, timeout=60)
    assert b"\xc8\x20\x1c" in (tmp_path / "seen.ppm").read_bytes(), "the red of the seal"


def test_the_record_tells_findings_and_seal_object(demo: Client, box: RunningBox) -> None:
    made = demo.seal_pdf(letter(), level="B-B", seen=SEEN)
    found = json.loads(demo.record(made.record).content)
    text = (box.home.seal_objects / "demo" / NAME / "1.json").read_bytes()
    assert (found["kind"], found["findings"]) == ("pdf-seal", ["attachments"])
    assert found["seal_object"] == made.seal_object == hashlib.sha256(text).hexdigest()


def test_asked_again_it_is_the_same_pdf(demo: Client) -> None:
    key = str(uuid.UUID(bytes=new_idempotency_key()))
    first, again = (demo.seal_pdf(plain(), idempotency_key=key) for _ in range(2))
    assert first == again


def test_a_counter_seal_leaves_the_first_one_valid(
    demo: Client, other: Client, roots: list[bytes], tmp_path: Path
) -> None:
    first = demo.seal_pdf(letter(), level="B-LTA", seen=SEEN).document
    second = other.seal_pdf(first, seen=SealSeen(seal=NAME, page=-1, left=80, bottom=30))
    assert second.document.startswith(first)
    assert second.findings == ["attachments", "signed"]
    verdicts = validate(second.document, roots)
    assert [one.bottom_line for one in verdicts] == [True] * 3
    path = tmp_path / "both.pdf"
    path.write_bytes(second.document)
    assert pdfsig(path).count("Signature is Valid") == 2
    with pytest.raises(Refused, match="changed after its signature"):
        other.seal_pdf(covered(demo.seal_pdf(plain()).document))


@pytest.mark.parametrize(
    ("pdf", "says"),
    [
        (plain(b"/OpenAction<</S/JavaScript/JS(1)>>"), "script|action"),
        (plain(LAYER % b"/OFF[5 0 R]", b"", b"<</Type/OCG/Name(a)>>"), "hidden at first"),
        (b"%PDF-1.7 nothing", "cannot be read"),
    ],
)
def test_hostile_pdfs_are_refused(demo: Client, pdf: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says) as error:
        demo.seal_pdf(pdf)
    assert error.value.code == "pdf-refused"


def test_a_seal_off_the_page_is_refused(demo: Client) -> None:
    with pytest.raises(Refused, match="not wholly on the page"):
        demo.seal_pdf(letter(), seen=SealSeen(seal=NAME, page=1, left=190, bottom=30))


def test_a_seal_object_is_seen_only_while_it_may_be(demo: Client, box: RunningBox) -> None:
    directory = box.home.seal_objects / "demo"
    first = read_seal_object((directory / NAME / "1.json").read_bytes())

    def put(name: str, made: SealObject) -> None:
        (directory / name).mkdir(exist_ok=True)
        (directory / name / "1.json").write_bytes(encode(msgspec.structs.replace(made, seal=name)))

    put("early", msgspec.structs.replace(first, not_before="2090-01-01T00:00:00Z", not_after="2091-01-01T00:00:00Z"))
    put("late", msgspec.structs.replace(first, not_after=first.not_before))
    put("gone", msgspec.structs.replace(first, withdrawn=True))
    put("foreign", msgspec.structs.replace(first, certificates=["00" * 32]))
    put("borrowed", msgspec.structs.replace(first, tenant="other"))
    put("bomb", msgspec.structs.replace(first, image=base64.b64encode(first.png() + b"PK").decode()))
    for name, says in (
        ("early", "may be used from"),
        ("late", "may be used from"),
        ("gone", "withdrawn"),
        ("foreign", "not in the list"),
        ("borrowed", "another one's"),
        ("nothing", "there is no seal object"),
    ):
        with pytest.raises(Refused, match=says) as error:
            demo.seal_pdf(letter(), seen=msgspec.structs.replace(SEEN, seal=name))
        assert error.value.code == "seal-object-refused"
    with pytest.raises(Refused, match="PNG"):
        demo.seal_pdf(letter(), seen=msgspec.structs.replace(SEEN, seal="bomb"))


def test_the_command_writes_the_sealed_pdf_and_its_record(box: RunningBox, tmp_path: Path) -> None:
    file = tmp_path / "contract.pdf"
    file.write_bytes(letter())
    done = cinnabar("seal-pdf", str(file), "--home", str(box.home.root), "--as", "demo-app", "--seen", NAME)
    assert done.returncode == 0, done.stderr
    assert "finding attachments" in done.stderr
    assert "Signature is Valid" in pdfsig(tmp_path / "contract.pdf.sealed.pdf")
    opening = json.loads((tmp_path / "contract.pdf.sealed.pdf.record.json").read_bytes())
    assert opening["artifact_type"] == "application/vnd.cinnabar.pdf-update"
