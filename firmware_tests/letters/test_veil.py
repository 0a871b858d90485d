"""Veiled values (control VEIL): opened by the release key with the code or the share, at the time and in the place that
they were made for, as what was committed to - and in no other way."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.base64url import to_base64url
from appliance.letters import veil as veil_module
from appliance.letters.bid_code import code_secret, new_code
from appliance.letters.envelope import LARGEST_PLAINTEXT, read_base64url
from appliance.letters.errors import (
    EnvelopeDamaged,
    EnvelopeElsewhere,
    EnvelopeRefused,
    OpenedTooEarly,
    WeakCode,
    WrongCode,
)
from appliance.letters.veil import (
    Context,
    Envelope,
    Veiled,
    accept_envelope,
    check_opening,
    commitment_of,
    open_envelope,
    padded_length,
    platform_share,
    read_envelope,
    reopen,
    veil,
)
from hsm.agreement import AgreementKey, generate_agreement_key
from hsm.testing.softhsm import SoftHsm

PRICE = b'{"amount":"1250000.00","currency":"CNY"}'
OPENING = 1_790_000_000_000_000
PLACE = Context(
    tenant="demo",
    kind=hashlib.sha256(b"kind").hexdigest(),
    field="price",
    reference="招标 2026-17 / 91110000710925002X",
)


@pytest.fixture(scope="module")
def release(softhsm: SoftHsm) -> Iterator[AgreementKey]:
    token = softhsm.token().open()
    yield AgreementKey.find(token, generate_agreement_key(token, "release-1"))
    token.close()


@pytest.fixture(scope="module")
def code() -> str:
    return new_code()


@pytest.fixture(scope="module")
def veiled(release: AgreementKey, code: str) -> Veiled:
    return veil(PRICE, PLACE, release.public_key, code=code)


def opened(
    envelope: Envelope, release: AgreementKey, outside: str, place: Context = PLACE, now: int = OPENING
) -> bytes:
    return open_envelope(envelope, place, now, release.public_key, release.agree, outside).plaintext


def test_the_code_opens_it_and_proves_what_was_committed(veiled: Veiled, release: AgreementKey, code: str) -> None:
    raw = veiled.envelope.encoded()
    envelope = accept_envelope(raw, PLACE, release.public_key)
    found = open_envelope(envelope, PLACE, OPENING, release.public_key, release.agree, code)
    assert found.plaintext == PRICE
    assert found.commitment == json.loads(raw)["commitment"]
    assert check_opening(found.commitment, found.salt, found.plaintext)
    assert found.commitment == hashlib.sha256(b"cinnabar veil commitment v1\n" + found.salt + PRICE).hexdigest()
    assert not check_opening(found.commitment, found.salt, PRICE + b" ")
    assert not check_opening(found.commitment, found.salt + PRICE[:1], PRICE[1:])


def test_the_sender_can_open_without_the_box(veiled: Veiled, code: str) -> None:
    assert reopen(veiled.envelope, veiled.agreed, code).plaintext == PRICE
    with pytest.raises(WrongCode):
        reopen(veiled.envelope, veiled.agreed, new_code())
    with pytest.raises(EnvelopeDamaged):
        reopen(veiled.envelope, bytes(32), code)


def test_all_that_the_box_has_does_not_open_it(veiled: Veiled, release: AgreementKey) -> None:
    """With the release key in hand, its agreed secret, the whole envelope and every function of this room: without the
    code there is nothing left but to guess 135 bits."""
    agreed = release.agree(veiled.envelope.header.point)
    assert agreed == veiled.agreed
    associated = veiled.envelope.header.encoded()
    candidates = [b"", bytes(17), bytes(32), agreed, veiled.envelope.header.point, bytes.fromhex(PLACE.kind)]
    candidates += [bytes.fromhex(veiled.envelope.header.outside_check), hashlib.sha256(agreed).digest()]
    candidates += [code_secret(new_code()) for _ in range(100)]
    for candidate in candidates:
        key, nonce = veil_module._keys(agreed, candidate, associated)
        with pytest.raises(Exception):  # noqa: B017, PT011  InvalidTag, of the library itself
            AESGCM(key).decrypt(nonce, veiled.envelope.ciphertext, associated)
    for text in (new_code(), to_base64url(agreed), agreed.hex(), "", PLACE.reference):
        with pytest.raises((WrongCode, WeakCode)):
            opened(veiled.envelope, release, text)
    assert PRICE not in veiled.envelope.encoded()


def test_the_code_alone_does_not_open_it(veiled: Veiled, code: str) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())

    def agree(point: bytes) -> bytes:
        return stranger.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))

    with pytest.raises(EnvelopeElsewhere, match="release_key"):
        open_envelope(veiled.envelope, PLACE, OPENING, stranger.public_key(), agree, code)
    with pytest.raises(EnvelopeDamaged):
        reopen(veiled.envelope, agree(veiled.envelope.header.point), code)


def test_a_wrong_code_is_told_before_the_release_key_is_used(veiled: Veiled, release: AgreementKey, code: str) -> None:
    def never(point: bytes) -> bytes:
        raise AssertionError("the release key was asked")

    for place, now, outside, refusal in (
        (PLACE, OPENING, new_code(), WrongCode),
        (PLACE, OPENING, code[:-1], WeakCode),
        (msgspec.structs.replace(PLACE, tenant="other"), OPENING, code, EnvelopeElsewhere),
    ):
        with pytest.raises(refusal) as refused:
            open_envelope(veiled.envelope, place, now, release.public_key, never, outside)
        assert refused.value.control == "VEIL"
        assert outside not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("tenant", "other"), ("kind", "0" * 64), ("field", "deposit"), ("reference", "招标 2026-18")],
)
def test_it_opens_in_its_place_only(veiled: Veiled, release: AgreementKey, code: str, name: str, value: str) -> None:
    place = msgspec.structs.replace(PLACE, **{name: value})
    with pytest.raises(EnvelopeElsewhere, match=f"/context/{name}"):
        accept_envelope(veiled.envelope.encoded(), place, release.public_key)
    with pytest.raises(EnvelopeElsewhere, match=f"/context/{name}"):
        opened(veiled.envelope, release, code, place)
    # Somebody who rewrites the place to suit has altered what is authenticated.
    header = msgspec.structs.replace(veiled.envelope.header, context=place)
    with pytest.raises(EnvelopeDamaged):
        opened(msgspec.structs.replace(veiled.envelope, header=header), release, code, place)


def test_one_fields_ciphertext_is_not_anothers(release: AgreementKey, code: str) -> None:
    deposit = msgspec.structs.replace(PLACE, field="deposit")
    price, other = (veil(b"1", place, release.public_key, code=code).envelope for place in (PLACE, deposit))
    swapped = Envelope(header=other.header, ciphertext=price.ciphertext)
    with pytest.raises(EnvelopeDamaged):
        opened(swapped, release, code, deposit)


def test_it_does_not_open_before_the_time_that_its_sender_named(release: AgreementKey, code: str) -> None:
    place = msgspec.structs.replace(PLACE, not_before=OPENING)
    envelope = veil(PRICE, place, release.public_key, code=code).envelope
    with pytest.raises(OpenedTooEarly) as refused:
        opened(envelope, release, code, now=OPENING - 1)
    assert refused.value.control == "VEIL"
    assert opened(envelope, release, code) == PRICE
    moved = msgspec.structs.replace(envelope.header, context=PLACE)
    with pytest.raises(EnvelopeDamaged):
        opened(msgspec.structs.replace(envelope, header=moved), release, code, now=0)


def test_the_platforms_share_opens_one_envelope_and_no_other(release: AgreementKey) -> None:
    platform = ec.generate_private_key(ec.SECP256R1())
    first, second = (
        veil(PRICE, PLACE, release.public_key, platform_key=platform.public_key()).envelope for _ in range(2)
    )
    share = platform_share(read_envelope(first.encoded()), platform)
    assert opened(first, release, share) == PRICE
    for wrong in (platform_share(second, platform), "", "a", new_code(), share[:-1], share + "A", share[:-1] + "é"):
        with pytest.raises(WrongCode):
            opened(first, release, wrong)
    with pytest.raises(EnvelopeElsewhere):
        platform_share(first, ec.generate_private_key(ec.SECP256R1()))
    by_code = veil(PRICE, PLACE, release.public_key, code=new_code()).envelope
    with pytest.raises(EnvelopeElsewhere):
        platform_share(by_code, platform)


def test_a_platform_gives_no_share_of_a_bid_by_way_of_another_envelope(release: AgreementKey) -> None:
    """A rival puts the point and the check of somebody's envelope into one of its own, for a tender that is open."""
    platform = ec.generate_private_key(ec.SECP256R1())
    bid = veil(PRICE, PLACE, release.public_key, platform_key=platform.public_key()).envelope
    share = platform_share(bid, platform)
    elsewhere = msgspec.structs.replace(PLACE, reference="an open tender")
    own = veil(b"1", elsewhere, release.public_key, platform_key=platform.public_key()).envelope
    for change in (
        {"context": elsewhere},
        {"commitment": own.header.commitment},
        {"release_key": "0" * 64},
        {"outside_check": own.header.outside_check},
    ):
        forged = Envelope(header=msgspec.structs.replace(bid.header, **change), ciphertext=own.ciphertext)
        with pytest.raises(EnvelopeDamaged):
            platform_share(forged, platform)
    assert opened(bid, release, share) == PRICE


