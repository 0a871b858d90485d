"""The evidence file of a letter as others read it, and what the builder refuses."""

from __future__ import annotations

import base64
import hashlib
import io
import subprocess
import zipfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from appliance.asic import (
    ContainerRefused,
    EvidenceNotBuildable,
    Extras,
    ManifestRefused,
    event_manifest,
    letter_container,
    read_container,
    read_manifest,
    write_container,
)
from appliance.asic.names import read_name
from appliance.evidence_records import parse_evidence_record
from firmware_tests.evidence.letters import (
    LETTER,
    OTHER_PART,
    PART,
    event,
    evidence,
    letter_of_a_file,
    office,
    opened_value,
    plain_letter,
    split_letter,
    surroundings,
)
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.others.bouncycastle import BouncyCastle


def test_the_same_bytes_each_time_and_unzip_finds_no_fault(tmp_path: Path) -> None:
    chain = plain_letter()
    made = evidence(chain)
    assert made == evidence(list(chain))
    path = tmp_path / "letter.asice"
    path.write_bytes(made)
    done = subprocess.run(["unzip", "-t", str(path)], capture_output=True, text=True, check=True)
    assert "No errors detected" in done.stdout
    with zipfile.ZipFile(io.BytesIO(made)) as opened:
        assert opened.testzip() is None
        assert opened.namelist()[0] == "mimetype"
        assert {name: opened.read(name) for name in opened.namelist()[1:]} == read_container(made)
        assert all(read_name(name) is not None for name in opened.namelist())
        assert all(one.compress_type == zipfile.ZIP_STORED and not one.extra for one in opened.infolist())
    assert subprocess.run(["file", "-b", "--mime-type", str(path)], capture_output=True, check=True).stdout


def test_xmllint_reads_the_manifests_and_openssl_the_seals(tmp_path: Path) -> None:
    world, _ = surroundings()
    entries = read_container(evidence(plain_letter()))
    from cryptography.hazmat.primitives.serialization import Encoding

    (tmp_path / "ca.pem").write_bytes(world.seal_ca.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "tsa.pem").write_bytes(world.tsa_ca.certificate.public_bytes(Encoding.PEM))
    for number in (1, 2, 3):
        manifest, seal = tmp_path / f"{number}.xml", tmp_path / f"{number}.p7s"
        manifest.write_bytes(entries[f"META-INF/ASiCManifest-000{number}.xml"])
        seal.write_bytes(entries[f"META-INF/signature-000{number}.p7s"])
        shown = subprocess.run(
            ["xmllint", "--nonet", "--xpath", "string(//*[local-name()='SigReference']/@URI)", str(manifest)],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert shown.stdout.strip() == f"META-INF/signature-000{number}.p7s"
        subprocess.run(
            ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(seal), "-content", str(manifest),
             "-CAfile", str(tmp_path / "ca.pem"), "-purpose", "any", "-out", "/dev/null", "-cades",
             "-attime", "1772400000"],
            capture_output=True, check=True,
        )  # fmt: skip
        _openssl_ts(tmp_path, seal)


