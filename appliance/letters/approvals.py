"""Whether an event is approved as its tenant's policies want (control QUORUM). Pure.

Each of the event's steps names a policy, whose tier for the amount says how many of which persons sign, and whether in
the order of its list. Every approval counts or is refused: one too many, of a person who has approved already in any
step, out of turn, of somebody who is no approver or no longer one, or over anything but this step and this draft. The
draft names box, tenant, application, letter and the event before, and what is signed the step with its policy and
limits, so that no signature serves twice, nor elsewhere.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from appliance.ceremonies.actions import ApprovalTier
from appliance.ceremonies.canonical import decode
from appliance.ceremonies.errors import DocumentRefused, StatementRefused
from appliance.ceremonies.evidence import check_card, check_passkey
from appliance.ceremonies.statements import Base64Url, PasskeyEvidence
from appliance.letters.approvers import Approver, Approvers, PolicyInForce
from appliance.letters.errors import ApprovalMissing
from appliance.letters.event import Approval, ApprovalStep
from appliance.letters.fields import parse_limit

OTHER_DRAFT: Final = (
    "something else was signed: another step or draft of this event, another letter, or one whose head has moved"
)


class AssertionResponse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of WebAuthn level 3, section 5.2.2; base64url."""

    authenticator_data: Base64Url = msgspec.field(name="authenticatorData")
    client_data: Base64Url = msgspec.field(name="clientDataJSON")
    signature: Base64Url


class Assertion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An approval by a passkey: of what a browser gives (WebAuthn level 3, section 5.1.8) what counts, in canonical
    JSON. Its challenge is the SHA-256 of the approval text."""

    id: Annotated[Base64Url, msgspec.Meta(min_length=1)]
    """The credential's."""
    response: AssertionResponse


@dataclass(frozen=True)
class Needed:
    """What one step needs."""

    step: int
    policy: str
    limits: tuple[str, ...]
    """Limits that the event exceeds and whose approval it is."""
    threshold: int
    """How many of the approvers sign; not one more."""
    in_order: bool
    """Whether they sign in the order of the policy's list."""
    approvers: tuple[str, ...]

    @property
    def place(self) -> str:
        return f"step {self.step + 1} ({self.policy})"

    @property
    def decides(self) -> ApprovalStep:
        """What its approvers decide, as they sign it."""
        return ApprovalStep(limits=list(self.limits), policy=self.policy, step=self.step)


def what_is_needed(
    steps: Sequence[ApprovalStep], amount: tuple[int, str] | None, approvers: Approvers | None
) -> tuple[Needed, ...]:
    """Of each step, in order. `amount`: (ten-thousandths, currency). Raises ApprovalMissing where a step's policy is
    not there, or has no tier for the amount."""
    found = []
    for one in steps:
        policy = None if approvers is None else approvers.policy(one.policy)
        if policy is None:
            raise ApprovalMissing(f"step {one.step + 1}: the tenant has no approval policy {one.policy}")
        tier = _tier(policy, amount, one.step)
        limits, persons = tuple(one.limits), tuple(tier.approvers)
        found.append(Needed(one.step, one.policy, limits, tier.threshold, tier.in_order, persons))
    return tuple(found)


def check_given(
    draft: bytes,
    needed: Sequence[Needed],
    given: Sequence[Approval],
    approvers: Approvers | None,
    at: datetime.datetime,
) -> None:
    """Whether each approval counts, in the order in which they stand; more may be wanted. `draft`: its text.

    Raises ApprovalMissing, which names the step and what is wrong with it."""
    check_places(needed, given)
    for one in given:
        need = needed[one.step]
        place = need.place
        person = None if approvers is None else approvers.person(one.approver)
        if person is None or approvers is None:
            raise ApprovalMissing(f"{place}: {one.approver} is no longer a person of the constitution")
        try:
            check_signature(need.decides.heading() + draft, one, person, approvers, at)
        except StatementRefused as error:
            raise ApprovalMissing(f"{place}, {one.approver}: {error}") from None


def check_places(needed: Sequence[Needed], given: Sequence[Approval]) -> None:
    """As `check_given`, of who signs where and in which order; no signature is looked at."""
    counted: list[list[str]] = [[] for _ in needed]
    approved: dict[str, int] = {}
    for one in given:
        if one.step >= len(needed):
            said = f"the event has {len(needed)}" if needed else "the event needs no approval"
            raise ApprovalMissing(f"step {one.step + 1}: there is no such step; {said}")
        need, done = needed[one.step], counted[one.step]
        if (one.policy, tuple(one.limits)) != (need.policy, need.limits):
            raise ApprovalMissing(f"{need.place}: the approval of {one.approver} names another policy or other limits")
        for earlier in needed[: one.step]:
            if len(counted[earlier.step]) < earlier.threshold:
                raise ApprovalMissing(f"{need.place}: it comes after {earlier.place}, which is not complete")
        if one.approver not in need.approvers:
            raise ApprovalMissing(f"{need.place}: {one.approver!r} is no approver of this step for this amount")
        if one.approver in approved:
            raise ApprovalMissing(
                f"{need.place}: {one.approver} has approved in step {approved[one.approver] + 1}; nobody counts twice"
            )
        if len(done) >= need.threshold:
            raise ApprovalMissing(f"{need.place}: {need.threshold} approve it, and here is one more")
        if need.in_order and done and need.approvers.index(one.approver) < need.approvers.index(done[-1]):
            raise ApprovalMissing(f"{need.place}: {one.approver} does not approve after {done[-1]}")
        approved[one.approver] = one.step
        done.append(one.approver)


