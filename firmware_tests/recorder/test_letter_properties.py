"""Random commands over letters, tenants, claims and tallies, against a plain model of what they must come to."""

from __future__ import annotations

import copy
import hashlib
import itertools
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.errors import CinnabarError, NotFound
from appliance.recorder import errors
from appliance.recorder.messages import Append, Committed, Effect, LetterStands, LetterStep, Refused, Tally, ValueMove
from firmware_tests.recorder.letters import CERTIFICATES, Bench, check_letters, claim, event, head, step

TENANTS = ("acme", "globex")
LETTERS = 3
THINGS = ((6, ""), (1, ""), (6, "@banks"))
"""(capacity, scope) of what is claimed: one thing in each scope, sometimes with another capacity."""


@dataclass
class Model:
    """The same rules, as plainly as they can be said: one command at a time, on copies."""

    heads: dict[tuple[str, bytes], int] = field(default_factory=dict)
    balances: dict[tuple[str, bytes], int] = field(default_factory=dict)
    uses: dict[tuple[str, bytes], dict[tuple[str, bytes], int]] = field(default_factory=dict)
    capacities: dict[tuple[str, bytes], int] = field(default_factory=dict)
    tallies: dict[tuple[str, str], int] = field(default_factory=dict)
    issued: int = 0
    ended: int = 0

    def apply(self, tenant: str, effects: list[Effect]) -> type[CinnabarError] | None:
        """Why it is refused, or None; then it is done."""
        tried = copy.deepcopy(self)
        for effect in sorted(effects, key=lambda one: not isinstance(one, LetterStep | LetterStands)):
            refusal = tried._one(tenant, effect)
            if refusal is not None:
                return refusal
        self.__dict__.update(tried.__dict__)
        return None

    def _one(self, tenant: str, effect: Effect) -> type[CinnabarError] | None:
        if isinstance(effect, LetterStep):
            place = (tenant, effect.letter)
            if place not in self.heads and effect.before:
                return NotFound
            if place not in self.heads and any(letter == effect.letter for _, letter in self.heads):
                return errors.HeadMoved  # an id is one letter's on the whole box
            if effect.before != head(effect.letter, self.heads.get(place, 0)):
                return errors.HeadMoved
            self.heads[place] = self.heads.get(place, 0) + 1
            self.balances.setdefault(place, 0)
        elif isinstance(effect, LetterStands):
            if (tenant, effect.letter) not in self.heads:
                return NotFound
            if effect.head != head(effect.letter, self.heads[tenant, effect.letter]):
                return errors.HeadMoved
        elif isinstance(effect, ValueMove):
            if effect.source:
                if self.balances[tenant, effect.source] < effect.amount:
                    return errors.ValueExceeded
                self.balances[tenant, effect.source] -= effect.amount
            if effect.target:
                self.balances[tenant, effect.target] += effect.amount
            self.issued += 0 if effect.source else effect.amount
            self.ended += 0 if effect.target else effect.amount
        elif isinstance(effect, Tally):
            name = (tenant, effect.name)
            after = max(0, self.tallies.get(name, 0) + effect.amount)
            if effect.most is not None and effect.amount > 0 and after > effect.most:
                return errors.TallyExceeded
            self.tallies[name] = after
        else:
            thing = (effect.scope or tenant, effect.key)
            uses = self.uses.setdefault(thing, {})
            mine = uses.get((tenant, effect.letter), 0)
            if not sum(uses.values()):
                self.capacities[thing] = effect.capacity
            if effect.amount < 0:
                if mine + effect.amount < 0:
                    return errors.ValueExceeded
            elif (
                effect.capacity != self.capacities[thing] or sum(uses.values()) + effect.amount > self.capacities[thing]
            ):
                return errors.Taken
            uses[tenant, effect.letter] = mine + effect.amount
        return None


