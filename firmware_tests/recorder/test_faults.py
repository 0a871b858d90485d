"""Kill it, fill its disk, cut its frames, do not read its answers: nothing answered is lost, nothing stands twice."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from appliance.box.settings import LimitSettings, write_settings
from appliance.calls.framing import FRAME_LIMIT, FrameReader, frame
from appliance.errors import NotFound
from appliance.recorder import RecorderClient, errors, new_run_id
from appliance.recorder.messages import Answer, Answers, Append, Batch, Committed, Idempotency, Query, Refused, Result
from appliance.recorder.reader import Queries, Reader
from appliance.recorder.transaction import Run, Transaction
from appliance.store import schema
from firmware_tests.recorder.letters import Bench
from firmware_tests.recorder.running import CERTIFICATE, FOREIGN, Recorder, entry, settings, uuid7

LOADER = """
import asyncio, json, sys, time
from pathlib import Path
from appliance.recorder import RecorderClient, new_run_id
from appliance.recorder.messages import Idempotency
from firmware_tests.recorder.letters import Bench
from firmware_tests.recorder.running import CERTIFICATE, FOREIGN, entry, uuid7

async def main(path, seconds, number):
    client = await RecorderClient.connect(Path(path), new_run_id(), lambda: (0, {}), patience=60)
    answered = []
    end = time.monotonic() + seconds
    tenant, certificate = (("acme", CERTIFICATE), ("globex", FOREIGN))[number % 2]
    async def lane():
        while time.monotonic() < end:
            entries = [entry() for _ in range(1 + len(answered) % 3)]
            key = Idempotency(uuid7(), bytes(32)) if len(answered) % 2 else None
            answer = await client.append(tenant, "app", certificate, entries, key)
            assert type(answer).__name__ == "Committed", answer
            answered.append((answer.first_index, [e.record_id.hex() for e in entries]))
    await asyncio.gather(*[lane() for _ in range(32)])
    await client.close()
    json.dump({"tenant": tenant, "answered": answered}, sys.stdout)

asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
"""


def check_whole(recorder: Recorder) -> sqlite3.Connection:
    """The stopped recorder's database is whole: integrity, leaves without a gap, ids once, leaves equal records."""
    connection = schema.open_reader(recorder.home.records)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    for (tenant,) in connection.execute("SELECT number FROM tenants").fetchall():
        stored: list[tuple[int, bytes]] = []
        for (number,) in connection.execute("SELECT number FROM segments ORDER BY number").fetchall():
            stored += connection.execute(
                f"SELECT leaf, commitment FROM records_{number} WHERE tenant = ? ORDER BY leaf",  # noqa: S608
                (tenant,),
            ).fetchall()
        assert [leaf for leaf, _ in stored] == list(range(len(stored)))
        leaves = connection.execute(
            "SELECT commitments FROM leaves WHERE position >= ? AND position < ? ORDER BY position",
            (tenant << 40, (tenant + 1) << 40),
        ).fetchall()
        assert b"".join(c for (c,) in leaves) == b"".join(c for _, c in stored)
    for (number,) in connection.execute("SELECT number FROM segments").fetchall():
        counts = connection.execute(
            f"SELECT (SELECT count(*) FROM ids_{number}), count(*), count(DISTINCT record_id) FROM records_{number}"  # noqa: S608
        ).fetchone()
        assert counts[0] == counts[1] == counts[2]
    return connection


def test_kill_under_load_loses_nothing_and_doubles_nothing(recorder: Recorder) -> None:
    loaders = [
        subprocess.Popen(
            [sys.executable, "-c", LOADER, str(recorder.home.recorder_socket), "6", str(number)],
            stdout=subprocess.PIPE,
        )
        for number in range(3)
    ]
    for _ in range(4):
        time.sleep(1.0 + random.random() * 0.3)
        recorder.end(signal.SIGKILL)
        recorder.start()
    results = [json.loads(loader.communicate(timeout=90)[0]) for loader in loaders]
    assert [loader.returncode for loader in loaders] == [0, 0, 0]
    assert recorder.end() == 0
    with_tenants = check_whole(recorder)
    numbers = dict(with_tenants.execute("SELECT name, number FROM tenants").fetchall())
    total = 0
    for result in results:
        tenant = numbers[result["tenant"]]
        rows = dict(
            with_tenants.execute("SELECT record_id, leaf FROM records_1 WHERE tenant = ?", (tenant,)).fetchall()
        )
        for first, ids in result["answered"]:
            for offset, record_id in enumerate(ids):
                assert rows[bytes.fromhex(record_id)] == first + offset
                total += 1
    # The clients were patient, so that every command was answered: nothing else stands there either.
    written = with_tenants.execute("SELECT count(*) FROM records_1 WHERE kind = 'stamp'").fetchone()[0]
    assert written == total > 1000
    counted = with_tenants.execute("SELECT sum(rows) FROM runs").fetchone()[0]
    assert counted == total
    with_tenants.close()


