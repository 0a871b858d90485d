"""The table of key states: what leads where, and what never comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.keymaster.keys.states import CHANGES, STATES, TRANSITIONS, Change, KeyState, KeyStateRefused, after


def test_every_state_is_reached_and_only_the_last_ends() -> None:
    assert set(TRANSITIONS.values()) | {"pre-active"} == set(STATES)
    assert {state for state, _ in TRANSITIONS} == set(STATES) - {"destroyed"}
    assert {change for _, change in TRANSITIONS} == set(CHANGES)


def test_only_activation_and_return_lead_to_use() -> None:
    into_use = {(state, change) for (state, change), to in TRANSITIONS.items() if to == "active"}
    assert into_use == {("pre-active", "activate"), ("suspended", "resume"), ("deactivated", "resume")}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("change", CHANGES)
def test_what_the_table_does_not_have_is_refused(state: KeyState, change: Change) -> None:
    if (state, change) in TRANSITIONS:
        assert after(state, change) == TRANSITIONS[state, change]
    else:
        with pytest.raises(KeyStateRefused):
            after(state, change)


@given(st.lists(st.sampled_from(CHANGES), max_size=12))
def test_a_compromised_key_never_signs_again(changes: list[Change]) -> None:
    state: KeyState = "pre-active"
    compromised = False
    for change in changes:
        try:
            state = after(state, change)
        except KeyStateRefused:
            continue
        compromised |= state == "compromised"
        assert not (compromised and state not in {"compromised", "destroyed"})
