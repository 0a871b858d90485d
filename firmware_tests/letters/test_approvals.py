"""Approvals of events: every set and order of them against a plain model, and each way in which one does not count."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.api.letters.approvals import ApproverFiles
from appliance.api.letters.kept import DraftSource, Kept, Standing, approvals_with, which_are_stale
from appliance.box.home import Home
from appliance.ceremonies import encode
from appliance.ceremonies.actions import ApprovalTier
from appliance.ceremonies.constitution import ApprovalRules
from appliance.files import write_file
from appliance.letters.approvals import check_complete, check_given, next_to_sign, what_is_missing, what_is_needed
from appliance.letters.approvers import FILE, Approver, Approvers, PolicyInForce
from appliance.letters.draft_words import read_approval_text, read_draft_text
from appliance.letters.errors import ApprovalMissing, EventDamaged
from appliance.letters.event import FIRST_APPROVAL_PREFIX, Actor, Approval, ApprovalStep, Event, KindReference
from firmware_tests.letters.approving import by_card, by_passkey
from firmware_tests.officers import ORIGIN, RP_ID, CardOfficer, SoftwareOfficer
from hsm.testing.softhsm import SoftHsm

NOW = datetime.datetime.now(datetime.UTC)
BOX = "0b" * 16
DRAFT = Event(
    actor=Actor(application="core", box=BOX, tenant="acme"), event="issue",
    kind=KindReference(digest="11" * 32, id="bid-bond", version=1), letter="22" * 16, number=1, previous=None,
    state="issued",
)  # fmt: skip
DRAFT_TEXT = DRAFT.draft_text()
TEXT = ApprovalStep(policy="issue", step=0).heading() + DRAFT_TEXT
NAMES = ("ann", "bo", "cai", "dora", "eve")
PASSKEYS = {name: SoftwareOfficer(name, origin=ORIGIN) for name in NAMES}
MILLION = 1_000_000 * 10_000


def tier(*approvers: str, threshold: int, in_order: bool = False, up_to: str = "", currency: str = "CNY"):  # type: ignore[no-untyped-def]
    return ApprovalTier(
        up_to=up_to, currency=currency, approvers=list(approvers), threshold=threshold, in_order=in_order
    )


def in_force(policies: dict[str, list[ApprovalTier]], persons: Sequence[str] = NAMES) -> Approvers:
    return Approvers(
        tenant="acme",
        constitution="33" * 32,
        rules=ApprovalRules(rp_id=RP_ID, origins=[ORIGIN]),
        policies=[
            PolicyInForce(policy=name, version=1, digest="44" * 32, tiers=tiers) for name, tiers in policies.items()
        ],
        persons=[Approver(id=name, credentials=[PASSKEYS[name].credential()]) for name in persons],
    )


def steps_of(policies: Sequence[str]) -> list[ApprovalStep]:
    return [ApprovalStep(policy=name, step=step) for step, name in enumerate(policies)]


def approve(
    approvers: Approvers | None,
    approvals: Sequence[Approval],
    *,
    steps: Sequence[str] = ("issue",),
    amount: tuple[int, str] | None = (5, "CNY"),
    draft: bytes = DRAFT_TEXT,
    at: datetime.datetime = NOW,
) -> None:
    needed = what_is_needed(steps_of(steps), amount, approvers)
    check_given(draft, needed, approvals, approvers, at)
    check_complete(needed, approvals)


def refused(match: str, *arguments: object, **named: object) -> None:
    with pytest.raises(ApprovalMissing, match=match):
        approve(*arguments, **named)  # type: ignore[arg-type]


Signed = Callable[[str, int, Sequence[str]], Approval]


@pytest.fixture(scope="module")
def signed() -> Signed:
    """An approval of a name and a step of these policies, signed once."""
    made: dict[tuple[str, int, str], Approval] = {}

    def sign(name: str, step: int, policies: Sequence[str]) -> Approval:
        policy = policies[step] if step < len(policies) else "none"
        if (name, step, policy) not in made:
            text = ApprovalStep(policy=policy, step=step).heading() + DRAFT_TEXT
            made[name, step, policy] = by_passkey(PASSKEYS[name], text)
        return made[name, step, policy]

    return sign


@st.composite
def policies_and_approvals(draw: st.DrawFn) -> tuple[list[tuple[list[str], int, bool]], list[tuple[str, int]]]:
    steps = []
    for _ in range(draw(st.integers(1, 3))):
        names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
        steps.append((names, draw(st.integers(0, len(names))), draw(st.booleans())))
    good: list[tuple[str, int]] = []
    for step, (names, threshold, _) in enumerate(steps):
        good += [(name, step) for name in names[:threshold]]
    any_order = st.permutations(good)
    anything = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 3)), max_size=7)
    return steps, draw(st.one_of(st.just(good), any_order, anything))


def holds(steps: list[tuple[list[str], int, bool]], said: list[tuple[str, int]]) -> bool:
    """The rule in plain words."""
    names, numbers = [name for name, _ in said], [step for _, step in said]
    if numbers != sorted(numbers) or len(set(names)) < len(names) or any(step >= len(steps) for step in numbers):
        return False
    for step, (approvers, threshold, in_order) in enumerate(steps):
        mine = [name for name, number in said if number == step]
        if len(mine) != threshold or not set(mine) <= set(approvers):
            return False
        if in_order and mine != [name for name in approvers if name in mine]:
            return False
    return True


@settings(max_examples=300)
@given(case=policies_and_approvals())
def test_every_set_and_order_of_approvals_counts_as_the_plain_rule_says(
    case: tuple[list[tuple[list[str], int, bool]], list[tuple[str, int]]], signed: Signed
) -> None:
    steps, said = case
    policies = {
        f"p{n}": [tier(*names, threshold=number, in_order=order)] for n, (names, number, order) in enumerate(steps)
    }
    approvals = [signed(name, step, list(policies)) for name, step in said]
    try:
        approve(in_force(policies), approvals, steps=list(policies))
        taken = True
    except ApprovalMissing:
        taken = False
    assert taken is holds(steps, said)


@settings(max_examples=100)
@given(case=policies_and_approvals())
def test_approvals_are_added_one_by_one_until_nothing_is_missing(
    case: tuple[list[tuple[list[str], int, bool]], list[tuple[str, int]]], signed: Signed
) -> None:
    """What is whole in the end was taken at each step of the way, and no sooner whole."""
    steps, said = case
    if not holds(steps, said):
        return
    policies = {
        f"p{n}": [tier(*names, threshold=number, in_order=order)] for n, (names, number, order) in enumerate(steps)
    }
    approvers = in_force(policies)
    needed = what_is_needed(steps_of(list(policies)), None, approvers)
    for count in range(len(said) + 1):
        approvals = [signed(name, step, list(policies)) for name, step in said[:count]]
        check_given(DRAFT_TEXT, needed, approvals, approvers, NOW)
        assert sum(number for _, number in what_is_missing(needed, approvals)) == len(said) - count


def test_the_tier_is_that_of_amount_and_currency(signed: Signed) -> None:
    approvers = in_force(
        {
            "issue": [
                tier("ann", threshold=0, up_to="1000000.00"),
                tier("ann", "bo", threshold=1, up_to="2000000"),
                tier("ann", "bo", threshold=2),
                tier("cai", threshold=1, currency="USD"),
            ]
        }
    )
    ann, bo, cai = (signed(name, 0, ["issue"]) for name in ("ann", "bo", "cai"))
    approve(approvers, [], amount=(MILLION, "CNY"))
    refused("1 approve|one more", approvers, [], amount=(MILLION + 1, "CNY"))
    approve(approvers, [ann], amount=(2 * MILLION, "CNY"))
    refused("1 approve it, and here is one more", approvers, [ann, bo], amount=(2 * MILLION, "CNY"))
    refused("step 1 .issue.: one more approval is needed", approvers, [ann], amount=(2 * MILLION + 1, "CNY"))
    approve(approvers, [bo, ann], amount=(2 * MILLION + 1, "CNY"))
    approve(approvers, [cai], amount=(1, "USD"))
    refused("no approver of this step for this amount", approvers, [cai], amount=(1, "CNY"))
    refused("no tier for this amount in EUR", approvers, [cai], amount=(1, "EUR"))
    refused("highest tiers differ by currency", approvers, [ann, bo], amount=None)
    approve(in_force({"issue": approvers.policies[0].tiers[:3]}), [ann, bo], amount=None)


HIERARCHY = {
    "village": [tier("ann", "bo", threshold=2, in_order=True)],
    "county": [tier("bo", "cai", "dora", threshold=1)],
}


@pytest.mark.parametrize(
    ("said", "match"),
    [
        ([], "step 1 .village.: 2 more approvals are needed; step 2 .county.: one more approval is needed"),
        ([("ann", 0), ("bo", 0)], "^step 2 .county.: one more approval is needed$"),
        (
            [("ann", 0), ("cai", 1), ("bo", 0)],
            "step 2 .county.: it comes after step 1 .village., which is not complete",
        ),
        ([("bo", 0), ("ann", 0), ("cai", 1)], "ann does not approve after bo"),
        ([("ann", 0), ("bo", 0), ("bo", 1)], "step 2 .county.: bo has approved in step 1; nobody counts twice"),
        ([("ann", 0), ("ann", 0)], "ann has approved in step 1"),
        ([("dora", 0)], "step 1 .village.: 'dora' is no approver"),
        ([("ann", 0), ("bo", 0), ("cai", 1), ("dora", 1)], "step 2 .county.: 1 approve it, and here is one more"),
        ([("ann", 0), ("bo", 0), ("cai", 1), ("dora", 2)], "step 3: there is no such step; the event has 2"),
    ],
)
def test_each_approval_that_does_not_count_is_refused_with_its_reason(
    said: list[tuple[str, int]], match: str, signed: Signed
) -> None:
    approvals = [signed(name, step, list(HIERARCHY)) for name, step in said]
    refused(match, in_force(HIERARCHY), approvals, steps=list(HIERARCHY))


def test_approvals_fall_with_the_policy_the_persons_and_the_steps(signed: Signed) -> None:
    approvers, steps = in_force(HIERARCHY), list(HIERARCHY)
    good = [signed(name, step, steps) for name, step in (("ann", 0), ("bo", 0), ("cai", 1))]
    approve(approvers, good, steps=steps)
    refused("needs no approval", approvers, [signed("ann", 0, steps)], steps=())
    refused("the tenant has no approval policy nothing", approvers, good, steps=["nothing"])
    refused("the tenant has no approval policy village", None, good, steps=steps)
    refused("step 1 .village.: ann is no longer a person", in_force(HIERARCHY, ["bo", "cai"]), good, steps=steps)
    approve(None, [], steps=())


def test_names_of_who_has_not_signed_are_not_told() -> None:
    with pytest.raises(ApprovalMissing) as caught:
        approve(in_force({"issue": [tier("ann", "bo", threshold=1)]}), [])
    assert not any(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize(
    "changed",
    [
        {"letter": "55" * 16},
        {"previous": "66" * 32, "number": 2},
        {"actor": Actor(application="core", box=BOX, tenant="globex")},
        {"actor": Actor(application="other", box=BOX, tenant="acme")},
        {"actor": Actor(application="core", box="0c" * 16, tenant="acme")},
        {"data": {"amount": {"amount": "2.00", "currency": "CNY"}}},
        {"event": "cancel"},
    ],
)
def test_a_signature_serves_one_draft_only(changed: dict[str, object]) -> None:
    other = msgspec.structs.replace(DRAFT, **changed).draft_text()
    assert other != DRAFT_TEXT
    approvers = in_force({"issue": [tier("ann", threshold=1)]})
    replayed = by_passkey(PASSKEYS["ann"], ApprovalStep(policy="issue", step=0).heading() + other)
    refused("step 1 .issue., ann: something else was signed", approvers, [replayed])
    approve(approvers, [replayed], draft=other)


def test_a_signature_serves_one_step_policy_and_limit_only() -> None:
    """Ann approved the letter; nobody can make of it that she approved that it goes above a limit, or the other way."""
    approvers = in_force({name: [tier("ann", threshold=1)] for name in ("issue", "senior")})
    wanted = {
        "issue": ApprovalStep(policy="issue", step=0),
        "above": ApprovalStep(limits=["guarantee-project/debtor"], policy="issue", step=0),
        "other": ApprovalStep(limits=["guarantee-project/bank"], policy="issue", step=0),
        "senior": ApprovalStep(policy="senior", step=0),
    }

    def check(step: ApprovalStep, one: Approval) -> None:
        needed = what_is_needed([step], (5, "CNY"), approvers)
        check_given(DRAFT_TEXT, needed, [one], approvers, NOW)

    for signed_for in wanted.values():
        given = by_passkey(PASSKEYS["ann"], signed_for.heading() + DRAFT_TEXT)
        for step in wanted.values():
            if step is signed_for:
                check(step, given)
                continue
            with pytest.raises(ApprovalMissing, match="names another policy or other limits"):
                check(step, given)
            moved = msgspec.structs.replace(given, policy=step.policy, limits=step.limits)
            with pytest.raises(ApprovalMissing, match="something else was signed: another step"):
                check(step, moved)
    twice = in_force({"issue": [tier("ann", "bo", threshold=1)]})
    needed = what_is_needed(steps_of(["issue", "issue"]), (5, "CNY"), twice)
    first = by_passkey(PASSKEYS["ann"], needed[0].decides.heading() + DRAFT_TEXT)
    second = by_passkey(PASSKEYS["bo"], needed[0].decides.heading() + DRAFT_TEXT)
    with pytest.raises(ApprovalMissing, match=r"step 2 \(issue\), bo: something else was signed"):
        check_given(DRAFT_TEXT, needed, [first, msgspec.structs.replace(second, step=1)], twice, NOW)


def test_a_draft_that_waited_before_approvals_named_their_step_is_stale_and_not_signed() -> None:
    old = msgspec.structs.replace(DRAFT, format="cinnabar-event/1")
    text = FIRST_APPROVAL_PREFIX + old.draft_text()
    packed = msgspec.msgpack.encode(["core", 1, None, b"{}", text, ["issue"], [5, "CNY"], []])
    kept = msgspec.msgpack.decode(packed, type=Kept)
    assert read_draft_text(kept.text) == old
    with pytest.raises(EventDamaged):
        read_approval_text(kept.text)
    recorder = SimpleNamespace(query=no_letters)
    source = DraftSource("acme", recorder, None, None, in_force({"issue": [tier("ann", threshold=1)]}), 2)  # type: ignore[arg-type]
    assert asyncio.run(which_are_stale(source, [Standing(b"", 1, 3, kept)])) == [True]
    with pytest.raises(ApprovalMissing, match="ask for another draft"):
        approvals_with(source, kept, by_passkey(PASSKEYS["ann"], TEXT))


async def no_letters(*_: object) -> list[object]:
    return []


def test_a_passkey_counts_only_with_its_user_verified_at_the_approval_origin() -> None:
    approvers = in_force({"issue": [tier("ann", threshold=1)]})
    ann = PASSKEYS["ann"]
    approve(approvers, [by_passkey(ann, TEXT)])
    for match, wrong in (
        ("did not verify its user", {"flags": 1}),
        ("another relying party", {"rp_id": "localhost"}),
        ("none that approvals may come from", {"origin": "https://localhost:8444"}),
        ("another type", {"kind": "webauthn.create"}),
        ("something else was signed", {"signed_challenge": TEXT[:32]}),
        ("inside another site", {"more": {"crossOrigin": True}}),
        ("no such passkey", {"credential": "AAAA"}),
    ):
        refused(match, approvers, [by_passkey(ann, TEXT, **wrong)])
    stolen = msgspec.structs.replace(by_passkey(PASSKEYS["bo"], TEXT), approver="ann")
    refused("no such passkey of this person", approvers, [stolen])
    as_card = msgspec.structs.replace(by_passkey(ann, TEXT), form="cms")
    refused("no card of this person", approvers, [as_card])
    said = base64.b64decode(by_passkey(ann, TEXT).signature)
    for damaged in (b"", b"{}", said + b" ", said.replace(b'{"id"', b'{"id":"AAAA","id"'), said[:-1] + b',"x":1}'):
        one = Approval(
            approver="ann", form="webauthn", policy="issue", signature=base64.b64encode(damaged).decode(), step=0
        )
        refused("not an assertion in canonical JSON", approvers, [one])
    refused(
        "not base64", approvers, [Approval(approver="ann", form="webauthn", policy="issue", signature="***", step=0)]
    )


def test_a_card_counts_by_the_certificate_that_the_constitution_holds(softhsm: SoftHsm) -> None:
    with contextlib.closing(softhsm.token().open()) as token:
        card, other = CardOfficer("fay", token), CardOfficer("fay", token)
        approvers = msgspec.structs.replace(
            in_force({"issue": [tier("fay", "ann", threshold=1)]}),
            persons=[Approver(id="fay", credentials=[card.credential()])],
        )
        good = by_card(card, TEXT)
        approve(approvers, [good])
        for match, approval in (
            ("something else was signed", by_card(card, TEXT, content=TEXT + b" ")),
            ("something else was signed", by_card(card, TEXT, content=hashlib.sha256(TEXT).digest())),
            ("another certificate", by_card(other, TEXT)),
            ("another certificate|does not fit|does not hold", by_card(other, TEXT, certificate=card.certificate)),
            ("cannot be read", msgspec.structs.replace(good, signature="AAAA")),
            ("detached", by_card(card, TEXT, options=())),
        ):
            refused(match, approvers, [approval])
        late = card.certificate.not_valid_after_utc + datetime.timedelta(seconds=1)
        refused("not valid at this time", approvers, [good], at=late)
        replaced = msgspec.structs.replace(approvers, persons=[Approver(id="fay", credentials=[other.credential()])])
        refused("another certificate", replaced, [good])


def test_the_file_of_approvers_is_looked_at_afresh_and_taken_only_whole(tmp_path: Path) -> None:
    home = Home(tmp_path)
    files, path = ApproverFiles(home), home.policies / "acme" / FILE
    assert files.of("acme") is None
    path.parent.mkdir(parents=True)
    first, second = (in_force({"issue": [tier("ann", threshold=1)]}, persons) for persons in (NAMES, NAMES[:1]))
    for one in (first, second, first):
        write_file(path, encode(one), 0o640)
        found = files.of("acme")
        assert found == one
        assert files.of("acme") is found
    for damaged in (
        b"",
        encode(first)[:-1],
        encode(first) + b"\n",
        encode(msgspec.structs.replace(first, tenant="globex")),
    ):
        write_file(path, damaged, 0o640)
        assert files.of("acme") is None
    path.unlink()
    assert files.of("acme") is None
    assert files.of("globex") is None


def test_an_approval_that_fell_is_passed_over_where_the_next_is_looked_for() -> None:
    """The policy lost its first approver after she had signed."""
    policies = in_force({"issue": [tier("bo", "cai", threshold=2, in_order=True)]})
    needed = what_is_needed(steps_of(["issue"]), (5, "CNY"), policies)
    fell = by_passkey(PASSKEYS["ann"], TEXT)
    found = next_to_sign(needed, [fell])
    assert found is not None
    assert found[1] == ("bo",)
    found = next_to_sign(needed, [fell, by_passkey(PASSKEYS["bo"], TEXT)])
    assert found is not None
    assert found[1] == ("cai",)
