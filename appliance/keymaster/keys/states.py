"""The life of a key (NIST SP 800-57 part 1, section 7): one table of states and what leads from one to another.

    pre-active ──activate──► active ◄──resume── suspended
        │                      │ ▲ ──suspend──►    │
        │ deactivate           │ └──resume──┐      │
        └──────────────────► deactivated ◄──┴──────┘ deactivate
                               │
    any of these ──compromise──┼──► compromised ──destroy──► destroyed
                               └──────────destroy──────────►

Only an active key signs. A compromised key never signs again. A destroyed one is no more, unless a ceremony
restores it from a backup: it begins again as pre-active, or stays compromised.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal, get_args

from appliance.errors import Conflict

KeyState = Literal["pre-active", "active", "suspended", "deactivated", "compromised", "destroyed"]
Change = Literal["activate", "suspend", "resume", "deactivate", "compromise", "destroy"]

STATES: Final[tuple[KeyState, ...]] = get_args(KeyState)
CHANGES: Final[tuple[Change, ...]] = get_args(Change)

_LIVING: Final[tuple[KeyState, ...]] = ("pre-active", "active", "suspended", "deactivated")
TRANSITIONS: Final = MappingProxyType[tuple[KeyState, Change], KeyState](
    {
        ("pre-active", "activate"): "active",
        ("active", "suspend"): "suspended",
        ("suspended", "resume"): "active",
        ("deactivated", "resume"): "active",
        ("pre-active", "deactivate"): "deactivated",
        ("active", "deactivate"): "deactivated",
        ("suspended", "deactivate"): "deactivated",
        **{(state, "compromise"): "compromised" for state in _LIVING},
        ("deactivated", "destroy"): "destroyed",
        ("compromised", "destroy"): "destroyed",
    }
)


class KeyStateRefused(Conflict):
    """The key is in a state from which this does not lead on."""

    code = "key-state-refused"
    title = "The key's state does not allow this"
    control = "QUORUM"


def after(state: KeyState, change: Change) -> KeyState:
    """The state that follows. Raises KeyStateRefused."""
    following = TRANSITIONS.get((state, change))
    if following is None:
        raise KeyStateRefused(f"a key that is {state} cannot be changed by: {change}")
    return following
