"""Makes docs/vectors/anchors-evm.json, which it prints: `python -m firmware_tests.anchors.evm.vectors`."""

from __future__ import annotations

import json
import sys

from appliance.anchors import canonical
from firmware_tests.anchors.evm.cases import cases

SHOWN = (
    "honest, clique",
    "honest, ibft2",
    "honest, qbft",
    "call data to the account itself",
    "a text in an event of one's own",
    "a block that a node states",
    "a failure",
    "a foreign signer, clique",
    "trust in one on top, ethereum",
)


def vectors() -> list[dict[str, object]]:
    """Some of the table: rules, commitment and proof, and what is to come out."""
    return [
        {
            "name": case.name,
            "commitment": case.commitment.hex(),
            "rules": json.loads(canonical.encode(case.rules)),
            "proof": json.loads(canonical.encode(case.proof)),
            "verdict": case.verdict,
        }
        for case in cases()
        if case.name in SHOWN
    ]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(vectors(), indent=1) + "\n")
