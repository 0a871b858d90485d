"""The witness's pages in a real browser: WCAG 2.2 AA as far as a machine can tell, in both languages, with a fork."""

from __future__ import annotations

import pytest
from playwright.sync_api import sync_playwright

from firmware_tests.accessible import findings, lost_focus, sticks_out
from firmware_tests.browsers import CHROMIUM
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.running import RunningWitness, log_table


@pytest.mark.parametrize("locale", ["en-GB", "zh-CN"])
def test_anybody_can_read_what_a_witness_saw(witness: RunningWitness, log: TestLog, locale: str) -> None:
    long = TestLog("log.example/rehearsal/" + "a-long-name-" * 12).grow(3)
    witness.configure([log_table(log, title="甲银行日志"), log_table(long)])
    witness.start()
    for one in (log, long):
        assert witness.add(one.request(0)).status_code == 200
    assert witness.add(log.fork(2, 5).request(0)).status_code == 409
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(locale=locale)
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda said: complaints.append(said.text))
        page.goto(witness.url("monitoring"))
        assert page.eval_on_selector("html", "one => one.lang") == ("en" if locale == "en-GB" else "zh-Hans")
        assert "甲银行日志" in page.inner_text("main")
        for _ in range(2):
            assert findings(page) == []
            assert lost_focus(page) == []
            assert sticks_out(page) == []
            page.locator("main a[href^='/log/']").first.click()
            page.wait_for_url("**/log/*")
        # The other language is one click away, and the evidence another.
        page.goto(witness.url("monitoring"))
        page.locator("nav a").first.click()
        page.wait_for_url("**language=*")
        assert page.eval_on_selector("html", "one => one.lang") == ("zh-Hans" if locale == "en-GB" else "en")
        assert complaints == []
        with page.expect_response("**/forks/1.json") as answer:
            page.locator("a[href='/forks/1.json']").click()
        assert answer.value.json()["origin"] == log.origin
        browser.close()
