"""Intake runs at a running recorder: rows decided singly and once, known again by their keys, whoever carries on."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.api.intakes.file import sweep
from appliance.box.settings import write_settings
from appliance.errors import BadRequest, NotAuthorised, NotFound
from appliance.recorder import RecorderClient, errors
from appliance.recorder.intakes import UNFINISHED_BYTES, UNFINISHED_LIMIT
from appliance.recorder.messages import QUESTIONS_OF_A_DAY, Effect, Idempotency, IntakeItem, Tally, question_tally
from appliance.store import Documents, intakes, schema
from firmware_tests.recorder.letters import Who, claim, enrolled, event, letter_id, step, with_client
from firmware_tests.recorder.running import Recorder, settings, uuid7


@pytest.fixture(scope="module")
def standing() -> Iterator[Recorder]:
    root = Path(tempfile.mkdtemp(prefix="cinnabar-"))
    write_settings(root / "box.json", settings())
    made = Recorder(root)
    try:
        made.start()
        yield made
    finally:
        made.kill()
        shutil.rmtree(root)


async def received(client: RecorderClient, who: Who, rows: int, *, checks: bool = False) -> bytes:
    """A run whose file has come and was read through."""
    run = os.urandom(16)
    key = Idempotency(uuid7(), bytes(32))
    await client.intake_create(*who, run, "voucher", "issue", 10, b"request", key, checks=checks)
    await client.intake_part(*who, run, 0, 10, os.urandom(32))
    assert await client.intake_move(who.tenant, run, "received", "reading", cursor=b"1") == "reading"
    await client.intake_move(who.tenant, run, "reading", "running", at=b"1", cursor=b"2", rows=rows)
    return run


def item(number: int, key: bytes, *more: Effect, content: bytes = bytes(8), letter: bytes | None = None) -> IntakeItem:
    letter = letter or letter_id()
    return IntakeItem(number, key, content, letter, "", [event()], [step(letter, 1), *more])


def wrong(number: int, key: bytes = b"") -> IntakeItem:
    return IntakeItem(number, key, bytes(8), b"", "field-refused", [], [])


async def verdicts(client: RecorderClient, who: Who, run: bytes) -> list[list[object]]:
    pages = await client.query("intake_pages", who.tenant, run)
    return [verdict for page in pages for verdict in msgspec.msgpack.decode(page["verdicts"])]


def test_rows_are_decided_singly_and_once(standing: Recorder) -> None:
    acme = enrolled(standing)

    async def main(client: RecorderClient) -> None:
        run, token, mark = await received(client, acme, 6), os.urandom(16), ("tsu", 5)
        one, two, three = (os.urandom(16) for _ in range(3))
        used = letter_id()
        rows = [
            item(2, one, claim(used), letter=used),
            wrong(3),
            item(4, one),  # as row 2: known by its key
            item(5, one, content=b"otherwis"),
            item(6, two, claim(other := letter_id()), letter=other),  # another row, what it uses is used
            item(7, three),
        ]
        decided = await client.intake_slice(run, 0, token, rows[:5], b"told", b"3", acme.certificate, mark)
        assert decided.halt is None
        assert decided.rows == [
            (0, used, "", ""),
            (2, b"", "field-refused", ""),
            (1, used, "", ""),
            (1, used, "row-differs", ""),
            (2, b"", "taken", "it is used, or not so much of it is left"),
        ]
        assert decided.dropped(rows[:5]) == {"duplicate": 1, "row-differs": 1, "taken": 1}
        # The same slice again, as after a lost connection, is answered as it was; another one is too late.
        again = await client.intake_slice(run, 0, token, rows[:5], b"told", b"3", acme.certificate, mark)
        assert again == decided
        with pytest.raises(errors.IntakeMoved):
            await client.intake_slice(run, 0, os.urandom(16), rows[:5], b"", b"3", acme.certificate, None)
        with pytest.raises(BadRequest):  # beyond the file's end
            await client.intake_slice(run, 5, os.urandom(16), rows[4:], b"", b"3", acme.certificate, None)
        await client.intake_slice(run, 5, os.urandom(16), rows[5:], b"", b"4", acme.certificate, None)
        shown = await client.query("intake", acme.tenant, run)
        counts = [shown[name] for name in ("state", "rows", "decided", "accepted", "duplicate", "refused")]
        assert counts == ["done", 6, 6, 2, 2, 2]
        assert [verdict[0] for verdict in await verdicts(client, acme, run)] == [2, 3, 4, 5, 6, 7]
        pages = [
            [page["start"] for page in await client.query("intake_pages", acme.tenant, run, first, refused)]
            for first, refused in ((0, False), (4, False), (5, False), (6, False), (0, True), (5, True))
        ]
        assert pages == [[0, 5], [0, 5], [5], [], [0], []]
        found = await client.query("intake_known", acme.tenant, [one, two, three])
        assert [entry is not None for entry in found] == [True, False, True]

        # The same rows in another run: what was accepted is a duplicate, what was refused is tried again.
        second = await received(client, acme, 2)
        decided = await client.intake_slice(
            second, 0, os.urandom(16), [item(1, one), item(2, two)], b"", b"", acme.certificate, None
        )
        assert [row[:2] for row in decided.rows] == [(1, used), (0, decided.rows[1][1])]

    with_client(standing, main)


def test_a_slices_stamp_is_taken_with_its_first_row_or_not_at_all(standing: Recorder) -> None:
    acme = enrolled(standing)
    stamp = msgspec.structs.replace(event(), kind="batch-stamp")

    async def main(client: RecorderClient) -> None:
        run, token = await received(client, acme, 4), os.urandom(16)
        used = letter_id()
        first, second = item(2, os.urandom(16), claim(used), letter=used), item(3, os.urandom(16))
        rows = [wrong(1), first, second]
        for _ in range(2):  # and again, as after a lost connection
            decided = await client.intake_slice(run, 0, token, rows, b"", b"3", acme.certificate, ("tsu", 5), stamp)
            assert [row[0] for row in decided.rows] == [2, 0, 0]
            assert decided.dropped(rows, stamp) == {}
        records = [first.entries[0], stamp, second.entries[0]]
        leaves = [(await client.query("get_record", acme.tenant, one.record_id))[0] for one in records]
        assert leaves == list(range(leaves[0], leaves[0] + 3))
        # What it is over is refused: so is it, and both are the caller's to count.
        other = msgspec.structs.replace(event(), kind="batch-stamp")
        another = letter_id()
        last = item(4, os.urandom(16), claim(another), letter=another)
        decided = await client.intake_slice(run, 3, os.urandom(16), [last], b"", b"4", acme.certificate, None, other)
        assert decided.dropped([last], other) == {"no-row-accepted": 1, decided.rows[0][2]: 1}
        with pytest.raises(NotFound):
            await client.query("get_record", acme.tenant, other.record_id)

        # A stamp without a seal that goes on record, and one in a run that only checks.
        for checks, items in ((False, [wrong(1)]), (True, [item(1, os.urandom(16))])):
            run = await received(client, acme, 1, checks=checks)
            with pytest.raises(BadRequest):
                await client.intake_slice(run, 0, os.urandom(16), items, b"", b"", acme.certificate, None, other)

    with_client(standing, main)


def test_a_malformed_slice_takes_nothing(standing: Recorder) -> None:
    acme = enrolled(standing)

    async def main(client: RecorderClient) -> None:
        run = await received(client, acme, 2)
        good = item(1, os.urandom(16))
        with pytest.raises(BadRequest):
            await client.intake_slice(
                run, 0, os.urandom(16), [good, item(2, b"short")], b"", b"", acme.certificate, None
            )
        with pytest.raises(NotAuthorised):
            await client.intake_slice(run, 0, os.urandom(16), [good], b"", b"", bytes(32), None)
        assert (await client.query("intake", acme.tenant, run))["decided"] == 0
        assert await client.query("letters", acme.tenant, [good.letter]) == [None]

    with_client(standing, main)


def test_what_is_no_rows_fault_stops_before_the_row(standing: Recorder) -> None:
    acme = enrolled(standing)
    with standing.admin() as admin:
        admin.set_quota(acme.tenant, signatures=2)

    async def main(client: RecorderClient) -> None:
        run = await received(client, acme, 3)
        rows = [item(n, os.urandom(16)) for n in range(3)]
        decided = await client.intake_slice(run, 0, os.urandom(16), rows, b"", b"", acme.certificate, None)
        assert len(decided.rows) == 2
        assert isinstance(decided.halt, errors.QuotaExceeded)
        assert decided.dropped(rows) == {"undecided": 1}
        assert await client.intake_move(acme.tenant, run, "running", "stopped", fault=b"why") == "stopped"
        assert (await client.query("intake", acme.tenant, run))["decided"] == 2
        assert await client.intake_ask(*acme, run, "running") == "running"

    with_client(standing, main)


def test_a_check_makes_nothing_and_finds_what_would_be_refused(standing: Recorder) -> None:
    acme = enrolled(standing)

    async def main(client: RecorderClient) -> None:
        run, used, known = await received(client, acme, 1), letter_id(), os.urandom(16)
        taken = item(1, known, claim(used), letter=used)
        await client.intake_slice(run, 0, os.urandom(16), [taken], b"", b"", acme.certificate, None)
        check, fresh = await received(client, acme, 4, checks=True), os.urandom(16)
        rows = [item(1, known), item(2, os.urandom(16), claim(two := letter_id()), letter=two), item(3, fresh)]
        decided = await client.intake_slice(
            check, 0, os.urandom(16), [*rows, item(4, fresh)], b"", b"", acme.certificate, None
        )
        assert [(row[0], row[2]) for row in decided.rows] == [(1, ""), (2, "taken"), (0, ""), (1, "")]
        assert await client.query("letters", acme.tenant, [row.letter for row in rows]) == [None] * 3
        assert await client.query("intake_known", acme.tenant, [fresh]) == [None]
        assert (await client.query("intake", acme.tenant, check))["state"] == "done"

    with_client(standing, main)


def test_what_a_check_asks_of_a_federation_is_metered_whatever_it_is_told(standing: Recorder) -> None:
    acme, globex = enrolled(standing), enrolled(standing)

    async def main(client: RecorderClient) -> None:
        used, key = letter_id(), os.urandom(32)
        taken = step(used, 1), claim(used, scope="@checked", key=key)
        await client.append(*acme, [event()], effects=list(taken))
        run = await received(client, globex, 5, checks=True)
        for number in range(4):
            tried = key if number < 3 else os.urandom(32)
            row = item(number, os.urandom(16), claim(at := letter_id(), scope="@checked", key=tried), letter=at)
            decided = await client.intake_slice(run, number, os.urandom(16), [row], b"", b"", globex.certificate, None)
            assert decided.rows[0][2] == ("taken" if number < 3 else "")
            asked = ["@federation/checked/asked", number + 1]
            refused = ["@federation/checked/refused", min(number + 1, 3)]
            found = await client.query("tallies", globex.tenant)
            assert found[:2] == [asked, refused]
            assert [(name.rpartition("/")[0], count) for name, count in found[2:]] == [("@questions/app", number + 1)]
        own = item(5, os.urandom(16), claim(at := letter_id()), letter=at)  # nobody else's register: no question
        await client.intake_slice(run, 4, os.urandom(16), [own], b"", b"", globex.certificate, None)
        assert await client.query("tallies", globex.tenant) == found

    with_client(standing, main)


def test_a_check_asks_no_federation_beyond_the_questions_of_a_day(standing: Recorder) -> None:
    acme = enrolled(standing)

    async def main(client: RecorderClient) -> None:
        at_us = time.time_ns() // 1000
        asked = [question_tally(acme.application, at_us + day * 86_400_000_000) for day in (0, 1)]  # over midnight too
        most = [Tally(one.name, QUESTIONS_OF_A_DAY - 1, one.most) for one in asked]
        await client.append(*acme, [event()], effects=[step(letter_id(), 1), *most])
        run = await received(client, acme, 2, checks=True)
        rows = [
            item(n, os.urandom(16), claim(at := letter_id(), scope="@most", key=os.urandom(32)), letter=at)
            for n in range(2)
        ]
        decided = await client.intake_slice(run, 0, os.urandom(16), rows, b"", b"", acme.certificate, None)
        assert [row[2] for row in decided.rows] == ["", "letter-quota-exceeded"]
        assert ["@federation/most/asked", 1] in await client.query("tallies", acme.tenant)

    with_client(standing, main)


def test_a_run_is_its_tenants_and_its_applications(standing: Recorder) -> None:
    acme, globex = enrolled(standing), enrolled(standing)

    async def main(client: RecorderClient) -> None:
        run = await received(client, acme, 1)
        said = []
        for name in (run, os.urandom(16)):
            for ask in (
                client.query("intake", globex.tenant, name),
                client.intake_ask(*globex, name, "stopped"),
                client.intake_part(*globex, name, 0, 1, bytes(32)),
            ):
                with pytest.raises(NotFound) as found:
                    await ask
                said.append(str(found.value))
        assert len(set(said)) == 1
        assert await client.query("intakes", globex.tenant) == []
        shown = await client.query("intakes", acme.tenant)
        assert [(one["intake"], one["tenant"], one["application"]) for one in shown] == [(run, acme.tenant, "app")]

    with_client(standing, main)


def test_who_takes_a_run_is_told_whether_others_wait(standing: Recorder) -> None:
    acme, globex = enrolled(standing), enrolled(standing)

    async def main(client: RecorderClient) -> None:
        both = [acme.tenant, globex.tenant]
        first = await received(client, acme, 1)
        claimed = await client.intake_claim(both)
        assert claimed is not None
        assert (claimed["intake"], claimed["alone"]) == (first, True)
        second = await received(client, globex, 1)
        claimed = await client.intake_claim(both, release=first)
        assert claimed is not None
        assert (claimed["intake"], claimed["alone"]) == (second, False)
        held = await client.intake_claim(both)
        assert held is not None
        assert (held["intake"], held["alone"]) == (first, True)  # the other one is held already

    with_client(standing, main)


def test_parts_come_in_order_and_a_stopped_run_goes_on_where_it_was(standing: Recorder) -> None:
    acme = enrolled(standing)

    async def main(client: RecorderClient) -> None:
        run, key, digest = os.urandom(16), Idempotency(uuid7(), bytes(32)), os.urandom(32)
        for _ in range(2):  # the same again changes nothing
            await client.intake_create(*acme, run, "voucher", "issue", 10, b"request", key)
        for _ in range(2):
            assert (await client.intake_part(*acme, run, 0, 4, digest)).first_index == 4
        for start, length in ((0, 5), (5, 5)):
            with pytest.raises(errors.IntakeMoved):
                await client.intake_part(*acme, run, start, length, digest)
        with pytest.raises(BadRequest):
            await client.intake_part(*acme, run, 4, 7, digest)
        assert await client.intake_ask(*acme, run, "stopped") == "stopped"
        with pytest.raises(errors.IntakeMoved):
            await client.intake_part(*acme, run, 4, 6, digest)
        assert await client.intake_claim([acme.tenant]) is None
        assert await client.intake_ask(*acme, run, "running") == "receiving"
        await client.intake_part(*acme, run, 4, 6, digest)
        claimed = await client.intake_claim([acme.tenant])
        assert claimed is not None
        assert (claimed["intake"], claimed["parts"]) == (run, [[0, 4, digest], [4, 6, digest]])
        assert await client.intake_claim([acme.tenant]) is None  # it is held
        await client.intake_move(acme.tenant, run, "received", "reading", cursor=b"1")
        with pytest.raises(errors.IntakeMoved):  # somebody else was there first
            await client.intake_move(acme.tenant, run, "reading", "reading", at=b"0", cursor=b"2")
        with pytest.raises(BadRequest):
            await client.intake_move(acme.tenant, run, "reading", "done", at=b"1")
        assert await client.intake_move(acme.tenant, run, "reading", "failed", fault=b"why") == "failed"
        claimed = await client.intake_claim([acme.tenant], release=run)
        assert claimed is not None
        assert claimed["state"] == "failed"
        await client.intake_move(acme.tenant, run, "failed", "failed")
        assert await client.intake_claim([acme.tenant], release=run) is None
        with pytest.raises(errors.IntakeMoved):
            await client.intake_ask(*acme, run, "running")

    with_client(standing, main)


def test_an_application_has_so_many_unfinished_runs(standing: Recorder) -> None:
    acme = enrolled(standing)

    async def main(client: RecorderClient) -> None:
        for _ in range(UNFINISHED_LIMIT):
            key = Idempotency(uuid7(), bytes(32))
            await client.intake_create(*acme, os.urandom(16), "voucher", "issue", 10, b"", key)
        key = Idempotency(uuid7(), bytes(32))
        with pytest.raises(errors.Busy):
            await client.intake_create(*acme, os.urandom(16), "voucher", "issue", 10, b"", key)

    with_client(standing, main)


def test_files_of_unfinished_runs_have_a_bound_for_a_tenant(standing: Recorder) -> None:
    acme, globex = enrolled(standing), enrolled(standing)

    async def main(client: RecorderClient) -> None:
        async def create(who: Who, size: int) -> bytes:
            run, key = os.urandom(16), Idempotency(uuid7(), bytes(32))
            await client.intake_create(*who, run, "voucher", "issue", size, b"request", key)
            return run

        first = await create(acme, UNFINISHED_BYTES - 10)
        await create(acme, 10)
        with pytest.raises(errors.Busy):
            await create(acme, 1)
        await create(globex, 1)
        await client.intake_ask(*acme, first, "stopped")  # its parts still stand
        with pytest.raises(errors.Busy):
            await create(acme, 1)

    with_client(standing, main)


def test_a_run_that_nobody_carries_on_ends_and_its_file_is_swept(standing: Recorder, tmp_path: Path) -> None:
    acme, documents = enrolled(standing), Documents(tmp_path)

    async def main(client: RecorderClient) -> None:
        run, key = os.urandom(16), Idempotency(uuid7(), bytes(32))
        await client.intake_create(*acme, run, "voucher", "issue", 10, b"request", key)
        kept, unnamed = documents.put(b"part"), documents.put(b"of nobody")
        await client.intake_part(*acme, run, 0, 4, kept)
        for digest in (kept, unnamed):
            os.utime(documents.path(digest), (0, 0))
        assert await sweep(documents, client) == 1
        assert (kept in documents, unnamed in documents) == (True, False)

    with_client(standing, main)
    connection = schema.open_writer(tmp_path / "records")
    connection.execute("PRAGMA foreign_keys = off")
    now = 10
    for number, state in enumerate(("receiving", "stopped", "running", "receiving")):
        intakes.add_intake(connection, bytes([number]) * 16, 1, 1, "voucher", "issue", False, now, 10, b"")
        row = intakes.find_intake(connection, bytes([number]) * 16)
        assert row is not None
        intakes.write_intake(connection, row._replace(state=state, changed=5 if number < 3 else 7))
    intakes.end_unfinished(connection, 6, now)
    found = [intakes.find_intake(connection, bytes([number]) * 16) for number in range(4)]
    assert [(one.state, one.finished, one.work) for one in found if one] == [
        ("failed", now, 1), ("failed", now, 1), ("running", None, 0), ("receiving", None, 0),
    ]  # fmt: skip
    assert intakes.sum_sizes(connection, 1) == 40  # until a worker swept them
