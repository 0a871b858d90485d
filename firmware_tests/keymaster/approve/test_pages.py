"""The approval pages in a real browser, behind the real front: officers enrol, ask, approve, reject and lock."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.ceremonies import digest_words
from appliance.ceremonies.actions import GenerateKey, Lock, RegisterSeal
from appliance.keymaster import registry
from appliance.keymaster.context import ExecutionContext
from appliance.keymaster.registry import StepResult
from firmware_tests.browsers import Browsers, OfficerBrowser, browsers
from firmware_tests.keymaster.approve.stage import Stage, stage
from firmware_tests.keymaster.room import Bench
from hsm.testing.softhsm import SoftHsm
from provisioning.rehearsal_seal import draw_seal

HOSTILE = '</script><img src=x onerror="document.title=1">\u202egnp.exe\u2066 {name} “end”'


@pytest.fixture(scope="module")
def on_stage(softhsm: SoftHsm) -> Iterator[Stage]:
    root = Path(tempfile.mkdtemp(prefix="cinnabar-"))
    bench = Bench(root, softhsm)
    registry.load_actions()
    before = dict(registry._executors)

    async def make(ctx: ExecutionContext, action: GenerateKey) -> StepResult:
        return StepResult({"key": action.key})

    async def lock(ctx: ExecutionContext, action: Lock) -> StepResult:
        return StepResult({"locked": True})

    async def registered(ctx: ExecutionContext, action: RegisterSeal) -> StepResult:
        return StepResult({"seal": action.seal})

    registry._executors[GenerateKey] = (make, None)
    registry._executors[Lock] = (lock, None)
    registry._executors[RegisterSeal] = (registered, None)
    try:
        with stage(bench) as made:
            yield made
    finally:
        registry._executors.clear()
        registry._executors.update(before)
        bench.recorder.kill()
        shutil.rmtree(root)


@pytest.fixture(scope="module")
def makes(on_stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    with browsers(on_stage.authority, tmp_path_factory.mktemp("browsers")) as made:
        yield made


@pytest.fixture(scope="module")
def people(on_stage: Stage, makes: Browsers) -> dict[str, OfficerBrowser]:
    """Four officers who have enrolled in their browsers and founded the box; threshold 2."""
    made = {name: enrol(on_stage, makes, name) for name in ("ann", "bo", "cai", "dan")}
    on_stage.found(threshold=2)
    return made


def enrol(on_stage: Stage, makes: Browsers, name: str) -> OfficerBrowser:
    browser = makes.officer(name)
    page = browser.page
    page.goto(on_stage.invite(name, f"{name.title()} Öberg 王"))
    page.wait_for_selector("#make:not([hidden])")
    if name == "ann":
        browser.shots("enrol-1-make")
    page.click("#make-button")
    page.wait_for_selector("#compare:not([hidden])")
    identifier, words = on_stage.console_words(name)
    assert page.url.endswith(f"/candidates/{identifier}")
    shown = page.eval_on_selector_all("#words li span[lang=en]", "all => all.map(one => one.textContent)")
    assert shown == words.split()
    page.reload()  # the page can be loaded again while she waits for the console
    page.wait_for_selector("#compare:not([hidden])")
    if name == "ann":
        browser.shots("enrol-2-compare")
        code = on_stage.console_code(identifier)
        page.fill("#code", "00000000" if code != "00000000" else "00000001")
        page.click("#confirm button")
        page.wait_for_selector("#problem:not([hidden])")
        browser.shot("enrol-2-wrong-code")
    page.fill("#code", on_stage.console_code(identifier))
    page.click("#confirm button")
    page.wait_for_selector("#done:not([hidden])")
    if name == "ann":
        browser.shots("enrol-3-done")
    return browser


def key(name: str = "tenant-seal-2026") -> GenerateKey:
    return GenerateKey(
        tenant=None, token="box", key=name, scheme="ecdsa-p256-sha256", purpose="seal", until="2029-01-01T00:00:00Z"
    )


def see(browser: OfficerBrowser, on_stage: Stage, digest: str) -> None:
    browser.page.goto(f"{on_stage.url}/proposals/{digest}")
    browser.page.wait_for_selector("#proposal:not([hidden])")


def sign(browser: OfficerBrowser, verb: str) -> None:
    browser.page.click(f"button[data-verb={verb}]")
    browser.page.wait_for_selector("#standing .thanks")


def state_of(on_stage: Stage, digest: str) -> str:
    async def body(life):  # type: ignore[no-untyped-def]
        return life.room.journal.proposal(digest).state

    return str(on_stage.do(body))


def test_a_ceremony_from_request_to_approval(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    digest = on_stage.submit(
        key(), requester="ann", title="Seal key for 2026", reason="The old key's period ends in December."
    )
    ann, bo, cai = people["ann"], people["bo"], people["cai"]
    see(ann, on_stage, digest)
    ann.shots("proposal-1-unsigned")
    words = ann.page.eval_on_selector_all("#words li span[lang=en]", "all => all.map(one => one.textContent)")
    assert words == digest_words(digest).split()
    chinese = ann.page.eval_on_selector_all("#words li span[lang=zh-Hans]", "all => all.map(one => one.textContent)")
    assert chinese == digest_words(digest, "chinese_simplified").split()
    sign(ann, "request")
    ann.shot("proposal-2-requested")
    see(bo, on_stage, digest)
    assert bo.page.locator("button[data-verb=request]").count() == 0
    sign(bo, "approve")
    bo.shots("proposal-3-one-approval")
    assert state_of(on_stage, digest) == "open"
    see(cai, on_stage, digest)
    sign(cai, "approve")
    assert state_of(on_stage, digest) == "approved"
    cai.shots("proposal-4-approved")
    assert cai.page.locator("button[data-verb=approve]").count() == 0
    # Others see it without loading the page again.
    bo.page.wait_for_selector("#standing.approved", timeout=15_000)


def test_rejections_end_it(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    digest = on_stage.submit(key("unwanted"), requester="dan", title="A key that nobody wants")
    see(people["dan"], on_stage, digest)
    sign(people["dan"], "request")
    for name in ("ann", "bo"):
        see(people[name], on_stage, digest)
        sign(people[name], "reject")
    assert state_of(on_stage, digest) == "rejected"
    people["bo"].shots("proposal-5-rejected")
    assert people["bo"].page.locator("#choices button").count() == 0


def test_one_word_takes_away_at_once(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    digest = on_stage.submit(Lock(), requester="bo", title="Lock it", reason="Something is odd")
    see(people["bo"], on_stage, digest)
    people["bo"].shots("proposal-6-take-away")
    sign(people["bo"], "take-away")
    people["bo"].page.wait_for_selector("#standing.executed", timeout=20_000)
    people["bo"].shot("proposal-7-executed")


def test_an_officer_signs_with_her_own_passkey_and_verified_only(
    people: dict[str, OfficerBrowser], on_stage: Stage
) -> None:
    digest = on_stage.submit(key("another"), requester="ann")
    bo = people["bo"]
    see(bo, on_stage, digest)
    # Bo's authenticator holds no credential of Ann's, so it cannot make her request.
    bo.page.click("button[data-verb=request]")
    bo.page.wait_for_selector("#problem:not([hidden])")
    bo.shot("proposal-8-no-passkey")
    bo.verified(False)
    try:
        bo.page.click("button[data-verb=approve]")
        bo.page.wait_for_selector("#problem:not([hidden])")
        assert state_of(on_stage, digest) == "open"
        assert bo.page.locator("#standing .thanks").count() == 0
    finally:
        bo.verified(True)


def test_a_new_officer_accepts_her_office(people: dict[str, OfficerBrowser], on_stage: Stage, makes: Browsers) -> None:
    """An amendment names her; she reads and accepts it on the same page, beside the officers' approvals."""
    eve = enrol(on_stage, makes, "eve")
    digest = on_stage.submit(on_stage.amendment("eve"), requester="ann", title="Eve joins", reason="Dan is leaving.")
    for name, verb in (("ann", "request"), ("bo", "approve"), ("cai", "approve")):
        see(people[name], on_stage, digest)
        sign(people[name], verb)
    assert state_of(on_stage, digest) == "open"
    see(eve, on_stage, digest)
    eve.shots("proposal-12-accept")
    assert "eve joins the box" in eve.page.inner_text("#steps")
    sign(eve, "accept")
    assert state_of(on_stage, digest) == "approved"

    async def execute(life):  # type: ignore[no-untyped-def]
        return (await life.executions.execute(digest, 20.0)).state

    assert on_stage.do(execute) == "executed"
    see(eve, on_stage, digest)
    assert "eve joins the box" in eve.page.inner_text("#steps")  # as it was when it was signed
    assert eve.complaints == []


