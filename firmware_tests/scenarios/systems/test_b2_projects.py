"""B2: projects are filed row by row, checked, de-duplicated, run again; then live until compensation and recovery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from appliance.api.intakes.schemas import Intake, RowVerdict
from appliance.client import Client
from firmware_tests.running import wait_until
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    day,
    firm,
    fresh,
    happened,
    number,
    refuses,
    story,
    taken_in,
    written,
    yuan,
)
from firmware_tests.scenarios.systems.reguarantee import project, terms_in_force


def test_b2_projects_from_filing_to_recovery(guarantor: Client, office: Office, tmp_path: Path) -> None:
    product = terms_in_force(guarantor, office)
    one = project(product)
    two = project(product, "2000000.00")
    three = project(product)
    header = (
        "项目编号", "担保机构", "担保机构编号", "被担保人", "被担保人编号", "债权银行", "行业代码", "在保责任金额",
        "分担比例", "费率", "起始日", "到期日",
    )  # fmt: skip

    def row(fields: dict[str, Any]) -> list[str]:
        institution, debtor = fields["institution"], fields["debtor"]
        return [
            fields["project_number"], institution["name"], institution["id"], debtor["name"], debtor["id"],
            fields["creditor"]["name"], fields["industry"], fields["liability"]["amount"], fields["share"],
            fields["fee_rate"], fields["begins"], fields["ends"],
        ]  # fmt: skip

    def file(name: str, *projects: dict[str, Any], **options: Any) -> tuple[Intake, list[RowVerdict]]:
        path = written(tmp_path / name, header, [row(one) for one in projects])
        return taken_in(guarantor, path, "guarantee-project", constants={"fields.product": product}, **options)

    batch = {"batch": number("PC"), "row_key": ["项目编号"]}
    wrong = three | {"industry": "机械"}
    elsewhere = one | {"project_number": one["project_number"], "liability": yuan("1.00")}

    with shows("B2", "K10", "A whole file is first checked: every row is judged, and nothing is made"):
        checked, told = file("projects.csv", one, two, wrong, check=True, **batch)
        assert (checked.state, checked.rows, checked.decided) == ("done", 3, 3)
        assert [verdict.verdict for verdict in told] == ["accepted", "accepted", "refused"]
        filed = {letter.fields["project_number"] for letter in guarantor.letters(kind="guarantee-project").letters}
        assert one["project_number"] not in filed

    with shows("B2", "K10", "Each row of a batch gets a verdict: filed, wrong in a named column, or filed before"):
        run, told = file("projects.csv", one, two, wrong, elsewhere, **batch)
        assert (run.accepted, run.refused, run.duplicate) == (2, 1, 1)
        assert [(verdict.row, verdict.verdict, verdict.code, verdict.column) for verdict in told] == [
            (2, "accepted", None, None),
            (3, "accepted", None, None),
            (4, "refused", "field-refused", "行业代码"),
            (5, "duplicate", "row-differs", None),
        ]
        assert told[3].letter == told[0].letter
        first = [told[0].letter or "", told[1].letter or ""]

    with shows("B2", "K10 K8", "The batch run again, corrected, as a spreadsheet: nothing twice, the rest is filed"):
        again, told = file("projects.xlsx", one, two, three, **batch)
        assert (again.accepted, again.duplicate, again.refused) == (1, 2, 0)
        assert [verdict.letter for verdict in told[:2]] == first
        _, other = file("others.csv", one)  # in another batch it is the project itself that was filed before
        assert [verdict.code for verdict in other] == ["taken"]

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
                "payee": firm("广东省融资再担保有限公司"),
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


def test_b2_what_falls_due_is_listed_and_noted(guarantor: Client, office: Office) -> None:
    product = terms_in_force(guarantor, office)
    ends = {"soon": day(2), "sooner": day(1), "latest": day(3), "today": day(), "later": day(365)}
    letters = {}
    for name, date in ends.items():
        fields = project(product, "1000000.00") | {"ends": date}
        letters[name] = guarantor.begin_letter("guarantee-project", fields).happened.letter
        guarantor.letter_event(letters[name], "accept")

    with shows("B2", "K6", "What ends within days is listed, the earliest first; what has ended otherwise is not"):

        def listed() -> list[str]:
            due = [one.letter for one in guarantor.letters(due_before=f"{day(4)}T00:00:00Z").letters]
            return [name for one in due for name, letter in letters.items() if letter == one and name != "today"]

        assert listed() == ["sooner", "soon", "latest"]
        guarantor.letter_event(letters["soon"], "release")
        assert listed() == ["sooner", "latest"]

    with shows("B2", "K6 K20", "On the day the box itself notes, sealed, that a project is due, and lists it as such"):
        due = letters["today"]
        wait_until(lambda: guarantor.letter(due).state == "due", 30, "the day")
        assert happened(guarantor, due)[-1][1].actor.application == "@box"
        assert due in [one.letter for one in guarantor.letters(kind="guarantee-project", state="due").letters]
        assert guarantor.letter(letters["later"]).state == "in-force"

    with shows("B2", "K6 K11", "It stays due until somebody says what came of it: prolonged by an approver, or ended"):
        with refuses("approval-missing"):
            guarantor.letter_event(due, "prolong", fields={"ends": day(90)})
        office.event(guarantor, due, "prolong", by=["li-ming"], fields={"ends": day(90)})
        assert guarantor.letter(due).state == "in-force"
        guarantor.letter_event(due, "release")
