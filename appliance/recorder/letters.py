"""Letters inside a transaction (control ONCE): heads compared and swapped, value moved, claims and tallies counted.

The commands of one transaction see each other's effects through a `Book`, which lies over the tables. Each command is
judged on a `Draft` over the book: refused, the draft is dropped and nothing is left of it; accepted, the book takes it
in. The book is written with the transaction's records, so that both are on disk or neither (control RECORD).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from appliance.errors import BadRequest, CinnabarError, NotFound
from appliance.recorder import errors, letter_limits
from appliance.recorder.letter_draft import Draft, Letter, Place, Stock
from appliance.recorder.letter_limits import Amounts, Terms
from appliance.recorder.letter_shapes import MOST, check_effects
from appliance.recorder.letter_writing import Shelves, size_of, write_draft
from appliance.recorder.messages import (
    FEDERATION_TALLY,
    Billed,
    Claim,
    Effect,
    Entry,
    Find,
    LetterStands,
    LetterStep,
    Meter,
    Notice,
    Tally,
    ValueMove,
    question_tally,
)
from appliance.store import letters
from appliance.store.letters import ANCHORS

log = structlog.get_logger("recorder")


@dataclass
class LetterGround:
    """What outlives a transaction, moved forward by `Book.publish`."""

    next_number: int = 1
    next_event: int = 1
    shelves: Shelves = field(default_factory=dict)
    federations: dict[str, int] = field(default_factory=dict)
    terms: Terms = field(default_factory=Terms)

    @classmethod
    def read(cls, connection: sqlite3.Connection) -> LetterGround:
        return cls(
            letters.last_number(connection) + 1,
            letters.last_event(connection) + 1,
            letters.shelves(connection),
            letters.federations(connection),
            Terms.read(connection),
        )


class Book:
    """The letters of one transaction."""

    def __init__(self, connection: sqlite3.Connection, ground: LetterGround, now_us: int) -> None:
        self.connection = connection
        self.ground = ground
        self.now_us = now_us
        self._all = Draft()
        self._begun: set[bytes] = set()
        """Ids of letters that are new in this transaction, of all tenants."""
        self._shelves: Shelves = {}
        """New ones, once written."""

    # Judging

    def draft(self, tenant: int, entries: Sequence[Entry], effects: Sequence[Effect], application: str = "") -> Draft:
        """What the effects of a tenant's command come to, all of them. Nothing is changed. `application`: whose it is.

        Raises BadRequest, NotFound, HeadMoved, Taken, ValueExceeded, TallyExceeded, LimitNeedsApproval, IssuingStopped,
        BillMoved."""
        check_effects(entries, effects)
        draft = Draft()
        terms = self.ground.terms
        if terms.stopped or self._all.stops:
            letter_limits.check_issuing(lambda kind: self._stopped(tenant, kind), effects)
        rules = terms.rules.get(tenant)
        if rules is not None and rules.refusals:
            letter_limits.check_partner(rules, effects, self.now_us, lambda name: self._amount((tenant, name)))
        for effect in effects:
            if type(effect) is LetterStep:
                self._step(draft, tenant, effect, entries[effect.entry].record_id)
            elif type(effect) is LetterStands:
                self._stands(tenant, effect)
        for effect in effects:
            if type(effect) is ValueMove:
                self._value(draft, tenant, effect)
            elif type(effect) is Claim:
                self._claim(draft, tenant, effect)
                if effect.scope and effect.amount > 0:
                    self._asked(draft.tallies, tenant, effect.scope, "asked")
            elif type(effect) is Tally:
                self._tally(draft, tenant, effect)
            elif type(effect) is Meter:
                draft.meters.count(
                    self.connection, self._all.meters, terms.tariff(tenant, effect.at), tenant, application, effect
                )
            elif type(effect) is Find:
                draft.finds.add((tenant, effect.key, draft.letters[tenant, effect.letter].number))
            elif type(effect) is Billed:
                draft.meters.bill(self.connection, self._all.meters, tenant, effect)
        if rules is not None:
            self._limits(draft, tenant, [one for one in effects if type(one) is Tally])
        return draft

    def _step(self, draft: Draft, tenant: int, step: LetterStep, record_id: bytes) -> None:
        place = (tenant, step.letter)
        letter = draft.letters.get(place)
        if letter is None:
            begun = bool(step.before) or step.letter in self._begun or letters.is_begun(self.connection, step.letter)
            letter = self._letter(place) if begun else None
            if letter is None:
                if step.before:
                    raise NotFound("there is no such letter")
                if begun:
                    raise errors.HeadMoved("the letter has 1 events")  # as one's own: another tenant's is not told
                letter = Letter(self.ground.next_number + self._all.new + draft.new, b"", 0, 0, None)
                draft.new += 1
            draft.letters[place] = letter
        if letter.head != step.before:
            raise errors.HeadMoved(f"the letter has {letter.events} events")
        if letter.events + 1 != step.number:
            raise BadRequest(f"the letter has {letter.events} events, this is not number {step.number}")
        letter.head, letter.events = step.after, step.number
        letter.kind, letter.state, letter.view = step.kind, step.state, step.view
        letter.due, letter.automatic = step.due, step.automatic
        event = self.ground.next_event + len(self._all.events) + len(draft.events)
        draft.events.append((event, letter.number, step.number, letter.latest, letter.anchor, record_id))
        letter.latest = event
        if not step.number % ANCHORS:
            letter.anchor = event

    def _stands(self, tenant: int, one: LetterStands) -> None:
        letter = self._letter((tenant, one.letter))
        if letter is None:
            raise NotFound("there is no such letter")
        if letter.head != one.head:
            raise errors.HeadMoved("a letter that it depends on moved meanwhile")

    def _letter(self, place: Place) -> Letter | None:
        here = self._all.letters.get(place)
        if here is not None:
            return here.copy()
        found = letters.find_letter(self.connection, *place)
        return None if found is None else Letter(*found)

    def _value(self, draft: Draft, tenant: int, move: ValueMove) -> None:
        if move.source:
            source = draft.letters[tenant, move.source]
            if source.balance < move.amount:
                raise errors.ValueExceeded("the letter's balance is smaller")
            source.balance -= move.amount
        if move.target:
            target = draft.letters[tenant, move.target]
            if target.balance + move.amount > MOST:
                raise BadRequest("a letter's balance is at most 2^63 - 1")
            target.balance += move.amount

    def _claim(self, draft: Draft, tenant: int, claim: Claim) -> None:
        scope = self._scope(draft, claim.scope) if claim.scope else tenant
        letter, amount = draft.letters[tenant, claim.letter].number, claim.amount
        place = (scope, claim.key)
        stock = draft.stocks.get(place)
        if stock is None:
            stock = draft.stocks[place] = self._stock(place)
        mine = self._use(draft, place, stock, letter)
        if mine and claim.again:
            return
        if amount < 0:
            if mine + amount < 0:
                raise errors.ValueExceeded("the letter does not use so much of it")
        elif not stock.used:
            stock.capacity, stock.holder = claim.capacity, letter
        if amount > 0 and (claim.capacity != stock.capacity or stock.used + amount > stock.capacity):
            # Of what others use, and of how much there is, a refusal says nothing (control CHANNEL).
            raise errors.Taken("it is used, or not so much of it is left")
        stock.used += amount
        if stock.holder == letter:
            return
        if stock.holder:
            draft.uses[(*place, stock.holder)] = stock.used - amount
            stock.holder = 0
        draft.uses[(*place, letter)] = mine + amount

    def _scope(self, draft: Draft, name: str) -> int:
        """Federations have numbers below zero, tenants above."""
        known = self.ground.federations.get(name) or self._all.federations.get(name) or draft.federations.get(name)
        if known is None:
            known = 1 + len(self.ground.federations) + len(self._all.federations) + len(draft.federations)
            draft.federations[name] = known
        return -known

    def _stock(self, place: Place) -> Stock:
        here = self._all.stocks.get(place)
        if here is not None:
            return here.copy()
        found = letters.find_claim(self.connection, *place)
        return Stock() if found is None else Stock(*found)

    def _use(self, draft: Draft, place: Place, stock: Stock, letter: int) -> int:
        """How much a letter uses."""
        if stock.holder or not stock.used:
            return stock.used if stock.holder == letter else 0
        one = (*place, letter)
        for uses in (draft.uses, self._all.uses):
            if one in uses:
                return uses[one]
        return letters.find_use(self.connection, *one)

    def _tally(self, draft: Draft, tenant: int, tally: Tally) -> None:
        place = (tenant, tally.name)
        before = draft.tallies.get(place)
        if before is None:
            before = self._amount(place)
        after = max(0, before + tally.amount)
        if tally.amount > 0 and after > (MOST if tally.most is None else tally.most):
            raise errors.TallyExceeded(tally.name)
        draft.tallies[place] = after
        if tally.label:
            draft.labels[place] = tally.label

    # Limits

    def _limits(self, draft: Draft, tenant: int, tallies: Sequence[Tally]) -> None:
        """What the tenant's limits say of the draft's tallies: refused, or noted on the draft."""
        rules = self.ground.terms.rules[tenant]

        def before(name: str) -> int:
            return self._amount((tenant, name))

        def after(name: str) -> int:
            found = draft.tallies.get((tenant, name))
            return before(name) if found is None else found

        amounts = Amounts(before, after)
        notices = draft.notices
        for tally in {one.name: one for one in tallies}.values():
            notices += [
                (tenant, one) for one in letter_limits.check_limit(rules, tally, before(tally.name), after(tally.name))
            ]
        notices += [(tenant, one) for one in letter_limits.check_shares(rules, tallies, amounts)]
        for kind, notice in letter_limits.trip(rules, tallies, amounts):
            self._stop(draft, tenant, kind, notice)

    def refused(self, tenant: int, effects: Sequence[Effect], error: CinnabarError) -> None:
        """A command was refused: counted, where it asked a federation, and where a breaker goes by it."""
        if isinstance(error, letter_limits.REFUSALS):
            scopes = {one.scope for one in effects if type(one) is Claim and one.scope and one.amount > 0}
            for scope in scopes:
                self._asked(self._all.tallies, tenant, scope, "asked")
            self._told_refused(self._all.tallies, tenant, scopes, error)
        rules = self.ground.terms.rules.get(tenant)
        if rules is None or not rules.refusals:
            return

        def add(name: str) -> int:
            amount = self._amount((tenant, name)) + 1
            self._all.tallies[tenant, name] = amount
            return amount

        for kind, notice in letter_limits.count_refusal(rules, effects, error, self.now_us, add):
            self._stop(self._all, tenant, kind, notice)

    def _asked(self, counts: dict[tuple[int, str], int], tenant: int, scope: str, what: str) -> None:
        """Meter what a tenant asks of a federation's register: an answer, a refusal too, tells of the others."""
        place = (tenant, f"{FEDERATION_TALLY}{scope[1:]}/{what}")
        counts[place] = (counts[place] if place in counts else self._amount(place)) + 1

    def _told_refused(
        self, counts: dict[tuple[int, str], int], tenant: int, scopes: set[str], error: CinnabarError
    ) -> None:
        for scope in scopes:
            self._asked(counts, tenant, scope, "refused")
            log.info("federation-refused", control="CHANNEL", tenant=tenant, federation=scope, code=error.code)

    def _stop(self, draft: Draft, tenant: int, kind: str, notice: Notice) -> None:
        if self._stopped(tenant, kind) is None and (tenant, kind) not in draft.stops:
            draft.stops[tenant, kind] = notice.subject.rpartition("/")[2]
            draft.notices.append((tenant, notice))

    def _stopped(self, tenant: int, kind: str) -> str | None:
        place = (tenant, kind)
        return self.ground.terms.stopped.get(place) or self._all.stops.get(place)

    def _amount(self, place: tuple[int, str]) -> int:
        """Of a tally, as those before the command left it."""
        here = self._all.tallies.get(place)
        return letters.find_tally(self.connection, *place) if here is None else here

    def judge(self, tenant: int, entries: Sequence[Entry], effects: Sequence[Effect], application: str) -> None:
        """Whether a command's effects would be taken, without taking them.

        What it asks of federations' registers counts as a question of the application's day, and as asked there,
        whatever the answer: a check tells as much as trying does (control CHANNEL). Raises as `draft`."""
        scopes = {one.scope for one in effects if type(one) is Claim and one.scope and one.amount > 0}
        counts = Draft()
        if scopes:
            self._tally(counts, tenant, question_tally(application, self.now_us))
        for scope in scopes:
            self._asked(counts.tallies, tenant, scope, "asked")
        try:
            self.draft(tenant, entries, effects, application)
        except letter_limits.REFUSALS as error:
            self._told_refused(counts.tallies, tenant, scopes, error)
            raise
        finally:
            self._all.tallies.update(counts.tallies)

    # Taking in

    def take(self, draft: Draft) -> None:
        """The command is accepted: those after it in the transaction see what it did."""
        book = self._all
        book.letters.update(draft.letters)
        if draft.new:
            self._begun.update(letter_id for (_, letter_id), one in draft.letters.items() if one.shelf is None)
        book.new += draft.new
        book.events += draft.events
        book.stocks.update(draft.stocks)
        book.uses.update(draft.uses)
        book.tallies.update(draft.tallies)
        book.labels.update(draft.labels)
        book.federations.update(draft.federations)
        book.notices += draft.notices
        book.stops.update(draft.stops)
        book.meters.add(draft.meters)
        book.finds |= draft.finds

    def write(self) -> None:
        """Write what was taken in; the caller commits."""
        self._shelves = write_draft(self.connection, self._all, self.ground.shelves, self.now_us)

    @property
    def size(self) -> int:
        """About what the database grows by."""
        return size_of(self._all)

    @property
    def notices(self) -> list[tuple[int, Notice]]:
        """Of the whole transaction, with the tenants' numbers."""
        return self._all.notices

    def publish(self) -> None:
        """After the commit: move the ground forward."""
        self.ground.next_number += self._all.new
        self.ground.next_event += len(self._all.events)
        self.ground.shelves.update(self._shelves)
        self.ground.federations.update(self._all.federations)
        self.ground.terms.stopped.update(self._all.stops)
