"""The witness as a log in Go meets it: x/mod makes heads and proofs, crypto/ed25519 verifies cosignatures."""

from __future__ import annotations

from pathlib import Path

import pytest

from appliance.log.forks import other_past, same_size
from firmware_tests.others.golang import Go
from firmware_tests.running import cinnabar
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.running import RunningWitness, log_table


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> Go:
    return Go(tmp_path_factory.mktemp("go"))


@pytest.mark.parametrize(("last", "status"), [(1000, "forked"), (1024, "current")])
def test_go_submits_and_verifies(witness: RunningWitness, go: Go, last: int, status: str) -> None:
    log = TestLog("log.example/rehearsal/go")
    witness.configure([log_table(log)])
    witness.start()
    seed = log.key.private_bytes_raw().hex()
    sizes = [1, 1, 2, 3, 7, 8, 64, 65, 600, last, last]
    found = go.run("witnesscheck", witness.url(), log.origin, seed, str(witness.verifier), *map(str, sizes))
    assert found.returncode == 0, found.stdout
    assert found.stdout == f"witness {witness.name} cosigned {log.origin} up to {last}\n"
    # From a proof the witness reads another past, but where the old tree is complete: then it shows none.
    (one,) = witness.look("/logs.json").json()["logs"]
    assert (one["state"], one["size"]) == (status, last)


def test_go_judges_evidence_as_we_do(go: Go, tmp_path: Path) -> None:
    log = TestLog("log.example/rehearsal/forked").grow(600)
    other, stranger = log.fork(100, 500), TestLog(log.origin).grow(600)
    first, past = log.note(512), other.root(512)
    shown = {
        "same size": (same_size(log.origin, log.note(), other.note()), True),
        "other past": (other_past(log.origin, log.note(300), other.note(), other.root(300), other.proof(300)), True),
        "complete tree": (other_past(log.origin, first, other.note(), past, other.proof(512)), True),
        "one head twice": (same_size(log.origin, log.note(), log.note()), False),
        "one history": (other_past(log.origin, first, log.note(), log.root(512), log.proof(512)), False),
        "junk": (other_past(log.origin, first, log.note(), past, log.proof(512)), False),
        "another's head": (same_size(log.origin, log.note(), stranger.note()), False),
    }
    for name, (evidence, forked) in shown.items():
        file = tmp_path / f"{name}.json"
        file.write_bytes(evidence.encode())
        found = go.run("witnesscheck", "evidence", file, str(log.verifier))
        ours = cinnabar("log", "fork", str(file), "--key", str(log.verifier))
        assert (found.returncode == 0, ours.returncode) == (forked, 0 if forked else 1), name
        assert ("two histories" in found.stdout, "two histories" in ours.stdout) == (forked, forked)
    assert cinnabar("log", "fork", str(file)).returncode == 2
    file.write_text("{}")
    assert cinnabar("log", "fork", str(file), "--key", str(log.verifier)).returncode == 1
