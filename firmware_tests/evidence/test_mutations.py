"""Whatever bytes come in: no surprise, and never PASSED after a covered byte was changed."""

from __future__ import annotations

import functools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.evidence import Indication, NamedBytes, TooMuch, TrustBundle, verify
from appliance.evidence.recognise import recognise
from firmware_tests.evidence.material import DAY, T0, World, make_world, microseconds, seal, token
from firmware_tests.evidence.test_evidence_records import DOCUMENTS, batch
from firmware_tests.evidence.test_logs import ORIGIN, Log, entry_of, opening, record_of

NOW_US = microseconds(T0 + DAY)
DOCUMENT = DOCUMENTS[3]
PASSED = Indication.PASSED


@functools.cache
def surroundings() -> tuple[World, TrustBundle, dict[str, bytes]]:
    from dataclasses import replace

    from appliance.evidence import LogEntry

    log = Log()
    world = replace(make_world(), logs=(LogEntry(origin=ORIGIN, key=str(log.verifier)),))
    stamp = token(world.tsa, DOCUMENT)
    import hashlib

    record = record_of(stamp, content_digest=hashlib.sha256(DOCUMENT).hexdigest())
    files = {
        "a.tst": stamp,
        "a.p7s": seal(world.sealer, DOCUMENT, stamped_by=world.tsa),
        "a.p7m": seal(world.sealer, DOCUMENT, enveloping=True),
        "a.ers": batch(world.tsa).evidence_record(3),
        "a.json": opening(record, log.proof(entry_of(record)), stamp),
    }
    return world, world.trust(), files


def judged(name: str, content: bytes) -> Indication:
    _, trust, _ = surroundings()
    files = [NamedBytes("letter", DOCUMENT), NamedBytes(name, content)]
    if name == "a.p7m":
        files = files[1:]
    return verify(files, trust, now_us=NOW_US).indication


NAMES = ["a.tst", "a.p7s", "a.p7m", "a.ers", "a.json"]


@pytest.mark.parametrize("name", NAMES)
def test_the_originals_pass(name: str) -> None:
    assert judged(name, surroundings()[2][name]) is PASSED


def uncovered(name: str) -> set[int]:
    """Positions whose change may leave the meaning: the version and digest list of SignedData, which nothing reads, a
    name in a JSON that is only for people, and white space."""
    content = surroundings()[2][name]
    if name == "a.json":
        return _json_uncovered(content)
    places: set[int] = set()
    start = 0
    while (found := content.find(bytes.fromhex("06092a864886f70d010702a0"), start)) >= 0:
        begin = _inside(content, _inside(content, found + 11)) + 3  # after [0], SEQUENCE and the version
        assert content[begin] == 0x31
        places |= set(range(begin - 1, begin + 2 + content[begin + 1]))
        start = found + 1
    # The version of a SignerInfo stands before its issuer; EvidenceRecord lists its digest algorithms once more.
    start = 0
    while (found := content.find(b"\x02\x01\x01\x30", start)) >= 0:
        places.add(found + 2)
        start = found + 1
    # Whoever renames an unsigned attribute takes the time-stamp away: what is left is the seal without it.
    stamp_type = bytes.fromhex("060b2a864886f70d010910020e")
    if (found := content.find(stamp_type)) >= 0:
        places |= set(range(found, found + len(stamp_type)))
    if name == "a.ers":
        places |= set(range(content.index(b"\x02\x01\x01"), content.index(b"\x02\x01\x01") + 30))
    return places


def _inside(content: bytes, at: int) -> int:
    """Where the content of the DER element at a place begins."""
    length = content[at + 1]
    return at + 2 + (length & 0x7F if length & 0x80 else 0)


