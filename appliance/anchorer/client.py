"""The anchorer as its callers, API workers, the audit process, the management service and the command line, see it."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from appliance.anchorer.views import AnchorView, LedgerView
from appliance.calls.client import CallClient
from appliance.errors import Unavailable


class AnchorerUnavailable(Unavailable):
    """The anchorer does not answer."""

    code = "anchorer-unavailable"
    title = "The anchorer does not answer now"


class AnchorerClient(CallClient):
    """One connection; a context manager, not for several threads. Every method raises AnchorerUnavailable."""

    unavailable = AnchorerUnavailable
    patience: ClassVar[float] = 5.0

    def ledgers(self) -> list[LedgerView]:
        """Every ledger of box.json."""
        return msgspec.convert(self.call("ledgers"), list[LedgerView])

    def anchors(self, ledger: str, before: int | None = None, limit: int = 50) -> list[AnchorView]:
        """Newest first, with numbers below `before`. Raises NotFound."""
        return msgspec.convert(self.call("anchors", ledger, before, limit), list[AnchorView])

    def anchor(self, ledger: str, number: int) -> AnchorView:
        """Raises NotFound."""
        return msgspec.convert(self.call("anchor", ledger, number), AnchorView)

    def receipt(self, ledger: str, number: int) -> bytes:
        """Of a final anchor, encoded. Raises NotFound."""
        receipt: bytes = self.call("receipt", ledger, number)
        return receipt

    def covering(self, size: int, origin: str) -> list[tuple[AnchorView, bytes]]:
        """Of each ledger the first final anchor of a head of this log with so many leaves or more, with its receipt."""
        return msgspec.convert(self.call("covering", size, origin), list[tuple[AnchorView, bytes]])

    def now(self, ledger: str) -> None:
        """Anchor the newest head as soon as may be. Raises NotFound."""
        self.call("now", ledger)