def test_without_a_recorder_in_time_the_outcome_is_unknown(recorder: Recorder) -> None:
    async def main() -> None:
        client = await RecorderClient.connect(
            recorder.home.recorder_socket, new_run_id(), lambda: (0, {}), patience=0.5
        )
        assert recorder.process is not None
        recorder.process.send_signal(signal.SIGSTOP)
        sent = client.append("acme", "app", CERTIFICATE, [entry()])
        await asyncio.sleep(0.05)
        recorder.end(signal.SIGKILL)
        await asyncio.sleep(0.05)
        unsent = client.append("acme", "app", CERTIFICATE, [entry()])
        with pytest.raises(errors.OutcomeUnknown) as raised:
            await sent
        assert raised.value.retriable
        with pytest.raises(errors.RecorderUnavailable):
            await unsent
        with pytest.raises(errors.RecorderUnavailable):
            client.append("acme", "app", CERTIFICATE, [entry()])
        recorder.start()
        while not client.connected:
            await asyncio.sleep(0.02)
        await client.append("acme", "app", CERTIFICATE, [entry()])
        await client.close()

    asyncio.run(main())


def open_socket(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(20)
    connection.connect(str(path))
    return connection


def closed(connection: socket.socket) -> bool:
    try:
        while connection.recv(1 << 16):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        (FRAME_LIMIT + 1).to_bytes(4, "big"),
        frame(b""),
        frame(b"\xc1"),
        frame(msgspec.msgpack.encode([])),
        frame(msgspec.msgpack.encode(["run", 0, {}, [["unknown", 1]]])),
        frame(msgspec.msgpack.encode(["run", 0, {}, [["append", "x"]]])),
        frame(b"\x91" * 100_000),
    ],
)
def test_garbage_ends_only_its_own_connection(recorder: Recorder, data: bytes) -> None:
    async def main() -> None:
        client = await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {}))
        for path in (recorder.home.recorder_socket, recorder.home.admin_socket):
            with open_socket(path) as connection:
                connection.sendall(data)
                assert closed(connection)
        await client.append("acme", "app", CERTIFICATE, [entry()])
        await client.close()

    asyncio.run(main())


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=200), cut=st.integers(0, 400))
def test_fuzzed_and_torn_frames_leave_the_recorder_standing(recorder: Recorder, data: bytes, cut: int) -> None:
    batch = msgspec.msgpack.encode(Batch("f" * 32, 0, {}, [Append(1, "acme", "app", CERTIFICATE, [entry()])]))
    position = cut % len(batch)
    for sent in (frame(data), frame(batch[:position] + data + batch[position:]), frame(batch)[:cut]):
        for path in (recorder.home.recorder_socket, recorder.home.admin_socket):
            with open_socket(path) as connection:
                connection.sendall(sent)
    with recorder.admin() as admin:
        assert admin.query("tree_size", "acme") >= 5


def test_torn_frames_are_not_taken(recorder: Recorder) -> None:
    one = entry()
    batch = frame(msgspec.msgpack.encode(Batch("t" * 32, 0, {}, [Append(1, "acme", "app", CERTIFICATE, [one])])))
    with open_socket(recorder.home.recorder_socket) as connection:
        connection.sendall(batch[:-1])
    with recorder.admin() as admin, pytest.raises(NotFound):
        admin.query("get_record", "acme", one.record_id)