def test_others_read_the_evidence_records_of_seals_that_share_a_time_stamp(
    bouncycastle: BouncyCastle, tmp_path: Path
) -> None:
    world, _ = surroundings()
    content = evidence(letter_of_a_file(3, leaves=30))
    entries = read_container(content)
    path = tmp_path / "letter.asice"
    path.write_bytes(content)
    subprocess.run(["unzip", "-q", str(path), "-d", str(tmp_path / "letter")], check=True, capture_output=True)
    from cryptography.hazmat.primitives.serialization import Encoding

    (tmp_path / "tsa.pem").write_bytes(world.tsa_ca.certificate.public_bytes(Encoding.PEM))
    meta, arguments = tmp_path / "letter" / "META-INF", ["1772400000"]
    for number in (1, 2, 3):
        manifest = meta / f"ASiCEvidenceRecordManifest-000{number}.xml"
        record = meta / f"evidencerecord-000{number}.ers"
        seal = meta / f"signature-000{number}.p7s"
        arguments += [str(record), str(seal)]
        tree = etree.parse(str(manifest))
        named = [one.get("URI") for one in tree.getroot()]
        assert named == [f"META-INF/{record.name}", f"META-INF/{seal.name}"]
        digest = base64.b64encode(hashlib.sha256(entries[named[1]]).digest()).decode()
        assert [one.text for one in tree.iter("{http://www.w3.org/2000/09/xmldsig#}DigestValue")] == [digest]
        stamp = parse_evidence_record(record.read_bytes()).chains[0][0]
        (tmp_path / "token.der").write_bytes(stamp.token)
        subprocess.run(
            ["openssl", "ts", "-verify", "-token_in", "-in", str(tmp_path / "token.der"), "-digest",
             stamp.imprint.digest.hex(), "-CAfile", str(tmp_path / "tsa.pem"), "-attime", "1772400000"],
            capture_output=True, check=True,
        )  # fmt: skip
    arguments += [str(meta / "evidencerecord-0001.ers"), str(meta / "signature-0003.p7s")]
    verdicts = bouncycastle.run("EvidenceRecordVerify", *arguments)
    assert verdicts[:3] == ["ok"] * 3
    assert verdicts[3].startswith("failed")


def _openssl_ts(directory: Path, seal: Path) -> None:
    """The time-stamp in a seal is over its signature, says openssl ts."""
    from asn1crypto import cms

    signer = cms.ContentInfo.load(seal.read_bytes())["content"]["signer_infos"][0]
    token = signer["unsigned_attrs"][0]["values"][0].dump()
    (directory / "token.der").write_bytes(token)
    (directory / "signature.bin").write_bytes(signer["signature"].native)
    subprocess.run(
        ["openssl", "ts", "-verify", "-token_in", "-in", str(directory / "token.der"),
         "-data", str(directory / "signature.bin"), "-CAfile", str(directory / "tsa.pem"), "-attime", "1772400000"],
        capture_output=True, check=True,
    )  # fmt: skip


def test_a_part_is_led_to_from_its_first_letter() -> None:
    made = evidence(split_letter(own=2))
    names = list(read_container(made))
    assert {"event-0001.json", "event-0002.json", f"event-{PART}-0002.json", f"event-{PART}-0003.json"} <= set(names)
    fresh = split_letter(own=0)
    assert evidence(fresh) != evidence(fresh, PART) != evidence(fresh, OTHER_PART)


def test_what_does_not_fit_is_not_built() -> None:
    chain = plain_letter()
    with pytest.raises(EvidenceNotBuildable):
        letter_container([])
    with pytest.raises(EvidenceNotBuildable):
        letter_container(chain[1:])
    with pytest.raises(EvidenceNotBuildable):
        letter_container(chain, letter=PART)
    with pytest.raises(EvidenceNotBuildable):
        letter_container([chain[0], chain[2]])
    first = chain[0]
    without = msgspec.structs.replace(first, artifact=msgspec.structs.replace(first.artifact, beside={}))
    with pytest.raises(EvidenceNotBuildable):
        letter_container([without])
    with pytest.raises(EvidenceNotBuildable):
        write_container([("A", b""), ("a", b"")])
    assert letter_container(chain, Extras(), LETTER) == evidence(chain)


_CONTAINER = write_container([("event-0001.json", b"{}"), ("META-INF/letter.json", b"[]")])


@given(st.data())
def test_no_byte_of_a_container_is_free(data: st.DataObject) -> None:
    """Any other byte, anything added and anything cut off is refused, or is in an entry's content."""
    place = data.draw(st.integers(0, len(_CONTAINER) - 1))
    changed = bytearray(_CONTAINER)
    changed[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ContainerRefused):
        read_container(bytes(changed))
    with pytest.raises(ContainerRefused):
        read_container(_CONTAINER[:place])
    added = data.draw(st.binary(min_size=1, max_size=40))
    with pytest.raises(ContainerRefused):
        read_container(_CONTAINER[:place] + added + _CONTAINER[place:])


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_other_programs_containers_are_refused(compression: int) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as written:
        written.writestr("mimetype", "application/vnd.etsi.asic-e+zip")
        written.writestr("event-0001.json", b"0" * 1000)
    with pytest.raises(ContainerRefused):
        read_container(buffer.getvalue())
    with pytest.raises(ContainerRefused):
        read_container(write_container([])[:-22] + b"PK\x05\x06" + bytes(18))