def seal_object(image: bytes) -> RegisterSeal:
    return RegisterSeal(
        tenant=None,
        seal="contracts",
        title="华南担保有限公司合同专用章",
        seal_type="contract",
        image=base64.b64encode(image).decode(),
        side_mm=40,
        not_before="2026-01-01T00:00:00Z",
        not_after="2031-01-01T00:00:00Z",
        certificates=["ab" * 32],
    )


def test_officers_see_the_picture_that_they_approve(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    png = draw_seal("华南担保有限公司")
    digest = on_stage.submit(seal_object(png), requester="ann", title="Our seal for contracts")
    bo = people["bo"]
    see(bo, on_stage, digest)
    picture = bo.page.locator(".picture img")
    assert picture.evaluate("one => [one.complete, one.naturalWidth, one.width]") == [True, 378, 151]
    assert picture.get_attribute("alt") == "华南担保有限公司合同专用章 (PNG)"
    assert bo.page.inner_text(".picture code") == hashlib.sha256(png).hexdigest()
    assert hashlib.sha256(png).hexdigest() in bo.page.inner_text(".steps dl")  # as the box tells it
    bo.shots("proposal-13-picture")
    assert bo.complaints == []


@pytest.mark.parametrize("image", [b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a", b"\x89PNG\r\n\x1a\nbroken"])
def test_what_is_no_png_is_not_drawn(people: dict[str, OfficerBrowser], on_stage: Stage, image: bytes) -> None:
    """A box that took it all the same: the page shows no picture, and says not to approve."""
    digest = on_stage.submit(seal_object(image), requester="ann")
    page = people["bo"].page
    see(people["bo"], on_stage, digest)
    assert page.locator("main img").count() == 0
    assert "Do not approve" in page.inner_text("#steps")


def test_hostile_text_is_inert(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    digest = on_stage.submit(key("hostile"), requester="ann", title=HOSTILE, reason=HOSTILE * 3)
    ann = people["ann"]
    see(ann, on_stage, digest)
    ann.page.click("#exact summary")
    ann.shots("proposal-9-hostile")
    assert ann.page.title() == "Proposal · Cinnabar"
    assert ann.page.locator("main img, main script").count() == 0
    text = ann.page.inner_text("body")
    assert "⟨U+202E⟩" in text
    assert "\u202e" not in text
    assert "\u2066" not in text
    assert '</script><img src=x onerror="document.title=1">' in text


def test_an_altered_proposal_cannot_be_signed(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    """A front that lies about the text: another key than the one that the address names."""
    digest = on_stage.submit(key("honest"), requester="ann")
    page = people["cai"].page

    def lie(route) -> None:  # type: ignore[no-untyped-def]
        route.fulfill(json=json.loads(on_stage.fetch(route.request.url).text.replace("honest", "stolen")))

    page.route("**/api/proposals/*", lie)
    try:
        page.goto(f"{on_stage.url}/proposals/{digest}")
        page.wait_for_selector("#problem:not([hidden])")
        assert page.locator("#proposal").is_hidden()
        assert "Do not sign" in page.inner_text("#problem")
        people["cai"].shots("proposal-10-altered")
    finally:
        page.unroute("**/api/proposals/*")


def test_a_lie_in_plain_words_alone_shows_in_the_members(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    """What was hashed is shown from the hashed bytes themselves, and the words are made of them in the browser."""
    digest = on_stage.submit(key("honest-too"), requester="ann")
    page = people["cai"].page

    def lie(route) -> None:  # type: ignore[no-untyped-def]
        value = on_stage.fetch(route.request.url).json()
        for explanation in value["explanation"].values():
            for step in explanation["steps"]:
                step["sentence"] = step["sentence"].replace("honest-too", "harmless")
        value["words"] = {"en": "abandon " * 23 + "art", "zh-Hans": "的 " * 24}
        route.fulfill(json=value)

    page.route("**/api/proposals/*", lie)
    try:
        page.goto(f"{on_stage.url}/proposals/{digest}")
        page.wait_for_selector("#proposal:not([hidden])")
        assert "honest-too" in (page.text_content("#members") or "")
        words = page.eval_on_selector_all("#words li span[lang=en]", "all => all.map(one => one.textContent)")
        assert words == digest_words(digest).split()
    finally:
        page.unroute("**/api/proposals/*")


def test_unknown_addresses_say_what_to_do(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    page = people["ann"].page
    page.goto(f"{on_stage.url}/proposals/{'0' * 64}")
    page.wait_for_selector("#problem:not([hidden])")
    people["ann"].shots("proposal-11-unknown")
    page.goto(f"{on_stage.url}/enrol/{'0' * 32}")
    page.wait_for_selector("#problem:not([hidden])")
    people["ann"].shots("enrol-4-unknown")
    page.goto(f"{on_stage.url}/")
    people["ann"].shots("index")


def test_the_browser_speaks_chinese_where_its_user_does(on_stage: Stage, people: dict[str, OfficerBrowser]) -> None:
    page = people["ann"].page.context.browser.new_context(locale="zh-CN").new_page()  # type: ignore[union-attr]
    page.goto(f"{on_stage.url}/")
    assert page.inner_text("h1") == "安全官在此签署"
    page.context.close()


def test_an_approval_passkey_serves_no_other_origin(people: dict[str, OfficerBrowser], on_stage: Stage) -> None:
    """The management origin cannot ask for an approval passkey: its name is not under the relying party's."""
    page = people["ann"].page
    page.goto(f"{on_stage.plain}/")
    found = page.evaluate(
        """async () => {
            try {
                await navigator.credentials.get({publicKey: {
                    challenge: new Uint8Array(32), rpId: "approve.localhost", allowCredentials: [],
                    userVerification: "required", timeout: 5000}});
                return "signed";
            } catch (error) { return error.name; }
        }"""
    )
    assert found == "SecurityError"


def test_no_page_broke_its_own_policy(people: dict[str, OfficerBrowser]) -> None:
    """Last in this file: what the consoles of all browsers said meanwhile."""
    for browser in people.values():
        assert browser.complaints == []
