"""The calls of the message gateway, as appliance.client.calls has the others. No I/O."""

from __future__ import annotations

from urllib.parse import quote

from appliance.client.calls import Call, json_answer, raw_answer
from appliance.gateway import MEDIA, PartnerSheet
from appliance.gateway.formats import Format


def gateway_sheet(partner: str) -> Call[PartnerSheet]:
    """What a partner needs to know to write messages and read answers."""
    return Call("GET", f"/v1/gateway/{quote(partner, safe='')}", json_answer(PartnerSheet))


def gateway_message(partner: str, message: bytes, format: Format) -> Call[bytes]:
    """A partner's message (appliance.gateway.write_message), answered with a message (open_answer). The same one again
    is answered with the same bytes."""
    path = f"/v1/gateway/{quote(partner, safe='')}"
    return Call("POST", path, raw_answer, message, {"content-type": MEDIA[format]})
