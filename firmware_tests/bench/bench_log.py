"""What a log costs: one JSON object a line.

    python -m firmware_tests.bench.bench_log [--entries 1000000] [--directory DIR]

integrate      entries/s hashed and written as tiles and bundles, durable at the end of every 20,000
head           seconds for a head: flush, old and new root read back from the tiles, two Ed25519 signatures in software
inclusion      seconds for a .tlog-proof of a random entry, from files, cold reader
check          entries/s of `cinnabar log check` (files only)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import statistics
import tempfile
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.files import write_durably
from appliance.log import Integrator, LogReader, TileReader, VerifierKey, sign_checkpoint, sign_root
from appliance.log.check import check_log
from appliance.log.checkpoint import Checkpoint, LogKey
from appliance.log.exports import write_export
from appliance.log.reader import CHECKPOINT_FILE, SIGNED_ROOT_FILE

ORIGIN = "log.example/bench"
BATCH = 20_000


def show(name: str, **figures: float) -> None:
    print(json.dumps({"bench": "log", "measure": name, **{k: round(v, 6) for k, v in figures.items()}}), flush=True)


def run(directory: Path, entries: int) -> None:
    key = Ed25519PrivateKey.generate()
    verifier = VerifierKey(ORIGIN, key.public_key().public_bytes_raw())
    integrator = Integrator(directory)
    batch = [hashlib.sha256(b"%d" % number).digest() for number in range(BATCH)]
    integrating = 0.0
    heads: list[float] = []
    while integrator.size < entries:
        old = integrator.size
        started = time.perf_counter()
        integrator.append(batch)
        integrator.flush()
        integrated = time.perf_counter()
        size = integrator.size
        TileReader(directory, old).root()
        root = TileReader(directory, size).root()
        note = sign_checkpoint(Checkpoint(ORIGIN, size, root), [(verifier, key.sign)])
        write_export(directory / "exports", ORIGIN, note)
        write_durably(directory / SIGNED_ROOT_FILE, sign_root(size, root, verifier, key.sign).encode())
        write_durably(directory / CHECKPOINT_FILE, note)
        heads.append(time.perf_counter() - integrated)
        integrating += integrated - started
    show("integrate", entries=integrator.size, entries_per_s=integrator.size / integrating)
    show("head", entries=integrator.size, median_s=statistics.median(heads), worst_s=max(heads))
    chance = random.Random(1)
    reader = LogReader(directory)
    proofs: list[float] = []
    for _ in range(500):
        started = time.perf_counter()
        reader.tlog_proof(chance.randrange(integrator.size))
        proofs.append(time.perf_counter() - started)
    proofs.sort()
    show("inclusion", entries=integrator.size, median_s=proofs[250], p99_s=proofs[494])
    started = time.perf_counter()
    report = check_log(ORIGIN, "", directory, directory / "exports", [LogKey(verifier)], None)
    assert report.sound, report.findings[:3]
    show("check", entries=integrator.size, entries_per_s=integrator.size / (time.perf_counter() - started))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--directory", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as scratch:
        run(Path(scratch), arguments.entries)


if __name__ == "__main__":
    main()
