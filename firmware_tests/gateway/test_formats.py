"""Messages against a partner that is not ours, both ways, in both formats, under every algorithm of the list."""

from __future__ import annotations

import base64
import datetime
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.gateway import (
    Head,
    MessageOutOfTime,
    MessageRefused,
    PartnerProfile,
    PartnerRefused,
    SoftwareKey,
    check_profile,
    check_time,
    encryption_key,
    fresh_nonce,
    parties_of,
    prepare,
    receive,
)
from firmware_tests.gateway import partner as theirs
from firmware_tests.gateway.partner import Party

BOX, TENANT = "0011223344556677", "demo"
NOW_MS = int(datetime.datetime.now(datetime.UTC).timestamp() * 1000) + 3_600_000
"""Later than the certificates, which are made after this was read."""
NONCE = "Zm9vYmFyZm9vYmFyZm9vYg"
CONTENT = '{"call":"letter","letter":"…"}'.encode()
WE, THEY = f"cinnabar:{BOX}:{TENANT}", f"cinnabar:{BOX}:{TENANT}:acme"
PAIRS = [("ES256", "ECDH-ES"), ("ES384", "RSA-OAEP-256"), ("RS256", "ECDH-ES"), ("PS256", "RSA-OAEP-256")]


def profile_of(party: Party, format_: str, **changed: object) -> PartnerProfile:
    members: dict[str, object] = {
        "tenant": TENANT, "partner": "acme", "title": "ACME", "version": 1, "previous": None, "format": format_,
        "sign": party.sign, "sign_certificates": [base64.b64encode(party.certificate("sign")).decode()],
        "encrypt_certificate": base64.b64encode(party.certificate("encrypt")).decode(), "answer_key": "demo-seal",
        "calls": ["letter"], "kinds": ["voucher"], "proposal": "0" * 64, "step": 0,
    }  # fmt: skip
    return PartnerProfile(**(members | changed))  # type: ignore[arg-type]


@dataclass
class Box:
    """The tenant's side, with keys in memory."""

    opener: SoftwareKey
    signer: ec.EllipticCurvePrivateKey
    certificate: bytes

    @property
    def spki(self) -> bytes:
        return self.opener.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def message(self, profile: PartnerProfile, content: bytes, nonce: str, time_ms: int) -> bytes:
        head = Head(parties_of(profile, BOX).answer(), nonce, time_ms)
        digest = hashlib.sha256(self.certificate).digest()
        prepared = prepare(profile.format, content, head, encryption_key(profile), "ES256", digest)
        return prepared.complete(self.signer.sign(prepared.to_be_signed, ec.ECDSA(hashes.SHA256())))


@pytest.fixture(scope="module")
def ours() -> Box:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "seal")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1)).sign(key, hashes.SHA256())
    )  # fmt: skip
    return Box(SoftwareKey(ec.generate_private_key(ec.SECP256R1())), key, made.public_bytes(Encoding.DER))


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Party]:
    directory = tmp_path_factory.mktemp("partners")
    return {sign: Party(directory / sign, sign, encrypt) for sign, encrypt in PAIRS}


def sent(party: Party, box: Box, format_: str, **changed: object) -> bytes:
    """A message as a partner writes it; `changed`: its nonce, sender, receiver, time_ms, content."""
    told = {"sender": THEY, "receiver": WE, "nonce": NONCE, "time_ms": NOW_MS, "content": CONTENT} | changed
    if format_ == "envelope":
        return json.dumps(theirs.write_envelope(party, box.spki, **told)).encode()  # type: ignore[arg-type]
    time_s = int(told.pop("time_ms")) // 1000  # type: ignore[call-overload]
    return theirs.write_jose(party, box.spki, time_s=time_s, **told)  # type: ignore[arg-type]


def open_(profile: PartnerProfile, raw: bytes, box: Box) -> bytes:
    return receive(profile, raw, parties_of(profile, BOX), NOW_MS).open(box.opener)


