"""Letters' heads, value, claims and tallies at a running recorder: each rule, and that a refusal leaves no trace."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from appliance.errors import BadRequest, NotFound
from appliance.recorder import RecorderClient, errors, new_run_id
from appliance.recorder.messages import Idempotency, IntakeItem, Replayed, Tally, ValueMove
from appliance.store import copy
from firmware_tests.recorder.letters import (
    ACME,
    KEY,
    Who,
    applying,
    check_letters,
    claim,
    enrolled,
    event,
    head,
    letter_id,
    step,
    with_client,
)
from firmware_tests.recorder.running import CERTIFICATE, Recorder, entry, uuid7
from firmware_tests.recorder.test_faults import check_whole
from firmware_tests.recorder.test_intakes import item, received

ENROLLED = 2
"""Leaves of a tenant's log that enrolling its application and certificate leaves."""


@pytest.fixture
def acme(standing: Recorder) -> Who:
    return enrolled(standing)


@pytest.fixture
def globex(standing: Recorder) -> Who:
    return enrolled(standing)


def test_whoever_holds_a_code_finds_the_letter_at_tenants_that_show_theirs(
    standing: Recorder, acme: Who, globex: Who
) -> None:
    async def main(client: RecorderClient) -> None:
        one = letter_id()
        await applying(client, acme)(step(one, 1))
        both = [globex.tenant, acme.tenant]
        assert await client.query("letter_of_any", both, one) == [acme.tenant, b"view 1"]
        assert await client.query("letter_of_any", [globex.tenant], one) is None
        assert await client.query("letter_of_any", both, letter_id()) is None

    with_client(standing, main)


def test_a_letter_is_issued_moves_on_and_is_read(standing: Recorder, acme: Who, globex: Who) -> None:
    async def main(client: RecorderClient) -> None:
        apply = applying(client, acme)
        one = letter_id()
        first, second = event(), event()
        await apply(step(one, 1), ValueMove(b"", one, 500), Tally("issued", 500, 1000), entries=[first])
        await apply(step(one, 2, state="open"), entries=[second])
        shown = await client.query("letter", acme.tenant, one)
        assert (shown["head"], shown["number"], shown["kind"], shown["state"]) == (head(one, 2), 2, "voucher", "open")
        assert (shown["balance"], shown["view"]) == (500, b"view 2")
        assert shown["changed"] > 1_600_000_000_000_000
        assert await client.query("letter_events", acme.tenant, one) == [[1, first.record_id], [2, second.record_id]]
        assert [r[1][7] for r in await client.query("letter_records", acme.tenant, one)] == [first.body, second.body]
        assert await client.query("letter_counts", acme.tenant) == [["voucher", "open", 1]]
        assert await client.query("tallies", acme.tenant) == [["issued", 500]]
        with pytest.raises(NotFound) as foreign:
            await client.query("letter", globex.tenant, one)
        with pytest.raises(NotFound) as unknown:
            await client.query("letter", globex.tenant, letter_id())
        assert str(foreign.value) == str(unknown.value)

    with_client(standing, main)


def test_what_may_be_used_once_is_taken_once(standing: Recorder, acme: Who, globex: Who) -> None:
    async def main(client: RecorderClient) -> None:
        apply, other = applying(client, acme), applying(client, globex)
        one, two, three = letter_id(), letter_id(), letter_id()
        await apply(step(one, 1), claim(one), claim(one, scope="@invoices"))
        with pytest.raises(errors.Taken):
            await apply(step(two, 1), claim(two))
        await other(step(three, 1), claim(three))  # a tenant's own scope is its own
        with pytest.raises(errors.Taken):
            await other(step(three, 2), claim(three, scope="@invoices"))
        await apply(step(one, 2), claim(one, -1, scope="@invoices"))
        await other(step(three, 2), claim(three, scope="@invoices"))
        assert await client.query("claim_status", acme.tenant, "", KEY) == [1, 1]
        assert await client.query("claim_status", acme.tenant, "@invoices", KEY) == [1, 1]
        assert await client.query("claim_status", acme.tenant, "@others", KEY) == [0, 0]

    with_client(standing, main)


