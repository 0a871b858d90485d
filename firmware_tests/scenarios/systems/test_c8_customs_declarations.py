"""C8: is the declaration genuine, what is left of it, was it used; the loan from application to repayment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from appliance.client import Client
from appliance.letters.question import RegisterAnswer
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    digest,
    digits,
    dollars,
    firm,
    fresh,
    moment,
    number,
    receipt,
    refuses,
    story,
    taken_in,
)

BANK = firm("中国银行厦门分行")


def consented(client: Client, exporter: dict[str, str]) -> str:
    fields = {
        "number": number("SQ"),
        "subject": exporter,
        "recipient": BANK,
        "scope": [{"item": "报关单"}, {"item": "收付汇"}],
        "purpose": "出口应收账款融资核验",
        "valid_until": moment(86_400),
        "text_shown": digest("查询授权书"),
    }
    return client.begin_letter("consent", fields, data={"device": "企业网银"}).happened.letter


def test_c8_never_more_than_the_declaration(
    bank: Client, second_bank: Client, offline: Offline, tmp_path: Path
) -> None:
    exporter, declaration = firm("厦门石材出口有限公司"), digits(18)

    def application(client: Client, amount: str, **other: Any) -> dict[str, Any]:
        return {
            "number": number("RZ"),
            "declaration": declaration,
            "declared": dollars("100000.00"),
            "exporter": exporter,
            "bank": BANK,
            "amount": dollars(amount),
            "due": day(90),
            "consent": consented(client, exporter),
        } | other

    def lend(client: Client, letter: str) -> str:
        client.letter_event(letter, "verify", receipts=[receipt("safe", "核验回执")])
        return client.letter_event(letter, "lend").state

    given = consented(bank, exporter)
    inquiry = {
        "asker": BANK,
        "source": firm("国家外汇管理局跨境服务平台"),
        "consent": given,
        "items": [{"item": "收付汇"}],
        "purpose": "出口应收账款融资核验",
        "question": fresh("收付汇分类等级"),
        "subject": exporter,
    }

    with shows("C8", "K13", "No inquiry and no application without the exporter's own consent"):
        foreign = consented(bank, firm("别家出口公司"))
        with refuses("condition-not-met", "subject"):
            bank.begin_letter("customs-financing", application(bank, "50000.00", consent=foreign))
        with refuses("condition-not-met", "/fields/subject/id"):
            bank.begin_letter("query-receipt", inquiry | {"consent": foreign})

    with shows(
        "C8", "K13", "The foreign-exchange inquiry is asked under the consent; question and answer leave a receipt"
    ):
        asked = bank.begin_letter("query-receipt", inquiry).happened.letter
        assert bank.letter_event(asked, "answer", data={"answer": digest("A 类")}).state == "answered"
        bank.letter_event(given, "revoke")
        with refuses("condition-not-met", "revoked"):
            bank.begin_letter("query-receipt", inquiry)

    with shows("C8", "K8", "The commercial invoice behind it is registered once"):
        invoice = {
            "invoice_code": digits(12),
            "invoice_number": digits(8),
            "seller": exporter,
            "buyer": firm("Lisboa Stone Lda"),
            "amount": dollars("100000.00"),
            "issued_on": day(),
        }
        bank.begin_letter("invoice", invoice, receipts=[receipt("tax-office", "查验结果")])
        with refuses("taken"):
            bank.begin_letter("invoice", invoice, receipts=[receipt("tax-office", "查验结果")])

    with shows("C8", "K8 K6", "A first bank lends part of the declaration's value, after the authority's receipt"):
        first = bank.begin_letter("customs-financing", application(bank, "50000.00")).happened.letter
        with refuses("event-refused", "applied"):
            bank.letter_event(first, "lend")
        assert lend(bank, first) == "lent"

    with shows("C8", "K8", "Another bank lends on the same declaration what is left, and not a cent more"):
        second = second_bank.begin_letter("customs-financing", application(second_bank, "40000.00")).happened.letter
        assert lend(second_bank, second) == "lent"
        third = second_bank.begin_letter("customs-financing", application(second_bank, "10000.01")).happened.letter
        second_bank.letter_event(third, "verify", receipts=[receipt("safe", "核验回执")])
        with refuses("taken"):
            second_bank.letter_event(third, "lend")
        with refuses("not-found"):
            second_bank.letter(first)

    with shows(
        "C8",
        "K8",
        "Whether so much of it is left is asked without applying; each answer is sealed, and metered",
    ):

        def left(client: Client, amount: str, number: str = declaration) -> bool:
            asked = {"declaration": number, "declared": dollars("100000.00")}
            told = client.ask_register("customs-financing", "declaration", asked, amount=dollars(amount))
            said = msgspec.json.decode(offline.content(told.seal), type=RegisterAnswer)
            assert (said.available, said.fields, said.amount) == (told.available, asked, dollars(amount))
            assert client.record(told.record).artifact == told.seal
            assert told.left is None  # a register of several banks: how much is left of it would tell of the others
            return told.available

        assert [left(bank, one) for one in ("10000.00", "10000.01")] == [True, False]
        assert left(second_bank, "10000.00")
        assert left(bank, "100000.00", digits(18))
        assert not left(bank, "100000.01", digits(18))

    with shows("C8", "K8 K6", "What the first repays is free again, and is lent to the third"):
        bank.letter_event(first, "repay", data={"repaid": dollars("50000.00")})
        assert story(bank, first) == ["apply", "verify", "lend", "repay"]
        assert second_bank.letter_event(third, "lend").state == "lent"

    file = tmp_path / "declarations.ndjson"
    lines = [
        application(bank, "1000.00", declaration=digits(18)),
        application(bank, "1000.00", declaration="123"),
        application(bank, "0.00", declaration=digits(18)),
        application(bank, "1000.00", declaration=digits(18), consent=consented(bank, firm("别家出口公司"))),
    ]
    file.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))

    with shows("C8", "K10", "A whole file of declarations is checked: a verdict each, and nothing is applied for"):
        run, told = taken_in(bank, file, "customs-financing", check=True)
        assert (run.state, run.rows) == ("done", 4)
        assert [(verdict.verdict, verdict.column) for verdict in told] == [
            ("accepted", None),
            ("refused", "declaration"),
            ("refused", "amount"),
            ("refused", "exporter"),
        ]
        applied = {letter.fields["number"] for letter in bank.letters(kind="customs-financing").letters}
        assert lines[0]["number"] not in applied

    with shows("C8", "K10 K8", "Taken in, the sound ones are applied for, once however often the file is sent"):
        run, told = taken_in(bank, file, "customs-financing")
        assert (run.accepted, run.refused) == (1, 3)
        again, repeated = taken_in(bank, file, "customs-financing")
        assert (again.duplicate, again.refused, repeated[0].letter) == (1, 3, told[0].letter)
