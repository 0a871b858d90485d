"""Approvals over the API of a founded box: a policy by ceremony, officers' passkeys and a card, and what is refused."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.api.letters.draft_schemas import Approved, KeepRequest, KeptDraft
from appliance.api.letters.schemas import Draft, EventRequest, LetterRequest
from appliance.asic import read_container
from appliance.ceremonies import instant_text
from appliance.ceremonies.actions import AmendConstitution, ApprovalTier, SetApprovalPolicy
from appliance.ceremonies.constitution import Person
from appliance.client import Client, Refused
from appliance.client.calls import post
from appliance.client.retries import new_idempotency_key
from appliance.keymaster.console.client import ConsoleClient
from appliance.keymaster.engine import now_utc
from appliance.letters.approvers import FILE
from appliance.letters.draft_words import tell
from appliance.letters.event import Approval, read_event
from firmware_tests.governed import Governed, governed
from firmware_tests.letters.approving import by_card, by_passkey, text_of
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import FIELDS, catalogue, install
from firmware_tests.officers import CardOfficer, SoftwareOfficer
from firmware_tests.running import RunningBox, cinnabar, wait_until
from hsm.testing.softhsm import SoftHsm

LARGE = {"amount": "1000000.01", "currency": "CNY"}


def policy(*approvers: str, threshold: int, tenant: str = "demo", in_order: bool = False) -> SetApprovalPolicy:
    tier = ApprovalTier(up_to="", currency="CNY", approvers=list(approvers), threshold=threshold, in_order=in_order)
    return SetApprovalPolicy(tenant=tenant, policy="issue", tiers=[tier])


@dataclasses.dataclass
class Stage:
    """A box whose tenants have kinds and a policy, and its approvers."""

    governed: Governed
    card: CardOfficer
    ceremony: str = ""
    """Digest of the one that set the policies: its record bundle leads to the constitution that holds since."""

    def approve(self, name: str, draft: Draft | KeptDraft, step: int = 0) -> Approval:
        if name == self.card.name:
            return by_card(self.card, text_of(draft, step))
        officer = self.governed.officers[name]
        assert isinstance(officer, SoftwareOfficer)
        return by_passkey(officer, text_of(draft, step))

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
        policies = [policy("ann", "bo", "fay", threshold=2), policy("ann", threshold=1, tenant="other")]
        stage.ceremony = made.decide(policies)
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


def test_the_commands_of_the_page_lead_from_the_draft_to_the_event(stage: Stage, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "letters.md").read_text()
    fields, approved = (
        re.findall(rf"^<!-- {name} -->\n```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)[0]
        for name in ("fields", "approved")
    )
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "box").symlink_to(stage.governed.box.home.root)
    (tmp_path / "fay.pem").write_bytes(stage.card.certificate.public_bytes(Encoding.PEM))
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUTF8": "1"}

    def sh(commands: str) -> str:
        here = commands.replace("--home var/box", "--home var/box --as demo-app")  # a box of two applications
        ran = subprocess.run(
            ["bash", "-euc", here], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    sh(fields)
    drafted, signed = re.split(r"^openssl cms -sign .*\n", approved, flags=re.MULTILINE)
    assert "You approve step 1 of it" in sh(drafted)
    text = (tmp_path / "text").read_bytes()
    (tmp_path / "approval.p7s").write_bytes(base64.b64decode(by_card(stage.card, text).signature))  # a card signs here
    ann = stage.governed.officers["ann"]
    assert isinstance(ann, SoftwareOfficer)
    (tmp_path / "ann.json").write_bytes(msgspec.json.encode(by_passkey(ann, text)))  # this tenant's policy wants two
    said = sh(signed.replace("--approval approval.json", "--approval ann.json --approval approval.json"))
    assert "approval of fay for step 1 (issue)" in said
    letter = re.findall(r"^letter ([0-9a-f]{32})  event 1  issued", said, re.MULTILINE)[0]
    begun = sh("cinnabar letter begin --home var/box bid-bond fields.json").split()[1]
    assert letter != begun
    assert "  claimed  " in sh(f"cinnabar letter event --home var/box {begun} claim --data claim.json")


def test_a_large_letter_is_issued_with_its_approvals_and_not_without(
    stage: Stage, client: Client, tmp_path: Path
) -> None:
    fields = large()
    draft = client.draft_letter("bid-bond", fields)
    (needed,) = draft.needed
    assert (needed.step, needed.policy, needed.approvals, needed.in_order) == (0, "issue", 2, False)
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag)
    assert refused(error) == "approval-missing: step 1 (issue): 2 more approvals are needed"
    approvals = [stage.approve("ann", draft), stage.approve("fay", draft)]
    issued = client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=approvals)
    event = read_event(issued.happened.event)
    assert event.approvals == approvals
    assert event.draft_text() == draft.text
    assert [event.approval_text(one) for one in approvals] == [text_of(draft)] * 2
    assert event.actor.box == json.loads(stage.governed.box.home.settings.read_text())["box_id"]

    path = tmp_path / "letter.asice"
    path.write_bytes(client.evidence(issued.happened.letter))
    (tmp_path / "ceremony.asice").write_bytes(stage.governed.bundle(stage.ceremony))

    def told(*files: Path) -> list[str]:
        trusted = ("--trust", str(stage.governed.box.home.trust), "--state", str(tmp_path / "state"))
        report = cinnabar("verify", *map(str, files), *trusted, "--json")
        assert report.returncode == 0, report.stdout + report.stderr
        (letter,) = [one["letter"] for one in json.loads(report.stdout)["files"] if "letter" in one]
        return [one["indication"] for one in letter["events"][0]["approvals"]]

    assert told(path) == ["INDETERMINATE", "INDETERMINATE"], "keys that stand in the file prove themselves to nobody"
    assert told(path, tmp_path / "ceremony.asice") == ["TOTAL-PASSED", "TOTAL-PASSED"]
    assert path.read_bytes() == client.evidence(issued.happened.letter)

    package = read_container(client.court_evidence(issued.happened.letter))
    for_court = json.loads(package["court/approvals.json"])
    assert [(one["approver"], one["form"], one["policy"], one["signature"]) for one in for_court["approvals"]] == [
        (one.approver, one.form, "issue", one.signature) for one in approvals
    ]
    assert {one["approved"] for one in for_court["approvals"]} == {hashlib.sha256(text_of(draft)).hexdigest()}
    assert [one["policy"] for one in for_court["policies"]] == ["issue"]
    assert [one["approvers"] for one in json.loads(package["court/steps.json"])] == [["ann", "fay"]]


def test_below_the_tier_nobody_is_asked_and_nobody_may_sign(stage: Stage, client: Client) -> None:
    fields = large(amount={"amount": "1000000.00", "currency": "CNY"})
    draft = client.draft_letter("bid-bond", fields)
    assert (draft.policies, draft.needed) == ([], [])
    with pytest.raises(Refused) as error:
        client.begin_letter(
            "bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=[stage.approve("ann", draft)]
        )
    assert refused(error).endswith("there is no such step; the event needs no approval")
    client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag)


def test_approvals_of_another_draft_letter_or_tenant_are_refused(stage: Stage, client: Client) -> None:
    fields = large()
    draft, other = (client.draft_letter("bid-bond", fields) for _ in range(2))
    assert draft.letter != other.letter
    good = stage.approve("ann", draft)
    with client_of(stage.governed.box, "other") as foreign:
        theirs = foreign.draft_letter("bid-bond", fields)
        with pytest.raises(Refused) as error:
            foreign.begin_letter("bid-bond", fields, letter=theirs.letter, ids_tag=theirs.ids_tag, approvals=[good])
        assert "something else was signed" in refused(error)
    for approvals, said in (
        ([good, stage.approve("bo", other)], "step 1 (issue), bo: something else was signed"),
        ([good, stage.approve("bo", theirs)], "step 1 (issue), bo: something else was signed"),
        ([good, stage.approve("cai", draft)], "'cai' is no approver"),
        ([good, good], "nobody counts twice"),
        ([good, stage.approve("bo", draft), stage.approve("fay", draft)], "here is one more"),
        ([good, msgspec.structs.replace(good, approver="bo")], "no such passkey of this person"),
        ([good, stage.approve("bo", draft, 1)], "there is no such step"),
    ):
        with pytest.raises(Refused) as error:
            client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=approvals)
        assert said in refused(error)
    changed = fields | {"project": "另一个项目"}
    both = [good, stage.approve("bo", draft)]
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", changed, letter=draft.letter, ids_tag=draft.ids_tag, approvals=both)
    assert "something else was signed" in refused(error)
    client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=both)


def test_chosen_ids_are_refused_alike_whether_letters_have_them_or_not(stage: Stage, client: Client) -> None:
    """CHANNEL: whoever has heard of another tenant's letter does not learn here whether it exists."""
    small = large(amount={"amount": "1000.00", "currency": "CNY"})
    draft = client.draft_letter("bid-bond", small)
    with client_of(stage.governed.box, "other") as foreign:
        theirs = foreign.begin_letter("bid-bond", small).happened.letter
        given = foreign.draft_letter("bid-bond", small)
    mine = client.begin_letter("bid-bond", small, letter=draft.letter, ids_tag=draft.ids_tag).happened.letter
    said = set()
    for letter, tag in (
        (theirs, None), (theirs, draft.ids_tag), (mine, None), ("0d" * 16, None), ("0d" * 16, draft.ids_tag),
        (given.letter, given.ids_tag),
    ):  # fmt: skip
        asked = LetterRequest(kind="bid-bond", fields=small, letter=letter, ids_tag=tag)
        for ask in (
            lambda: client.begin_letter("bid-bond", small, letter=letter, ids_tag=tag),  # noqa: B023
            lambda: client.keep_letter_draft(asked),  # noqa: B023
            lambda: client.send(post("/v1/letters/drafts", asked, Draft, None, signs=False)),  # noqa: B023
            lambda: client.letter_event(mine, "release", parts=[letter], ids_tag=tag),  # noqa: B023
        ):
            with pytest.raises(Refused) as error:
                ask()
            said.add((error.value.code, error.value.problem.detail))
    assert {code for code, _ in said} == {"letter-ids-not-given"}
    assert len(said) == 1
    with pytest.raises(Refused) as again:  # the tag serves its own letter once
        client.begin_letter("bid-bond", small, letter=draft.letter, ids_tag=draft.ids_tag)
    assert again.value.code == "head-moved"