def test_what_cannot_be_veiled(release: AgreementKey, code: str) -> None:
    platform = ec.generate_private_key(ec.SECP256R1()).public_key()
    other_curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    refusals: list[tuple[Callable[[], Any], type[Exception]]] = [
        (lambda: veil(b"", PLACE, release.public_key), EnvelopeRefused),
        (lambda: veil(b"", PLACE, release.public_key, code=code, platform_key=platform), EnvelopeRefused),
        (lambda: veil(b"", PLACE, release.public_key, platform_key=release.public_key), EnvelopeRefused),
        (lambda: veil(b"", PLACE, other_curve, code=code), EnvelopeRefused),
        (lambda: veil(b"", PLACE, release.public_key, code="12345678"), WeakCode),
        (lambda: veil(bytes(LARGEST_PLAINTEXT + 1), PLACE, release.public_key, code=code), EnvelopeRefused),
    ]
    refusals += [
        (lambda place=place: veil(b"", place, release.public_key, code=code), EnvelopeRefused)
        for place in (
            msgspec.structs.replace(PLACE, tenant="../x"),
            msgspec.structs.replace(PLACE, kind="0"),
            msgspec.structs.replace(PLACE, reference="a" * 201),
            msgspec.structs.replace(PLACE, not_before=-1),
        )
    ]
    for attempt, refusal in refusals:
        with pytest.raises(refusal):
            attempt()


