"""How fast batches are built, told apart and expanded, on one core. Prints one JSON line a measure.

python -m firmware_tests.bench.bench_evidence_records [--items N]

tree-build          digests a second made into a tree (aim: at least 200,000)
tree-sha256-bound   the same number of SHA-256 calls over 64 bytes and nothing else: what bounds it
tree-path           compact paths a second
record-expand       full evidence records a second, from compact ones
record-verify       full evidence records parsed and verified a second (without the token's signature)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.evidence_records import CompactBatch, HashTree, expand, parse_evidence_record, verify_hash_chain
from firmware_tests.others.openssl_tsa import OpenSslTsa


def per_second(call: Callable[[], object], done_by_a_call: int, rounds: int = 5) -> float:
    """The best of some rounds: the machine's other work only takes away."""
    best = 0.0
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        best = max(best, done_by_a_call / (time.perf_counter() - start))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    items = parser.parse_args().items
    digests = os.urandom(32 * items)
    tree = HashTree.build(digests)
    with tempfile.TemporaryDirectory() as directory:
        batch = CompactBatch(tree, OpenSslTsa(Path(directory)).token(tree.root))
    some = range(0, items, max(1, items // 1000))
    compact = [batch.item(index) for index in some]
    records = [(batch.evidence_record(index), {"sha256": tree.leaf(index)}) for index in some]
    pair = bytes(64)
    measures: dict[str, tuple[Callable[[], object], int]] = {
        "tree-build": (lambda: HashTree.build(digests), items),
        "tree-sha256-bound": (lambda: [hashlib.sha256(pair).digest() for _ in range(items)], items),
        "tree-path": (lambda: [tree.path(index) for index in range(items)], items),
        "record-expand": (lambda: [expand(digest, path, batch.token) for digest, path in compact], len(compact)),
        "record-verify": (
            lambda: [verify_hash_chain(parse_evidence_record(record), leaf) for record, leaf in records],
            len(records),
        ),
    }
    for name, (call, done) in measures.items():
        print(json.dumps({"measure": name, "items": items, "per_second": round(per_second(call, done))}))
    sizes = {"path_bytes": len(compact[0].path), "record_bytes": len(records[0][0]), "packed_bytes": len(tree.packed)}
    print(json.dumps({"measure": "sizes", "items": items, **sizes}))


if __name__ == "__main__":
    main()
