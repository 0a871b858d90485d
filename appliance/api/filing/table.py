"""The endpoint of filings."""

from __future__ import annotations

from typing import Final

from appliance.api.bodies import BodyDamaged
from appliance.api.endpoints import APPLICATIONS, MEDIA_CSV, MEDIA_NDJSON, Answer, Body, Endpoint, Parameter
from appliance.api.filing.endpoints import Filing, filings
from appliance.api.tables import HOW
from appliance.box.states import Work
from appliance.recorder.errors import RecorderUnavailable

_NAME = "[a-z][a-z0-9_-]{0,62}"

FILINGS: Final[tuple[Endpoint, ...]] = (
    Endpoint(
        method="GET",
        path="/v1/filings",
        listeners=APPLICATIONS,
        handler=filings,
        summary="Letters that adapters file with authorities, and what was answered",
        description=f"The newest first, at most 50 at once. {HOW} See docs/filing.md.",
        work=Work.READ,
        query=(
            Parameter("kind", _NAME, "Of which kind; that of the first adapter if left out.", "outbound-filing"),
            Parameter("state", _NAME, "In which state.", "submitted"),
            Parameter("after", "[0-9a-f]{32}", "The part before's `Cinnabar-Next`.", "0" * 32),
        ),
        answers=(Answer(200, "Filings.", (Body(MEDIA_NDJSON, Filing), Body(MEDIA_CSV))),),
        errors=(RecorderUnavailable, BodyDamaged),
    ),
)
