"""What a notice is about: the name of a tally, taken apart, or a kind and its breaker. Pure."""

from __future__ import annotations

from typing import NamedTuple

from appliance.letters.money import print_amount


class Subject(NamedTuple):
    """A tally's name (appliance.api.letters.counted), taken apart."""

    counter: str
    """KIND/QUOTA."""
    currency: str
    """Empty: letters or events are counted."""
    window: str
    whom: str
    """Keyed hash, hexadecimal; empty: nobody."""

    def shown(self, units: int) -> str:
        """An amount of this tally."""
        return f"{print_amount(units, self.currency)} {self.currency}" if self.currency else str(units)


def tally_of(subject: str) -> Subject | None:
    """None: the notice is about issuing, KIND/BREAKER, and compares no tally with its limit."""
    parts = subject.split("/")
    if len(parts) != 5:
        return None
    kind, quota, currency, window, whom = parts
    return Subject(f"{kind}/{quota}", currency, window, whom)
