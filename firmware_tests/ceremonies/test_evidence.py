"""An officer's statement holds only as she made it: every other spelling of every part is refused."""

from __future__ import annotations

import base64
import contextlib
import copy
import datetime
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import cbor2
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs7
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.base64url import from_base64url, to_base64url
from appliance.ceremonies import (
    BOX,
    Constitution,
    DocumentRefused,
    StatementRefused,
    VerifiedStatement,
    challenge,
    check_constitution,
)
from appliance.ceremonies.constitution import ApprovalRules, Scope
from appliance.ceremonies.cose import KEY_BYTES, read_cose_key
from appliance.ceremonies.evidence import verify_statement
from appliance.ceremonies.statements import CardEvidence, PasskeyEvidence, Statement
from appliance.ceremonies.webauthn import read_authenticator_data
from firmware_tests.officers import (
    ATTESTED,
    BACKED_UP,
    BACKUP_ELIGIBLE,
    EXTENSIONS,
    ORIGIN,
    RP_ID,
    USER_PRESENT,
    USER_VERIFIED,
    CardOfficer,
    SoftwareOfficer,
    card_certificate,
)
from hsm.testing.softhsm import SoftHsm

NOW = datetime.datetime.now(datetime.UTC)
DIGEST, OTHER = "ab" * 32, "cd" * 32
PRESENT = USER_PRESENT | USER_VERIFIED
ANN, BO = SoftwareOfficer("ann"), SoftwareOfficer("bo")


def law(*officers: SoftwareOfficer | CardOfficer, **rules: Any) -> Constitution:
    everyone = [*officers, ANN, BO]
    return Constitution(
        box="0" * 32,
        rehearsal=True,
        version=1,
        previous=None,
        issued="2026-11-22T00:00:00Z",
        rules=ApprovalRules(**({"rp_id": RP_ID, "origins": [ORIGIN]} | rules)),
        persons=[one.person() for one in everyone],
        scopes=[Scope(name=BOX, officers=[one.name for one in everyone], threshold=1)],
    )


LAW = law()


def evidence(statement: Statement) -> PasskeyEvidence:
    assert isinstance(statement.evidence, PasskeyEvidence)
    return statement.evidence


def altered(statement: Statement, **parts: str) -> Statement:
    return msgspec.structs.replace(statement, evidence=msgspec.structs.replace(statement.evidence, **parts))


def refused(statement: Statement, constitution: Constitution = LAW, why: str | None = None) -> None:
    with pytest.raises(StatementRefused, match=why):
        verify_statement(constitution, statement, NOW)


@pytest.mark.parametrize("algorithm", ["es256", "es384", "es512", "eddsa", "rs256"])
def test_a_statement_holds_for_its_verb_and_proposal_only(algorithm: str) -> None:
    officer = SoftwareOfficer("cai", algorithm)
    mine = law(officer)
    said = officer.sign("approve", DIGEST)
    found = verify_statement(mine, said, NOW)
    assert found == VerifiedStatement("approve", DIGEST, "cai", to_base64url(officer.credential_id), NOW)
    for verb in ("request", "reject", "take-away", "accept"):
        refused(msgspec.structs.replace(said, verb=verb), mine, "another challenge")
    refused(msgspec.structs.replace(said, proposal=OTHER), mine, "another challenge")
    refused(msgspec.structs.replace(said, officer="ann"), mine, "no such officer")
    refused(altered(said, signature=evidence(officer.sign("approve", OTHER)).signature), mine, "does not fit")


