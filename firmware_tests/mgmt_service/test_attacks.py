"""What an attacker in a browser or on the network tries against the management service."""

from __future__ import annotations

import base64
import re
import secrets
import socket
import stat
import time
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
import pytest

from appliance.base64url import to_base64url
from appliance.box.settings import read_settings
from appliance.ceremonies import Constitution, decode, encode, read_proposal
from appliance.ceremonies.actions import Action, AmendConstitution, DeactivateKey, EnrolApplication
from appliance.ceremonies.proposal import ScopeQuorum
from appliance.keymaster.heads import empty_head
from firmware_tests.mgmt_service.managed import ManagedBox, Visitor, challenge_of
from firmware_tests.officers import SoftwareOfficer
from mgmt_service.dispatch import local_path
from mgmt_service.headers import HEADERS
from mgmt_service.sessions import COOKIE, VISIT_COOKIE


def options(visitor: Visitor) -> dict[str, Any]:
    found: dict[str, Any] = visitor.post("/api/v1/sign-in/options", json={}).json()["options"]
    return found


# Sign-in


@pytest.mark.parametrize(
    "wrong",
    [
        {"origin": "https://evil.example"},
        {"origin": "https://approve.localhost"},
        {"rp_id": "approve.localhost"},
        {"flags": 1},  # present, not verified
        {"kind": "webauthn.create"},
        {"signed_challenge": bytes(32)},
        {"more": {"crossOrigin": True}},
        {"more": {"topOrigin": "https://evil.example"}},
    ],
    ids=repr,
)
def test_a_wrong_assertion_signs_nobody_in(managed: ManagedBox, ann: Visitor, wrong: dict[str, Any]) -> None:
    visitor = managed.visitor()
    visitor.passkey = ann.passkey
    answered = options(visitor)
    credential = visitor.assertion(answered, **wrong)
    refused = visitor.post("/api/v1/sign-in", json={"credential": credential})
    assert refused.status_code == 403
    assert refused.json()["type"].endswith("sign-in-refused")
    assert COOKIE not in visitor.client.cookies


def test_a_challenge_serves_once_and_its_own_visitor_alone(managed: ManagedBox, ann: Visitor) -> None:
    first, second = managed.visitor(), managed.visitor()
    first.passkey = second.passkey = ann.passkey
    credential = first.assertion(options(first))
    options(second)
    assert second.post("/api/v1/sign-in", json={"credential": credential}).status_code == 403
    assert first.post("/api/v1/sign-in", json={"credential": credential}).status_code == 200
    first.client.cookies.delete(COOKIE)
    assert first.post("/api/v1/sign-in", json={"credential": credential}).status_code == 403, "replayed"


def test_another_s_key_under_a_known_id_is_refused(managed: ManagedBox, ann: Visitor) -> None:
    visitor = managed.visitor()
    forger = SoftwareOfficer("mallory", rp_id="localhost", origin=visitor.origin)
    assert ann.passkey is not None
    forger.credential_id = ann.passkey.credential_id
    visitor.passkey = forger
    assert visitor.sign_in().status_code == 403


def test_an_unknown_passkey_learns_nothing(managed: ManagedBox, ann: Visitor) -> None:
    stranger, forger = managed.visitor(), managed.visitor()
    stranger.passkey = SoftwareOfficer("nobody", rp_id="localhost", origin=stranger.origin)
    forger.passkey = SoftwareOfficer("nobody", rp_id="localhost", origin=stranger.origin)
    assert ann.passkey is not None
    forger.passkey.credential_id = ann.passkey.credential_id
    unknown, known = stranger.sign_in(), forger.sign_in()
    assert (unknown.status_code, unknown.json()["type"]) == (known.status_code, known.json()["type"])


@pytest.mark.parametrize(
    "credential",
    [{}, {"id": "x"}, {"id": 7}, {"id": "\u00e9"}, {"id": "AAAA", "response": []}, {"id": "A" * 5000}],
    ids=lambda one: str(one)[:40],
)
def test_a_torn_credential_is_refused(managed: ManagedBox, credential: dict[str, Any]) -> None:
    visitor = managed.visitor()
    options(visitor)
    assert visitor.post("/api/v1/sign-in", json={"credential": credential}).status_code == 403


