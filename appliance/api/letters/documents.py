"""PDFs that are sealed with an event and travel beside it (PAdES B-T): the letter's own page, set by a document
worker with the event inside, and a PDF that several institutions seal in their order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from appliance.api.callers import Caller
from appliance.api.letters.schemas import Particulars
from appliance.api.letters.signers import own_signer, signers_of
from appliance.api.pdf_schemas import PdfSealRequest
from appliance.api.pdf_seals import prepare as prepare_foreign
from appliance.documents import RENDER_LETTER, RenderLetterRequest
from appliance.letters.co_sealing import check_document
from appliance.letters.errors import DocumentNotInOrder
from appliance.letters.event import Event
from appliance.letters.kind import LoadedKind
from appliance.letters.page import DOCUMENT, letter_page
from appliance.letters.seal_object import BESIDE, ON_DOCUMENT
from appliance.letters.state import LetterState
from appliance.pdf import TOKEN_BYTES, PreparedPdf, prepare_seal, room_for, seal_place

if TYPE_CHECKING:
    from appliance.api.units import SealingKey
    from appliance.api.worker import Worker

SEALED: Final = "document.pdf"
"""Name of the PDF that the event seals."""


@dataclass(frozen=True)
class Paper:
    """A PDF before its seal. `beside`: what travels with it; the others: of its record."""

    name: str
    kind: str
    pdf: PreparedPdf
    artifact_of: Callable[[bytes], bytes] = bytes
    beside: Mapping[str, bytes] = field(default_factory=dict)
    findings: list[str] | None = None
    seal_object: str | None = None


async def prepare_papers(
    worker: Worker,
    caller: Caller,
    key: SealingKey,
    asked: Particulars,
    loaded: LoadedKind,
    event: Event,
    after: LetterState,
    now_us: int,
) -> list[Paper]:
    """Raises DocumentNotInOrder, SealObjectRefused, and what document workers refuse with."""
    papers = []
    if asked.document:
        papers.append(await _page(worker, caller, key, asked, loaded, event, after, now_us))
    rule = loaded.kind.events[event.event].seals_document
    if (rule is None) != (asked.pdf is None):
        raise DocumentNotInOrder(
            "the event seals no document" if rule is None else "the event seals a document: it comes as `pdf`"
        )
    if rule is not None and asked.pdf is not None:
        request = PdfSealRequest(document=asked.pdf, key=key.name, seen=asked.pdf_seen)
        ready = await prepare_foreign(worker, caller, key, request)
        signers = signers_of(worker, ready.judged.signers)
        check_document(rule, after.fields, asked.pdf, signers, ready.judged.first_ends, own_signer(worker, key))
        size = len(asked.pdf)
        seen = ready.seen
        papers.append(
            Paper(
                SEALED,
                "pdf-seal",
                ready.pdf,
                lambda whole: whole[size:],
                {} if seen is None else {ON_DOCUMENT: seen.text},
                ready.judged.findings,
                None if seen is None else seen.digest,
            )
        )
    return papers


async def _page(
    worker: Worker,
    caller: Caller,
    key: SealingKey,
    asked: Particulars,
    loaded: LoadedKind,
    event: Event,
    after: LetterState,
    now_us: int,
) -> Paper:
    """The letter's page."""
    address = worker.settings.front.letters_url
    verify = "" if address is None else f"{address.rstrip('/')}/{after.letter}"
    tenant = next(one for one in worker.settings.tenants if one.name == caller.tenant)
    organisation = tenant.organisation or tenant.name
    seen = None
    if asked.document_seal is not None:
        seen = await worker.seal_objects.use(worker, caller, key, asked.document_seal, now_us)
    page = letter_page(
        loaded, after, event.event, event.digest(), organisation, verify=verify,
        rehearsal=worker.settings.rehearsal,
    )  # fmt: skip
    request = RenderLetterRequest(
        data=page.json(), time_s=now_us // 1_000_000, attachment=event.canonical(), qr=verify or None
    )
    pdf = await worker.documents.call(RENDER_LETTER, caller.tenant, request)
    prepared = prepare_seal(
        pdf, key.profile, now_us, room=room_for(key.profile, TOKEN_BYTES), name=organisation,
        place=None if seen is None else seal_place(0, 1), picture=None if seen is None else seen.picture,
    )  # fmt: skip
    if seen is None:
        return Paper(DOCUMENT, "seal", prepared)
    return Paper(DOCUMENT, "seal", prepared, bytes, {BESIDE: seen.text}, None, seen.digest)
