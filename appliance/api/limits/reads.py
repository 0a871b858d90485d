"""What stands under a tenant's limits, what was warned of and what was metered: reads, nothing is decided here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, Protocol

import msgspec

from appliance.api.application import query_of
from appliance.api.bodies import BodyDamaged
from appliance.api.letters.counted import LABEL, limit_rules
from appliance.api.limits import schemas
from appliance.api.messages import NO_STORE, Request, Response
from appliance.base64url import from_base64url, to_base64url
from appliance.errors import BadRequest
from appliance.instants import rfc3339
from appliance.letter_limits import Tariff, TariffFile, compile_tariff, read_tariff_file
from appliance.letter_limits.numbers import print_percent
from appliance.letter_limits.rules import WHOLE
from appliance.letter_limits.subjects import tally_of
from appliance.letter_limits.windows import window
from appliance.letters.kind import Kind
from appliance.letters.money import MOST, print_amount

if TYPE_CHECKING:
    from appliance.api.bodies import BodyCipher
    from appliance.api.worker import Worker

SHOWN: Final = 20
"""The largest of a counter."""
PAGE: Final = 100
METERED: Final = 1_000
"""Lines of a month that are read at once."""
_encode = msgspec.json.Encoder().encode


class Reader(Protocol):
    """Answers queries, as the recorder."""

    async def query(self, name: str, *arguments: Any) -> Any: ...


async def limits(worker: Worker, request: Request) -> Response:
    """GET /v1/limits"""
    tenant = request.known_caller.tenant
    rules = await limit_rules(worker, tenant)
    periods = _periods(worker, tenant)
    counters = []
    for counter, limit in rules.limits.items():
        counters.append(await _counter(worker, tenant, counter, periods, limit.most, None))
    for counter, shares in rules.shares.items():
        for share in shares:
            counters.append(await _counter(worker, tenant, counter, periods, share.most, share.of))
    stopped = await worker.recorder.query("stopped_kinds", tenant)
    answer = schemas.Limits(
        version=rules.version,
        counters=counters,
        stopped=[schemas.StoppedKind(kind=kind, since=rfc3339(since), reason=why) for kind, since, why in stopped],
    )
    return Response(_encode(answer), headers=NO_STORE)


async def warnings(worker: Worker, request: Request) -> Response:
    """GET /v1/warnings"""
    before = int(query_of(request).get("before", str(1 << 62)))
    found = await worker.recorder.query("notices", request.known_caller.tenant, before, PAGE)
    tenant = request.known_caller.tenant
    labels = await worker.recorder.query("tally_labels", tenant, [row[3] for row in found])
    cipher = worker.cipher_of(tenant)
    shown = [
        schemas.Warned(
            number=number, at=rfc3339(at), what=what, subject=subject, threshold=threshold, used=used, most=most,
            whom=whom_in(cipher, subject, label),
        )
        for (number, at, what, subject, threshold, used, most), label in zip(found, labels, strict=True)
    ]  # fmt: skip
    more = shown[-1].number if len(shown) == PAGE else None
    return Response(_encode(schemas.Warnings(warnings=shown, next=more)), headers=NO_STORE)


async def usage(worker: Worker, request: Request) -> Response:
    """GET /v1/usage"""
    query = query_of(request)
    tenant, month = request.known_caller.tenant, query.get("month") or _this_month(worker)
    after = _place(query["after"]) if "after" in query else None
    page = await worker.recorder.query("metered", tenant, month, after, METERED)
    cipher = worker.cipher_of(tenant)
    currency = (await _newest_tariff(worker, tenant)).currency
    lines = [
        schemas.UsageLine(
            kind=row[0], event=row[1], application=row[2], whom=label_of(cipher, row[3], row[9]), party=row[3],
            currency=row[4], tariff=row[5], count=row[6], amount=_money(row[7], row[4]), fee=_money(row[8], currency),
            billed=row[10], billed_fee=_money(row[12], currency),
        )
        for row in page
    ]  # fmt: skip
    more = None if len(page) < METERED else _unbroken(page[-1][:6])
    return Response(_encode(schemas.Usage(month=month, lines=lines, next=more)), headers=NO_STORE)


async def fees(worker: Worker, request: Request) -> Response:
    """GET /v1/fees"""
    query = query_of(request)
    month = query.get("month") or _this_month(worker)
    found = await open_bill(worker, request.known_caller.tenant, month, query.get("party"))
    return Response(_encode(found.fees), headers=NO_STORE)


async def tariffs(worker: Worker, request: Request) -> Response:
    """GET /v1/tariffs"""
    found = await worker.recorder.query("letter_terms", request.known_caller.tenant)
    versions = [
        schemas.TariffVersion(version=version, since=since, document=document.decode())
        for form, version, since, document in found
        if form == "tariff"
    ]
    return Response(_encode(schemas.Tariffs(tariffs=versions)), headers=NO_STORE)


async def metered_lines(recorder: Reader, tenant: str, month: str) -> AsyncIterator[list[Any]]:
    """The lines of a month, as the recorder's query `metered` has them, read page by page: others are
    answered between."""
    after: list[Any] | None = None
    while page := await recorder.query("metered", tenant, month, after, METERED):
        for row in page:
            yield row
        after = page[-1][:6]


class _Place(msgspec.Struct, frozen=True, array_like=True):
    """The members of a line by which it is found again."""

    kind: str
    event: str
    application: str
    whom: str
    currency: str
    tariff: Annotated[int, msgspec.Meta(ge=0, lt=1 << 31)]


def _unbroken(place: list[Any]) -> str:
    """As `next` of a page."""
    return to_base64url(_encode(place))


def _place(text: str) -> list[Any]:
    """Raises BadRequest for what was `next` of no page."""
    try:
        content = from_base64url(text)
        return list(msgspec.structs.astuple(msgspec.json.decode(content, type=_Place)))
    except (ValueError, UnicodeDecodeError):  # binascii's and msgspec's are such
        raise BadRequest("after is `next` of the page before") from None


class OpenBill(NamedTuple):
    """What costs something and stands in no bill yet."""

    fees: schemas.Fees
    units: list[tuple[int, int]]
    """(amount, fee) of each line: sums, which no text of an amount need hold."""
    later: bool
    """Whether a bill of the month took something already."""


async def open_bill(worker: Worker, tenant: str, month: str, party: str | None, most: int | None = None) -> OpenBill:
    """`party`: only what was metered for this one. `most`: of lines; then no more either than one amount can say."""
    cipher = worker.cipher_of(tenant)
    file = await _newest_file(worker, tenant)
    currency = file.currency if file is not None else ""
    titles = {} if file is None else {(fee.kind, fee.event): fee.title for fee in file.fees}
    lines: list[schemas.BillLine] = []
    units: list[tuple[int, int]] = []
    total, later = 0, False
    async for row in metered_lines(worker.recorder, tenant, month):
        later = later or bool(row[10] and (party is None or row[3] == party))
        count, amount, fee = row[6] - row[10], row[7] - row[11], row[8] - row[12]
        if not count or not row[5] or (party is not None and row[3] != party) or not row[8]:
            continue
        if most is not None and lines and (len(lines) >= most or total + fee >= MOST):
            continue
        total += fee
        units.append((amount, fee))
        lines.append(
            schemas.BillLine(
                kind=row[0], event=row[1], application=row[2], whom=label_of(cipher, row[3], row[9]), party=row[3],
                currency=row[4], tariff=row[5], title=titles.get((row[0], row[1]), f"{row[0]} {row[1]}"), count=count,
                amount=_money(amount, row[4]), fee=_money(fee, currency), before=row[10],
            )
        )  # fmt: skip
    count = sum(line.count for line in lines)
    fees = schemas.Fees(month=month, currency=currency, lines=lines, count=count, total=_money(total, currency))
    return OpenBill(fees, units, later)


def label_of(cipher: BodyCipher, whom: str, label: bytes) -> str:
    """Whom a count is of, in words; empty: nobody."""
    return cipher.open_bytes(LABEL + bytes.fromhex(whom), label).decode() if whom else ""


def whom_in(cipher: BodyCipher, subject: str, label: bytes) -> str:
    """Whom a notice is about, in words; the beginning of the hash where the label is gone. Empty: nobody."""
    tally = tally_of(subject)
    if tally is None or not tally.whom:
        return ""
    try:
        return cipher.open_bytes(LABEL + bytes.fromhex(tally.whom), label).decode()
    except (BodyDamaged, ValueError):
        return tally.whom[:12]


async def _counter(
    worker: Worker, tenant: str, counter: str, periods: dict[str, tuple[str, str]], most: int, of: str | None
) -> schemas.CounterLimit:
    quota, _, currency = counter.rpartition("/")
    period, zone = periods.get(quota, ("", "+00:00"))
    runs = window(period, rfc3339(worker.clock.read().time_us), zone)
    found: list[Any] = await worker.recorder.query("counter", tenant, counter, runs, SHOWN)
    whole = most
    if of is not None:
        (whole,) = await worker.recorder.query("counter_amount", tenant, [f"{of}/{runs}/"])
    cipher = worker.cipher_of(tenant)
    return schemas.CounterLimit(
        counter=quota,
        currency=currency,
        window=runs,
        rule="limit" if of is None else "share",
        most=_money(most, currency) if of is None else print_percent(most),
        of=None if of is None else of.rpartition("/")[0],
        uses=[
            schemas.CounterUse(
                whom=label_of(cipher, whom, label),
                used=_money(amount, currency),
                share=print_percent(amount * WHOLE // whole) if whole else None,
            )
            for whom, amount, label in found
        ],
    )


def _periods(worker: Worker, tenant: str) -> dict[str, tuple[str, str]]:
    """(period, zone) by counter."""
    kinds: list[Kind] = [one.kind for one in worker.kinds.all_newest(tenant)]
    return {counter: (quota.period, kind.zone) for kind in kinds for counter, quota in kind.counters.items()}


async def _newest_file(worker: Worker, tenant: str) -> TariffFile | None:
    found = await worker.recorder.query("letter_terms", tenant)
    files = [document for form, _, _, document in found if form == "tariff"]
    return read_tariff_file(files[-1]) if files else None


async def _newest_tariff(worker: Worker, tenant: str) -> Tariff:
    file = await _newest_file(worker, tenant)
    return Tariff() if file is None else compile_tariff(file)


def _money(units: int, currency: str) -> str:
    return print_amount(units, currency) if currency else str(units)


def _this_month(worker: Worker) -> str:
    return rfc3339(worker.clock.read().time_us)[:7]
