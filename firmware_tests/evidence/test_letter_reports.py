"""Reports of letters for people: pages and documents in both languages, and the command's own options."""

from __future__ import annotations

import json
import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner
from lxml import html

from appliance.asic import EventFiles
from appliance.evidence import NamedBytes, Report, verify
from appliance.evidence.browser import verifier_page
from appliance.evidence.cli import verify_command
from appliance.evidence.language import CHINESE, LANGUAGES, Language
from appliance.evidence.letters.facts import LetterFacts, number_of
from appliance.evidence.page import report_page
from appliance.evidence.printed import printed_report
from firmware_tests.evidence.letters import (
    NOW,
    PART,
    event,
    evidence,
    office,
    opened_value,
    plain_letter,
    split_letter,
    story,
    surroundings,
)
from firmware_tests.evidence.material import microseconds
from firmware_tests.evidence.test_letters import HOSTILE, changed, court
from firmware_tests.letters.kinds import BID_BOND, FIELDS

CJK = re.compile("[\u4e00-\u9fff]")
HOSTILE_TEXT = "<img src=x onerror=alert(1)> #panic() \u202e ]&quot;"


def report(content: bytes) -> Report:
    world, _ = surroundings()
    return verify([NamedBytes("letter.asice", content)], world.trust(), now_us=microseconds(NOW), kinds=[BID_BOND])


def in_full() -> Report:
    chain: list[EventFiles] = plain_letter()
    return report(evidence(chain, court=court(chain)))


def pdf_text(content: bytes, directory: Path) -> str:
    (directory / "report.pdf").write_bytes(content)
    done = subprocess.run(["pdftotext", "-layout", str(directory / "report.pdf"), "-"], capture_output=True, check=True)
    return done.stdout.decode()


@pytest.mark.parametrize("language", LANGUAGES)
def test_page_and_document_say_the_same_in_each_language(language: Language, tmp_path: Path) -> None:
    told = in_full()
    page, printed = report_page(told, language), printed_report(told, language)
    assert (page, printed) == (report_page(told, language), printed_report(told, language))
    text = html.fromstring(page.decode().split("\n", 1)[1]).text_content()
    printed_text = pdf_text(printed, tmp_path)
    for expected in (
        "TOTAL-PASSED", "380000.00 CNY", "2026-03-01 13:00:01 UTC", "steps.json",
        {"en": "Claimed", "zh-Hans": "索赔中"}[language],
        {"en": "Everything", "zh-Hans": "所检查的各项均成立"}[language],
    ):  # fmt: skip
        assert expected in text
        assert expected in printed_text or expected == "2026-03-01 13:00:01 UTC"
    if language == "en":
        assert not CJK.search(re.sub("“[^”]*”", "", text.split("Every check")[1]))
    else:
        untold = [
            line.text_content() for line in html.fromstring(page).iter("li") if not CJK.search(line.text_content())
        ]
        assert not untold


def test_a_digest_is_copied_out_of_the_document_as_it_is(tmp_path: Path) -> None:
    """Long ones are broken over lines; no character that nobody sees says where."""
    told = in_full()
    letter = told.files[0].letter
    assert letter is not None
    text = pdf_text(printed_report(told, "en"), tmp_path)
    assert letter.head in text
    files = [one for event in letter.events for one in event.files]
    assert files
    joined = "".join(text.split())
    assert all(f"{one.name},{one.size}bytes,SHA-256{one.sha256}" in joined for one in files)
    assert not set(text) & set("\u200b\u200c\u200d\u2060\ufeff\u00ad\ufffc")


def test_texts_of_a_file_stay_texts(tmp_path: Path) -> None:
    desk = office()
    desk.seal(event(None, "issue", fields={**FIELDS, "project": HOSTILE_TEXT}, value=opened_value()))
    told = report(evidence(desk.chain()))
    page = html.fromstring(report_page(told, "en").decode().split("\n", 1)[1])
    assert not list(page.iter("img", "script"))
    assert "<img src=x onerror=alert(1)> #panic() ⟨U+202E⟩ ]&quot;" in page.text_content()
    assert "#panic()" in pdf_text(printed_report(told, "en"), tmp_path)


def test_a_long_word_beside_chinese_stays_in_its_column(tmp_path: Path) -> None:
    desk = office()
    word = "0123456789abcdef" * 10
    desk.seal(event(None, "issue", fields={**FIELDS, "project": f"区块（{word}），交易"}, value=opened_value()))
    (tmp_path / "report.pdf").write_bytes(printed_report(report(evidence(desk.chain())), "zh-Hans"))
    done = subprocess.run(["pdftotext", "-bbox", str(tmp_path / "report.pdf"), "-"], capture_output=True, check=True)
    pages = html.fromstring(done.stdout).iter("page")
    ends = [float(one.get("xmax")) / float(page.get("width")) for page in pages for one in page.iter("word")]
    assert max(ends) < 0.93, "a word stands beyond the margin"


