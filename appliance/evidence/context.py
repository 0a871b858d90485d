"""What every judgement needs beside the object itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from appliance.anchors.profile import LedgerProfile
from appliance.evidence.certificates import Certificate
from appliance.evidence.revocation import RevocationWord
from appliance.evidence.strength import Relied
from appliance.evidence.trust import TrustBundle

if TYPE_CHECKING:
    from appliance.ceremonies.constitution import Constitution


@dataclass(frozen=True)
class Context:
    """Trust, helpers and the time of validation: the same for all files of one call."""

    trust: TrustBundle
    lists: Sequence[RevocationWord]
    """Revocation lists of the bundle and of the files, and OCSP answers of evidence files."""
    others: Sequence[Certificate]
    """Certificates given as files: helpers, never anchors."""
    now_us: int
    nonce: int | None = None
    """What every stamp given as a file must answer."""
    constitutions: Mapping[str, Constitution] = field(default_factory=dict)
    """By their SHA-256: versions that record bundles among the files lead to from the founding that is trusted."""
    digests: frozenset[str] = frozenset()
    """SHA-256 that were given by hand, hexadecimal: what the verifier knows from elsewhere."""
    ledgers: Mapping[str, LedgerProfile] = field(default_factory=dict)
    """What is trusted of ledgers, by name: the trust bundle's, and those given by hand."""

    def relied(self, shown_us: int | None = None) -> Relied:
        """For what something relies on that is shown to have existed by a time; None: by nothing but now."""
        return Relied(self.trust.algorithms, self.now_us, shown_us)
