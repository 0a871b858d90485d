"""Shares as people carry them: words, slips of the pen, shares of other sets, and envelopes that openssl opens."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.keymaster.keys.envelopes import RecipientRefused, seal
from appliance.keymaster.keys.shares import Share, ShareRefused, _dictionary, make_shares, read_share, recover

SECRET = bytes(range(32))
_shares = st.builds(
    Share,
    set_id=st.binary(min_size=4, max_size=4),
    threshold=st.integers(1, 255),
    index=st.integers(1, 255),
    value=st.binary(min_size=32, max_size=32),
)


@settings(max_examples=50)
@given(_shares)
def test_words_bring_the_share_back(share: Share) -> None:
    words = share.words()
    assert len(words.split()) == 30
    assert read_share(words) == share
    assert read_share("\n ".join(word[:4].upper() for word in words.split())) == share


def test_the_form_of_words_does_not_change() -> None:
    share = Share(bytes(4), 2, 1, SECRET)
    assert share.words() == (
        "abandon abandon abandon absurd advice ability acoustic blouse access army identify afraid choice ghost artist "
        "idea series captain cancel meat february seed blossom silver man deal spin average task yard"
    )


@settings(max_examples=60)
@given(_shares, st.integers(0, 29), st.integers(1, 2047))
def test_a_wrong_word_is_found(share: Share, place: int, shift: int) -> None:
    words = share.words().split()
    words[place] = _dictionary()[(_dictionary().index(words[place]) + shift) % 2048]
    with pytest.raises(ShareRefused):
        read_share(" ".join(words))


@pytest.mark.parametrize(
    "text",
    ["", "abandon " * 29, "abandon " * 31, "zzzz " * 30, "abandonx " * 30, "zoo " * 30, "\0 " * 30, "的 " * 30],
)
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(ShareRefused):
        read_share(text)


@settings(max_examples=200)
@given(st.text(max_size=400))
def test_any_text_is_a_share_or_refused(text: str) -> None:
    with pytest.raises(ShareRefused):
        read_share(text)


def test_no_error_and_no_repr_tells_a_word_or_a_value() -> None:
    share = make_shares(SECRET, 2, 3)[0]
    words = share.words().split()
    words[3] = "quux"
    with pytest.raises(ShareRefused) as refused:
        read_share(" ".join(words))
    assert not set(words) & set(str(refused.value).split())
    assert share.value.hex() not in repr(share)


def test_every_choice_of_the_threshold_recovers() -> None:
    shares = make_shares(SECRET, 3, 5)
    assert len({share.mark for share in shares}) == 5
    for chosen in itertools.combinations(shares, 3):
        assert recover(list(chosen)) == SECRET


def test_shares_of_two_sets_or_too_few_or_one_twice_do_not_recover() -> None:
    first, other = make_shares(SECRET, 2, 3), make_shares(SECRET, 2, 3)
    for wrong in ([], first[:1], [first[0], first[0]], [first[0], other[1]], first):
        with pytest.raises(ShareRefused):
            recover(wrong)


@pytest.mark.parametrize("bits", [2048, 3072])
def test_openssl_opens_an_envelope(tmp_path: Path, bits: int) -> None:
    key = rsa.generate_private_key(65537, bits)
    text = make_shares(SECRET, 2, 3)[1].words().encode()
    (tmp_path / "share.p7m").write_bytes(seal(text, _spki(key)))
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", "share.p7m", "-inkey", "key.pem", "-binary"]
    assert subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout == text
    stranger = rsa.generate_private_key(65537, 2048)
    (tmp_path / "key.pem").write_bytes(
        stranger.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    outcome = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True)
    assert outcome.returncode != 0 or outcome.stdout != text


def test_keys_that_shares_are_not_encrypted_to() -> None:
    small = rsa.generate_private_key(65537, 1024)  # noqa: S505 - that it is too small is the point
    curve = ec.generate_private_key(ec.SECP256R1())
    for spki in (b"", b"x" * 100, _spki(small), _spki(curve)):
        with pytest.raises(RecipientRefused):
            seal(b"x", spki)


def _spki(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