def test_nobody_can_lock_an_officer_out(managed: ManagedBox) -> None:
    """Neither by failing in her name nor from her own address: her browser is known and has a rate of its own."""
    hal = managed.signed_in("hal", address="127.0.0.77")
    attacker = managed.visitor("127.0.0.77")
    assert hal.passkey is not None
    attacker.passkey = SoftwareOfficer("mallory", rp_id="localhost", origin=attacker.origin)
    attacker.passkey.credential_id = hal.passkey.credential_id
    assert attacker.sign_in().status_code == 403
    answers = {attacker.post("/api/v1/sign-in/options", json={}).status_code for _ in range(150)}
    assert answers == {200, 429}
    assert hal.get("/me").status_code == 200
    assert hal.sign_in().status_code == 200
    assert managed.visitor().post("/api/v1/sign-in/options", json={}).status_code == 200, "another address"


# Sessions


def test_cookies_are_strict(managed: ManagedBox) -> None:
    visitor = managed.visitor()
    begun = visitor.post("/api/v1/sign-in/options", json={})
    visitor.enrol(managed.invite("ida", "Ida"), "ida")
    signed = visitor.sign_in()
    for sent, name in ((begun, VISIT_COOKIE), (signed, COOKIE)):
        cookie = next(one for one in sent.headers.get_list("set-cookie") if one.startswith(f"{name}="))
        for part in ("Secure", "HttpOnly", "SameSite=Strict", "Path=/"):
            assert part in cookie
        assert "Domain" not in cookie


def test_a_session_that_was_set_before_is_never_taken_over(managed: ManagedBox, ann: Visitor) -> None:
    visitor = managed.visitor()
    visitor.passkey = ann.passkey
    visitor.client.cookies.set(COOKIE, "x" * 43, domain="127.0.0.1", path="/")
    assert visitor.sign_in().status_code == 200
    assert visitor.cookie != "x" * 43


def test_each_sign_in_is_a_new_session_and_ends_the_one_before(managed: ManagedBox) -> None:
    visitor = managed.signed_in("jo")
    before = visitor.cookie
    assert visitor.sign_in().status_code == 200
    assert visitor.cookie != before
    old = managed.visitor()
    old.client.cookies.set(COOKIE, before)
    assert old.get("/api/v1/me").status_code == 401


def test_signing_out_ends_the_session_on_the_server(managed: ManagedBox) -> None:
    visitor = managed.signed_in("kit")
    cookie = visitor.cookie
    assert visitor.post("/sign-out").status_code == 303
    again = managed.visitor()
    again.client.cookies.set(COOKIE, cookie)
    assert again.get("/api/v1/me").status_code == 401


def test_a_removed_passkey_ends_what_it_opened(managed: ManagedBox) -> None:
    visitor = managed.signed_in("lou")
    assert visitor.passkey is not None
    first = to_base64url(visitor.passkey.credential_id)
    refused = visitor.post("/api/v1/me/passkeys/remove", json={"passkey": first})
    assert refused.status_code == 409, "the last passkey stays"
    second = SoftwareOfficer("lou", rp_id="localhost", origin=visitor.origin)
    asked = visitor.post("/api/v1/me/passkeys/options", json={}).json()["options"]
    made = visitor.post("/api/v1/me/passkeys", json={"credential": second.register(challenge_of(asked))})
    assert made.status_code == 200, made.text
    assert visitor.post("/api/v1/me/passkeys/remove", json={"passkey": first}).status_code == 200
    assert visitor.get("/api/v1/me").status_code == 401


def test_another_s_passkey_cannot_be_removed_or_found(managed: ManagedBox, ann: Visitor) -> None:
    visitor = managed.signed_in("mia")
    assert ann.passkey is not None
    theirs = visitor.post("/api/v1/me/passkeys/remove", json={"passkey": to_base64url(ann.passkey.credential_id)})
    unknown = visitor.post("/api/v1/me/passkeys/remove", json={"passkey": "AAAA"})
    assert theirs.status_code == unknown.status_code == 404
    assert theirs.json() == unknown.json()


