"""Fields for named recipients: opened by OpenSSL and BouncyCastle, by nobody else, and never in another form."""

from __future__ import annotations

import contextlib
import datetime
import subprocess
from pathlib import Path

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.letters.errors import RecipientRefused
from appliance.letters.recipients import (
    MOST_RECIPIENTS,
    Context,
    addressed,
    decrypt,
    encrypt,
    read_addressed,
    recipient_of,
    recipients_of,
)
from firmware_tests.others.bouncycastle import BouncyCastle

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
CONTENT = "报价 1,250,000.00 CNY".encode()


def certified(key: Key, name: str, *, agreement: bool = True, usage: bool = True) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name), x509.NameAttribute(NameOID.COUNTRY_NAME, "CN")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=30))
    )
    if usage:
        is_rsa = isinstance(key, rsa.RSAPrivateKey)
        flags = {"key_encipherment": is_rsa and agreement, "key_agreement": not is_rsa and agreement}
        others = ("content_commitment", "data_encipherment", "key_cert_sign", "crl_sign", "encipher_only")
        none = dict.fromkeys((*others, "decipher_only"), False)
        builder = builder.add_extension(x509.KeyUsage(digital_signature=True, **flags, **none), critical=True)
    return builder.sign(key, hashes.SHA256())


@pytest.fixture(scope="module")
def keys() -> dict[str, Key]:
    return {
        "rsa": rsa.generate_private_key(65537, 2048),
        "p256": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "p521": ec.generate_private_key(ec.SECP521R1()),
    }


@pytest.fixture(scope="module")
def certificates(keys: dict[str, Key]) -> dict[str, x509.Certificate]:
    return {name: certified(key, name) for name, key in keys.items()}


@pytest.fixture(scope="module")
def message(certificates: dict[str, x509.Certificate]) -> bytes:
    return encrypt(CONTENT, list(certificates.values()))