def test_heads_are_compared_and_swapped(standing: Recorder, acme: Who) -> None:
    async def main(client: RecorderClient) -> None:
        apply = applying(client, acme)
        one = letter_id()
        await apply(step(one, 1))
        with pytest.raises(errors.HeadMoved):
            await apply(step(one, 1))
        with pytest.raises(NotFound):
            await apply(step(letter_id(), 2))
        with pytest.raises(BadRequest):
            await apply(step(letter_id(), 1), ValueMove(b"", one, 1))

    with_client(standing, main)


def test_letters_are_listed_newest_first_and_counted(standing: Recorder, acme: Who, globex: Who) -> None:
    async def main(client: RecorderClient) -> None:
        apply, other = applying(client, acme), applying(client, globex)
        ids = [letter_id() for _ in range(7)]
        for place, one in enumerate(ids):
            await apply(step(one, 1, kind=("voucher", "bond")[place % 2], state=("open", "closed")[place % 3 == 0]))
            await other(step(letter_id(), 1))
        newest = ids[::-1]

        async def listed(*asked: object) -> list[bytes]:
            return [shown["letter"] for shown in await client.query("letter_page", acme.tenant, *asked)]

        assert await listed() == newest
        assert await listed(None, None, 3) == newest[:3]
        assert await listed(None, None, 3, newest[2]) == newest[3:6]
        assert await listed("voucher") == newest[::2]
        assert await listed("voucher", "closed") == [ids[6], ids[0]]
        assert await listed(None, "closed") == [ids[6], ids[3], ids[0]]
        assert await listed("nothing") == []
        await apply(step(ids[0], 2, state="open"))
        assert await client.query("letter_counts", acme.tenant) == [
            ["bond", "closed", 1], ["bond", "open", 2], ["voucher", "closed", 1], ["voucher", "open", 3],
        ]  # fmt: skip
        found = await client.query("letters", acme.tenant, [ids[3], letter_id(), ids[0]])
        assert [one and one["letter"] for one in found] == [ids[3], None, ids[0]]
        assert await client.query("letters", globex.tenant, ids) == [None] * 7
        # Another tenant's letter is no cursor: it would say how many there are of whom.
        for stranger in (letter_id(), ids[2]):
            with pytest.raises(NotFound, match="no such letter"):
                await client.query("letter_page", globex.tenant, None, None, 3, stranger)
        for name, *bad in (
            ("letter", acme.tenant, "text"),
            ("letters", acme.tenant, [1]),
            ("letter_page", acme.tenant, None, None, -1),
        ):
            with pytest.raises(BadRequest):
                await client.query(name, *bad)

    with_client(standing, main)


def test_tallies_are_read_by_prefix_and_page(standing: Recorder, acme: Who, globex: Who) -> None:
    async def main(client: RecorderClient) -> None:
        names = ["fees 2026-11", "fees 2026-12", "fees%", "费用"]
        for number, name in enumerate(names):
            await applying(client, acme)(step(letter_id(), 1), Tally(name, number + 1, None))
        tallies = [[name, number + 1] for number, name in enumerate(names)]
        assert await client.query("tallies", acme.tenant) == tallies
        assert await client.query("tallies", acme.tenant, "fees") == tallies[:3]
        assert await client.query("tallies", acme.tenant, "fees%") == tallies[2:3]
        assert await client.query("tallies", acme.tenant, "fees", names[0], 1) == tallies[1:2]
        assert await client.query("tallies", globex.tenant) == []

    with_client(standing, main)


