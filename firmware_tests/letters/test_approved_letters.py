"""Approvals over the API of a founded box: a policy by ceremony, officers' passkeys and a card, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.api.letter_schemas import Draft
from appliance.ceremonies import instant_text
from appliance.ceremonies.actions import AmendConstitution, ApprovalTier, SetApprovalPolicy
from appliance.ceremonies.constitution import Person
from appliance.client import Client, Refused
from appliance.keymaster.console.client import ConsoleClient
from appliance.keymaster.engine import now_utc
from appliance.letters.approvers import FILE
from appliance.letters.event import Approval, read_event
from firmware_tests.governed import Governed, governed
from firmware_tests.letters.approving import by_card, by_passkey
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import FIELDS, install
from firmware_tests.officers import CardOfficer, SoftwareOfficer
from firmware_tests.running import RunningBox, cinnabar, wait_until
from hsm.testing.softhsm import SoftHsm

LARGE = {"amount": "1000000.01", "currency": "CNY"}


def policy(*approvers: str, threshold: int, tenant: str = "demo", in_order: bool = False) -> SetApprovalPolicy:
    def tier(currency: str, number: int) -> ApprovalTier:
        return ApprovalTier(up_to="", currency=currency, approvers=list(approvers), threshold=number, in_order=in_order)

    return SetApprovalPolicy(tenant=tenant, policy="issue", tiers=[tier("CNY", threshold), tier("USD", 1)])


@dataclasses.dataclass
class Stage:
    """A box whose tenants have kinds and a policy, and its approvers."""

    governed: Governed
    card: CardOfficer

    def approve(self, name: str, draft: Draft, step: int = 0) -> Approval:
        if name == self.card.name:
            return by_card(self.card, draft.text, step)
        officer = self.governed.officers[name]
        assert isinstance(officer, SoftwareOfficer)
        return by_passkey(officer, draft.text, step)

    def with_persons(self, *cards: CardOfficer) -> str:
        """A constitution in which these, of all cards, are persons."""
        law = self.governed.law()
        persons = [
            Person(id=one.name, name=one.name, credentials=[msgspec.structs.replace(one.credential(), model="")])
            for one in cards
        ]
        kept = [person for person in law.persons if person.id != self.card.name]
        following = msgspec.structs.replace(
            law, version=law.version + 1, previous=law.digest, issued=instant_text(now_utc()),
            persons=[*kept, *persons],
        )  # fmt: skip
        return self.governed.decide(
            [AmendConstitution(constitution=following)], *(f"accept {card.name}" for card in cards)
        )


@pytest.fixture(scope="module")
def stage(open_directory: Path, softhsm: SoftHsm) -> Iterator[Stage]:
    def prepare(box: RunningBox) -> None:
        for tenant in box.tenants:
            install(box.home, tenant)

    made = governed(open_directory / "approved", "demo", "other", prepare=prepare)
    token = softhsm.token().open()
    try:
        card = CardOfficer("fay", token)
        made.officers["fay"] = card  # type: ignore[assignment]
        credential = card.credential()
        with ConsoleClient(made.box.home.console_socket) as console:
            console.card("fay", "Fay 菲", card.certificate.public_bytes(Encoding.DER), credential.id[:32])
        stage = Stage(made, card)
        stage.with_persons(card)
        made.decide([policy("ann", "bo", "fay", threshold=2), policy("ann", threshold=1, tenant="other")])
        yield stage
    finally:
        token.close()
        status = made.box.stop()
    assert status == 0, made.box.said()


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    with client_of(stage.governed.box) as made:
        yield made


def large(**changed: object) -> dict[str, object]:
    return FIELDS | {"tender_code": f"T-{uuid.uuid4().hex[:12]}", "amount": LARGE} | changed


def refused(error: pytest.ExceptionInfo[Refused]) -> str:
    assert error.value.problem.control == "QUORUM"
    return f"{error.value.code}: {error.value.problem.detail}"


def test_a_large_letter_is_issued_with_its_approvals_and_not_without(
    stage: Stage, client: Client, tmp_path: Path
) -> None:
    fields = large()
    draft = client.draft_letter("bid-bond", fields)
    (needed,) = draft.needed
    assert (needed.step, needed.policy, needed.approvals, needed.in_order) == (0, "issue", 2, False)
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter)
    assert refused(error) == "approval-missing: step 0 (issue): 2 more approvals are needed"
    approvals = [stage.approve("ann", draft), stage.approve("fay", draft)]
    issued = client.begin_letter("bid-bond", fields, letter=draft.letter, approvals=approvals)
    event = read_event(issued.happened.event)
    assert event.approvals == approvals
    assert event.approval_text() == draft.text
    assert event.actor.box == json.loads(stage.governed.box.home.settings.read_text())["box_id"]

    path = tmp_path / "letter.asice"
    path.write_bytes(client.evidence(issued.happened.letter))
    trust = str(stage.governed.box.home.trust)
    report = cinnabar("verify", str(path), "--trust", trust, "--state", str(tmp_path / "state"), "--json")
    assert report.returncode == 0, report.stdout + report.stderr
    assert "approval" in report.stdout


def test_below_the_tier_nobody_is_asked_and_nobody_may_sign(stage: Stage, client: Client) -> None:
    fields = large(amount={"amount": "1000000.00", "currency": "CNY"})
    draft = client.draft_letter("bid-bond", fields)
    assert (draft.policies, draft.needed) == ([], [])
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter, approvals=[stage.approve("ann", draft)])
    assert refused(error).endswith("there is no such step; the event needs no approval")
    client.begin_letter("bid-bond", fields, letter=draft.letter)


def test_approvals_of_another_draft_letter_or_tenant_are_refused(stage: Stage, client: Client) -> None:
    fields = large()
    draft, other = (client.draft_letter("bid-bond", fields) for _ in range(2))
    assert draft.letter != other.letter
    good = stage.approve("ann", draft)
    with client_of(stage.governed.box, "other") as foreign:
        theirs = foreign.draft_letter("bid-bond", fields)
        with pytest.raises(Refused) as error:
            foreign.begin_letter("bid-bond", fields, letter=draft.letter, approvals=[good])
        assert "something else was signed" in refused(error)
    for approvals, said in (
        ([good, stage.approve("bo", other)], "step 0 (issue), bo: something else was signed"),
        ([good, stage.approve("bo", theirs)], "step 0 (issue), bo: something else was signed"),
        ([good, stage.approve("cai", draft)], "'cai' is no approver"),
        ([good, good], "nobody counts twice"),
        ([good, stage.approve("bo", draft), stage.approve("fay", draft)], "here is one more"),
        ([good, msgspec.structs.replace(good, approver="bo")], "no such passkey of this person"),
        ([good, stage.approve("bo", draft, 1)], "there is no such step"),
    ):
        with pytest.raises(Refused) as error:
            client.begin_letter("bid-bond", fields, letter=draft.letter, approvals=approvals)
        assert said in refused(error)
    changed = fields | {"project": "另一个项目"}
    both = [good, stage.approve("bo", draft)]
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", changed, letter=draft.letter, approvals=both)
    assert "something else was signed" in refused(error)
    client.begin_letter("bid-bond", fields, letter=draft.letter, approvals=both)


def test_the_keymaster_puts_the_file_of_approvers_right_again(stage: Stage, client: Client) -> None:
    path = stage.governed.box.home.policies / "other" / FILE
    kept = path.read_bytes()
    path.write_bytes(b"{}")
    wait_until(lambda: path.read_bytes() == kept, what="the file of approvers")
    path.unlink()
    wait_until(path.exists, what="the file of approvers")
    assert path.read_bytes() == kept


def test_who_is_taken_out_of_the_constitution_or_the_policy_approves_nothing_from_then_on(
    stage: Stage, client: Client
) -> None:
    fields = large()
    draft = client.draft_letter("bid-bond", fields)
    approvals = [stage.approve("ann", draft), stage.approve("fay", draft)]
    stage.with_persons()
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter, approvals=approvals)
    assert "fay is no longer a person of the constitution" in refused(error)
    stage.governed.decide([policy("bo", "cai", threshold=2, in_order=True)])
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter, approvals=approvals[:1])
    assert "'ann' is no approver" in refused(error)
    assert client.draft_letter("bid-bond", fields).needed[0].in_order
    bo, cai = (stage.approve(name, draft) for name in ("bo", "cai"))
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter, approvals=[cai, bo])
    assert "bo does not approve after cai" in refused(error)
    client.begin_letter("bid-bond", fields, letter=draft.letter, approvals=[bo, cai])
