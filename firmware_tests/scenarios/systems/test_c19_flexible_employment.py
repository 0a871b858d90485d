"""C19: a worker's payment, tax and query records: encrypted, released on conditions, witnessed when they fail."""

from __future__ import annotations

import base64
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.client import Client
from appliance.letters.recipients import decrypt, encrypt
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    Offline,
    certified,
    day,
    digest,
    firm,
    happened,
    moment,
    number,
    refuses,
    taken_in,
    written,
    yuan,
)

not_yet(
    "C19", "K14", "encrypted anchors of these records on an outside ledger come with the anchors and privacy proofs"
)


def test_c19_paid_taxed_witnessed(
    platform: Client, supplier: Client, office: Office, offline: Offline, tmp_path: Path
) -> None:
    employer, worker = firm("灵活用工服务平台"), {"name": "骑手 马骏", "id": "150102199505050033"}
    consent = supplier.begin_letter(
        "consent",
        {
            "number": number("SQ"),
            "subject": worker,
            "recipient": employer,
            "scope": [{"item": "收款账户"}, {"item": "完税记录"}],
            "purpose": "代发劳务报酬",
            "valid_until": moment(86_400),
            "text_shown": digest("授权书"),
        },
        data={"device": "骑手 App"},
    ).happened.letter
    payment = {
        "number": number("FK"),
        "payer": employer,
        "payee": worker,
        "account": "6226 2202 1234 5678",
        "amount": yuan("3420.50"),
        "pay_on": day(),
        "basis": consent,
        "purpose": "2026年11月第三周报酬",
    }

    with shows(
        "C19", "K14", "The account stands as a salted hash in what is sealed; tax records only their reader opens"
    ):
        letter = platform.begin_letter("payment-instruction", payment).happened.letter
        assert b"6226 2202" not in platform.letter_events(letter).events[0].event
        key = ec.generate_private_key(ec.SECP256R1())
        reader, record = certified("国家税务总局某市税务局", key), "个税 12.62 元"
        fields = {"reference": number("WS"), "group": "灵活用工", "content_digest": digest(record)}
        envelopes = {"content": encrypt(record.encode(), [reader])}
        kept = platform.begin_letter("sealed-deposit", fields, envelopes=envelopes).happened
        assert decrypt(kept.beside["content.envelope"], reader, key).decode() == record

    with shows(
        "C19", "K10 K14", "A week's tax records come as one file, each encrypted to its reader before it was sent"
    ):
        rows = [[number("WS"), "灵活用工", digest(f"个税 {at}"), sealed_to(reader, f"个税 {at}")] for at in range(3)]
        rows[1][3] = "个税 1"  # in clear
        file = written(tmp_path / "tax.csv", ("编号", "组别", "内容摘要", "内容"), rows)
        places = {"编号": "fields.reference", "组别": "fields.group", "内容摘要": "fields.content_digest"}
        run, told = taken_in(platform, file, "sealed-deposit", mapping=places)
        assert (run.accepted, [(one.row, one.column) for one in told if one.code]) == (2, [(3, "内容")])
        beside = platform.letter_events(told[2].letter or "").events[0].beside
        assert decrypt(beside["content.envelope"], reader, key).decode() == "个税 2"

    with shows("C19", "K20", "A failed payment says why and who witnessed it; trying again needs a signature"):
        platform.letter_event(letter, "release")
        failure = {"reason": "收款户名不符", "witness": "民生银行 钱敏"}
        platform.letter_event(letter, "fail", data=failure)
        with refuses("approval-missing", "pay"):
            platform.letter_event(letter, "retry")
        office.event(platform, letter, "retry", by=["zhao-lei"])
        platform.letter_event(letter, "execute", data={"reference": number("LSH")})
        assert next(event.data for _, event in happened(platform, letter) if event.event == "fail") == failure

    with shows("C19", "K13", "Once the worker revokes, nothing more is paid or asked on that consent"):
        supplier.letter_event(consent, "revoke")
        later = platform.begin_letter("payment-instruction", payment | {"number": number("FK"), "purpose": "第四周"})
        with refuses("condition-not-met", "revoked"):
            platform.letter_event(later.happened.letter, "release")

    with shows("C19", "K16", "The witness statement is a file of the payment's whole course that verifies offline"):
        assert offline.passes(platform.evidence(letter))


def sealed_to(reader: x509.Certificate, text: str) -> str:
    """An envelope that the reader alone opens, as a cell holds it."""
    return base64.b64encode(encrypt(text.encode(), [reader])).decode()
