"""Judging a receipt: what every type of ledger has in common, and the way to its own judge.

A type TYPE of ledger has the module appliance.anchors.TYPE.judge with

    class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True): ...   # of the profile
    def judge(proof: bytes, commitment: bytes, rules: Rules, known: Known) -> Judgement: ...   # raises AnchorRefused

Both are pure. A type's judge is loaded when the first receipt of that type is judged: whoever verifies a time-stamp
needs no curve of a chain.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, Protocol, cast

import msgspec

from appliance.anchors import canonical
from appliance.anchors.commitment import commitment_of
from appliance.anchors.judgement import AnchorRefused, Judgement, Known, Reason
from appliance.anchors.profile import PROFILE_BYTES, LedgerProfile
from appliance.anchors.receipt import Receipt
from appliance.log.errors import MalformedNote

TYPES: Final = ("bitcoin", "evm", "fabric", "rfc3161")
"""Types of ledger that have a judge."""


class TypeJudge(Protocol):
    """The module of a type's judge."""

    Rules: type[msgspec.Struct]

    def judge(self, proof: bytes, commitment: bytes, rules: Any, _known: Known = ..., /) -> Judgement:
        """What this proof shows of the commitment under these Rules. Raises AnchorRefused."""


def judge(
    receipt: Receipt, commitment: bytes, profile: LedgerProfile, *, now_us: int, revocations: Sequence[Any] = ()
) -> Judgement:
    """What a receipt shows of a commitment (32 bytes) under a profile. `now_us`: the time of validation, microseconds
    since the epoch; `revocations`: as `Known` has them. Raises AnchorRefused."""
    if receipt.type != profile.type:
        raise AnchorRefused(Reason.OTHER_TYPE, f"the receipt is of type {receipt.type}, the ledger {profile.type}")
    if receipt.ledger != profile.name:
        raise AnchorRefused(Reason.OTHER_LEDGER, f"the receipt is of {receipt.ledger}, not of {profile.name}")
    try:
        stated = commitment_of(receipt.checkpoint.encode())
    except MalformedNote as error:
        raise AnchorRefused(Reason.MALFORMED, f"the receipt's checkpoint: {error}") from None
    if stated != commitment:
        raise AnchorRefused(Reason.OTHER_CHECKPOINT, "the receipt is about another checkpoint")
    module = judge_of(profile.type)
    found = module.judge(bytes(receipt.proof), commitment, rules_of(profile), Known(now_us, revocations))
    if found.time_us - found.tolerance_us - profile.tolerance_s * 1_000_000 > now_us:
        raise AnchorRefused(Reason.TIME_TO_COME, f"the time of {found.place} lies after the time of validation")
    return replace(found, tolerance_us=found.tolerance_us + profile.tolerance_s * 1_000_000)


def rules_of(profile: LedgerProfile) -> msgspec.Struct:
    """A profile's rules, as its type has them. Raises AnchorRefused (UNKNOWN_TYPE, RULES_UNREADABLE)."""
    try:
        return canonical.decode(bytes(profile.rules), judge_of(profile.type).Rules, PROFILE_BYTES)
    except canonical.NotCanonical as error:
        raise AnchorRefused(Reason.RULES_UNREADABLE, f"the rules of {profile.name}: {error}") from None


def judge_of(kind: str) -> TypeJudge:
    """The judge of a type. Raises AnchorRefused (UNKNOWN_TYPE)."""
    if kind not in TYPES:
        raise AnchorRefused(Reason.UNKNOWN_TYPE, f"there is no judge of ledgers of type {kind}")
    return cast(TypeJudge, importlib.import_module(f"appliance.anchors.{kind}.judge"))
