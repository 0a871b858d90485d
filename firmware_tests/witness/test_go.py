"""The witness as a log in Go meets it: x/mod makes heads and proofs, crypto/ed25519 verifies cosignatures."""

from __future__ import annotations

import pytest

from firmware_tests.others.golang import Go
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
