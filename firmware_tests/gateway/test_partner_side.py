"""A partner's side in Python and on the command line, and the vectors of docs/gateway.md."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from appliance.gateway import (
    AnswerRefused,
    Call,
    Parties,
    PartnerKeys,
    PartnerRefused,
    PartnerSheet,
    Sent,
    SoftwareKey,
    open_answer,
    read_message,
    write_call,
    write_message,
)
from appliance.gateway.keys import verifies
from firmware_tests.gateway.conftest import Docked
from firmware_tests.gateway.docking import Partner
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.running import CLI

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "docs/vectors/gateway.json").read_text())


@pytest.mark.parametrize("format_", ["envelope", "jose"])
def test_the_vectors_verify_and_open(format_: Any) -> None:
    raw = json.dumps(VECTORS["envelope"]).encode() if format_ == "envelope" else VECTORS["jose"].encode()
    read = read_message(format_, raw, Parties(VECTORS["sender"], VECTORS["receiver"]))
    signer = x509.load_der_x509_certificate(base64.b64decode(VECTORS["sign_certificate"])).public_key()
    assert verifies("ES256", signer, read.signature, read.signed)
    receiver = load_pem_private_key(VECTORS["receiver_key"].encode(), None)
    assert isinstance(receiver, ec.EllipticCurvePrivateKey)
    assert read.open(SoftwareKey(receiver)) == VECTORS["content"].encode()


def key_of(partner: Partner, name: str) -> Any:
    return load_pem_private_key((partner.party.directory / f"{name}.key").read_bytes(), None)


@pytest.mark.parametrize("name", ["srm-demo", "rival-demo"])
def test_the_client_half_writes_messages_and_holds_answers_to_them(docked: Docked, name: str) -> None:
    partner = docked.partners[name]
    sheet = msgspec.convert(partner.sheet(), PartnerSheet)
    keys = PartnerKeys(key_of(partner, "sign"), partner.party.certificate("sign"))
    content = write_call(Call(call="letter", letter="0" * 32))
    sent, other = (write_message(sheet, keys, content, partner.now_ms()) for _ in range(2))
    received = partner.post(sent.message).content
    own = key_of(partner, "encrypt")
    answer = open_answer(sheet, own, sent, received)
    assert answer.status == 404
    with pytest.raises(AnswerRefused, match="another message"):
        open_answer(sheet, own, other, received)
    with pytest.raises(AnswerRefused):
        open_answer(sheet, own, sent, sent.message)
    with pytest.raises(AnswerRefused):
        open_answer(sheet, own, sent, received.replace(b"A", b"B", 1))
    with pytest.raises(AnswerRefused):
        open_answer(sheet, ec.generate_private_key(ec.SECP256R1()), Sent(sent.message, sent.nonce), received)
    with pytest.raises(PartnerRefused):
        write_message(sheet, PartnerKeys(ec.generate_private_key(ec.SECP384R1()), b""), content, partner.now_ms())


def test_a_partner_by_hand(docked: Docked, srm: Partner, tmp_path: Path) -> None:
    party, clients = srm.party.directory, docked.box.home.clients
    who = ["--url", docked.box.url, "--cert", clients / "srm-demo.crt", "--key", clients / "srm-demo.key",
           "--ca", docked.box.home.trust / "box-ca.pem"]  # fmt: skip

    def gateway(*arguments: object, status: int = 0) -> str:
        done = subprocess.run((*CLI, "gateway", *map(str, arguments)), capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    sheet, call, message, answer = (tmp_path / name for name in ("sheet.json", "call.json", "message", "answer"))
    sheet.write_text(gateway("sheet", *who, "srm"))
    fields = FIELDS | {"tender_code": "T-by-hand"}
    call.write_text(json.dumps({"call": "begin", "request": {"kind": "bid-bond", "fields": fields}}))
    signing = ["--sign-key", party / "sign.key", "--sign-cert", party / "sign.crt"]
    gateway("seal", call, "--sheet", sheet, *signing, "--output", message)
    answer.write_bytes(srm.post(message.read_bytes()).content)
    opening = ["--encrypt-key", party / "encrypt.key"]
    begun = json.loads(gateway("open", answer, "--message", message, "--sheet", sheet, *opening))
    assert begun["state"] == "issued"
    refused = json.loads(gateway("send", *who, "srm", call, *signing, *opening, status=1))
    assert refused["type"] == "urn:cinnabar:problem:taken"
