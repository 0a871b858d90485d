"""The rule of decision, over every set of statements that officers could make."""

from __future__ import annotations

import base64
import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.ceremonies import (
    BOX,
    Constitution,
    DocumentRefused,
    Proposal,
    QuorumMissing,
    SuccessionRefused,
    VerifiedStatement,
    affected_scopes,
    check_constitution,
    check_proposal,
    encode,
    newcomers,
    proposal_digest,
    read_proposal,
    require,
    tally,
)
from appliance.ceremonies.actions import AmendConstitution, GenerateKey, Lock, SuspendKey, SuspendTenant
from appliance.ceremonies.constitution import ApprovalRules, Credential, Person, Recovery, Scope
from appliance.ceremonies.proposal import AuditHead, ScopeQuorum
from appliance.ceremonies.quorum import TAKE_AWAY_LIFE, withdrawn

NOW = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.UTC)
OFFICERS = ("ann", "bo", "cai", "dan", "eve")


def person(name: str) -> Person:
    key = base64.b64encode(f"key of {name}".encode()).decode()
    return Person(
        id=name,
        name=name.title(),
        credentials=[Credential(kind="passkey", id=f"id-{name}", public_key=key, rp_id="approve.localhost")],
    )


def constitution(**changes: object) -> Constitution:
    made = Constitution(
        box="0" * 32,
        rehearsal=True,
        version=1,
        previous=None,
        issued="2026-11-22T00:00:00Z",
        rules=ApprovalRules(
            rp_id="approve.localhost", origins=["https://approve.localhost:8443"], backup_eligible=True
        ),
        persons=[person(name) for name in (*OFFICERS, "tom", "tia", "ted", "rex", "ria")],
        scopes=[
            Scope(
                name=BOX,
                officers=list(OFFICERS),
                threshold=2,
                recovery=Recovery(officers=["rex", "ria"], threshold=1, waiting_hours=72),
            ),
            Scope(name="tenant/demo", officers=["tom", "tia", "ted"], threshold=2),
        ],
    )
    return msgspec.structs.replace(made, **changes)


def following(current: Constitution, **changes: object) -> Constitution:
    return msgspec.structs.replace(current, version=current.version + 1, previous=current.digest, **changes)


def proposal(*actions: object, requester: str = "ann", **changes: object) -> Proposal:
    made = Proposal(
        box="0" * 32,
        mode="rehearsal",
        quorum=[ScopeQuorum(scope=BOX, threshold=2)],
        requester=requester,
        title="A key",
        reason="We need one 需要",
        actions=list(actions) or [generate(None)],  # type: ignore[arg-type]
        constitution=constitution().digest,
        audit=AuditHead(origin="log.example/box", size=0, root="0" * 64),
        nonce="1" * 32,
        made="2026-11-22T11:00:00Z",
        expires="2026-11-23T11:00:00Z",
    )
    return msgspec.structs.replace(made, **changes)


def generate(tenant: str | None) -> GenerateKey:
    return GenerateKey(
        tenant=tenant, token="t", key="k", scheme="ed25519", purpose="seal", until="2027-11-22T00:00:00Z"
    )


def say(made: Proposal, *said: str) -> list[VerifiedStatement]:
    """Statements from texts `verb officer`."""
    digest = proposal_digest(made)
    return [
        VerifiedStatement(verb, digest, officer, f"id-{officer}", NOW)  # type: ignore[arg-type]
        for verb, officer in (text.split() for text in said)
    ]


def test_a_proposal_has_one_text() -> None:
    made = proposal()
    text = encode(made)
    assert read_proposal(text) == made
    for other in (b" " + text, text.replace(b'"actions"', b'"extra":1,"actions"'), text[:-1], b"{}", b"\xff"):
        with pytest.raises(DocumentRefused):
            read_proposal(other)