def test_records_of_letters_come_a_mebibyte_at_a_time(standing: Recorder, acme: Who) -> None:
    async def main(client: RecorderClient) -> None:
        one = letter_id()
        for number in range(1, 6):
            await applying(client, acme)(step(one, number), entries=[event(bytes([number]) * 400_000)])
        shown = []
        after = 0
        pages = 0
        while page := await client.query("letter_records", acme.tenant, one, after):
            shown += [(number, record[7][0]) for number, record in page]
            after = page[-1][0]
            pages += 1
        assert shown == [(number, number) for number in range(1, 6)]
        assert pages == 3

    with_client(standing, main)


def test_bad_effects_are_refused_before_they_are_sent(standing: Recorder, acme: Who) -> None:
    # A frame that cannot be encoded, or that the recorder cannot decode, would take its neighbours with it.
    async def main(client: RecorderClient) -> None:
        one = letter_id()
        for bad in (Tally("x", 2**70, None), ValueMove(b"", one, 2**63), claim(one, 2**64), Tally("\udc00", 1, None)):
            neighbour = client.append(*acme, [entry()])
            with pytest.raises(BadRequest):
                client.append(*acme, [event()], effects=[step(one, 1), bad])
            await neighbour
        assert client.in_flight == 0

    with_client(standing, main)


def test_of_two_clients_that_race_one_wins(standing: Recorder, acme: Who) -> None:
    async def main(client: RecorderClient) -> None:
        rival = await RecorderClient.connect(standing.home.recorder_socket, new_run_id(), lambda: (0, {}))
        one = letter_id()
        both = [applying(client, acme), applying(rival, acme)]
        for number in range(1, 60):
            tried = await asyncio.gather(*(apply(step(one, number)) for apply in both), return_exceptions=True)
            assert sorted(type(answer).__name__ for answer in tried) == ["Committed", "HeadMoved"]
        used = 0
        for number in range(60):
            key = bytes([number]) * 32
            letters = [letter_id(), letter_id()]
            mine = [(apply, letter) for apply, letter in zip(both, letters, strict=True)]
            tried = await asyncio.gather(
                *(apply(step(letter, 1), claim(letter, 1, 1, "@banks", key)) for apply, letter in mine),
                return_exceptions=True,
            )
            assert sorted(type(answer).__name__ for answer in tried) == ["Committed", "Taken"]
            used += (await client.query("claim_status", acme.tenant, "@banks", key))[0]
            # Of the one that lost nothing is there: neither letter nor record.
            found = await client.query("letters", acme.tenant, letters)
            assert [one is None for one in found] == [isinstance(answer, errors.Taken) for answer in tried]
        assert used == 60
        assert await client.query("letter_counts", acme.tenant) == [["voucher", "issued", 61]]
        assert await client.query("tree_size", acme.tenant) == ENROLLED + 59 + 60
        await rival.close()

    with_client(standing, main)


def test_an_idempotency_key_answers_and_applies_nothing_again(standing: Recorder, acme: Who) -> None:
    async def main(client: RecorderClient) -> None:
        one, key = letter_id(), Idempotency(uuid7(), bytes(32))
        effects = [step(one, 1), ValueMove(b"", one, 5), Tally("x", 1, 1)]
        first = await client.append(*acme, [event()], key, effects=effects)
        again = await client.append(*acme, [event()], key, effects=effects)
        assert isinstance(again, Replayed)
        assert (first.first_index, again.entries[0].kind) == (again.first_index, "letter")
        assert (await client.query("letter", acme.tenant, one))["balance"] == 5

    with_client(standing, main)


def test_records_of_letters_are_signatures_of_their_tenant(standing: Recorder, acme: Who) -> None:
    async def main(client: RecorderClient) -> None:
        with standing.admin() as admin:
            admin.set_quota(acme.tenant, signatures=2, stamps=0)
        one = letter_id()
        await applying(client, acme)(step(one, 1))
        await applying(client, acme)(step(one, 2))
        with pytest.raises(errors.QuotaExceeded):
            await applying(client, acme)(step(one, 3), Tally("x", 1, None))
        assert (await client.query("quota", acme.tenant))["used"][:2] == [2, 0]
        assert await client.query("key_signatures", acme.tenant) == {"seal": 2}
        assert (await client.query("letter", acme.tenant, one))["number"] == 2
        assert await client.query("tallies", acme.tenant) == []

    with_client(standing, main)


