"""Who is next: tenants take turns, so that one's many documents delay another's by one task at most."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Generic, Protocol, TypeVar

from appliance.documents.errors import DocumentsBusy


class Waiting(Protocol):
    """What stands in the queue."""

    @property
    def tenant(self) -> str: ...

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        ...

    @property
    def since(self) -> float:
        """When it came, monotonic seconds."""
        ...


Item = TypeVar("Item", bound=Waiting)


@dataclass(frozen=True)
class Bounds:
    """How much may wait; one tenant gets a quarter of it."""

    items: int = 256
    bytes: int = 512 * 1024 * 1024

    @property
    def tenant_items(self) -> int:
        return max(1, self.items // 4)

    @property
    def tenant_bytes(self) -> int:
        return self.bytes // 4


class FairQueue(Generic[Item]):
    """First come, first served within a tenant; the tenant served longest ago comes first."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._waiting: dict[str, deque[Item]] = {}
        """In the order of turns: a tenant that is served goes to the end."""
        self._bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def __iter__(self) -> Iterator[Item]:
        return chain.from_iterable(self._waiting.values())

    def add(self, item: Item) -> None:
        """Raises DocumentsBusy, with nothing taken. A tenant's first is taken at any size where there is room."""
        bounds, own = self._bounds, self._waiting.get(item.tenant, ())
        if len(self) >= bounds.items or self._bytes + item.size > bounds.bytes:
            raise DocumentsBusy("Too many documents wait.")
        own_bytes = sum(other.size for other in own)
        if len(own) >= bounds.tenant_items or (own and own_bytes + item.size > bounds.tenant_bytes):
            raise DocumentsBusy("Too many documents of this tenant wait.")
        self._waiting.setdefault(item.tenant, deque()).append(item)
        self._bytes += item.size

    def first_of(self, tenant: str) -> Item | None:
        """What this tenant waits for next; it is not taken."""
        own = self._waiting.get(tenant)
        return own[0] if own else None

    def next_of(self, tenant: str) -> Item | None:
        """This tenant's next item, before its turn."""
        return self.next(self._waiting.keys() - {tenant})

    def next(self, held_back: set[str] | frozenset[str] = frozenset()) -> Item | None:
        """The next item, of none of the tenants `held_back`; None if there is none."""
        for tenant, own in self._waiting.items():
            if tenant in held_back:
                continue
            item = own.popleft()
            self._bytes -= item.size
            del self._waiting[tenant]
            if own:
                self._waiting[tenant] = own
            return item
        return None

    def older_than(self, since: float) -> list[Item]:
        """What waits since before then: monotonic seconds."""
        return [item for item in self if item.since < since]

    def drop(self, unwanted: set[Item]) -> None:
        """Take these out."""
        for tenant, own in list(self._waiting.items()):
            kept = deque(item for item in own if item not in unwanted)
            self._bytes -= sum(item.size for item in own) - sum(item.size for item in kept)
            if kept:
                self._waiting[tenant] = kept
            else:
                del self._waiting[tenant]
