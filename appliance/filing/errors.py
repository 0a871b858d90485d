"""Why an adapter is not sound, or a filing has no answer yet."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, Unavailable


class AdapterRefused(BadRequest):
    """An adapter's file breaks its schema, or does not go with its kind or the box's settings; the detail has it."""

    code = "adapter-refused"
    status = 422
    title = "The adapter is not sound"


class NotAnswered(Unavailable):
    """The authority did not answer, or not with a receipt. It is asked again."""

    code = "authority-not-answering"
    title = "The authority has not answered"


class ReceiptRefused(CinnabarError):
    """What came back is not the authority's receipt for this filing: it is not believed, and asked for again."""

    code = "receipt-refused"
    status = 502
    title = "This is not the authority's receipt"
