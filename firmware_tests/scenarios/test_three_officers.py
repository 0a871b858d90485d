"""From three people with nothing but links to a sealed letter that strangers verify, as docs/ceremonies.md has it.

A whole box; every officer has a Chromium of her own with an authenticator of her own, and does only what pages and the
console let a person do. Nothing of the box is asked behind their backs but what an application or a verifier asks.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from appliance.ceremonies import digest_words
from firmware_tests.browsers import Browsers, OfficerBrowser, browsers
from firmware_tests.governed import Governed
from firmware_tests.mgmt_service.managed import ManagedBox
from firmware_tests.mgmt_service.pictures import pictures
from firmware_tests.running import cinnabar

TITLES = {"ann": "Ann Öberg", "bo": "Bo 王", "cai": "Cai Vega"}
KEY = "letters-2026"
TRANSCRIPT_SECONDS = 60.0


@pytest.fixture(scope="module")
def managed(open_directory: Path) -> Iterator[ManagedBox]:
    """Provisioned and started; nobody is an officer."""
    made = ManagedBox(open_directory / "three-officers")
    try:
        made.start()
        yield made
    finally:
        assert made.stop() == 0, made.running.said()


@pytest.fixture(scope="module")
def people(managed: ManagedBox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, OfficerBrowser]]:
    with browsers(managed.home.trust / "box-ca.pem", tmp_path_factory.mktemp("browser")) as made:
        yield {name: _browser(made, name) for name in TITLES}


def _browser(made: Browsers, name: str) -> OfficerBrowser:
    return made.officer(name, locale="zh-CN" if name == "bo" else "en-GB")


def console(managed: ManagedBox, *arguments: str) -> str:
    return Governed(managed.running).console(*arguments)


def words_shown(officer: OfficerBrowser, where: str) -> str:
    """The words on a page, in the order that a person reads them."""
    return " ".join(officer.page.eval_on_selector_all(where, "all => all.map(one => one.textContent.trim())"))


def enrol(managed: ManagedBox, officer: OfficerBrowser) -> None:
    """By a one-time link to a passkey that signs in, another that approves, the words compared, the code typed."""
    page, name, first = officer.page, officer.name, officer.name == "ann"
    page.goto(managed.origin() + managed.invite(name, TITLES[name]))
    if first:
        pictures(officer, "three-01-welcome")
    page.locator("#label").fill("blue key")
    page.locator("form[data-passkey] button").click()
    page.wait_for_url("**/me")
    if first:
        pictures(officer, "three-02-first-passkey")
    page.locator("form[action='/me/approval-passkey'] button").click()
    page.wait_for_selector("#make:not([hidden])")
    if first:
        officer.shots("three-03-approval-passkey")
    page.click("#make-button")
    page.wait_for_selector("#compare:not([hidden])")
    (candidate,) = [one for one in json.loads(console(managed, "candidates", "--json")) if one["person"] == name]
    assert words_shown(officer, "#words li span[lang=en]") == candidate["words"]
    if first:
        officer.shots("three-04-compare")
    page.fill("#code", console(managed, "code", candidate["id"]).strip())
    page.click("#confirm button")
    page.wait_for_selector("#done:not([hidden])")
    if first:
        officer.shots("three-05-confirmed")


def sign_in(managed: ManagedBox, officer: OfficerBrowser) -> None:
    page = officer.page
    page.goto(managed.origin() + "/")
    page.locator("form[action='/sign-out'] button").click()
    page.goto(managed.origin() + "/sign-in")
    page.locator("form[data-passkey] button").click()
    page.wait_for_url(managed.origin() + "/")


def sign(officer: OfficerBrowser, verb: str, digest: str) -> None:
    """On the keymaster's own page, after holding its words to those of the digest."""
    page = officer.page
    page.wait_for_selector("#proposal:not([hidden])")
    assert words_shown(officer, "#words li span[lang=en]") == digest_words(digest)
    page.click(f"button[data-verb={verb}]")
    page.wait_for_selector("#standing .thanks")


def test_three_officers_give_a_tenant_its_seal_key(
    managed: ManagedBox, people: dict[str, OfficerBrowser], tmp_path: Path
) -> None:
    for officer in people.values():
        enrol(managed, officer)
    founding = Governed(managed.running).found(threshold=2)
    ann = people["ann"]
    assert digest_words(founding) in " ".join(console(managed, "status").split())
    for officer in people.values():
        sign_in(managed, officer)
    pictures(ann, "three-06-overview")

    digest = write_ceremony(managed, ann)
    pictures(ann, "three-09-handed-in")
    ann.page.get_by_role("link", name="Sign the request").click()
    sign(ann, "request", digest)
    ann.shots("three-10-requested")
    for name in ("bo", "cai"):
        approve(managed, people[name], digest)
    people["bo"].shots("three-12-approved")

    execute(managed, ann, digest)
    hand_to_auditor(managed, ann, digest, tmp_path)
    seal_and_verify(managed, tmp_path)
    for officer in people.values():
        assert officer.complaints == [], officer.name


