"""The anchorer's side of the log follower's signing desk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from appliance.calls.client import CallClient
from appliance.errors import Unavailable
from appliance.log.ledgers import Request

PATIENCE_SECONDS: Final = 30.0
"""A token may be slow; the desk's bounds are not."""


class DeskUnavailable(Unavailable):
    """The log follower does not answer, or has no token for the account now."""

    code = "ledger-desk-unavailable"
    title = "The log follower does not sign now"


class DeskConnection(CallClient):
    """One connection, not for several threads."""

    unavailable = DeskUnavailable
    patience = PATIENCE_SECONDS


class DeskClient:
    """A connection for each call: the follower may be restarted at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def sign(self, request: Request) -> bytes:
        """The raw signed transaction. Raises RequestRefused, Unavailable."""
        raw: bytes = await asyncio.to_thread(self._call, "sign", request)
        return raw

    async def account(self, ledger: str) -> bytes:
        """The public key of the ledger's account, compressed, 33 bytes. Raises NotFound, Unavailable."""
        key: bytes = await asyncio.to_thread(self._call, "account", ledger)
        return key

    def _call(self, method: str, *arguments: object) -> Any:
        with DeskConnection(self._path) as client:
            return client.call(method, *arguments)
