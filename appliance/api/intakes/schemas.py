"""The JSON of intake runs in the local API, for the server, the client and the OpenAPI alike."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from appliance.api.letters.schemas import KindId
from appliance.api.schemas import Name, Time
from appliance.calls.problems import Problem
from appliance.letters.event import LetterId

FILE_BYTES = 1024 * 1024 * 1024
WORKBOOK_BYTES = 96 * 1024 * 1024
"""Of a workbook: a document worker gets it whole."""

IntakeId = LetterId
State = Literal["receiving", "received", "reading", "running", "done", "failed", "stopped"]
Verdict = Literal["accepted", "duplicate", "refused"]
Header = Annotated[str, Meta(min_length=1, max_length=200)]


class IntakeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of rows is to come: each row begins a letter, or is an event of one."""

    kind: KindId
    event: str | None = None
    """One that begins a letter, the kind's first if left out; or one of letters that the rows name."""
    format: Literal["csv", "xlsx", "ndjson"]
    """CSV (RFC 4180), a workbook of Office Open XML, or one JSON object a line."""
    size: Annotated[int, Meta(ge=1, le=FILE_BYTES)]
    """Bytes of the file; of a workbook at most 96 MiB."""
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the file: what comes is held to it."""
    encoding: Literal["utf-8", "gb18030"] = "utf-8"
    """Of CSV."""
    delimiter: Literal[",", ";", "\t", "|"] = ","
    """Of CSV."""
    sheet: Annotated[str, Meta(min_length=1, max_length=31)] | None = None
    """Of a workbook; its first sheet if left out."""
    mapping: dict[Header, str | None] = {}
    """Where columns go whose headers do not say it themselves: `fields.NAME`, `fields.NAME.MEMBER`, `data.NAME`,
    `receipts.REGISTRY.number`, `receipts.REGISTRY.receipt`, `letter`; null: the column is passed over."""
    constants: dict[str, Any] = {}
    """Values that are the same for all rows, by `fields.NAME` or `data.NAME`."""
    batch: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    """The caller's number of the batch: a corrected file sent under the same number accepts only what was not accepted
    before. It needs `row_key`. Left out: the file's own digest."""
    row_key: Annotated[list[Header], Meta(max_length=16)] = []
    """Headers of the columns by which a row is known again; left out: its number in the file."""
    check: bool = False
    """Only judge: every row gets its verdict and nothing is made."""
    key: Name | None = None
    """The seal key; the first that the caller may use if left out."""
    unit: Name | None = None
    """The time-stamping unit, likewise."""

    def __post_init__(self) -> None:
        try:
            msgspec.msgpack.encode(self.constants)  # as they are kept until the rows are read
        except OverflowError:
            raise ValueError("constants: integers have at most 64 bits") from None


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """An intake run."""

    intake: IntakeId
    kind: str
    event: str
    application: str
    """Who sent it, and alone can stop and resume it."""
    check: bool
    state: State
    """receiving: parts of the file are to come; received: it waits for its turn; reading: it is read through, and its
    rows counted; running: rows are decided; done; failed: `fault` says why, and nothing more happens; stopped: it waits
    to be resumed, and `fault` says why if it was the box that stopped it."""
    size: int
    received: int
    """Bytes."""
    rows: int | None
    """Of the file; null: not read through yet."""
    decided: int
    accepted: int
    duplicate: int
    refused: int
    created: Time
    changed: Time
    finished: Time | None
    fault: Problem | None


class IntakePage(msgspec.Struct, frozen=True, kw_only=True):
    """Runs of the tenant, the newest first."""

    intakes: list[Intake]
    next: IntakeId | None
    """Ask again with this as `after`; null: these are the last."""


class RowVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one row."""

    row: int
    """Its number in the file, from 1; headers are row 1."""
    verdict: Verdict
    letter: LetterId | None
    """The letter that it began, or whose event it is; of a duplicate, that of the row before."""
    code: str | None = None
    """Of a problem; of a duplicate `row-differs`: the row accepted before had other content."""
    column: str | None = None
    """Header of the column that it is about."""
    text: str | None = None
    """What is wrong."""


class RowVerdicts(msgspec.Struct, frozen=True, kw_only=True):
    """Verdicts in the order of the rows."""

    verdicts: list[RowVerdict]
    next: int | None
    """Ask again with this as `after`, also where there are few verdicts or none: a page looks through so many rows and
    no more. Null: these are the last so far."""
