"""Decoding requests: strict, bounded, and every refusal with its failure code."""

from __future__ import annotations

import random
import subprocess
from typing import Annotated, Any

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import der
from appliance.algorithms import DIGESTS
from appliance.timestamps import FailureInfo, StampRejected
from appliance.timestamps.request import NONCE_BYTES, RequestDecoder, StampRequest

POLICY = "1.3.6.1.4.1.59999.1.1"
DECODER = RequestDecoder(list(DIGESTS.values()), [POLICY], limit=4096)
DIGEST = bytes(range(32))
EXTENSION = der.sequence(der.oid("1.3.6.1.5.5.7.1.3"), der.octet_string(b"\x30\x00"))


def request(
    *,
    version: int = 1,
    algorithm: bytes = DIGESTS["sha256"].identifier,
    digest: bytes = DIGEST,
    policy: bytes = b"",
    nonce: bytes = b"",
    cert_req: bytes = b"",
    extensions: bytes = b"",
) -> bytes:
    imprint = der.sequence(algorithm, der.octet_string(digest))
    return der.sequence(der.integer(version), imprint, policy, nonce, cert_req, extensions)


def failure(data: bytes, decoder: RequestDecoder = DECODER) -> FailureInfo:
    with pytest.raises(StampRejected) as caught:
        decoder.decode(data)
    return caught.value.failure


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", FailureInfo.badDataFormat),
        (b"\x30", FailureInfo.badDataFormat),
        (b"\x30\x80\x00\x00", FailureInfo.badDataFormat),
        (b"GET / HTTP/1.1\r\n", FailureInfo.badDataFormat),
        (request() + b"\x00", FailureInfo.badDataFormat),
        (request(version=0), FailureInfo.badRequest),
        (request(version=2), FailureInfo.badRequest),
        (request(algorithm=der.sequence(der.oid("1.3.14.3.2.26")), digest=bytes(20)), FailureInfo.badAlg),
        (request(algorithm=der.sequence(der.oid("2.16.840.1.101.3.4.2.4")), digest=bytes(28)), FailureInfo.badAlg),
        (request(algorithm=der.sequence(der.oid(DIGESTS["sha256"].oid), b"\x02\x01\x00")), FailureInfo.badAlg),
        (request(digest=DIGEST[:31]), FailureInfo.badDataFormat),
        (request(digest=DIGEST + b"\x00"), FailureInfo.badDataFormat),
        (request(digest=b""), FailureInfo.badDataFormat),
        (request(policy=der.oid("1.2.3")), FailureInfo.unacceptedPolicy),
        (request(policy=b"\x06\x02\x80\x01"), FailureInfo.badDataFormat),
        (request(policy=b"\x06\x00"), FailureInfo.badDataFormat),
        (request(policy=b"\x06\x01\x81"), FailureInfo.badDataFormat),
        (request(nonce=b"\x02\x00"), FailureInfo.badDataFormat),
        (request(nonce=b"\x02\x02\x00\x7f"), FailureInfo.badDataFormat),
        (request(nonce=b"\x02\x02\xff\x80"), FailureInfo.badDataFormat),
        (request(nonce=der.tlv(2, b"\x01" + bytes(NONCE_BYTES))), FailureInfo.badRequest),
        (request(nonce=der.tlv(2, b"\x01" + bytes(3000))), FailureInfo.badRequest),
        (request(nonce=b"\x02\x05\x01"), FailureInfo.badDataFormat),
        (request(cert_req=der.ENCODED_FALSE), FailureInfo.badDataFormat),
        (request(cert_req=b"\x01\x01\x01"), FailureInfo.badDataFormat),
        (request(cert_req=b"\x01\x02\xff\xff"), FailureInfo.badDataFormat),
        (request(extensions=der.tlv(0xA0, EXTENSION)), FailureInfo.unacceptedExtension),
        (request(extensions=der.tlv(0xA0, EXTENSION * 20)), FailureInfo.unacceptedExtension),
        (request(extensions=der.tlv(0xA0, b"")), FailureInfo.badDataFormat),
        (request(extensions=der.tlv(0xA0, b"\x30\x00")), FailureInfo.badDataFormat),
        (request(extensions=der.tlv(0xA1, EXTENSION)), FailureInfo.badDataFormat),
        (request(cert_req=der.ENCODED_TRUE, nonce=der.integer(1))[:-1], FailureInfo.badDataFormat),
        (request(extensions=der.ENCODED_TRUE + der.integer(7)), FailureInfo.badDataFormat),
        (request(nonce=der.tlv(2, b"\x01" + bytes(5000))), FailureInfo.badRequest),
    ],
)
def test_failure_codes(data: bytes, expected: FailureInfo) -> None:
    assert failure(data) is expected