def test_a_link_works_once_and_its_successor_ends_it(managed: ManagedBox) -> None:
    stale = managed.invite("ned", "Ned")
    link = managed.invite("ned", "Ned")
    assert managed.visitor().get(stale).status_code == 403
    managed.visitor().enrol(link, "ned")
    assert managed.visitor().get(link).status_code == 403
    assert managed.visitor().post(f"/api/v1{link}/options", json={}).status_code == 403


def test_an_officer_invites_nobody_who_serves_others(managed: ManagedBox, ann: Visitor) -> None:
    """Whoever held such a link would read the other tenant in dora's name."""
    ann.sign_in()
    refused = ann.post("/api/v1/officers/invite", json={"person": "dora", "name": "Dora"})
    assert refused.status_code == 403


def test_an_officer_invites_no_reader_of_others(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    dora.sign_in()
    ann.sign_in()
    body = {"person": "rhea", "name": "Rhea", "role": "auditor", "scope": "tenant/other"}
    assert dora.post("/api/v1/officers/readers", json=body).status_code == 200
    refused = ann.post("/api/v1/officers/invite", json={"person": "rhea", "name": "Rhea"})
    assert refused.status_code == 403


def test_a_name_taken_in_advance_opens_no_other_scope(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    """Whoever makes a passkey for a name that others give a role to later sees nothing of theirs by it."""
    ann.sign_in()
    dora.sign_in()
    squatter = squat(managed, ann, "sid")
    named = {"person": "sid", "name": "Sid", "role": "auditor", "scope": "tenant/other"}
    assert dora.post("/api/v1/officers/readers", json=named).status_code == 403

    squatter = squat(managed, dora, "zoe")
    become_officer_of_demo(managed, "zoe")
    time.sleep(1.1)  # the constitution is looked at every second
    assert squatter.get("/api/v1/me").json()["roles"] == []
    assert squatter.get("/api/v1/audit/demo").status_code == 403
    further = SoftwareOfficer("zoe", rp_id="localhost", origin=squatter.origin)
    asked = squatter.post("/api/v1/me/passkeys/options", json={}).json()["options"]
    made = {"credential": further.register(challenge_of(asked)), "label": "further"}
    assert squatter.post("/api/v1/me/passkeys", json=made).status_code == 200
    squatter.passkey = further
    squatter.sign_in()
    assert squatter.get("/api/v1/me").json()["roles"] == [], "a further passkey is good for no more"

    real = managed.signed_in("zoe")
    assert real.get("/api/v1/me").json()["roles"] == [["officer", "tenant/demo"]]
    (own,) = [one for one in real.get("/api/v1/me").json()["passkeys"] if one["this"]]
    kept = squatter.post("/api/v1/me/passkeys/remove", json={"passkey": own["id"]})
    assert kept.status_code == 409, "nor does it take the real one away"


def squat(managed: ManagedBox, officer: Visitor, person: str) -> Visitor:
    """A visitor with a passkey for a name, by a link that this officer made."""
    link = officer.post("/api/v1/officers/invite", json={"person": person, "name": person.title()})
    assert link.status_code == 200, link.text
    visitor = managed.visitor()
    visitor.enrol(urlsplit(link.json()["link"]).path, person)
    return visitor


def become_officer_of_demo(managed: ManagedBox, person: str) -> None:
    officer = managed.candidate(person)
    with managed.desk() as desk:
        law = decode(desk.constitution(), Constitution)
        following = msgspec.structs.replace(
            law,
            version=law.version + 1,
            previous=law.digest,
            persons=[*law.persons, officer.person()],
            scopes=[
                msgspec.structs.replace(one, officers=[*one.officers, person]) if one.name == "tenant/demo" else one
                for one in law.scopes
            ],
        )
        actions = msgspec.json.encode([AmendConstitution(constitution=following)])
        digest = desk.submit(desk.draft("ann", "One more", "A test", actions, 24))
        managed.say(digest, "request ann", "approve bo", f"accept {person}")
        assert desk.execute(digest, 20.0)["state"] == "executed"


# The page


MARKS = "<img src=x onerror=alert(1)>\"'{{7*7}}\u202e\u0007\u2066"


def test_text_from_outside_is_shown_and_does_nothing(managed: ManagedBox, ann: Visitor) -> None:
    """Every free text: names of people, titles, reasons, labels, reasons of errors; on every page that shows it."""
    body = {"title": MARKS, "reason": MARKS, "officers": {"scopes": [
        {"name": "box", "officers": ["ann", "bo", "cai"], "threshold": 2}]}}  # fmt: skip
    drafted = ann.post("/api/v1/ceremonies/new/replace-officers", json=body)
    assert drafted.status_code == 200, drafted.text
    digest = drafted.json()["digest"]
    assert ann.post("/api/v1/ceremonies", json={"proposal": drafted.json()["proposal"]}).status_code == 200
    other = managed.visitor()
    other.enrol(managed.invite("odd", MARKS), "odd")
    ann.sign_in()
    ann.post(
        "/api/v1/officers/readers", json={"person": "odd2", "name": MARKS, "role": "auditor", "scope": "tenant/demo"}
    )
    form = {"title": MARKS, "reason": MARKS, "hours": MARKS, "shared.tenant": MARKS, "shared.key": MARKS}
    pages = {
        "list": ann.get("/ceremonies"),
        "ceremony": ann.get(f"/ceremonies/{digest}"),
        "transcript": ann.get(f"/ceremonies/{digest}/transcript"),
        "overview": ann.get("/"),
        "officers": ann.get("/officers"),
        "form": ann.post("/ceremonies/new/seal-key", data=form),
        "me": other.get("/me"),
        "filter": ann.get("/ceremonies", params={"state": MARKS}),
        "next": managed.visitor().get("/sign-in", params={"next": MARKS}),
        "missing": ann.get("/" + quote(MARKS, safe="")),
    }
    for name, page in pages.items():
        text = page.text
        assert "<img src=x" not in text, name
        assert "49" not in re.findall(r"\"'(..)", text), name
        assert not {"\u202e", "\u0007", "\u2066"} & set(text), name
        assert page.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';"), name
        inline = re.search(r"<script(?![^>]* src=)|\son[a-z]+=\s*[\"']|style=|javascript:", text)
        assert not inline, (name, inline)
    for name in ("list", "ceremony", "overview", "me", "officers"):
        assert "\u27e8U+202E\u27e9" in pages[name].text, name


def test_every_answer_carries_the_headers(managed: ManagedBox, ann: Visitor) -> None:
    for path in ("/", "/sign-in", "/api/v1", "/no-such", "/officers", "/static/0/style.css", "/static/0/../app.py"):
        answer = ann.get(path)
        for name in HEADERS:
            assert answer.headers[name], (path, name)
        assert "max-age=63072000" in answer.headers["Strict-Transport-Security"]
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if "/static/" not in path or answer.status_code != 200:
            assert answer.headers["Cache-Control"] == "no-store"
        assert "Werkzeug" not in answer.headers.get("Server", "")


@pytest.mark.parametrize("name", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "style.css%00.js", ".hidden.css"])
def test_files_are_those_of_the_pages_alone(ann: Visitor, name: str) -> None:
    answer = ann.get(f"/static/0/{name}")
    assert answer.status_code in {400, 404}
    assert "import" not in answer.text


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil", "javascript:alert(1)", "", "x",
     "/\t/evil", "/%0d%0aSet-Cookie:x\r\n", "///evil", "/" + "x" * 3000],
)  # fmt: skip
def test_no_link_leads_elsewhere(path: str) -> None:
    assert local_path(path) == "/"


