"""The calls of limits, warnings, usage and fees, as appliance.client.calls has the others. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from appliance.api.letters.schemas import LetterAnswer
from appliance.api.limits import schemas
from appliance.client.calls import Call, json_answer, post


def limits() -> Call[schemas.Limits]:
    """The limits in force, and what stands under them."""
    return Call("GET", "/v1/limits", json_answer(schemas.Limits))


def warnings(*, before: int | None = None) -> Call[schemas.Warnings]:
    """A page of early warnings and stops, the newest first. `before`: the page before's `next`."""
    query = {} if before is None else {"before": str(before)}
    return Call("GET", "/v1/warnings", json_answer(schemas.Warnings), query=query)


def usage(month: str | None = None, *, after: str | None = None) -> Call[schemas.Usage]:
    """A page of what was metered in a month (2026-11); this one if left out. `after`: the page before's `next`."""
    query = {name: value for name, value in (("month", month), ("after", after)) if value is not None}
    return Call("GET", "/v1/usage", json_answer(schemas.Usage), query=query)


def fees(month: str | None = None, *, party: str | None = None) -> Call[schemas.Fees]:
    """The bill of a month as it stands. `party`: only what was metered for this one, by its keyed hash."""
    query = {name: value for name, value in (("month", month), ("party", party)) if value is not None}
    return Call("GET", "/v1/fees", json_answer(schemas.Fees), query=query)


def close_bill(
    month: str,
    number: str,
    payer: Mapping[str, str],
    *,
    payee: Mapping[str, str] | None = None,
    party: str | None = None,
    key: str | None = None,
    unit: str | None = None,
    idempotency_key: str | None = None,
) -> Call[LetterAnswer]:
    """Close the bill of a month as a sealed letter. `payer`, `payee`: {"name", "id"}; version 1 of the kind `fee-bill`
    knows no payee, and later ones want it."""
    asked = schemas.BillRequest(
        month=month, number=number, payer=dict(payer), payee=None if payee is None else dict(payee), party=party,
        key=key, unit=unit,
    )  # fmt: skip
    return post("/v1/fees", asked, LetterAnswer, idempotency_key)


def tariffs() -> Call[schemas.Tariffs]:
    """Every version of the tenant's tariff."""
    return Call("GET", "/v1/tariffs", json_answer(schemas.Tariffs))