def test_the_challenge_is_what_the_documents_say() -> None:
    expected = hashlib.sha256(b"cinnabar statement v1\x00approve\x00" + bytes.fromhex(DIGEST)).digest()
    assert challenge("approve", DIGEST) == expected


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"origin": "https://evil.localhost:8443"}, "origin"),
        ({"origin": "https://approve.localhost"}, "origin"),
        ({"origin": "http://approve.localhost:8443"}, "origin"),
        ({"origin": ORIGIN + "/"}, "origin"),
        ({"origin": ORIGIN.upper()}, "origin"),
        ({"more": {"origin": [ORIGIN]}}, "origin"),
        ({"more": {"crossOrigin": True}}, "another site"),
        ({"more": {"crossOrigin": None}}, "another site"),
        ({"more": {"crossOrigin": "false"}}, "another site"),
        ({"more": {"crossOrigin": 0}}, "another site"),
        ({"more": {"topOrigin": ORIGIN}}, "another site"),
        ({"more": {"challenge": 7}}, "no challenge"),
        ({"more": {"challenge": "é"}}, "no challenge"),
        ({"kind": "webauthn.create"}, "another type"),
        ({"kind": "payment.get"}, "another type"),
        ({"signed_challenge": b"x" * 32}, "another challenge"),
        ({"signed_challenge": b""}, "another challenge"),
        ({"rp_id": "localhost"}, "another relying party"),
        ({"rp_id": "manage.localhost"}, "another relying party"),
        ({"flags": USER_PRESENT}, "verify its user"),
        ({"flags": USER_VERIFIED}, "verify its user"),
        ({"flags": 0}, "verify its user"),
        ({"flags": PRESENT | BACKUP_ELIGIBLE}, "about copies"),
        ({"flags": PRESENT | BACKED_UP}, "cannot be copied"),
        ({"flags": PRESENT | EXTENSIONS}, "not CBOR"),
        ({"flags": PRESENT | EXTENSIONS, "after": b"\x01"}, "no map"),
        ({"flags": PRESENT | EXTENSIONS, "after": b"\xa0\x00"}, "bytes follow"),
        ({"after": b"\x00"}, "bytes follow"),
        ({"client_data": b""}, "one JSON object"),
        ({"client_data": b"[]"}, "one JSON object"),
        ({"client_data": b"[" * 8000}, "one JSON object"),
        ({"client_data": b"\xff\xfe{}"}, "one JSON object"),
        ({"client_data": b" " * 9000}, "at most"),
        ({"officer": "bo"}, "no such officer"),
        ({"officer": "nobody"}, "no such officer"),
        ({"credential": to_base64url(b"a sign-in passkey of the same officer")}, "no such officer"),
        ({"officer": "bo", "credential": to_base64url(BO.credential_id)}, "does not fit"),
    ],
)
def test_what_an_attacker_could_bring_is_refused(knobs: dict[str, Any], why: str) -> None:
    refused(ANN.sign("approve", DIGEST, **knobs), why=why)


def test_what_browsers_add_does_no_harm() -> None:
    for knobs in (
        {"more": {"other_keys_can_be_added_here": "do not compare clientDataJSON against a template."}},
        {"flags": PRESENT | EXTENSIONS, "after": cbor2.dumps({"credProps": True})},
        {"counter": 4_000_000_000},
        {"flags": PRESENT | 0x22},  # bits reserved for later
    ):
        verify_statement(LAW, ANN.sign("approve", DIGEST, **knobs), NOW)
    without = {"type": "webauthn.get", "challenge": to_base64url(challenge("approve", DIGEST)), "origin": ORIGIN}
    verify_statement(LAW, ANN.sign("approve", DIGEST, client_data=json.dumps(without).encode()), NOW)


def test_a_member_that_stands_twice_is_refused() -> None:
    text = from_base64url(evidence(ANN.sign("approve", DIGEST)).client_data_json)
    twice = b'{"challenge":"AAAA",' + text[1:]
    refused(ANN.sign("approve", DIGEST, client_data=twice), why="one JSON object")


def test_a_registration_is_no_statement() -> None:
    made = ANN.register(challenge("approve", DIGEST))
    attested = cbor2.loads(from_base64url(made["response"]["attestationObject"]))["authData"]
    refused(altered(ANN.sign("approve", DIGEST), authenticator_data=to_base64url(attested)), why="of its own")
    said = ANN.sign("approve", DIGEST, flags=PRESENT | ATTESTED, after=attested[37:])
    refused(said, why="of its own")


