"""The outbox by itself: one anchor a head, what is due follows the newest head, and what a later final one covers."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.anchorer.ledger import Progress
from appliance.anchorer.outbox import STEPS_KEPT, Anchor, Outbox
from appliance.anchorer.process import AnchorerRunning, _alone
from appliance.anchorer.schedule import AFTER_FAILURE_S, MOST_OPEN, why_due
from appliance.anchors import Judgement, Rule, State, Strength
from appliance.anchors.states import OPEN, TRANSITIONS, ImpossibleTransition
from appliance.box.home import Home
from appliance.errors import NotFound
from firmware_tests.anchorer import made
from firmware_tests.anchorer.made import head, receipt

PROVEN = Judgement(Strength.PROVEN, Rule.PROOF_OF_WORK, made.TIME_US, "block 9", tolerance_us=10)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite")


def _go(outbox: Outbox, anchor: Anchor, *states: State | None, at: int = 100) -> Anchor:
    for state in states:
        final = state is State.FINAL
        progress = Progress(state, f"now {state}", b"memory", 0, receipt(anchor.work()) if final else None)
        outbox.store(anchor, progress, at, PROVEN if final else None)
        anchor = outbox.anchor(anchor.ledger, anchor.number)
    return anchor


def test_what_is_due_follows_the_newest_head_until_something_was_made_of_it(outbox: Outbox) -> None:
    first = outbox.make_due("made", head(5), "because", 1)
    assert (first.number, first.state, first.size) == (1, None, 5)
    again = outbox.make_due("made", head(9), "because", 2)
    assert (again.number, again.size, again.due_us) == (1, 9, 2)
    _go(outbox, again, None)
    assert outbox.anchor("made", 1).memory == b"memory"
    assert outbox.make_due("made", head(12), "because", 3).number == 2
    assert [one.size for one in outbox.open_anchors("made")] == [9, 12]


def test_a_head_has_one_anchor_a_ledger_whatever_became_of_it(outbox: Outbox) -> None:
    first = _go(outbox, outbox.make_due("made", head(5), "because", 1), State.FAILED)
    assert outbox.make_due("made", head(5), "again", 2) == first
    assert outbox.make_due("other", head(5), "because", 2).number == 1


def test_a_final_anchor_supersedes_what_came_before_it_and_nothing_later(outbox: Outbox) -> None:
    failed = _go(outbox, outbox.make_due("made", head(1), "c", 1), State.SUBMITTED, State.FAILED)
    final = _go(outbox, outbox.make_due("made", head(2), "c", 1), State.SUBMITTED, State.FINAL)
    assert outbox.anchor("made", failed.number).superseded_by == final.number
    mined = _go(outbox, outbox.make_due("made", head(3), "c", 1), State.SUBMITTED, State.MINED)
    signed = _go(outbox, outbox.make_due("made", head(4), "c", 1), None)
    middle = _go(outbox, outbox.make_due("made", head(5), "c", 1), State.SUBMITTED)
    later = outbox.make_due("made", head(6), "c", 1)
    other = outbox.make_due("other", head(1), "c", 1)
    _go(outbox, middle, State.FINAL, at=200)
    for covered in (mined, signed):
        now = outbox.anchor("made", covered.number)
        assert (now.state, now.superseded_by, now.since_us) == (State.SUPERSEDED, middle.number, 200)
        assert [step.state for step in outbox.steps("made", covered.number)][-1] is State.SUPERSEDED
    assert outbox.anchor("made", final.number).state is State.FINAL
    assert outbox.anchor("made", later.number).state is None
    assert outbox.anchor("other", other.number).state is None
    assert outbox.covering("made", 2) == outbox.anchor("made", final.number)
    assert outbox.covering("made", 3) == outbox.anchor("made", middle.number)
    assert outbox.covering("made", 6) is None


def test_each_state_stands_with_its_time_and_cause_and_survives(outbox: Outbox, tmp_path: Path) -> None:
    anchor = outbox.make_due("made", head(5), "on request", 1)
    anchor = _go(outbox, anchor, State.SUBMITTED, at=10)
    anchor = _go(outbox, anchor, State.MINED, at=20)
    anchor = _go(outbox, anchor, State.SUBMITTED, at=30)  # a reorganisation
    anchor = _go(outbox, anchor, State.MINED, State.FINAL, at=40)
    outbox.close()
    reopened = Outbox(tmp_path / "outbox.sqlite")
    steps = reopened.steps("made", 1)
    assert [(step.state, step.time_us) for step in steps] == [
        ("submitted", 10), ("mined", 20), ("submitted", 30), ("mined", 40), ("final", 40),
    ]  # fmt: skip
    kept = reopened.anchor("made", 1)
    assert (kept.strength, kept.time_us, kept.no_later_us, kept.place) == (
        "proven", made.TIME_US, made.TIME_US + 10, "block 9",
    )  # fmt: skip
    assert b'"ledger":"made"' in reopened.receipt("made", 1)
    with pytest.raises(NotFound):
        reopened.receipt("made", 2)


def test_a_ledger_that_says_something_else_each_time_fills_no_disk(outbox: Outbox) -> None:
    """A node's words stand in causes, and a node can take a block back and give it again without end."""
    anchor = _go(outbox, outbox.make_due("made", head(5), "c", 1), State.SUBMITTED, at=10)
    for moment in range(20, 520):
        outbox.store(anchor, Progress(State.SUBMITTED, f"error {moment}", b"", 0), moment)
        anchor = outbox.anchor("made", 1)
    (step,) = outbox.steps("made", 1)
    assert (step.time_us, step.cause, anchor.cause, anchor.since_us) == (10, "error 519", "error 519", 10)
    for moment in range(600, 1_000, 2):
        anchor = _go(outbox, anchor, State.MINED, at=moment)
        anchor = _go(outbox, anchor, State.SUBMITTED, at=moment + 1)
    steps = outbox.steps("made", 1)
    assert len(steps) == STEPS_KEPT
    assert steps[0].time_us == 10
    assert [one.time_us for one in steps[1:]] == list(range(1_000 - STEPS_KEPT + 1, 1_000))
    anchor = _go(outbox, anchor, State.MINED, State.FINAL, at=2_000)
    assert [step.state for step in outbox.steps("made", 1)][-2:] == [State.MINED, State.FINAL]


