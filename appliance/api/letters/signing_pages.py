"""Drafts for the approval origin, where approvers read and sign them with passkeys, and bring what their cards signed.

There are no sessions here: the draft's id, 256 bits that only its people were told, is what lets one read it while it
wants approvals, and a signature is its own authority. It is checked by the very code that checks what applications
bring (control QUORUM).
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import msgspec

from appliance.api.letters.draft_schemas import Approved
from appliance.api.letters.drafts import draft_source
from appliance.api.letters.kept import (
    DraftSource,
    Standing,
    approved,
    change_kept,
    close_draft,
    needed_by,
    opened_draft,
    shown_drafts,
)
from appliance.api.letters.schemas import StepNeeded
from appliance.api.messages import Request, Response
from appliance.ceremonies import encode
from appliance.errors import NotFound
from appliance.letters.approvals import Assertion, next_to_sign
from appliance.letters.errors import ApprovalMissing
from appliance.letters.event import Approval

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_encode = msgspec.json.Encoder().encode


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who can approve now."""

    id: str
    passkeys: list[str]
    """Their credential ids, base64url."""
    cards: bool


class SigningPage(msgspec.Struct, frozen=True, kw_only=True):
    """A draft as its page has it. Text and disclosures only while it wants approvals."""

    draft: str
    state: str
    expires: str
    needed: list[StepNeeded]
    approved: list[Approved]
    step: int | None
    """The one that wants an approval now."""
    signers: list[Signer]
    rp_id: str
    text: str = ""
    """The draft: what is signed after the heading of the step."""
    disclosures: dict[str, str] = {}


async def signing_page(worker: Worker, request: Request) -> Response:
    """GET /api/drafts/{draft}"""
    source, one = await _find(worker, request)
    return Response(_encode(await _page(source, one)))


async def sign_by_passkey(worker: Worker, request: Request) -> Response:
    """POST /api/drafts/{draft}/passkey"""
    assertion = request.document
    assert isinstance(assertion, Assertion)  # noqa: S101 - the endpoint's schema
    source, one = await _find(worker, request)
    return await _add(worker, request, _approval(source, one, assertion))


async def sign_by_card(worker: Worker, request: Request) -> Response:
    """POST /api/drafts/{draft}/approvals"""
    approval = request.document
    assert isinstance(approval, Approval)  # noqa: S101 - the endpoint's schema
    return await _add(worker, request, approval)


async def _find(worker: Worker, request: Request) -> tuple[DraftSource, Standing]:
    """Raises NotFound."""
    draft = bytes.fromhex(request.arguments["draft"])
    now_us = worker.clock.read().time_us
    found = await worker.recorder.query("draft_of_any", sorted(worker.ciphers), draft, now_us)
    if found is None:
        raise NotFound("There is no such draft, or it has expired or happened.")
    source = draft_source(worker, found[0])
    return source, opened_draft(source.cipher, found[1])


def _approval(source: DraftSource, one: Standing, assertion: Assertion) -> Approval:
    """Of whoever the passkey is, in the step that wants approvals now. Raises ApprovalMissing."""
    persons = () if source.approvers is None else source.approvers.persons
    owner = next((person.id for person in persons for key in person.credentials if key.id == assertion.id), None)
    wanted = next_to_sign(needed_by(source, one.kept), one.kept.approvals)
    if owner is None:
        raise ApprovalMissing("this passkey is no approver's of this tenant")
    if wanted is None:
        raise ApprovalMissing("nothing is missing any more")
    signature = base64.b64encode(encode(assertion)).decode()
    step = wanted[0].decides
    return Approval(
        approver=owner, form="webauthn", limits=step.limits, policy=step.policy, signature=signature, step=step.step
    )


async def _add(worker: Worker, request: Request, approval: Approval) -> Response:
    async def write(source: DraftSource, one: Standing) -> None:
        await worker.recorder.draft_sign(source.tenant, one.draft, one.revision, close_draft(source.cipher, one))

    source, one = await change_kept(
        lambda: _find(worker, request), lambda source, one: approved(source, one, approval), write
    )
    return Response(_encode(await _page(source, one)))


async def _page(source: DraftSource, one: Standing) -> SigningPage:
    (shown,) = await shown_drafts(source, [one])
    wanted = (
        None
        if shown.state != "open" or not shown.needed
        else next_to_sign(needed_by(source, one.kept), one.kept.approvals)
    )
    page = SigningPage(
        draft=shown.draft,
        state=shown.state,
        expires=shown.expires,
        needed=shown.needed,
        approved=shown.approved,
        step=None if wanted is None else wanted[0].step,
        signers=[] if wanted is None else _signers(source, wanted[1]),
        rp_id="" if source.approvers is None else source.approvers.rules.rp_id,
    )
    if wanted is None:
        return page
    return msgspec.structs.replace(page, text=shown.text.decode(), disclosures=shown.disclosures)


def _signers(source: DraftSource, able: tuple[str, ...]) -> list[Signer]:
    found = []
    for name in able:
        person = None if source.approvers is None else source.approvers.person(name)
        if person is not None:
            keys = [one.id for one in person.credentials if one.kind == "passkey"]
            found.append(Signer(id=name, passkeys=keys, cards=any(one.kind == "card" for one in person.credentials)))
    return found
