"""Receipts that an application hands in where an adapter files the letter: held to the authority's key, as its answers
are."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from appliance.api.filing.filed import filed_as
from appliance.errors import Unavailable
from appliance.filing import LoadedAdapter, Receipt, ReceiptRefused, read_receipt
from appliance.letters.errors import FieldRefused
from appliance.letters.state import LetterState

if TYPE_CHECKING:
    from appliance.api.letters.making import Wanted
    from appliance.api.worker import Worker


async def check_receipts(worker: Worker, tenant: str, wanted: Wanted) -> None:
    """Whether the authority said what the event says of it: this event, under this number, with these data, about this
    filing of the letter. Of a registry with which no adapter files letters of this kind in this state, or has their
    event happen, the application's word counts.

    Raises FieldRefused, and Unavailable where an adapter of the tenant cannot be read: it may be the one.
    """
    before, asked = wanted.before, wanted.asked
    if before is None or not asked.receipts:
        return
    kind, state = before.kind.id, before.state
    if not worker.adapters.are_read(tenant):
        raise Unavailable("an adapter of the tenant cannot be read: no receipt is believed without it")
    # An application that brings the letter out of the adapter's states does not leave its authority behind.
    installed = [
        one
        for one in worker.adapters.of(tenant)
        if one.adapter.kind == kind
        and (state in one.adapter.states or wanted.event in {out.event for out in one.adapter.receipt.outcomes})
    ]
    for place, given in enumerate(asked.receipts):
        known = [one for one in installed if one.adapter.receipt.registry == given.registry]
        if not known:
            continue
        # What `when` names are fields that the application chose: a letter that no adapter files is held to the same
        # authority by any of them.
        filing = [one for one in known if one.files(kind, state, before.fields)]
        try:
            read = await _read(worker, tenant, filing[:1] or known, given.receipt, before)
        except ReceiptRefused as error:
            raise FieldRefused(f"/receipts/{place}: {error}") from None
        if (read.event, read.number) != (wanted.event, given.number):
            raise FieldRefused(f"/receipts/{place}: it is of another event, or has another number")
        if any(asked.data.get(name) != value for name, value in read.data.items()):
            raise FieldRefused(f"/receipts/{place}: it says something else than /data")


async def _read(
    worker: Worker, tenant: str, loaded: Sequence[LoadedAdapter], receipt: bytes, before: LetterState
) -> Receipt:
    """By the first of them that believes it. Raises ReceiptRefused, as the last one does."""
    for one in loaded[:-1]:
        with contextlib.suppress(ReceiptRefused):
            return read_receipt(one, receipt, (await filed_as(worker, tenant, one.adapter, before)).number)
    return read_receipt(loaded[-1], receipt, (await filed_as(worker, tenant, loaded[-1].adapter, before)).number)