def standing(given: Sequence[Approval], check: Callable[[list[Approval]], None]) -> list[Approval]:
    """Those of the approvals that count where they stand; `check` raises ApprovalMissing if the last does not."""
    kept: list[Approval] = []
    for one in given:
        with contextlib.suppress(ApprovalMissing):
            check([*kept, one])
            kept.append(one)
    return kept


def what_is_missing(needed: Sequence[Needed], given: Sequence[Approval]) -> list[tuple[Needed, int]]:
    """Steps that want more approvals, each with how many; of approvals that `check_given` let pass."""
    numbers = [sum(one.step == need.step for one in given) for need in needed]
    return [
        (need, need.threshold - number) for need, number in zip(needed, numbers, strict=True) if number < need.threshold
    ]


def next_to_sign(needed: Sequence[Needed], given: Sequence[Approval]) -> tuple[Needed, tuple[str, ...]] | None:
    """The step that wants an approval now, and those who can give it such that the step can still be completed. None:
    nothing is missing. Approvals that do not count any more, as when a policy lost their signer, are left out."""
    given = standing(given, functools.partial(check_places, needed))
    missing = what_is_missing(needed, given)
    if not missing:
        return None
    need, number = missing[0]
    signed = {one.approver for one in given}
    able = [name for name in need.approvers if name not in signed]
    if need.in_order:
        last = max((need.approvers.index(one.approver) for one in given if one.step == need.step), default=-1)
        able = [name for name in able if need.approvers.index(name) > last]
        able = able[: len(able) - number + 1]  # whoever comes too late in the list leaves nobody to follow
    return need, tuple(able)


def check_complete(needed: Sequence[Needed], given: Sequence[Approval]) -> None:
    """Raises ApprovalMissing where approvals that `check_given` let pass are not all that is needed."""
    missing = what_is_missing(needed, given)
    if missing:
        raise ApprovalMissing("; ".join(f"{need.place}: {_more(number)}" for need, number in missing))


def _more(number: int) -> str:
    return "one more approval is needed" if number == 1 else f"{number} more approvals are needed"


def _tier(policy: PolicyInForce, amount: tuple[int, str] | None, step: int) -> ApprovalTier:
    if amount is None:
        return _endless(policy, step)
    units, currency = amount
    for tier in policy.tiers:
        if tier.currency == currency and (not tier.up_to or units <= parse_limit(tier.up_to)):
            return tier
    raise ApprovalMissing(f"step {step + 1} ({policy.policy}): the policy has no tier for this amount in {currency}")


def _endless(policy: PolicyInForce, step: int) -> ApprovalTier:
    """Of an event that has no amount: the tier of any amount, which must then be the same in every currency."""
    last = [tier for tier in policy.tiers if not tier.up_to]
    if len({(tuple(tier.approvers), tier.threshold, tier.in_order) for tier in last}) != 1:
        raise ApprovalMissing(
            f"step {step + 1} ({policy.policy}): the event has no amount, and the policy's highest tiers differ by "
            "currency"
        )
    return last[0]


def check_signature(text: bytes, one: Approval, person: Approver, approvers: Approvers, at: datetime.datetime) -> None:
    """Whether an approval is this person's signature over the approval text. Raises StatementRefused."""
    try:
        signature = base64.b64decode(one.signature, validate=True)
    except (binascii.Error, ValueError):
        raise StatementRefused("the signature is not base64") from None
    if one.form == "webauthn":
        _check_assertion(text, signature, person, approvers)
        return
    refusal = StatementRefused("the constitution knows no card of this person")
    for card in person.credentials:
        if card.kind != "card":
            continue
        try:
            check_card(card, signature, text, at, other=OTHER_DRAFT)
        except StatementRefused as error:
            refusal = error
            continue
        return
    raise refusal


def _check_assertion(text: bytes, signature: bytes, person: Approver, approvers: Approvers) -> None:
    try:
        assertion = decode(signature, Assertion)
    except DocumentRefused as error:
        raise StatementRefused(f"not an assertion in canonical JSON: {error}") from None
    credential = next((one for one in person.credentials if (one.kind, one.id) == ("passkey", assertion.id)), None)
    if credential is None:
        raise StatementRefused("the constitution knows no such passkey of this person")
    evidence = PasskeyEvidence(
        authenticator_data=assertion.response.authenticator_data,
        client_data_json=assertion.response.client_data,
        signature=assertion.response.signature,
    )
    check_passkey(approvers.rules, credential, evidence, hashlib.sha256(text).digest(), other=OTHER_DRAFT)
