"""B2: projects are filed row by row, checked, de-duplicated, run again; then live until compensation and recovery."""

from __future__ import annotations

from appliance.client import Client
from appliance.client.errors import Refused
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import again, day, firm, fresh, number, refuses, story, yuan
from firmware_tests.scenarios.systems.reguarantee import project, terms_in_force

not_yet(
    "B2", "K10", "intake of whole CSV, XLSX and NDJSON files with progress is not in the API yet; rows are sent singly"
)
not_yet("B2", "K6", "reminders of what falls due are not in the API yet")


def test_b2_projects_from_filing_to_recovery(guarantor: Client, office: Office) -> None:
    product = terms_in_force(guarantor, office)
    one, two, three = project(product), project(product, "2000000.00"), project(product)
    rows = [one, two, three | {"industry": "机械"}, one | {"liability": yuan("1.00")}]
    keys = [again() for _ in rows]

    def run() -> list[str]:
        verdicts = []
        for row, key in zip(rows, keys, strict=True):
            try:
                verdicts.append(guarantor.begin_letter("guarantee-project", row, idempotency_key=key).happened.letter)
            except Refused as error:
                verdicts.append(f"{error.code} {error.problem.detail.partition(':')[0]}".strip())
        return verdicts

    with shows("B2", "K10", "Each row of a batch gets a verdict: filed, wrong in a named field, or filed before"):
        first = run()
        assert [len(verdict) for verdict in first[:2]] == [32, 32]
        assert first[2] == "field-refused /fields/industry"
        assert first[3].startswith("taken")

    with shows("B2", "K10 K8", "The same batch run again gives the same letters and files nothing twice"):
        assert run() == first
        filed = {letter.letter for letter in guarantor.letters(kind="guarantee-project").letters}
        assert set(first[:2]) <= filed

    with shows("B2", "K6", "Filed, accepted, liability released in part as the debt is repaid, then in full"):
        letter = first[1]
        guarantor.letter_event(letter, "accept")
        guarantor.letter_event(letter, "repay", data={"repaid": yuan("500000.00")})
        assert guarantor.letter(letter).balance == "1500000.00"
        guarantor.letter_event(letter, "release")
        assert story(guarantor, letter) == ["file", "accept", "repay", "release"]

    claimed = first[0]
    guarantor.letter_event(claimed, "accept")
    asked = {"overdue": yuan("2800000.00"), "documents": fresh("代偿资料")}
    guarantor.letter_event(claimed, "claim", data=asked)
    compensation = guarantor.begin_letter(
        "compensation",
        {
            "project_number": one["project_number"],
            "payee": one["institution"],
            "amount": yuan("1120000.00"),
            "reason": "被担保人停产，贷款逾期九十日",
        },
    ).happened.letter

    with shows("B2", "K20 K6", "A project counts as compensated only once its compensation is approved and paid"):
        with refuses("condition-not-met", "proposed"):
            guarantor.letter_event(claimed, "compensate", data={"compensation": compensation})
        paid = {"payment": number("LSH")}
        office.event(guarantor, compensation, "pay", by=["zhao-lei", "zhang-wei"], data=paid)
        guarantor.letter_event(claimed, "compensate", data={"compensation": compensation})
        assert guarantor.letter(claimed).state == "compensated"

    with shows(
        "B2", "K6", "What is recovered is counted down; more than what is owed is refused; at zero it is closed"
    ):
        guarantor.letter_event(compensation, "recover", data={"recovered": yuan("1000000.00")})
        with refuses("field-refused", "only 120000.00 CNY is left"):
            guarantor.letter_event(compensation, "recover", data={"recovered": yuan("120000.01")})
        guarantor.letter_event(compensation, "recover", data={"recovered": yuan("120000.00")})
        assert guarantor.letter(compensation).state == "recovered"

    with shows("B2", "K6", "A fee is billed for the project and settled in parts until nothing is due"):
        bill = guarantor.begin_letter(
            "fee-bill",
            {
                "number": number("ZD"),
                "payer": firm("佛山市融资担保有限公司"),
                "period": day()[:7],
                "metered": 2,
                "amount": yuan("40000.00"),
                "special": False,
            },
        ).happened.letter
        guarantor.letter_event(bill, "send")
        for part in ("15000.00", "25000.00"):
            guarantor.letter_event(bill, "pay", data={"paid": yuan(part), "reference": number("LSH")})
        assert guarantor.letter(bill).state == "settled"
