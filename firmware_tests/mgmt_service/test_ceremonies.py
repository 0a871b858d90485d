"""A ceremony that waits at the console, as its page tells of it; and actions put in order without a script."""

from __future__ import annotations

import time
from typing import Any

from firmware_tests.mgmt_service.managed import ManagedBox, Visitor, wait_for

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
    other = approved(managed, ann, {"action": "resume-tenant", "name": "demo"}, title="Meanwhile")
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
