"""What a worker has done for one filing: it is signed, and what the authority answered makes the letter's next event.

The filer sends and brings back (appliance.filer); what an answer is worth is judged here.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from appliance.api import signing
from appliance.api.errors import NotPermitted
from appliance.api.filing.filed import filed_as
from appliance.api.letters.making import Wanted, make_event
from appliance.api.letters.schemas import EventRequest, ReceiptGiven
from appliance.filer import Answer, Errand
from appliance.filing import AdapterRefused, LoadedAdapter, NotAnswered, prepare_filing, read_receipt
from appliance.filing.adapter import host_of
from appliance.filing.later import address_of, read_ticket
from appliance.gateway import SCHEMES
from appliance.instants import rfc3339

if TYPE_CHECKING:
    from appliance.api.callers import Caller
    from appliance.api.worker import Worker
    from appliance.letters.state import LetterState

FILING: Final = "filing"
"""Kind of the records of what was sent."""
_DAY_US: Final = 86_400_000_000


async def sign_filing(worker: Worker, caller: Caller, loaded: LoadedAdapter, before: LetterState) -> Errand:
    """What files a letter that is in the outbox, on record. Raises AdapterRefused where the box's settings allow the
    host no more, and what the token and the recorder refuse with."""
    adapter = loaded.adapter
    if host_of(adapter.authority.url) not in worker.settings.filing_hosts:
        raise AdapterRefused("authority.url: the box's settings allow the host no more")
    key = worker.seal_key_for(caller, adapter.key)
    algorithm = SCHEMES.get(key.profile.scheme.name)
    if algorithm is None:
        raise NotPermitted("The key that the adapter names signs no messages.")
    await worker.gates.check_room(worker.recorder, caller, key.name)
    prepared = prepare_filing(adapter, before.fields, before.head, algorithm, key.profile.certificate_digest)
    signature = await key.key.sign_async(prepared.to_be_signed)
    message = prepared.complete(signature)
    record = signing.record_signature(
        key.cipher, caller, key.name, FILING, artifact=message,
        content_digest=hashlib.sha256(prepared.payload).digest(), content_hash="sha256",
        time_us=worker.clock.read().time_us, to_be_signed=prepared.to_be_signed, signature=signature,
    )  # fmt: skip
    await signing.commit(worker, caller, [record])
    authority = adapter.authority
    return Errand(authority.method, authority.url, authority.ca, before.head, message, adapter.retry.timeout_s)


async def ask_later(worker: Worker, caller: Caller, loaded: LoadedAdapter, before: LetterState) -> Errand:
    """What asks for the receipt of a filing that was taken. Raises ReceiptRefused where its ticket is none."""
    adapter = loaded.adapter
    assert adapter.later is not None  # noqa: S101 - the letter is in one of its states
    filed = await filed_as(worker, caller.tenant, adapter, before)
    address = address_of(adapter.later, filed.ticket)
    return Errand("GET", address, adapter.authority.ca, filed.number, b"", adapter.retry.timeout_s)


async def take_answer(
    worker: Worker, caller: Caller, loaded: LoadedAdapter, before: LetterState, number: str, answer: Answer
) -> str | None:
    """Have happen what the authority answered to the filing of this number; the event, or None: its receipt is to come
    yet. Raises NotAnswered, ReceiptRefused, and what an event is refused with."""
    asked = _asked(worker, loaded, before, number, answer)
    if asked is not None:
        kind = worker.kinds.by_digest(caller.tenant, before.kind.digest)
        await make_event(worker, caller, Wanted(kind, before, before.letter, asked.event, asked), None)
    return None if asked is None else asked.event


def _asked(
    worker: Worker, loaded: LoadedAdapter, before: LetterState, number: str, answer: Answer
) -> EventRequest | None:
    adapter = loaded.adapter
    later, refusal = adapter.later, adapter.refusal
    if answer.status in {200, 201}:
        receipt = read_receipt(loaded, answer.body, number)
        given = ReceiptGiven(registry=adapter.receipt.registry, number=receipt.number, receipt=answer.body)
        return EventRequest(event=receipt.event, data=dict(receipt.data), receipts=[given], key=adapter.key)
    if answer.status == 202 and later is not None:
        if before.state != adapter.state:
            return None
        until = rfc3339(worker.clock.read().time_us + later.days * _DAY_US)
        ticket = read_ticket(later, answer.body)
        return EventRequest(event=later.event, data={"ticket": ticket}, fields={later.until: until}, key=adapter.key)
    if refusal is not None and answer.status in refusal.statuses:
        return EventRequest(event=refusal.event, data={"status": answer.status}, key=adapter.key)
    raise NotAnswered(f"HTTP {answer.status}")
