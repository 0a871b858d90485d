"""PAdES seals as others judge them: poppler, PDFBox with BouncyCastle, pyHanko, qpdf."""

from __future__ import annotations

import contextlib
import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.pdf import (
    PdfRefused,
    Place,
    SealDoesNotFit,
    ValidationData,
    prepare_document_timestamp,
    prepare_seal,
    room_for,
    seal_place,
    with_validation_data,
)
from appliance.seals import CertificateNotValid
from firmware_tests.others.bouncycastle import PDFBOX, BouncyCastle
from firmware_tests.others.pyhanko_validation import validate
from firmware_tests.pdf.sealed import Institution, Levels, letter, picture
from firmware_tests.seals.sealing import NOW_US

LEVELS = ["b-b", "b-t", "b-lt", "b-lta", "b-lta-again", "invisible", "counter", "three-seals", "after-lta"]
SEALS = {"counter": 2, "three-seals": 3, "after-lta": 2}
STAMPS = {"b-lta": 1, "b-lta-again": 2, "after-lta": 1}


def run(*command: object) -> str:
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.parametrize("name", LEVELS)
def test_poppler_and_qpdf_find_nothing_wrong(directory: Path, name: str) -> None:
    file = directory / f"{name}.pdf"
    assert "No syntax or stream encoding errors found" in run("qpdf", "--check", file)
    told = run("pdfsig", "-nocert", file)
    assert told.count("Signature is Valid") == SEALS.get(name, 1)
    assert told.count("Signature Type: ETSI.CAdES.detached") == SEALS.get(name, 1)
    # The last one covers the whole file; -lt has data after it, as it should.
    assert told.count("Total document signed") == (0 if name == "b-lt" else 1)