def test_a_digest_that_only_other_units_accept_is_a_bad_algorithm() -> None:
    decoder = RequestDecoder([DIGESTS["sha512"]], [POLICY], limit=4096)
    assert failure(request(), decoder) is FailureInfo.badAlg
    assert decoder.decode(request(algorithm=DIGESTS["sha512"].identifier, digest=bytes(64))).digest == bytes(64)


def test_the_size_limit_is_exact() -> None:
    data = request(nonce=der.integer(5))
    assert RequestDecoder(list(DIGESTS.values()), [], limit=len(data)).decode(data).nonce == der.integer(5)
    assert failure(data, RequestDecoder(list(DIGESTS.values()), [], limit=len(data) - 1)) is FailureInfo.badRequest


@pytest.mark.parametrize("body", range(40, 300))
def test_every_length_form(body: int) -> None:
    """Requests of 40 to 300 bytes: the length's form changes at 128 and at 256."""
    padding = der.tlv(0xA0, der.sequence(der.oid("1.2.3"), der.octet_string(bytes(body))))
    assert failure(request(extensions=padding)) is FailureInfo.unacceptedExtension
    size = len(request(extensions=padding))
    whole = request(extensions=padding)
    shorter_than_minimal = b"\x30\x82" + (size - 4).to_bytes(2, "big") + whole[-(size - 4) :]
    if size < 260:
        assert failure(shorter_than_minimal) is FailureInfo.badDataFormat


def test_body_of_127_and_128_bytes() -> None:
    algorithm = DIGESTS["sha512"].identifier_with_null
    for nonce_bytes in range(1, NONCE_BYTES + 1):
        nonce = der.tlv(2, b"\x55" * nonce_bytes)
        data = request(algorithm=algorithm, digest=bytes(64), nonce=nonce, policy=der.oid(POLICY), cert_req=b"\1\1\xff")
        decoded = DECODER.decode(data)
        assert decoded == DECODER.decode_plain(data) == DECODER._decode_usual(data, len(data))
        assert decoded.nonce == nonce
        if len(data) < 131:
            assert failure(b"\x30\x81" + data[1:]) is FailureInfo.badDataFormat


requests = st.builds(
    lambda digest, null, data, policy, nonce, cert_req: request(
        algorithm=DIGESTS[digest].identifier_with_null if null else DIGESTS[digest].identifier,
        digest=data[: DIGESTS[digest].size],
        policy=policy,
        nonce=b"" if nonce is None else der.integer(nonce),
        cert_req=cert_req,
    ),
    st.sampled_from(sorted(DIGESTS)),
    st.booleans(),
    st.binary(min_size=64, max_size=64),
    st.sampled_from([b"", der.oid(POLICY)]),
    st.none() | st.integers(-(2**255), 2**255 - 1) | st.integers(-129, 129),
    st.sampled_from([b"", der.ENCODED_TRUE]),
)


@settings(max_examples=300)
@given(data=requests)
def test_what_is_usual_is_decoded_the_same_both_ways(data: bytes) -> None:
    usual = DECODER._decode_usual(data, len(data))
    assert usual is not None
    assert usual == DECODER.decode_plain(data)


# --- against a decoder that is not ours, over mutations -----------------------------------------------------------


@asn1.sequence
class Algorithm:
    oid: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class Imprint:
    algorithm: Algorithm
    digest: bytes


@asn1.sequence
class Request:
    version: int
    imprint: Imprint
    policy: x509.ObjectIdentifier | None
    nonce: int | None
    cert_req: Annotated[bool, asn1.Default(False)]