def test_the_keymaster_puts_the_file_of_approvers_right_again(stage: Stage, client: Client) -> None:
    path = stage.governed.box.home.policies / "other" / FILE
    kept = path.read_bytes()
    path.write_bytes(b"{}")
    wait_until(lambda: path.read_bytes() == kept, what="the file of approvers")
    path.unlink()
    wait_until(path.exists, what="the file of approvers")
    assert path.read_bytes() == kept


def test_a_draft_waits_until_its_approvers_have_signed_it(stage: Stage, client: Client) -> None:
    fields = large()
    given = client.draft_letter("bid-bond", fields)
    begin = LetterRequest(kind="bid-bond", fields=fields, letter=given.letter, ids_tag=given.ids_tag)
    kept = client.keep_letter_draft(begin, hours=1)
    assert (kept.state, kept.approved, kept.event, kept.application) == ("open", [], "issue", "demo-app")
    assert kept.draft == hashlib.sha256(kept.text).hexdigest()
    assert client.keep_letter_draft(begin, hours=1) == kept
    with pytest.raises(Refused) as error:
        client.finish_draft(kept.draft)
    assert refused(error) == "approval-missing: step 1 (issue): 2 more approvals are needed"
    fay = stage.approve("fay", kept)
    for _ in range(2):  # the same approval is added once
        assert client.approve_draft(kept.draft, fay).approved == [Approved(approver="fay", step=0)]
    with pytest.raises(Refused, match="nobody counts twice"):
        client.approve_draft(kept.draft, msgspec.structs.replace(fay, signature="AAAA"))
    with pytest.raises(Refused, match="is no approver"):
        client.approve_draft(kept.draft, stage.approve("cai", kept))
    assert client.approve_draft(kept.draft, stage.approve("ann", kept)).state == "complete"
    with pytest.raises(Refused, match="here is one more"):
        client.approve_draft(kept.draft, stage.approve("bo", kept))
    assert [one.state for one in client.kept_drafts().drafts if one.draft == kept.draft] == ["complete"]

    with client_of(stage.governed.box, "other") as foreign:  # CHANNEL
        assert kept.draft not in {one.draft for one in foreign.kept_drafts().drafts}
        said = set()
        for draft in (kept.draft, "00" * 32):
            for ask in (foreign.kept_draft, foreign.finish_draft, lambda one: foreign.approve_draft(one, fay)):
                with pytest.raises(Refused) as unknown:
                    ask(draft)
                said.add((unknown.value.code, unknown.value.problem.detail))
        assert said == {("not-found", "there is no such draft")}

    key = new_idempotency_key()
    issued = client.finish_draft(kept.draft, idempotency_key=key)
    assert issued.happened.letter == kept.letter
    assert [one.approver for one in read_event(issued.happened.event).approvals] == ["fay", "ann"]
    assert client.finish_draft(kept.draft, idempotency_key=key) == issued
    with pytest.raises(Refused, match="no such draft"):
        client.kept_draft(kept.draft)


