"""A ceremony that waits at the console, as its page tells of it; and actions put in order without a script."""

from __future__ import annotations

import hashlib
import html
import re
import time
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from appliance.audit.filters import Filter
from appliance.letters.shipped import shipped
from firmware_tests.mgmt_service.managed import ManagedBox, Visitor, wait_for
from mgmt_service import languages, scripts
from mgmt_service.areas.exports import in_words as filter_in_words
from mgmt_service.ordering import MOST, rearranged
from mgmt_service.problems import Malformed
from mgmt_service.wording import in_words

WAITS = (
    {
        "action": "set-profile", "profile": "walk", "authority": "box-ca", "tenant": "demo", "use": "tls-client",
        "common_name_pattern": "walk-[0-9]{1,3}", "days": 90, "most": 20, "until": "2099-01-01T00:00:00Z",
    },
    {"action": "enrol-application", "tenant": "demo", "application": "walk", "permissions": ["demo-seal"]},
    {"action": "authorise-enrolment", "tenant": "demo", "profile": "walk", "application": "walk"},
)  # fmt: skip


def approved(managed: ManagedBox, visitor: Visitor, *actions: dict[str, Any], title: str) -> str:
    digest = visitor.submit(*actions, title=title)
    managed.say(digest, "request ann", "approve bo")
    return digest