def by_hazmat(data: bytes) -> StampRequest | None:
    """The request by cryptography's strict decoder and the same rules, or None for one that is not granted."""
    try:
        decoded = asn1.decode_der(Request, data)
    except ValueError:
        return None
    found = next((each for each in DIGESTS.values() if each.oid == decoded.imprint.algorithm.oid.dotted_string), None)
    if decoded.version != 1 or found is None or len(decoded.imprint.digest) != found.size:
        return None
    if decoded.policy is not None and decoded.policy.dotted_string != POLICY:
        return None
    nonce = b"" if decoded.nonce is None else der.integer(decoded.nonce)
    if len(nonce) > NONCE_BYTES + 2:
        return None
    return StampRequest(
        found.name,
        decoded.imprint.digest,
        asn1.encode_der(decoded.imprint),
        b"" if decoded.policy is None else der.oid(POLICY),
        nonce,
        decoded.cert_req,
    )


def by_us(data: bytes) -> StampRequest | None:
    try:
        return DECODER.decode(data)
    except StampRejected:
        return None


def mutated(data: bytes, chance: random.Random) -> bytes:
    """One to three changes of the kinds that break parsers: bits, lengths, tags, cuts, doublings, insertions."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        place = chance.randrange(len(changed)) if changed else 0
        match chance.randrange(7):
            case 0 if changed:
                changed[place] ^= 1 << chance.randrange(8)
            case 1 if changed:
                changed[place] = chance.choice((0, 1, 2, 4, 5, 6, 0x30, 0x31, 0x7F, 0x80, 0x81, 0x82, 0x84, 0xA0, 0xFF))
            case 2:
                del changed[place:]
            case 3:
                del changed[place : place + chance.randint(1, 4)]
            case 4:
                changed[place:place] = bytes(chance.choices(range(256), k=chance.randint(1, 4)))
            case 5:
                changed[place:place] = changed[place : place + chance.randint(1, 20)]
            case 6 if changed:
                changed[place] = (changed[place] + chance.choice((-1, 1))) % 256
    return bytes(changed)


def test_mutations_are_granted_exactly_when_another_strict_decoder_grants_them() -> None:
    chance = random.Random(3161)
    seeds = []
    for digest in DIGESTS.values():
        for nonce in (b"", der.integer(-1), der.integer(2**64 - 59), der.tlv(2, b"\x11" * NONCE_BYTES)):
            for policy in (b"", der.oid(POLICY)):
                for cert_req in (b"", der.ENCODED_TRUE):
                    algorithm = chance.choice((digest.identifier, digest.identifier_with_null))
                    content = bytes(chance.choices(range(256), k=digest.size))
                    seeds.append(
                        request(algorithm=algorithm, digest=content, policy=policy, nonce=nonce, cert_req=cert_req)
                    )
    granted = 0
    for _ in range(60_000):
        data = mutated(chance.choice(seeds), chance)
        ours = by_us(data)
        assert ours == by_hazmat(data), data.hex()
        granted += ours is not None
    assert granted > 1000  # mutations inside digests and nonces leave a good request


@settings(max_examples=500)
@given(data=st.binary(max_size=300))
def test_anything_else_is_rejected_with_a_code(data: bytes) -> None:
    assert by_us(data) == by_hazmat(data)


@pytest.mark.parametrize("depth", [100, 2000])
def test_nesting_costs_nothing(depth: int) -> None:
    data = b""
    for _ in range(depth):
        data = der.tlv(0x30, data)
        if len(data) > 4000:
            break
    assert failure(data) is FailureInfo.badDataFormat


def test_openssl_makes_requests_of_the_usual_shape(tmp_path: Any) -> None:
    """What `openssl ts -query` writes goes the fast way."""
    query = tmp_path / "q"
    subprocess.run(
        ["openssl", "ts", "-query", "-digest", "ab" * 32, "-sha256", "-cert", "-tspolicy", POLICY, "-out", query],
        check=True,
        capture_output=True,
    )
    data = query.read_bytes()
    decoded = DECODER._decode_usual(data, len(data))
    assert decoded is not None
    assert decoded.digest == b"\xab" * 32
    assert decoded.certificates