def write_ceremony(managed: ManagedBox, ann: OfficerBrowser) -> str:
    """From the template; the digest of what was handed in."""
    page = ann.page
    page.get_by_role("navigation").get_by_role("link", name="Ceremonies").click()
    page.get_by_role("link", name="Write a ceremony").click()
    page.get_by_role("link", name="Give a tenant a seal key").click()
    page.locator("[name='shared.tenant']").select_option("demo")
    token = page.locator("[name='shared.token']")
    assert token.input_value()
    page.locator("[name='shared.key']").fill(KEY)
    page.locator("[name='actions.1.common_name']").fill("Demo Bank letters 2026")
    page.locator("[name='actions.1.organisation']").fill("Demo Bank 示范银行")
    page.locator("[name='actions.1.country']").fill("NO")
    page.get_by_label("Why").fill("The letters of 2026 get a key of their own.")
    pictures_of_filled(ann, "three-07-written")
    page.get_by_role("button", name="Read it in plain words").click()
    expect(page.get_by_role("heading", name="Read it before you hand it in")).to_be_visible()
    ann.shot("management-three-08-read-en")
    page.get_by_role("button", name="Hand it in").click()
    page.wait_for_url(re.compile(r"/ceremonies/[0-9a-f]{64}$"))
    return page.url.rpartition("/")[2]


def pictures_of_filled(officer: OfficerBrowser, name: str) -> None:
    """A form that is filled in; changing the language would begin it anew."""
    officer.shot(f"management-{name}-en")


def approve(managed: ManagedBox, officer: OfficerBrowser, digest: str) -> None:
    """She finds it by herself: on her list, then on its page, then on the keymaster's."""
    page = officer.page
    page.goto(managed.origin() + "/ceremonies")
    page.locator(f"a[href='/ceremonies/{digest}']").first.click()
    page.wait_for_url(f"**/ceremonies/{digest}")
    assert words_shown(officer, ".words li")
    officer.shot(f"management-three-11-{officer.name}-reads")
    page.locator(".next a.button").click()
    sign(officer, "approve", digest)


def execute(managed: ManagedBox, ann: OfficerBrowser, digest: str) -> None:
    page = ann.page
    page.get_by_role("link", name="Back to this ceremony on the management pages").click()
    page.wait_for_url(managed.origin() + f"/ceremonies/{digest}")
    expect(page.get_by_role("button", name="Execute it now")).to_be_visible()
    pictures(ann, "three-13-may-be-executed")
    page.get_by_role("button", name="Execute it now").click()
    page.get_by_text("It is done.").wait_for(timeout=TRANSCRIPT_SECONDS * 1000)
    pictures(ann, "three-14-executed")
    page.get_by_role("link", name="Transcript").click()
    expect(page.get_by_role("heading", name="Transcript")).to_be_visible()
    pictures(ann, "three-15-transcript")
    said = page.locator("main").inner_text()
    assert "not in the log yet" not in said
    for row in (
        "Handed in by Ann",
        "Cai Vega cai approved",
        "Step 1: Make a key done",
        "Step 3: Begin to use a key done",
    ):
        assert row in " ".join(said.split()), row


def hand_to_auditor(managed: ManagedBox, ann: OfficerBrowser, digest: str, directory: Path) -> None:
    """The record bundle, downloaded, and judged by `cinnabar verify` with nothing but the trust directory."""
    ann.page.goto(managed.origin() + f"/ceremonies/{digest}")
    with ann.page.expect_download() as download:
        ann.page.get_by_role("link", name="Record bundle").click()
    bundle = directory / "ceremony.asice"
    download.value.save_as(bundle)
    judged = verify(managed, directory, bundle)
    assert judged["indication"] == "TOTAL-PASSED", judged


def seal_and_verify(managed: ManagedBox, directory: Path) -> None:
    """The application that was there before seals with the new key; our verifier and OpenSSL are asked."""
    letter = directory / "letter.txt"
    letter.write_text("Dear Sir or Madam\n")
    home = ("--home", str(managed.home.root), "--as", "demo-app")
    run("seal", *home, "--seal-key", KEY, str(letter))
    seal, record = Path(f"{letter}.p7s"), Path(f"{letter}.p7s.record.json")
    judged = verify(managed, directory, letter, seal, record)
    assert judged["indication"] == "TOTAL-PASSED", judged
    checked = subprocess.run(
        (
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-purpose", "any", "-in", seal,
            "-content", letter, "-CAfile", managed.home.trust / "seal-ca.pem", "-out", "/dev/null",
            "-signer", directory / "signer.pem",
        ),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    subject = subprocess.run(
        ("openssl", "x509", "-in", directory / "signer.pem", "-noout", "-subject", "-nameopt", "utf8"),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Demo Bank letters 2026" in subject.stdout


def run(*arguments: str) -> str:
    done = cinnabar(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def verify(managed: ManagedBox, directory: Path, *files: Path) -> dict[str, object]:
    state = ("--state", str(directory / "verifier"))
    said = run("verify", "--json", "--trust", str(managed.home.trust), *state, *map(str, files))
    report: dict[str, object] = json.loads(said)
    return report
