"""What a key and a tenant may still do, asked right before a signature is made (control QUORUM).

What the register says of keys is looked up at every signature, so that an officer's word acts on open connections. The
recorder judges again, and counts, when the record is written; what it has refused for want of room is remembered here,
so that a tenant beyond its quota does not use up the HSM for signatures that are dropped.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from appliance.recorder.errors import KeyExhausted, KeyExpired, KeyStopped, QuotaExceeded
from appliance.recorder.limits import check_key
from appliance.recorder.messages import Idempotency, KeyEntry, Register

if TYPE_CHECKING:
    from appliance.api.callers import Caller
    from appliance.recorder import RecorderClient

_DAY_S = 86_400


class Gates:
    """Asked before each signature. `update` takes each register that the recorder pushes."""

    def __init__(self) -> None:
        self._keys: dict[tuple[str, str], KeyEntry] = {}
        self._full: dict[tuple[str, str], tuple[int, KeyExhausted | QuotaExceeded]] = {}
        """By tenant and key: the day on which there was no room for one more signature, and why."""

    def update(self, register: Register) -> None:
        """Replace all; limits and quotas may be others now."""
        self._keys = {(entry.tenant, entry.key): entry for entry in register.keys}
        self._full.clear()

    def check(self, caller: Caller, key: str) -> None:
        """Raises KeyStopped, KeyExpired, NotAuthorised."""
        entry = self._keys.get((caller.tenant, key))
        if entry is not None:
            check_key(entry, caller.application, time.time())

    def check_veiling(self, tenant: str, key: str) -> None:
        """Whether anything new is veiled to a release key. Raises KeyStopped, KeyExpired."""
        entry = self._keys.get((tenant, key))
        if entry is None:
            return
        if entry.state != "active":
            raise KeyStopped(f"the release key {key} is {entry.state}: nothing is veiled to it any more")
        if entry.until is not None and time.time() > entry.until:
            raise KeyExpired(f"the release key {key} is over: nothing is veiled to it any more")

    def check_opening(self, tenant: str, key: str) -> None:
        """Whether what was veiled to a release key is opened: also when it is over or followed by another one, and not
        while it is suspended. Raises KeyStopped."""
        entry = self._keys.get((tenant, key))
        if entry is not None and entry.state == "suspended":
            raise KeyStopped(f"the release key {key} is suspended")

    async def check_room(
        self, recorder: RecorderClient, caller: Caller, key: str, idempotency: Idempotency | None = None
    ) -> None:
        """As `check`, and whether there was room for a signature when this worker last tried.

        A request that was answered before is answered again all the same. Raises KeyExhausted, QuotaExceeded too."""
        self.check(caller, key)
        if not self._full:
            return
        day, error = self._full.get((caller.tenant, key), (0, None))
        if error is None or (isinstance(error, QuotaExceeded) and day != int(time.time()) // _DAY_S):
            return
        if idempotency is not None and await recorder.query(
            "key_known", caller.tenant, caller.application, idempotency.key
        ):
            return
        raise type(error)(str(error))

    def learn(self, tenant: str, keys: list[str], error: Exception) -> None:
        """What the recorder refused signatures of these keys with."""
        if isinstance(error, KeyExhausted | QuotaExceeded) and error.left == 0 and len(set(keys)) == 1:
            self._full[(tenant, keys[0])] = (int(time.time()) // _DAY_S, error)