def test_a_yes_or_no_is_told_in_the_readers_language_and_a_text_stays_as_it_is() -> None:
    desk = office()
    told = {**FIELDS, "project": "yes", "special": True, "answers": [{"agrees": False, "said": "no"}]}
    desk.seal(event(None, "issue", fields=told, value=opened_value()))
    made = report(evidence(desk.chain()))
    for language, special, answers in (
        ("en", "yes", "agrees: no, said: no"),
        ("zh-Hans", "是", "agrees: 否, said: no"),
    ):
        rows = html.fromstring(report_page(made, language).decode().split("\n", 1)[1]).iter("tr")
        cells = {row[0].text_content(): row[1].text_content() for row in rows if len(row) == 2}
        assert (cells["special"], cells["answers"]) == (special, answers)
        assert next(value for name, value in cells.items() if name.endswith("(project)")) == "yes"


def test_what_failed_is_told_first() -> None:
    page = report_page(report(changed(HOSTILE["a changed event"])), "en").decode()
    assert page.index("TOTAL-FAILED") < page.index("it was changed")
    assert "Chain of title" not in page
    assert "Chain of title" in report_page(report(evidence(split_letter(1))), "en").decode()


def test_an_event_of_a_letter_that_was_split_off_is_told_with_its_letter() -> None:
    made = report(evidence(split_letter(1)))
    told = made.files[0].letter
    assert isinstance(told, LetterFacts)
    assert [number_of(one, told) for one in told.events] == ["1", "2", f"2 ({PART[:8]}…)"]
    assert f"2 ({PART[:8]}…)" in report_page(made, "zh-Hans").decode()


def test_fields_stand_in_the_order_of_their_kind_and_parties_by_name() -> None:
    told = in_full().files[0].letter
    assert isinstance(told, LetterFacts)
    names = [one.name for one in told.fields if one.form == "clear"]
    assert names == [name for name in BID_BOND.kind.fields if name in names]
    bidder = next(one.value for one in told.fields if one.name == "bidder")
    assert bidder.startswith(FIELDS["bidder"]["name"])
    assert "name:" not in bidder


def test_every_label_of_a_kinds_letter_has_its_translation() -> None:
    source = (files("appliance.evidence") / "told.py").read_text()
    said = set(re.findall(r'self\._say\("([^"{]+)"\)|_heading\("([^"]+)"\)|\["([A-Z][^"]+)", ', source))
    assert len(said) > 20
    for names in said:
        assert "".join(names) in CHINESE


def without_a_page() -> bytes:
    desk = office()
    for one in story():
        desk.seal(one)
    return evidence(desk.chain())


class Command:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "trust").mkdir()
        for name, content in surroundings()[0].bundle_files().items():
            (directory / "trust" / name).write_bytes(content)
        (directory / "letter.asice").write_bytes(without_a_page())
        (directory / "kind.toml").write_bytes((files("appliance.letters") / "catalogue" / "bid-bond.toml").read_bytes())

    def run(self, *arguments: str) -> tuple[int, str]:
        base = [
            str(self.directory / "letter.asice"), "--trust", str(self.directory / "trust"), "--state",
            str(self.directory / "state"), "--at", NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), "--language", "en",
        ]  # fmt: skip
        done = CliRunner().invoke(verify_command, [*base, *arguments], catch_exceptions=False)
        return done.exit_code, done.output


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


def test_the_command_writes_reports_and_takes_titles_from_kinds(command: Command) -> None:
    kind = str(command.directory / "kind.toml")
    for name, begin in (("r.html", b"<!DOCTYPE html>"), ("r.pdf", b"%PDF")):
        code, output = command.run("--report", str(command.directory / name), "--kind", kind)
        assert code == 0, output
        assert (command.directory / name).read_bytes().startswith(begin)
    assert b"Tender code" in (command.directory / "r.html").read_bytes()
    code, output = command.run("--json", "--kind", kind)
    letter = json.loads(output)["files"][0]["letter"]
    assert letter["kind_title"]["zh"] == BID_BOND.kind.title.zh
    assert command.run("--report", str(command.directory / "r.txt"))[0] == 64
    assert command.run("--report", str(command.directory / "none" / "r.html"))[0] == 64
    (command.directory / "kind.toml").write_bytes(b"id = 1")
    code, output = command.run("--kind", kind)
    assert (code, "INDETERMINATE" in output) == (2, True)


def test_the_command_tells_of_a_letter_on_the_terminal(command: Command) -> None:
    code, output = command.run()
    assert code == 0
    assert "event 3" in output
    assert "Balance: 380000.00 CNY" in output
    assert re.search("3  2026-03-01T12:00:30.000000Z +claim +claimed  lower 120000.00 CNY", output)
    (command.directory / "letter.asice").write_bytes(without_a_page() + b"x")
    code, output = command.run()
    assert code == 1
    assert "FORMAT_FAILURE" in output


def test_the_command_hands_out_the_page(tmp_path: Path) -> None:
    path = tmp_path / "verifier.html"
    done = CliRunner().invoke(verify_command, ["--write-page", str(path)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert path.read_bytes() == verifier_page()
    refused = CliRunner().invoke(verify_command, ["--write-page", str(tmp_path / "no" / "page.html")])
    assert refused.exit_code == 64
