"""The table of endpoints of intake runs."""

from __future__ import annotations

from typing import Final

from appliance.api.endpoint_errors import SIGNING
from appliance.api.endpoints import (
    APPLICATIONS,
    MEDIA_BYTES,
    MEDIA_CSV,
    MEDIA_JSON,
    MEDIA_NDJSON,
    Answer,
    Body,
    Endpoint,
    Parameter,
    json_limit,
)
from appliance.api.errors import NotPermitted
from appliance.api.intakes.endpoints import (
    intake,
    intake_file,
    intake_page,
    intake_result,
    intake_resume,
    intake_stop,
    intake_verdicts,
    intakes,
)
from appliance.api.intakes.schemas import Intake, IntakePage, IntakeRequest, RowVerdicts
from appliance.api.tables import HOW
from appliance.box.settings import LimitSettings
from appliance.box.states import Work
from appliance.errors import NotAuthorised, NotFound
from appliance.intake import IntakeRefused
from appliance.letters.errors import KindUnknown
from appliance.recorder.errors import Busy, IntakeMoved, OutcomeUnknown, QuotaExceeded, ReadOnly, RecorderUnavailable

_RUN: Final = Parameter("id", "[0-9a-f]{32}", "Id of a run.", "0" * 32)
_AFTER: Final = Parameter("after", "0|[1-9][0-9]{0,8}", "`next` of the page before.", "1000")
_READING: Final = (NotFound, RecorderUnavailable)
_CHANGING: Final = (*_READING, NotAuthorised, NotPermitted, IntakeMoved, OutcomeUnknown, ReadOnly)


def _document(limits: LimitSettings) -> int:
    return limits.document


_ONE: Final = (Answer(200, "The run.", (Body(MEDIA_JSON, Intake),)),)

INTAKES: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/v1/intakes",
        listeners=APPLICATIONS,
        handler=intakes,
        summary="Begin the intake of a file of rows",
        description=(
            "Each row begins a letter, or is an event of one that it names. The file itself follows by `PUT`; once it "
            "has come whole, the box reads it through and decides row by row. An application has at most 16 unfinished "
            "runs. See docs/intake.md."
        ),
        work=Work.SIGN,
        takes=(Body(MEDIA_JSON, IntakeRequest),),
        limit=json_limit,
        answers=_ONE,
        errors=(*SIGNING, KindUnknown, IntakeRefused, Busy),
        idempotent=True,
    ),
    Endpoint(
        method="PUT",
        path="/v1/intakes/{id}/file",
        listeners=APPLICATIONS,
        handler=intake_file,
        summary="Send a part of a run's file",
        description=(
            "Parts come in order; `received` of the run says where the next one begins. One that came before is "
            "answered as it was."
        ),
        work=Work.SIGN,
        parameters=(_RUN,),
        query=(Parameter("from", "0|[1-9][0-9]{0,9}", "Bytes of the file before this part.", "0"),),
        takes=(Body(MEDIA_BYTES, None, "bytes of the file"),),
        limit=_document,
        answers=_ONE,
        errors=(*_CHANGING, QuotaExceeded),
    ),
    Endpoint(
        method="GET",
        path="/v1/intakes",
        listeners=APPLICATIONS,
        handler=intake_page,
        summary="The tenant's intake runs, the newest first",
        work=Work.READ,
        query=(Parameter("after", "[0-9a-f]{32}", "The last run of the page before.", "0" * 32),),
        answers=(Answer(200, "A page.", (Body(MEDIA_JSON, IntakePage),)),),
        errors=_READING,
    ),
    Endpoint(
        method="GET",
        path="/v1/intakes/{id}",
        listeners=APPLICATIONS,
        handler=intake,
        summary="An intake run as it stands",
        work=Work.READ,
        parameters=(_RUN,),
        answers=_ONE,
        errors=_READING,
    ),
    Endpoint(
        method="GET",
        path="/v1/intakes/{id}/verdicts",
        listeners=APPLICATIONS,
        handler=intake_verdicts,
        summary="What became of a run's rows",
        description="In the order of the rows, at most 1,000 of them, also while the run goes on.",
        work=Work.READ,
        parameters=(_RUN,),
        query=(_AFTER, Parameter("only", "accepted|duplicate|refused", "Only these verdicts.", "refused")),
        answers=(Answer(200, "Verdicts.", (Body(MEDIA_JSON, RowVerdicts),)),),
        errors=_READING,
    ),
    Endpoint(
        method="GET",
        path="/v1/intakes/{id}/result",
        listeners=APPLICATIONS,
        handler=intake_result,
        summary="The verdicts of a run as a file",
        description=f"At most 20,000 rows at once. {HOW}",
        work=Work.READ,
        parameters=(_RUN,),
        query=(_AFTER,),
        answers=(Answer(200, "Verdicts.", (Body(MEDIA_NDJSON), Body(MEDIA_CSV))),),
        errors=_READING,
    ),
    Endpoint(
        method="POST",
        path="/v1/intakes/{id}/stop",
        listeners=APPLICATIONS,
        handler=intake_stop,
        summary="Stop an intake run",
        description="What is decided stays. By the application that began it.",
        work=Work.SIGN,
        parameters=(_RUN,),
        answers=_ONE,
        errors=_CHANGING,
    ),
    Endpoint(
        method="POST",
        path="/v1/intakes/{id}/resume",
        listeners=APPLICATIONS,
        handler=intake_resume,
        summary="Have a stopped run go on",
        description="At its first undecided row. By the application that began it.",
        work=Work.SIGN,
        parameters=(_RUN,),
        answers=_ONE,
        errors=_CHANGING,
    ),
)
