"""What every judgement needs beside the object itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.evidence.certificates import Certificate
from appliance.evidence.revocation import RevocationList
from appliance.evidence.trust import TrustBundle


@dataclass(frozen=True)
class Context:
    """Trust, helpers and the time of validation: the same for all files of one call."""

    trust: TrustBundle
    lists: Sequence[RevocationList]
    """Revocation lists of the bundle and of the files."""
    others: Sequence[Certificate]
    """Certificates given as files: helpers, never anchors."""
    now_us: int
    nonce: int | None = None
    """What every stamp given as a file must answer."""