def test_copies_and_archives_hold_letters(standing: Recorder, acme: Who, tmp_path: Path) -> None:
    one, first = letter_id(), event()

    async def main(client: RecorderClient) -> None:
        await applying(client, acme)(step(one, 1), ValueMove(b"", one, 5), claim(one), entries=[first])

    with_client(standing, main)
    copied = copy(standing.home, tmp_path / "copy")
    connection = sqlite3.connect(copied.database)
    check_letters(connection)
    assert connection.execute("SELECT balance FROM letters WHERE letter = ?", (one,)).fetchall() == [(5,)]
    assert connection.execute("SELECT count(*) > 0 FROM claims").fetchone() == (1,)
    connection.close()


LOADER = """
import asyncio, collections, json, os, random, sys, time
from pathlib import Path
from appliance.recorder import RecorderClient, errors, new_run_id
from appliance.recorder.messages import IntakeItem, Tally, ValueMove
from firmware_tests.recorder.letters import ACME, claim, event, step
from firmware_tests.recorder.running import CERTIFICATE
from firmware_tests.recorder.test_intakes import received

LETTERS = [bytes([n]) * 16 for n in range(16)]

async def main(path, seconds, number):
    client = await RecorderClient.connect(Path(path), new_run_id(), lambda: (0, {}), patience=60)
    came = collections.Counter()
    end = time.monotonic() + seconds

    def effects(source, target):
        moved = [step(LETTERS[n], shown["number"] + 1, place) for place, (n, shown) in enumerate((source, target))]
        moved.append(ValueMove(LETTERS[source[0]], LETTERS[target[0]], random.randint(1, 400)))
        uses = random.choice((1, 1, -1))
        moved.append(claim(LETTERS[source[0]], uses, 40, key=b"k" * 32))
        return [*moved, Tally("moves", 1, None), Tally("used", uses, None)]

    async def drawn():
        numbers = random.sample(range(16), 2)
        shown = await client.query("letters", "acme", [LETTERS[n] for n in numbers])
        return effects(*zip(numbers, shown))

    async def lane():
        while time.monotonic() < end:
            wanted = await drawn()
            try:
                await client.append("acme", "app", CERTIFICATE, [event(), event()], effects=wanted)
                came["moves"] += 1
            except (errors.HeadMoved, errors.ValueExceeded, errors.Taken) as refused:
                came[refused.code] += 1

    async def intake():
        run, decided = await received(client, ACME, 1 << 40), 0
        while time.monotonic() < end:
            rows = [
                IntakeItem(number, os.urandom(16), bytes(8), LETTERS[0], "", [event(), event()], await drawn())
                for number in range(decided + 1, decided + 4)
            ]
            answer = await client.intake_slice(run, decided, os.urandom(16), rows, b"", b"", CERTIFICATE, None)
            decided += len(rows)
            for status, _, code, _ in answer.rows:
                came[code if status else "moves"] += 1

    await asyncio.gather(*[lane() for _ in range(6)], intake(), intake())
    await client.close()
    json.dump(came, sys.stdout)

asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
"""


