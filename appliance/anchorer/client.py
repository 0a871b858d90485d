"""The anchorer as its callers, API workers, the audit process, the management service and the command line, see it."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import msgspec

from appliance.anchorer.views import AnchorView, LedgerView
from appliance.calls.client import CallClient
from appliance.errors import Unavailable

_Found = TypeVar("_Found")


class AnchorerUnavailable(Unavailable):
    """The anchorer does not answer."""

    code = "anchorer-unavailable"
    title = "The anchorer does not answer now"


class AnchorerClient(CallClient):
    """One connection; a context manager, not for several threads. Every method raises AnchorerUnavailable."""

    unavailable = AnchorerUnavailable
    patience: ClassVar[float] = 5.0
    dripping: ClassVar[bool] = False

    def ledgers(self) -> list[LedgerView]:
        """Every ledger of box.json, and every other one that anything was anchored on."""
        return self._asked(list[LedgerView], "ledgers")

    def anchors(self, ledger: str, before: int | None = None, limit: int = 50) -> list[AnchorView]:
        """Newest first, with numbers below `before`. Raises NotFound."""
        return self._asked(list[AnchorView], "anchors", ledger, before, limit)

    def anchor(self, ledger: str, number: int) -> AnchorView:
        """Raises NotFound."""
        return self._asked(AnchorView, "anchor", ledger, number)

    def receipt(self, ledger: str, number: int) -> bytes:
        """Of a final anchor, encoded. Raises NotFound."""
        return self._asked(bytes, "receipt", ledger, number)

    def covering(self, size: int, origin: str) -> list[tuple[AnchorView, bytes]]:
        """Of each ledger the first final anchor of a head of this log with so many leaves or more, with its receipt."""
        return self._asked(list[tuple[AnchorView, bytes]], "covering", size, origin)

    def now(self, ledger: str) -> None:
        """Anchor the newest head as soon as may be. Raises NotFound."""
        self.call("now", ledger)

    def _asked(self, form: type[_Found], method: str, *arguments: object) -> _Found:
        """An answer of that form: one of another is none."""
        try:
            return msgspec.convert(self.call(method, *arguments), form)
        except msgspec.ValidationError as error:
            raise AnchorerUnavailable(f"its answer is of another form: {error}") from None
