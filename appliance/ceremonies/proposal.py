"""A proposal: everything that a ceremony will do, as one canonical document. Its SHA-256 is what officers sign.

The same digest is shown on the box's console as words, is what the keymaster executes, and what the record names.
"""

from __future__ import annotations

import datetime
import functools
import re
from typing import Annotated, Literal

import msgspec
from mnemonic import Mnemonic

from appliance.ceremonies.actions import Action, AmendConstitution
from appliance.ceremonies.canonical import (
    Digest,
    Identifier,
    Instant,
    Name,
    Text,
    decode,
    digest,
    encode,
    instant,
)
from appliance.ceremonies.constitution import Constitution, Count, ScopeName, affected_scopes
from appliance.ceremonies.errors import DocumentRefused, QuorumMissing

PROPOSAL_BYTES = 256 * 1024
"""A proposal that brings no constitution is at most so large; the keymaster reads every open one again and again."""

Language = Literal["english", "chinese_simplified"]


class AuditHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the requester had seen of the scope's log; the log at execution must continue it (control FORK)."""

    origin: Text
    size: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    root: Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{64}){1,2}\Z")]
    """Hexadecimal, of the log's hash."""


class ScopeQuorum(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    scope: ScopeName
    threshold: Count


class Proposal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: Literal["cinnabar-proposal/1"] = "cinnabar-proposal/1"
    box: Identifier
    mode: Literal["rehearsal", "production"]
    quorum: Annotated[list[ScopeQuorum], msgspec.Meta(min_length=1, max_length=64)]
    """Every scope that must approve, in order of names, with its threshold."""
    requester: Name
    title: Text
    reason: Text
    actions: Annotated[list[Action], msgspec.Meta(min_length=1, max_length=32)]
    """Executed in this order; each exactly once."""
    constitution: Digest
    """Of the version under which it was made."""
    audit: AuditHead
    nonce: Identifier
    made: Instant
    expires: Instant

    @property
    def takes_away(self) -> bool:
        """Whether one officer's word is enough for all of it."""
        return all(action.takes_away for action in self.actions)


def read_proposal(text: bytes) -> Proposal:
    """The proposal that these canonical bytes are. Raises DocumentRefused."""
    proposal = decode(text, Proposal)
    if len(text) > PROPOSAL_BYTES and not any(isinstance(action, AmendConstitution) for action in proposal.actions):
        raise DocumentRefused(f"a proposal has at most {PROPOSAL_BYTES} bytes")
    if instant(proposal.expires) <= instant(proposal.made):
        raise DocumentRefused("the proposal expires before it is made")
    return proposal


def proposal_digest(proposal: Proposal) -> str:
    """SHA-256 of the canonical bytes, hexadecimal."""
    return digest(encode(proposal))


def required_scopes(actions: list[Action], current: Constitution) -> frozenset[str]:
    """The scopes whose quorum these actions need. Raises DocumentRefused, SuccessionRefused."""
    found: set[str] = set()
    for action in actions:
        if isinstance(action, AmendConstitution):
            found |= affected_scopes(current, action.constitution)
        else:
            found.add(action.scope_of())
    return frozenset(found)


def check_proposal(proposal: Proposal, current: Constitution, now: datetime.datetime) -> None:
    """Whether a proposal may be decided under the constitution in force. Raises DocumentRefused, QuorumMissing.

    Called when it is submitted and again right before it is executed."""
    if proposal.box != current.box:
        raise DocumentRefused("the proposal is for another box")
    if (proposal.mode == "rehearsal") is not current.rehearsal:
        raise DocumentRefused("rehearsal and production never mix")
    amendments = [action for action in proposal.actions if isinstance(action, AmendConstitution)]
    if len(amendments) > 1 or (amendments and proposal.actions[-1] is not amendments[0]):
        raise DocumentRefused("a proposal amends the constitution once, as its last action")
    if amendments and amendments[0].recovery and len(proposal.actions) > 1:
        raise DocumentRefused("a recovery does nothing else")
    if any(a.takes_away for a in proposal.actions) and not proposal.takes_away:
        raise DocumentRefused("what one officer may do alone stands in a proposal of its own")
    needed = required_scopes(proposal.actions, current)
    if [part.scope for part in proposal.quorum] != sorted(needed):
        raise DocumentRefused(f"the proposal needs the quorum of {', '.join(sorted(needed))}")
    if proposal.takes_away and len(needed) > 1:
        raise DocumentRefused("one officer's word holds for one scope")
    recovery = bool(amendments) and amendments[0].recovery
    for part in proposal.quorum:
        scope = current.scope(part.scope)
        if scope is None:
            raise DocumentRefused(f"{part.scope} has no officers")
        roster = scope.recovery if recovery else scope
        if roster is None:
            raise DocumentRefused(f"{part.scope} has no recovery roster")
        if part.threshold != roster.threshold:
            raise QuorumMissing(f"the threshold of {part.scope} is {roster.threshold}")
    made, expires = instant(proposal.made), instant(proposal.expires)
    if now >= expires:
        raise QuorumMissing("the proposal has expired")
    if made > now + datetime.timedelta(minutes=5):
        raise DocumentRefused("the proposal was made in the future")
    # A recovery is public for its waiting period first, and then lives as long as any proposal.
    rosters = [scope.recovery for part in proposal.quorum if (scope := current.scope(part.scope)) is not None]
    waiting = max((one.waiting_hours for one in rosters if one is not None), default=0) if recovery else 0
    longest = current.rules.longest_hours + waiting
    if expires - made > datetime.timedelta(hours=longest):
        raise DocumentRefused(f"a proposal lives at most {longest} hours")


@functools.cache
def _dictionary(language: Language) -> Mnemonic:
    return Mnemonic(language)


def digest_words(hexadecimal: str, language: Language = "english") -> str:
    """The 24 words of a SHA-256 (BIP-39, which ends in a check of its own), for people to compare by ear or eye."""
    words: str = _dictionary(language).to_mnemonic(bytes.fromhex(hexadecimal))
    return words


def read_digest(text: str) -> str:
    """The SHA-256, hexadecimal, that a person gave: its 64 digits, or its 24 words of either language.

    Raises DocumentRefused."""
    words = " ".join(text.split())
    if re.fullmatch("[0-9a-f]{64}", words):
        return words
    for language in ("english", "chinese_simplified"):
        dictionary = _dictionary(language)
        if dictionary.check(words):
            found = dictionary.to_entropy(words.split())
            if len(found) == 32:
                return bytes(found).hex()
    raise DocumentRefused("these are not the 24 words of a digest")
