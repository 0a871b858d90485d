"""Messages of partners: a nonce is taken once, with its record, over restarts, tenants, partners and transactions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.recorder import messages
from appliance.recorder.messages import Committed, Entry, MessageTaken, Refused
from appliance.recorder.partner_messages import LONGEST_US
from appliance.store.partner_messages import MessageRow, find_message
from firmware_tests.recorder.letters import CERTIFICATES, Bench, event, letter_id, step
from firmware_tests.recorder.running import entry

NONCE, DIGEST = bytes(32), bytes([1]) * 32
HOUR_US = 3_600_000_000


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.writer.close()


def answer_record() -> Entry:
    made = entry(key="seal")
    return Entry(made.record_id, "message", made.key, made.time, made.commitment, made.body)


def taken(bench: Bench, **changed: Any) -> MessageTaken:
    members = {"partner": "srm", "nonce": NONCE, "digest": DIGEST, "expires": bench.writer.clock_us() + HOUR_US}
    return MessageTaken(**(members | {"entry": 0} | changed))


def send(bench: Bench, *effects: messages.Effect, entries: list[Entry] | None = None, tenant: str = "acme") -> Any:
    records = entries if entries is not None else [answer_record()]
    command = messages.Append(1, tenant, "app", CERTIFICATES[tenant], records, effects=list(effects))
    return bench.writer.transact([(bench.run, command)])[0]


def rows(bench: Bench) -> list[Any]:
    return bench.writer.connection.execute("SELECT partner, nonce, record_id FROM partner_messages").fetchall()


def test_a_nonce_is_taken_once_and_remembered_with_its_record(bench: Bench) -> None:
    record = answer_record()
    assert isinstance(send(bench, taken(bench), entries=[record]), Committed)
    for again in (taken(bench), taken(bench, digest=bytes(32))):
        answer = send(bench, again)
        assert isinstance(answer, Refused)
        assert answer.code == "message-replayed"
    bench.restart()
    assert send(bench, taken(bench)).code == "message-replayed"
    (tenant,) = bench.writer.connection.execute("SELECT number FROM tenants WHERE name = 'acme'").fetchone()
    found = find_message(bench.writer.connection, tenant, "srm", NONCE)
    assert isinstance(found, MessageRow)
    assert (found.digest, found.record_id) == (DIGEST, record.record_id)
    assert len(rows(bench)) == 1


def test_nonces_are_each_partners_of_each_tenant(bench: Bench) -> None:
    assert isinstance(send(bench, taken(bench)), Committed)
    assert isinstance(send(bench, taken(bench, partner="factor")), Committed)
    assert isinstance(send(bench, taken(bench), tenant="globex"), Committed)
    assert len(rows(bench)) == 3


def test_what_a_message_causes_happens_with_it_or_not_at_all(bench: Bench) -> None:
    letter = letter_id()
    first = [event(), answer_record()]
    assert isinstance(send(bench, step(letter, 1), taken(bench, entry=1), entries=first), Committed)
    before = bench.everything()
    second = [event(), answer_record()]
    assert send(bench, step(letter, 2), taken(bench, entry=1), entries=second).code == "message-replayed"
    other = taken(bench, entry=1, nonce=DIGEST)
    assert send(bench, step(letter, 3), other, entries=[event(), answer_record()]).code == "head-moved"
    assert bench.everything() == before
    assert len(rows(bench)) == 1
    assert isinstance(send(bench, step(letter, 2), other, entries=[event(), answer_record()]), Committed)


def test_two_commands_of_one_transaction_do_not_both_take_a_nonce(bench: Bench) -> None:
    commands = [
        messages.Append(n, "acme", "app", CERTIFICATES["acme"], [answer_record()], effects=[taken(bench)])
        for n in range(2)
    ]
    answers = bench.writer.transact([(bench.run, command) for command in commands])
    assert [type(answer) for answer in answers] == [Committed, Refused]


def test_a_message_is_recorded_with_its_nonce_and_a_nonce_with_its_record(bench: Bench) -> None:
    now = bench.writer.clock_us()
    both = [taken(bench), taken(bench)]
    wrong: list[tuple[list[messages.Effect], list[Entry]]] = [
        ([], [answer_record()]),
        ([step(letter_id(), 1)], [event(), answer_record()]),
        ([taken(bench)], [event()]),
        ([taken(bench, entry=1)], [answer_record()]),
        ([*both], [answer_record()]),
        ([taken(bench), taken(bench, entry=1)], [answer_record(), answer_record()]),
        ([taken(bench, nonce=b"short")], [answer_record()]),
        ([taken(bench, partner="")], [answer_record()]),
        ([taken(bench, expires=now - 1)], [answer_record()]),
        ([taken(bench, expires=now + LONGEST_US + HOUR_US)], [answer_record()]),
    ]
    for effects, entries in wrong:
        answer = send(bench, *effects, entries=entries)
        assert isinstance(answer, Refused), effects
        assert answer.code == "bad-request"
    assert not rows(bench)


def test_what_has_expired_is_forgotten_as_others_come(bench: Bench) -> None:
    connection = bench.writer.connection
    for number in range(5):
        assert isinstance(send(bench, taken(bench, nonce=bytes([number]) * 32)), Committed)
    connection.execute("UPDATE partner_messages SET expires = number")
    for number in range(3):
        assert isinstance(send(bench, taken(bench, nonce=bytes([16 + number]) * 32)), Committed)
    left = sorted(row[1][0] for row in rows(bench))
    assert left == [16, 17, 18]
