"""The endpoints of limits, warnings, usage and fees."""

from __future__ import annotations

from typing import Final

from appliance.api.bodies import BodyDamaged
from appliance.api.endpoint_errors import LETTERS
from appliance.api.endpoints import APPLICATIONS, Answer, Endpoint, Parameter, json_limit, json_of
from appliance.api.letters.schemas import LetterAnswer
from appliance.api.limits import billing, reads, schemas
from appliance.box.states import Work
from appliance.clock import TimeNotShown
from appliance.recorder.errors import RecorderUnavailable

_MONTH: Final = Parameter("month", "[0-9]{4}-(0[1-9]|1[0-2])", "A month; this one if left out.", "2026-11")
_READING: Final = (RecorderUnavailable, BodyDamaged, TimeNotShown)

LIMITS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/v1/limits",
        listeners=APPLICATIONS,
        handler=reads.limits,
        summary="The tenant's limits of letters, and what stands under them",
        work=Work.READ,
        answers=(Answer(200, "Limits, their use, and stopped kinds.", json_of(schemas.Limits)),),
        errors=_READING,
    ),
    Endpoint(
        method="GET",
        path="/v1/warnings",
        listeners=APPLICATIONS,
        handler=reads.warnings,
        summary="Early warnings and stops, the newest first",
        description="Each is also a leaf of the tenant's log.",
        work=Work.READ,
        query=(Parameter("before", "[0-9]{1,18}", "`next` of the page before.", "1000"),),
        answers=(Answer(200, "Warnings.", json_of(schemas.Warnings)),),
        errors=(RecorderUnavailable,),
    ),
    Endpoint(
        method="GET",
        path="/v1/usage",
        listeners=APPLICATIONS,
        handler=reads.usage,
        summary="What was metered in a month",
        work=Work.READ,
        query=(_MONTH, Parameter("after", "[A-Za-z0-9_-]{1,1000}", "`next` of the page before.", "WyJxdWVyeSJd")),
        answers=(Answer(200, "Events of letters by kind, event, application and whom.", json_of(schemas.Usage)),),
        errors=_READING,
    ),
    Endpoint(
        method="GET",
        path="/v1/fees",
        listeners=APPLICATIONS,
        handler=reads.fees,
        summary="The bill of a month as it stands",
        description="What costs something and stands in no bill yet.",
        work=Work.READ,
        query=(_MONTH, Parameter("party", "[0-9a-f]{64}", "Only what was metered for this one.", "0" * 64)),
        answers=(Answer(200, "The bill.", json_of(schemas.Fees)),),
        errors=_READING,
    ),
    Endpoint(
        method="POST",
        path="/v1/fees",
        listeners=APPLICATIONS,
        handler=billing.close_bill,
        summary="Close the bill of a month as a sealed letter",
        description=(
            "A letter of kind `fee-bill`; its lines are charged in the transaction that records it, each once. What "
            "comes later is a line of the next bill."
        ),
        work=Work.SIGN,
        takes=json_of(schemas.BillRequest),
        limit=json_limit,
        answers=(Answer(200, "The bill's first event.", json_of(LetterAnswer)),),
        errors=(*LETTERS, BodyDamaged),
        idempotent=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/tariffs",
        listeners=APPLICATIONS,
        handler=reads.tariffs,
        summary="Every version of the tenant's tariff",
        work=Work.READ,
        answers=(Answer(200, "Tariffs, by which a bill is reckoned again.", json_of(schemas.Tariffs)),),
        errors=(RecorderUnavailable,),
    ),
)
