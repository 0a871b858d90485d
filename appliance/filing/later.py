"""Receipts that come later: the ticket of an answer, where to ask with it, and when. Pure."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from appliance.errors import BadRequest
from appliance.filing.adapter import Later
from appliance.filing.errors import ReceiptRefused
from appliance.repeated import refuse_repeated

_TICKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,199}\Z")
"""What stands in an address as it is (RFC 3986, section 2.3), and no step out of it."""
_members: Final = msgspec.json.Decoder(dict[str, Any])


def read_ticket(later: Later, raw: bytes) -> str:
    """The ticket of an answer that takes a filing. Raises ReceiptRefused."""
    try:
        ticket = _members.decode(raw).get(later.ticket)
        refuse_repeated(raw)
    except (BadRequest, msgspec.MsgspecError, ValueError, RecursionError):
        raise ReceiptRefused("what takes the filing is no JSON object") from None
    if not isinstance(ticket, str) or _TICKET.match(ticket) is None:
        raise ReceiptRefused("it takes the filing and gives no ticket that can be asked with")
    return ticket


def address_of(later: Later, ticket: str) -> str:
    """Where to ask for the receipt. Raises ReceiptRefused."""
    if _TICKET.match(ticket) is None:
        raise ReceiptRefused("the ticket cannot be asked with")
    return later.url + ticket


def look_from(later: Later, since_us: int, now_us: int) -> int:
    """When whoever knows of no look yet asks: at the first look, or at once where that has passed. So a worker that
    starts, or has more filings at hand than it remembers, leaves none out."""
    return max(now_us, since_us + later.first_s * 1_000_000)


def next_look(later: Later, since_us: int, now_us: int) -> int:
    """When to ask next, of a filing that was taken, or became late, at `since_us`; microseconds since the epoch, and
    later than `now_us`. Known from the letter alone, so that whoever tells says what whoever looks does."""
    at, wait, most = since_us + later.first_s * 1_000_000, later.first_s * 1_000_000, later.most_s * 1_000_000
    while at <= now_us and wait < most:
        wait = min(2 * wait, most)
        at += wait
    if at <= now_us:
        at += ((now_us - at) // wait + 1) * wait
    return at
