"""The audit process as its callers, the management service and the command line, see it: one method each, blocking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from appliance.audit.drafts import DraftView
from appliance.audit.errors import AuditUnavailable
from appliance.audit.exporting import ExportView
from appliance.audit.filters import Filter
from appliance.audit.intakes import RunsView, RunView
from appliance.audit.letters import LetterFilter, LettersView, LetterView
from appliance.audit.pages import EntryProof, PageView
from appliance.audit.usage import UsageView
from appliance.calls.client import CallClient


class AuditClient(CallClient):
    """One connection; a context manager, not for several threads. `person`: who asks, which goes on record as the
    caller's word. Every method raises AuditUnavailable, and what the audit process refuses by."""

    unavailable = AuditUnavailable

    def __init__(self, path: Path, person: str = "") -> None:
        super().__init__(path)
        self.person = person

    def logs(self) -> list[dict[str, Any]]:
        """log, origin, size, indexed, checkpoint (signed note or None), kinds, keys, applications of every log."""
        found: list[dict[str, Any]] = self.call("logs")
        return found

    def entries(
        self,
        log: str,
        wanted: Filter | None = None,
        *,
        newest: bool = True,
        cursor: int | None = None,
        limit: int = 50,
    ) -> PageView:
        """A page of a log; `cursor` is `next` of the page before. Opened content is on record before it comes."""
        return msgspec.convert(
            self.call("entries", self.person, log, wanted or Filter(), newest, cursor, limit), PageView
        )

    def entry(self, log: str, which: int | str) -> EntryProof:
        """One record by its leaf index or record id (hexadecimal), with its artifact and log proof."""
        return msgspec.convert(self.call("entry", self.person, log, which), EntryProof)

    def counts(self, log: str, since: int | None = None, until: int | None = None) -> list[tuple[str, str, int]]:
        """(day, kind, records) of each UTC day that [since, until) touches; microseconds since the epoch."""
        return msgspec.convert(self.call("counts", log, since, until), list[tuple[str, str, int]])

    def letters(
        self, log: str, wanted: LetterFilter | None = None, *, cursor: str | None = None, limit: int = 50
    ) -> LettersView:
        """A page of a tenant's letters, the newest first; on record before it comes. `cursor`: `next` of the page
        before."""
        return msgspec.convert(
            self.call("letters", self.person, log, wanted or LetterFilter(), cursor, limit), LettersView
        )

    def letter(self, log: str, identifier: str, *, disclose: bool = False) -> LetterView:
        """A letter with its events; with the values of its hidden fields where `disclose`. On record before it comes.
        Raises NotFound."""
        return msgspec.convert(self.call("letter", self.person, log, identifier, disclose), LetterView)

    def letter_evidence(self, log: str, identifier: str, disclosed: Sequence[str] = ()) -> bytes:
        """The letter's evidence file, the same bytes as applications get. Raises NotFound, EvidenceNotReady."""
        found: bytes = self.call("letter_evidence", self.person, log, identifier, list(disclosed))
        return found

    def drafts(self, log: str) -> list[DraftView]:
        """A tenant's drafts that wait for approvals; on record before they come."""
        return msgspec.convert(self.call("drafts", self.person, log), list[DraftView])

    def draft(self, log: str, identifier: str) -> DraftView:
        """One of them. Raises NotFound."""
        return msgspec.convert(self.call("draft", self.person, log, identifier), DraftView)

    def usage(self, log: str, month: str) -> UsageView:
        """What a tenant's letters count against its limits, and what its events came to in a month (2026-11)."""
        return msgspec.convert(self.call("usage", self.person, log, month), UsageView)

    def intakes(self, log: str, before: int = 0) -> RunsView:
        """A page of a tenant's intake runs, the newest first. `before`: `next` of the page before."""
        return msgspec.convert(self.call("intakes", self.person, log, before), RunsView)

    def intake(self, log: str, identifier: str, only: str = "", first: int = 0) -> RunView:
        """One run with a page of verdicts: all, or those that are `accepted`, `duplicate` or `refused`."""
        return msgspec.convert(self.call("intake", self.person, log, identifier, only, first), RunView)

    def intake_table(self, log: str, identifier: str) -> Iterator[bytes]:
        """Every verdict of a run as CSV, in parts of about a mebibyte."""
        first: int | None = 0
        while first is not None:
            part, first = self.call("intake_part", self.person, log, identifier, first)
            if part:
                yield part

    def export_start(self, log: str, wanted: Filter | None = None, form: str = "asice") -> str:
        """Begin an export: asice, jsonl or csv. Returns its name."""
        name: str = self.call("export_start", self.person, log, wanted or Filter(), form)
        return name

    def export_progress(self, name: str) -> ExportView:
        return msgspec.convert(self.call("export_progress", name), ExportView)

    def export_cancel(self, name: str) -> ExportView:
        return msgspec.convert(self.call("export_cancel", name), ExportView)

    def exports(self) -> list[ExportView]:
        """Exports of this life of the audit process, the newest first."""
        return msgspec.convert(self.call("exports"), list[ExportView])

    def export_file(self, name: str, number: int = 0) -> Iterator[bytes]:
        """The bytes of a made export's file, in parts of at most 1 MiB."""
        offset = 0
        while part := self.call("export_part", name, number, offset):
            yield part
            offset += len(part)

    def status(self) -> dict[str, Any]:
        """How far the index and the forwarding are."""
        found: dict[str, Any] = self.call("status")
        return found