def test_two_officers_beside_the_requester_decide() -> None:
    made, law = proposal(), constitution()
    check_proposal(made, law, NOW)
    assert tally(made, law, say(made, "approve bo", "approve cai"), NOW).outcome == "unsigned"
    assert tally(made, law, say(made, "request ann", "approve bo", "approve ann"), NOW).outcome == "open"
    assert tally(made, law, say(made, "request ann", "approve bo", "approve bo"), NOW).outcome == "open"
    assert tally(made, law, say(made, "request ann", "approve bo", "approve tom"), NOW).outcome == "open"
    assert tally(made, law, say(made, "request ann", "approve bo", "approve cai"), NOW).outcome == "approved"
    assert (
        tally(made, law, say(made, "request ann", "approve bo", "approve cai"), NOW.replace(day=24)).outcome
        == "expired"
    )


@given(
    st.sets(
        st.tuples(st.sampled_from(("request", "approve", "reject", "take-away", "accept")), st.sampled_from(OFFICERS))
    )
)
def test_approved_means_a_signed_request_and_enough_others(said: set[tuple[str, str]]) -> None:
    made, law = proposal(), constitution()
    outcome = tally(made, law, say(made, *(" ".join(one) for one in said)), NOW).outcome
    others = {who for verb, who in said if verb == "approve" and ("reject", who) not in said} - {"ann"}
    assert (outcome == "approved") == (("request", "ann") in said and len(others) >= 2)


def test_statements_about_another_proposal_do_not_count() -> None:
    made, other, law = proposal(), proposal(nonce="2" * 32), constitution()
    with pytest.raises(QuorumMissing):
        require(made, law, say(other, "request ann", "approve bo", "approve cai"), NOW)


def test_an_officer_who_left_counts_no_more() -> None:
    made, law = proposal(), constitution()
    said = say(made, "request ann", "approve bo", "approve cai")
    without = msgspec.structs.replace(law.scopes[0], officers=["ann", "bo", "dan", "eve"])
    assert tally(made, following(law, scopes=[without, law.scopes[1]]), said, NOW).outcome == "open"
    requester_left = msgspec.structs.replace(law.scopes[0], officers=["bo", "cai", "dan", "eve"])
    assert tally(made, following(law, scopes=[requester_left, law.scopes[1]]), said, NOW).outcome == "unsigned"


def test_rejections_that_make_the_threshold_unreachable_end_it() -> None:
    made, law = proposal(), constitution()
    assert tally(made, law, say(made, "request ann", "reject bo", "reject cai"), NOW).outcome == "open"
    assert (
        tally(made, law, say(made, "request ann", "reject bo", "reject cai", "reject dan"), NOW).outcome == "rejected"
    )


def test_what_takes_away_needs_one_word_and_mixes_with_nothing_else() -> None:
    made, law = proposal(Lock()), constitution()
    check_proposal(made, law, NOW)
    assert tally(made, law, say(made, "request ann", "approve bo", "approve cai"), NOW).outcome == "unsigned"
    assert tally(made, law, say(made, "take-away bo"), NOW).outcome == "unsigned"
    assert tally(made, law, say(made, "take-away ann"), NOW).outcome == "approved"
    with pytest.raises(DocumentRefused):
        check_proposal(proposal(Lock(), generate(None)), law, NOW)
    with pytest.raises(DocumentRefused):  # box officers suspend a tenant, not its keys
        check_proposal(proposal(SuspendKey(tenant="demo", key="k")), law, NOW)
    check_proposal(proposal(SuspendTenant(name="demo")), law, NOW)


def test_the_proposal_states_scope_and_threshold_as_they_are() -> None:
    law = constitution()
    for wrong in (
        proposal(generate("demo")),
        proposal(box="2" * 32),
        proposal(mode="production"),
        proposal(expires="2027-11-22T00:00:00Z"),
        proposal(made="2026-11-22T13:00:00Z"),
    ):
        with pytest.raises(DocumentRefused):
            check_proposal(wrong, law, NOW)
    with pytest.raises(QuorumMissing):
        check_proposal(proposal(quorum=[ScopeQuorum(scope=BOX, threshold=1)]), law, NOW)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"scope": BOX, "threshold": 0}, ScopeQuorum)


def test_a_requester_from_another_scope_has_no_say() -> None:
    made, law = proposal(requester="tom"), constitution()
    said = say(made, "request tom", "approve bo", "approve cai")
    assert tally(made, law, said, NOW).outcome == "unsigned"