def test_copies_are_permitted_by_the_constitution_only() -> None:
    copied = SoftwareOfficer("cai", backup_eligible=True)
    refused(copied.sign("approve", DIGEST), law(copied), "copied are not permitted")
    verify_statement(law(copied, backup_eligible=True), copied.sign("approve", DIGEST), NOW)
    synced = copied.sign("approve", DIGEST, flags=PRESENT | BACKED_UP)
    verify_statement(law(copied, backup_eligible=True), synced, NOW)


def test_a_passkey_of_a_former_relying_party_is_refused() -> None:
    moved = SoftwareOfficer("cai", rp_id="approve.old.example", origin="https://approve.old.example")
    rules = {"origins": [ORIGIN, "https://approve.old.example"]}
    refused(moved.sign("approve", DIGEST), law(moved, **rules), "another relying party")
    refused(moved.sign("approve", DIGEST, rp_id=RP_ID), law(moved, **rules), "another relying party")


def test_one_spelling_of_the_evidence() -> None:
    said = evidence(ANN.sign("approve", DIGEST))
    for text in (said.signature + "=", said.signature + "A", "+" + said.signature[1:], "!", "A"):
        refused(altered(ANN.sign("approve", DIGEST), signature=text))


@settings(max_examples=300)
@given(st.sampled_from(["authenticator_data", "client_data_json", "signature"]), st.integers(0), st.integers(1, 255))
def test_every_bit_of_the_evidence_counts(part: str, place: int, change: int) -> None:
    said = ANN.sign("approve", DIGEST)
    data = bytearray(from_base64url(getattr(said.evidence, part)))
    data[place % len(data)] ^= change
    refused(altered(said, **{part: to_base64url(bytes(data))}))


@settings(max_examples=300)
@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=100))
def test_nonsense_is_refused_and_breaks_nothing(data: bytes, client: bytes, signature: bytes) -> None:
    said = ANN.sign("approve", DIGEST)
    parts = {"authenticator_data": data, "client_data_json": client, "signature": signature}
    refused(altered(said, **{name: to_base64url(value) for name, value in parts.items()}))
    for reader in (read_authenticator_data, read_cose_key):
        with contextlib.suppress(StatementRefused):
            reader(b"\x00" * 32 + data)


@pytest.mark.parametrize(
    "change",
    [
        {1: 3},
        {3: -8},
        {3: -65535},  # RSA with SHA-1
        {3: -47},  # secp256k1
        {-1: 2},
        {-2: b"\x01" * 32},  # no point of the curve
        {-2: b"\x00" * 33},
        {-2: 5},
        {4: [2]},
    ],
)
def test_keys_of_other_kinds_are_refused(change: dict[int, Any]) -> None:
    key = cbor2.loads(ANN.public_key)
    with pytest.raises(StatementRefused):
        read_cose_key(cbor2.dumps(key | change, canonical=True))


def test_a_key_has_one_encoding() -> None:
    key = cbor2.loads(ANN.public_key)
    read_cose_key(ANN.public_key)
    for other in (
        cbor2.dumps(dict(reversed(key.items()))),
        ANN.public_key + b"\x00",
        b"\xbf" + ANN.public_key[1:] + b"\xff",
        b"\x00" * (KEY_BYTES + 1),
        b"",
    ):
        with pytest.raises(StatementRefused):
            read_cose_key(other)
    rsa = cbor2.loads(SoftwareOfficer("r", "rs256").public_key)
    for change in ({-1: b"\0" + rsa[-1]}, {-2: b"\0\1\0\1"}, {-1: rsa[-1][:128]}, {-1: rsa[-1] * 5}, {-2: b"\x02"}):
        with pytest.raises(StatementRefused):
            read_cose_key(cbor2.dumps(rsa | change, canonical=True))


@pytest.mark.parametrize("change", [{1: True}, {1: 1.0}, {3: 3.0}, {-1: -1.0}])
def test_a_key_s_labels_are_whole_numbers(change: dict[int, Any]) -> None:
    """True and 1.0 equal 1 for Python and are other bytes: the same key would have another encoding."""
    key = cbor2.loads(ANN.public_key)
    other = cbor2.dumps({change.get(label, label): value for label, value in key.items()}, canonical=True)
    assert other != ANN.public_key
    with pytest.raises(StatementRefused):
        read_cose_key(other)


