"""Candidates are the business of the scopes that they are to serve, and of no other's officers."""

from __future__ import annotations

import pytest

from firmware_tests.mgmt_service.managed import ManagedBox, Visitor
from firmware_tests.running import cinnabar


def seen(visitor: Visitor) -> set[str]:
    """Confirmed candidates of the officers' page: the same that the form of a change of officers offers."""
    candidates = visitor.get("/api/v1/officers").json()["candidates"]
    listed = {one["person"] for one in candidates if one["state"] == "confirmed"}
    form = visitor.get("/api/v1/ceremonies/new/replace-officers").json()["officers"]
    assert {one["person"] for one in form["candidates"]} == listed
    return listed


def invited(visitor: Visitor, person: str, scope: str | None = None) -> int:
    visitor.sign_in()
    body = {"person": person, "name": person.title()} | ({"scope": scope} if scope else {})
    return visitor.post("/api/v1/officers/invite", json=body).status_code


@pytest.fixture(scope="module")
def candidates(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    """mia is to serve demo, oda the other tenant; nobody has said what nat is to serve."""
    assert invited(ann, "mia", "tenant/demo") == 200
    assert invited(dora, "oda") == 200
    for name in ("mia", "oda", "nat"):
        managed.candidate(name)


@pytest.mark.usefixtures("candidates")
def test_officers_see_the_candidates_of_their_scopes(ann: Visitor, dora: Visitor) -> None:
    """The box's officers see who is nobody's yet: they alone can place her, in a tenant that is still to be made."""
    assert seen(ann) >= {"mia", "nat"}
    assert "oda" not in seen(ann)
    assert seen(dora) & {"mia", "oda", "nat"} == {"oda"}


@pytest.mark.usefixtures("candidates")
def test_nobody_sends_a_link_to_another_tenant_s_candidate(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    """Whoever held it would come in as her on the day that she becomes an officer."""
    assert invited(dora, "mia") == 403
    assert invited(dora, "nat") == 403
    assert invited(ann, "oda") == 403
    assert invited(ann, "mia", "tenant/demo") == 200
    assert invited(dora, "pia", "tenant/demo") == 404
    assert invited(dora, "pia", "box") == 404


@pytest.mark.usefixtures("candidates")
def test_a_foreign_candidate_cannot_be_written_into_a_roster(ann: Visitor, dora: Visitor) -> None:
    dora.sign_in()
    answers = []
    for person in ("mia", "nobody-at-all"):
        scope = {"name": "tenant/other", "officers": ["dora", "eli", person], "threshold": 1}
        body = {"title": "One more", "reason": "It must not work", "officers": {"scopes": [scope]}}
        answers.append(dora.post("/api/v1/ceremonies/new/replace-officers", json=body))
    assert [one.status_code for one in answers] == [422, 422]
    assert answers[0].json()["detail"].replace("mia", "X") == answers[1].json()["detail"].replace("nobody-at-all", "X")


def test_the_console_can_say_the_scope(managed: ManagedBox, ann: Visitor, dora: Visitor) -> None:
    home = ("--home", str(managed.home.root))
    assert cinnabar("management", "invite", *home, "--scope", "tenant/other", "quy", "Quy").returncode == 0
    refused = cinnabar("management", "invite", *home, "--scope", "tenant/nobody", "quy", "Quy")
    assert refused.returncode != 0
    assert "tenant/other" in refused.stderr
    managed.candidate("quy")
    assert "quy" in seen(dora)
    assert "quy" not in seen(ann)