def test_a_path_of_ours_is_kept() -> None:
    assert local_path("/ceremonies?state=open") == "/ceremonies?state=open"


def test_the_front_tells_who_asks_whatever_the_browser_says(managed: ManagedBox, ann: Visitor) -> None:
    """No header of a client's comes through but those on the list, and the address is the front's word."""
    answer = ann.get("/api/v1/me", headers={"X-Cinnabar-Address": "203.0.113.9", "X-Forwarded-For": "203.0.113.9"})
    assert answer.status_code == 200
    configuration = (managed.home.front / "management-front.conf").read_text()
    assert "proxy_pass_request_headers off;" in configuration
    assert configuration.count("X-Cinnabar-Address $remote_addr;") == 3


def test_other_names_and_addresses_are_led_to_the_one_name(managed: ManagedBox) -> None:
    visitor = managed.visitor()
    visitor.client.headers["Host"] = f"127.0.0.1:{managed.port}"
    answer = visitor.client.get("/officers", extensions={"sni_hostname": "localhost"})
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith("https://localhost:")


def test_the_socket_is_for_the_front_alone(managed: ManagedBox) -> None:
    path = managed.home.management_socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert stat.S_IMODE(path.parent.stat().st_mode) & 0o027 == 0
    database = managed.home.management
    assert stat.S_IMODE(database.stat().st_mode) == 0o700
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as mine:  # root may
        mine.connect(str(path))