class Asking:
    """Asks at random, mostly for what may be had, of a few letters and things: so they meet often."""

    def __init__(self, seed: int, mark: bytes) -> None:
        self.random = random.Random(seed)
        self.mark = mark
        self.letters = letters_of(mark)
        self.key = hashlib.sha256(mark).digest()

    def effects(self, model: Model, tenant: str) -> list[Effect]:
        """One command's."""
        rare = self.random.random
        asked: list[Effect] = []
        numbers: dict[bytes, int] = {}
        for one in self.random.choices(self.letters, k=self.random.choice((1, 1, 2, 3))):
            off = self.random.choice((-1, 1)) if rare() < 0.03 else 0
            numbers[one] = max(1, numbers.get(one, model.heads.get((tenant, one), 0)) + 1 + off)
            asked.append(step(one, numbers[one], state=("open", "closed")[numbers[one] % 2]))
        own = [*numbers, b""]
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            source, target = self.random.choice(own), self.random.choice(own)
            if source != target:
                room = model.balances.get((tenant, source), 0) if source and rare() < 0.9 else 30
                asked.append(ValueMove(source, target, self.random.randint(0, room)))
        for _ in range(self.random.choice((0, 1, 1, 2, 3))):
            asked += self.claim(model, tenant, self.random.choice(own[:-1]))
        if rare() < 0.3:
            name = f"{self.mark.hex()} {self.random.randint(0, 1)}"
            asked.append(Tally(name, self.random.randint(-5, 5), self.random.choice((None, 6, 12))))
        for one in set(self.letters) - set(numbers):
            if rare() < 0.2:
                number = model.heads.get((tenant, one), 1) + (rare() < 0.1)
                asked.append(LetterStands(one, head(one, number)))
        return asked

    def claim(self, model: Model, tenant: str, letter: bytes) -> list[Effect]:
        capacity, scope = self.random.choice(THINGS)
        mine = model.uses.get((scope or tenant, self.key), {}).get((tenant, letter), 0)
        amount = self.random.choice((-mine, -mine, 1, 1, 2, 3) if mine and capacity > 1 else (-mine, 1))
        capacity += capacity > 1 and self.random.random() < 0.2
        return [claim(letter, amount, capacity, scope, self.key)] if amount else []


def letters_of(mark: bytes) -> list[bytes]:
    return [hashlib.sha256(mark + bytes([number])).digest()[:16] for number in range(LETTERS)]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("letters") / "records")
    yield made
    made.writer.close()


_examples = itertools.count()


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32), sizes=st.lists(st.integers(1, 12), min_size=4, max_size=12))
def test_any_commands_come_to_what_the_model_says(shared: Bench, seed: int, sizes: list[int]) -> None:
    # Its own letters and keys, among those of all examples before it.
    asking = Asking(seed, next(_examples).to_bytes(8, "big"))
    model = Model()
    for commands in sizes:
        work: list[Append] = []
        expected: list[str | None] = []
        for ticket in range(commands):
            tenant = asking.random.choice(TENANTS)
            effects = asking.effects(model, tenant)
            refusal = model.apply(tenant, effects)
            expected.append(None if refusal is None else refusal.code)
            work.append(Append(ticket, tenant, "app", CERTIFICATES[tenant], [event()], effects=effects))
        answers = shared.writer.transact([(shared.run, command) for command in work])
        assert [answer.code if isinstance(answer, Refused) else None for answer in answers] == expected
        # What was taken is found when it is sent again, and not done twice.
        taken = [command for command, answer in zip(work, answers, strict=True) if isinstance(answer, Committed)]
        again = shared.writer.transact([(shared.run, command) for command in taken], careful=True)
        assert again == [answer for answer in answers if isinstance(answer, Committed)]
        compare(shared.writer.connection, model, asking.mark)


def compare(connection: sqlite3.Connection, model: Model, mark: bytes) -> None:
    tenants = dict(connection.execute("SELECT number, name FROM tenants").fetchall())
    found = [
        row
        for one in letters_of(mark)
        for row in connection.execute(
            "SELECT number, tenant, letter, head, events, balance FROM letters WHERE letter = ?", (one,)
        ).fetchall()
    ]
    assert {(tenants[row[1]], row[2]): (row[3], row[4], row[5]) for row in found} == {
        place: (head(place[1], number), number, model.balances[place]) for place, number in model.heads.items()
    }
    assert sum(row[5] for row in found) == model.issued - model.ended
    owners = {row[0]: (tenants[row[1]], row[2]) for row in found}
    federations = {-n: name for n, name in connection.execute("SELECT number, name FROM federations").fetchall()}
    for (scope, key), uses in model.uses.items():
        number = {name: n for n, name in (tenants | federations).items()}.get(scope)
        row = connection.execute(
            "SELECT used, capacity, holder FROM claims WHERE scope = ? AND key = ?", (number, key)
        ).fetchone()
        if not sum(uses.values()):
            assert row is None
            continue
        assert row[:2] == (sum(uses.values()), model.capacities[scope, key])
        by_letter = connection.execute(
            "SELECT letter, used FROM claim_uses WHERE scope = ? AND key = ?", (number, key)
        ).fetchall()
        stored = {owners[n]: used for n, used in ([(row[2], row[0])] if row[2] else by_letter)}
        assert stored == {place: used for place, used in uses.items() if used}
    counted = connection.execute("SELECT tenant, name, amount FROM tallies WHERE name LIKE ?", (mark.hex() + " %",))
    assert {(tenants[t], name): amount for t, name, amount in counted} == model.tallies


def test_all_examples_left_a_whole_database(shared: Bench, tmp_path: Path) -> None:
    check_letters(shared.writer.connection)
