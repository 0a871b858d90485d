"""The whole matrix of access, made from the declarations: operations, roles, states, scopes, bodies.

The rule itself is walked without I/O for every operation, role and state; every operation is then asked of a running
box by nobody, by a person without a role, by a foreign tenant's officer, without a token, with a bad body.
"""

from __future__ import annotations

import itertools
import json
import re

import pytest

from appliance.box.states import State
from firmware_tests.mgmt_service.lettered import intake_run, kept_draft, letters_of_demo, policy_of_demo
from firmware_tests.mgmt_service.managed import ManagedBox, Visitor
from firmware_tests.running import wait_until
from mgmt_service.access import WORKING, Access, Area, Entry, Fixed, Mine, Named, Operation, Verdict, judge
from mgmt_service.openapi import describe
from mgmt_service.roles import AUDIT, EVERYONE, OFFICERS, Role, Viewer
from mgmt_service.table import AREAS

OPERATIONS = [operation for area in AREAS for operation in area.operations]
API = [one for one in OPERATIONS if one.api]
SCOPES = ("box", "tenant/demo", "tenant/other")
UNKNOWN = {
    "digest": "0" * 64, "slug": "no-such", "code": "x" * 43, "name": "no.css", "version": "0", "owner": "no-such",
    "tenant": "no-such", "which": "0", "key": "no-such", "export": "no-such", "number": "0",
    "letter": "0" * 32, "kind": "no-such", "draft": "0" * 64, "run": "0" * 32,
}  # fmt: skip
READERS_MAY = {"exports.start": (AUDIT, 404), "exports.cancel": (AUDIT, 404), "records.verify_files": (EVERYONE, 422)}
"""What readers do beside reading: an export changes nothing but that the log says who made it; to have files verified
changes nothing at all. With the roles, and the answer to an empty body about a thing that is not there."""


def viewers() -> list[Viewer | None]:
    made: list[Viewer | None] = [None, Viewer("p", "P", frozenset())]
    made += [Viewer("p", "P", frozenset({(role, scope)})) for role in Role for scope in SCOPES]
    return made


def expected(
    access: Access, viewer: Viewer | None, scopes: frozenset[str] | None, state: State, proven: bool
) -> Verdict:
    """The rule, said once more and in another way."""
    if access.entry is not Entry.ANYBODY:
        if viewer is None:
            return Verdict.SIGN_IN
        if access.entry is Entry.ROLES:
            held = {scope for role, scope in viewer.roles if role in access.roles}
            if not held or (isinstance(access.scope, Fixed) and access.scope.scope not in held):
                return Verdict.NO_ROLE
            if isinstance(access.scope, Named) and not (scopes and held & scopes):
                return Verdict.UNKNOWN
    if state not in access.states:
        return Verdict.STATE
    needs_proof = access.recent and access.entry is not Entry.ANYBODY
    return Verdict.PROOF if needs_proof and not proven else Verdict.ALLOWED


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.endpoint)
def test_the_rule_holds_for_every_role_state_and_scope(operation: Operation) -> None:
    things = [frozenset({scope}) for scope in SCOPES] + [frozenset({"box", "tenant/demo"}), None]
    seen = set()
    for viewer, state, scopes, proven in itertools.product(viewers(), State, things, (True, False)):
        verdict = judge(operation.access, viewer, scopes, state, proven=proven)
        assert verdict is expected(operation.access, viewer, scopes, state, proven), (viewer, state, scopes, proven)
        seen.add(verdict)
    assert Verdict.ALLOWED in seen


def test_nobody_may_change_anything_by_reading_roles_alone() -> None:
    changing = [one for one in OPERATIONS if one.method == "POST" and one.access.entry is Entry.ROLES]
    assert changing
    for operation in changing:
        wanted, _ = READERS_MAY.get(operation.endpoint, (OFFICERS, 403))
        assert operation.access.roles == wanted, operation.endpoint


def test_anybody_comes_in_by_sign_in_alone() -> None:
    open_to_all = {one.endpoint for one in OPERATIONS if one.access.entry is Entry.ANYBODY}
    assert open_to_all == {
        "entry.enrol", "entry.enrol_options", "entry.enrol_with", "entry.preferences", "entry.sign_in",
        "entry.sign_in_options", "entry.sign_in_with", "entry.sign_out", "files.static",
    }  # fmt: skip


