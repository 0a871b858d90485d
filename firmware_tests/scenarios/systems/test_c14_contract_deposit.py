"""C14: every step of a contract is deposited as it happens; the arbitrator gets one file that proves itself."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import (
    Offline,
    digest,
    firm,
    fresh,
    number,
    printed,
    refuses,
    story,
    yuan,
)


def test_c14_deposited_step_by_step(platform: Client, office: Office, offline: Offline, tmp_path: Path) -> None:
    text = "个人综合消费借款合同（2026 版）"
    fields = {
        "number": number("JZQ"),
        "title_text": "个人综合消费借款合同",
        "first_party": firm("中国农业银行深圳分行"),
        "second_party": {"name": "林晓东", "id": "440301199203040011"},
        "amount": yuan("150000.00"),
        "document": digest(text),
    }
    letter = platform.begin_letter("contract", fields).happened.letter
    signature = {"consent": digest("我已阅读并同意"), "device": "App 9.1 · 183.14.30.6"}

    with shows(
        "C14", "K1", "The text is the one that was drafted: no signer puts another in its place, nor its number"
    ):
        other = {"document": digest(text.replace("2026", "2027"))}
        with refuses("field-refused", "document"):
            platform.letter_event(letter, "sign-first", data={"signer": "农行电子合同专用", **signature}, fields=other)
        with refuses("taken"):
            platform.begin_letter("contract", fields | other)
        assert platform.letter(letter).fields["document"] == digest(text)

    with shows(
        "C14", "K1 K2", "Identity, reading, signing: each step is deposited with actor and digest, and time-stamped"
    ):
        for step, actor in (("实名认证", "林晓东"), ("人脸比对", "林晓东"), ("阅读合同", "林晓东")):
            done = platform.letter_event(letter, "deposit", data={"step": step, "actor": actor, "content": fresh(step)})
            assert platform.record(str(done.stamp_record)).record
        platform.letter_event(letter, "sign-first", data={"signer": "农行电子合同专用", **signature})
        platform.letter_event(letter, "sign-second", data={"signer": "林晓东", **signature})
        assert story(platform, letter) == ["draft", *["deposit"] * 3, "sign-first", "sign-second"]
        with refuses("event-refused", "signed"):
            platform.letter_event(letter, "sign-second", data={"signer": "冒名者", **signature})

    with shows(
        "C14", "K16", "One click gives the arbitrator the course with its page for a court; it verifies offline"
    ):
        package = platform.court_evidence(letter)
        assert offline.passes(package)
        with zipfile.ZipFile(io.BytesIO(package)) as entries:
            course = json.loads(entries.read("court/steps.json"))
            (tmp_path / "certificate.pdf").write_bytes(entries.read("court/certificate.pdf"))
        assert [one["said"].get("step", one["event"]) for one in course][1:4] == ["实名认证", "人脸比对", "阅读合同"]
        assert course[-1]["said"] == {"signer": "林晓东", **signature}
        assert letter in printed(tmp_path / "certificate.pdf")
        case = platform.begin_letter(
            "mediation-case",
            {
                "number": number("ZC"),
                "claimant": {"name": "中国农业银行深圳分行"},
                "respondent": {"name": "林晓东"},
                "dispute": "借款逾期",
            },
        ).happened.letter
        platform.letter_event(case, "hand-in", data={"package": digest(package), "about": "签约全过程"})
        platform.letter_event(case, "hear")
        with refuses("approval-missing"):
            platform.letter_event(case, "settle", data={"agreement": fresh("调解书")})
        assert (
            office.event(platform, case, "settle", by=["li-ming"], data={"agreement": fresh("调解书")}).state
            == "settled"
        )
