"""B7: a batch is filed with the national fund, sent back, corrected under a newer interface, and accepted."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from appliance.api.letters.schemas import ReceiptGiven
from appliance.client import Client
from firmware_tests.filing.authority import Authority
from firmware_tests.running import RunningBox, wait_until
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.overseers import Overseer
from firmware_tests.scenarios.systems.practice import Offline, fresh, happened, number, receipt, refuses, yuan


def test_b7_filed_returned_corrected_accepted(
    guarantor: Client,
    office: Office,
    supervisor: Client,
    overseers: Callable[..., Overseer],
    offline: Offline,
    fund: Authority,
) -> None:
    batch = {
        "batch": number("GDRZ"),
        "authority": {"name": "国家融资担保基金有限责任公司"},
        "interface": "3.1",
        "content": fresh("报送文件"),
        "rows_filed": 128,
        "total": yuan("376000000.00"),
    }
    letter = guarantor.begin_letter("outbound-filing", batch).happened.letter

    with shows(
        "B7", "K10", "A batch is validated first: no rows, or no digest of the file, and it is not even prepared"
    ):
        for field, value in (("rows_filed", 0), ("content", "报送文件.xlsx"), ("total", yuan("-1.00"))):
            with refuses("field-refused", f"/fields/{field}"):
                guarantor.begin_letter("outbound-filing", batch | {"batch": number("GDRZ"), field: value})

    with shows("B7", "K11", "It is submitted by an approver's signature, and a batch number is filed once"):
        with refuses("approval-missing"):
            guarantor.letter_event(letter, "submit")
        assert office.event(guarantor, letter, "submit", by=["li-ming"]).state == "submitted"
        with refuses("taken"):
            guarantor.begin_letter("outbound-filing", batch)

    with shows(
        "B7", "K10", "The fund's answers are kept with the events that they answer; without one they do not happen"
    ):
        faults = {"faults": [{"row": 17, "said": "统一社会信用代码校验不通过"}]}
        with refuses("field-refused", "/receipts"):
            guarantor.letter_event(letter, "return", data=faults)
        fund.faults[str(batch["batch"])] = [{"line": 17, "message": "统一社会信用代码校验不通过"}]
        answered = signed_by(fund, guarantor, letter)
        with refuses("field-refused", "/receipts/0"):  # anybody's paper, where the fund's key is installed
            guarantor.letter_event(letter, "return", data=faults, receipts=[receipt("authority", "退回通知")])
        guarantor.letter_event(letter, "return", data=faults, receipts=[answered])
        assert guarantor.letter(letter).state == "returned"

    with shows("B7", "K10", "Corrected and filed again for the fund's newer interface, until it is accepted"):
        corrected = {"content": fresh("更正报送文件"), "interface": "3.2"}
        guarantor.letter_event(letter, "resubmit", fields=corrected)
        guarantor.letter_event(letter, "accept", receipts=[signed_by(fund, guarantor, letter)])
        assert guarantor.letter(letter).fields["interface"] == "3.2"
        kept = [len(event.receipts) for _, event in happened(guarantor, letter)]
        assert kept == [0, 0, 1, 0, 1]

    with shows("B7", "K18", "Another tenant, the supervisor too, sees nothing of it unless it is handed the file"):
        with refuses("not-found"):
            supervisor.letter(letter)

    with shows("B7", "K18", "The local financial bureau, whom the officers let read, finds and follows it by itself"):
        bureau = overseers("jinrongju", "guarantor")
        (row,) = bureau.letters("guarantor", letter=letter)
        assert (row["kind"], row["state"]) == ("outbound-filing", "accepted")
        assert letter in {one["letter"] for one in bureau.letters("guarantor", kind="outbound-filing")}
        answered = [one["receipts"] for one in bureau.letter("guarantor", letter)["events"]]
        assert [len(given) for given in answered] == [0, 0, 1, 0, 1]
        assert offline.passes(bureau.evidence("guarantor", letter))

    with shows("B7", "K18", "It reads letters alone, of this institution alone, and no longer than it is let"):
        assert bureau.sees_nothing_else("guarantor")
        assert bureau.status("letters/bank") == bureau.status(f"letters/bank/{letter}") == 404
        bureau.dismissed("guarantor")
        assert bureau.status(f"letters/guarantor/{letter}") == 401


def signed_by(fund: Authority, guarantor: Client, letter: str) -> ReceiptGiven:
    """The fund's answer to what was filed by hand, under the number that the box gave it."""
    found = guarantor.letter(letter)
    answer = fund.receipt({"batchNo": found.fields["batch"], "requestNo": found.head})
    return ReceiptGiven(registry="authority", number=f"R-{found.head[:12]}", receipt=answer)


