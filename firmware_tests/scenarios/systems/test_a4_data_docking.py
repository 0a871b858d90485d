"""A4: a platform docks with the guarantor: both sides known by certificate, content for the other's eyes only."""

from __future__ import annotations

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.client import Client
from appliance.letters.errors import RecipientRefused
from appliance.letters.recipients import decrypt, encrypt
from firmware_tests.running import RunningBox
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.practice import again, certified, digest, number, refuses

not_yet("A4", "K4", "partners' own signed messages, their profiles and replay by nonce come with the gateway")


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
