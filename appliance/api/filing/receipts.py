"""Receipts that an application hands in where an adapter files the letter: held to the authority's key, as its answers
are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.api.filing.filed import filed_as
from appliance.filing import ReceiptRefused, read_receipt
from appliance.letters.errors import FieldRefused

if TYPE_CHECKING:
    from appliance.api.letters.making import Wanted
    from appliance.api.worker import Worker


async def check_receipts(worker: Worker, tenant: str, wanted: Wanted) -> None:
    """Whether the authority said what the event says of it: this event, under this number, with these data, about this
    filing of the letter. Raises FieldRefused. Of a registry that no adapter files with, the application's word counts.
    """
    before, asked = wanted.before, wanted.asked
    if before is None or not asked.receipts:
        return
    filing = [one for one in worker.adapters.of(tenant) if one.files(before.kind.id, before.state, before.fields)]
    for place, given in enumerate(asked.receipts):
        loaded = next((one for one in filing if one.adapter.receipt.registry == given.registry), None)
        if loaded is None:
            continue
        try:
            filed = await filed_as(worker, tenant, loaded.adapter, before)
            read = read_receipt(loaded, given.receipt, filed.number)
        except ReceiptRefused as error:
            raise FieldRefused(f"/receipts/{place}: {error}") from None
        if (read.event, read.number) != (wanted.event, given.number):
            raise FieldRefused(f"/receipts/{place}: it is of another event, or has another number")
        if any(asked.data.get(name) != value for name, value in read.data.items()):
            raise FieldRefused(f"/receipts/{place}: it says something else than /data")