def attestation() -> dict[str, object]:
    return {
        "subject": {"name": "华南市政建设有限公司", "id": uuid.uuid4().hex[:18]},
        "attestor": {"name": "厦门银行", "id": "91350200158159999X"},
        "valid_until": "2099-12-31",
        "legal_person": "陈大文",
        "address": "广州市天河区1号",
        "owners": [{"name": "陈大文", "share": "1"}],
        "material": "0a" * 32,
    }


def test_approvers_read_hidden_values_and_the_event_hides_them(stage: Stage, client: Client) -> None:
    fields = attestation()
    draft = client.draft_letter("attestation", fields)
    kept = client.keep_letter_draft(LetterRequest(kind="attestation", fields=attestation()))
    for one in (draft, kept):
        assert set(one.disclosures) == {"legal_person", "address", "owners"}
        assert "陈大文".encode() not in one.text
        told = "\n".join(tell(text_of(one), "zh", catalogue("attestation"), one.disclosures))
        assert "法定代表人 (legal_person): 陈大文" in told
    approvals = [stage.approve(name, draft) for name in ("ann", "bo")]
    with pytest.raises(Refused, match="something else was signed"):  # with other salts it is another draft
        client.begin_letter("attestation", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=approvals)
    begun = client.begin_letter(
        "attestation",
        fields,
        letter=draft.letter,
        ids_tag=draft.ids_tag,
        approvals=approvals,
        disclosures=draft.disclosures,
    )
    assert read_event(begun.happened.event).draft_text() == draft.text
    for name in ("ann", "bo"):
        client.approve_draft(kept.draft, stage.approve(name, kept))
    assert read_event(client.finish_draft(kept.draft).happened.event).draft_text() == kept.text


