"""The shape of a command's effects on letters, checked before it is sent and again before it is judged. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from appliance.errors import BadRequest
from appliance.recorder.messages import (
    Billed,
    Claim,
    Effect,
    Entry,
    Find,
    LetterStands,
    LetterStep,
    MessageTaken,
    Meter,
    Tally,
    ValueMove,
)

LETTER = "letter"
"""Kind of the records of letters' events."""
EFFECTS_LIMIT = 20_000
"""Effects of one command."""
VIEW_LIMIT = 1024 * 1024
"""Bytes of a letter's view."""
NAME_LIMIT = 64
"""Characters of a kind's or a state's name."""
TALLY_LIMIT = 256
"""Characters of a tally's name."""
LETTER_BYTES = 16
DIGEST_BYTES = 32
MOST = 2**63 - 1
"""Of amounts, counts and numbers: a database's integer."""
LABEL_LIMIT = 4_096
"""Bytes of a label: a name and what its encryption adds."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CURRENCY = re.compile(r"([A-Z]{3})?")
_WHOM = re.compile(r"([0-9a-f]{64})?")
_FEDERATION = re.compile(r"@[a-z0-9][a-z0-9.-]{0,62}")


def check_effects(entries: Sequence[Entry], effects: Sequence[Effect]) -> None:
    """Whether every effect is well formed, every step has an entry, and every entry of a letter's event a step.

    Value moves, and claims are made, only with an event of the letter that they concern: one that the command steps.
    Raises BadRequest."""
    if len(effects) > EFFECTS_LIMIT:
        raise BadRequest(f"{len(effects)} effects are more than {EFFECTS_LIMIT}")
    stepped: set[bytes] = set()
    used: set[int] = set()
    others: list[Effect] = []
    for effect in effects:
        if type(effect) is LetterStep:
            _check_step(effect, entries)
            stepped.add(effect.letter)
            used.add(effect.entry)
        else:
            others.append(effect)
    for effect in others:
        _CHECKS[type(effect)](effect, stepped)
    for place, entry in enumerate(entries):
        if entry.kind == LETTER and place not in used:
            raise BadRequest("the record of a letter's event moves a letter")


def size_of_views(effects: Sequence[Effect]) -> int:
    """Bytes of the letters' views that the effects bring."""
    return sum([len(effect.view) for effect in effects if type(effect) is LetterStep])


def _check_step(step: LetterStep, entries: Sequence[Entry]) -> None:
    if len(step.letter) != LETTER_BYTES or len(step.after) != DIGEST_BYTES or len(step.before) not in (0, DIGEST_BYTES):
        raise BadRequest("a letter's id has 16 bytes and its head 32")
    if not 0 <= step.entry < len(entries) or entries[step.entry].kind != LETTER:
        raise BadRequest("a letter moves by the record of its event")
    if not 1 <= step.number <= MOST or (step.number == 1) != (not step.before):
        raise BadRequest("a letter's first event, and only that, has none before it")
    if not _is_name(step.kind, NAME_LIMIT) or not _is_name(step.state, NAME_LIMIT):
        raise BadRequest(f"a kind and a state are names of at most {NAME_LIMIT} characters")
    if not (0 <= step.due <= MOST and 0 <= step.automatic <= MOST):
        raise BadRequest("a letter is due at a time up to 2^63 - 1")
    if len(step.view) > VIEW_LIMIT:
        raise BadRequest(f"a letter's view has at most {VIEW_LIMIT} bytes")


def _check_value(move: ValueMove, stepped: set[bytes]) -> None:
    if move.source == move.target or not 0 <= move.amount <= MOST:
        raise BadRequest("value moves from one letter to another")
    for letter in (move.source, move.target):
        if letter and letter not in stepped:
            raise BadRequest("value moves with an event of its letter")


def _check_claim(claim: Claim, stepped: set[bytes]) -> None:
    if claim.scope and not _FEDERATION.fullmatch(claim.scope):
        raise BadRequest("a claim's scope is empty or a federation's name after @")
    if len(claim.key) != DIGEST_BYTES or claim.letter not in stepped:
        raise BadRequest("a claim has a key of 32 bytes and is made with an event of its letter")
    if claim.amount == 0 or not -MOST <= claim.amount <= MOST or not 0 <= claim.capacity <= MOST:
        raise BadRequest("a claim is of something, up to 2^63 - 1")


def _check_find(one: Find, stepped: set[bytes]) -> None:
    if len(one.key) != DIGEST_BYTES or one.letter not in stepped:
        raise BadRequest("a letter is found under a key of 32 bytes, from an event of it on")


def _check_stands(one: LetterStands, stepped: set[bytes]) -> None:
    if len(one.letter) != LETTER_BYTES or len(one.head) != DIGEST_BYTES or one.letter in stepped:
        raise BadRequest("another letter's id has 16 bytes and its head 32")


def _check_tally(tally: Tally, _stepped: set[bytes]) -> None:
    if not _is_name(tally.name, TALLY_LIMIT):
        raise BadRequest(f"a tally has a name of at most {TALLY_LIMIT} characters")
    if not -MOST <= tally.amount <= MOST or not (tally.most is None or 0 <= tally.most <= MOST):
        raise BadRequest("a tally counts up to 2^63 - 1")
    if tally.counter and not tally.name.startswith(f"{tally.counter}/"):
        raise BadRequest("a tally's name begins with its counter")
    if len(tally.label) > LABEL_LIMIT:
        raise BadRequest(f"a label has at most {LABEL_LIMIT} bytes")


def _check_meter(meter: Meter, _stepped: set[bytes]) -> None:
    named = _is_name(meter.kind, NAME_LIMIT) and _is_name(meter.event, NAME_LIMIT)
    if not named or not _DAY.fullmatch(meter.day):
        raise BadRequest("what is metered is an event of a kind, on a day")
    if not _CURRENCY.fullmatch(meter.currency) or not _WHOM.fullmatch(meter.whom) or not 0 <= meter.amount <= MOST:
        raise BadRequest("what is metered has an amount in a currency, and a keyed hash")
    if len(meter.label) > LABEL_LIMIT:
        raise BadRequest(f"a label has at most {LABEL_LIMIT} bytes")


def _check_billed(billed: Billed, _stepped: set[bytes]) -> None:
    names = (billed.month, billed.kind, billed.event, billed.application)
    if not all(_is_name(text, NAME_LIMIT) for text in names) or not _WHOM.fullmatch(billed.whom):
        raise BadRequest("a bill's line names what was metered")
    if not all(0 <= one <= MOST for one in (billed.before, billed.count, billed.amount, billed.fee)):
        raise BadRequest("a bill's line counts up to 2^63 - 1")


def _is_name(text: str, limit: int) -> bool:
    return 0 < len(text) <= limit and text.isprintable()


def _check_message(one: MessageTaken, _stepped: set[bytes]) -> None:
    if len(one.nonce) != DIGEST_BYTES or len(one.digest) != DIGEST_BYTES or not 0 < len(one.partner) <= NAME_LIMIT:
        raise BadRequest("a message has a partner, a nonce's digest and its own, of 32 bytes each")


_CHECKS: Final[dict[type, Callable[[Any, set[bytes]], None]]] = {
    ValueMove: _check_value,
    Claim: _check_claim,
    LetterStands: _check_stands,
    Find: _check_find,
    Tally: _check_tally,
    Meter: _check_meter,
    Billed: _check_billed,
    MessageTaken: _check_message,
}
