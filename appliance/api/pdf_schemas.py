"""The JSON of seals on PDFs, for the server, the client and the OpenAPI alike."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from appliance.api.schemas import Name, RecordId, Time

Millimetres = Annotated[int, Meta(ge=0, le=5_000)]
Level = Literal["B-B", "B-T", "B-LT", "B-LTA"]


class SealSeen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a seal is seen: a square of the size that its seal object says."""

    seal: Name
    """A seal object of the tenant."""
    page: Annotated[int, Meta(ge=-1, le=100_000)]
    """From 1; -1 is the last."""
    left: Millimetres
    """From the page's left edge to the seal's."""
    bottom: Millimetres
    """From the page's lower edge to the seal's."""


class PdfSealRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ask for a seal on a PDF of the caller's."""

    document: bytes
    """The PDF. Seals that it bears already stay as they are."""
    level: Level = "B-T"
    """PAdES baseline level (ETSI EN 319 142-1)."""
    key: Name | None = None
    """The seal key; the first that the caller may use if left out."""
    unit: Name | None = None
    """The time-stamping unit, likewise; of no use for B-B."""
    seen: SealSeen | None = None
    """Where it is seen and as what; left out, the seal is in the file and not on a page."""


class PdfSeal(msgspec.Struct, frozen=True, kw_only=True):
    """A sealed PDF."""

    record: RecordId
    key: str
    time: Time
    level: str
    document: bytes
    """The PDF as it was brought, with the seal after it."""
    findings: list[str]
    """What a reader should know: attachments, earlier-revisions, form-fields, hidden-annotations, layers, links,
    signed."""
    seal_object: str | UnsetType = UNSET
    """SHA-256 of the seal object as which it is seen."""
    stamp_records: list[RecordId]
    """Records of the time-stamps: in the seal, then over the whole file (B-LTA)."""
