"""Why limits or tariffs are refused."""

from __future__ import annotations

from appliance.errors import BadRequest


class LimitsRefused(BadRequest):
    """A file of limits or tariffs breaks its schema, contradicts itself or the tenant's kinds; the detail names it."""

    code = "limits-refused"
    status = 422
    title = "The limits are not sound"
