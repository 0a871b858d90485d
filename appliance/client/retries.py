"""When to send a request again. A pure decision; the clients only sleep and send."""

from __future__ import annotations

import os
import random
import time
import uuid
from dataclasses import dataclass

from appliance.client.errors import ApiError, Refused, Unreachable

LONGEST_RETRY_AFTER_S = 300.0
"""An answer that asks to wait for longer is not waited for."""


@dataclass(frozen=True)
class RetryPolicy:
    """Up to `attempts` sendings, with pauses that double from `first_s` to `longest_s`, shortened at random by up to
    half so that many clients do not come back in one instant."""

    attempts: int = 6
    first_s: float = 0.1
    longest_s: float = 5.0

    def pause(self, attempt: int, error: ApiError, repeatable: bool, retry_after_s: float | None) -> float | None:
        """Seconds to wait before sending again after the `attempt`-th failure (from 1), or None to give up.

        `repeatable`: the request may safely be sent twice: it only reads, or carries an Idempotency-Key.
        """
        if attempt >= self.attempts or not repeatable:
            return None
        if not isinstance(error, Unreachable) and not (isinstance(error, Refused) and error.retriable):
            return None
        if retry_after_s is not None and retry_after_s > LONGEST_RETRY_AFTER_S:
            return None  # a quota, say: it is tomorrow's work, and the caller's to decide
        pause = min(self.first_s * 2 ** (attempt - 1), self.longest_s)
        if retry_after_s is not None and isinstance(error, Refused):
            pause = max(pause, min(retry_after_s, self.longest_s))
        shortened: float = pause * (1 - random.random() / 2)  # noqa: S311 - spreads load, guards nothing
        return shortened


def new_idempotency_key() -> str:
    """A UUIDv7 (RFC 9562, section 5.7): 48 bits of milliseconds since the epoch, then 74 random bits."""
    random_bits = int.from_bytes(os.urandom(10), "big")
    value = (time.time_ns() // 1_000_000) << 80 | 7 << 76 | (random_bits >> 68 & 0xFFF) << 64
    value |= 0b10 << 62 | random_bits & ((1 << 62) - 1)
    return str(uuid.UUID(int=value))
