"""Why a PDF is not sealed."""

from __future__ import annotations

from appliance.errors import BadRequest


class PdfRefused(BadRequest):
    """The PDF is not one that may be sealed on this path; the message says what it has or lacks."""

    code = "pdf-refused"
    status = 422
    title = "The PDF cannot be sealed"


class SealDoesNotFit(BadRequest):
    """The CMS is larger than the room that the PDF keeps for it."""

    code = "seal-does-not-fit"
    title = "The seal is larger than its place in the PDF"
