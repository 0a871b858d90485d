"""Drafts that wait for approvals: kept for a tenant until they expire, changed by compare-and-swap.

No signature and no record: what is lost with one is a list of work. Their contents are encrypted by their tenant.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING

from appliance.errors import BadRequest, NotFound
from appliance.recorder import errors
from appliance.recorder.messages import Answer, Committed, DraftKeep, DraftSign
from appliance.store import drafts, rows
from appliance.store.drafts import DraftRow

if TYPE_CHECKING:
    from appliance.recorder.transaction import Run, Transaction

DRAFT_BYTES = 32
"""Of an id."""
CONTENT_BYTES = 512 * 1024
"""Largest content of one draft."""
KEPT_LIMIT = 1_000
"""Drafts that one tenant has waiting."""
LONGEST_US = 30 * 86_400_000_000
"""How long a draft may wait."""
PAGE = 100
PAGE_BYTES = 1024 * 1024


def draft_keep(transaction: Transaction, _run: Run, command: DraftKeep) -> Answer:
    """Make, change or drop a draft. Raises DraftMoved, NotFound, Busy, BadRequest, ReadOnly."""
    caller = transaction.authorise(command.certificate, command.tenant, command.application)
    connection, tenant, now_us = transaction.connection, caller.tenant_number, transaction.now_us
    _check(command, now_us)
    standing = drafts.find_draft(connection, tenant, command.draft)
    if standing is not None and standing.expires <= now_us:
        standing = None
    wanted = DraftRow(command.draft, command.revision, command.expires, command.content)
    if standing == wanted or (not command.content and standing is None):
        return Committed(command.ticket, -1)  # the same again
    if standing is None and command.revision > 1:
        raise NotFound("there is no such draft")
    if standing is not None and standing.revision != command.revision - 1:
        raise errors.DraftMoved(f"the draft is at revision {standing.revision}")
    if not command.content:
        drafts.drop_draft(connection, tenant, command.draft)
        return Committed(command.ticket, -1)
    if transaction.refuse is not None:
        raise errors.ReadOnly(transaction.refuse)
    if standing is None:
        drafts.drop_expired(connection, tenant, now_us)
        if drafts.count_drafts(connection, tenant) >= KEPT_LIMIT:
            raise errors.Busy(f"{KEPT_LIMIT} drafts of this tenant wait for approvals")
    drafts.write_draft(connection, tenant, wanted)
    transaction.bytes += len(command.content)
    return Committed(command.ticket, -1)


def draft_sign(transaction: Transaction, _run: Run, command: DraftSign) -> Answer:
    """Change the content of a draft that waits. Raises DraftMoved, NotFound, BadRequest, ReadOnly."""
    tenant = transaction.ground.callers.tenants.get(command.tenant)
    standing = None
    if tenant is not None:
        standing = drafts.find_draft(transaction.connection, tenant.number, command.draft)
    if tenant is None or standing is None or standing.expires <= transaction.now_us:
        raise NotFound("there is no such draft")
    if not 0 < len(command.content) <= CONTENT_BYTES:
        raise BadRequest(f"a draft has 1 to {CONTENT_BYTES} bytes")
    wanted = standing._replace(revision=command.revision, content=command.content)
    if wanted == standing:
        return Committed(command.ticket, -1)  # the same again
    if standing.revision != command.revision - 1:
        raise errors.DraftMoved(f"the draft is at revision {standing.revision}")
    if transaction.refuse is not None:
        raise errors.ReadOnly(transaction.refuse)
    drafts.write_draft(transaction.connection, tenant.number, wanted)
    transaction.bytes += len(command.content)
    return Committed(command.ticket, -1)


def _check(command: DraftKeep, now_us: int) -> None:
    if len(command.draft) != DRAFT_BYTES or command.revision < 1:
        raise BadRequest("a draft's id has 32 bytes, and its revisions begin at 1")
    if len(command.content) > CONTENT_BYTES:
        raise BadRequest(f"a draft has at most {CONTENT_BYTES} bytes")
    if command.content and not now_us < command.expires <= now_us + LONGEST_US:
        raise BadRequest("a draft waits for thirty days at the most")


class DraftQueries:
    """Queries over the recorder's read-only connection; a part of appliance.recorder.reader.Queries."""

    connection: sqlite3.Connection
    _tenant: Callable[[str], int]

    def query_draft(self, tenant: str, draft: bytes, now_us: int) -> dict[str, object]:
        """draft, revision, expires (microseconds) and content. Refused `not-found` where there is none of the tenant's,
        or where it has expired."""
        if not isinstance(draft, bytes):
            raise BadRequest("bytes are meant")
        found = drafts.find_draft(self.connection, self._tenant(tenant), draft)
        if found is None or found.expires <= now_us:
            raise NotFound("there is no such draft")
        return found._asdict()

    def query_draft_of_any(self, tenants: list[str], draft: bytes, now_us: int) -> list[object] | None:
        """[tenant, draft as `draft` has it] of one of these tenants, for whoever holds its id; None: there is none."""
        for name in tenants:
            number = rows.tenant_number(self.connection, str(name))
            found = None if number is None else drafts.find_draft(self.connection, number, bytes(draft))
            if found is not None and found.expires > now_us:
                return [name, found._asdict()]
        return None

    def query_drafts(self, tenant: str, now_us: int, after: bytes = b"") -> list[dict[str, object]]:
        """A tenant's drafts, as `draft`, in the order of their ids from after `after`: at most 100, about 1 MiB."""
        shown: list[dict[str, object]] = []
        size = 0
        for row in drafts.read_drafts(self.connection, self._tenant(tenant), now_us, PAGE, after):
            size += len(row.content)
            if shown and size > PAGE_BYTES:
                break
            shown.append(row._asdict())
        return shown