def test_kill_amid_transfers_and_batches_conserves_every_sum(recorder: Recorder) -> None:
    async def issue(client: RecorderClient) -> None:
        for number in range(16):
            one = bytes([number]) * 16
            await applying(client, ACME)(step(one, 1), ValueMove(b"", one, 1_000))

    with_client(recorder, issue)
    loaders = [
        subprocess.Popen(
            [sys.executable, "-c", LOADER, str(recorder.home.recorder_socket), "5", str(number)],
            stdout=subprocess.PIPE,
        )
        for number in range(2)
    ]
    for _ in range(4):
        time.sleep(0.7 + random.random() * 0.3)
        recorder.end(signal.SIGKILL)
        recorder.start()
    came: dict[str, int] = {}
    for loader in loaders:
        for what, count in json.loads(loader.communicate(timeout=90)[0]).items():
            came[what] = came.get(what, 0) + count
    assert [loader.returncode for loader in loaders] == [0, 0]
    assert recorder.end() == 0
    connection = check_whole(recorder)
    check_letters(connection)
    # The clients were patient: every move was answered, and those that were taken, and no others, are there, once.
    moves = came["moves"]
    assert moves > 100
    assert came["head-moved"] > 10
    assert connection.execute("SELECT sum(balance) FROM letters").fetchone() == (16_000,)
    assert connection.execute("SELECT sum(events) FROM letters").fetchone() == (16 + 2 * moves,)
    assert connection.execute("SELECT amount FROM tallies WHERE name = 'moves'").fetchone() == (moves,)
    used = connection.execute("SELECT coalesce(sum(used), 0) FROM claims").fetchone()
    assert used == connection.execute("SELECT amount FROM tallies WHERE name = 'used'").fetchone()
    for letter, events, stored in connection.execute("SELECT letter, events, head FROM letters").fetchall():
        assert stored == head(letter, events)
    connection.close()


def test_rows_whose_outcome_was_unknown_are_learnt_and_their_refusals_counted(recorder: Recorder) -> None:
    async def main() -> None:
        dropped: list[tuple[str, int]] = []
        client = await RecorderClient.connect(
            recorder.home.recorder_socket,
            new_run_id(),
            lambda: (0, {}),
            patience=0.5,
            on_dropped=lambda reason, count: dropped.append((reason, count)),
        )
        run = await received(client, ACME, 9)
        one, two = letter_id(), letter_id()
        rows = [
            item(2, os.urandom(16), claim(one), letter=one),
            IntakeItem(
                3, os.urandom(16), bytes(8), two, "", [event(), event()], [step(two, 1), step(two, 2, 1), claim(two)]
            ),
        ]
        assert recorder.process is not None
        recorder.process.send_signal(signal.SIGSTOP)
        slice_of_rows = client.intake_slice(run, 0, os.urandom(16), rows, b"", b"3", CERTIFICATE, None)
        sent = asyncio.ensure_future(slice_of_rows)
        await asyncio.sleep(0.05)
        recorder.end(signal.SIGKILL)
        with pytest.raises(errors.OutcomeUnknown):
            await sent
        recorder.start()
        for _ in range(400):
            if dropped:
                break
            await asyncio.sleep(0.02)
        assert dropped == [("taken", 2)]
        assert (await client.query("intake", "acme", run))["decided"] == 2
        assert [shown is None for shown in await client.query("letters", "acme", [one, two])] == [False, True]
        await client.close()

    asyncio.run(main())


def test_what_a_federation_is_asked_is_metered_whatever_it_answers(standing: Recorder, acme: Who, globex: Who) -> None:
    """A refusal tells something of the others: whoever tries values out leaves a count, and only his own."""

    async def main(client: RecorderClient) -> None:
        mine, theirs = applying(client, acme), applying(client, globex)
        await mine(step(one := letter_id(), 1), claim(one, scope="@shared"), entries=[event()])
        for _ in range(3):
            guess = letter_id()
            with pytest.raises(errors.Taken):
                await theirs(step(guess, 1), claim(guess, scope="@shared"), entries=[event()])
        own = letter_id()
        await theirs(step(own, 1), claim(own), entries=[event()])
        assert await client.query("tallies", acme.tenant) == [["@federation/shared/asked", 1]]
        assert await client.query("tallies", globex.tenant) == [
            ["@federation/shared/asked", 3], ["@federation/shared/refused", 3],
        ]  # fmt: skip

    with_client(standing, main)
