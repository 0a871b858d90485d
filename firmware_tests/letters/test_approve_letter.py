"""`cinnabar approve-letter`: what it tells of a draft, and a card's signature that the rules take."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import subprocess
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from appliance.ceremonies.actions import ApprovalTier
from appliance.ceremonies.constitution import ApprovalRules
from appliance.client.approval_commands import approve_letter
from appliance.letters.approvals import check_complete, check_given, what_is_needed
from appliance.letters.approvers import Approver, Approvers, PolicyInForce
from appliance.letters.draft_words import read_approval_text, tell
from appliance.letters.errors import DisclosureRefused, EventDamaged
from appliance.letters.event import APPROVAL_PREFIX, FIRST_APPROVAL_PREFIX, Actor, Approval, ApprovalStep, Event
from appliance.letters.hidden import hide
from appliance.letters.judge import Asked, judge
from firmware_tests.letters.kinds import BID_BOND, FIELDS
from firmware_tests.officers import ORIGIN, RP_ID, CardOfficer, card_certificate
from hsm import Pkcs11Uri
from hsm.keys import generate_key_pair
from hsm.testing.softhsm import SoftHsm
from hsm.x509 import private_key

ACTOR = Actor(application="core", box="0b" * 16, tenant="acme")


def draft(**fields: object) -> Event:
    asked = Asked(event="issue", letter="22" * 16, fields=FIELDS | fields)
    return judge(BID_BOND, None, asked, ACTOR, frozenset("*"), 1_700_000_000_000_000, {}).draft


POLICIES = ("issue", "senior")


def heading(step: int, policy: str) -> str:
    return ApprovalStep(policy=policy, step=step).heading().decode()


def text_of(event: Event, step: int = 0) -> bytes:
    return heading(step, POLICIES[step]).encode() + event.draft_text()


def run(*arguments: object) -> Result:
    return CliRunner().invoke(approve_letter, [str(one) for one in arguments])


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    """A draft as the API answers it."""
    needed = [{"step": step, "policy": name, "heading": heading(step, name)} for step, name in enumerate(POLICIES)]
    path = tmp_path / "draft.json"
    path.write_bytes(
        msgspec.json.encode({"letter": "22" * 16, "text": draft().draft_text(), "needed": needed, "disclosures": {}})
    )
    return path


def test_everything_is_told_from_the_bytes_in_both_languages(answered: Path, tmp_path: Path) -> None:
    shown = run(answered, "--text", tmp_path / "text")
    assert shown.exit_code == 0, shown.output
    for said in (
        "Application core of acme asks", "acme 的应用 core 请求",
        "You approve step 1 of it, under the approval policy issue.", "您审批的是其中第 1 步，依据审批策略 issue。",
        "Issue (issue)", "出函 (issue)", "500000.00 CNY",
        "华南市政建设有限公司 (91440101MA5CXXXX1K)", "Valid until (valid_until): 2099-12-31", "22" * 16, "0b" * 16,
        BID_BOND.digest, "none: it begins the letter", "it opens with 500000.00 CNY", "Issued (issued)",
    ):  # fmt: skip
        assert said in shown.output
    text = (tmp_path / "text").read_bytes()
    assert text == text_of(draft())
    assert run(tmp_path / "text", "--language", "zh").output.splitlines()[-3:] == shown.output.splitlines()[-3:]


def test_an_approver_reads_that_a_limit_is_exceeded() -> None:
    above = ApprovalStep(limits=["guarantee-project/debtor"], policy="senior", step=1).heading() + draft().draft_text()
    assert "that it goes above the limit guarantee-project/debtor." in tell(above, "en", BID_BOND, {})[1]
    assert "准予超出限额 guarantee-project/debtor。" in tell(above, "zh", BID_BOND, {})[1]


def test_nothing_in_a_draft_can_mislead_who_reads_it() -> None:
    event = msgspec.structs.replace(draft(), fields={"project": "a\u202e\nState: released"}, event="iss\u200bue")
    told = tell(text_of(event), "en", BID_BOND, {})
    assert "Project (project): a⟨U+202E⟩⟨U+000A⟩State: released" in told
    assert "Event: iss⟨U+200B⟩ue" in told
    with pytest.raises(ValueError, match="another one"):
        tell(text_of(event), "en", msgspec.structs.replace(BID_BOND, digest="00" * 32), {})
    assert "(the kind is not at hand" in tell(text_of(event), "en", None, {})[-1]


def test_hidden_values_are_told_by_their_own_disclosures_only() -> None:
    made, other = hide({"project": "a bridge"}), hide({"project": "a tunnel"})
    event = msgspec.structs.replace(draft(), hidden=list(made.digests))
    text = text_of(event)
    assert "Hidden, not told to you: 1" in tell(text, "en", BID_BOND, {})
    assert "Project (project): a bridge" in tell(text, "en", BID_BOND, {"project": made.disclosures[0]})
    with pytest.raises(DisclosureRefused):
        tell(text, "en", BID_BOND, {"project": other.disclosures[0]})


def test_what_is_no_draft_is_not_shown_and_not_signed(tmp_path: Path) -> None:
    text = text_of(draft())
    happened = msgspec.structs.replace(draft(), at="2026-01-01T00:00:00.000000Z")
    for damaged in (
        text[:-1],
        text + b"\n",
        text.removeprefix(APPROVAL_PREFIX),
        APPROVAL_PREFIX + happened.canonical(),
        heading(0, "issue").encode() + happened.canonical(),
        FIRST_APPROVAL_PREFIX + draft().draft_text(),
        text.replace(b'"step":0', b'"step": 0'),
        text.replace(b"cinnabar-event/2", b"cinnabar-event/1"),
    ):
        with pytest.raises(EventDamaged):
            read_approval_text(damaged)
        (tmp_path / "text").write_bytes(damaged)
        assert run(tmp_path / "text").exit_code == 1
    (tmp_path / "text").write_bytes(text)
    assert run(tmp_path / "text", "--signature", tmp_path / "text").exit_code == 2


def test_a_card_signs_what_was_shown(answered: Path, tmp_path: Path, softhsm: SoftHsm) -> None:
    made = softhsm.token()
    with contextlib.closing(made.open()) as token:
        uri = generate_key_pair(token, "card", "ecdsa-p256-sha256")
        certificate = card_certificate(
            "fay", private_key(token.signing_key(Pkcs11Uri.parse(str(uri)), "ecdsa-p256-sha256"))
        )
    (tmp_path / "card.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pin = made.pin_file(tmp_path)
    card = f"{made.uri};object=card" if "?" not in str(made.uri) else str(made.uri).replace("?", ";object=card?")
    signing = (
        answered,
        "--approver",
        "fay",
        "--certificate",
        tmp_path / "card.pem",
        "--output",
        tmp_path / "approval.json",
    )
    done = run(*signing, "--card", card, "--pin-file", pin)
    assert done.exit_code == 0, done.output
    assert "the approval of fay for step 1 (issue)" in done.output, "people count from 1, everywhere"
    approval = msgspec.json.decode((tmp_path / "approval.json").read_bytes(), type=Approval)
    text = text_of(draft())
    _taken(approval, certificate)

    signed = base64.b64decode(approval.signature)
    (tmp_path / "text").write_bytes(text)
    (tmp_path / "approval.p7s").write_bytes(signed)
    subprocess.run(
        [
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(tmp_path / "approval.p7s"), "-content",
            str(tmp_path / "text"), "-certfile", str(tmp_path / "card.pem"), "-nointern", "-noverify",
            "-out", "/dev/null",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    moved = run(*signing, "--signature", tmp_path / "approval.p7s", "--step", "2")
    assert moved.exit_code == 1
    assert "something else was signed" in moved.output, "it was signed for the first step"
    again = run(tmp_path / "text", *signing[1:], "--signature", tmp_path / "approval.p7s")
    assert again.exit_code == 0, again.output
    told = json.loads((tmp_path / "approval.json").read_text())
    assert (told["step"], told["policy"]) == (0, "issue"), "the text says its step itself"
    assert run(tmp_path / "text", "--step", "2").exit_code == 2
    assert run(answered, "--step", "3").exit_code == 1
    (tmp_path / "other").write_bytes(text_of(draft(project="另一个")))
    refused = run(tmp_path / "other", *signing[1:], "--signature", tmp_path / "approval.p7s")
    assert refused.exit_code == 1
    assert "something else was signed" in refused.output


def _taken(approval: Approval, certificate: x509.Certificate) -> None:
    officer = CardOfficer.__new__(CardOfficer)
    officer.name, officer.certificate = "fay", certificate
    tier = ApprovalTier(up_to="", currency="CNY", approvers=["fay"], threshold=1)
    approvers = Approvers(
        tenant="acme", constitution="33" * 32, rules=ApprovalRules(rp_id=RP_ID, origins=[ORIGIN]),
        policies=[PolicyInForce(policy="issue", version=1, digest="44" * 32, tiers=[tier])],
        persons=[Approver(id="fay", credentials=[officer.credential()])],
    )  # fmt: skip
    needed = what_is_needed([ApprovalStep(policy="issue", step=0)], (1, "CNY"), approvers)
    check_given(draft().draft_text(), needed, [approval], approvers, datetime.datetime.now(datetime.UTC))
    check_complete(needed, [approval])


def test_other_software_signs_the_text_as_the_page_says(answered: Path, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = card_certificate("fay", key)
    (tmp_path / "fay.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "fay.key").write_bytes(secret)
    assert run(answered, "--text", tmp_path / "text").exit_code == 0
    subprocess.run(
        [
            "openssl", "cms", "-sign", "-binary", "-in", "text", "-signer", "fay.pem", "-inkey", "fay.key",
            "-md", "sha256", "-outform", "DER", "-out", "approval.p7s",
        ],
        check=True, capture_output=True, cwd=tmp_path,
    )  # fmt: skip
    done = run(
        answered, "--approver", "fay", "--certificate", tmp_path / "fay.pem", "--signature", tmp_path / "approval.p7s",
        "--output", tmp_path / "approval.json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    approval = msgspec.json.decode((tmp_path / "approval.json").read_bytes(), type=Approval)
    _taken(approval, certificate)
