"""The DER writer and reader against asn1crypto, and the reader against what is not DER."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import core
from hypothesis import given
from hypothesis import strategies as st

from appliance import der
from appliance.der import DerError, Reader

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
oids = st.tuples(st.integers(0, 2), st.integers(0, 39), st.lists(st.integers(0, 2**64), max_size=6)).map(
    lambda parts: ".".join(map(str, (parts[0], parts[1], *parts[2])))
)


@given(st.integers(-(2**500), 2**500))
def test_integer(value: int) -> None:
    encoded = der.integer(value)
    assert encoded == core.Integer(value).dump()
    assert Reader(encoded).integer() == value


@given(st.binary(max_size=70_000))
def test_octet_and_bit_string(content: bytes) -> None:
    assert der.octet_string(content) == core.OctetString(content).dump()
    assert der.bit_string(content) == core.OctetBitString(content).dump()
    assert Reader(der.octet_string(content)).octet_string() == content
    assert Reader(der.bit_string(content)).bit_string() == content


def test_long_lengths() -> None:
    for size in (127, 128, 255, 256, 65535, 65536, 2**24):
        encoded = der.octet_string(bytes(size))
        assert encoded == core.OctetString(bytes(size)).dump()
        assert len(Reader(encoded).octet_string()) == size


@given(oids)
def test_oid(dotted: str) -> None:
    assert der.oid(dotted) == core.ObjectIdentifier(dotted).dump()
    assert Reader(der.oid(dotted)).oid() == dotted


@pytest.mark.parametrize("dotted", ["1", "3.1", "1.40", "1.-2", "a.b", ""])
def test_no_oid(dotted: str) -> None:
    with pytest.raises(ValueError, match=r"identifier|invalid literal"):
        der.oid(dotted)


@given(st.integers(0, 4_102_444_800))
def test_cms_time(seconds: int) -> None:
    moment = EPOCH + timedelta(seconds=seconds)
    expected = core.UTCTime(moment) if moment.year < 2050 else core.GeneralizedTime(moment)
    assert der.cms_time(seconds) == expected.dump()
    assert Reader(der.cms_time(seconds)).cms_time() == seconds


@given(st.integers(0, 4_102_444_800_000_000))
def test_generalized_time(time_us: int) -> None:
    encoded = der.generalized_time(time_us)
    assert Reader(encoded).generalized_time() == time_us
    assert core.GeneralizedTime.load(encoded).native == EPOCH + timedelta(microseconds=time_us)


def test_utc_time_bounds() -> None:
    assert der.utc_time(-631_152_000) == b"\x17\x0d500101000000Z"
    assert Reader(der.utc_time(-631_152_000)).cms_time() == -631_152_000
    with pytest.raises(ValueError, match="1950"):
        der.utc_time(2_524_608_000)


@given(st.lists(st.binary(max_size=40).map(der.octet_string), max_size=10))
def test_set_of(members: list[bytes]) -> None:
    encoded = der.set_of(members)
    # X.690, section 11.6, in so many words: padded with zeros to the longest
    longest = max(map(len, members), default=0)
    expected = sorted(members, key=lambda member: member.ljust(longest, b"\0"))
    assert encoded == der.tlv(der.SET, b"".join(expected))


@given(st.text())
def test_utf8_string(text: str) -> None:
    try:
        encoded = der.utf8_string(text)
    except UnicodeEncodeError:
        return
    assert Reader(encoded).utf8_string() == text


@pytest.mark.parametrize(
    ("read", "encoded"),
    [
        ("integer", "0200"),
        ("integer", "02020001"),
        ("integer", "0202ff80"),
        ("integer", "020100ff"[:4]),
        ("integer", "0281020001"),
        ("integer", "02820001" + "01"),
        ("integer", "0280" + "0000"),
        ("integer", "0285" + "0000000001" + "01"),
        ("integer", "0241" + "01" * 65),
        ("integer", "04" + "0101"),
        ("boolean", "010101"),
        ("boolean", "0100"),
        ("null", "050100"),
        ("oid", "0600"),
        ("oid", "06022a80"),
        ("oid", "06032a8001"),
        ("oid", "0641" + "2a" * 65),
        ("bit_string", "0300"),
        ("bit_string", "03020780"),
        ("utf8_string", "0c01ff"),
        ("generalized_time", "180f" + b"20260101000000+".hex()),
        ("generalized_time", "1812" + b"20260101000000.10Z".hex()),
        ("generalized_time", "1810" + b"20260101000000.Z".hex()),
        ("generalized_time", "180f" + b"20260230000000Z".hex()),
        ("generalized_time", "180f" + b"20261301000000Z".hex()),
        ("generalized_time", "180f" + b"20260101240000Z".hex()),
        ("generalized_time", "180f" + b"00000101000000Z".hex()),
        ("generalized_time", "1817" + b"20260101000000.1234567Z".hex()),
        ("generalized_time", "180d" + b"202601010000Z".hex()),
        ("cms_time", "180f" + b"20260101000000Z".hex()),
        ("cms_time", "1811" + b"20510101000000.1Z".hex()),
        ("cms_time", "170b" + b"2601010000Z".hex()),
        ("cms_time", "170d" + b"26010100000 Z".hex()),
        ("raw", ""),
        ("raw", "30"),
        ("raw", "1f0100"),
        ("raw", "0000"),
        ("raw", "3001"),
        ("raw", "308100"),
        ("raw", "3084"),
        ("raw", "30ff"),
    ],
)
def test_not_der(read: str, encoded: str) -> None:
    with pytest.raises(DerError):
        getattr(Reader(bytes.fromhex(encoded)), read)()


def test_an_element_stays_within_its_container() -> None:
    inner = Reader(bytes.fromhex("3003" + "0404aabbccdd")).enter()
    with pytest.raises(DerError, match="runs over"):
        inner.octet_string()


def test_finish() -> None:
    reader = Reader(bytes.fromhex("05000500"))
    reader.null()
    assert reader
    with pytest.raises(DerError, match="left over at offset 2"):
        reader.finish()
    assert reader.rest() == b"\x05\x00"
    reader.finish()


@given(st.binary(max_size=60))
def test_noise(data: bytes) -> None:
    readers = ["integer", "boolean", "null", "oid", "bit_string", "utf8_string", "generalized_time", "cms_time", "raw"]
    for name in readers:
        with contextlib.suppress(DerError):
            getattr(Reader(data), name)()