def test_the_approval_origin_gets_no_session(managed: ManagedBox, ann: Visitor) -> None:
    """The two names are two origins: a session of one is nothing at the other."""
    page = ann.at("approve.localhost")
    page.client.cookies.set(COOKIE, ann.cookie)
    answer = page.get("/api/v1/me")
    assert answer.status_code == 404


# Another tenant's scope


@pytest.fixture
def forged(managed: ManagedBox, dora: Visitor) -> Any:
    """Hands in what no page of dora's would write: actions for demo, having seen so much of demo's log."""
    drafted = dora.draft({"action": "enrol-application", "tenant": "other", "application": "x", "permissions": []})
    own = read_proposal(base64.b64decode(drafted.json()["proposal"]))
    seen = empty_head(next(log.origin for log in read_settings(managed.home.settings).logs if log.tenant == "demo"))

    def hand_in(actions: list[Action], scopes: list[str], **head: Any) -> tuple[int, str]:
        proposal = msgspec.structs.replace(
            own,
            actions=actions,
            quorum=[ScopeQuorum(scope=name, threshold=1) for name in scopes],
            audit=msgspec.structs.replace(seen, **head),
            nonce=secrets.token_hex(16),
        )
        answer = dora.post("/api/v1/ceremonies", json={"proposal": base64.b64encode(encode(proposal)).decode()})
        return answer.status_code, answer.text

    return hand_in


def test_a_proposal_for_a_foreign_tenant_tells_nothing_of_it(forged: Any) -> None:
    told = {
        forged([DeactivateKey(tenant=tenant, key=key)], [f"tenant/{tenant}"], **head)
        for tenant in ("demo", "nobody")
        for key in ("demo-seal", "unknown")
        for head in ({}, {"size": 1, "root": "a" * 64}, {"size": 10**9, "root": "a" * 64})
    }
    assert len(told) == 1
    assert told.pop()[0] == 422


def test_nobody_writes_into_a_foreign_tenant_s_log(forged: Any) -> None:
    both: list[Action] = [
        EnrolApplication(tenant=tenant, application="x", permissions=["*"]) for tenant in ("demo", "other")
    ]
    status, said = forged(both, ["tenant/demo", "tenant/other"])
    assert status == 422
    assert "every scope" in said


def test_an_amendment_changes_the_requester_s_own_rosters_alone(managed: ManagedBox, forged: Any) -> None:
    with managed.desk() as desk:
        law = decode(desk.constitution(), Constitution)
    scopes = [msgspec.structs.replace(one, officers=one.officers[::-1]) for one in law.scopes if one.name != "box"]
    changed = msgspec.structs.replace(
        law, version=law.version + 1, previous=law.digest, scopes=[law.scopes[0], *scopes]
    )
    status, said = forged([AmendConstitution(constitution=changed)], ["tenant/demo", "tenant/other"])
    assert status == 422
    assert "every scope" in said


def test_a_page_of_an_error_says_what_to_do_in_the_reader_s_language(ann: Visitor) -> None:
    assert "Both look the same on purpose" in ann.get("/keys/other/other-seal").text
    chinese = ann.get("/nowhere", headers={"Cookie": "language=zh_Hans_CN"})
    assert chinese.status_code == 404
    assert "此处没有该内容" in chinese.text
    assert "两者的显示有意相同" in chinese.text
