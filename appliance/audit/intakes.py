"""Intake runs with the verdicts on their rows, for the tenant's people. Each look is on record first."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec

from appliance.api.intakes.schemas import Intake, RowVerdict
from appliance.api.intakes.views import shown, verdicts_of
from appliance.api.tables import as_csv
from appliance.audit.errors import NO_SUCH_LOG
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.errors import NotFound

PAGE: Final = 50
VERDICTS: Final = 200
"""Of one page."""
SEARCHED: Final = 20_000
"""Rows that one page looks through."""
IntakeId = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
Only = Literal["", "accepted", "duplicate", "refused"]
_encode = msgspec.json.Encoder(order="sorted").encode
__all__ = ["Intake", "RowVerdict", "RunView", "RunsView", "part", "run", "runs"]


class RunsView(msgspec.Struct, frozen=True, kw_only=True):
    """Runs, the newest first."""

    runs: list[Intake]
    next: int | None
    """Cursor of the next page; None at the end."""


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run with a page of verdicts."""

    run: Intake
    verdicts: list[RowVerdict]
    next: int | None
    """The row from which to go on; None at the end of what is decided."""


async def runs(room: AuditRoom, asker: Asker, audited: AuditedLog, before: int) -> RunsView:
    """A page of runs. `before`: `next` of the page before, else 0. Raises NotFound."""
    if audited.cipher is None:
        raise NotFound(NO_SUCH_LOG)
    found = await room.source.recorder.query("intakes", audited.name, PAGE, before)
    size = await room.source.size(audited.name)
    await room.tell(asker, audited, _encode({"intakes": True}).decode(), 0, size, len(found))
    more = found[-1]["number"] if len(found) == PAGE else None
    return RunsView(runs=[shown(audited.cipher, one) for one in found], next=more)


async def run(
    room: AuditRoom, asker: Asker, audited: AuditedLog, identifier: IntakeId, only: Only, first: int
) -> RunView:
    """One run, and its verdicts from row `first` on. Raises NotFound, another tenant's alike."""
    if audited.cipher is None:
        raise NotFound(NO_SUCH_LOG)
    intake = bytes.fromhex(identifier)
    row = await room.source.recorder.query("intake", audited.name, intake)
    size = await room.source.size(audited.name)
    await room.tell(asker, audited, _encode({"intake": identifier, "only": only}).decode(), 0, size, 1)
    verdicts: list[RowVerdict] = []
    at, looked = first, 0
    while len(verdicts) < VERDICTS and looked < SEARCHED:
        found = await _verdicts(room, audited, intake, at, refused=only == "refused")
        if not found:
            return RunView(run=shown(audited.cipher, row), verdicts=verdicts, next=None)
        for end, verdict in found:
            at, looked = end, looked + 1
            if only in ("", verdict.verdict):
                verdicts.append(verdict)
            if len(verdicts) == VERDICTS:
                break
    return RunView(run=shown(audited.cipher, row), verdicts=verdicts, next=at)


async def part(
    room: AuditRoom, asker: Asker, audited: AuditedLog, identifier: IntakeId, first: int
) -> tuple[bytes, int | None]:
    """Verdicts as CSV, about a mebibyte from row `first` on, and from where to go on; None at the end. Raises
    NotFound."""
    if audited.cipher is None:
        raise NotFound(NO_SUCH_LOG)
    intake = bytes.fromhex(identifier)
    await room.source.recorder.query("intake", audited.name, intake)
    size = await room.source.size(audited.name)
    await room.tell(asker, audited, _encode({"intake": identifier, "only": ""}).decode(), 0, size, 1)
    found = await _verdicts(room, audited, intake, first, refused=False)
    text = as_csv(RowVerdict, [verdict for _, verdict in found], header=not first)
    return text, found[-1][0] if found else None


async def _verdicts(
    room: AuditRoom, audited: AuditedLog, intake: bytes, first: int, *, refused: bool
) -> list[tuple[int, RowVerdict]]:
    assert audited.cipher is not None  # noqa: S101 - whoever calls has seen to it
    pages: list[dict[str, Any]] = await room.source.recorder.query("intake_pages", audited.name, intake, first, refused)
    return [one for page in pages for one in verdicts_of(audited.cipher, intake, page, first)]