def test_what_is_not_declared_is_not_registered() -> None:
    area = Area("wrong")
    with pytest.raises(TypeError, match="no declared access"):
        area.read("/wrong", access=None, gives=dict)(lambda _: {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="does not say"):
        area.read("/wrong", access=Access(), gives=dict)(lambda _: {})


def test_the_description_has_every_operation() -> None:
    document = describe(OPERATIONS)
    json.dumps(document)
    described = sum(len(methods) for methods in document["paths"].values())
    assert described == len(API)
    access = document["paths"]["/api/v1/ceremonies/{digest}/execute"]["post"]["x-cinnabar-access"]
    assert access["roles"] == ["officer"]
    assert access["scope"] == "of digest"
    assert access["states"] == sorted(state.label for state in WORKING)


def address(operation: Operation, **known: str) -> str:
    return "/api/v1" + re.sub(
        r"<(\w+)>", lambda found: known.get(found[1], UNKNOWN[found[1]]), operation.path.rstrip("/")
    )


def ask(visitor: Visitor, operation: Operation, path: str, **more: object) -> int:
    sent = visitor.get(path) if operation.method == "GET" else visitor.post(path, **({"json": {}} | more))
    if sent.status_code >= 400:
        assert sent.headers["Content-Type"] == "application/problem+json", sent.text
        problem = sent.json()
        assert problem["type"].startswith("urn:cinnabar:problem:")
        assert problem["status"] == sent.status_code
    return sent.status_code


def test_without_a_session_every_operation_is_401(managed: ManagedBox) -> None:
    nobody = managed.visitor()
    for operation in API:
        status = ask(nobody, operation, address(operation))
        if operation.access.entry is not Entry.ANYBODY:
            assert status == 401, operation.endpoint


def test_without_a_role_every_operation_that_needs_one_is_403(managed: ManagedBox) -> None:
    person = managed.signed_in("gil")
    for operation in API:
        if operation.access.entry is Entry.ROLES:
            assert ask(person, operation, address(operation)) == 403, operation.endpoint


def test_what_is_foreign_answers_as_what_is_unknown(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    things = {"digest": amendment(ann), **of_demo(managed, ann)}
    named = [one for one in API if isinstance(one.access.scope, Named) and one.access.entry is Entry.ROLES]
    assert named
    for operation in named:
        parameter = operation.access.scope.parameter  # type: ignore[union-attr]
        others = {name: value for name, value in things.items() if name != parameter}
        foreign = _answer(dora, operation, address(operation, **things))
        unknown = _answer(dora, operation, address(operation, **others))
        assert foreign == unknown, operation.endpoint
        assert foreign[0] == 404
        if operation.method == "GET" and operation.endpoint != "bundles.bundle":  # of ceremonies that have ended
            assert ann.get(address(operation, **things)).status_code == 200, operation.endpoint


def of_demo(managed: ManagedBox, visitor: Visitor) -> dict[str, str]:
    """A record, a key, an export, a letter, a kind and a draft of the tenant demo, by the names of path parameters."""
    record = managed.sealed()
    entry = f"/api/v1/audit/demo/entries/{record}"
    wait_until(lambda: visitor.get(entry).json()["proof"] is not None, 20, "a signed head over the record")
    begun = visitor.post("/api/v1/audit/demo/exports", json={"form": "csv"})
    assert begun.status_code == 200, begun.text
    export = begun.json()["next"].rpartition("/")[2]
    shown = f"/api/v1/exports/{export}"
    wait_until(lambda: visitor.get(shown).json()["state"] == "made", 30, "the export is made")
    policy_of_demo(managed)
    letter, draft = letters_of_demo(managed).bond, kept_draft(managed).draft
    wait_until(lambda: visitor.get(f"/letters/demo/{letter}/evidence").status_code == 200, 20, "a head over the letter")
    return {
        "owner": "demo", "tenant": "demo", "which": record, "key": "demo-seal", "export": export, "number": "0",
        "letter": letter, "kind": "bid-bond", "draft": draft, "run": intake_run(managed),
    }  # fmt: skip


def _answer(visitor: Visitor, operation: Operation, path: str) -> tuple[int, object]:
    sent = visitor.get(path) if operation.method == "GET" else visitor.post(path, json={})
    return sent.status_code, sent.json()


def amendment(visitor: Visitor) -> str:
    """A proposal of the box's officers, handed in."""
    scopes = [{"name": "box", "officers": ["ann", "bo", "cai"], "threshold": 2}]
    body = {"title": "Two eyes", "reason": "For a test", "officers": {"scopes": scopes}}
    drafted = visitor.post("/api/v1/ceremonies/new/replace-officers", json=body)
    assert drafted.status_code == 200, drafted.text
    handed = visitor.post("/api/v1/ceremonies", json={"proposal": drafted.json()["proposal"]})
    assert handed.status_code == 200, handed.text
    return str(drafted.json()["digest"])


def test_without_its_token_no_session_changes_anything(managed: ManagedBox, ann: Visitor) -> None:
    acts = [one for one in API if one.method == "POST" and one.access.entry is not Entry.ANYBODY]
    for operation in acts:
        path = address(operation)
        for headers in ({"X-CSRF-Token": ""}, {"X-CSRF-Token": "x" * 43}):
            assert ask(ann, operation, path, headers=headers) == 403, operation.endpoint
        for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-site"}):
            assert ask(ann, operation, path, headers=headers) == 403, operation.endpoint


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"null", b'"x"', b'{"surplus": 1}', b"\xff", b'{"a":' * 2000],
    ids=("torn", "list", "null", "text", "surplus", "bytes", "deep"),
)
def test_a_bad_body_is_a_problem(ann: Visitor, body: bytes) -> None:
    ann.sign_in()  # a fresh proof, for the acts that need one
    for operation in API:
        if operation.takes is None or operation.access.entry is Entry.ANYBODY or "<" in operation.path:
            continue
        sent = ann.post(address(operation), content=body, headers={"Content-Type": "application/json"})
        assert sent.status_code == 422, (operation.endpoint, sent.text)
        assert sent.headers["Content-Type"] == "application/problem+json"