def test_a_sender_who_lies_about_the_commitment_is_found(release: AgreementKey, code: str) -> None:
    """The one thing that shows at the opening alone: an envelope whose content is not what its header commits to."""
    honest = veil(PRICE, PLACE, release.public_key, code=code)
    header = msgspec.structs.replace(honest.envelope.header, commitment=commitment_of(honest.salt, b"another price"))
    associated = header.encoded()
    content = honest.salt + len(PRICE).to_bytes(8, "big") + PRICE
    key, nonce = veil_module._keys(honest.agreed, code_secret(code), associated)

    def sealed(content: bytes) -> Envelope:
        padded = content + bytes(padded_length(len(content)) - len(content))
        return Envelope(header=header, ciphertext=AESGCM(key).encrypt(nonce, padded, associated))

    lengths = (b"\xff" * 8, (2**32).to_bytes(8, "big"), bytes(8))
    for lie in (content, *(honest.salt + length + PRICE for length in lengths), b""):
        with pytest.raises(EnvelopeDamaged, match="commitment"):
            opened(sealed(lie), release, code)


def test_an_envelope_has_one_encoding(veiled: Veiled) -> None:
    raw = veiled.envelope.encoded()
    text = raw.decode()
    members = json.loads(raw)
    assert read_envelope(raw) == veiled.envelope
    assert read_envelope(raw).digest == hashlib.sha256(raw).hexdigest()
    others = [
        text + " ",
        " " + text,
        json.dumps(members, ensure_ascii=False),
        json.dumps(members, separators=(",", ":")),
        json.dumps(dict(reversed(members.items())), separators=(",", ":"), ensure_ascii=False),
        text[:-1] + ',"x":1}',
        text[:-1] + f',"release_key":"{members["release_key"]}"}}',
        text.replace('"format":', '"platform":"' + "0" * 64 + '","format":'),
        text.replace("cinnabar-veil/1", "cinnabar-veil/2"),
        text.replace(members["ephemeral"], members["ephemeral"] + "="),
        text.replace(members["ephemeral"], "A" + members["ephemeral"][1:]),
        text.replace('"outside":"code"', '"outside":"share"'),
        text.replace('"outside":"code"', '"outside":"none"'),
        text.replace(members["commitment"], members["commitment"].upper()),
        text.replace(members["commitment"], members["commitment"] + "\\n"),
        text.replace('"tenant":"demo"', '"tenant":"demo\\u0000"'),
        text.replace('"tenant":"demo"', '"tenant":"d\\u0065mo"'),
        "[]",
        "{}",
        "",
        "[" * 100_000,
    ]
    for other in others:
        with pytest.raises(EnvelopeRefused):
            read_envelope(other.encode())
    for other in (raw.replace(b"demo", b"d\xffmo"), b"\xef\xbb\xbf" + raw, text.encode("utf-16")):
        with pytest.raises(EnvelopeRefused):
            read_envelope(other)


