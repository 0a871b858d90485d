"""The endpoints of the message gateway."""

from __future__ import annotations

from typing import Final

from appliance.api.application import TokenUnavailable
from appliance.api.bodies import BodyDamaged
from appliance.api.endpoint_errors import SIGNING
from appliance.api.endpoints import APPLICATIONS, MEDIA_JSON, Answer, Body, Endpoint, Parameter, json_limit
from appliance.api.errors import NotPermitted, UnsupportedMediaType
from appliance.api.gateway.endpoints import gateway_message, gateway_sheet
from appliance.box.states import Work
from appliance.errors import NotFound
from appliance.gateway import MEDIA, MessageOutOfTime, MessageRefused
from appliance.gateway.sheet import PartnerSheet
from appliance.recorder.errors import MessageReplayed

_PARTNER = Parameter("partner", "[a-z0-9-]{1,56}", "The partner, as the tenant's officers named it.", "srm")
_ENVELOPE = "A message: data, encrypt, nonceStr, timeStamp, sign"
_JOSE = "A message: a JWS over a JWE, compact"

GATEWAY: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="POST",
        path="/v1/gateway/{partner}",
        listeners=APPLICATIONS,
        handler=gateway_message,
        summary="A partner's message, and its answer",
        description=(
            "Signed and encrypted both ways, as docs/gateway.md has it. What the call in it is answered, refusals "
            "included, stands in the answer; the same message is answered with the same bytes for a day. Of an "
            "application with a permission `partner-NAME`, which may call nothing else."
        ),
        work=Work.SIGN,
        parameters=(_PARTNER,),
        takes=(Body(MEDIA["envelope"], None, _ENVELOPE), Body(MEDIA["jose"], None, _JOSE)),
        limit=json_limit,
        answers=(Answer(200, "The answer.", (Body(MEDIA["envelope"], None), Body(MEDIA["jose"], None))),),
        errors=(
            NotFound,
            UnsupportedMediaType,
            MessageRefused,
            MessageOutOfTime,
            MessageReplayed,
            BodyDamaged,
            *SIGNING,
        ),
        for_partners=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/gateway/{partner}",
        listeners=APPLICATIONS,
        handler=gateway_sheet,
        summary="What a partner needs to know to write messages",
        work=Work.READ,
        parameters=(_PARTNER,),
        answers=(Answer(200, "Names, keys, algorithms.", (Body(MEDIA_JSON, PartnerSheet),)),),
        errors=(NotFound, NotPermitted, TokenUnavailable),
        for_partners=True,
    ),
)
