"""Candidates: the link gives one, the console's code confirms one, neither gives power."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.errors import Conflict, NotFound
from appliance.keymaster.errors import CodeRefused, TooManyProposals
from appliance.keymaster.journal import Journal
from appliance.keymaster.officers.candidates import (
    ATTEMPTS,
    CODE_S,
    INVITATION_S,
    KEPT_FOR_CONSOLE,
    MOST,
    MOST_OF_ONE,
    Candidates,
)
from firmware_tests.officers import SoftwareOfficer

ANN = SoftwareOfficer("ann")


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def candidates(tmp_path: Path, clock: Clock) -> Iterator[Candidates]:
    journal = Journal(tmp_path / "keymaster.sqlite")
    yield Candidates(journal, clock)
    journal.close()


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 10**8:08}"


def test_from_link_to_confirmation(candidates: Candidates) -> None:
    link = candidates.invite("ann", "Ann 安")
    assert candidates.invitation(link).name == "Ann 安"
    made = candidates.register(link, ANN.credential())
    assert (made.state, made.person, len(made.words.split())) == ("waiting", "ann", 24)
    assert not candidates.is_confirmed("ann", ANN.credential())
    code = candidates.show_code(made.id)
    assert len(code) == 8
    assert candidates.confirm(made.id, f"{code[:4]} {code[4:]}").state == "confirmed"
    assert candidates.is_confirmed("ann", ANN.credential())
    assert not candidates.is_confirmed("bo", ANN.credential())
    assert not candidates.is_confirmed("ann", ANN.credential(backup_eligible=True))
    with pytest.raises(CodeRefused):
        candidates.confirm(made.id, code)


def test_a_link_is_good_once_and_for_a_week(candidates: Candidates, clock: Clock) -> None:
    link, late = candidates.invite("ann", "Ann"), candidates.invite("bo", "Bo")
    candidates.register(link, ANN.credential())
    clock.now += INVITATION_S + 1
    for code in (link, late, "", "0" * 32, link.upper()):
        with pytest.raises(CodeRefused):
            candidates.register(code, SoftwareOfficer("bo").credential())
    with pytest.raises(Conflict):
        candidates.register(candidates.invite("bo", "Bo"), ANN.credential())


def test_a_code_is_guessed_five_times_at_most(candidates: Candidates) -> None:
    made = candidates.register(candidates.invite("ann", "Ann"), ANN.credential())
    with pytest.raises(CodeRefused):
        candidates.confirm(made.id, "00000000")
    code = candidates.show_code(made.id)
    for _ in range(ATTEMPTS):
        with pytest.raises(CodeRefused):
            candidates.confirm(made.id, wrong(code))
    with pytest.raises(CodeRefused):
        candidates.confirm(made.id, code)
    assert candidates.confirm(made.id, candidates.show_code(made.id)).state == "confirmed"


def test_a_code_ends_after_ten_minutes_and_with_the_next(candidates: Candidates, clock: Clock) -> None:
    made = candidates.register(candidates.invite("ann", "Ann"), ANN.credential())
    first, second = candidates.show_code(made.id), candidates.show_code(made.id)
    if first != second:
        with pytest.raises(CodeRefused):
            candidates.confirm(made.id, first)
    clock.now += CODE_S + 1
    with pytest.raises(CodeRefused):
        candidates.confirm(made.id, second)


def test_a_code_confirms_only_the_candidate_it_was_shown_for(candidates: Candidates) -> None:
    one = candidates.register(candidates.invite("ann", "Ann"), ANN.credential())
    other = candidates.register(candidates.invite("ann", "Ann"), SoftwareOfficer("ann").credential())
    code = candidates.show_code(one.id)
    candidates.show_code(other.id)
    with pytest.raises(CodeRefused):
        candidates.confirm(other.id, code)
    candidates.discard(other.id)
    with pytest.raises(NotFound):
        candidates.confirm(other.id, code)


def test_invitations_are_bounded_and_names_held(candidates: Candidates) -> None:
    for person in ("", "Ann", "a" * 65, "ann/bo", "-ann"):
        with pytest.raises(msgspec.ValidationError):
            candidates.invite(person, "Ann")
    for number in range(MOST - KEPT_FOR_CONSOLE):
        candidates.invite(f"p{number}", "Ann")
    with pytest.raises(TooManyProposals):
        candidates.invite("ann", "Ann")
    for number in range(KEPT_FOR_CONSOLE):
        candidates.invite(f"q{number}", "Ann", console=True)
    with pytest.raises(TooManyProposals):
        candidates.invite("ann", "Ann", console=True)


def test_nobody_takes_the_room_of_all_by_inviting_herself(candidates: Candidates, clock: Clock) -> None:
    """Whoever signs in, a reader too, has the keymaster invite her."""
    links = [candidates.invite("rita", "Rita") for _ in range(2 * MOST)]
    with pytest.raises(CodeRefused):
        candidates.invitation(links[0])  # a new link ends the one before
    candidates.register(links[-1], SoftwareOfficer("rita").credential())
    for _ in range(MOST_OF_ONE - 1):
        candidates.register(candidates.invite("rita", "Rita"), SoftwareOfficer("rita").credential())
    with pytest.raises(TooManyProposals):
        candidates.invite("rita", "Rita")
    candidates.invite("ann", "Ann")
    confirmed = candidates.register(candidates.invite("bo", "Bo"), ANN.credential())
    candidates.confirm(confirmed.id, candidates.show_code(confirmed.id))
    clock.now += INVITATION_S + 1
    candidates.invite("rita", "Rita")  # what waited for a week is gone; who was confirmed stays
    assert [one.person for one in candidates.all()] == ["bo"]


def test_neither_link_nor_code_stands_in_the_journal(candidates: Candidates, tmp_path: Path) -> None:
    link = candidates.invite("ann", "Ann")
    made = candidates.register(candidates.invite("ann", "Ann"), ANN.credential())
    code = candidates.show_code(made.id)
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert link.encode() not in written
    assert code.encode() not in written


def test_who_reads_the_journal_cannot_try_codes(candidates: Candidates, tmp_path: Path) -> None:
    """What is kept depends on a key in memory: another life, and whoever has the file alone, confirms by no code."""
    made = candidates.register(candidates.invite("ann", "Ann"), ANN.credential())
    code = candidates.show_code(made.id)
    another = Candidates(candidates._journal, candidates._clock_s)
    with pytest.raises(CodeRefused):
        another.confirm(made.id, code)
    plain = hashlib.sha256(b"cinnabar one-time code\0" + (code + made.id).encode()).digest()
    assert plain not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert another.confirm(made.id, another.show_code(made.id)).state == "confirmed"


def test_the_console_s_link_is_ended_by_the_console_only(candidates: Candidates) -> None:
    """A service that invites everybody again and again keeps nobody from becoming an officer."""
    code = candidates.invite("ann", "Ann", console=True)
    candidates.invite("ann", "Somebody else")
    assert candidates.invitation(code).name == "Ann"
    again = candidates.invite("ann", "Ann", console=True)
    assert candidates.invitation(again).name == "Ann"
    with pytest.raises(CodeRefused):
        candidates.invitation(code)