@pytest.mark.parametrize("format_", ["envelope", "jose"])
@pytest.mark.parametrize("sign", [sign for sign, _ in PAIRS])
def test_a_partner_with_openssl_and_the_box_read_each_other(
    parties: dict[str, Party], ours: Box, sign: str, format_: str
) -> None:
    party = parties[sign]
    profile = profile_of(party, format_)
    check_profile(profile)
    raw = sent(party, ours, format_)
    read = receive(profile, raw, parties_of(profile, BOX), NOW_MS)
    check_time(profile, read, NOW_MS)
    assert (read.head.nonce, read.head.time_ms // 1000) == (NONCE, NOW_MS // 1000)
    assert read.open(ours.opener) == CONTENT
    answer = ours.message(profile, b'{"status":200}', fresh_nonce(), NOW_MS)
    reading = theirs.read_envelope if format_ == "envelope" else theirs.read_jose
    assert reading(party, answer, WE, THEY, ours.certificate, "ES256") == b'{"status":200}'


@pytest.mark.parametrize("format_", ["envelope", "jose"])
def test_what_is_not_for_this_tenant_of_this_partner_is_refused_alike(
    parties: dict[str, Party], ours: Box, format_: str
) -> None:
    party, other = parties["ES256"], parties["RS256"]
    profile = profile_of(party, format_)
    raws = {
        "another's key": sent(other, ours, format_),
        "another tenant": sent(party, ours, format_, receiver=f"cinnabar:{BOX}:other"),
        "another box": sent(party, ours, format_, receiver="cinnabar:ff:demo", sender="cinnabar:ff:demo:acme"),
        "another partner": sent(party, ours, format_, sender=f"{WE}:rival"),
        "a short nonce": sent(party, ours, format_, nonce="0" * 21),
        "a nonce of digits": sent(party, ours, format_, nonce="1" * 38),
        "a nonce of hexadecimal digits": sent(party, ours, format_, nonce="a1" * 15),
        "nothing": b"",
        "no message": b"{}",
        "no text": b"\xff.\xff.\xff",
        "deep": b"[" * 100_000,
    }
    said = set()
    for raw in raws.values():
        with pytest.raises(MessageRefused) as refused:
            open_(profile, raw, ours)
        said.add(str(refused.value))
    assert len(said) == 1
    with pytest.raises(MessageRefused):
        open_(profile_of(party, format_, sign="RS256"), sent(party, ours, format_), ours)
    foreign = Box(SoftwareKey(ec.generate_private_key(ec.SECP256R1())), ours.signer, ours.certificate)
    with pytest.raises(MessageRefused):
        open_(profile, sent(party, ours, format_), foreign)


def test_a_ciphertext_that_another_partner_signs_does_not_open(parties: dict[str, Party], ours: Box) -> None:
    party, thief = parties["ES256"], parties["RS256"]
    taken = json.loads(sent(party, ours, "envelope"))
    at = theirs.place(NONCE, f"{WE}:thief", WE, NOW_MS)
    text = f"data={taken['data']}&encrypt={taken['encrypt']}&{at}"
    taken["sign"] = base64.b64encode(thief.signature(text.encode())).decode()
    profile = profile_of(thief, "envelope", partner="thief")
    read = receive(profile, json.dumps(taken).encode(), parties_of(profile, BOX), NOW_MS)
    with pytest.raises(MessageRefused):
        read.open(ours.opener)
    payload = sent(party, ours, "jose").decode().split(".")[1]
    header = {
        "alg": "RS256", "typ": "cinnabar-message", "cty": "JWE", "iss": f"{WE}:thief", "aud": WE, "jti": NONCE,
        "iat": NOW_MS // 1000, "x5t#S256": theirs.b64u(hashlib.sha256(thief.certificate("sign")).digest()),
    }  # fmt: skip
    text = f"{theirs.b64u(json.dumps(header).encode())}.{payload}"
    raw = f"{text}.{theirs.b64u(thief.signature(text.encode()))}".encode()
    with pytest.raises(MessageRefused, match="not opened"):
        receive(profile_of(thief, "jose", partner="thief"), raw, parties_of(profile, BOX), NOW_MS)


@pytest.mark.parametrize(
    "changed", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "RS256"}, {"typ": "JWT"}, {"cty": "json"}, {"crit": "exp"}]
)
def test_a_header_names_no_other_algorithm_and_nothing_else(
    parties: dict[str, Party], ours: Box, changed: dict[str, str]
) -> None:
    party = parties["ES256"]
    raw = theirs.write_jose(party, ours.spki, CONTENT, THEY, WE, NONCE, NOW_MS // 1000, **changed)
    with pytest.raises(MessageRefused):
        open_(profile_of(party, "jose"), raw, ours)


def test_members_swapped_twice_or_added_are_refused(parties: dict[str, Party], ours: Box) -> None:
    party = parties["ES256"]
    profile = profile_of(party, "envelope")
    one, two = (json.loads(sent(party, ours, "envelope", nonce=nonce)) for nonce in (NONCE, fresh_nonce()))
    changes: list[Callable[[], bytes]] = [
        lambda name=name: json.dumps(one | {name: two[name]}).encode()  # type: ignore[misc]
        for name in ("encrypt", "data", "nonceStr", "sign")
    ]
    changes += [
        lambda: json.dumps(one | {"timeStamp": str(NOW_MS + 1)}).encode(),
        lambda: json.dumps(one | {"timeStamp": NOW_MS}).encode(),
        lambda: json.dumps(one | {"alg": "none"}).encode(),
        lambda: json.dumps(one | {"data": one["encrypt"], "encrypt": one["data"]}).encode(),
        lambda: json.dumps({name: value for name, value in one.items() if name != "sign"}).encode(),
        lambda: json.dumps(one)[:-1].encode() + b',"data":"AAAA"}',
    ]
    for change in changes:
        with pytest.raises(MessageRefused):
            open_(profile, change(), ours)
    assert open_(profile, json.dumps(one).encode(), ours) == CONTENT


@pytest.mark.parametrize("format_", ["envelope", "jose"])
def test_no_byte_of_a_message_is_free(parties: dict[str, Party], ours: Box, format_: str) -> None:
    party = parties["ES256"]
    profile = profile_of(party, format_)
    raw = sent(party, ours, format_).replace(b" ", b"")
    assert open_(profile, raw, ours) == CONTENT

    @settings(max_examples=150)
    @given(st.integers(0, len(raw) - 1), st.integers(1, 255))
    def altered(place: int, mask: int) -> None:
        changed = raw[:place] + bytes([raw[place] ^ mask]) + raw[place + 1 :]
        with pytest.raises(MessageRefused):
            open_(profile, changed, ours)

    altered()


def test_time_is_the_profiles_window(parties: dict[str, Party], ours: Box) -> None:
    party = parties["ES256"]
    profile = profile_of(party, "envelope", window_s=60)
    read = receive(profile, sent(party, ours, "envelope"), parties_of(profile, BOX), NOW_MS)
    for away in (-60_000, 60_000):
        check_time(profile, read, NOW_MS + away)
    for away in (-60_001, 60_001):
        with pytest.raises(MessageOutOfTime):
            check_time(profile, read, NOW_MS + away)


def test_a_certificate_counts_while_it_is_valid_and_two_may_overlap(parties: dict[str, Party], ours: Box) -> None:
    party, next_ = parties["ES256"], Party(parties["ES256"].directory / "next")
    both = [base64.b64encode(one.certificate("sign")).decode() for one in (party, next_)]
    for format_ in ("envelope", "jose"):
        profile = profile_of(party, format_, sign_certificates=both)
        for one in (party, next_):
            assert open_(profile, sent(one, ours, format_), ours) == CONTENT
        late = NOW_MS + 40 * 86_400_000
        with pytest.raises(MessageRefused):
            receive(profile, sent(party, ours, format_), parties_of(profile, BOX), late)


def test_a_profile_that_is_not_sound_is_refused(parties: dict[str, Party], tmp_path: Path) -> None:
    party = parties["ES256"]
    weak = Party(tmp_path)
    theirs.openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024", "-out", tmp_path / "encrypt.key")
    theirs.openssl("req", "-x509", "-new", "-key", tmp_path / "encrypt.key", "-subj", "/CN=weak", "-out",
                   tmp_path / "encrypt.crt")  # fmt: skip
    theirs.openssl("req", "-x509", "-new", "-key", tmp_path / "sign.key", "-subj", "/CN=other", "-addext",
                   "keyUsage=critical,keyAgreement", "-out", tmp_path / "sign.crt")  # fmt: skip
    own = base64.b64encode(party.certificate("sign")).decode()
    wrong: list[dict[str, object]] = [
        {"sign_certificates": []},
        {"sign_certificates": [own, own]},
        {"sign_certificates": ["AAAA"]},
        {"sign_certificates": [base64.b64encode(weak.certificate("sign")).decode()]},
        {"encrypt_certificate": base64.b64encode(weak.certificate("encrypt")).decode()},
        {"encrypt_certificate": base64.b64encode(parties["ES384"].certificate("sign")).decode()},
        {"sign": "ES384"},
        {"calls": ["letter", "letter"]},
    ]
    for changed in wrong:
        with pytest.raises(PartnerRefused):
            check_profile(profile_of(party, "envelope", **changed))