def _json_uncovered(content: bytes) -> set[int]:
    """Only salt, record, commitment, proof and artifact are evidence; the rest of the answer is for people."""
    covered: set[int] = set()
    for member in (b'"content": "', b'"salt": "', b'"commitment": "', b'"tlog_proof": "'):
        begin = content.index(member) + len(member)
        end = begin
        while content[end : end + 1] != b'"':
            end += 2 if content[end : end + 1] == b"\\" else 1
        covered |= set(range(begin, end))
    return set(range(len(content))) - covered


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_a_changed_byte_never_passes(data: st.DataObject, name: str) -> None:
    content = bytearray(surroundings()[2][name])
    position = data.draw(st.integers(0, len(content) - 1))
    content[position] ^= data.draw(st.integers(1, 255))
    indication = judged(name, bytes(content))
    if position not in uncovered(name):
        assert indication is not PASSED, (name, position)


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_a_truncated_file_never_passes(data: st.DataObject, name: str) -> None:
    content = surroundings()[2][name]
    assert judged(name, content[: data.draw(st.integers(0, len(content) - 1))]) is not PASSED


@settings(max_examples=150)
@given(data=st.data(), name=st.sampled_from(NAMES))
def test_spliced_files_do_not_surprise(data: st.DataObject, name: str) -> None:
    content, other = surroundings()[2][name], surroundings()[2][data.draw(st.sampled_from(NAMES))]
    first, second = sorted(data.draw(st.lists(st.integers(0, len(content)), min_size=2, max_size=2)))
    begin = data.draw(st.integers(0, len(other)))
    judged(name, content[:first] + other[begin : begin + 40] + content[second:])


@settings(max_examples=200)
@given(name=st.sampled_from([*NAMES, "a.tlog-proof", "a.cose", "a.cer", "a.crl", "a"]), content=st.binary(max_size=300))
def test_random_bytes_do_not_surprise(name: str, content: bytes) -> None:
    assert judged(name, content) is not PASSED


@settings(max_examples=150)
@given(content=st.binary(max_size=200), start=st.sampled_from([b"c2sp.org/tlog-proof@v1\n", b"\xd2\x84", b"{", b"0\x80",
       b"-----BEGIN CMS-----\n", b"-----BEGIN CERTIFICATE-----\n", b"0\x82"]))  # fmt: skip
def test_beginnings_of_formats_do_not_surprise(content: bytes, start: bytes) -> None:
    assert judged("a", start + content) is not PASSED


@pytest.mark.parametrize(
    "content",
    [
        b"0\x80" * 200_000,
        b"0\x80" + b"\x24\x80" * 100_000,
        b"0\x84\xff\xff\xff\xff",
        b"0\x82\xff\xff" + b"0\x00" * 32_000,
        b'{"salt":' + b"[" * 200_000,
        b"\xd2\x84" + b"\x9f" * 200_000,
        b"\xd2\x84" + b"\x5b\x7f\xff\xff\xff\xff\xff\xff\xff",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + b"A" * 3_000_000,
        b"-----BEGIN CMS-----\n" + b"A" * 3_000_000,
    ],
    ids=["nested", "nested strings", "huge length", "many", "json", "cbor depth", "cbor length", "proof", "pem"],
)
@pytest.mark.timeout(20)
def test_bombs(content: bytes) -> None:
    for name in ("a", "a.tst", "a.p7s", "a.ers", "a.cose", "a.tlog-proof"):
        assert judged(name, content) is not PASSED


@pytest.mark.timeout(60)
def test_seals_with_very_many_parts_are_refused() -> None:
    world, trust, _ = surroundings()
    many = seal(world.sealer, DOCUMENT, certificates=[world.sealer.der] * 1)
    certificate = world.sealer.der
    fat = many.replace(certificate, certificate * 40, 1)
    assert verify([NamedBytes("a", DOCUMENT), NamedBytes("a.p7s", fat)], trust, now_us=NOW_US).indication is not PASSED


def test_too_many_files() -> None:
    _, trust, _ = surroundings()
    with pytest.raises(TooMuch):
        verify([NamedBytes("a", b"")] * 65, trust, now_us=NOW_US)


def test_kinds_are_told_by_bytes_and_not_by_names() -> None:
    files = surroundings()[2]
    for name in NAMES:
        assert recognise(NamedBytes("x.pdf", files[name]))[0] == recognise(NamedBytes(name, files[name]))[0]