def test_a_wrong_media_type_is_a_problem(ann: Visitor) -> None:
    sent = ann.post("/api/v1/ceremonies", content=b"<x/>", headers={"Content-Type": "text/xml"})
    assert sent.status_code == 422


def test_methods_that_are_not_declared_are_405(ann: Visitor) -> None:
    assert ann.post("/api/v1/officers", json={}).status_code == 405
    assert ann.client.options("/api/v1/officers", extensions={"sni_hostname": "localhost"}).status_code == 405


def test_everybody_sees_all_of_her_own_scopes_and_nothing_else(ann: Visitor, dora: Visitor) -> None:
    assert {one["name"] for one in ann.get("/api/v1/officers").json()["scopes"]} == {"box", "tenant/demo"}
    assert {one["name"] for one in dora.get("/api/v1/officers").json()["scopes"]} == {"tenant/other"}
    theirs = dora.get("/api/v1").json()
    assert theirs["traffic"] is None
    assert theirs["disk"] is None
    assert {log["tenant"] for log in theirs["logs"]} == {"other"}
    assert all("demo" not in key["name"] for key in theirs["keys"])


def test_a_reader_reads_and_does_nothing(managed: ManagedBox, ann: Visitor) -> None:
    ann.sign_in()
    named = ann.post(
        "/api/v1/officers/readers",
        json={"person": "rio", "name": "Rio", "role": "auditor", "scope": "tenant/demo"},
    )
    assert named.status_code == 200, named.text
    rio = managed.signed_in("rio")
    assert {one["name"] for one in rio.get("/api/v1/officers").json()["scopes"]} == {"tenant/demo"}
    for operation in API:
        if operation.method == "POST" and operation.access.entry is Entry.ROLES:
            _, expected_status = READERS_MAY.get(operation.endpoint, (OFFICERS, 403))
            assert ask(rio, operation, address(operation)) == expected_status, operation.endpoint
    dismissed = ann.post(
        "/api/v1/officers/readers/dismiss", json={"person": "rio", "role": "auditor", "scope": "tenant/demo"}
    )
    assert dismissed.status_code == 200
    assert rio.get("/api/v1/officers").status_code == 401, "who was dismissed is signed out at once"
    assert rio.sign_in().status_code == 403


def test_a_reader_is_named_by_the_scope_s_own_officers_alone(ann: Visitor) -> None:
    ann.sign_in()
    body = {"person": "spy", "name": "Spy", "role": "auditor", "scope": "tenant/other"}
    foreign = ann.post("/api/v1/officers/readers", json=body)
    unknown = ann.post("/api/v1/officers/readers", json=body | {"scope": "tenant/none"})
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()


def test_a_draft_for_a_foreign_tenant_answers_as_for_an_unknown_one(ann: Visitor) -> None:
    key = {"action": "suspend-key", "key": "x"}
    foreign, unknown = (ann.draft(key | {"tenant": tenant}) for tenant in ("other", "none"))
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json() == unknown.json()


assert isinstance(Access().scope, Mine)
