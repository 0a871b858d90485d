"""POST /v1/questions: what is left of something, or whether it is used, asked without using it (K8).

Each question is counted and leaves a sealed answer in the tenant's log: who asked what, when, and what it was told.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from appliance.api.callers import ROLE
from appliance.api.letters.schemas import KindId
from appliance.api.letters.sealing import make_statement
from appliance.api.messages import Request, Response
from appliance.api.schemas import RecordId
from appliance.instants import rfc3339
from appliance.letters.errors import RoleMissing
from appliance.letters.event import Actor, KindReference
from appliance.letters.question import RegisterAnswer, answer, read_question
from appliance.letters.uniqueness import tenant_scope, uniqueness_key
from appliance.recorder.messages import question_tally

if TYPE_CHECKING:
    from appliance.api.callers import Caller
    from appliance.api.worker import Worker
    from appliance.letters.kind import Kind

_encode = msgspec.json.Encoder().encode
_sorted = msgspec.json.Encoder(order="sorted").encode


class RegisterQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Would a letter with these values be taken?"""

    kind: KindId
    """A kind of letter that uses the register."""
    register: str
    """Its rule of uniqueness, by name."""
    fields: dict[str, Any]
    """Values of the fields that the rule goes by; with the one that says how much there is, where it is shared."""
    amount: dict[str, str] | None = None
    """Money that would be used, of what is shared by amount."""


class RegisterTold(msgspec.Struct, frozen=True, kw_only=True):
    """The answer, as it was at that time."""

    available: bool
    """Whether a letter with these values would be taken."""
    left: dict[str, str] | None
    """Money that is left; told of the tenant's own registers only."""
    record: RecordId
    seal: bytes
    """CMS SignedData, DER, CAdES B-T, with the answer within: canonical JSON, cinnabar-register-answer/1."""


async def questions(worker: Worker, request: Request) -> Response:
    """POST /v1/questions"""
    caller = request.known_caller
    asked: RegisterQuestion = request.document
    loaded = worker.kinds.newest(caller.tenant, asked.kind)
    _check_role(caller, loaded.kind)
    question = read_question(loaded.kind, asked.register, asked.fields, asked.amount)
    use = question.use
    scope = use.scope or tenant_scope(caller.tenant)
    key = await uniqueness_key(worker.mac_of(caller.tenant, use.scope), scope, use.name, use.values)
    used, capacity = await worker.recorder.query("claim_status", caller.tenant, use.scope, key)
    available, left = answer(question, used, capacity)
    now_us = worker.clock.read().time_us
    said = {"amount": asked.amount, "fields": asked.fields, "register": asked.register}
    document = RegisterAnswer(
        actor=Actor(application=caller.application, box=worker.settings.box_id, tenant=caller.tenant),
        amount=asked.amount,
        asked=hashlib.sha256(_sorted(said)).hexdigest(),
        at=rfc3339(now_us),
        available=available,
        fields={
            name: value for name, value in asked.fields.items() if loaded.kind.fields[name].confidentiality == "clear"
        },
        kind=KindReference(digest=loaded.digest, id=loaded.kind.id, version=loaded.kind.version),
        left=left,
        register=asked.register,
    ).canonical()
    made = await make_statement(worker, caller, document, question_tally(caller.application, now_us))
    return Response(_encode(RegisterTold(available=available, left=left, record=made.record, seal=made.seal)))


def _check_role(caller: Caller, kind: Kind) -> None:
    """Whoever could begin such a letter may ask; trying tells as much."""
    roles = {role for event in kind.events.values() if not event.from_ for role in event.by}
    if "*" not in caller.permissions and not any(ROLE + role in caller.permissions for role in roles):
        raise RoleMissing(f"questions about {kind.id} need the role {' or '.join(sorted(roles))}")
