"""`cinnabar proposal`: what an officer who trusts no page does at her own machine."""

from __future__ import annotations

import datetime
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from appliance.base64url import from_base64url
from appliance.ceremonies import (
    BOX,
    Constitution,
    Proposal,
    challenge,
    digest,
    digest_words,
    encode,
    instant_text,
    proposal_digest,
)
from appliance.ceremonies.chain import ConstitutionVersion
from appliance.ceremonies.cli import proposal as command
from appliance.ceremonies.constitution import ApprovalRules, Scope
from appliance.ceremonies.statements import CardEvidence, ReceivedStatement, Statement
from firmware_tests.ceremonies.test_quorum import proposal
from firmware_tests.officers import ORIGIN, RP_ID, CardOfficer, SoftwareOfficer
from hsm.testing.softhsm import SoftHsm

OFFICERS = {name: SoftwareOfficer(name) for name in ("ann", "bo", "cai")}
NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def card(softhsm: SoftHsm) -> CardOfficer:
    return CardOfficer("dora", softhsm.token().open())


@pytest.fixture
def law(card: CardOfficer) -> Constitution:
    people: list[SoftwareOfficer | CardOfficer] = [*OFFICERS.values(), card]
    return Constitution(
        box="0" * 32,
        rehearsal=True,
        version=1,
        previous=None,
        issued=instant_text(NOW),
        rules=ApprovalRules(rp_id=RP_ID, origins=[ORIGIN]),
        persons=[one.person() for one in people],
        scopes=[Scope(name=BOX, officers=[one.name for one in people], threshold=2)],
    )


@pytest.fixture
def made(law: Constitution, tmp_path: Path) -> Proposal:
    now = proposal(
        constitution=law.digest,
        made=instant_text(NOW),
        expires=instant_text(NOW + datetime.timedelta(hours=1)),
        title="x\u202ey[bold]",
    )
    (tmp_path / "proposal.json").write_bytes(encode(now))
    (tmp_path / "law.json").write_bytes(encode(law))
    return now


def run(directory: Path, *arguments: str) -> Result:
    whole = [str(directory / one) if one.endswith((".json", ".p7s", ".bin")) else one for one in arguments]
    return CliRunner().invoke(command, whole, catch_exceptions=False)


def test_it_says_all_in_both_languages(made: Proposal, tmp_path: Path) -> None:
    shown = run(tmp_path, "show", "proposal.json")
    assert shown.exit_code == 0
    name = proposal_digest(made)
    for words in (name, digest_words(name), digest_words(name, "chinese_simplified"), "Make a new key", "生成新密钥"):
        assert words in shown.output
    assert "x⟨U+202E⟩y[bold]" in shown.output
    assert "生成新密钥" not in run(tmp_path, "show", "proposal.json", "--language", "en").output


def test_it_reads_standard_input(made: Proposal) -> None:
    shown = CliRunner().invoke(command, ["show", "-"], input=encode(made))
    assert proposal_digest(made) in shown.output


def test_what_is_no_proposal_is_refused(made: Proposal, tmp_path: Path) -> None:
    for text in (b"", b"{}", encode(made) + b"\n", encode(made).replace(b'"k"', b'"k","k":"j"'), b"\xff"):
        (tmp_path / "other.json").write_bytes(text)
        assert run(tmp_path, "show", "other.json").exit_code == 1


def test_the_quorum_is_judged_offline(made: Proposal, law: Constitution, tmp_path: Path) -> None:
    said = {"a": ("ann", "request"), "b": ("bo", "approve"), "c": ("cai", "approve")}
    for file, (name, verb) in said.items():
        one = OFFICERS[name].sign(verb, proposal_digest(made))  # type: ignore[arg-type]
        whole = ReceivedStatement(statement=one, received=instant_text(NOW)) if file == "c" else one
        (tmp_path / f"{file}.json").write_bytes(encode(whole))
    given = [part for file in said for part in ("--statement", f"{file}.json")]
    shown = run(tmp_path, "show", "proposal.json", "--constitution", "law.json", *given)
    assert shown.exit_code == 0, shown.output
    assert "The proposal is approved." in shown.output
    fewer = run(tmp_path, "show", "proposal.json", "--constitution", "law.json", *given[:4])
    assert "The proposal is open." in fewer.output
    version = ConstitutionVersion(constitution=law, proposal=None, statements=[], adopted=instant_text(NOW))
    (tmp_path / "1.json").write_bytes(encode(version))
    assert run(tmp_path, "show", "proposal.json", "--constitution", "1.json").exit_code == 0


def test_what_does_not_hold_is_told(made: Proposal, law: Constitution, tmp_path: Path) -> None:
    other = msgspec.structs.replace(law, issued="2026-01-01T00:00:00Z")
    (tmp_path / "other.json").write_bytes(encode(other))
    shown = run(tmp_path, "show", "proposal.json", "--constitution", "other.json")
    assert shown.exit_code == 1
    assert "another constitution" in shown.output
    higher = msgspec.structs.replace(law, scopes=[msgspec.structs.replace(law.scopes[0], threshold=3)])
    (tmp_path / "higher.json").write_bytes(encode(higher))
    assert "threshold of box is 3" in run(tmp_path, "show", "proposal.json", "--constitution", "higher.json").output
    (tmp_path / "s.json").write_bytes(encode(OFFICERS["bo"].sign("approve", "ab" * 32)))
    shown = run(tmp_path, "show", "proposal.json", "--constitution", "law.json", "--statement", "s.json")
    assert (shown.exit_code, "another proposal" in shown.output) == (1, True)
    assert run(tmp_path, "show", "proposal.json", "--statement", "s.json").exit_code == 2


def test_a_card_signs_at_the_command_line(made: Proposal, card: CardOfficer, tmp_path: Path, law: Constitution) -> None:
    """As docs/approvals.md says: challenge, the card's own software, statement."""
    assert run(tmp_path, "challenge", "proposal.json", "--verb", "approve", "--output", "c.bin").exit_code == 0
    name = digest((tmp_path / "proposal.json").read_bytes())
    assert (tmp_path / "c.bin").read_bytes() == challenge("approve", name)
    evidence = card.sign("approve", name).evidence
    assert isinstance(evidence, CardEvidence)
    (tmp_path / "s.p7s").write_bytes(from_base64url(evidence.signed_data))
    options = ["--officer", "dora", "--signature", "s.p7s", "--constitution", "law.json", "--output", "said.json"]
    assert run(tmp_path, "statement", "proposal.json", "--verb", "approve", *options).exit_code == 0
    shown = run(tmp_path, "show", "proposal.json", "--constitution", "law.json", "--statement", "said.json")
    assert "dora says approve" in shown.output
    made_one = msgspec.json.decode((tmp_path / "said.json").read_bytes(), type=Statement)
    assert made_one.credential == card.credential().id
    for wrong in (["--verb", "reject", *options], ["--verb", "approve", "--officer", "ann", *options[2:]]):
        assert run(tmp_path, "statement", "proposal.json", *wrong).exit_code == 1


def test_the_base_install_is_enough() -> None:
    """No HSM, server or database is imported for it."""
    program = (
        "import sys; from appliance.ceremonies.cli import proposal\n"
        "bad = [m for m in sys.modules if m.split('.')[0] in ('hsm', 'webauthn', 'structlog', 'uvloop', 'sqlite3')]\n"
        "assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
