"""What is expected of the logs that are watched: keys and witnesses, given by hand or by a box's trust bundle.

A trust directory is read again at every look, so that a key that was rotated meanwhile is known; a bundle that is older
than one seen, or not signed as the one before it said, is refused (docs/trust.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.errors import CinnabarError
from appliance.evidence.directory import load_trust
from appliance.evidence.trust import TrustBundle
from appliance.log.checkpoint import LogKey
from appliance.log.note import COSIGNATURE_V1, ED25519, VerifierKey
from appliance.monitor.watching import Watched


class NothingExpected(CinnabarError):
    """It is not said by which keys the log is known."""

    code = "nothing-expected"
    title = "It is not known what to expect of the log"


@dataclass(frozen=True)
class Expected:
    """As a person said it."""

    trust: Path | None
    pins: Path
    """Where the highest trust bundle that was seen is kept."""
    origin: str | None
    keys: tuple[VerifierKey, ...] = ()
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int | None = None
    silent_after_s: float = 3_600.0
    idle_after_s: float | None = None

    def watched(self) -> Watched:
        """Raises NothingExpected, TrustRefused."""
        bundle = None if self.trust is None else load_trust(self.trust, self.pins, None)
        origin = self.origin or (self.keys[0].name if self.keys else None)
        if origin is None:
            raise NothingExpected("give the log's --origin, or its --key")
        keys = tuple(LogKey(key) for key in self.keys) or _keys(bundle, origin)
        if not keys or any(key.verifier.type != ED25519 for key in keys):
            raise NothingExpected(f"no key of the log {origin} is given, by --key or by --trust")
        witnesses, quorum = self._policy(bundle, origin)
        return Watched(
            origin,
            keys,
            witnesses=witnesses,
            quorum=quorum,
            silent_after_s=self.silent_after_s,
            idle_after_s=self.idle_after_s,
        )

    def _policy(self, bundle: TrustBundle | None, origin: str) -> tuple[tuple[VerifierKey, ...], int]:
        """The witnesses and how many of them must cosign: all that were given by hand, or as a bundle has it."""
        found: Sequence[VerifierKey] = self.witnesses
        quorum = len(found)
        if not found and bundle is not None and bundle.cosigning is not None:
            rules = bundle.cosigning.get(origin, ())
            if rules:
                found = [key for key in bundle.witnesses if key.name in rules[-1].witnesses]
                quorum = rules[-1].quorum
        elif not found and bundle is not None and bundle.witnesses:
            found, quorum = bundle.witnesses, min(bundle.document.time.witnesses, len(bundle.witnesses))
        if any(key.type != COSIGNATURE_V1 for key in found):
            raise NothingExpected("a witness's key is of type 4 (C2SP tlog-cosignature)")
        wanted = quorum if self.quorum is None else self.quorum
        if wanted > len({key.name for key in found}):
            raise NothingExpected(f"{wanted} of {len(found)} witnesses cannot be")
        return tuple(found), wanted


def _keys(bundle: TrustBundle | None, origin: str) -> tuple[LogKey, ...]:
    return () if bundle is None else tuple(bundle.logs.get(origin, ()))
