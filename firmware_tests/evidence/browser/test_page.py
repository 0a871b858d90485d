"""The page in headless Chromium: from a file, without a network, in both languages, on good and hostile files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from appliance.asic import event_names, write_container
from appliance.ceremonies.proposal import digest_words
from appliance.evidence.browser import verifier_page
from appliance.letters.event import Event
from firmware_tests import accessible
from firmware_tests.browsers import CHROMIUM, SCREENSHOTS, TIMEOUT_MS
from firmware_tests.evidence import anchors, ledgers
from firmware_tests.evidence.browser.test_agreement import TABLE
from firmware_tests.evidence.letters import (
    event,
    evidence,
    office,
    opened_value,
    plain_letter,
    split_letter,
    surroundings,
)
from firmware_tests.evidence.material import DAY, T0, World
from firmware_tests.evidence.test_letters import HOSTILE, changed, good
from firmware_tests.letters.kinds import FIELDS

HOSTILE_TEXTS = {
    "tender_code": "<img src=x onerror=alert(1)>",
    "project": "paid \u202e000,1\u2066 <script>document.title='taken'</script>",
    "bidder": {"id": "javascript:alert(1)", "name": "</td></table><h1>TOTAL-PASSED</h1>"},
}


@dataclass
class Checker:
    """The page, opened once, and whatever its console and its network said."""

    page: Page
    directory: Path
    shots: Path
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    turn: int = 0

    def trust(self, files: Mapping[str, bytes]) -> None:
        place = self.directory / f"trust-{self.turn}"
        place.mkdir(exist_ok=True)
        for name, content in files.items():
            (place / name).write_bytes(content)
        self.page.set_input_files("#trust", [place / name for name in files])
        self.page.wait_for_selector("#trust-said *")
        self.page.wait_for_function("Number(document.documentElement.dataset.done ?? 0) === page.turn")

    def check(self, content: bytes, name: str = "letter.asice") -> str:
        self.turn += 1
        path = self.directory / str(self.turn) / name
        path.parent.mkdir()
        path.write_bytes(content)
        before = self.page.evaluate("page.turn")
        self.page.set_input_files("#file", path)
        self.page.wait_for_function("before => Number(document.documentElement.dataset.done) > before", arg=before)
        return self.page.inner_text(".verdict")

    def picture(self, name: str) -> None:
        self.page.screenshot(path=self.shots / f"verifier-{name}.png", full_page=True)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checker]:
    directory = tmp_path_factory.mktemp("page")
    shots = Path(os.environ.get(SCREENSHOTS) or directory)
    shots.mkdir(parents=True, exist_ok=True)
    (directory / "verifier.html").write_bytes(verifier_page())
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-proxy-server"],
        )
        context = browser.new_context(locale="en-GB", viewport={"width": 1100, "height": 900}, offline=True)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.clock.set_fixed_time(T0 + DAY)
        checker = Checker(page, directory, shots)
        page.on("console", lambda message: checker.said.append(message.text))
        page.on("pageerror", lambda error: checker.said.append(str(error)))
        page.on("dialog", lambda dialog: checker.said.append(dialog.message))
        page.on("request", lambda request: checker.asked.append(request.url))
        page.goto((directory / "verifier.html").as_uri())
        yield checker
        browser.close()


@pytest.fixture
def checker(opened: Checker) -> Iterator[Checker]:
    """Freshly loaded; what the test leaves must show that nothing was asked of any network, and nothing went wrong."""
    opened.page.reload()
    opened.turn += 1
    opened.asked.clear()
    yield opened
    assert not opened.said
    assert not opened.asked
    assert opened.page.title() == "Cinnabar 朱砂"


def world() -> World:
    return surroundings()[0]


def language(checker: Checker, wanted: str) -> None:
    if checker.page.evaluate("document.documentElement.lang") != wanted:
        checker.page.click("#language")


def test_a_good_file_under_a_bundle_in_both_languages(checker: Checker) -> None:
    assert checker.check(good()) == "INDETERMINATE"
    checker.picture("without-trust")
    checker.trust(world().bundle_files())
    fingerprint = world().trust().signer
    told = checker.page.inner_text("#trust-said")
    assert fingerprint in told
    for words in ("english", "chinese_simplified"):
        assert digest_words(fingerprint, words) in told  # type: ignore[arg-type]
    assert checker.check(good()) == "TOTAL-PASSED"
    shown = checker.page.inner_text("#result")
    for expected in ("380000.00 CNY", "Bank of Examples", "2026-03-01 13:00:01 UTC", "广州市第三污水处理厂扩建工程"):
        assert expected in shown
    checker.picture("passed-en")
    language(checker, "zh-Hans")
    assert "所检查的各项均成立" in checker.page.inner_text("#result")
    checker.page.click("summary")
    checker.picture("passed-zh")
    checker.page.emulate_media(color_scheme="dark")
    checker.picture("passed-dark")
    checker.page.emulate_media(color_scheme="light")
    language(checker, "en")
    checker.page.set_viewport_size({"width": 390, "height": 800})
    checker.picture("passed-narrow")
    assert checker.page.evaluate("document.documentElement.scrollWidth") <= 390
    checker.page.set_viewport_size({"width": 1100, "height": 900})


def test_the_page_is_for_everybody(checker: Checker) -> None:
    checker.trust(world().bundle_files())
    for content in (good(), changed(HOSTILE["another event's seal"])):
        checker.check(content)
        checker.page.click("summary")
        for scheme in ("light", "dark"):
            assert accessible.findings(checker.page, scheme=scheme) == []  # type: ignore[arg-type]
        checker.page.emulate_media(color_scheme="light")
        assert accessible.lost_focus(checker.page) == []
        assert accessible.sticks_out(checker.page) == []
        checker.page.set_viewport_size({"width": 1100, "height": 900})


def test_a_yes_or_no_is_told_in_the_readers_language(checker: Checker) -> None:
    desk = office()
    told = {**FIELDS, "project": "yes", "special": True, "answers": [{"agrees": False}]}
    desk.seal(event(None, "issue", fields=told, value=opened_value()))
    checker.check(evidence(desk.chain()))
    for wanted, special, answers in (("en", "yes", "agrees: no"), ("zh-Hans", "是", "agrees: 否")):
        language(checker, wanted)
        cells = checker.page.eval_on_selector_all(
            "#result tr", "rows => rows.map(row => [...row.children].map(one => one.textContent))"
        )
        shown = {row[0]: row[1] for row in cells if len(row) == 2}
        assert (shown["special"], shown["answers"], shown["project"]) == (special, answers, "yes")
    language(checker, "en")


def test_a_part_of_a_divided_letter(checker: Checker) -> None:
    checker.trust(world().bundle_files())
    assert checker.check(evidence(split_letter(1))) == "TOTAL-PASSED"
    assert "甲供应商" in checker.page.inner_text("#result")


def test_approvals_are_shown_with_what_is_known_of_them(checker: Checker) -> None:
    checker.trust(world().bundle_files())
    assert checker.check(TABLE["a card and a passkey"].content()) == "TOTAL-PASSED"
    shown = checker.page.inner_text("#result")
    assert "approver chen: signed by “Chen, approver, Cinnabar rehearsal”" in shown
    assert "in no constitution that this page knows" in shown
    checker.picture("approvals-en")
    language(checker, "zh-Hans")
    assert "审批人 chen" in checker.page.inner_text("#result")
    checker.picture("approvals-zh")
    language(checker, "en")
    assert accessible.findings(checker.page, scheme="light") == []


ON_LEDGERS = ["evm: honest, clique", "bitcoin: a chain that anybody can make", "fabric: honest"]


def anchored_letter(*names: str) -> tuple[bytes, dict[str, bytes]]:
    """A letter whose head stands on several ledgers, and the files of a bundle that knows them."""
    chain, held = plain_letter(), [ledgers.table()[name] for name in names]
    content = evidence(chain, anchors=[anchors.anchor_of(chain, of=one.receipt, ledger=one.type) for one in held])
    entries = [anchors.entry(one.profile()) for one in held]
    return content, anchors.anchored_world().bundle_files(ledgers=entries)


def test_ledgers_are_shown_with_what_they_prove(checker: Checker) -> None:
    content, files = anchored_letter(*ON_LEDGERS)
    checker.trust(files)
    assert checker.check(content) == "TOTAL-PASSED"
    shown = checker.page.inner_text("#result")
    for expected in ("validator seals", "attested", "block 1000 (0x", "bitcoin", "2026-03-01 14:00:00 UTC"):
        assert expected in shown
    checker.page.click("summary")
    whole = checker.page.inner_text("#result")
    for expected in ("4 signers stand behind the block.", "anybody can make blocks", "not yet run on a real network"):
        assert expected in whole
    checker.picture("ledgers-en")
    language(checker, "zh-Hans")
    checker.page.click("summary")
    whole = checker.page.inner_text("#result")
    for expected in ("已证明", "仅有声明", "验证者封签", "4 个签名者为该区块背书", "尚未在真实网络上运行过"):
        assert expected in whole
    checker.picture("ledgers-zh")
    language(checker, "en")
    assert accessible.findings(checker.page, scheme="light") == []
    assert accessible.sticks_out(checker.page) == []
    checker.page.set_viewport_size({"width": 1100, "height": 900})


def test_a_forged_receipt_is_told_with_its_reason(checker: Checker) -> None:
    content, files = anchored_letter("evm: a foreign seal", "bitcoin: another head's commitment")
    checker.trust(files)
    assert checker.check(content) == "TOTAL-FAILED"
    shown = checker.page.inner_text("#result")
    assert "refused, foreign_seal: block 1002 is sealed by" in shown
    assert "refused, other_commitment" in shown
    checker.picture("ledgers-forged-en")
    language(checker, "zh-Hans")
    assert "被拒绝，foreign_seal：区块 1002 由" in checker.page.inner_text("#result").replace(": ", "：")
    checker.picture("ledgers-forged-zh")
    language(checker, "en")


def test_ledgers_that_a_bundle_does_not_know_are_told_and_count_for_nothing(checker: Checker) -> None:
    content, _ = anchored_letter(*ON_LEDGERS)
    checker.trust(anchors.anchored_world().bundle_files())
    assert checker.check(content) == "TOTAL-PASSED"
    shown = checker.page.inner_text("#result")
    assert shown.count("unknown") == 3
    assert "nobody but the box says so" in shown


@pytest.mark.parametrize(
    "name", ["a changed event", "a file outside", "an entity", "a member twice", "another event's seal", "a path"]
)
def test_hostile_files(checker: Checker, name: str) -> None:
    checker.trust(world().bundle_files())
    assert checker.check(changed(HOSTILE[name])) == "TOTAL-FAILED"
    checker.picture(f"failed-{re.sub('[^a-z]', '-', name)}")


def test_texts_of_a_file_are_never_markup(checker: Checker) -> None:
    first: Event = event(None, "issue<b>", fields={**FIELDS, **HOSTILE_TEXTS}, value=opened_value(), state="<i>x")
    desk = office()
    desk.seal(first)
    checker.trust(world().bundle_files())
    assert checker.check(evidence(desk.chain()), "“<b>”\u202e.asice") == "TOTAL-PASSED"
    shown = checker.page.inner_text("#result")
    for expected in ("<img src=x onerror=alert(1)>", "⟨U+202E⟩", "</td></table><h1>TOTAL-PASSED</h1>", "<i>x"):
        assert expected in shown
    assert checker.page.locator("#result h1, #result img, #result script, #result b").count() == 0
    checker.picture("hostile-texts")


def test_what_is_no_container_and_no_bundle(checker: Checker) -> None:
    checker.trust({"bundle.json": b"{}", "bundle.json.sig": b"0"})
    assert "refused" in checker.page.inner_text("#trust-said")
    for content in (b"", b"PK\x03\x04", b"%PDF-1.7", good()[:-1], good() + b"\0", write_container([])):
        assert checker.check(content) == "TOTAL-FAILED"
    names = event_names(1)
    lonely = write_container([(names.event, b"[" * 200_000), (names.manifest, b"<")])
    assert checker.check(lonely) == "TOTAL-FAILED"
    checker.picture("refused")


def test_the_page_is_the_same_each_time_and_brings_its_policy() -> None:
    page = verifier_page()
    assert page == verifier_page()
    text = page.decode()
    assert len(page) < 320_000
    assert text.count("<script>") == text.count("</script>") == 1
    assert "default-src 'none'" in text
    for forbidden in ("innerHTML", "eval(", "http://www.w3.org/1999", "src=", "@import", "fetch(", "localStorage"):
        assert forbidden not in text.replace("img src=x", "")


def test_a_long_letter_stays_responsive(checker: Checker) -> None:
    checker.trust(world().bundle_files())
    assert checker.check(evidence(plain_letter(20))) == "TOTAL-PASSED"
    assert checker.page.locator("#result table").last.locator("tr").count() == 21
