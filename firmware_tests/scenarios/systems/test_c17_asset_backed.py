"""C17: the asset tape behind securities: frozen, issued by two approvals, reported on, single assets proved singly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.overseers import Overseer
from firmware_tests.scenarios.systems.practice import (
    Offline,
    day,
    digest,
    firm,
    fresh,
    happened,
    number,
    receipt,
    refuses,
    taken_in,
    written,
    yuan,
)

not_yet("C17", "K17", "SM2, SM3 and SM4 come with the national suite")


def test_c17_tape_issue_reports(
    bank: Client,
    branch: Client,
    supervisor: Client,
    office: Office,
    offline: Offline,
    tmp_path: Path,
    overseers: Callable[..., Overseer],
) -> None:
    header = ("编号", "承兑行", "承兑行编号", "转让行", "转让行编号", "票面金额", "票面金额币种", "到期日", "单据摘要")
    acceptor, seller = firm("招商银行"), firm("东莞电子科技有限公司")
    common = [acceptor["name"], acceptor["id"], seller["name"], seller["id"], "1000000.00", "CNY", day(180)]
    assets = [[number("ZC"), *common, fresh("单据")] for _ in range(12)]
    assets[4][5] = "1000000"
    assets[7][0] = assets[2][0]
    tape = written(tmp_path / "tape.xlsx", header, assets)
    places = {"编号": "fields.reference"}

    with shows("C17", "K10", "The whole tape is taken in, a verdict for each asset: wrong in a named column, or twice"):
        run, told = taken_in(bank, tape, "forfaiting-asset", mapping=places, row_key=["编号"])
        assert (run.rows, run.accepted, run.refused, run.duplicate) == (12, 10, 1, 1)
        assert [(verdict.row, verdict.column) for verdict in told if verdict.verdict == "refused"] == [(6, "票面金额")]
        assert [(verdict.row, verdict.letter) for verdict in told if verdict.verdict == "duplicate"] == [
            (9, told[2].letter)
        ]

    pool = {
        "pool": number("CMB-ABS"),
        "originator": firm("招商银行"),
        "trustee": firm("华润深国投信托"),
        "servicer": firm("招商银行信用卡中心"),
        "assets": 1_240,
        "total": yuan("500000000.00"),
        "tape": digest(tape.read_bytes()),
        "root": fresh("逐笔资产哈希根"),
        "model": "早偿率 8%，违约率 1.2%",
    }
    letter = bank.begin_letter("asset-tape", pool).happened.letter

    with shows("C17", "K14", "The tape's totals are clear, its assets by one root; the cash-flow model stays hidden"):
        assert b"1240" in bank.letter_events(letter).events[0].event
        assert "违约率".encode() not in bank.letter_events(letter).events[0].event
        assert offline.passes(bank.evidence(letter))

    with shows("C17", "K6 K11", "Assets may be replaced until the issue, which two people sign; afterwards never"):
        bank.letter_event(letter, "replace", fields={"assets": 1_238, "tape": fresh("清单"), "root": fresh("根")})
        with refuses("approval-missing"):
            office.event(bank, letter, "issue", by=["li-ming"])
        office.event(bank, letter, "issue", by=["li-ming", "zhang-wei"])
        with refuses("event-refused", "issued"):
            bank.letter_event(letter, "replace", fields={"assets": 1})

    with shows("C17", "K8", "Each month's report lowers what is left; more than the pool ever held cannot be repaid"):
        for month, repaid in (("2026-10", "120000000.00"), ("2026-11", "80000000.00")):
            report = {
                "month": month,
                "repaid": yuan(repaid),
                "overdue": yuan("350000.00"),
                "report": digest(f"{month} 报告"),
            }
            bank.letter_event(letter, "report", data=report)
        with refuses("party-missing", "servicer"):  # of another pool
            branch.letter_event(letter, "report", data=report)
        with refuses("field-refused", "only 300000000.00 CNY is left"):
            bank.letter_event(letter, "report", data=report | {"repaid": yuan("300000000.01")})
        assert [event.data["month"] for _, event in happened(bank, letter) if event.event == "report"] == [
            "2026-10",
            "2026-11",
        ]

    with shows(
        "C17", "K10", "The issue is filed with the registry: submitted by a signature, answered with its receipt"
    ):
        filing = {
            "batch": number("ABS"),
            "authority": {"name": "银行业信贷资产登记流转中心"},
            "interface": "2.0",
            "content": fresh("登记文件"),
            "rows_filed": 1_238,
            "total": yuan("500000000.00"),
        }
        filed = bank.begin_letter("outbound-filing", filing).happened.letter
        with refuses("approval-missing"):
            bank.letter_event(filed, "submit")
        office.event(bank, filed, "submit", by=["li-ming"])
        assert bank.letter_event(filed, "accept", receipts=[receipt("authority", "受理回执")]).state == "accepted"

    with shows("C17", "K18", "Who is not of the tenant, and whom its officers did not let, sees nothing by itself"):
        with refuses("not-found"):
            supervisor.letter(letter)

    with shows("C17", "K18", "An investor reads totals, assets and each month's report, and takes the evidence away"):
        investor = overseers("touziren", "bank")
        tape = investor.letter("bank", letter)
        assert tape["row"]["balance"] == "300,000,000.00 CNY"
        assert [one["event"] for one in tape["events"]] == ["assemble", "replace", "issue", "report", "report"]
        assert {one["letter"] for one in investor.letters("bank", kind="forfaiting-asset")} >= {
            verdict.letter for verdict in told if verdict.verdict == "accepted"
        }
        assert offline.passes(investor.evidence("bank", letter))

    with shows("C17", "K18 K14", "The originator's model stays hidden from her, whatever she asks for"):
        (model,) = [one for one in tape["fields"] if one["name"] == "model"]
        assert (model["shown"], model["value"]) == (False, "")
        assert investor.status(f"letters/bank/{letter}", hidden="on") == 403
        assert investor.status(f"letters/bank/{letter}/evidence", disclose="model") == 403
        assert investor.sees_nothing_else("bank")
