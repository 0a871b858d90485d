"""The core of anchors: commitments, receipts, profiles, states, and what judging has in common."""

from __future__ import annotations

import base64
import enum
import hashlib
import itertools
import json
import sys
from types import ModuleType
from typing import Any

import msgspec
import pytest
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from appliance.anchors import (
    AnchorRefused,
    Judgement,
    Known,
    LedgerProfile,
    Reason,
    Receipt,
    Rule,
    State,
    Strength,
    canonical,
    check_transition,
    commitment_of,
    judge,
    judging,
    read_profile,
    read_receipt,
    write_profile,
    write_receipt,
)
from appliance.anchors.profile import PROFILE_BYTES
from appliance.anchors.receipt import RECEIPT_BYTES
from appliance.anchors.states import OPEN, TRANSITIONS, ImpossibleTransition
from appliance.log.checkpoint import Checkpoint, sign_checkpoint
from appliance.log.errors import MalformedNote
from appliance.log.note import VerifierKey

ORIGIN = "log.example/rehearsal/box"
HEAD = Checkpoint(ORIGIN, 7, hashlib.sha256(b"root").digest())


def signed(head: Checkpoint, key: Ed25519PrivateKey) -> bytes:
    verifier = VerifierKey(head.origin, key.public_key().public_bytes_raw())
    return sign_checkpoint(head, [(verifier, key.sign)])


NOTE = signed(HEAD, Ed25519PrivateKey.from_private_bytes(bytes(32)))


def receipt(proof: bytes = b'{"a":1}', note: bytes = NOTE, ledger: str = "chain", type: str = "made") -> Receipt:
    return Receipt(checkpoint=note.decode(), ledger=ledger, proof=msgspec.Raw(proof), type=type)


def test_a_commitment_is_the_digest_of_the_three_lines_whoever_signed_them() -> None:
    text = f"{ORIGIN}\n7\n{base64.b64encode(HEAD.root).decode()}\n".encode()
    assert commitment_of(NOTE) == hashlib.sha256(text).digest()
    other = signed(HEAD, Ed25519PrivateKey.from_private_bytes(bytes([1] * 32)))
    assert other != NOTE
    assert commitment_of(other) == commitment_of(NOTE)
    with pytest.raises(MalformedNote):
        commitment_of(text)


def test_a_receipt_is_read_as_it_was_written() -> None:
    encoded = write_receipt(receipt())
    assert encoded == rfc8785.dumps(msgspec.json.decode(encoded))
    assert write_receipt(read_receipt(encoded)) == encoded


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"checkpoint"', b'{ "checkpoint"'),
        (b'"ledger":"chain"', b'"ledger":"chain","ledger":"chain"'),
        (b'"ledger":"chain"', b'"ledger":"chain","more":1'),
        (b'"ledger":"chain"', b'"ledger":"cha\\u0069n"'),
        (b'"ledger":"chain"', b'"ledger":"../chain"'),
        (b"receipt/1", b"receipt/2"),
        (b'"proof":{"a":1}', b'"proof":[1]'),
        (b'"proof":{"a":1},', b""),
        (b'"type":"made"}', b'"type":"made"'),
        (b'"type":"made"}', b'"type":"made"} '),
    ],
)
def test_a_receipt_in_another_form_is_refused(before: bytes, after: bytes) -> None:
    encoded = write_receipt(receipt())
    assert encoded.count(before) == 1
    with pytest.raises(AnchorRefused) as refused:
        read_receipt(encoded.replace(before, after))
    assert refused.value.reason is Reason.MALFORMED


def test_a_receipt_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(AnchorRefused, match="at most"):
        read_receipt(b"[" * (RECEIPT_BYTES + 1))
    with pytest.raises(AnchorRefused) as refused:
        read_receipt(b"[" * RECEIPT_BYTES)
    assert refused.value.reason is Reason.MALFORMED


@given(st.binary(max_size=200))
def test_any_bytes_are_a_receipt_or_refused(data: bytes) -> None:
    with pytest.raises(AnchorRefused):
        read_receipt(data)


class _Anything(msgspec.Struct, frozen=True):
    text: str
    numbers: list[int]
    inner: dict[str, str]


_ASCII = st.text(st.characters(max_codepoint=0x7F))


@given(
    st.text(st.characters(exclude_categories=["Cs"])),
    st.lists(st.integers(0, canonical.LARGEST_NUMBER)),
    st.dictionaries(_ASCII, st.text(st.characters(exclude_categories=["Cs"]))),
)
def test_what_is_called_canonical_is_what_rfc_8785_says(text: str, numbers: list[int], inner: dict[str, str]) -> None:
    value = _Anything(text, numbers, inner)
    encoded = canonical.encode(value)
    assert encoded == rfc8785.dumps(msgspec.to_builtins(value))
    assert canonical.decode(encoded, _Anything, len(encoded)) == value


class _Rules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    blocks: int


