"""The words of these tests: the books that callers keep, and a token that can be made to fail."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from hsm import Pkcs11Uri
from hsm.testing.forwarder import Forwarder
from hsm.testing.softhsm import ThrowawayToken

P256 = "ecdsa-p256-sha256"


@dataclass
class Books:
    """What the callers of hsm count."""

    calls: int = 0
    drops: list[str] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def call(self) -> None:
        with self.guard:
            self.calls += 1

    def drop(self, reason: str) -> None:
        with self.guard:
            self.drops.append(reason)

    def balanced(self, signatures: int) -> bool:
        """Whether every counted call is a signature that somebody got, or a drop with a reason."""
        return self.calls == signatures + len(self.drops)


@dataclass
class Faulty:
    """A token behind the forwarder, with one P-256 key that is made for backup or not."""

    forwarder: Forwarder
    throwaway: ThrowawayToken
    key: Pkcs11Uri
