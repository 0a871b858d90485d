"""The published test vectors are what the code gives."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from appliance.log import LogKey, TlogProof, VerifierKey, parse_receipt, verify_receipt, verify_tlog_proof
from firmware_tests.log import oracle
from firmware_tests.log.vectors import ORIGIN, vectors

PUBLISHED = json.loads((Path(__file__).parents[2] / "docs/vectors/log.json").read_text())


def test_published_vectors() -> None:
    assert vectors() == PUBLISHED


def test_vectors_hold_together() -> None:
    entries = [bytes.fromhex(entry) for entry in PUBLISHED["tree"]["entries"]]
    for size, expected in enumerate(PUBLISHED["tree"]["roots_of_first_n"]):
        assert oracle.mth(entries[:size]).hex() == expected
    assert [step.hex() for step in oracle.path(4, entries)] == PUBLISHED["tree"]["inclusion_of_4_in_7"]
    assert [step.hex() for step in oracle.proof(3, entries)] == PUBLISHED["tree"]["consistency_3_to_7"]
    keys = [LogKey(VerifierKey.parse(PUBLISHED["key"]["verifier_key"]))]
    proof = TlogProof.parse(PUBLISHED["tlog_proof_of_4"].encode())
    assert verify_tlog_proof(proof, entries[4], ORIGIN, keys).size == 7
    receipt = parse_receipt(base64.b64decode(PUBLISHED["receipt_of_4_base64"]))
    assert verify_receipt(receipt, entries[4], keys).hex() == PUBLISHED["tree"]["roots_of_first_n"][7]