def test_approvals_that_come_at_once_are_all_kept(stage: Stage, client: Client) -> None:
    for _ in range(4):
        kept = client.keep_letter_draft(LetterRequest(kind="bid-bond", fields=large()), hours=1)
        approvals = [stage.approve(name, kept) for name in ("ann", "bo")]
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda one: client.approve_draft(kept.draft, one), approvals))  # noqa: B023
        assert client.kept_draft(kept.draft).state == "complete"


def test_a_draft_is_taken_back_by_the_application_that_asked_for_it(stage: Stage, client: Client) -> None:
    begin = LetterRequest(kind="bid-bond", fields=large())
    kept = client.keep_letter_draft(begin, hours=1)
    client.approve_draft(kept.draft, stage.approve("ann", kept))
    with client_of(stage.governed.box, "other") as other, pytest.raises(Refused) as error:
        other.withdraw_draft(kept.draft)
    assert error.value.code == "not-found"
    withdrawn = client.withdraw_draft(kept.draft)
    assert (withdrawn.state, [one.approver for one in withdrawn.approved]) == ("withdrawn", ["ann"])
    assert client.withdraw_draft(kept.draft) == withdrawn
    assert withdrawn in client.kept_drafts().drafts
    with pytest.raises(Refused) as error:
        client.approve_draft(kept.draft, stage.approve("bo", kept))
    assert error.value.code == "draft-stale"
    with pytest.raises(Refused, match="taken back"):
        client.finish_draft(kept.draft)


