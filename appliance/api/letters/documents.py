"""A letter's page as a PDF with its event inside: set by a document worker, sealed here (PAdES baseline B-T)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from appliance.api.callers import Caller
from appliance.documents import RENDER_LETTER, RenderLetterRequest
from appliance.letters.event import Event
from appliance.letters.kind import LoadedKind
from appliance.letters.page import letter_page
from appliance.letters.state import LetterState
from appliance.pdf import TOKEN_BYTES, PreparedPdf, prepare_seal, room_for

if TYPE_CHECKING:
    from appliance.api.units import SealingKey
    from appliance.api.worker import Worker

DOCUMENT: Final = "letter.pdf"
"""Its name beside the event."""


async def prepare_document(
    worker: Worker, caller: Caller, key: SealingKey, loaded: LoadedKind, event: Event, after: LetterState, now_us: int
) -> PreparedPdf:
    """The letter's PDF before its seal. Raises what document workers refuse with."""
    address = worker.settings.front.letters_url
    verify = "" if address is None else f"{address.rstrip('/')}/{after.letter}"
    tenant = next(one for one in worker.settings.tenants if one.name == caller.tenant)
    organisation = tenant.organisation or tenant.name
    page = letter_page(
        loaded, after, event.event, event.digest(), organisation, verify=verify,
        rehearsal=worker.settings.rehearsal,
    )  # fmt: skip
    request = RenderLetterRequest(
        data=page.json(), time_s=now_us // 1_000_000, attachment=event.canonical(), qr=verify or None
    )
    pdf = await worker.documents.call(RENDER_LETTER, caller.tenant, request)
    return prepare_seal(pdf, key.profile, now_us, room=room_for(key.profile, TOKEN_BYTES), name=organisation)
