"""What the page setter does not do itself."""

from __future__ import annotations

from appliance.pdf.errors import PdfRefused


class BeyondSetter(PdfRefused):
    """The setter does not know how to set this: typst does."""