def pem(key: Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def test_each_recipient_opens_it_and_is_named(
    keys: dict[str, Key], certificates: dict[str, x509.Certificate], message: bytes
) -> None:
    assert recipients_of(message) == [recipient_of(one) for one in certificates.values()]
    for name, key in keys.items():
        assert decrypt(message, certificates[name], key) == CONTENT
    assert CONTENT not in message


@pytest.mark.parametrize("name", ["rsa", "p256", "p384", "p521"])
def test_openssl_opens_it(
    keys: dict[str, Key], certificates: dict[str, x509.Certificate], message: bytes, tmp_path: Path, name: str
) -> None:
    (tmp_path / "m.der").write_bytes(message)
    (tmp_path / "k.pem").write_bytes(pem(keys[name]))
    (tmp_path / "c.pem").write_bytes(certificates[name].public_bytes(Encoding.PEM))
    command = ["openssl", "cms", "-decrypt", "-inform", "DER", "-in", "m.der", "-inkey", "k.pem", "-recip", "c.pem"]
    outcome = subprocess.run([*command, "-binary"], cwd=tmp_path, capture_output=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stdout == CONTENT


@pytest.mark.parametrize("name", ["rsa", "p256", "p384", "p521"])
def test_what_openssl_makes_is_opened(
    keys: dict[str, Key], certificates: dict[str, x509.Certificate], tmp_path: Path, name: str
) -> None:
    (tmp_path / "c.pem").write_bytes(certificates[name].public_bytes(Encoding.PEM))
    options = ["-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256", "-keyopt", "rsa_mgf1_md:sha256"]
    if name != "rsa":
        digest = {"p256": "sha256", "p384": "sha384", "p521": "sha512"}[name]
        options = ["-keyopt", f"ecdh_kdf_md:{digest}", "-aes256-wrap"]
    command = ["openssl", "cms", "-encrypt", "-aes-256-gcm", "-outform", "DER", "-binary", "-recip", "c.pem", *options]
    made = subprocess.run(command, cwd=tmp_path, input=CONTENT, capture_output=True, check=False)
    assert made.returncode == 0, made.stderr
    assert decrypt(made.stdout, certificates[name], keys[name]) == CONTENT


def test_bouncycastle_opens_it(
    keys: dict[str, Key], message: bytes, tmp_path: Path, bouncycastle: BouncyCastle
) -> None:
    (tmp_path / "m.der").write_bytes(message)
    arguments: list[str | Path] = [tmp_path / "m.der"]
    for name, key in keys.items():
        path = tmp_path / f"{name}.der"
        path.write_bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        arguments += ["RSA" if isinstance(key, rsa.RSAPrivateKey) else "EC", path]
    assert bouncycastle.run("AuthEnvelopedOpen", *arguments) == [CONTENT.hex()] * 4


def test_nobody_else_opens_it(keys: dict[str, Key], certificates: dict[str, x509.Certificate], message: bytes) -> None:
    stranger = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(RecipientRefused, match="not for this certificate"):
        decrypt(message, certified(stranger, "stranger"), stranger)
    with pytest.raises(RecipientRefused, match="does not open"):
        decrypt(message, certificates["p256"], stranger)
    for name, other in (("p256", "rsa"), ("rsa", "p256"), ("p256", "p384")):
        with pytest.raises(RecipientRefused, match="does not open"):
            decrypt(message, certificates[name], keys[other])


def test_who_may_not_be_a_recipient(certificates: dict[str, x509.Certificate]) -> None:
    one = certificates["p256"]
    for recipients in ([], [one, one], [one] * (MOST_RECIPIENTS + 1)):
        with pytest.raises(RecipientRefused):
            encrypt(b"a", recipients)
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505  what is refused
    curve = ec.generate_private_key(ec.SECP256K1())
    signer, signer_rsa = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    for key, usable in ((weak, True), (curve, True), (signer, False), (signer_rsa, False)):
        with pytest.raises(RecipientRefused):
            encrypt(b"a", [certified(key, "n", agreement=usable)])
    plain = certified(signer, "no usage", usage=False)
    assert decrypt(encrypt(b"a", [plain]), plain, signer) == b"a"


def test_an_altered_message_does_not_open(
    keys: dict[str, Key], certificates: dict[str, x509.Certificate], message: bytes
) -> None:
    @settings(max_examples=200, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 8 * len(message) - 1))
    def flip(bit: int) -> None:
        altered = bytearray(message)
        altered[bit // 8] ^= 1 << (bit % 8)
        for name in ("rsa", "p256"):
            try:
                opened = decrypt(bytes(altered), certificates[name], keys[name])
            except RecipientRefused:
                continue
            # A bit of another recipient's part is nothing to this one.
            assert opened == CONTENT

    flip()


@settings(max_examples=300)
@given(st.binary(max_size=400))
def test_anything_is_refused_typed(raw: bytes) -> None:
    with pytest.raises(RecipientRefused):
        recipients_of(raw)


def test_cut_and_spliced_messages_are_refused_typed(message: bytes) -> None:
    @settings(max_examples=300, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, len(message)), st.integers(0, len(message)), st.binary(max_size=12))
    def splice(start: int, end: int, put: bytes) -> None:
        raw = message[:start] + put + message[end:]
        if raw != message:
            with contextlib.suppress(RecipientRefused):
                recipients_of(raw)

    splice()


PLACE = Context(tenant="demo", kind="0" * 64, field="price", reference="T-1")


def test_a_field_says_which_letter_it_belongs_to() -> None:
    value = {"amount": "12.00", "currency": "CNY", "note": "报价"}
    message = encrypt(addressed(value, PLACE), [HOLDER[1]])
    content = decrypt(message, HOLDER[1], HOLDER[0])
    assert read_addressed(content, PLACE) == value
    for name, other in (("tenant", "other"), ("kind", "1" * 64), ("field", "note"), ("reference", "T-2")):
        with pytest.raises(RecipientRefused, match=f"/context/{name}"):
            read_addressed(content, msgspec.structs.replace(PLACE, **{name: other}))
    for bad in (b"", b"{}", content + b" ", content.replace(b'"value"', b'"x":1,"value"'), b"\xff", b"[" * 100_000):
        with pytest.raises(RecipientRefused):
            read_addressed(bad, PLACE)
    with pytest.raises(RecipientRefused):
        addressed(b"bytes", PLACE)


@settings(max_examples=200)
@given(st.binary(max_size=200))
def test_any_content_is_read_or_refused_typed(content: bytes) -> None:
    with pytest.raises(RecipientRefused):
        read_addressed(content, PLACE)


@settings(max_examples=40)
@given(content=st.binary(max_size=2000))
def test_any_content_comes_back(content: bytes) -> None:
    assert decrypt(encrypt(content, [HOLDER[1]]), HOLDER[1], HOLDER[0]) == content


_KEY = ec.generate_private_key(ec.SECP256R1())
HOLDER = (_KEY, certified(_KEY, "holder"))
