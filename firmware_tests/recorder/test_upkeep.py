"""What happens beside the writer: segments sealed, exported and pruned, keys and jobs forgotten, the WAL bounded."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.calls.sockets import unix_listener
from appliance.recorder.administration import EnrolApplication, EnrolCertificate, EnrolTenant
from appliance.recorder.keeper import Keeper, KeeperSettings, watermark
from appliance.recorder.messages import (
    BOX_LOG,
    Answer,
    Append,
    Committed,
    Entry,
    Idempotency,
    JobCreate,
    JobSlice,
    Query,
    Refused,
    Replayed,
    Result,
)
from appliance.recorder.powers import Peers
from appliance.recorder.reader import Queries
from appliance.recorder.server import Server
from appliance.recorder.transaction import Run
from appliance.recorder.writer import Writer, WriterSettings
from appliance.store import copy, records, schema
from appliance.store.segments import SegmentDamaged, digest_of, read_segment
from firmware_tests.recorder.running import CERTIFICATE, FOREVER, uuid7

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


class Bench:
    """A writer with its server and keeper in this process, under a clock that the test moves."""

    def __init__(self, root: Path, **settings: int) -> None:
        self.root = root
        self.directory = root / "records"
        self.now = time.time_ns() // 1000
        self.writer = Writer(
            self.directory,
            WriterSettings(window_ms=24 * 3_600_000, logs={}, segment_bytes=settings.pop("segment_bytes", 1 << 40)),
            clock_us=lambda: self.now,
        )
        run = root / "run"
        run.mkdir(exist_ok=True)
        me = Peers(frozenset({os.geteuid()}))
        self.server = Server(self.writer, self.directory, unix_listener(run / "s"), unix_listener(run / "a"), me)
        self.keeper = Keeper(
            self.writer,
            self.server,
            self.directory,
            KeeperSettings(
                root=root,
                archive=self.directory / "archive",
                warn_bytes=0,
                refuse_bytes=0,
                interval=0.005,
                **settings,  # type: ignore[arg-type]
            ),
        )
        self.run = Run("r" * 32, 0, 0, self.now)
        self.thread = threading.Thread(target=self.server.run)
        self.thread.start()
        self.keeper.start()

    def close(self) -> None:
        self.server.stop()
        self.thread.join()
        self.keeper.stop()
        self.writer.close()

    def inside(self, task: Callable[[], None]) -> None:
        """Run something in the writer's thread."""
        done = threading.Event()
        failed: list[Exception] = []

        def run() -> None:
            try:
                task()
            except Exception as error:  # noqa: BLE001 - handed on to the test
                failed.append(error)
            done.set()

        self.server.call(run)
        assert done.wait(30)
        if failed:
            raise failed[0]

    def enrol(self) -> None:
        def task() -> None:
            for change in (
                EnrolTenant(1, "acme"),
                EnrolApplication(2, "acme", "app", ["*"]),
                EnrolCertificate(3, "acme", "app", CERTIFICATE, 0, FOREVER),
            ):
                assert isinstance(self.writer.administer(change, 0), Committed)

        self.inside(task)

    def submit(self, *commands: object) -> list[Answer]:
        answers: list[Answer] = []
        self.inside(lambda: answers.extend(self.writer.transact([(self.run, c) for c in commands])))  # type: ignore[misc]
        return answers

    def entry(self, size: int = 100) -> Entry:
        record_id = (self.now // 1000).to_bytes(6, "big") + os.urandom(16)
        return Entry(record_id, "stamp", "tsu", self.now, os.urandom(32), os.urandom(size))

    def append(self, entries: list[Entry], idempotency: Idempotency | None = None) -> Answer:
        return self.submit(Append(1, "acme", "app", CERTIFICATE, entries, idempotency))[0]

    def query(self, name: str, *arguments: object) -> object:
        connection = schema.open_reader(self.directory)
        try:
            answer = Queries(connection, dict, self.directory).answer(Query(1, name, list(arguments)))
        finally:
            connection.close()
        if isinstance(answer, Refused):
            return answer.code
        assert isinstance(answer, Result)
        return answer.value

    def wait(self, condition: Callable[[], object]) -> None:
        for _ in range(2000):
            if condition():
                return
            time.sleep(0.01)
        raise AssertionError("it did not happen")

    def states(self) -> list[str]:
        return [segment.state for segment in self.writer.ground.segments]


@pytest.fixture
def make(root: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def start(**settings: int) -> Bench:
        made.append(Bench(root, **settings))
        return made[-1]

    yield start
    for bench in made:
        if bench.thread.is_alive():
            bench.close()


def test_watermarks() -> None:
    assert [watermark(free, 10, 5) for free in (11, 10, 9, 5, 4)] == ["ok", "ok", "warn", "warn", "refuse"]


def test_a_segment_is_sealed_exported_and_pruned_with_its_leaves_kept(make: Callable[..., Bench]) -> None:
    bench = make(keep_days=3, segment_bytes=200_000)
    bench.enrol()
    batches = [[bench.entry(500) for _ in range(100)] for _ in range(12)]
    mine = Idempotency(uuid7(bench.now // 1000), bytes(32))
    firsts = [bench.append(batch, mine if n == 0 else None) for n, batch in enumerate(batches)]
    entries = [entry for batch in batches for entry in batch]
    base = firsts[0].first_index  # type: ignore[union-attr]
    bench.append([bench.entry()])  # the last transaction may have filled its segment: the next one seals it
    bench.wait(lambda: bench.states()[:-1] and set(bench.states()[:-1]) == {"exported"})
    count = len(bench.states())
    assert count >= 3
    # Records are found in whatever segment they are, and a record that is there is not taken again.
    for entry in (entries[0], entries[-1], entries[600]):
        assert bench.query("get_record", "acme", entry.record_id)[1] == entry.record_id  # type: ignore[index]
    assert bench.append(batches[0]) == Committed(1, base)
    # The files hold everything, with the digests on record.
    archived = []
    for segment in bench.writer.ground.segments[:-1]:
        path = bench.root / str(segment.file)
        assert digest_of(path) == segment.digest
        archived += list(read_segment(path))
    kept = [row for row in archived if row.tenant == "acme" and row.kind == "stamp"]
    assert [row.commitment for row in kept] == [e.commitment for e in entries[: len(kept)]]
    assert [row.leaf for row in kept] == list(range(base, base + len(kept)))
    assert len(bench.query("read_leaves", BOX_LOG, 0, 100)) // 32 >= count  # type: ignore[arg-type]
    # A damaged file is not believed, and keeps its segment from being pruned.
    damaged = bench.root / str(bench.writer.ground.segments[0].file)
    whole = damaged.read_bytes()
    for wrong in (whole[:-1], whole + b"x", whole[:-20], b"{}\n"):
        damaged.write_bytes(wrong)
        with pytest.raises(SegmentDamaged):
            list(read_segment(damaged))
    bench.now += 4 * DAY_US
    bench.wait(lambda: "pruned" in bench.states())
    assert bench.states()[0] == "exported"
    damaged.write_bytes(whole)
    bench.wait(lambda: bench.states()[: count - 1] == ["pruned"] * (count - 1))
    leaves = bench.query("read_leaves", "acme", base, len(entries))
    assert leaves == b"".join(e.commitment for e in entries)
    assert bench.query("get_record", "acme", entries[0].record_id) == "archived"
    assert bench.query("get_record", "acme", entries[600].record_id) == "archived"
    # It is read out of the archive, a stretch of the file at a time, and only what was asked for.
    place = bench.query("archived_place", "acme", entries[0].record_id)
    wanted = [entries[0].record_id, entries[3].record_id, entries[-1].record_id]
    found, further = bench.query("archived_records", "acme", place, wanted)  # type: ignore[misc]
    assert [row[1] for row in found] == wanted[:2]
    assert (further, found[0][6:]) == (0, [entries[0].commitment, entries[0].body])
    # To others it is as unknown as an id that nobody has, though they lie within the archived range (control CHANNEL).
    between = bytearray(entries[0].record_id)
    between[-1] ^= 1
    assert bench.query("get_record", "acme", bytes(between)) == "not-found"
    bench.inside(lambda: bench.writer.administer(EnrolTenant(1, "globex"), 0))  # type: ignore[arg-type,return-value]
    for record_id in (entries[0].record_id, bytes(between)):
        assert bench.query("get_record", "globex", record_id) == "not-found"
        assert bench.query("record_part", "globex", record_id, 0, 10) == "not-found"
        assert bench.query("archived_place", "globex", record_id) == "not-found"
    assert bench.query("archived_records", "globex", place, wanted) == [[], 0]
    damaged.rename(damaged.with_suffix(".away"))
    assert bench.query("archived_place", "acme", entries[0].record_id) == "segment-not-mounted"
    damaged.with_suffix(".away").rename(damaged)
    newest = bench.entry()
    assert isinstance(bench.append([newest]), Committed)
    assert bench.query("get_record", "acme", newest.record_id)[1] == newest.record_id  # type: ignore[index]
    bench.close()
    again = make(keep_days=3, segment_bytes=200_000)
    again.now = bench.now
    assert again.append([again.entry()]).first_index == base + len(entries) + 2  # type: ignore[union-attr]


def test_a_day_ends_a_segment_and_a_key_finds_its_records_across_it(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.enrol()
    bench.now += 23 * HOUR_US
    mine, one = Idempotency(uuid7(bench.now // 1000), bytes(32)), bench.entry()
    assert isinstance(bench.append([one], mine), Committed)
    bench.now += 2 * HOUR_US
    replay = bench.append([bench.entry()], mine)
    assert isinstance(replay, Replayed)
    assert replay.entries == [one]
    assert len(bench.states()) == 2


def test_keys_are_forgotten_by_the_hour_and_never_taken_as_new(make: Callable[..., Bench]) -> None:
    bench = make()
    bench.enrol()
    mine = Idempotency(uuid7(bench.now // 1000), bytes(32))
    assert isinstance(bench.append([bench.entry()], mine), Committed)
    assert len(bench.writer.ground.hours) == 1
    bench.now += 26 * HOUR_US
    bench.wait(lambda: not bench.writer.ground.hours)
    connection = schema.open_reader(bench.directory)
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name GLOB 'keys_*'").fetchone() == (0,)
    connection.close()
    answer = bench.append([bench.entry()], mine)
    assert isinstance(answer, Refused)
    assert answer.code == "idempotency-key-expired"


def test_finished_jobs_are_forgotten_and_their_records_stay(make: Callable[..., Bench]) -> None:
    bench = make(job_days=2)
    bench.enrol()
    one = bench.entry()
    key = Idempotency(uuid7(bench.now // 1000), bytes(32))
    create = [JobCreate(1, "acme", "app", CERTIFICATE, name, "bulk", 1, b"r", key) for name in (b"done", b"open")]
    second = Idempotency(uuid7(bench.now // 1000), bytes(32))
    create[1] = JobCreate(1, "acme", "app", CERTIFICATE, b"open", "bulk", 1, b"r", second)
    assert bench.submit(*create, JobSlice(3, b"done", 0, [one], [b"v"]))[:2] == [Committed(1, -1)] * 2
    time.sleep(0.1)
    assert bench.query("job", "acme", "app", b"done") != "not-found"
    bench.now += 3 * DAY_US
    bench.wait(lambda: bench.query("job", "acme", "app", b"done") == "not-found")
    assert bench.query("job", "acme", "app", b"open") != "not-found"
    assert bench.query("get_record", "acme", one.record_id) != "not-found"


def test_the_write_ahead_log_stays_bounded_while_readers_come_and_go(make: Callable[..., Bench]) -> None:
    bench = make(wal_bytes=1_000_000)
    bench.enrol()
    for _ in range(150):
        bench.append([bench.entry(1000) for _ in range(100)])
        bench.query("read_leaves", "acme", 0, 100)
    wal = (bench.directory / "records.sqlite-wal").stat().st_size
    assert (bench.directory / "records.sqlite").stat().st_size > 10_000_000
    assert wal < 8_000_000


def test_a_copy_made_under_writes_is_one_moment(make: Callable[..., Bench]) -> None:
    from appliance.box.home import Home

    bench = make()
    bench.enrol()
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            bench.append([bench.entry(2000) for _ in range(20)])

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(4):
            time.sleep(0.1)
            copied = copy(Home(bench.root), bench.root / f"copy-{number}")
            connection = sqlite3.connect(copied.database)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            tenant = connection.execute("SELECT number FROM tenants WHERE name = 'acme'").fetchone()[0]
            size = records.tree_size(connection, tenant)
            assert size > 2
            stored = connection.execute("SELECT count(*) FROM records_1 WHERE tenant = ?", (tenant,)).fetchone()[0]
            assert stored == size
            connection.close()
            with pytest.raises(FileExistsError):
                copy(Home(bench.root), bench.root / f"copy-{number}")
    finally:
        stop.set()
        writing.join()
