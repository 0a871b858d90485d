"""A4: a platform docks with the guarantor: both sides known by certificate, content for the other's eyes only."""

from __future__ import annotations

import base64

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.client import Client
from appliance.letters.errors import RecipientRefused
from appliance.letters.recipients import decrypt, encrypt
from firmware_tests.gateway.docking import Partner
from firmware_tests.running import RunningBox
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.practice import again, certified, digest, number, refusal, refuses


def test_a4_messages_are_encrypted_signed_and_answered_once(
    town: RunningBox, platform: Client, guarantor: Client
) -> None:
    with shows("A4", "K4", "Only a caller with a certificate of the box's CA that is on the register is answered"):
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{town.url}/v1/letters").raise_for_status()

    application = '{"投标人":"华南市政建设有限公司","担保金额":"500000.00"}'.encode()
    theirs, ours = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    insurer = certified("粤安财产保险", theirs)
    envelope = encrypt(application, [insurer])
    fields = {"reference": number("BW"), "group": "电子保函平台", "content_digest": digest(application)}

    with shows("A4", "K4", "The content is encrypted to the insurer: it reads it, the box and others do not"):
        sent = platform.begin_letter("sealed-deposit", fields, envelopes={"content": envelope})
        kept = platform.letter_events(sent.happened.letter).events[0]
        assert application not in b"".join([kept.event, *kept.beside.values()])
        assert decrypt(kept.beside["content.envelope"], insurer, theirs) == application
        with pytest.raises(RecipientRefused):
            decrypt(kept.beside["content.envelope"], certified("他人", ours), ours)

    with shows("A4", "K4", "The same message again is answered as before and does not happen twice"):
        key, more = again(), fields | {"reference": number("BW")}
        first = platform.begin_letter("sealed-deposit", more, envelopes={"content": envelope}, idempotency_key=key)
        second = platform.begin_letter("sealed-deposit", more, envelopes={"content": envelope}, idempotency_key=key)
        assert second == first
        with refuses("idempotency-conflict"):
            platform.begin_letter("sealed-deposit", fields, envelopes={"content": envelope}, idempotency_key=key)

    with shows("A4", "K4", "The other institution finds no such letter: docking shares what is sent, nothing else"):
        with refuses("not-found"):
            guarantor.letter(sent.happened.letter)


def test_a4_a_partners_messages_are_its_own(guarantor: Client, docks: dict[str, Partner]) -> None:
    centre, other = docks["trade-centre"], docks["reguarantor"]
    fields = {"reference": number("BW"), "group": "电子保函平台", "content_digest": digest("投标信息")}
    insurer = certified("粤安财产保险", ec.generate_private_key(ec.SECP256R1()))
    envelope = base64.b64encode(encrypt("投标信息".encode(), [insurer])).decode()
    asked = {"kind": "sealed-deposit", "fields": fields, "envelopes": {"content": envelope}}
    call = {"call": "begin", "request": asked}

    with shows("A4", "K4", "Each message is signed by the partner's own key and encrypted to the guarantor's HSM"):
        message = centre.write(call)
        assert fields["reference"].encode() not in message
        answer = centre.post(message).content
        letter = centre.read(answer)["body"]["happened"]["letter"]
        assert guarantor.letter(letter).fields["reference"] == fields["reference"]
        forged = other.write(call, sender=centre.sheet()["partner"])
        assert centre.post(forged).json()["type"] == "urn:cinnabar:problem:message-refused"

    with shows(
        "A4", "K4", "The same message again gets the same bytes and happens once; its nonce serves no other one"
    ):
        assert centre.post(message).content == answer
        nonce = "n" * 40
        assert centre.ask({"call": "letter", "letter": letter}, nonce=nonce)["body"]["number"] == 1
        replayed = centre.post(centre.write({"call": "letter", "letter": letter}, nonce=nonce))
        assert replayed.json()["type"] == "urn:cinnabar:problem:message-replayed"
        late = centre.post(centre.write(call, time_ms=centre.now_ms() - 3_600_000))
        assert late.json()["type"] == "urn:cinnabar:problem:message-out-of-time"

    with shows("A4", "K4", "A partner asks for what its profile allows and reaches nothing else of the box"):
        refused = centre.ask({"call": "begin", "request": {"kind": "attestation", "fields": {}}})
        assert refusal(refused) == "call-not-permitted"
        assert refusal(other.ask({"call": "letter", "letter": letter})) == "not-found"
        assert centre.http.get("/v1/letters").status_code == 404