def test_a_draft_whose_letter_has_moved_is_stale(stage: Stage, client: Client) -> None:
    fields = {name: FIELDS[name] for name in ("tender_code", "project")} | {
        "tender_code": f"T-{uuid.uuid4().hex[:12]}", "winner": FIELDS["bidder"], "owner": FIELDS["beneficiary"],
        "price": LARGE,
    }  # fmt: skip
    letter = client.begin_letter("award-notice", fields).happened.letter
    confirm = client.keep_event_draft(letter, EventRequest(event="confirm"))
    revoke = client.keep_event_draft(letter, EventRequest(event="revoke", data={"reason": "质疑成立"}))
    for name in ("ann", "bo"):
        client.approve_draft(confirm.draft, stage.approve(name, confirm))
    client.approve_draft(revoke.draft, stage.approve("bo", revoke))
    assert client.finish_draft(confirm.draft).state == "confirmed"
    assert client.kept_draft(revoke.draft).state == "stale"
    with pytest.raises(Refused) as error:
        client.approve_draft(revoke.draft, stage.approve("ann", revoke))
    assert error.value.code == "draft-stale"
    with pytest.raises(Refused) as error:
        client.finish_draft(revoke.draft)
    assert error.value.code == "draft-stale"


@pytest.mark.parametrize(
    "asked",
    [
        KeepRequest(),
        KeepRequest(letter="00" * 16),
        KeepRequest(begin=LetterRequest(kind="bid-bond", fields={}), letter="00" * 16),
        KeepRequest(letter="00" * 16, event=EventRequest(event="open", codes={"price": "secret"})),
        KeepRequest(begin=LetterRequest(kind="bid-bond", fields=large(amount={"amount": "1.00", "currency": "CNY"}))),
    ],
)
def test_what_is_no_draft_to_be_approved_is_not_kept(client: Client, asked: KeepRequest) -> None:
    with pytest.raises(Refused) as error:
        client.send(post("/v1/drafts", asked, KeptDraft, None, signs=False))
    assert error.value.code == "bad-request"


def test_who_is_taken_out_of_the_constitution_or_the_policy_approves_nothing_from_then_on(
    stage: Stage, client: Client
) -> None:
    fields = large()
    draft = client.draft_letter("bid-bond", fields)
    approvals = [stage.approve("ann", draft), stage.approve("fay", draft)]
    waiting = client.keep_letter_draft(LetterRequest(kind="bid-bond", fields=large()))
    for name in ("fay", "ann"):
        client.approve_draft(waiting.draft, stage.approve(name, waiting))
    stage.with_persons()
    assert client.kept_draft(waiting.draft).state == "open"
    again = client.approve_draft(waiting.draft, stage.approve("bo", waiting))  # hers fell
    assert ([one.approver for one in again.approved], again.state) == (["ann", "bo"], "complete")
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=approvals)
    assert "fay is no longer a person of the constitution" in refused(error)
    stage.governed.decide([policy("bo", "cai", threshold=2, in_order=True)])
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=approvals[:1])
    assert "'ann' is no approver" in refused(error)
    assert client.draft_letter("bid-bond", fields).needed[0].in_order
    bo, cai = (stage.approve(name, draft) for name in ("bo", "cai"))
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=[cai, bo])
    assert "bo does not approve after cai" in refused(error)
    client.begin_letter("bid-bond", fields, letter=draft.letter, ids_tag=draft.ids_tag, approvals=[bo, cai])
