"""What a client sees of the recorder: appends, idempotency, the register, housekeeping, jobs, counts."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from appliance.errors import BadRequest, CinnabarError, Conflict, NotAuthorised, NotFound
from appliance.record import commitment
from appliance.recorder import CallCounter, RecorderClient, errors, new_run_id
from appliance.recorder.jobs import UNFINISHED_LIMIT
from appliance.recorder.messages import BOX_LOG, Append, Batch, Committed, Idempotency, Replayed
from appliance.recorder.readings import ReadingRecord, reading_entry
from appliance.store import records, schema
from firmware_tests.recorder.running import (
    ACME_LOG,
    BOX_ORIGIN,
    CERTIFICATE,
    FOREIGN,
    FOREVER,
    OTHER,
    SECOND,
    Recorder,
    entry,
    uuid7,
)

Body = Callable[[RecorderClient], Awaitable[None]]


def talk(recorder: Recorder, body: Body, run: str | None = None) -> None:
    async def main() -> None:
        client = await RecorderClient.connect(
            recorder.home.recorder_socket, run or new_run_id(), lambda: (0, {}), patience=20
        )
        try:
            await body(client)
        finally:
            await client.close()

    asyncio.run(main())


async def refused(kind: type[CinnabarError], future: Awaitable[object]) -> None:
    with pytest.raises(kind) as raised:
        await future
    assert type(raised.value) is kind


def test_appends_get_consecutive_leaves_of_their_tenant(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        size = await client.query("tree_size", "acme")
        entries = [entry() for _ in range(7)]
        answers = await asyncio.gather(
            client.append("acme", "app", CERTIFICATE, entries[:1]),
            client.append("globex", "app", FOREIGN, [entry()]),
            client.append("acme", "app", CERTIFICATE, entries[1:4]),
            client.append("acme", "other", OTHER, entries[4:]),
        )
        first = [answer.first_index for answer in answers]
        assert [first[0], first[2], first[3]] == [size, size + 1, size + 4]
        leaves = await client.query("read_leaves", "acme", size, 100)
        assert leaves == b"".join(e.commitment for e in entries)
        assert await client.query("read_leaves", "acme", size + 2, 3) == leaves[64:160]
        assert await client.query("read_leaves", "acme", size + 7, 3) == b""
        shown = await client.query("read_records", "acme", size + 1, 3)
        assert [row[1] for row in shown] == [e.record_id for e in entries[1:4]]
        e = entries[5]
        record = await client.query("get_record", "acme", e.record_id)
        assert record == [size + 5, e.record_id, "other", e.kind, e.key, e.time, e.commitment, e.body]
        # Another tenant's record and one that is nowhere answer alike (control CHANNEL).
        texts = []
        for name, record_id in [("globex", e.record_id), ("acme", entry().record_id), ("nobody", e.record_id)]:
            with pytest.raises(NotFound) as raised:
                await client.query("get_record", name, record_id)
            texts.append(str(raised.value))
        assert texts[0] == texts[1]

    talk(recorder, body)


def test_a_command_that_no_frame_holds_fails_alone(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        sent = [client.query("tree_size", "acme"), client.query("tree_size", 2**64), client.query("tree_size", "acme")]
        before, refused_one, after = await asyncio.gather(*sent, return_exceptions=True)
        assert before == after == await client.query("tree_size", "acme")
        assert isinstance(refused_one, OverflowError)
        assert client.in_flight == 0

    talk(recorder, body)


def test_a_large_body_is_read_in_parts_and_by_its_owner_only(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        large = entry(body=os.urandom(5 * 1024 * 1024 // 2))
        index = (await client.append("acme", "app", CERTIFICATE, [large])).first_index
        shown = await client.query("get_record", "acme", large.record_id, 1024 * 1024)
        assert shown == [
            index,
            large.record_id,
            "app",
            large.kind,
            large.key,
            large.time,
            large.commitment,
            len(large.body),
        ]
        assert (await client.query("get_record", "acme", large.record_id, len(large.body)))[7] == large.body
        parts = [await client.query("record_part", "acme", large.record_id, n << 20, 1 << 40) for n in range(4)]
        assert [len(part) for part in parts] == [1 << 20, 1 << 20, 1 << 19, 0]
        assert b"".join(parts) == large.body
        await refused(NotFound, client.query("record_part", "globex", large.record_id, 0, 10))
        await refused(NotFound, client.query("get_record", "globex", large.record_id, 10))

    talk(recorder, body)


def test_the_body_of_anothers_record_is_not_read(tmp_path: Path) -> None:
    connection = schema.open_writer(tmp_path)
    records.add_segment(connection, 1, 0, 1)
    row = (1, 7, 0, b"i" * 22, 1, "seal", "k", 5, b"c" * 32, bytes(30 << 20))
    records.insert_rows(connection, 1, [row])
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    reader = schema.open_reader(tmp_path)
    started = time.process_time()
    for _ in range(100):
        assert records.owner(reader, 1, 1) == 7
        assert records.body_size(reader, 1, 1) == 30 << 20
    # A hundred reads of 30 MiB take seconds.
    assert time.process_time() - started < 0.2
    reader.close()


def test_malformed_entries_are_refused_singly(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        size = await client.query("tree_size", "acme")
        good = entry()
        bad = [
            msgspec.structs.replace(entry(), record_id=b"short"),
            msgspec.structs.replace(entry(), commitment=b"short"),
            msgspec.structs.replace(entry(), record_id=bytes(22)),
            msgspec.structs.replace(entry(), record_id=b"\xff" * 22),
            # What stands in clear in a log, and what an export writes as it is, is never a worker's word.
            *(
                msgspec.structs.replace(entry(), kind=kind)
                for kind in ("administration", "ceremony", "box-leaf", 'x","record":"', "=1+1", "")
            ),
        ]
        futures = [client.append("acme", "app", CERTIFICATE, [entry(), one]) for one in bad]
        futures.append(client.append("acme", "app", CERTIFICATE, []))
        kept = client.append("acme", "app", CERTIFICATE, [good])
        for future in futures:
            await refused(BadRequest, future)
        assert (await kept).first_index == size
        assert await client.query("tree_size", "acme") == size + 1

    talk(recorder, body)


@pytest.mark.parametrize("when", [253_402_300_800_000_000, 2**62, -1])
def test_a_time_that_no_reader_can_show_is_no_record_s(when: int) -> None:
    """A leaf is never deleted: one such record would break every page and export of its log for ever."""
    sent = Append(1, "acme", "app", CERTIFICATE, [msgspec.structs.replace(entry(), time=when)])
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(Batch("run", 0, {}, [sent])), type=Batch)


def test_a_reading_stands_near_the_box_s_clock(recorder: Recorder) -> None:
    """Else its id would stand at the end of the id index for ever."""

    async def body(client: RecorderClient) -> None:
        record = ReadingRecord(
            action="content-read", count=1, end=1, filter="{}", first=0, person="ann", tenant="acme",
            time=time.time_ns() // 1000, user=0,
        )  # fmt: skip
        made, _ = reading_entry(record)
        await refused(BadRequest, client.reading("acme", msgspec.structs.replace(made, record_id=b"\xff" * 22)))
        await client.reading("acme", made)

    talk(recorder, body)


def test_the_same_record_twice_is_one_record(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        one = entry()
        together = await asyncio.gather(*(client.append("acme", "app", CERTIFICATE, [one]) for _ in range(3)))
        later = await client.append("acme", "app", CERTIFICATE, [one])
        assert len({answer.first_index for answer in [*together, later]}) == 1
        forged = msgspec.structs.replace(one, commitment=bytes(32))
        await refused(errors.RecordIdTaken, client.append("acme", "app", CERTIFICATE, [forged]))
        await refused(errors.RecordIdTaken, client.append("globex", "app", FOREIGN, [one]))
        await refused(errors.RecordIdTaken, client.append("acme", "app", CERTIFICATE, [entry(), one]))
        two = entry()
        await refused(errors.RecordIdTaken, client.append("acme", "app", CERTIFICATE, [two, two]))

    talk(recorder, body)


def test_idempotency_is_exact(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        key, digest = uuid7(), hashlib.sha256(b"request").digest()
        mine = Idempotency(key, digest)
        first, second = [entry(), entry()], [entry(), entry()]
        answers = await asyncio.gather(
            client.append("acme", "app", CERTIFICATE, first, mine),
            client.append("acme", "app", CERTIFICATE, second, mine),
        )
        assert isinstance(answers[0], Committed)
        assert isinstance(answers[1], Replayed)
        size = await client.query("tree_size", "acme")
        # Over another certificate of the same application, in a later transaction: what is stored.
        replay = await client.append("acme", "app", SECOND, second, mine)
        assert isinstance(replay, Replayed)
        assert replay.entries == answers[1].entries == first
        assert replay.first_index == answers[1].first_index == answers[0].first_index
        await refused(
            errors.IdempotencyConflict,
            client.append("acme", "app", CERTIFICATE, [entry()], Idempotency(key, bytes(32))),
        )
        assert await client.query("tree_size", "acme") == size
        # Another application's key is another key, of the same tenant or not.
        assert isinstance(await client.append("acme", "other", OTHER, [entry()], Idempotency(key, digest)), Committed)
        assert isinstance(await client.append("globex", "app", FOREIGN, [entry()], mine), Committed)

    talk(recorder, body)


def test_idempotency_keys_outside_the_window_are_never_taken_as_new(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        now = time.time_ns() // 1_000_000
        size = await client.query("tree_size", "acme")
        for key, kind in [
            (uuid7(now - 25 * 3_600_000), errors.IdempotencyKeyExpired),
            (uuid7(now + 6 * 60_000), errors.IdempotencyKeyAhead),
            (bytes(16), errors.IdempotencyKeyInvalid),
        ]:
            await refused(kind, client.append("acme", "app", CERTIFICATE, [entry()], Idempotency(key, bytes(32))))
        assert await client.query("tree_size", "acme") == size

    talk(recorder, body)


def test_a_key_works_after_a_restart(recorder: Recorder) -> None:
    mine, one = Idempotency(uuid7(), bytes(32)), entry()

    async def before(client: RecorderClient) -> None:
        assert isinstance(await client.append("acme", "app", CERTIFICATE, [one], mine), Committed)

    async def after(client: RecorderClient) -> None:
        answer = await client.append("acme", "app", CERTIFICATE, [entry()], mine)
        assert isinstance(answer, Replayed)
        assert answer.entries == [one]

    talk(recorder, before)
    recorder.end()
    recorder.start()
    talk(recorder, after)


def test_only_the_register_says_who_may_append(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        pushed: list[int] = []
        client.on_register = lambda register: pushed.append(register.version)
        loop = asyncio.get_running_loop()

        async def change(state: str, *which: object) -> None:
            def ask() -> None:
                with recorder.admin() as admin:
                    admin.set_state(state, *which)  # type: ignore[arg-type]

            seen = len(pushed)
            await loop.run_in_executor(None, ask)
            while len(pushed) == seen:
                await asyncio.sleep(0.01)

        async def may(certificate: bytes = CERTIFICATE) -> None:
            await client.append("acme", "app", certificate, [entry()])

        async def may_not(certificate: bytes = CERTIFICATE, tenant: str = "acme", application: str = "app") -> None:
            await refused(NotAuthorised, client.append(tenant, application, certificate, [entry()]))

        await may()
        await may_not(bytes(32))
        await may_not(CERTIFICATE, "globex")
        await may_not(CERTIFICATE, "acme", "other")
        await refused(NotAuthorised, client.append("acme", "other", OTHER, [entry(key="seal")]))
        await refused(NotAuthorised, client.append(BOX_LOG, "app", CERTIFICATE, [entry()]))
        for which in [("acme",), ("acme", "app"), ("acme", "app", CERTIFICATE)]:
            await change("suspended", *which)
            await may_not()
            assert CERTIFICATE not in {a.certificate for a in client.register.applications}
            await change("active", *which)
            await may()
        await change("revoked", "acme", "app", CERTIFICATE)
        await may_not()
        await may(SECOND)
        with recorder.admin() as admin:
            for state in ("active", "suspended", "revoked"):
                with pytest.raises(errors.Unknown):
                    admin.set_state(state, "acme", "app", CERTIFICATE)  # type: ignore[arg-type]
            with pytest.raises(Conflict):
                admin.enrol_certificate("globex", "app", CERTIFICATE, 0, FOREVER)

    talk(recorder, body)


def test_a_certificate_counts_only_while_it_is_valid(recorder: Recorder) -> None:
    now = int(time.time())
    with recorder.admin() as admin:
        admin.enrol_certificate("acme", "app", b"p" * 32, 0, now - 10)
        admin.enrol_certificate("acme", "app", b"f" * 32, now + 1000, FOREVER)

    async def body(client: RecorderClient) -> None:
        for certificate in (b"p" * 32, b"f" * 32):
            await refused(NotAuthorised, client.append("acme", "app", certificate, [entry()]))

    talk(recorder, body)


def test_administration_is_on_record(recorder: Recorder) -> None:
    with recorder.admin() as admin:
        box, acme = admin.query("read_records", BOX_LOG, 0, 100), admin.query("read_records", "acme", 0, 100)
        before = admin.query("tree_size", "acme")
        for wrong in ("", "Acme", "a/b", "x" * 65, BOX_LOG):
            with pytest.raises(BadRequest):
                admin.enrol_tenant(wrong)
        with pytest.raises(Conflict):
            admin.enrol_tenant("acme")
        with pytest.raises(errors.Unknown):
            admin.enrol_application("nobody", "app", [])
        assert admin.query("tree_size", "acme") == before
    assert [row[3] for row in box] == ["administration"] * 2
    assert len(acme) == 5
    for row in [*box, *acme]:
        salt, record, _ = msgspec.msgpack.decode(row[7])
        assert commitment(salt, record) == row[6]
        members = msgspec.json.decode(record)
        assert members["format"] == "cinnabar-administration/1"
        assert list(members) == sorted(members)


def test_a_ceremonys_entry_is_written_once(recorder: Recorder) -> None:
    """The keymaster asks again after a crash: the same entry is found, another under its id is refused."""
    salt, record = b"s" * 32, b'{"event":"submitted"}'
    first = b"\x01" * 22
    with recorder.admin() as admin:
        before = admin.query("tree_size", "acme")
        leaf = admin.ceremony_entry("acme", first, "submitted", 5, salt, record, b"document")
        assert leaf == before
        assert admin.ceremony_entry("acme", first, "submitted", 5, salt, record, b"document") == leaf
        assert admin.ceremony_entry(BOX_LOG, b"\x02" * 22, "submitted", 5, salt, record) >= 0
        assert admin.query("tree_size", "acme") == before + 1
        for log, record_id, other in (
            ("acme", first, b'{"event":"executed"}'),
            ("globex", first, record),
        ):
            with pytest.raises(errors.RecordIdTaken):
                admin.ceremony_entry(log, record_id, "submitted", 5, salt, other)
        with pytest.raises(errors.Unknown):
            admin.ceremony_entry("nobody", b"\x03" * 22, "submitted", 5, salt, record)
        for wrong in ((b"short", salt, record), (b"\x03" * 22, b"", record), (b"\x03" * 22, salt, b"")):
            with pytest.raises(BadRequest):
                admin.ceremony_entry("acme", wrong[0], "submitted", 5, wrong[1], wrong[2])
    recorder.end(9)
    recorder.start()
    with recorder.admin() as admin:
        assert admin.ceremony_entry("acme", first, "submitted", 5, salt, record, b"document") == leaf
        shown = admin.query("get_record", "acme", first)
    assert shown[:5] == [leaf, first, "", "ceremony", "submitted"]
    assert shown[6] == commitment(salt, record)
    assert msgspec.msgpack.decode(shown[7]) == [salt, record, b"document"]


def note(origin: str, size: int, root: bytes) -> bytes:
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n\n— {origin} sig\n".encode()


def test_checkpoints_are_compared_and_swapped(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        size = await client.query("tree_size", "acme")
        now = time.time_ns() // 1000

        def offer(of: int, root: bytes, time_us: int, origin: str = ACME_LOG) -> Awaitable[object]:
            return client.housekeeping("checkpoint", "k", time_us, origin, note(origin, of, root))

        assert await client.query("head", ACME_LOG) is None
        await offer(size - 1, b"a" * 32, now)
        await offer(size, b"b" * 32, now)
        await offer(size, b"b" * 32, now + 5)
        for wrong in [
            offer(size - 1, b"a" * 32, now + 9),
            offer(size, b"c" * 32, now + 9),
            offer(size, b"b" * 32, now - 9),
            offer(size + 1, b"d" * 32, now + 9),
        ]:
            await refused(errors.Fork, wrong)
        await refused(BadRequest, offer(1, b"a" * 32, now, "log.test/unknown"))
        head = await client.query("head", ACME_LOG)
        assert head == [size, b"b" * 32, now + 5, note(ACME_LOG, size, b"b" * 32)]
        assert len(await client.query("housekeeping", "checkpoint", ACME_LOG, 0, 100)) == 3

    talk(recorder, body)


def test_a_stopped_key_of_the_box_signs_no_row(recorder: Recorder) -> None:
    """Heads under a log key that has left its log, certificates by a stopped authority, answers by a stopped responder;
    the authority's CRLs go on."""

    async def body(client: RecorderClient) -> None:
        size = await client.query("tree_size", "acme")
        head = await client.query("head", ACME_LOG)
        root = head[1] if head is not None and head[0] == size else b"b" * 32
        now = time.time_ns() // 1000

        def row(kind: str, key: str, subject: str = ACME_LOG) -> Awaitable[object]:
            text = note(ACME_LOG, size, root) if kind == "checkpoint" else os.urandom(8)
            return client.housekeeping(kind, key, time.time_ns() // 1000, subject, text)  # type: ignore[arg-type]

        old, new = f"{ACME_LOG}+0a0b0c0d", f"{ACME_LOG}+01020304"
        await row("checkpoint", old)
        with recorder.admin() as admin:
            admin.set_key_state(BOX_LOG, "log.0a0b0c0d", "deactivated")
            admin.set_key_state(BOX_LOG, "some-ca", "suspended")
            admin.set_key_state(BOX_LOG, "some-ca-answers", "suspended")
            told = [one for one in admin.query("key_states") if one["tenant"] == BOX_LOG]
            assert {(one["key"], one["state"]) for one in told} >= {("log.0a0b0c0d", "deactivated")}
        for kind, key in (
            ("checkpoint", old),
            ("receipt", old),
            ("certificate", "some-ca"),
            ("ocsp", "some-ca-answers"),
        ):
            await refused(errors.KeyStopped, row(kind, key))
        assert now < (await client.query("head", ACME_LOG))[2] < time.time_ns() // 1000
        for kind, key in (
            ("checkpoint", new),
            ("receipt", new),
            ("crl", "some-ca"),
            ("certificate", "other-ca"),
            ("ocsp", "other-answers"),
        ):
            await row(kind, key)
        with recorder.admin() as admin:
            admin.set_key_state(BOX_LOG, "some-ca", "active")
        await row("certificate", "some-ca")

    talk(recorder, body)


def test_what_was_told_of_certificates_by_a_time_is_told_for_ever(recorder: Recorder) -> None:
    """Evidence files are the same bytes each time, whatever lists and answers came later."""

    async def body(client: RecorderClient) -> None:
        for when, text in ((10, b"first"), (20, b"second")):
            await client.housekeeping("ocsp", "answers", when, "a1", text)
            await client.housekeeping("crl", "ca", when, "ca", text)
        for at, expected in ((9, []), (10, [b"first"]), (19, [b"first"]), (20, [b"second"]), (30, [b"second"])):
            assert await client.query("answers_at", ["b2", "a1"], at) == expected
            assert await client.query("list_at", "ca", at) == (expected[0] if expected else None)
        await refused(BadRequest, client.query("answers_at", ["a1"], -1))

    talk(recorder, body)


def test_box_leaves_stand_in_the_box_log_once(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        size = await client.query("tree_size", BOX_LOG)
        now = time.time_ns() // 1000
        first = await client.housekeeping("box-leaf", "", now, BOX_ORIGIN, b"leaf one")
        again = await client.housekeeping("box-leaf", "", now, BOX_ORIGIN, b"leaf one")
        second = await client.housekeeping("box-leaf", "", now, BOX_ORIGIN, b"2" * 32)
        assert [first.first_index, again.first_index, second.first_index] == [size, size, size + 1]
        leaves = await client.query("read_leaves", BOX_LOG, size, 10)
        assert leaves == hashlib.sha256(b"leaf one").digest() + b"2" * 32
        ahead = client.housekeeping("box-leaf", "", now + 10**12, BOX_ORIGIN, b"far ahead")
        await refused(BadRequest, ahead)

    talk(recorder, body)


def test_jobs_are_worked_once(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        job_id, key = b"j" * 16, Idempotency(uuid7(), bytes(32))

        def create(identity: bytes = job_id) -> Awaitable[object]:
            return client.job_create("acme", "app", CERTIFICATE, identity, "bulk", 5, b"request", key)

        assert isinstance(await create(), Committed)
        replay = await create(b"k" * 16)
        assert isinstance(replay, Replayed)
        assert replay.job_id == job_id
        assert await client.job_claim(["globex"]) is None
        claimed = await client.job_claim(["globex", "acme"])
        assert claimed == [job_id, "acme", "app", "bulk", 5, 0, b"request"]
        assert await client.job_claim(["acme"]) is None
        one, two = [entry(), entry()], [entry()]
        first = await client.job_slice(job_id, 0, one, [b"v0", b"v1", b"failed"])
        same = await client.job_slice(job_id, 0, one, [b"v0", b"v1", b"failed"])
        assert first.first_index == same.first_index
        await refused(errors.JobMoved, client.job_slice(job_id, 0, [entry()], [b"other"]))
        await refused(errors.JobMoved, client.job_slice(job_id, 4, [entry()], [b"other"]))
        await refused(BadRequest, client.job_slice(job_id, 3, [entry()], [b"1", b"2", b"3"]))
        await refused(NotFound, client.job_slice(b"nowhere", 0, [], [b""]))
        assert (await client.query("job", "acme", "app", job_id))["progress"] == 3
        await client.job_slice(job_id, 3, two, [b"v3", b"v4"])
        job = await client.query("job", "acme", "app", job_id)
        assert job["progress"] == job["items"] == 5
        assert job["finished"] >= job["created"]
        slices = await client.query("job_verdicts", "acme", "app", job_id, 0, 100)
        assert [(s[0], s[2], s[3]) for s in slices] == [(0, 2, [b"v0", b"v1", b"failed"]), (3, 1, [b"v3", b"v4"])]
        assert await client.query("job_verdicts", "acme", "app", job_id, 4, 1) == slices[1:]
        assert await client.query("job_verdicts", "acme", "app", job_id, 2, 1) == slices[:1]
        assert [j["job_id"] for j in await client.query("jobs", "acme", "app")] == [job_id]
        assert await client.query("jobs", "acme", "other") == []
        for tenant, application in [("acme", "other"), ("globex", "app")]:
            await refused(NotFound, client.query("job", tenant, application, job_id))

    talk(recorder, body)


def test_a_job_goes_on_after_its_worker_died(recorder: Recorder) -> None:
    job_id = b"j" * 16

    async def first(client: RecorderClient) -> None:
        await client.job_create("acme", "app", CERTIFICATE, job_id, "bulk", 4, b"r", Idempotency(uuid7(), bytes(32)))
        assert await client.job_claim(["acme"]) is not None
        await client.job_slice(job_id, 0, [entry()], [b"v0", b"v1"])

    async def second(client: RecorderClient) -> None:
        for _ in range(100):
            claimed = await client.job_claim(["acme"])
            if claimed is not None:
                break
            await asyncio.sleep(0.02)
        assert claimed is not None
        assert claimed[5] == 2
        await client.job_slice(job_id, 2, [entry()], [b"v2", b"v3"])
        assert await client.job_claim(["acme"]) is None

    talk(recorder, first)
    talk(recorder, second)


def test_counts_balance_after_a_goodbye_and_show_the_difference_after_a_crash(recorder: Recorder) -> None:
    directory = recorder.home.counters
    directory.mkdir(parents=True)

    async def life(entries: int, calls: int, drops: dict[str, int], *, clean: bool) -> str:
        counter = CallCounter(directory, new_run_id())
        client = await RecorderClient.connect(
            recorder.home.recorder_socket, counter.run, lambda: (counter.signed, drops)
        )
        for number in range(calls):
            counter.count()
            if number < entries:
                await client.append("acme", "app", CERTIFICATE, [entry()])
        if clean:
            assert await client.goodbye() == (calls, entries, sum(drops.values()))
        await client.close()
        counter.close(remove=clean)
        return counter.run

    balanced = asyncio.run(life(5, 7, {"refused": 2}, clean=True))
    wrong = asyncio.run(life(5, 7, {}, clean=True))
    crashed = asyncio.run(life(5, 7, {}, clean=False))
    time.sleep(0.3)
    with recorder.admin() as admin:
        runs = {run["run"]: run for run in admin.query("runs")}
        totals = admin.query("totals")
    assert [runs[run]["state"] for run in (balanced, wrong, crashed)] == ["clean", "unbalanced", "lost"]
    assert [(runs[run]["signed"], runs[run]["rows"]) for run in (balanced, wrong, crashed)] == [(7, 5)] * 3
    assert runs[balanced]["drops"] == {"refused": 2}
    assert totals == {"signatures": 21, "rows": 15, "drops": 2}


def test_marks_only_rise(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        for time_us in (50, 70, 60):
            await client.append("acme", "app", CERTIFICATE, [entry()], mark=("tsu", time_us))
        assert await client.query("marks") == {"tsu": 70}

    talk(recorder, body)


def test_queries_that_make_no_sense_are_refused(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        for query in [
            ("nothing",),
            ("tree_size",),
            ("tree_size", 5),
            ("read_leaves", "acme", -1, 5),
            ("read_leaves", "acme", "0", 5),
            ("read_leaves", "acme", 1 << 62, 1 << 62),
            ("get_record", "acme", 5),
            ("answer", "x"),
            ("_tenant", "acme"),
        ]:
            if query[0] == "read_leaves" and query[2] == 1 << 62:
                assert await client.query(*query) == b""
            else:
                await refused(BadRequest, client.query(*query))

    talk(recorder, body)


def test_the_client_bounds_what_is_in_flight(recorder: Recorder) -> None:
    async def main() -> None:
        client = await RecorderClient.connect(recorder.home.recorder_socket, new_run_id(), lambda: (0, {}), in_flight=3)
        waiting = [client.append("acme", "app", CERTIFICATE, [entry()]) for _ in range(3)]
        with pytest.raises(errors.Busy):
            client.append("acme", "app", CERTIFICATE, [entry()])
        await asyncio.gather(*waiting)
        await client.close()

    asyncio.run(main())


def test_without_a_recorder_the_client_says_so(root: Path) -> None:
    async def main() -> None:
        with pytest.raises(errors.RecorderUnavailable):
            await RecorderClient.connect(root / "nowhere.sock", new_run_id(), lambda: (0, {}), patience=0.2)

    asyncio.run(main())


def test_claims_go_round_by_tenant_and_application(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        def create(tenant: str, application: str, certificate: bytes, job_id: bytes) -> Awaitable[object]:
            key = Idempotency(uuid7(), bytes(32))
            return client.job_create(tenant, application, certificate, job_id, "bulk", 10_000, b"r", key)

        for number in range(4):
            await create("acme", "app", CERTIFICATE, b"many-%d" % number)
        await create("acme", "other", OTHER, b"second")
        turns: list[bytes] = []
        before = b""
        for turn in range(8):
            if turn == 2:
                await create("globex", "app", FOREIGN, b"small")
            claimed = await client.job_claim(["acme", "globex"], release=before)
            assert claimed is not None
            before = claimed[0]
            turns.append(before)
        assert turns == [b"many-0", b"second", b"small", b"many-0", b"small", b"second", b"small", b"many-0"]
        # What another run holds is not given back by this one; what is held by this one is not claimed twice.
        assert len({(await client.job_claim(["acme"]) or [b""])[0] for _ in range(6)}) == 5

    talk(recorder, body)


def test_a_job_of_a_revoked_certificate_gets_no_records(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        key = Idempotency(uuid7(), bytes(32))
        await client.job_create("acme", "app", SECOND, b"job", "bulk", 3, b"r", key)
        await client.job_slice(b"job", 0, [entry()], [b"v"], SECOND)
        with recorder.admin() as admin:
            admin.set_state("revoked", "acme", "app", SECOND)
        await refused(NotAuthorised, client.job_slice(b"job", 1, [entry()], [b"v"], SECOND))
        await refused(NotAuthorised, client.job_slice(b"job", 1, [entry()], [b"v"], FOREIGN))
        await client.job_slice(b"job", 1, [], [b"refused", b"refused"])
        assert (await client.query("job", "acme", "app", b"job"))["finished"] is not None

    talk(recorder, body)


def test_an_applications_unfinished_jobs_are_bounded(recorder: Recorder) -> None:
    async def body(client: RecorderClient) -> None:
        def create(number: int, certificate: bytes = CERTIFICATE, application: str = "app") -> Awaitable[object]:
            key = Idempotency(uuid7(), bytes(32))
            return client.job_create("acme", application, certificate, b"%d" % number, "bulk", 1, b"r", key)

        for number in range(UNFINISHED_LIMIT):
            await create(number)
        await refused(errors.Busy, create(100))
        await create(200, OTHER, "other")
        await client.job_slice(b"3", 0, [entry()], [b"v"])
        await create(101)
        await refused(errors.Busy, create(102))

    talk(recorder, body)
