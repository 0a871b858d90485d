"""The endpoint of questions to registers."""

from __future__ import annotations

from typing import Final

from appliance.api.endpoint_errors import STAMPING
from appliance.api.endpoints import APPLICATIONS, Answer, Endpoint, json_limit, json_of
from appliance.api.letters.asking import RegisterQuestion, RegisterTold, questions
from appliance.box.states import Work
from appliance.letters.errors import FieldRefused, KindUnknown, RoleMissing
from appliance.recorder.errors import TallyExceeded
from appliance.seals import CertificateNotValid

ASKING: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/v1/questions",
        listeners=APPLICATIONS,
        handler=questions,
        summary="Ask whether something is used, or so much of it left, without using it",
        description=(
            "Answers what trying would: whether a letter with these values would be taken now. How much is left is "
            "told of the tenant's own registers only. Each question is counted, and leaves a sealed answer in the log."
        ),
        work=Work.SIGN,
        takes=json_of(RegisterQuestion),
        limit=json_limit,
        answers=(Answer(200, "The answer.", json_of(RegisterTold)),),
        errors=(*STAMPING, CertificateNotValid, KindUnknown, FieldRefused, RoleMissing, TallyExceeded),
    ),
)