def test_one_officers_word_is_for_now() -> None:
    """A suspension that the box could not carry out is no weapon that lies about for days."""
    law = constitution()
    made = proposal(Lock(), quorum=[ScopeQuorum(scope=BOX, threshold=2)])
    said = say(made, "take-away ann")
    for later, outcome in ((0, "approved"), (599, "approved"), (600, "expired"), (86_000, "expired")):
        assert tally(made, law, said, NOW + datetime.timedelta(seconds=later)).outcome == outcome, later
    with pytest.raises(QuorumMissing):
        require(made, law, said, NOW + TAKE_AWAY_LIFE)
    assert tally(made, law, say(made, "take-away bo"), NOW + TAKE_AWAY_LIFE).outcome == "unsigned"


def test_after_a_failed_execution_rejections_withdraw() -> None:
    law, made = constitution(), proposal()
    approved = ("request ann", "approve bo", "approve cai")

    def stands(*said: str) -> bool:
        return withdrawn(tally(made, law, say(made, *approved, *said), NOW))

    assert not stands()
    assert not stands("reject dan")  # the quorum stands without her
    assert stands("reject bo")  # dan and eve could have approved; nobody may any more
    assert stands("reject bo", "reject dan", "reject eve")
    assert not withdrawn(tally(made, law, say(made, "request ann", "approve bo"), NOW))  # an officer left: not a word


def test_scopes_are_changed_by_those_whom_they_concern() -> None:
    law = constitution()
    box, demo = law.scopes
    assert affected_scopes(law, following(law, scopes=[msgspec.structs.replace(box, threshold=3), demo])) == {BOX}
    assert affected_scopes(law, following(law, scopes=[box, msgspec.structs.replace(demo, threshold=1)])) == {
        "tenant/demo"
    }
    # The box's officers cannot put another key into a tenant officer's hand.
    stolen = [person("ann") if p.id == "ann" else p for p in law.persons]
    forged = msgspec.structs.replace(
        person("tom"), credentials=[msgspec.structs.replace(person("tom").credentials[0], id="x", public_key="eA==")]
    )
    assert affected_scopes(law, following(law, persons=[forged if p.id == "tom" else p for p in stolen])) == {
        "tenant/demo"
    }
    added = Scope(name="tenant/new", officers=["rex", "ria"], threshold=1)
    assert affected_scopes(law, following(law, scopes=[*law.scopes, added])) == {BOX}
    for wrong in (
        following(law, scopes=[box]),
        following(law, box="9" * 32),
        following(law, rehearsal=False),
        msgspec.structs.replace(law, version=3, previous=law.digest),
        msgspec.structs.replace(law, version=2, previous="0" * 64),
    ):
        with pytest.raises((SuccessionRefused, DocumentRefused)):
            affected_scopes(law, wrong)


def test_newcomers_must_accept() -> None:
    law = constitution()
    box, demo = law.scopes
    wider = following(law, scopes=[msgspec.structs.replace(box, officers=[*box.officers, "tom"]), demo])
    assert newcomers(law, wider) == {"tom"}
    made = proposal(AmendConstitution(constitution=wider))
    check_proposal(made, law, NOW)
    said = ["request ann", "approve bo", "approve cai"]
    assert tally(made, law, say(made, *said), NOW).outcome == "open"
    assert tally(made, law, say(made, *said, "accept tom"), NOW).outcome == "approved"


def test_a_recovery_counts_its_own_roster_and_yields_to_the_quorum() -> None:
    law = constitution()
    box, demo = law.scopes
    fresh = following(law, scopes=[msgspec.structs.replace(box, officers=["rex", "ria", "tom"]), demo])
    made = proposal(
        AmendConstitution(constitution=fresh, recovery=True),
        requester="rex",
        quorum=[ScopeQuorum(scope=BOX, threshold=1)],
        expires="2026-12-01T11:00:00Z",
    )
    check_proposal(made, law, NOW)
    said = ["request rex", "approve ria", "accept rex", "accept ria", "accept tom"]
    assert tally(made, law, say(made, *said[:1], *said[2:], "approve bo"), NOW).outcome == "open"
    assert tally(made, law, say(made, *said), NOW).outcome == "approved"
    assert tally(made, law, say(made, *said, "reject bo", "reject cai"), NOW).outcome == "rejected"


