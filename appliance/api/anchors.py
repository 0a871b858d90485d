"""GET /v1/anchors...: the box's ledgers, their anchors, and receipts (docs/anchors.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from appliance.anchorer.client import AnchorerClient
from appliance.anchorer.views import AnchorView, LedgerView
from appliance.api.anchor_schemas import AnchorAnswer, AnchorStep, LedgerAnswer, LedgersAnswer
from appliance.api.messages import NO_STORE, Request, Response
from appliance.box.users import has_anchorer
from appliance.errors import NotFound
from appliance.instants import rfc3339

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_Found = TypeVar("_Found")
_encode = msgspec.json.Encoder().encode


async def ledgers(worker: Worker, _request: Request) -> Response:
    """GET /v1/anchors"""
    found = await _asked(worker, AnchorerClient.ledgers) if _any(worker) else []
    return Response(_encode(LedgersAnswer(ledgers=[_ledger(one) for one in found])), headers=NO_STORE)


async def anchor(worker: Worker, request: Request) -> Response:
    """GET /v1/anchors/{ledger}/{number}"""
    ledger, number = request.arguments["ledger"], int(request.arguments["number"])
    found = await _asked(worker, lambda client: client.anchor(ledger, number))
    return Response(_encode(_anchor(found)), headers=NO_STORE)


async def anchor_receipt(worker: Worker, request: Request) -> Response:
    """GET /v1/anchors/{ledger}/{number}/receipt"""
    ledger, number = request.arguments["ledger"], int(request.arguments["number"])
    return Response(await _asked(worker, lambda client: client.receipt(ledger, number)), headers=NO_STORE)


def _any(worker: Worker) -> bool:
    """Whether the box has ledgers, or had some."""
    return has_anchorer(worker.home, worker.settings)


async def _asked(worker: Worker, ask: Callable[[AnchorerClient], _Found]) -> _Found:
    """What the anchorer answers. Raises AnchorerUnavailable, NotFound."""
    if not _any(worker):
        raise NotFound("this box has, and had, no ledgers")
    return await worker.anchorer.ask(ask)


def _ledger(view: LedgerView) -> LedgerAnswer:
    return LedgerAnswer(
        name=view.name,
        type=view.type,
        configured=view.configured,
        caveat=view.caveat,
        answers=view.configured and not view.trouble,
        newest=None if view.newest is None else _anchor(view.newest),
        final=None if view.final is None else _anchor(view.final),
    )


def _anchor(view: AnchorView) -> AnchorAnswer:
    return AnchorAnswer(
        ledger=view.ledger,
        number=view.number,
        size=view.size,
        commitment=view.commitment,
        state=view.state,
        since=rfc3339(view.since_us),
        superseded_by=view.superseded_by,
        strength=view.strength,
        time=None if view.time_us is None else rfc3339(view.time_us),
        no_later_than=None if view.no_later_us is None else rfc3339(view.no_later_us),
        place=view.place,
        steps=[AnchorStep(state=step.state, time=rfc3339(step.time_us)) for step in view.steps],
    )
