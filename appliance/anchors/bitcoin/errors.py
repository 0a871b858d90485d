"""What cannot be read as the Bitcoin family writes it."""

from __future__ import annotations

from appliance.errors import BadRequest


class MalformedBitcoin(BadRequest):
    """Bytes or text that are no transaction, header, branch or address of the Bitcoin family."""

    code = "malformed-bitcoin"
    title = "The bytes are not in the form of the Bitcoin family"
