"""From the commit to the published checkpoint: recorder and log follower as a box runs them. One JSON line a measure.

    python -m firmware_tests.bench.bench_publication [--records 600000] [--tenants 1000] [--proofs 10000000]

publication   records/s that two clients had committed, one command each, and records/s that came under published heads
              meanwhile; how long the last record waited for its head; microseconds of processor a record
tenants       a million records of so many tenants: seconds until one leaf of the box's log, and so one anchor, covers
              every one of them
proof         a record's whole proof out of so many (its tenant's log, the box leaf, the box's head): milliseconds to
              make, bytes, milliseconds to verify
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.files import write_durably
from appliance.log import tree
from appliance.log.box_leaf import TenantStatement, make_box_leaf, verify_opening
from appliance.log.box_proofs import BoxProofs
from appliance.log.checkpoint import Checkpoint, LogKey, sign_checkpoint
from appliance.log.integrator import Integrator
from appliance.log.note import VerifierKey
from appliance.log.openings import Openings, Pending
from appliance.log.proofs import TlogProof, verify_tlog_proof
from appliance.log.reader import CHECKPOINT_FILE, LogReader, log_directory
from appliance.record import new_record_id
from appliance.recorder.client import RecorderClient
from appliance.recorder.counts import new_run_id
from appliance.recorder.messages import Entry
from firmware_tests.log.box import BOX_ORIGIN, Box, origin_of
from hsm.testing.softhsm import SoftHsm

LANES: Final = 64
BODY: Final = os.urandom(900)
CLIENTS: Final = 2


def say(measure: str, **more: Any) -> None:
    print(json.dumps({"bench": "publication", "measure": measure} | more), flush=True)


def entry() -> Entry:
    return Entry(new_record_id(), "stamp", "key", time.time_ns() // 1000, os.urandom(32), BODY)


async def load(path: Path, certificate: bytes, count: int) -> None:
    """One client process: single records, as many at once as a worker has requests."""
    client = await RecorderClient.connect(path, new_run_id(), lambda: (count, {}))

    async def lane() -> None:
        for _ in range(count // LANES):
            await client.append("alfa", "app", certificate, [entry()])

    await asyncio.gather(*(lane() for _ in range(LANES)))
    await client.goodbye()
    await client.close()


async def fill(path: Path, certificates: Sequence[tuple[str, bytes]], count: int) -> None:
    """`count` records for each tenant."""
    client = await RecorderClient.connect(path, new_run_id(), lambda: (count * len(certificates), {}))
    for tenant, certificate in certificates:
        for first in range(0, count, 500):
            entries = [entry() for _ in range(min(500, count - first))]
            await client.append(tenant, "app", certificate, entries)
    await client.goodbye()
    await client.close()


@contextmanager
def box_of(tenants: Sequence[str]) -> Any:
    """A box whose logs share one key, so that its token need not hold thousands."""
    root = Path(tempfile.mkdtemp(prefix="cinnabar-bench-"))
    softhsm = SoftHsm(root)
    os.environ["SOFTHSM2_CONF"] = str(softhsm.configuration)
    box = Box(root / "home", softhsm, ("alfa",))
    try:
        if len(tenants) > 1:
            (template,) = box.settings.tenants
            own = next(log for log in box.settings.logs if log.tenant == "alfa")
            one = own.keys[0]
            logs = [
                msgspec.structs.replace(
                    own,
                    origin=origin_of(name),
                    tenant=name,
                    keys=[msgspec.structs.replace(one, name=origin_of(name))],
                )
                for name in tenants
            ]
            box.tenants = tuple(tenants)
            box.settings = msgspec.structs.replace(
                box.settings,
                tenants=[msgspec.structs.replace(template, name=name) for name in tenants],
                logs=[*(log for log in box.settings.logs if log.tenant is None), *logs],
            )
        box.settings = msgspec.structs.replace(box.settings, checkpoint_interval_ms=1_000, box_leaf_interval_s=10)
        box.write()
        box.start_recorder()
        box.enrol()
        yield box
    finally:
        box.close()
        shutil.rmtree(root)


def processor_s(process: subprocess.Popen[bytes]) -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def publication(records: int) -> None:
    with box_of(("alfa",)) as box:
        recorder, follower = box.processes[0], box.start_follower()
        box.append("alfa", 1)
        box.wait_for_size(origin_of("alfa"), 1)
        before, begun = [processor_s(one) for one in (recorder, follower)], time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "firmware_tests.bench.bench_publication",
            "--load",
            str(box.home.recorder_socket),
        ]
        clients = [subprocess.Popen([*command, "--records", str(records // CLIENTS)]) for _ in range(CLIENTS)]
        published: list[tuple[float, int]] = []
        while any(one.poll() is None for one in clients):
            published.append((time.perf_counter() - begun, box.checkpoint(origin_of("alfa")).size))
            time.sleep(0.1)
        committed_s, done = time.perf_counter() - begun, 1 + records // CLIENTS // LANES * LANES * CLIENTS
        box.wait_for_size(origin_of("alfa"), done)
        last_s = time.perf_counter() - begun
        spent = [processor_s(one) - was for one, was in zip((recorder, follower), before, strict=True)]
        say(
            "publication", records=done, committed_per_second=round(done / committed_s),
            published_per_second=round(published[-1][1] / published[-1][0]),
            last_waited_s=round(last_s - committed_s, 2),
            recorder_us=round(spent[0] / done * 1e6, 1),
            follower_us=round(spent[1] / done * 1e6, 1),
        )  # fmt: skip


def tenants(count: int, records: int) -> None:
    names = [f"tenant-{number:04d}" for number in range(count)]
    with box_of(names) as box:
        certificates = [(name, box.certificate(name)) for name in names]
        uvloop.run(fill(box.home.recorder_socket, certificates, records // count))
        begun = time.perf_counter()
        follower = box.start_follower()

        def covered(name: str) -> bool:
            line = Openings(box.directory(BOX_ORIGIN)).latest(name)
            if line is None or line.index >= box.checkpoint(BOX_ORIGIN).size:
                return False
            statement = verify_opening(line.opening)
            return isinstance(statement, TenantStatement) and statement.size >= records // count

        waiting = set(names)
        while waiting:
            waiting -= {name for name in list(waiting)[:50] if covered(name)}
            assert follower.poll() is None, box.errors()[-2000:]
            time.sleep(0.05)
        say(
            "tenants", tenants=count, records=records, seconds=round(time.perf_counter() - begun, 1),
            follower_s=round(processor_s(follower), 1), leaves=box.checkpoint(BOX_ORIGIN).size,
        )  # fmt: skip


def proof(size: int) -> None:
    """A tenant's log and a box's log of so many entries each, made without records; then proofs of both together."""
    with tempfile.TemporaryDirectory(prefix="cinnabar-bench-") as scratch:
        logs, key = Path(scratch), Ed25519PrivateKey.generate()
        batch = [hashlib.sha256(b"%d" % number).digest() for number in range(50_000)]

        def grown(origin: str, last: Sequence[bytes]) -> tuple[Path, Checkpoint]:
            directory = log_directory(logs, origin)
            integrator = Integrator(directory)
            while integrator.size + len(last) < size:
                integrator.append(batch[: size - len(last) - integrator.size])
            integrator.append(list(last))
            integrator.flush()
            head = Checkpoint(origin, integrator.size, integrator.root())
            integrator.close()
            verifier = VerifierKey(origin, key.public_key().public_bytes_raw())
            write_durably(directory / CHECKPOINT_FILE, sign_checkpoint(head, [(verifier, key.sign)]))
            return directory, head

        origin = origin_of("alfa")
        own, head = grown(origin, ())
        statement = TenantStatement(origin=origin, previous="0" * 64, root=head.root.hex(), size=head.size)
        leaf = make_box_leaf({"alfa": statement}, time.time_ns() // 1000)
        directory, _ = grown(BOX_ORIGIN, [leaf.leaf.entry()])
        openings = Openings(directory)
        openings.write_pending(Pending(after=0, leaf=leaf.leaf, openings=leaf.openings))
        openings.settle(openings.pending(), size - 1)  # type: ignore[arg-type]
        keys = [LogKey(VerifierKey(BOX_ORIGIN, key.public_key().public_bytes_raw()))]
        chance, making, checking, sizes = random.Random(1), [], [], []
        for _ in range(300):
            index = chance.randrange(size)
            begun = time.perf_counter()
            made = BoxProofs(LogReader(directory)).of_record(
                "alfa", origin, LogReader(own), index, batch[index % len(batch)]
            )
            making.append((time.perf_counter() - begun) * 1e3)
            assert made is not None
            opened = made.leaf.opening.encode()
            sizes.append(len(b"".join(made.path)) + len(opened) + len(made.leaf.tlog_proof))
            begun = time.perf_counter()
            stated = verify_opening(made.leaf.opening)
            assert isinstance(stated, TenantStatement)
            tree.verify_inclusion(
                index, stated.size, tree.leaf_hash(batch[index % len(batch)]), made.path, bytes.fromhex(stated.root)
            )
            verify_tlog_proof(TlogProof.parse(made.leaf.tlog_proof), leaf.leaf.entry(), BOX_ORIGIN, keys)
            checking.append((time.perf_counter() - begun) * 1e3)
        making.sort()
        checking.sort()
        say(
            "proof", records=size, make_ms=round(statistics.median(making), 2), make_p99_ms=round(making[296], 2),
            bytes=max(sizes), verify_ms=round(statistics.median(checking), 2), verify_p99_ms=round(checking[296], 2),
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=600_000)
    parser.add_argument("--tenants", type=int, default=1_000)
    parser.add_argument("--covered", type=int, default=1_000_000, help="records of all tenants together")
    parser.add_argument("--proofs", type=int, default=10_000_000)
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.load is not None:
        certificate = hashlib.sha256(b"certificate of alfa").digest()
        uvloop.run(load(options.load, certificate, options.records))
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    publication(options.records)
    tenants(options.tenants, options.covered)
    proof(options.proofs)


if __name__ == "__main__":
    main()