def test_a_client_that_does_not_read_hinders_nobody(recorder: Recorder) -> None:
    with open_socket(recorder.home.recorder_socket) as slow:
        slow.setblocking(False)
        batch = Batch("s" * 32, 0, {}, [])
        query = frame(
            msgspec.msgpack.encode(batch)[:-2]
            + msgspec.msgpack.encode([["query", n, "read_records", ["acme", 0, 1000]] for n in range(200)])
            + b"\xc2"
        )
        sent = 0
        for _ in range(2000):
            try:
                sent += slow.send(query)
            except BlockingIOError:
                break
        assert sent > 0

        async def main() -> None:
            client = await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {}))
            started = time.monotonic()
            for _ in range(50):
                await client.append("acme", "app", CERTIFICATE, [entry()])
            assert time.monotonic() - started < 10
            await client.close()

        asyncio.run(main())


def test_more_than_a_client_may_have_waiting_is_answered_busy(recorder: Recorder) -> None:
    commands = [Append(n, "acme", "app", CERTIFICATE, [entry()]) for n in range(12_000)]
    with open_socket(recorder.home.recorder_socket) as connection:
        connection.sendall(frame(msgspec.msgpack.encode(Batch("b" * 32, 0, {}, list(commands)))))
        reader, answers = FrameReader(), []
        while len(answers) < len(commands):
            data = connection.recv(1 << 20)
            assert data
            for payload in reader.take(data):
                answers += msgspec.msgpack.decode(payload, type=Answers).answers
    busy = [a for a in answers if isinstance(a, Refused)]
    assert {a.code for a in busy} == {"busy"}
    assert 0 < len(busy) < len(commands)
    assert len({a.ticket for a in answers}) == len(commands)
    with recorder.admin() as admin:
        assert admin.query("tree_size", "acme") == 5 + len(commands) - len(busy)


def test_foreign_users_are_refused_at_accept(recorder: Recorder) -> None:
    if os.geteuid() != 0:
        pytest.fail("this test starts a process as another user and needs root")
    directory = recorder.home.recorder_socket.parent
    assert directory.stat().st_mode & 0o777 == 0o700
    probe = (
        "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1]); "
        "sys.exit(0 if s.recv(1) == b'' else 9)"
    )

    def as_nobody(path: Path) -> int:
        return subprocess.run(
            ["/usr/bin/python3", "-c", probe, str(path)],
            user=65534,
            group=65534,
            extra_groups=[],
            capture_output=True,
            check=False,
        ).returncode

    for path in (recorder.home.recorder_socket, recorder.home.admin_socket):
        assert as_nobody(path) == 1  # the directory is not theirs to search
    for opened in (recorder.home.root, recorder.home.run, directory):
        opened.chmod(0o755)
    for path in (recorder.home.recorder_socket, recorder.home.admin_socket):
        path.chmod(0o666)
        assert as_nobody(path) == 0  # connected, and put off without a byte
    directory.chmod(0o700)


def test_directories_that_others_reach_are_refused(recorder: Recorder) -> None:
    recorder.end()
    recorder.home.recorder_socket.parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-m", "appliance.recorder", "--home", str(recorder.home.root)],
        capture_output=True,
        check=False,
    )
    assert done.returncode != 0
    recorder.home.recorder_socket.parent.chmod(0o700)


@pytest.fixture
def small_disk(root: Path) -> Iterator[Recorder]:
    """A home whose records stand on a file system of 48 MiB."""
    (root / "records").mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(root / "records")], check=True)
    recorder = Recorder(root)
    yield recorder
    recorder.kill()
    subprocess.run(["umount", "-l", str(root / "records")], check=True)