def waiting_at(visitor: Visitor, digest: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while not (shown := visitor.get(f"/api/v1/ceremonies/{digest}").json())["waiting"]:
        assert time.monotonic() < deadline, shown
        time.sleep(0.1)
    found: dict[str, Any] = shown["waiting"][0]
    return found


def test_a_ceremony_that_waits_at_the_console_says_so_and_others_are_led_to_it(
    managed: ManagedBox, ann: Visitor, dora: Visitor
) -> None:
    first = approved(managed, ann, *WAITS, title="Enrolment that waits")
    other = approved(managed, ann, {"action": "set-quota", "name": "demo", "quota": {}}, title="Meanwhile")
    assert ann.post(f"/api/v1/ceremonies/{first}/execute", json={}).status_code == 200
    asked = waiting_at(ann, first)
    assert (asked["kind"], asked["shown"]) == ("show", False)
    assert time.time() < asked["until"] < time.time() + 601
    page = ann.get(f"/ceremonies/{first}").text
    assert f"cinnabar console answer {asked['number']}" in page
    assert "give-up" not in page
    chinese = ann.get(f"/ceremonies/{first}", headers={"Accept-Language": "zh-CN"}).text
    assert "控制台" in chinese

    refused = ann.post(f"/ceremonies/{other}/execute", data={"csrf": ann.csrf})
    assert refused.status_code == 409
    assert f'<a href="/ceremonies/{first}">Enrolment that waits</a>' in refused.text
    program = ann.post(f"/api/v1/ceremonies/{other}/execute", json={})
    assert program.json()["type"] == "urn:cinnabar:problem:execution-busy"
    assert dora.post(f"/ceremonies/{other}/execute", data={"csrf": dora.csrf}).status_code == 404

    with managed.console() as console:
        secret = console.text(asked["number"])
    assert waiting_at(ann, first)["shown"]
    page = ann.get(f"/ceremonies/{first}").text
    assert f"cinnabar console give-up {asked['number']}" in page
    assert secret not in page
    with managed.console() as console:
        console.give_up(asked["number"])
    assert "given up on the console" in wait_for(ann, first, "failed")["error"]
    assert ann.post(f"/api/v1/ceremonies/{other}/execute", json={}).status_code == 200
    wait_for(ann, other, "executed")
    managed.say(first, "reject bo")


# The order of actions, and what a form says of a wrong field


def told(page: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def fields_in(page: str) -> dict[str, list[str]]:
    """Names and values of a page's inputs of one line."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r'<input [^>]*name="([^"]+)" value="([^"]*)"', page):
        found.setdefault(name, []).append(html.unescape(value))
    return found


def test_actions_keep_the_order_in_which_they_were_added_and_what_was_entered(ann: Visitor) -> None:
    page = ann.get("/ceremonies/new/free?add=set-profile").text
    sent = {"csrf": ann.csrf, "add": "set-profile", "actions.0.profile": "early", "change": "add"}
    page = ann.post("/ceremonies/new/free/order", data=sent | {"another": "authorise-enrolment"}).text
    assert fields_in(page)["add"] == ["set-profile", "authorise-enrolment"]  # not as the alphabet has it
    assert fields_in(page)["actions.0.profile"] == ["early"]
    sent = {
        "csrf": ann.csrf, "add": ["set-profile", "lock", "authorise-enrolment"], "actions.0.profile": "early",
        "actions.2.profile": "late", "actions.0.action": "set-profile", "actions.1.action": "lock",
        "actions.2.action": "authorise-enrolment", "change": "up.2", "title": "Mine", "reason": "", "hours": "12",
    }  # fmt: skip
    page = ann.post("/ceremonies/new/free/order", data=sent).text
    shown = fields_in(page)
    assert shown["add"] == ["set-profile", "authorise-enrolment", "lock"]
    assert (shown["actions.0.profile"], shown["actions.1.profile"]) == (["early"], ["late"])
    assert shown["title"] == ["Mine"]
    assert ann.post("/ceremonies/new/free/order", data=sent | {"change": "up.9"}).status_code == 422
    drafted = ann.draft(WAITS[1], WAITS[0])
    assert drafted.json()["plain"]["order"] == ["enrol-application", "set-profile"]


def test_a_kind_of_letter_that_was_pasted_keeps_its_digest(ann: Visitor) -> None:
    """Browsers send a text area's lines with CR LF; the file that officers approve ends them as the author did."""
    text = shipped()["bid-bond"].decode()
    sent = {
        "csrf": ann.csrf, "title": "A bid bond", "reason": "A test", "actions.0.tenant": "demo",
        "actions.0.file": text.replace("\n", "\r\n"),
    }  # fmt: skip
    for language, said in (("en", "Event “Claim”"), ("zh-CN", "事件“索赔”")):
        answer = ann.post("/ceremonies/new/install-kind", data=sent, headers={"Accept-Language": language})
        assert answer.status_code == 200, told(answer.text)
        page = told(answer.text)
        assert hashlib.sha256(text.encode()).hexdigest() in page
        assert said in page


def test_what_is_wrong_stands_beside_its_field_in_the_readers_language(ann: Visitor) -> None:
    sent = {
        "csrf": ann.csrf, "title": "A key", "reason": "A test", "shared.tenant": "demo", "shared.token": "demo",
        "shared.key": "new-seal", "actions.0.scheme": "ecdsa-p256-sha256", "actions.0.until": "2027-01-01T00:00",
        "actions.1.authority": "seal-ca", "actions.1.common_name": "Seal", "actions.1.organisation": "Demo",
        "actions.1.country": "CHINA", "actions.1.days": "365",
    }  # fmt: skip
    for language, said in (("en", "Country: Two capital letters, such as CN"), ("zh-CN", "两个大写字母，例如 CN")):
        answer = ann.post("/ceremonies/new/seal-key", data=sent, headers={"Accept-Language": language})
        assert answer.status_code == 422
        assert said in told(answer.text)
        assert "regex" not in answer.text
        assert 'id="f-actions-1-country-wrong"' in answer.text
        assert '<a href="#f-actions-1-country">' in answer.text
        assert answer.text.count('aria-invalid="true"') == 1


def test_only_what_a_backup_takes_is_offered_for_one(ann: Visitor) -> None:
    page = told(ann.get("/ceremonies/new/back-up-keys").text)
    assert "seal-ca" not in page
    assert "demo-seal" not in page  # it was not made for backup


@given(st.lists(st.sampled_from(sorted(scripts.ACTIONS)), max_size=MOST), st.data())
def test_a_change_of_the_order_moves_one_action_and_loses_none(tags: list[str], data: st.DataObject) -> None:
    entered = [{"was": at} for at in range(len(tags))]
    assert rearranged(tags, entered, "add", "lock")[0] == [*tags, "lock"][:MOST]
    if not tags:
        return
    at = data.draw(st.integers(0, len(tags) - 1))
    there, given_ = rearranged(tags, entered, f"down.{at}")
    assert sorted(there) == sorted(tags)
    assert [tags[one["was"]] for one in given_] == there
    if at < len(tags) - 1:
        assert rearranged(there, given_, f"up.{at + 1}") == (tags, entered)
    assert rearranged(tags, entered, f"remove.{at}")[0] == tags[:at] + tags[at + 1 :]


@pytest.mark.parametrize("change", ["", "up", "up.-1", "up.2", "down.x", "add.0", "remove.99999999", "up.²"])
def test_a_change_that_is_none_is_refused(change: str) -> None:
    with pytest.raises(Malformed):
        rearranged(["lock", "stop"], [], change)


def test_what_msgspec_says_is_said_in_words() -> None:
    app = Flask(__name__)
    languages.install(app)
    with app.test_request_context():
        assert in_words("Expected `int`, got `str`") == "A whole number."
        assert in_words("Expected `int` >= 1") == "1 or more."
        assert in_words("Expected `int` > 1") == "2 or more."
        assert in_words("Expected `str` of length <= 200") == "At most 200 characters."
        assert in_words("Expected `array` of length >= 1") == "Something must stand here."
        assert in_words("Object missing required field `country`") == "Something must stand here."
        assert in_words("Expected `str` matching regex '\\\\A[A-Z]{2}\\\\Z'").startswith("Two capital letters")
        assert in_words("Expected `str` matching regex 'x'") == "It is not written as this field takes it."
        assert in_words("ann is no officer") == "ann is no officer"


def test_a_filter_is_told_in_words() -> None:
    app = Flask(__name__)
    languages.install(app)
    asked = Filter(since=1_793_491_200_000_000, until=1_796_083_200_000_000, kinds=["seal"], text="bond")
    for language, said in (
        ("en", "From: 2026-11-01 00:00:00 UTC · Until: 2026-12-01 00:00:00 UTC · Kind: Seal · Text: bond"),
        ("zh_Hans_CN", "2026-11-01 00:00:00 UTC"),
    ):
        with app.test_request_context(headers={"Cookie": f"language={language}"}):
            assert said in filter_in_words(asked)
            assert filter_in_words(Filter()) == ""
