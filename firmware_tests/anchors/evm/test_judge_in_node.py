"""A verifier on npm's libraries alone comes to the same verdicts."""

from __future__ import annotations

import json
from pathlib import Path

from appliance.anchors import canonical
from firmware_tests.anchors.evm.cases import cases
from firmware_tests.others.npm import node


def test_the_table_in_node(tmp_path: Path) -> None:
    table = cases()
    file = tmp_path / "cases.json"
    file.write_text(
        json.dumps(
            [
                {
                    "proof": json.loads(canonical.encode(case.proof)),
                    "rules": json.loads(canonical.encode(case.rules)),
                    "commitment": case.commitment.hex(),
                }
                for case in table
            ]
        )
    )
    verdicts = node("check-evm-receipt.mjs", str(file))
    assert dict(zip([case.name for case in table], verdicts, strict=True)) == {
        case.name: case.verdict for case in table
    }