PROFILE = LedgerProfile(name="chain", rules=msgspec.Raw(b'{"blocks":6}'), tolerance_s=30, type="made")
NOON_US = 1_800_000_000_000_000


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A type of ledger whose judge takes every proof, and keeps what it was asked."""
    asked: list[Any] = []

    def takes(proof: bytes, commitment: bytes, rules: _Rules, known: Known) -> Judgement:
        assert known.now_us
        asked.append((proof, commitment, rules))
        return Judgement(Strength.PROVEN, Rule.PROOF_OF_WORK, NOON_US, "block 9", tolerance_us=5, notes=("a",))

    module = ModuleType("appliance.anchors.made.judge")
    vars(module).update(Rules=_Rules, judge=takes)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(judging, "TYPES", (*judging.TYPES, "made"))
    return asked


def test_a_receipt_is_judged_by_its_type_and_the_time_has_both_tolerances(made: list[Any]) -> None:
    found = judge(receipt(), commitment_of(NOTE), PROFILE, now_us=NOON_US)
    assert made == [(b'{"a":1}', commitment_of(NOTE), _Rules(6))]
    assert (found.time_us, found.no_later_us) == (NOON_US, NOON_US + 30_000_005)
    assert (found.place, found.notes) == ("block 9", ("a",))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"type": "evm"}, Reason.OTHER_TYPE),
        ({"ledger": "other"}, Reason.OTHER_LEDGER),
        ({"note": signed(Checkpoint(ORIGIN, 8, HEAD.root), Ed25519PrivateKey.generate())}, Reason.OTHER_CHECKPOINT),
        ({"note": b"no note"}, Reason.MALFORMED),
    ],
)
def test_a_receipt_of_something_else_is_refused_with_its_reason(
    made: list[Any], changed: dict[str, Any], reason: enum.StrEnum
) -> None:
    with pytest.raises(AnchorRefused) as refused:
        judge(receipt(**changed), commitment_of(NOTE), PROFILE, now_us=NOON_US)
    assert refused.value.reason is reason
    assert made == []


def test_a_time_to_come_is_refused_beyond_the_tolerance(made: list[Any]) -> None:
    judge(receipt(), commitment_of(NOTE), PROFILE, now_us=NOON_US - 30_000_005)
    with pytest.raises(AnchorRefused) as refused:
        judge(receipt(), commitment_of(NOTE), PROFILE, now_us=NOON_US - 30_000_006)
    assert refused.value.reason is Reason.TIME_TO_COME


@pytest.mark.parametrize("rules", [b'{"blocks":6,"more":1}', b'{"blocks": 6}', b'{"blocks":"6"}', b"[]", b"{}"])
def test_rules_in_another_form_are_refused(made: list[Any], rules: bytes) -> None:
    profile = msgspec.structs.replace(PROFILE, rules=msgspec.Raw(rules))
    with pytest.raises(AnchorRefused) as refused:
        judge(receipt(), commitment_of(NOTE), profile, now_us=NOON_US)
    assert refused.value.reason is Reason.RULES_UNREADABLE


def test_a_type_without_a_judge_is_told() -> None:
    profile = msgspec.structs.replace(PROFILE, type="paper")
    with pytest.raises(AnchorRefused) as refused:
        judge(receipt(type="paper"), commitment_of(NOTE), profile, now_us=NOON_US)
    assert refused.value.reason is Reason.UNKNOWN_TYPE


def test_a_profile_that_a_person_wrote_is_read_in_any_spelling(made: list[Any]) -> None:
    encoded = write_profile(PROFILE)
    members = json.loads(encoded)
    for written in (
        encoded,
        encoded + b"\n",
        json.dumps(members, indent=2).encode(),
        json.dumps(dict(reversed(members.items()))).encode(),
    ):
        assert read_profile(written) == PROFILE
    judge(receipt(), commitment_of(NOTE), read_profile(json.dumps(members, indent=2).encode()), now_us=NOON_US)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b"30", b"-1", "tolerance_s"),
        (b"30", b"30.0", "30.0 is no whole number"),
        (b"30", b"NaN", "NaN is no whole number"),
        (b"30", b"1" + b"0" * 4000, "tolerance_s"),
        (b"30", b"1" * 5000, "not JSON"),
        (b'"made"', b'"../x"', "type"),
        (b'{"', b'{"name":"other","', "stands twice"),
        (b'{"blocks":6}', b'{"blocks":6,"blocks":7}', "stands twice"),
        (b"}", b"", "not JSON"),
        (b'"made"', b'"\\ud800"', "not JSON"),
        (b'"made"', b'"\xff"', "not JSON"),
        (b'{"blocks":6}', b"[" * 100_000, "not JSON"),
        (b'{"', b'\xef\xbb\xbf{"', "BOM"),
    ],
)
def test_a_profile_that_says_something_else_is_refused_and_told_why(before: bytes, after: bytes, told: str) -> None:
    encoded = write_profile(PROFILE)
    assert before in encoded
    with pytest.raises(AnchorRefused, match=told) as refused:
        read_profile(encoded.replace(before, after, 1))
    assert refused.value.reason is Reason.RULES_UNREADABLE


@pytest.mark.parametrize("written", [b"", b"{}", b"null", b" " * (PROFILE_BYTES + 1)])
def test_what_is_no_profile_is_refused(written: bytes) -> None:
    with pytest.raises(AnchorRefused) as refused:
        read_profile(written)
    assert refused.value.reason is Reason.RULES_UNREADABLE


def test_states_follow_each_other_by_the_table_and_by_nothing_else() -> None:
    for before, after in itertools.product((None, *State), (None, *State)):
        if before is after or after in TRANSITIONS[before]:
            check_transition(before, after)
        else:
            with pytest.raises(ImpossibleTransition):
                check_transition(before, after)
    assert {state for state, following in TRANSITIONS.items() if not following} == {State.FINAL, State.SUPERSEDED}
    assert set(TRANSITIONS) == {None, *State}
    assert not OPEN & {State.FINAL, State.SUPERSEDED, State.FAILED}


@given(st.lists(st.sampled_from(list(State))))
def test_whatever_is_tried_an_anchor_that_ended_stays_so(tried: list[State]) -> None:
    state: State | None = None
    for after in tried:
        before = state
        try:
            check_transition(state, after)
        except ImpossibleTransition:
            continue
        state = after
        if before in (State.FINAL, State.SUPERSEDED):
            assert state is before
