"""Messages of partners inside a transaction: each nonce is taken once, with the record of the message's answer.

So what a message causes, its answer and its nonce are on disk together or not at all, over all workers and restarts. A
nonce is remembered for as long as its message could be taken, and then for the time in which the same message is
answered again; each message that is taken forgets two that have expired, so that the table stays as small as that.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from appliance.errors import BadRequest
from appliance.recorder import errors
from appliance.recorder.messages import Effect, Entry, MessageTaken
from appliance.store import partner_messages
from appliance.store.partner_messages import MessageRow

MESSAGE: Final = "message"
"""Kind of the records of messages with their answers."""
LONGEST_US: Final = 8 * 86_400_000_000
"""How long a nonce may be remembered."""
_FORGOTTEN: Final = 2
_Place = tuple[int, str, bytes]


class PartnerMessages:
    """The messages that one transaction takes."""

    def __init__(self, connection: sqlite3.Connection, now_us: int) -> None:
        self._connection = connection
        self._now_us = now_us
        self._taken: dict[_Place, MessageRow] = {}

    def judge(self, tenant: int, entries: Sequence[Entry], effects: Sequence[Effect]) -> list[MessageRow]:
        """The messages that a tenant's command takes. Nothing is changed. Raises BadRequest, MessageReplayed."""
        taken = [effect for effect in effects if type(effect) is MessageTaken]
        places = [place for place, entry in enumerate(entries) if entry.kind == MESSAGE]
        if not (taken or places):
            return []
        if sorted(one.entry for one in taken) != places:
            raise BadRequest("the record of a message comes with its nonce, and a nonce with its record")
        if len({(one.partner, one.nonce) for one in taken}) < len(taken):
            raise BadRequest("one nonce stands twice in a command")
        return [self._row(tenant, one, entries[one.entry].record_id) for one in taken]

    def _row(self, tenant: int, one: MessageTaken, record_id: bytes) -> MessageRow:
        if not self._now_us < one.expires <= self._now_us + LONGEST_US:
            raise BadRequest("the message is not remembered so")
        place = (tenant, one.partner, one.nonce)
        if place in self._taken or partner_messages.find_message(self._connection, *place) is not None:
            raise errors.MessageReplayed(errors.MessageReplayed.title)
        return MessageRow(*place, one.digest, record_id, one.expires)

    def take(self, rows: Sequence[MessageRow]) -> None:
        """The command is accepted."""
        self._taken.update({row[:3]: row for row in rows})

    def write(self) -> None:
        """Write what was taken; the caller commits."""
        if self._taken:
            partner_messages.forget_messages(self._connection, self._now_us, _FORGOTTEN * len(self._taken))
            partner_messages.add_messages(self._connection, self._taken.values())


class PartnerMessageQueries:
    """A part of appliance.recorder.reader.Queries."""

    connection: sqlite3.Connection
    _tenant: Callable[[str], int]

    def query_partner_message(self, tenant: str, partner: str, nonce: bytes) -> list[bytes] | None:
        """[SHA-256 of the message, id of its record] of the message that a partner sent with a nonce, given by its
        SHA-256; None: there is none, or it is forgotten."""
        if not isinstance(partner, str) or not isinstance(nonce, bytes):
            raise BadRequest("a partner's name and a digest are meant")
        found = partner_messages.find_message(self.connection, self._tenant(tenant), partner, nonce)
        return None if found is None else [found.digest, found.record_id]
