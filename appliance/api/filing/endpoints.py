"""GET /v1/filings: letters that adapters file, with what became of them, as NDJSON or CSV."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.api.application import query_of
from appliance.api.bodies import BodyDamaged
from appliance.api.filing.filed import filed_at_hand
from appliance.api.letters.views import open_view
from appliance.api.messages import Request, Response
from appliance.api.tables import table
from appliance.filing.later import next_look
from appliance.instants import rfc3339
from appliance.letters.event import LetterId
from appliance.letters.fields import moment
from appliance.recorder.errors import Archived

if TYPE_CHECKING:
    from appliance.api.worker import Worker
    from appliance.letters.state import LetterState

PAGE: Final = 50


class Filing(msgspec.Struct, frozen=True, kw_only=True):
    """A letter that an adapter files."""

    letter: LetterId
    kind: str
    state: str
    adapter: str
    """Which files it, or would if it came into its state again; empty: none does any more."""
    version: int
    waiting: bool
    """Whether it is in the outbox."""
    pending: bool
    """Whether the authority took it and its receipt is asked for."""
    next: str
    """Of what is pending: when its receipt is asked for next."""
    number: str
    """Of the filing, the last if there were several; empty: it never was in the outbox."""
    changed: str
    event: str
    """The newest."""
    receipt: str
    """The number of the receipt that came with it; empty: none did."""
    unread: str
    """Why `number`, `event` and `receipt` are not known, the code of what stands against it: archived,
    body-damaged. Empty: they are."""


async def filings(worker: Worker, request: Request) -> Response:
    """GET /v1/filings"""
    tenant, arguments = request.known_caller.tenant, query_of(request)
    adapters = worker.adapters.of(tenant)
    before, state = bytes.fromhex(arguments.get("after", "")), arguments.get("state")
    kind = arguments.get("kind") or next((one.adapter.kind for one in adapters), None)
    rows: list[Filing] = []
    if kind in {one.adapter.kind for one in adapters}:
        for one in await worker.recorder.query("letter_page", tenant, kind, state, PAGE, before):
            rows.append(await _told(worker, tenant, open_view(worker.cipher_of(tenant), one["letter"], one["view"])))
    following = rows[-1].letter if len(rows) == PAGE else None
    return table(request, Filing, rows, first=not before, following=following)


async def _told(worker: Worker, tenant: str, letter: LetterState) -> Filing:
    adapters = [one.adapter for one in worker.adapters.of(tenant) if one.would_file(letter.kind.id, letter.fields)]
    adapter = next((one for one in adapters if letter.state in one.states), None) or next(iter(adapters), None)
    number = event = receipt = unread = ""
    try:
        filed = await filed_at_hand(worker, tenant, adapter, letter)
    except (Archived, BodyDamaged) as error:
        unread = error.code
    else:
        number, event = filed.number, filed.newest.event
        receipt = filed.newest.receipts[0].number if filed.newest.receipts else ""
    later = None if adapter is None or letter.state not in adapter.states[1:] else adapter.later
    return Filing(
        letter=letter.letter,
        kind=letter.kind.id,
        state=letter.state,
        adapter="" if adapter is None else adapter.id,
        version=0 if adapter is None else adapter.version,
        waiting=adapter is not None and letter.state == adapter.state,
        pending=later is not None,
        next="" if later is None else rfc3339(next_look(later, moment(letter.changed, "Z"), time.time_ns() // 1_000)),
        number=number,
        changed=letter.changed,
        event=event,
        receipt=receipt,
        unread=unread,
    )