def test_pdfbox_and_bouncycastle_find_every_signature_valid(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    java = BouncyCastle(tmp_path_factory.mktemp("classes"), PDFBOX)
    lines = java.run("PdfVerify", *(directory / f"{name}.pdf" for name in LEVELS))
    assert not [line for line in lines if " valid " not in line]
    assert len(lines) == sum(SEALS.get(name, 1) + STAMPS.get(name, 0) for name in LEVELS)
    assert sum(line.endswith(" whole") for line in lines) == len(LEVELS) - 1


@pytest.mark.parametrize("name", LEVELS)
def test_pyhanko_trusts_them_and_finds_only_what_seals_may_change(levels: Levels, name: str) -> None:
    verdicts = validate(levels.files[name], levels.roots)
    assert len(verdicts) == SEALS.get(name, 1) + STAMPS.get(name, 0)
    assert all(one.bottom_line for one in verdicts), verdicts
    assert {one.modification for one in verdicts} <= {"NONE", "LTA_UPDATES", "FORM_FILLING"}
    seals = [one for one in verdicts if one.field.startswith("Seal")]
    assert [one.stamped for one in seals] == [name != "b-b"] * len(seals)
    assert verdicts[-1].coverage == ("ENTIRE_REVISION" if name == "b-lt" else "ENTIRE_FILE")


@pytest.mark.parametrize("scheme", ["ecdsa-p384-sha384", "rsa-pkcs1-sha256", "rsa-pss-sha512", "ed25519"])
def test_each_scheme_makes_a_seal_that_pyhanko_trusts(scheme: str) -> None:
    one = Institution(scheme)
    (verdict,) = validate(one.seal(letter()), [one.authority.certificate.public_bytes(Encoding.DER)])
    assert verdict.bottom_line


def test_a_changed_byte_is_seen(levels: Levels) -> None:
    sealed = bytearray(levels.files["b-t"])
    sealed[sealed.index(b"(Cinnabar") + 2] ^= 1
    (verdict,) = validate(bytes(sealed), levels.roots)
    assert not verdict.intact


def test_the_cms_is_that_of_a_baseline(levels: Levels, institution: Institution) -> None:
    """ETSI EN 319 142-1, 6.3: no signing-time; the certificate's digest; the content's digest alone."""
    contents = re.search(rb"/Contents<([0-9a-f]+)>", levels.files["b-t"])
    assert contents is not None
    signed = cms.ContentInfo.load(bytes.fromhex(contents[1].decode()))["content"]
    (signer,) = signed["signer_infos"]
    names = {attribute["type"].native for attribute in signer["signed_attrs"]}
    assert names == {"content_type", "message_digest", "signing_certificate_v2", "cms_algorithm_protection"}
    assert signed["encap_content_info"]["content"].native is None
    assert [attribute["type"].native for attribute in signer["unsigned_attrs"]] == ["signature_time_stamp_token"]
    assert b"/M (D:" in levels.files["b-t"]


def test_a_later_seal_leaves_what_was_there_as_it_was(levels: Levels) -> None:
    for earlier, later in (
        ("b-t", "b-lt"),
        ("b-lta", "b-lta-again"),
        ("counter", "three-seals"),
        ("b-lta", "after-lta"),
    ):
        assert levels.files[later].startswith(levels.files[earlier])
    assert levels.files["b-t"].startswith(letter())


def test_the_seal_is_seen_where_its_place_is(directory: Path, tmp_path: Path) -> None:
    def red(name: str, place: Place) -> bool:
        left, bottom, right, top = (int(side * 100 / 72) for side in place[1:])
        run("pdftoppm", "-r", 100, "-x", left, "-y", 1169 - top, "-W", right - left, "-H", top - bottom,
            directory / f"{name}.pdf", tmp_path / "seen")  # fmt: skip
        (image,) = tmp_path.glob("seen*.ppm")
        pixels = image.read_bytes()[15:]
        image.unlink()
        return any(
            r > 180 and g < 80 and b < 80 for r, g, b in zip(pixels[::3], pixels[1::3], pixels[2::3], strict=False)
        )

    places = [seal_place(index, 3) for index in range(3)]
    assert [red("b-t", place) for place in places] == [True, False, False]
    assert [red("three-seals", place) for place in places] == [True, True, True]
    assert not any(red("invisible", place) for place in places)


def test_preparing_is_deterministic_and_pure(institution: Institution) -> None:
    def prepare() -> tuple[bytes, bytes]:
        prepared = prepare_seal(letter(), institution.profile, NOW_US, room=9000, name="担保人 (Guarantor)")
        return prepared.to_be_signed, prepared.hole.signed

    assert prepare() == prepare()


def test_what_does_not_fit_is_refused(institution: Institution) -> None:
    prepared = prepare_seal(letter(), institution.profile, NOW_US, room=100)
    with pytest.raises(SealDoesNotFit):
        prepared.complete(bytes(70))
    with pytest.raises(PdfRefused, match="place and a picture"):
        prepare_seal(letter(), institution.profile, NOW_US, room=100, place=seal_place(0, 1))
    with pytest.raises(PdfRefused, match="no such page"):
        prepare_seal(letter(), institution.profile, NOW_US, room=9, place=Place(4, 0, 0, 9, 9), picture=picture())
    with pytest.raises(PdfRefused, match="no such place"):
        seal_place(3, 3)
    with pytest.raises(CertificateNotValid):
        prepare_seal(letter(), institution.profile, 0, room=9000)
    assert room_for(institution.profile, 0) < room_for(institution.profile)


def test_validation_data_are_written_once(levels: Levels, institution: Institution) -> None:
    data = ValidationData(crls=[institution.crl()], certificates=[levels.roots[0]])
    once = with_validation_data(levels.files["b-t"], data)
    twice = with_validation_data(once, data)
    assert once.count(levels.roots[0]) == twice.count(levels.roots[0])
    assert twice.count(b"/VRI") == 2  # the store is written anew, and names the same objects


def _qpdf(tmp_path: Path, *options: str) -> bytes:
    (tmp_path / "in.pdf").write_bytes(letter())
    run("qpdf", *options, tmp_path / "in.pdf", tmp_path / "out.pdf")
    return (tmp_path / "out.pdf").read_bytes()


def test_other_kinds_of_pdf_are_refused_here(institution: Institution, tmp_path: Path) -> None:
    for pdf, says in (
        (b"", "begin"),
        (b"%PDF-1.7\n", "end"),
        (letter()[:-40], "end"),
        (_qpdf(tmp_path, "--object-streams=generate"), "classic"),
        (_qpdf(tmp_path, "--encrypt", "", "owner", "256", "--"), "Encrypt"),
    ):
        with pytest.raises(PdfRefused, match=says):
            prepare_seal(pdf, institution.profile, NOW_US, room=9000)


@settings(max_examples=150)
@given(st.integers(0, 2**31), st.binary(min_size=1, max_size=8), st.booleans())
def test_a_broken_pdf_is_refused_or_sealed_never_a_crash(at: int, put: bytes, near_end: bool) -> None:
    whole = _sealed_once()
    at = len(whole) - 1 - at % 3_000 if near_end else at % len(whole)
    broken = whole[:at] + put + whole[at + len(put) :]
    with contextlib.suppress(PdfRefused):
        prepare_document_timestamp(with_validation_data(broken, ValidationData(crls=[b"\x30\x00"])))


_CACHE: list[bytes] = []


def _sealed_once() -> bytes:
    if not _CACHE:
        _CACHE.append(Institution().seal(letter(), place=(0, 1)))
    return _CACHE[0]


def test_a_picture_travels_as_it_is() -> None:
    encoded = msgspec.msgpack.encode(picture())
    assert msgspec.msgpack.decode(encoded, type=type(picture())) == picture()