@pytest.mark.parametrize("change", [{1: 2.0}, {3: -7.0}, {-1: 1.0}, {-1: True}])
def test_a_key_s_parameters_are_whole_numbers(change: dict[int, Any]) -> None:
    other = cbor2.dumps(cbor2.loads(ANN.public_key) | change, canonical=True)
    assert other != ANN.public_key
    with pytest.raises(StatementRefused):
        read_cose_key(other)


# Cards


@pytest.fixture(scope="module")
def card(softhsm: SoftHsm) -> CardOfficer:
    return CardOfficer("cara", softhsm.token().open())


def signed_data(statement: Statement) -> bytes:
    assert isinstance(statement.evidence, CardEvidence)
    return from_base64url(statement.evidence.signed_data)


def test_a_card_signs_statements(card: CardOfficer, softhsm: SoftHsm) -> None:
    mine = law(card)
    said = card.sign("approve", DIGEST)
    assert verify_statement(mine, said, NOW).officer == "cara"
    refused(msgspec.structs.replace(said, verb="reject"), mine, "another challenge")
    refused(msgspec.structs.replace(said, proposal=OTHER), mine, "another challenge")
    refused(card.sign("approve", DIGEST, content=b"x" * 32), mine, "another challenge")
    binary, detached = pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.DetachedSignature
    refused(card.sign("approve", DIGEST, options=(binary,)), mine, "detached")
    refused(card.sign("approve", DIGEST, options=(binary, detached, pkcs7.PKCS7Options.NoAttributes)), mine)
    verify_statement(mine, card.sign("approve", DIGEST, options=(binary, detached, pkcs7.PKCS7Options.NoCerts)), NOW)
    stranger = CardOfficer("cara", softhsm.token().open())
    refused(stranger.sign("approve", DIGEST), mine, "no such officer")
    forged = msgspec.structs.replace(stranger.sign("approve", DIGEST), credential=card.credential().id)
    refused(forged, mine, "another certificate")
    impostor = msgspec.structs.replace(
        stranger.sign("approve", DIGEST, certificate=None, options=(binary, detached, pkcs7.PKCS7Options.NoCerts)),
        credential=card.credential().id,
    )
    refused(impostor, mine, "another certificate")


def test_a_card_is_not_a_passkey(card: CardOfficer) -> None:
    mine = law(card)
    passkey = ANN.sign("approve", DIGEST, officer="cara", credential=card.credential().id)
    refused(passkey, mine, "another kind")
    as_ann = msgspec.structs.replace(
        card.sign("approve", DIGEST), officer="ann", credential=to_base64url(ANN.credential_id)
    )
    refused(as_ann, mine, "another kind")


def test_a_card_is_valid_in_its_time(softhsm: SoftHsm) -> None:
    day = datetime.timedelta(days=1)
    now = NOW.replace(microsecond=0)
    officer = CardOfficer("cara", softhsm.token().open(), valid=(now - 2 * day, now - day))
    said = officer.sign("approve", DIGEST)
    refused(said, law(officer), "not valid at this time")
    verify_statement(law(officer), said, now - day)
    with pytest.raises(StatementRefused):
        verify_statement(law(officer), said, now - 3 * day)


@settings(max_examples=200)
@given(place=st.integers(0), change=st.integers(1, 255))
def test_every_bit_of_a_card_s_signature_counts(card: CardOfficer, place: int, change: int) -> None:
    """Of the signer's part: certificates that come along are compared whole, and the version numbers say nothing."""
    said = card.sign("approve", DIGEST)
    whole = bytearray(signed_data(said))
    certificate = card.certificate.public_bytes(serialization.Encoding.DER)
    start = bytes(whole).index(certificate) + len(certificate)
    at = start + place % (len(whole) - start)
    whole[at] ^= change
    evidence = CardEvidence(signed_data=to_base64url(bytes(whole)))
    try:
        verify_statement(law(card), msgspec.structs.replace(said, evidence=evidence), NOW)
    except StatementRefused:
        return
    assert _same_meaning(bytes(whole), signed_data(said)), f"byte {at} may be changed"


