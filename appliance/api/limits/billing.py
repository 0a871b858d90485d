"""POST /v1/fees: a bill is closed as a sealed letter, its lines charged in the transaction that records it (ONCE).

What comes later, a correction too, and what one bill cannot hold, is a line of the next bill: no line is ever
changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from appliance.api.letters.happening import beginning, happen, once
from appliance.api.letters.schemas import LetterRequest
from appliance.api.limits.reads import OpenBill, open_bill
from appliance.api.limits.schemas import BillLine, BillRequest, Fees
from appliance.api.messages import Request, Response
from appliance.api.texts import idempotency_of
from appliance.letters.errors import EventRefused
from appliance.recorder.messages import Billed, Effect

if TYPE_CHECKING:
    from appliance.api.worker import Worker

KIND: Final = "fee-bill"
"""The kind of bills."""
LINES: Final = 2_000
"""Of one bill, as its kind has it; the next bill takes the others."""
WHOM: Final = 400
"""Letters of a line's `whom`, likewise."""


async def close_bill(worker: Worker, request: Request) -> Response:
    """POST /v1/fees"""
    caller, asked = request.known_caller, request.document
    assert isinstance(asked, BillRequest)  # noqa: S101 - the endpoint's schema
    idempotency = idempotency_of(request)

    async def closing() -> Response:
        found = await open_bill(worker, caller.tenant, asked.month, asked.party, LINES)
        bill = found.fees
        if not bill.lines:
            raise EventRefused(f"nothing of {asked.month} is left to bill")
        wanted = beginning(worker, caller, _letter(asked, found))
        charges = tuple(_charge(bill, line, *units) for line, units in zip(bill.lines, found.units, strict=True))
        return await happen(worker, caller, idempotency, msgspec.structs.replace(wanted, also=charges))

    return await once(worker, caller, idempotency, closing())


def _letter(asked: BillRequest, found: OpenBill) -> LetterRequest:
    bill = found.fees
    fields: dict[str, Any] = {
        "number": asked.number,
        "payer": asked.payer,
        "period": f"{bill.month} {asked.number}" if found.later else bill.month,
        "metered": bill.count,
        "amount": {"amount": bill.total, "currency": bill.currency},
        "special": False,
        "month": bill.month,
        "lines": [
            {
                "kind": line.kind,
                "event": line.event,
                "application": line.application,
                "tariff": line.tariff,
                "units": line.count,
                "base": line.amount,
                "fee": {"amount": line.fee, "currency": bill.currency},
            }
            | ({"whom": line.whom[:WHOM]} if line.whom else {})
            | ({"currency": line.currency} if line.currency else {})
            for line in bill.lines
        ],
    }
    if asked.payee is not None:
        fields["payee"] = asked.payee
    return LetterRequest(kind=KIND, fields=fields, key=asked.key, unit=asked.unit)


def _charge(bill: Fees, line: BillLine, amount: int, fee: int) -> Effect:
    return Billed(
        bill.month, line.kind, line.event, line.application, line.party, line.currency, line.tariff, line.before,
        line.count, amount, fee,
    )  # fmt: skip
