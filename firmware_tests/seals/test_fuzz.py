"""Parsers of what others send: mutations of real values give the typed errors and nothing else."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from asn1crypto import cms
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.der import DerError
from appliance.errors import CinnabarError
from appliance.seals import SignedData, SignedDataRejected, add_signature_timestamp, parse_signed_data
from appliance.token_imprint import token_imprint
from firmware_tests.seals.sealing import NOW_US, Sealer

relaxed = settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def stamped(sealers, openssl_tsa) -> tuple[bytes, bytes]:
    sealer = sealers("ecdsa-p256-sha256")
    prepared = sealer.profile.prepare_document(b"document", NOW_US, enveloping=True)
    signature = sealer.sign(prepared.to_be_signed)
    token = openssl_tsa.token(sealer.digest(signature))
    return add_signature_timestamp(sealer.profile.complete(prepared, signature), token), token


@st.composite
def mutation(draw, original: bytes) -> bytes:
    value = bytearray(original)
    for _ in range(draw(st.integers(1, 3))):
        position = draw(st.integers(0, len(value) - 1))
        match draw(st.sampled_from(["change", "cut", "insert", "delete", "repeat"])):
            case "change":
                value[position] = draw(st.integers(0, 255))
            case "cut":
                del value[max(position, 1) :]
            case "insert":
                value[position:position] = draw(st.binary(max_size=8))
            case "delete":
                del value[position : position + draw(st.integers(1, 8))]
                value = value or bytearray(1)
            case "repeat":
                value[position:position] = value[position : position + 200]
    return bytes(value)


def contents(parsed: SignedData) -> Iterator[bytes]:
    yield from parsed.digest_algorithms
    yield from parsed.certificates
    yield from (signer.raw for signer in parsed.signers)


@given(data=st.data())
@relaxed
def test_signed_data(stamped, data) -> None:
    value = data.draw(mutation(stamped[0]))
    try:
        parsed = parse_signed_data(value)
    except SignedDataRejected:
        return
    assert sum(map(len, contents(parsed))) <= len(value)


@given(data=st.data())
@relaxed
def test_further_and_timestamp(sealer: Sealer, stamped, data) -> None:
    value = data.draw(mutation(stamped[0]))
    for attempt in (
        lambda: sealer.seal(sealer.profile.prepare_further(value, NOW_US)),
        lambda: add_signature_timestamp(value, stamped[1]),
        lambda: add_signature_timestamp(stamped[0], data.draw(mutation(stamped[1]))),
    ):
        try:
            result = attempt()
        except CinnabarError:
            continue
        parse_signed_data(result)
        cms.ContentInfo.load(result, strict=True)


@given(data=st.data())
@relaxed
def test_token(stamped, data) -> None:
    with contextlib.suppress(DerError):
        token_imprint(data.draw(mutation(stamped[1])))


@given(st.binary(max_size=100))
def test_noise(value: bytes) -> None:
    with pytest.raises(SignedDataRejected):
        parse_signed_data(value)
    with pytest.raises(DerError):
        token_imprint(value)
