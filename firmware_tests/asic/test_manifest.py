"""The fast writer of manifests against an XML library."""

from __future__ import annotations

import base64
from urllib.parse import unquote
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from appliance.asic import event_manifest, event_names

ASIC = "{http://uri.etsi.org/02918/v1.2.1#}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
_XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)
_FILES = st.lists(st.tuples(_XML_TEXT, _XML_TEXT, st.binary(min_size=32, max_size=32)), max_size=6)


@given(st.integers(1, 10**6), _FILES, st.none() | st.binary(min_size=16, max_size=16).map(bytes.hex))
def test_an_xml_library_reads_what_was_written(
    number: int, files: list[tuple[str, str, bytes]], split_off: str | None
) -> None:
    files = [
        (name, media.replace("\ufffe", "").replace("\uffff", "") or "a/b", digest) for name, media, digest in files
    ]
    written = event_manifest(number, files, split_off)
    assert written == event_manifest(number, iter(files), split_off)
    root = ElementTree.fromstring(written)  # noqa: S314 - our own writing
    assert root.tag == f"{ASIC}ASiCManifest"
    seal, *references = root
    assert (seal.tag, seal.attrib) == (
        f"{ASIC}SigReference",
        {"URI": event_names(number, split_off).seal, "MimeType": "application/pkcs7-signature"},
    )
    assert [(unquote(one.attrib["URI"], errors="strict"), one.attrib["MimeType"]) for one in references] == [
        (name, media) for name, media, _ in files
    ]
    for one, (_, _, digest) in zip(references, files, strict=True):
        method, value = one
        assert one.tag == f"{ASIC}DataObjectReference"
        assert (method.tag, method.attrib) == (
            f"{DS}DigestMethod",
            {"Algorithm": "http://www.w3.org/2001/04/xmlenc#sha256"},
        )
        assert value.tag == f"{DS}DigestValue"
        assert base64.b64decode(value.text or "", validate=True) == digest


def test_the_manifest_of_a_plain_event() -> None:
    assert event_manifest(7, [("event-0007.json", "application/json", bytes(32))]).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" '
        'xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><asic:SigReference URI="META-INF/signature-0007.p7s" '
        'MimeType="application/pkcs7-signature"/><asic:DataObjectReference URI="event-0007.json" '
        'MimeType="application/json"><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        "<ds:DigestValue>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</ds:DigestValue></asic:DataObjectReference>"
        "</asic:ASiCManifest>\n"
    )


def test_events_of_a_family_have_names_of_their_own() -> None:
    letter = "0f" * 16
    assert event_names(7).event == "event-0007.json"
    assert event_names(12345).seal == "META-INF/signature-12345.p7s"
    assert event_names(7, letter).manifest == f"META-INF/ASiCManifest-{letter}-0007.xml"
    assert not set(event_names(7)) & set(event_names(7, letter))