@pytest.mark.parametrize("refuse_bytes", [8 * 1024 * 1024, 0])
def test_a_full_disk_refuses_loses_nothing_and_recovers(small_disk: Recorder, refuse_bytes: int) -> None:
    limits = LimitSettings(disk_warn_bytes=12 * 1024 * 1024, disk_refuse_bytes=refuse_bytes)
    recorder = small_disk
    write_settings(recorder.home.settings, settings(limits))
    recorder.start()
    recorder.enrol()
    ballast = recorder.home.records / "ballast"
    ballast.write_bytes(bytes(16 * 1024 * 1024))
    one, mine = entry(), Idempotency(uuid7(), bytes(32))

    async def main() -> None:
        client = await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {}))
        await client.append("acme", "app", CERTIFICATE, [one], mine)
        kept = [one.record_id]
        full = 0
        for _ in range(3000):
            offered = entry(body=os.urandom(16_384))
            try:
                await client.append("acme", "app", CERTIFICATE, [offered])
                kept.append(offered.record_id)
                full = 0
            except errors.ReadOnly:
                full += 1
                await asyncio.sleep(0.01)
                if full == 60:  # longer than the keeper may take to tidy up
                    break
        assert full == 60
        # Reads and replays go on.
        assert (await client.query("tree_size", "acme")) == 5 + len(kept)
        replay = await client.append("acme", "app", CERTIFICATE, [entry()], mine)
        assert replay.entries == [one]  # type: ignore[union-attr]
        assert (await client.query("status"))["disk"] in {"refuse", "full"}
        if refuse_bytes:
            # Housekeeping, so that what is recorded can be signed over, and the administrator still get through.
            await client.housekeeping("crl", "ca", 1, "ca", b"crl")
            with recorder.admin() as admin:
                admin.set_state("suspended", "globex")
        ballast.unlink()
        for _ in range(200):
            try:
                offered = entry()
                await client.append("acme", "app", CERTIFICATE, [offered])
                kept.append(offered.record_id)
                break
            except errors.ReadOnly:
                await asyncio.sleep(0.05)
        else:
            raise AssertionError("it did not recover")
        for record_id in kept:
            assert (await client.query("get_record", "acme", record_id))[1] == record_id
        await client.close()

    asyncio.run(main())
    assert recorder.end() == 0
    check_whole(recorder).close()


def test_two_clients_at_once_fill_both_logs_without_gaps(recorder: Recorder) -> None:
    async def main() -> None:
        clients = [
            await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {})) for _ in range(2)
        ]
        futures = [
            client.append(*who, [entry() for _ in range(n % 4 + 1)])
            for n in range(400)
            for client, who in zip(clients, [("acme", "app", CERTIFICATE), ("globex", "app", FOREIGN)], strict=True)
        ]
        await asyncio.gather(*futures)
        for client in clients:
            await client.close()

    asyncio.run(main())
    recorder.end()
    check_whole(recorder).close()


@pytest.mark.parametrize("place", ["apply", "write"])
def test_a_fault_in_one_command_fails_it_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """Whatever it raises, and wherever: the others of its transaction stand, and the recorder goes on."""
    commands = [Append(number, "acme", "app", CERTIFICATE, [entry()]) for number in range(3)]
    poison = commands[1].entries[0].record_id
    apply, write = Transaction.apply, Transaction.write

    def faulty_apply(self: Transaction, run: Run, command: object) -> Answer:
        if command is commands[1]:
            raise OverflowError("int too large")
        return apply(self, run, command)

    def faulty_write(self: Transaction, touched: list[Run]) -> None:
        if any(one.record_id == poison for entries in self.pending.values() for _, one in entries):
            raise OverflowError("int too large")
        write(self, touched)

    monkeypatch.setattr(Transaction, place, {"apply": faulty_apply, "write": faulty_write}[place])
    answers = bench.writer.transact([(bench.run, command) for command in commands])
    assert [getattr(one, "code", "") for one in answers] == ["", "internal", ""]
    first, _, last = answers
    assert isinstance(first, Committed)
    assert isinstance(last, Committed)
    assert last.first_index == first.first_index + 1
    again = bench.writer.transact([(bench.run, command) for command in commands], careful=True)
    assert [getattr(one, "first_index", "") for one in again] == [first.first_index, "", last.first_index]


def test_a_fault_in_one_query_fails_it_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: list[Answer] = []
    reader = Reader(bench.directory, dict, lambda _token, answer: answered.append(answer))
    monkeypatch.setattr(Queries, "query_tenants", lambda _self: {}["gone"])
    for ticket, name in enumerate(("tenants", "status")):
        assert reader.ask(None, Query(ticket, name, [])) is None
    reader.close()
    assert [type(one) for one in answered] == [Refused, Result]
