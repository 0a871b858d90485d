"""What the follower needs of the recorder."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

RowKind = Literal["checkpoint", "receipt", "box-leaf", "chain-transaction"]


class RecordedHead(NamedTuple):
    """The newest recorded checkpoint of a log. `time`: microseconds since the epoch."""

    size: int
    root: bytes
    time: int


class HousekeepingRow(NamedTuple):
    """A signature that the box made for itself, see appliance.recorder.messages.Housekeeping."""

    number: int
    kind: str
    key: str
    time: int
    subject: str
    body: bytes


class Records(Protocol):
    """The records of a box, as its logs see them. `log` is a tenant's name or appliance.recorder.messages.BOX_LOG."""

    async def leaves(self, log: str, first: int, limit: int) -> bytes:
        """Commitments of leaves [first, first + limit), as many as there are, packed, 32 bytes each."""

    async def head(self, origin: str) -> RecordedHead | None: ...

    async def record(self, kind: RowKind, key: str, time: int, subject: str, body: bytes) -> None:
        """Make a housekeeping row durable. Raises the typed error of a refusal (control FORK for a second history)."""

    async def housekeeping(self, after: int, limit: int) -> list[HousekeepingRow]:
        """Housekeeping rows numbered above `after`, in order."""

    async def totals(self) -> dict[str, int]:
        """Over all runs: signatures (calls of C_Sign), rows (signatures on disk), drops."""
