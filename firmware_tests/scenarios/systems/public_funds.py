"""What the rows about public funds begin with: a signed contract, an allocation on it, a payment under it."""

from __future__ import annotations

from typing import Any

from appliance.client import Client
from firmware_tests.scenarios.systems.practice import day, firm, fresh, number, yuan

LEVELS = ("zhou-qiang", "wu-min", "zheng-kai")
"""Village, township, county: the order in which they sign."""


def contract(client: Client, builder: dict[str, str], *, signed: bool = True) -> str:
    """A building contract, signed by both sides."""
    fields = {
        "number": number("HT"),
        "title_text": "安置房施工合同",
        "first_party": firm("雄安新区容城县住建局"),
        "second_party": builder,
        "amount": yuan("3000000.00"),
        "document": fresh("合同文本"),
    }
    letter = client.begin_letter("contract", fields).happened.letter
    if signed:
        signature = {"consent": fresh("签署意愿"), "device": "政务外网 172.16.4.2"}
        client.letter_event(letter, "sign-first", data={"signer": "王县长", **signature})
        client.letter_event(letter, "sign-second", data={"signer": "刘项目经理", **signature})
    return letter


def allocation(builder: dict[str, str], contract_letter: str, amount: str = "20000.00", **other: Any) -> dict[str, Any]:
    """An application for funds under that contract."""
    return {
        "number": number("BF"),
        "project": "容东片区安置房",
        "recipient": builder,
        "applicant": firm("雄安新区容东片区管委会"),
        "amount": yuan(amount),
        "contract": contract_letter,
        "fund": "征迁安置专项资金 2026",
    } | other


def paid(client: Client, basis: str, payee: dict[str, str], amount: str, purpose: str) -> str:
    """A payment that was released on the allocation and executed by the bank."""
    letter = instruction(client, basis, payee, amount, purpose)
    client.letter_event(letter, "release")
    client.letter_event(letter, "execute", data={"reference": number("LSH")})
    return letter


def instruction(client: Client, basis: str, payee: dict[str, str], amount: str, purpose: str) -> str:
    fields = {
        "number": number("FK"),
        "payer": firm("雄安新区容城县财政局"),
        "payee": payee,
        "account": "6222 0200 0000 0000",
        "amount": yuan(amount),
        "pay_on": day(),
        "basis": basis,
        "purpose": purpose,
    }
    return client.begin_letter("payment-instruction", fields).happened.letter