_MANIFEST = event_manifest(
    3, [("event-0003.json", "application/json", bytes(range(32))), ("event-0003/a", "b", bytes(32))]
)
_HOSTILE = [
    _MANIFEST.replace(b"<asic:ASiCM", b'<!DOCTYPE a [<!ENTITY x "y">]><asic:ASiCM', 1),
    _MANIFEST.replace(b"event-0003/a", b"&x;"),
    _MANIFEST.replace(b"event-0003/a", b"event-0003.json"),
    _MANIFEST.replace(b"event-0003/a", b"event-0003/%61"),
    _MANIFEST.replace(b"</asic:ASiCManifest>", b"<!-- --></asic:ASiCManifest>"),
    _MANIFEST.replace(b"\n", b""),
    _MANIFEST + b" ",
    b"\xef\xbb\xbf" + _MANIFEST,
    _MANIFEST.decode().encode("utf-16"),
    _MANIFEST.replace(b"xmlenc#sha256", b"xmldsig#sha1"),
    _MANIFEST.replace(b"0003.p7s", b"00003.p7s"),
    b"",
]


@pytest.mark.parametrize("text", _HOSTILE)
def test_a_manifest_has_one_spelling(text: bytes) -> None:
    assert [one.name for one in read_manifest(_MANIFEST).references] == ["event-0003.json", "event-0003/a"]
    if text != _HOSTILE[10]:
        with pytest.raises(ManifestRefused):
            read_manifest(text)


@given(st.integers(0, len(_MANIFEST) - 1), st.integers(1, 255))
def test_a_changed_manifest_says_something_else_or_nothing(place: int, mask: int) -> None:
    changed = bytearray(_MANIFEST)
    changed[place] ^= mask
    try:
        found = read_manifest(bytes(changed))
    except ManifestRefused:
        return
    assert found != read_manifest(_MANIFEST)
    # What is read is what an XML library reads.
    root = etree.fromstring(bytes(changed), etree.XMLParser(resolve_entities=False, no_network=True))
    assert len(root) == 1 + len(found.references)


def test_the_page_for_people_tells_moves_in_both_languages_and_whose_an_event_is() -> None:
    page = read_container(evidence(split_letter(1)))["META-INF/for-people.html"].decode()
    assert "<td>opened 设立 500000.00 CNY</td>" in page
    assert "<td>split 拆分 500000.00 CNY</td>" in page
    assert f"<td>2 ({PART[:8]}…)</td>" in page
    assert "T13:" not in page


def test_the_page_for_people_says_first_that_a_letter_is_of_a_rehearsal() -> None:
    for rehearsal in (True, False):
        entries = read_container(evidence(split_letter(1), rehearsal=rehearsal))
        page = entries["META-INF/for-people.html"].decode()
        for said in ("REHEARSAL", "演练"):
            assert (said in page) is rehearsal
        if rehearsal:
            assert page.index("binds nobody") < page.index("This page is not evidence") < page.index("<h1>")


def test_the_page_for_people_tells_a_yes_or_no_in_both_languages() -> None:
    desk = office()
    told = {**FIELDS, "special": True, "answers": [{"agrees": False}]}
    desk.seal(event(None, "issue", fields=told, value=opened_value()))
    page = read_container(evidence(desk.chain()))["META-INF/for-people.html"].decode()
    assert "<tr><th>special</th><td>yes 是</td></tr>" in page
    assert "<tr><th>answers</th><td>no 否</td></tr>" in page
