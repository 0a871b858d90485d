"""Every rule of letters' effects, at a writer in this process: what is refused, as what, and that nothing is left."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from appliance.errors import BadRequest, CinnabarError, NotFound
from appliance.recorder import errors
from appliance.recorder.messages import Committed, Effect, LetterStands, LetterStep, Refused, Tally
from appliance.recorder.messages import ValueMove as Move
from appliance.recorder.writer import WriterFailed
from appliance.store import letters
from appliance.store.segments import export_segment, read_segment
from firmware_tests.recorder.letters import Bench, check_letters, claim, event, head, step
from firmware_tests.recorder.running import entry

ONE, TWO, NEW, ALIEN = (bytes([n]) * 16 for n in (1, 2, 3, 4))
BIG = 2**63 - 1


@pytest.fixture
def ground(bench: Bench) -> Bench:
    """Letter ONE with 500 and a use of KEY, TWO with 20, both of acme; ALIEN of globex."""
    bench.must(step(ONE, 1), Move(b"", ONE, 500), claim(ONE), claim(ONE, 60, 100, key=b"b" * 32), Tally("month", 7, 9))
    bench.must(step(TWO, 1), Move(b"", TWO, 20))
    bench.must(step(ALIEN, 1), tenant="globex")
    return bench


REFUSED: dict[str, tuple[type[CinnabarError], list[Effect]]] = {
    "an event after one that is no longer the newest": (errors.HeadMoved, [step(ONE, 1)]),
    "an event that skips one": (errors.HeadMoved, [step(ONE, 3)]),
    "a number that the letter does not have": (
        BadRequest,
        [LetterStep(ONE, head(ONE, 1), head(ONE, 2), 3, 0, "voucher", "open", b"")],
    ),
    "an event of nobody's letter": (NotFound, [step(NEW, 2)]),
    "an event of another tenant's letter": (NotFound, [step(ALIEN, 2)]),
    "more than the balance": (errors.ValueExceeded, [step(ONE, 2), step(NEW, 1), Move(ONE, NEW, 501)]),
    "more than the balance in two": (
        errors.ValueExceeded,
        [step(ONE, 2), step(NEW, 1), Move(ONE, NEW, 400), Move(ONE, b"", 101)],
    ),
    "more than a balance can be": (BadRequest, [step(ONE, 2), Move(b"", ONE, BIG)]),
    "value of a letter that has no event": (BadRequest, [step(NEW, 1), Move(ONE, NEW, 1)]),
    "value to a letter that has no event": (BadRequest, [step(ONE, 2), Move(ONE, TWO, 1)]),
    "value from nowhere to nowhere": (BadRequest, [step(ONE, 2), Move(b"", b"", 1)]),
    "value to itself": (BadRequest, [step(ONE, 2), Move(ONE, ONE, 1)]),
    "what is used once, again": (errors.Taken, [step(TWO, 2), claim(TWO)]),
    "what is used once, again by the same letter": (errors.Taken, [step(ONE, 2), claim(ONE)]),
    "two of what is there once": (errors.Taken, [step(TWO, 2), claim(TWO, 2, key=b"c" * 32)]),
    "more than is left": (errors.Taken, [step(TWO, 2), claim(TWO, 41, 100, key=b"b" * 32)]),
    "another capacity": (errors.Taken, [step(TWO, 2), claim(TWO, 1, 101, key=b"b" * 32)]),
    "more given back than used": (errors.ValueExceeded, [step(ONE, 2), claim(ONE, -61, 100, key=b"b" * 32)]),
    "given back what another letter uses": (errors.ValueExceeded, [step(TWO, 2), claim(TWO, -1)]),
    "given back what nobody uses": (errors.ValueExceeded, [step(TWO, 2), claim(TWO, -1, key=b"d" * 32)]),
    "a claim of nothing": (BadRequest, [step(TWO, 2), claim(TWO, 0)]),
    "a claim beyond integers": (BadRequest, [step(TWO, 2), claim(TWO, 2**63, key=b"d" * 32)]),
    "a claim of a letter without an event": (BadRequest, [step(TWO, 2), claim(ONE, key=b"d" * 32)]),
    "a scope that is none": (BadRequest, [step(TWO, 2), claim(TWO, scope="federation")]),
    "a short key": (BadRequest, [step(TWO, 2), claim(TWO, key=b"d" * 31)]),
    "above a quota": (errors.TallyExceeded, [step(TWO, 2), Tally("month", 3, 9)]),
    "above a quota in two": (errors.TallyExceeded, [step(TWO, 2), Tally("month", 1, 9), Tally("month", 2, 9)]),
    "above integers": (errors.TallyExceeded, [step(TWO, 2), Tally("month", BIG, None)]),
    "a tally without a name": (BadRequest, [step(TWO, 2), Tally("", 1, None)]),
    "a tally of half a character": (BadRequest, [step(TWO, 2), Tally("\ud800", 1, None)]),
    "another letter that has moved on": (errors.HeadMoved, [step(ONE, 2), LetterStands(TWO, head(TWO, 2))]),
    "another letter that is not there": (NotFound, [step(ONE, 2), LetterStands(ALIEN, head(ALIEN, 1))]),
    "an entry that is not there": (BadRequest, [step(ONE, 2, place=1)]),
    "a short id": (BadRequest, [step(b"1" * 15, 1)]),
    "a first event after another": (
        BadRequest,
        [LetterStep(NEW, head(NEW, 1), head(NEW, 2), 1, 0, "voucher", "open", b"")],
    ),
    "a state without a name": (BadRequest, [step(NEW, 1, state="")]),
    "a view too large": (BadRequest, [LetterStep(NEW, b"", head(NEW, 1), 1, 0, "voucher", "open", bytes(2**20 + 1))]),
    "too many effects": (BadRequest, [step(ONE, 2), *[Tally("x", 1, None)] * 20_000]),
    "an event that moves no letter": (BadRequest, [Tally("x", 1, None)]),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_says_why_and_leaves_no_trace(ground: Bench, what: str) -> None:
    error, effects = REFUSED[what]
    before = ground.everything()
    refused = ground.one(*effects)
    assert isinstance(refused, Refused)
    assert refused.code == error.code, refused.detail
    assert ground.everything() == before


@pytest.mark.parametrize("what", REFUSED)
def test_a_refused_command_does_nothing_to_those_beside_it(ground: Bench, what: str) -> None:
    # In one transaction with others of the same letters: they are answered as if it had not been there.
    _, effects = REFUSED[what]
    fine = [step(ONE, 2), Move(ONE, b"", 500), claim(ONE, -60, 100, key=b"b" * 32), Tally("month", 2, 9)]
    answers = ground.transact([("acme", effects), ("acme", fine)])
    assert isinstance(answers[0], Refused)
    assert isinstance(answers[1], Committed), answers
    assert ground.balance(ONE) == 0


def test_records_of_events_come_with_effects_and_effects_with_records_of_events(ground: Bench) -> None:
    assert isinstance(ground.append([event()], []), Refused)
    assert isinstance(ground.append([entry()], [step(ONE, 2)]), Refused)
    assert isinstance(ground.append([event(), event()], [step(ONE, 2)]), Refused)
    # An event may move several letters, a command hold several events, and count what has nothing to do with letters.
    several: list[Effect] = [step(ONE, 2), step(TWO, 2), step(ONE, 3, place=1)]
    assert isinstance(ground.append([event(), event(), entry()], several), Committed)
    assert isinstance(ground.append([entry()], [Tally("stamps", 1, None)]), Committed)


def test_those_of_one_transaction_see_each_other(ground: Bench) -> None:
    answers = ground.transact(
        [
            ("acme", [step(NEW, 1), step(ONE, 2), Move(ONE, NEW, 300)]),
            ("acme", [step(NEW, 2), Move(NEW, b"", 301)]),
            ("acme", [step(NEW, 2), Move(NEW, b"", 300), claim(NEW, scope="@f")]),
            ("globex", [step(ALIEN, 2), claim(ALIEN, scope="@f")]),
            ("acme", [step(NEW, 3), claim(NEW, -1, scope="@f")]),
            ("globex", [step(ALIEN, 2), claim(ALIEN, scope="@f")]),
            ("acme", [step(ONE, 2)]),
        ]
    )
    codes = [answer.code if isinstance(answer, Refused) else None for answer in answers]
    assert codes == [None, "value-exceeded", None, "taken", None, None, "head-moved"]
    assert (ground.balance(ONE), ground.balance(NEW)) == (200, 0)


def test_what_a_letter_uses_already_is_not_taken_again(ground: Bench) -> None:
    again = msgspec.structs.replace(claim(ONE), again=True)
    ground.must(step(ONE, 2), again)
    assert isinstance(ground.one(step(TWO, 2), msgspec.structs.replace(claim(TWO), again=True)), Refused)
    ground.must(step(ONE, 3), claim(ONE, -1))
    ground.must(step(TWO, 2), msgspec.structs.replace(claim(TWO), again=True))
    assert isinstance(ground.one(step(ONE, 4), again), Refused)


def test_what_is_given_back_may_be_claimed_with_another_capacity(ground: Bench) -> None:
    key = b"e" * 32
    ground.must(step(ONE, 2), claim(ONE, 5, 10, key=key))
    ground.must(step(TWO, 2), claim(TWO, 5, 10, key=key))
    ground.must(step(ONE, 3), claim(ONE, -5, 10, key=key))
    assert isinstance(ground.one(step(ONE, 4), claim(ONE, 1, 11, key=key)), Refused)
    ground.must(step(TWO, 3), claim(TWO, -5, 10, key=key))
    ground.must(step(ONE, 4), claim(ONE, 11, 11, key=key))


def test_a_tally_stops_at_zero_and_comes_down_from_above_its_quota(ground: Bench) -> None:
    ground.must(step(ONE, 2), Tally("month", 20, None))
    ground.must(step(ONE, 3), Tally("month", -1, 9))
    assert ground.tally("month") == 26
    ground.must(step(ONE, 4), Tally("month", -100, 9))
    assert ground.tally("month") == 0


def test_the_same_again_is_answered_and_not_applied(ground: Bench) -> None:
    entries = [event()]
    effects: list[Effect] = [
        step(ONE, 2),
        Move(ONE, b"", 100),
        claim(ONE, 10, 100, key=b"b" * 32),
        Tally("month", 1, 9),
    ]
    first = ground.append(entries, effects)
    assert isinstance(first, Committed)
    before = ground.everything()
    again = ground.append(entries, effects, careful=True)
    assert isinstance(again, Committed)
    assert again.first_index == first.first_index
    assert ground.everything() == before
    # Never taken as new without the mark either: the record is there.
    taken = ground.append(entries, [step(ONE, 3), Move(ONE, b"", 100)])
    assert isinstance(taken, Committed)
    assert ground.everything() == before


@pytest.mark.parametrize("table", ["letters", "letter_events", "claims", "claim_uses", "tallies"])
def test_a_transaction_that_fails_leaves_neither_records_nor_effects(
    ground: Bench, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {
        "letters": "move_letters", "letter_events": "add_events", "claims": "write_claims",
        "claim_uses": "write_uses", "tallies": "write_tallies",
    }  # fmt: skip
    written = getattr(letters, names[table])

    def fail(connection: sqlite3.Connection, *rows: object) -> None:
        written(connection, *rows)
        raise _failed()

    before = ground.everything()
    effects = [step(TWO, 2), Move(TWO, b"", 1), claim(TWO, 1, 100, key=b"b" * 32), Tally("month", 1, 9)]
    with monkeypatch.context() as patched:
        patched.setattr(letters, names[table], fail)
        with pytest.raises(WriterFailed):
            ground.one(*effects)
    assert ground.everything() == before
    ground.must(*effects)  # and the ground in memory has not moved either


def _failed() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR, "SQLITE_IOERR"
    return error


def test_a_letter_outlives_the_segment_of_its_first_event(ground: Bench, tmp_path: Path) -> None:
    writer = ground.writer
    writer.seal_segment(writer.clock_us())
    ground.must(step(ONE, 2), Move(ONE, b"", 1))
    path, _ = export_segment(writer.connection, writer.ground.segments[0], tmp_path)
    assert [record.kind for record in read_segment(path)].count("letter") == 3
    assert ground.balance(ONE) == 499


def test_a_new_start_knows_what_the_last_one_left(ground: Bench, tmp_path: Path) -> None:
    ground.must(step(ONE, 2), claim(ONE, scope="@f"))
    ground.restart()
    ground.must(step(NEW, 1), claim(NEW, scope="@g"))
    assert isinstance(ground.one(step(NEW, 2), claim(NEW, scope="@f")), Refused)
    assert isinstance(ground.one(step(TWO, 2), claim(TWO, scope="@g")), Refused)
    check_letters(ground.writer.connection)


def test_long_chains_of_events_are_read_from_anywhere(bench: Bench) -> None:
    recorded: list[tuple[int, bytes]] = []
    number = 0
    for many in (63, 1, 1, 62, 2, 150):  # ends before, on and after an anchor, several in one transaction
        entries = [event() for _ in range(many)]
        assert isinstance(bench.append(entries, [step(ONE, number + n + 1, n) for n in range(many)]), Committed)
        recorded += [(number + n + 1, one.record_id) for n, one in enumerate(entries)]
        number += many
        standing = letters.find_letter(bench.writer.connection, 1, ONE)
        assert standing is not None
        for after in range(0, number + 2):
            for limit in (0, 1, 2, 63, 64, 65, 1000):
                read = letters.read_events(bench.writer.connection, standing, after, limit)
                assert read == recorded[after : after + limit]


def test_a_letter_begins_under_no_id_that_another_tenants_letter_has(ground: Bench) -> None:
    """A letter's id is its code on its page, by which anybody checks it (appliance.recorder.evidence_queries)."""
    answer = ground.one(step(ALIEN, 1))
    assert isinstance(answer, Refused)
