"""A8: what was issued can be shown to anybody: one file, the same each time, that any change breaks."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import httpx
import msgspec

from appliance.api.schemas import RecordAnswer
from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.practice import Offline, day, firm, moment, number, printed, story, yuan

not_yet("A8", "K19", "difficult to lose: a second box and its re-synchronisation come with the fleet")


def test_a8_the_certificate_cannot_be_altered_and_is_traced(
    guarantor: Client, offline: Offline, anybody: httpx.Client, tmp_path: Path
) -> None:
    tender = number("GD")
    letter = guarantor.begin_letter(
        "bid-bond",
        {
            "tender_code": tender,
            "project": "黄埔大桥维修工程",
            "bidder": firm("岭南路桥有限公司"),
            "beneficiary": {"name": "广州市公共资源交易中心"},
            "amount": yuan("600000.00"),
            "opening": moment(86_400),
            "valid_until": day(90),
        },
    ).happened.letter
    guarantor.letter_event(letter, "postpone", fields={"opening": moment(172_800), "valid_until": day(120)})
    guarantor.letter_event(letter, "surrender")
    file = guarantor.evidence(letter)

    with shows(
        "A8", "K16 K7", "One file holds every event with seals, time-stamps and log proofs; it verifies offline"
    ):
        assert offline.passes(file)
        assert guarantor.evidence(letter) == file

    with shows("A8", "K7", "Any change to it is found"):
        assert offline.verify(changed(file))["indication"] == "TOTAL-FAILED"

    with shows(
        "A8", "K7", "Anybody with its code and tender code is told how it stands; with a wrong one, nothing at all"
    ):
        told = anybody.post("/v1/check", json={"code": letter, "second": tender}).json()
        assert told["state"] == {"en": "Surrendered", "zh": "已退保"}
        assert "bidder" not in str(told)
        wrong = [{"code": letter, "second": number("GD")}, {"code": "00" * 16, "second": tender}]
        answers = [anybody.post("/v1/check", json=one) for one in wrong]
        assert {one.status_code for one in answers} == {404}
        assert answers[0].content == answers[1].content

    with shows(
        "A8", "K7", "Without the code, by bidder and tender code, from the opening on; or by its PDF, to the byte"
    ):
        bidder = firm("珠江隧道有限公司")
        opened = {
            "tender_code": number("GD"),
            "project": "海印大桥维修工程",
            "bidder": bidder,
            "beneficiary": {"name": "广州市公共资源交易中心"},
            "amount": yuan("600000.00"),
            "opening": moment(-3_600),
            "valid_until": day(90),
        }
        made = guarantor.begin_letter("bid-bond", opened, document=True).happened
        asked = {"kind": "bid-bond", "first": bidder["name"], "second": opened["tender_code"]}
        (told,) = anybody.post("/v1/check/pair", json=asked).json()["letters"]
        assert (told["state"]["en"], bidder["name"] in str(told)) == ("Issued", False)
        closed = opened | {"tender_code": number("GD"), "opening": moment(86_400)}
        guarantor.begin_letter("bid-bond", closed)
        refused = [
            anybody.post("/v1/check/pair", json=asked | {"second": second})
            for second in (closed["tender_code"], number("GD"))
        ]
        assert {one.status_code for one in refused} == {404}
        assert refused[0].content == refused[1].content
        pdf, headers = made.beside["letter.pdf"], {"Content-Type": "application/pdf"}
        (told,) = anybody.post("/v1/check/file", content=pdf, headers=headers).json()["letters"]
        assert told["state"]["en"] == "Issued"
        assert anybody.post("/v1/check/file", content=pdf + b" ", headers=headers).status_code == 404

    with shows("A8", "K6", "It is traced from issue through the amendment to the surrender; nothing is deleted"):
        assert story(guarantor, letter) == ["issue", "postpone", "surrender"]
        assert guarantor.letter(letter).state == "surrendered"

    with shows(
        "A8", "K16", "A certificate in both languages, with steps, clock, keys and software, is sealed with the course"
    ):
        package = guarantor.court_evidence(letter)
        assert offline.passes(package)
        with zipfile.ZipFile(io.BytesIO(package)) as entries:
            steps = json.loads(entries.read("court/steps.json"))
            (tmp_path / "certificate.pdf").write_bytes(entries.read("court/certificate.pdf"))
        assert [one["event"] for one in steps] == ["issue", "postpone", "surrender"]
        assert "存证证明" in printed(tmp_path / "certificate.pdf")
        assert "Certificate of Evidence" in printed(tmp_path / "certificate.pdf")

    with shows("A8", "K18", "Each event is a leaf of the institution's log, with a proof under the log's signed head"):
        events = guarantor.letter_events(letter).events
        answers = [guarantor.record(event.record, wait_for_proof_s=5) for event in events]
        assert len({answer.index for answer in answers}) == len(events) == 3
        assert all(event.seal in answer.artifact for event, answer in zip(events, answers, strict=True))
        moved = msgspec.structs.replace(answers[0], proof=answers[1].proof)
        *found, of_moved = checked(offline, *answers, moved)
        assert all(one >= {("commitment", "passed"), ("inclusion", "passed")} for one in found)
        assert ("inclusion", "failed") in of_moved


def checked(offline: Offline, *answers: RecordAnswer) -> list[set[tuple[str, str]]]:
    """What the verifier finds of each record: the names of its checks and their outcomes."""
    report = offline.verify(*(msgspec.json.encode(answer) for answer in answers))
    return [
        {(one["name"], one["outcome"]) for part in file["parts"] for one in part["checks"]} for file in report["files"]
    ]


def changed(file: bytes) -> bytes:
    """The file with the first event's amount made larger, as a forger would."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(file)) as before, zipfile.ZipFile(made, "w") as after:
        for entry in before.infolist():
            content = before.read(entry)
            after.writestr(entry, content.replace(b"600000.00", b"960000.00"))
    return made.getvalue()
