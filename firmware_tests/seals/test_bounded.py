"""Hostile input costs memory in proportion to its size and ends at a limit."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from appliance import der
from appliance.errors import CinnabarError
from appliance.evidence_records import CompactBatch, parse_evidence_record
from appliance.seals import canonical_json, import_prepared, parse_signed_data
from appliance.seals.attributes import OID_DATA, OID_SIGNED_DATA
from firmware_tests.seals.sealing import NOW_US, Sealer

MEBIBYTE = 1024 * 1024


def signed_data(*parts: bytes) -> bytes:
    return der.sequence(OID_SIGNED_DATA, der.tlv(der.context(0), der.sequence(der.integer(1), *parts)))


def evidence(lists: bytes) -> bytes:
    stamp = der.sequence(der.tlv(der.context(2), lists), der.sequence())
    return der.sequence(der.integer(1), der.sequence(), der.sequence(der.sequence(stamp)))


ALGORITHM = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
NO_CONTENT = der.sequence(OID_DATA)
CASES: dict[str, tuple[Callable[[bytes], object], bytes]] = {
    "digest algorithms": (parse_signed_data, signed_data(der.tlv(der.SET, ALGORITHM * 300_000))),
    "certificates": (
        parse_signed_data,
        signed_data(der.set_of([]), NO_CONTENT, der.tlv(der.context(0), b"\x30\x00" * 2_000_000), der.set_of([])),
    ),
    "signers": (parse_signed_data, signed_data(der.set_of([]), NO_CONTENT, der.tlv(der.SET, b"\x30\x00" * 2_000_000))),
    "nested lengths": (parse_signed_data, b"\x30\x80" * 2_000_000),
    "pieces": (parse_signed_data, b"\x30\x80\x24\x80" + b"\x04\x00" * 2_000_000),
    "a long length": (parse_signed_data, b"\x30\x84\xff\xff\xff\xff" + bytes(100)),
    "levels": (parse_evidence_record, evidence(der.sequence(der.octet_string(b"")) * 1_000_000)),
    "hashes": (parse_evidence_record, evidence(der.sequence(b"\x04\x00" * 2_000_000))),
    "a count": (
        CompactBatch.decode,
        b"\x95\xb0cinnabar-batch/1\xa6sha256\xcf\x7f\xff\xff\xff\xff\xff\xff\xff\xc4\x00\xc4\x00",
    ),
    "nested JSON": (canonical_json, b"[" * 4_000_000),
    "empty lists": (canonical_json, b"[" + b"[]," * 1_000_000 + b"[1.5]]"),
    "members": (canonical_json, b"{" + b",".join(b'"%x":[]' % n for n in range(400_000)) + b"}"),
    "digits": (canonical_json, b"1" * 4_000_000),
}


@pytest.mark.parametrize("case", CASES)
def test_memory(case: str) -> None:
    parse, data = CASES[case]
    tracemalloc.start()
    try:
        with pytest.raises(CinnabarError):
            parse(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(data) + 32 * MEBIBYTE


def test_a_prepared_value_is_measured_first(sealer: Sealer) -> None:
    with pytest.raises(CinnabarError, match="at most 16384 bytes"):
        import_prepared(sealer.profile, bytes(20 * MEBIBYTE), NOW_US)