def _same_meaning(one: bytes, other: bytes) -> bool:
    """The version of SignerInfo is read and believed by nobody (RFC 5652, section 5.3)."""
    places = [place for place in range(len(one)) if one[place] != other[place]]
    return len(places) == 1 and other[places[0] - 2 : places[0] + 1] == b"\x02\x01\x01"


@settings(max_examples=200)
@given(data=st.binary(max_size=400))
def test_nonsense_from_a_card_is_refused(card: CardOfficer, data: bytes) -> None:
    said = card.sign("approve", DIGEST)
    whole = signed_data(said)
    for text in (data, whole[: len(data)], whole + data or b"\0"):
        if text == whole:
            continue
        refused(msgspec.structs.replace(said, evidence=CardEvidence(signed_data=to_base64url(text))), law(card))


def test_openssl_agrees_about_cards(card: CardOfficer, tmp_path: Path) -> None:
    """The commands of docs/approvals.md."""
    (tmp_path / "statement.p7s").write_bytes(signed_data(card.sign("approve", DIGEST)))
    (tmp_path / "challenge").write_bytes(challenge("approve", DIGEST))
    (tmp_path / "card.pem").write_bytes(card.certificate.public_bytes(serialization.Encoding.PEM))
    command = "openssl cms -verify -inform DER -in statement.p7s -content challenge -binary -certfile card.pem"
    done = subprocess.run(
        [*command.split(), "-nointern", "-noverify", "-out", "checked"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checked").read_bytes() == challenge("approve", DIGEST)


def test_openssl_makes_card_statements(tmp_path: Path, softhsm: SoftHsm) -> None:
    """A card that other software signs with: the CMS of openssl, with its own attributes and order, holds too."""
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem"
    subject = "-days 9 -subj /CN=ola -addext keyUsage=digitalSignature"
    subprocess.run(
        f"openssl req -x509 {key} -out card.pem {subject}".split(),
        cwd=tmp_path, capture_output=True, check=True,
    )  # fmt: skip
    (tmp_path / "challenge").write_bytes(challenge("approve", DIGEST))
    for option in ("-nocerts", "-keyid", "-nosmimecap"):
        subprocess.run(
            f"openssl cms -sign -binary -in challenge -signer card.pem -inkey key.pem -md sha256 -outform DER {option} "
            "-out statement.p7s".split(),
            cwd=tmp_path, capture_output=True, check=True,
        )  # fmt: skip
        encoded = subprocess.run(
            ["openssl", "x509", "-in", "card.pem", "-outform", "DER"], cwd=tmp_path, capture_output=True, check=True
        ).stdout
        person = ANN.person()
        credential = msgspec.structs.replace(
            ANN.credential(),
            kind="card",
            id=hashlib.sha256(encoded).hexdigest(),
            public_key=base64.b64encode(encoded).decode(),
        )
        persons = [msgspec.structs.replace(person, credentials=[credential]), BO.person()]
        said = Statement(
            verb="approve",
            proposal=DIGEST,
            officer="ann",
            credential=credential.id,
            evidence=CardEvidence(signed_data=to_base64url((tmp_path / "statement.p7s").read_bytes())),
        )
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
        verify_statement(msgspec.structs.replace(LAW, persons=persons), said, at)


def test_a_card_s_key_is_one_person_s(card: CardOfficer) -> None:
    """Rule 1 is of the key: another certificate over it makes no second officer of one card."""
    second = copy.copy(card)
    second.name, second.certificate = "carl", card_certificate("carl", card.key)
    assert second.certificate.public_key() == card.certificate.public_key()
    mine = law(card, second)
    verify_statement(mine, second.sign("approve", DIGEST), NOW)  # one card, two voices
    with pytest.raises(DocumentRefused, match="public key"):
        check_constitution(mine)
