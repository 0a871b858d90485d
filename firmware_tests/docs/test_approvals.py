"""docs/approvals.md: what it says one can do by hand with other people's tools, done."""

from __future__ import annotations

import base64
import datetime
import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from appliance.ceremonies import BOX, Constitution, encode, instant_text, proposal_digest
from appliance.ceremonies.constitution import ApprovalRules, Credential, Person, Scope
from appliance.ceremonies.statements import Statement
from firmware_tests.ceremonies.test_quorum import proposal
from firmware_tests.docs.pages import ROOT
from firmware_tests.officers import ORIGIN, RP_ID, CardOfficer, SoftwareOfficer, card_certificate
from hsm.testing.softhsm import SoftHsm

PAGE = (ROOT / "docs" / "approvals.md").read_text()
NOW = datetime.datetime.now(datetime.UTC)


def commands(name: str) -> str:
    found = re.search(rf"<!-- check: {name} -->\n```sh\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


def run(name: str, directory: Path) -> int:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = f"set -euo pipefail\n{commands(name)}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=directory, env={**os.environ, "PATH": path}, capture_output=True, check=False
    )
    return done.returncode


def lay_out(directory: Path, *persons: Person) -> tuple[Constitution, str]:
    law = Constitution(
        box="0" * 32,
        rehearsal=True,
        version=1,
        previous=None,
        issued=instant_text(NOW),
        rules=ApprovalRules(rp_id=RP_ID, origins=[ORIGIN]),
        persons=list(persons),
        scopes=[Scope(name=BOX, officers=[one.id for one in persons], threshold=1)],
    )
    made = proposal(constitution=law.digest)
    (directory / "proposal.json").write_bytes(encode(made))
    (directory / "constitution.json").write_bytes(encode(law))
    return law, proposal_digest(made)


@pytest.mark.parametrize("altered", [False, True])
def test_a_passkey_s_statement_by_hand(tmp_path: Path, altered: bool) -> None:
    ann, bo = SoftwareOfficer("ann"), SoftwareOfficer("bo")
    _, digest = lay_out(tmp_path, ann.person(), bo.person())
    said = ann.sign("approve", digest)
    if altered:
        other = bo.sign("approve", digest).evidence
        said = msgspec.structs.replace(said, evidence=other)
    (tmp_path / "statement.json").write_bytes(encode(said))
    assert (run("passkey", tmp_path) != 0) is altered


@pytest.mark.parametrize("knobs", [{"origin": "https://evil.example"}, {"rp_id": "localhost"}, {"flags": 1}])
def test_by_hand_one_finds_what_is_wrong(tmp_path: Path, knobs: dict[str, object]) -> None:
    ann, bo = SoftwareOfficer("ann"), SoftwareOfficer("bo")
    _, digest = lay_out(tmp_path, ann.person(), bo.person())
    (tmp_path / "statement.json").write_bytes(encode(ann.sign("approve", digest, **knobs)))  # type: ignore[arg-type]
    assert run("passkey", tmp_path) != 0


def test_a_card_s_statement_by_hand(tmp_path: Path, softhsm: SoftHsm) -> None:
    card = CardOfficer("dora", softhsm.token().open())
    _, digest = lay_out(tmp_path, card.person(), SoftwareOfficer("bo").person())
    (tmp_path / "statement.json").write_bytes(encode(card.sign("approve", digest)))
    assert run("card", tmp_path) == 0
    said: Statement = card.sign("approve", "ab" * 32)
    (tmp_path / "statement.json").write_bytes(encode(msgspec.structs.replace(said, proposal=digest)))
    assert run("card", tmp_path) != 0


def test_signing_with_a_card_s_software(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = card_certificate("dora", key)
    encoded = certificate.public_bytes(serialization.Encoding.DER)
    credential = Credential(kind="card", id=_sha256(encoded), public_key=_base64(encoded))
    person = Person(id="dora", name="Dora", credentials=[credential])
    lay_out(tmp_path, person, SoftwareOfficer("bo").person())
    (tmp_path / "card.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "card.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    assert run("sign", tmp_path) == 0
    assert run("card", tmp_path) == 0


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
