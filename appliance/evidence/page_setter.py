"""Letters' pages, set again as document workers set them: what `cinnabar verify` hands down to the verifier."""

from __future__ import annotations

from appliance.evidence.letters.pages import PageNotSet
from appliance.pdf import LetterPage, Rendering


def set_page(page: LetterPage, event: bytes, rendering: Rendering) -> bytes:
    """As appliance.evidence.letters.pages.SetPage asks. Raises PageNotSet where what sets pages is not installed."""
    try:
        from appliance.documents.contracts import RenderLetterRequest  # noqa: PLC0415 - the verifier alone lacks these
        from appliance.documents.letters import render_letter  # noqa: PLC0415
    except ImportError:
        raise PageNotSet("it needs typst and segno: pip install 'cinnabar[appliance]'") from None
    return render_letter(
        RenderLetterRequest(
            data=page.json(), time_s=rendering.time_s, attachment=event, qr=page.verify or None,
            template_digest=rendering.template_digest, creator=rendering.creator,
        )
    )  # fmt: skip
