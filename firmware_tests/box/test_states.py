"""The table of states: what holds in each, and how causes add up."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.box.states import STATES, Cause, State, StatePage, StateReport, Work, decide, permits


def test_every_state_has_a_rule_and_tells_its_status() -> None:
    assert set(STATES) == set(State)
    assert all(permits(state, Work.STATUS) for state in State)


def test_only_two_states_sign() -> None:
    assert {state for state in State if permits(state, Work.SIGN)} == {State.OPERATIONAL, State.DEGRADED}


def test_a_tampered_box_reads_nothing_that_it_keeps() -> None:
    assert STATES[State.TAMPERED].allowed == {Work.STATUS, Work.VERIFY}


@given(st.sets(st.sampled_from(list(Cause))))
def test_the_gravest_cause_decides(causes: set[Cause]) -> None:
    state = decide(causes)
    assert state == max([cause.state for cause in causes], default=State.OPERATIONAL)
    assert all(state >= cause.state for cause in causes)


def test_the_page_is_read_by_others_and_starts_locked(tmp_path: Path) -> None:
    page = StatePage.create(tmp_path / "state")
    reader = StatePage.open(tmp_path / "state")
    assert reader.state() is State.LOCKED
    report = StateReport("read-only", {"disk-full": "12 bytes free"}, 1_790_000_000)
    page.write(report)
    assert reader.state() is State.READ_ONLY
    assert reader.report() == report