def test_base64_of_other_bytes_is_no_second_form(veiled: Veiled) -> None:
    members = json.loads(veiled.envelope.encoded())
    ciphertext = members["ciphertext"]
    last = ciphertext[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    spare = {0: 0, 2: 15, 3: 3}[len(ciphertext) % 4]
    for bits in range(1, spare + 1):
        other = ciphertext[:-1] + alphabet[alphabet.index(last) ^ bits]
        with pytest.raises(EnvelopeRefused):
            read_base64url(other, "/ciphertext")


def test_a_point_that_is_none_is_refused(release: AgreementKey, veiled: Veiled, code: str) -> None:
    for point in (b"\x04" + bytes(64), b"\x04" + b"\xff" * 64):
        header = msgspec.structs.replace(veiled.envelope.header, ephemeral=to_base64url(point))
        envelope = msgspec.structs.replace(veiled.envelope, header=header)
        with pytest.raises(EnvelopeDamaged):
            accept_envelope(envelope.encoded(), PLACE, release.public_key)
        with pytest.raises((EnvelopeDamaged, WrongCode)):
            opened(envelope, release, code)


def test_a_flipped_bit_never_opens(veiled: Veiled, release: AgreementKey, code: str) -> None:
    raw = veiled.envelope.encoded()

    @settings(max_examples=300, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 8 * len(raw) - 1))
    def flip(bit: int) -> None:
        altered = bytearray(raw)
        altered[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises((EnvelopeRefused, EnvelopeElsewhere, EnvelopeDamaged, WrongCode, OpenedTooEarly)):
            opened(read_envelope(bytes(altered)), release, code, now=0)

    flip()


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_typed(raw: bytes) -> None:
    with pytest.raises(EnvelopeRefused):
        read_envelope(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def test_members_of_any_type_are_refused_typed(veiled: Veiled) -> None:
    members = json.loads(veiled.envelope.encoded())

    @settings(max_examples=300, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(sorted(members)), json_values)
    def put(name: str, value: Any) -> None:
        if members[name] != value:
            with pytest.raises(EnvelopeRefused):
                read_envelope(json.dumps({**members, name: value}).encode())

    put()


_RELEASE = ec.generate_private_key(ec.SECP256R1())


def agree_in_software(point: bytes) -> bytes:
    return _RELEASE.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point))


@settings(max_examples=150)
@given(plaintext=st.binary(max_size=5000), reference=st.text(st.characters(exclude_categories=("Cs",)), max_size=200))
def test_any_content_under_any_reference_comes_back(plaintext: bytes, reference: str) -> None:
    code = new_code()
    place = msgspec.structs.replace(PLACE, reference=reference)
    made = veil(plaintext, place, _RELEASE.public_key(), code=code)
    envelope = accept_envelope(made.envelope.encoded(), place, _RELEASE.public_key())
    found = open_envelope(envelope, place, 0, _RELEASE.public_key(), agree_in_software, code)
    assert (found.plaintext, found.salt) == (plaintext, made.salt)


@settings(max_examples=500)
@given(st.integers(0, 2**30))
def test_lengths_tell_little(length: int) -> None:
    padded = padded_length(length)
    assert padded >= max(length, 256)
    assert padded <= max(256, length + length // 8 + 1)
    assert padded_length(padded) == padded
    assert padded_length(length + 1) >= padded


def test_small_values_are_all_as_long() -> None:
    code = new_code()
    lengths = {
        len(veil(bytes(count), PLACE, _RELEASE.public_key(), code=code).envelope.ciphertext)
        for count in (0, 1, 100, 216)
    }
    assert lengths == {256 + 16}


def test_nothing_of_two_envelopes_is_alike() -> None:
    """The same value, place and code: no member but the place and the keys tells that."""
    code = new_code()
    one, other = (veil(PRICE, PLACE, _RELEASE.public_key(), code=code) for _ in range(2))
    for name in ("commitment", "ephemeral", "outside_check"):
        assert getattr(one.envelope.header, name) != getattr(other.envelope.header, name)
    assert one.agreed != other.agreed
    assert dataclasses.asdict(one)["salt"] != dataclasses.asdict(other)["salt"]


def test_a_document_of_16_mib(release: AgreementKey, code: str) -> None:
    document = bytes(1024) * (LARGEST_PLAINTEXT // 1024)
    made = veil(document, PLACE, release.public_key, code=code)
    assert opened(accept_envelope(made.envelope.encoded(), PLACE, release.public_key), release, code) == document
