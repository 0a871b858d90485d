"""`cinnabar audit exports` looks at files that the audit process keeps; what it has put there holds root up no more."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from appliance.audit.inventory import KnownExport, look
from appliance.audit.writers import PROOF_SUFFIX, SUFFIXES
from firmware_tests.log.planted import plant, swapping, within

LINES = b'{"a":1}\n{"b":2}\n'


def known(name: str = "an-export") -> KnownExport:
    return KnownExport(name, "demo", 0, "ann", 1, hashlib.sha256(b'{"a":1}\n').hexdigest())


@pytest.mark.parametrize("what", ["pipe", "link", "endless"])
@pytest.mark.parametrize("form", ["asice", "jsonl", "csv"])
def test_what_is_no_plain_file_is_changed(tmp_path: Path, form: str, what: str) -> None:
    same = tmp_path / "secret"
    same.write_bytes(LINES)
    theirs = tmp_path / "exports"
    suffix = SUFFIXES[form] + (PROOF_SUFFIX if form == "csv" else "")
    path = theirs / f"an-export{suffix}"
    plant(path, what, same)
    with within(20):
        assert look(theirs, known()) == "changed"


def test_an_export_that_is_another_path_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "exports").mkdir()
    (tmp_path / "elsewhere.jsonl").write_bytes(LINES)
    assert look(tmp_path / "exports", known("../elsewhere")) == "not here"


def test_a_table_and_its_proof(tmp_path: Path) -> None:
    """Also where a process exchanges the table meanwhile: no wait, and then the answer that holds."""
    table = tmp_path / f"an-export{SUFFIXES['csv']}"
    table.write_bytes(b"a,b\n")
    proof = tmp_path / f"an-export{SUFFIXES['csv']}{PROOF_SUFFIX}"
    said = b'{"table":"' + hashlib.sha256(b"a,b\n").hexdigest().encode() + b'"}\n'
    proof.write_bytes(said + b'{"end":1}\n')
    one = known()._replace(digest=hashlib.sha256(said).hexdigest())
    assert look(tmp_path, one) == "here"
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    with swapping(table, tmp_path / "secret", scratch), within(20):
        for _ in range(200):
            assert look(tmp_path, one) in {"here", "changed"}
    assert look(tmp_path, one) == "here"
    table.write_bytes(b"a,c\n")
    assert look(tmp_path, one) == "changed"