@pytest.mark.parametrize(
    "changes",
    [
        {"scopes": [Scope(name=BOX, officers=["ann", "bo"], threshold=2)]},
        {"scopes": [Scope(name=BOX, officers=["ann", "ann", "bo"], threshold=2)]},
        {"scopes": [Scope(name=BOX, officers=["ann", "nobody"], threshold=1)]},
        {"scopes": [Scope(name="tenant/demo", officers=["ann", "bo"], threshold=1)]},
        {"persons": [person("ann"), person("ann")]},
        {"rehearsal": False},
        {"rules": ApprovalRules(rp_id="127.0.0.1", origins=["https://127.0.0.1"], backup_eligible=True)},
        {"rules": ApprovalRules(rp_id="other.localhost", origins=["https://x"], backup_eligible=True)},
        *(
            {"rules": ApprovalRules(rp_id=name, origins=[f"https://{name}"], backup_eligible=True)}
            for name in ("0x7f.1", "a b", "localhost.", "approve.0x7f", "Approve.localhost", "-a.localhost", "")
        ),
        {"previous": "0" * 64},
    ],
)
def test_a_constitution_that_cannot_work_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(DocumentRefused):
        check_constitution(constitution(**changes))


def test_one_key_of_two_persons_is_refused() -> None:
    twin = msgspec.structs.replace(
        person("bo"), credentials=[msgspec.structs.replace(person("ann").credentials[0], id="z")]
    )
    with pytest.raises(DocumentRefused, match="public key"):
        check_constitution(constitution(persons=[person("ann"), twin, *(person(n) for n in ("cai", "dan", "eve"))]))


def test_a_word_from_a_time_to_come_is_spent() -> None:
    """The clock was put back after the word was received: it would live for that much longer."""
    made = proposal(Lock())
    for hours in (1, 24):
        before = NOW - datetime.timedelta(hours=hours)
        early = msgspec.structs.replace(made, made="2026-11-20T11:00:00Z")
        assert tally(early, constitution(), say(early, "take-away ann"), before).outcome == "expired"


def test_whoever_gets_another_key_for_shares_accepts_it() -> None:
    """Backup shares are encrypted to it: nobody puts another's key into a custodian's hand without her."""
    law = constitution()
    key = base64.b64encode(b"somebody else's key").decode()
    changed = [msgspec.structs.replace(one, card_decryption=key) if one.id == "bo" else one for one in law.persons]
    assert newcomers(law, following(law, persons=changed)) == {"bo"}


@pytest.mark.parametrize(
    "change", [{"public_key": base64.b64encode(b"another key").decode()}, {"rp_id": "other.example"}]
)
def test_another_key_under_a_known_id_is_a_new_credential(change: dict[str, str]) -> None:
    """An authenticator chooses its credential ids, and can choose another's: what is accepted is the key."""
    law = constitution()
    persons = [
        msgspec.structs.replace(one, credentials=[msgspec.structs.replace(one.credentials[0], **change)])
        if one.id == "bo"
        else one
        for one in law.persons
    ]
    assert newcomers(law, following(law, persons=persons)) == {"bo"}


def test_a_recovery_does_not_wait_in_a_pocket_for_ever() -> None:
    """Public for its waiting period, and then as long as any proposal lives."""
    law = constitution()
    rescued = following(
        law, scopes=[msgspec.structs.replace(law.scopes[0], officers=["rex", "ria", "ann"]), *law.scopes[1:]]
    )
    made = proposal(
        AmendConstitution(constitution=rescued, recovery=True),
        requester="rex",
        quorum=[ScopeQuorum(scope=BOX, threshold=1)],
        expires="9999-12-31T23:59:59Z",
    )
    with pytest.raises(DocumentRefused, match="lives"):
        check_proposal(made, law, NOW)