def a_batch(interface: str) -> dict[str, Any]:
    """Of filings for the fund, by this version of its interface."""
    return {
        "batch": number("GDRZ"),
        "authority": {"name": "国家融资担保基金有限责任公司"},
        "interface": interface,
        "content": fresh("报送文件"),
        "rows_filed": 128,
        "total": yuan("376000000.00"),
    }


def test_b7_the_box_files_it_and_takes_the_receipt(
    guarantor: Client, office: Office, fund: Authority, town: RunningBox
) -> None:
    batch = a_batch("4.0")
    fund.faults[str(batch["batch"])] = [{"line": 17, "message": "统一社会信用代码校验不通过"}]
    fund.habits[:] = ["busy", "drop", "forged"]
    letter = guarantor.begin_letter("outbound-filing", batch).happened.letter
    office.event(guarantor, letter, "submit", by=["li-ming"])

    with shows(
        "B7", "K10", "The box files it itself, again until the fund's own signed answer comes, and only that counts"
    ):
        wait_until(lambda: guarantor.letter(letter).state == "returned", 60, "the fund's answer")
        answer = happened(guarantor, letter)[-1][1]
        assert answer.actor.application == "@box"
        assert answer.data["faults"] == [{"row": 17, "said": "统一社会信用代码校验不通过"}]
        assert fund.came(str(batch["batch"])) >= 4
        assert len(fund.filed(str(batch["batch"]))) == 1

    with shows("B7", "K10", "Corrected, it is filed by the adapter of the fund's newer interface: a file, no program"):
        guarantor.letter_event(letter, "resubmit", fields={"content": fresh("更正报送文件"), "interface": "4.1"})
        wait_until(lambda: guarantor.letter(letter).state == "accepted", 60, "the fund's acceptance")
        told = [one["interfaceVersion"] for one in fund.filed(str(batch["batch"]))]
        assert told == ["v40", "v41"]
        assert [event.event for _, event in happened(guarantor, letter)][-2:] == ["resubmit", "accept"]

    with shows("B7", "K10", "Results are exported as a table, each with the number of the fund's receipt"):
        with town.http("guarantor") as http:
            table = http.get("/v1/filings", params={"state": "accepted"}, headers={"Accept": "text/csv"}).text
        (row,) = [line for line in table.splitlines() if line.startswith(letter)]
        assert happened(guarantor, letter)[-1][1].receipts[0].number in row
        assert fund.filed(str(batch["batch"]))[-1]["requestNo"] in row


def test_b7_the_fund_takes_it_and_answers_later(
    guarantor: Client, office: Office, fund: Authority, town: RunningBox
) -> None:
    batch = a_batch("5.0")
    fund.habits[:] = ["refuse", "later"]
    fund.asked_habits[:] = ["not-yet"] * 1_000
    letter = guarantor.begin_letter("outbound-filing", batch).happened.letter
    office.event(guarantor, letter, "submit", by=["li-ming"])

    with shows("B7", "K10", "What the fund will not take, without a receipt, waits in a state of its own for people"):
        wait_until(lambda: guarantor.letter(letter).state == "refused", 60, "the fund's refusal")
        assert happened(guarantor, letter)[-1][1].data == {"status": 422}
        guarantor.letter_event(letter, "resubmit", fields={"content": fresh("更正报送文件")})

    with shows("B7", "K10", "Taken, to be answered later: it is pending, and the table says when it is asked next"):
        wait_until(lambda: guarantor.letter(letter).state == "pending", 60, "the fund's ticket")
        with town.http("guarantor") as http:
            lines = http.get("/v1/filings", params={"state": "pending"}).text.splitlines()
        (row,) = [json.loads(line) for line in lines if letter in line]
        assert (row["pending"], row["receipt"]) == (True, "")
        assert row["next"] > row["changed"]

    with shows("B7", "K10", "A forged receipt does not count here either; the fund's own is the next event, once"):
        fund.asked_habits[:] = ["forged", "other"]
        wait_until(lambda: guarantor.letter(letter).state == "accepted", 60, "the fund's receipt")
        assert len(fund.asked) >= 3
        assert [one.event for _, one in happened(guarantor, letter)][-3:] == ["resubmit", "take", "accept"]
        assert fund.came(str(batch["batch"])) == 2
