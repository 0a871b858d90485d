"""What the anchorer answers on its socket: its ledgers, their anchors and receipts; and a request for an anchor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from appliance.anchorer.outbox import Anchor, Outbox
from appliance.anchorer.running import LedgerRunner
from appliance.anchorer.views import AnchorView, LedgerView, anchor_view
from appliance.box.settings import BoxSettings
from appliance.calls.server import Method
from appliance.errors import NotFound

Number = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Limit = Annotated[int, msgspec.Meta(ge=1, le=200)]


class Methods:
    """Over one outbox. `troubles`: why ledgers of box.json that no runner works on are not worked on."""

    def __init__(
        self, settings: BoxSettings, outbox: Outbox, runners: Mapping[str, LedgerRunner], troubles: Mapping[str, str]
    ) -> None:
        self._settings = {one.name: one for one in settings.ledgers}
        self._outbox = outbox
        self._runners = runners
        self._troubles = troubles

    def table(self) -> dict[str, Method]:
        return {
            "ledgers": self.ledgers,
            "anchors": self.anchors,
            "anchor": self.anchor,
            "receipt": self.receipt,
            "covering": self.covering,
            "now": self.now,
        }

    async def ledgers(self) -> list[LedgerView]:
        """Every ledger of box.json, then every other one that anything was anchored on."""
        removed = [name for name in self._outbox.ledgers() if name not in self._settings]
        return [self._ledger(name) for name in (*self._settings, *removed)]

    def _ledger(self, name: str) -> LedgerView:
        settings = self._settings.get(name)
        runner = self._runners.get(name)
        return LedgerView(
            name=name,
            type="" if settings is None else str(settings.__struct_config__.tag),
            configured=settings is not None,
            caveat="" if settings is None else settings.caveat,
            trouble=self._troubles.get(name, "") if runner is None else runner.trouble,
            begun=runner is not None,
            open=len(self._outbox.open_anchors(name)),
            newest=self._view(self._outbox.newest(name)),
            final=self._view(self._outbox.last_final(name)),
        )

    async def anchors(self, ledger: str, before: Number | None, limit: Limit) -> list[AnchorView]:
        """Newest first, with numbers below `before`. Raises NotFound for a ledger that box.json does not list and that
        nothing was ever anchored on."""
        self._ever_known(ledger)
        return [
            anchor_view(one, self._outbox.steps(ledger, one.number))
            for one in self._outbox.anchors(ledger, before, limit)
        ]

    async def anchor(self, ledger: str, number: Number) -> AnchorView:
        self._ever_known(ledger)
        found = self._outbox.anchor(ledger, number)
        return anchor_view(found, self._outbox.steps(ledger, number))

    async def receipt(self, ledger: str, number: Number) -> bytes:
        """Of a final anchor, encoded."""
        self._ever_known(ledger)
        return self._outbox.receipt(ledger, number)

    async def covering(self, size: Number, origin: str) -> list[tuple[AnchorView, bytes]]:
        """Of each ledger, also one that is no longer used, the first final anchor of a head of this log with so many
        leaves or more, with its receipt."""
        found = [self._outbox.covering(name, size, origin) for name in self._outbox.ledgers()]
        return [
            (anchor_view(one, self._outbox.steps(one.ledger, one.number)), self._outbox.receipt(one.ledger, one.number))
            for one in found
            if one is not None
        ]

    async def now(self, ledger: str) -> None:
        """Anchor the newest head as soon as may be, if it is not yet."""
        self._known(ledger)
        if ledger not in self._runners:
            raise NotFound(f"{ledger} is not worked on: {self._troubles[ledger]}")
        self._runners[ledger].request()

    def _known(self, ledger: str) -> None:
        if ledger not in self._settings:
            listed = ", ".join(self._settings) or "none"
            raise NotFound(f"there is no ledger {ledger[:64]!r}; box.json lists {listed}")

    def _ever_known(self, ledger: str) -> None:
        """Anchors on a ledger that is no longer used stay to be seen."""
        if ledger not in self._outbox.ledgers():
            self._known(ledger)

    def _view(self, anchor: Anchor | None) -> AnchorView | None:
        return None if anchor is None else anchor_view(anchor, self._outbox.steps(anchor.ledger, anchor.number))
