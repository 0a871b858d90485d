"""Makes docs/vectors/anchors-bitcoin.json, which it prints: `python -m firmware_tests.anchors.bitcoin.vectors`."""

from __future__ import annotations

import json
import sys

from appliance.anchors import canonical
from appliance.anchors.bitcoin.encoding import shown
from appliance.anchors.bitcoin.judge import Rules
from appliance.anchors.bitcoin.proof import BitcoinProof
from firmware_tests.anchors.bitcoin.material import COMMITMENT, block, rules
from firmware_tests.anchors.bitcoin.test_judge import DAMAGED, HONEST


def _vector(name: str, proof: BitcoinProof, under: Rules, verdict: str) -> dict[str, object]:
    return {
        "name": name,
        "commitment": COMMITMENT.hex(),
        "rules": json.loads(canonical.encode(under)),
        "proof": json.loads(canonical.encode(proof)),
        "verdict": verdict,
    }


def vectors() -> list[dict[str, object]]:
    """Rules, commitment and proof, and what is to come out: a strength and its rule, or a reason of refusal."""
    scrypt, descends = block(work="scrypt"), rules(least_work=None, trusted_headers=(shown(HONEST.chain[2].hash),))
    honest = [
        _vector("work of double SHA-256", HONEST.proof(), rules(), "proven proof_of_work"),
        _vector("work of scrypt", scrypt.proof(), rules("scrypt"), "proven proof_of_work"),
        _vector("too little work", HONEST.proof(), rules(least_work="7"), "attested node"),
        _vector("a trusted block on top", HONEST.proof(), descends, "proven trusted_header"),
    ]
    return honest + [_vector(name, damage(HONEST), rules(), reason) for name, damage, reason in DAMAGED]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(vectors(), indent=1) + "\n")
