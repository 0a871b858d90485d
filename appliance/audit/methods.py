"""What may be called over the audit socket. Every argument comes from outside; its type is the server's matter
(appliance.calls.server). A caller names a person; that is the caller's word, and is recorded as such."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec

from appliance.audit import drafts as kept_drafts
from appliance.audit import intakes as intake_runs
from appliance.audit import letters as tenant_letters
from appliance.audit import pages
from appliance.audit import usage as letter_usage
from appliance.audit.errors import FilterRefused
from appliance.audit.exporting import Exports, ExportView
from appliance.audit.filters import Filter, Instant, Word, checked
from appliance.audit.room import Asker, AuditedLog, AuditRoom
from appliance.calls.server import Method
from appliance.calls.sockets import Peer
from appliance.letters.event import Digest, LetterId
from appliance.log import NotYetIncluded

REQUEST_LIMIT: Final = 64 * 1024
PERSON_LIMIT: Final = 200

Person = Annotated[str, msgspec.Meta(max_length=PERSON_LIMIT)]
Month = Annotated[str, msgspec.Meta(pattern=r"\A[0-9]{4}-(0[1-9]|1[0-2])\Z")]
Number = Annotated[int, msgspec.Meta(ge=0, lt=1 << 62)]


class Methods:
    """Answers from the room and its exports."""

    def __init__(self, room: AuditRoom, exports: Exports, status: Callable[[], dict[str, Any]]) -> None:
        self._room = room
        self._exports = exports
        self._status = status

    def table(self) -> dict[str, Method]:
        names = (
            "logs entries entry counts export_start export_progress export_cancel export_part exports status "
            "letters letter letter_evidence drafts draft usage intakes intake intake_part"
        )
        return {name: getattr(self, name) for name in names.split()}

    async def logs(self) -> list[dict[str, Any]]:
        return [
            {
                "log": audited.name,
                "origin": audited.line.newest.origin,
                "size": await self._room.source.size(audited.name),
                "indexed": self._room.index.size(audited.name),
                "checkpoint": _head(audited),
                **self._room.index.names(audited.name),
            }
            for audited in list(self._room.logs.values())
        ]

    async def entries(
        self, peer: Peer, person: Person, log: str, wanted: Filter, newest: bool, cursor: Number | None, limit: Number
    ) -> pages.PageView:
        return await pages.entries(
            self._room, _asker(peer, person), self._room.log(log), checked(wanted),
            newest=newest, cursor=cursor, limit=limit,
        )  # fmt: skip

    async def entry(self, peer: Peer, person: Person, log: str, which: int | str) -> pages.EntryProof:
        return await pages.entry(self._room, _asker(peer, person), self._room.log(log), which)

    async def counts(self, log: str, since: Instant | None, until: Instant | None) -> list[list[Any]]:
        return await pages.counts(self._room, self._room.log(log), checked(Filter(since=since, until=until)))

    async def letters(
        self,
        peer: Peer,
        person: Person,
        log: str,
        wanted: tenant_letters.LetterFilter,
        cursor: LetterId | None,
        limit: Number,
    ) -> tenant_letters.LettersView:
        return await tenant_letters.letters(
            self._room, _asker(peer, person), self._room.log(log), wanted, cursor, limit
        )

    async def letter(
        self, peer: Peer, person: Person, log: str, identifier: LetterId, disclose: bool
    ) -> tenant_letters.LetterView:
        return await tenant_letters.letter(
            self._room, _asker(peer, person), self._room.log(log), identifier, disclose=disclose
        )

    async def letter_evidence(
        self, peer: Peer, person: Person, log: str, identifier: LetterId, disclosed: list[Word]
    ) -> bytes:
        return await tenant_letters.evidence(
            self._room, _asker(peer, person), self._room.log(log), identifier, disclosed
        )

    async def drafts(self, peer: Peer, person: Person, log: str) -> list[kept_drafts.DraftView]:
        return await kept_drafts.drafts(self._room, _asker(peer, person), self._room.log(log))

    async def draft(self, peer: Peer, person: Person, log: str, identifier: Digest) -> kept_drafts.DraftView:
        return await kept_drafts.draft(self._room, _asker(peer, person), self._room.log(log), identifier)

    async def usage(self, peer: Peer, person: Person, log: str, month: Month) -> letter_usage.UsageView:
        return await letter_usage.usage(self._room, _asker(peer, person), self._room.log(log), month)

    async def intakes(self, peer: Peer, person: Person, log: str, before: Number) -> intake_runs.RunsView:
        return await intake_runs.runs(self._room, _asker(peer, person), self._room.log(log), before)

    async def intake(
        self,
        peer: Peer,
        person: Person,
        log: str,
        identifier: intake_runs.IntakeId,
        only: intake_runs.Only,
        first: Number,
    ) -> intake_runs.RunView:
        return await intake_runs.run(self._room, _asker(peer, person), self._room.log(log), identifier, only, first)

    async def intake_part(
        self, peer: Peer, person: Person, log: str, identifier: intake_runs.IntakeId, first: Number
    ) -> tuple[bytes, int | None]:
        return await intake_runs.part(self._room, _asker(peer, person), self._room.log(log), identifier, first)

    async def export_start(self, peer: Peer, person: Person, log: str, wanted: Filter, form: str) -> str:
        return await self._exports.start(_asker(peer, person), self._room.log(log), checked(wanted), form)

    async def export_progress(self, name: str) -> ExportView:
        return self._exports.view(name)

    async def export_cancel(self, name: str) -> ExportView:
        return self._exports.cancel(name)

    async def export_part(self, name: str, number: Number, offset: Number) -> bytes:
        return self._exports.part(name, number, offset)

    async def exports(self) -> list[ExportView]:
        return self._exports.views()

    async def status(self) -> dict[str, Any]:
        return self._status()


def _head(audited: AuditedLog) -> str | None:
    """The newest published checkpoint, None before the first."""
    try:
        return audited.line.newest.reader.checkpoint().decode()
    except NotYetIncluded:
        return None


def _asker(peer: Peer, person: str) -> Asker:
    if not person.isprintable():
        raise FilterRefused("a person is named by printable text")
    return Asker(peer.user, person)
