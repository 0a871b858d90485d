"""An authority's receipt: a compact JWS over a JSON object that repeats the filing's number. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from appliance.errors import BadRequest
from appliance.filing.adapter import LoadedAdapter, Table
from appliance.filing.errors import ReceiptRefused
from appliance.gateway.encodings import read_base64url
from appliance.gateway.errors import MessageRefused
from appliance.gateway.jose import x509_form
from appliance.gateway.keys import verifies
from appliance.repeated import refuse_repeated

MOST_ROWS: Final = 1_000


@dataclass(frozen=True)
class Receipt:
    """What an authority answered, and what it causes."""

    number: str
    event: str
    data: Mapping[str, Any]


class _Header(msgspec.Struct, frozen=True):
    alg: str
    crit: msgspec.Raw | None = None


def read_receipt(loaded: LoadedAdapter, raw: bytes, number: str) -> Receipt:
    """The receipt for the filing of this number. Raises ReceiptRefused."""
    answers, sign = loaded.adapter.receipt, loaded.adapter.authority.sign
    try:
        head, payload, signature = raw.strip().decode("ascii").split(".")
        header = msgspec.json.decode(read_base64url(head), type=_Header)
        content = read_base64url(payload)
        if header.alg != sign or header.crit is not None:
            raise ReceiptRefused("signed in another way than the adapter says")
        if not verifies(sign, loaded.signer, x509_form(sign, read_base64url(signature)), f"{head}.{payload}".encode()):
            raise ReceiptRefused("the authority's key did not sign it")
        members = msgspec.json.decode(content, type=dict[str, Any])
        refuse_repeated(content)
    except (MessageRefused, BadRequest, msgspec.MsgspecError, ValueError, RecursionError):
        raise ReceiptRefused("not a compact JWS over a JSON object") from None
    if members.get(answers.request) != number:
        raise ReceiptRefused("it answers another filing")
    outcome = next((one for one in answers.outcomes if one.value == members.get(answers.outcome)), None)
    own = members.get(answers.number)
    if outcome is None or not isinstance(own, str) or not 0 < len(own) <= 200:
        raise ReceiptRefused("it has no outcome that the adapter knows, or no number")
    return Receipt(own, outcome.event, {name: _rows(members, table) for name, table in outcome.data.items()})


def _rows(members: Mapping[str, Any], table: Table) -> list[dict[str, Any]]:
    rows = members.get(table.member)
    if not isinstance(rows, list) or len(rows) > MOST_ROWS or not all(isinstance(row, dict) for row in rows):
        raise ReceiptRefused(f"{table.member} is no list of at most {MOST_ROWS} objects")
    return [{column: row.get(member) for column, member in table.columns.items()} for row in rows]
