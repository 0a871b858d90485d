"""Algorithms that may be relied on up to a date (EN 319 102-1, clause 5.1.4.2: cryptographic constraints).

Which ones, and until when, the trust bundle says, and nothing here: no date stands in the program. What uses one that
has ended counts where it is shown to have existed before, by something that does not use it; without that it is
undecided (CRYPTO_CONSTRAINTS_FAILURE_NO_POE). What was never strong enough is refused in appliance.evidence.signatures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from appliance.evidence.bundle import AlgorithmEnd, TrustRefused
from appliance.evidence.certificates import spoken
from appliance.evidence.findings import Journal, SubIndication
from appliance.evidence.signatures import Algorithm, digest_of_signature, uses_of_key
from appliance.instants import microseconds


class Use(NamedTuple):
    """An algorithm that something relies on."""

    algorithm: str
    """A name of appliance.evidence.bundle.AlgorithmName."""
    bits: int | None = None
    """Of the key, where the algorithm has keys of several sizes."""

    @property
    def name(self) -> str:
        """For people."""
        return self.algorithm if self.bits is None else f"{self.algorithm} with {self.bits} bits"


def uses_of(public_key: bytes, algorithm: Algorithm, message_digest: str | None = None) -> list[Use]:
    """What a signature relies on that appliance.evidence.signatures has taken. `public_key`: SubjectPublicKeyInfo."""
    name = digest_of_signature(algorithm, message_digest)
    return [*(Use(*one) for one in uses_of_key(public_key)), *([] if name is None else [Use(name)])]


class _End(NamedTuple):
    algorithm: str
    below_bits: int | None
    until_us: int


@dataclass(frozen=True)
class Algorithms:
    """The dates that a verifier goes by; none by itself."""

    ends: tuple[_End, ...] = ()

    def until_us(self, use: Use) -> int | None:
        """The last microsecond at which it may be relied on; None: no end is known."""
        return min(
            (
                end.until_us
                for end in self.ends
                if end.algorithm == use.algorithm
                and (end.below_bits is None or (use.bits is not None and use.bits < end.below_bits))
            ),
            default=None,
        )

    def ended(self, use: Use, relied_us: int) -> bool:
        """Whether it must not be relied on for what is shown to have existed at this time, and no earlier."""
        until_us = self.until_us(use)
        return until_us is not None and relied_us > until_us


def algorithms_of(entries: Sequence[AlgorithmEnd]) -> Algorithms:
    """The dates of a trust bundle. Raises TrustRefused for a time that does not exist."""
    try:
        return Algorithms(
            tuple(
                _End(
                    one.algorithm,
                    one.below_bits,
                    microseconds(datetime.strptime(one.until, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)),
                )
                for one in entries
            )
        )
    except ValueError:
        raise TrustRefused("a time in the trust bundle does not exist") from None


@dataclass(frozen=True)
class Relied:
    """When something is shown to have existed, for what it relies on."""

    algorithms: Algorithms
    now_us: int
    shown_us: int | None = None
    """By whoever the trust bundle believes; None: nothing shows it, so it is judged at the time of validation."""

    @property
    def time_us(self) -> int:
        return self.now_us if self.shown_us is None else min(self.shown_us, self.now_us)

    def at(self, shown_us: int | None) -> Relied:
        """The same for what is shown to have existed at another time, where that is earlier."""
        known = [one for one in (self.shown_us, shown_us) if one is not None]
        return Relied(self.algorithms, self.now_us, min(known, default=None))

    def ended(self, uses: Iterable[Use]) -> bool:
        """Whether one of them must not be relied on for this."""
        return any(self.algorithms.ended(one, self.time_us) for one in uses)

    def check(self, journal: Journal, what: str, uses: Iterable[Use]) -> None:
        """Enter what has ended. `what`: in words that begin a sentence."""
        for use in dict.fromkeys(uses):
            journal.relied_on.append(use)
            until_us = self.algorithms.until_us(use)
            if until_us is None or self.now_us <= until_us:
                continue
            if self.time_us <= until_us:
                journal.passed(
                    "algorithms",
                    f"{what}: {use.name} may be relied on until {spoken(until_us)}, and this is shown to have existed "
                    f"at {spoken(self.time_us)}.",
                )
            else:
                journal.refuse(
                    "algorithms",
                    SubIndication.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
                    f"{what}: {use.name} may be relied on until {spoken(until_us)}, and nothing shows that this "
                    "existed before.",
                )


NONE_ENDED = Algorithms()