def test_two_anchorers_never_work_with_one_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.anchorer_socket.parent.mkdir(parents=True)
    with _alone(home), pytest.raises(AnchorerRunning), _alone(home):
        raise AssertionError
    with _alone(home):
        pass


def test_an_impossible_step_leaves_everything_as_it_was(outbox: Outbox) -> None:
    anchor = _go(outbox, outbox.make_due("made", head(5), "c", 1), State.SUBMITTED, State.FAILED)
    for state in (None, State.MINED, State.FINAL, State.SUBMITTED):
        with pytest.raises(ImpossibleTransition):
            _go(outbox, anchor, state)
    assert outbox.anchor("made", 1) == anchor


def test_a_full_disk_loses_no_anchor_and_moves_none(outbox: Outbox) -> None:
    anchor = _go(outbox, outbox.make_due("made", head(5), "c", 1), State.SUBMITTED)
    pages = outbox._connection.execute("PRAGMA page_count").fetchone()[0]
    outbox._connection.execute(f"PRAGMA max_page_count = {pages}")
    large = Progress(State.MINED, "mined", bytes(900_000), 0)
    with pytest.raises(sqlite3.OperationalError, match="full"):
        outbox.store(anchor, large, 200)
    assert outbox.anchor("made", 1) == anchor
    outbox._connection.execute("PRAGMA max_page_count = 100000")
    outbox.store(anchor, large, 200)
    assert outbox.anchor("made", 1).state is State.MINED


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from([None, *State])), max_size=25))
def test_whatever_happens_every_head_is_open_or_final_or_covered_or_waits_for_a_later_one(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, State | None]]
) -> None:
    outbox = Outbox(tmp_path_factory.mktemp("outbox") / "outbox.sqlite")
    size = 0
    for which, state in moves:
        known = outbox.anchors("made", None, 100)
        if which >= len(known):
            size += 1
            outbox.make_due("made", head(size), "c", 1)
            continue
        anchor = known[which]
        if state is not State.SUPERSEDED and (state in TRANSITIONS[anchor.state]):
            _go(outbox, anchor, state)
    found = {one.number: one for one in outbox.anchors("made", None, 100)}
    for number, anchor in found.items():
        if anchor.state is State.SUPERSEDED:
            assert anchor.superseded_by is not None
            cover = found[anchor.superseded_by]
            assert cover.state is State.FINAL
            assert cover.size >= anchor.size
            assert cover.number > number
        elif anchor.state in OPEN or anchor.state is State.FAILED:
            assert not any(one.state is State.FINAL for one in found.values() if one.number > number)
    outbox.close()


def test_when_an_anchor_is_due(outbox: Outbox) -> None:
    plain = made.settings(interval_s=600)
    second = 1_000_000

    def why(size: int, newest: Anchor | None, now_s: int, **more: object) -> str | None:
        records = int(str(more.pop("records", 0)))
        asked = {"requested": False, "open_count": 0, "settings": plain, **more}
        return why_due(head(size, records), newest, now_us=now_s * second, **asked)  # type: ignore[arg-type]

    assert why(5, None, 0) == "the first on this ledger"
    newest = outbox.make_due("made", head(5, 100), "c", 1_000 * second)
    assert why(5, newest, 9_000, requested=True) is None, "nothing is new"
    assert why(6, newest, 1_599) is None
    assert why(6, newest, 1_600) == "600 s after the one before"
    assert why(6, newest, 1_001, requested=True) == "on request"
    assert why(6, newest, 300) == "600 s after the one before", "a clock that was set back"
    assert why(6, newest, 9_000, open_count=MOST_OPEN) is None
    counting = made.settings(interval_s=600, records=50)
    assert why(6, newest, 1_001, settings=counting, records=149) is None
    assert why(6, newest, 1_001, settings=counting, records=150) == "50 new records"
    failed = _go(outbox, newest, State.FAILED, at=1_000 * second)
    assert why(6, failed, 1_000 + AFTER_FAILURE_S - 1) is None
    assert why(6, failed, 1_000 + AFTER_FAILURE_S) == "anchor 1 failed"
