"""Witnesses of a log (C2SP tlog-cosignature): who has cosigned a head, when, and whether that is enough."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from appliance.log.errors import MalformedNote, SignatureInvalid
from appliance.log.note import COSIGNATURE_V1, Note, VerifierKey, parse_note, verified_by

LATEST_S = 253_402_300_799
"""The year 9999 ends: what a witness says beyond it is no time, and is not believed."""
MOST_WITNESSES = 32
"""Of one log: with its own keys' lines they fit into one note."""


def cosigned_at(note: Note, key: VerifierKey) -> int | None:
    """When a witness says that it saw this head, in seconds since the epoch: the earliest of its cosignatures.

    None where it did not cosign, or where one of the cosignatures that bear its name and key id fails.
    """
    try:
        verified_by(note, [key])
    except SignatureInvalid:
        return None
    times = [
        int.from_bytes(one.signature[:8], "big")
        for one in note.signatures
        if (one.name, one.key_id) == (key.name, key.key_id)
    ]
    return min((one for one in times if one < LATEST_S), default=None)


def cosigned_times(note: Note, keys: Iterable[VerifierKey]) -> dict[str, int]:
    """By name, when each witness that cosigned a head says that it saw it, in seconds since the epoch: of several keys
    of one witness the earliest counts. A line in a witness's name that fails is nobody's."""
    times: dict[str, int] = {}
    for key in keys:
        at = cosigned_at(note, key)
        if at is not None:
            times[key.name] = min(at, times.get(key.name, at))
    return times


@dataclass(frozen=True)
class WitnessPolicy:
    """Witnesses of a log, and how many of them must have cosigned a head.

    Raises MalformedNote where the policy could never hold, or where a key is no witness's.
    """

    keys: tuple[VerifierKey, ...] = ()
    quorum: int = 0

    def __post_init__(self) -> None:
        names = {key.name for key in self.keys if key.type == COSIGNATURE_V1}
        if len(names) != len(self.keys):
            raise MalformedNote("each witness has one cosignature key of its own")
        if not 0 <= self.quorum <= len(names):
            raise MalformedNote(f"{self.quorum} of {len(names)} witnesses cannot be")

    def cosigners(self, note: bytes) -> set[str]:
        """Names of the witnesses that cosigned a note. Raises MalformedNote; SignatureInvalid where a line fails."""
        parsed = parse_note(note)
        lines = {(line.name, line.key_id) for line in parsed.signatures}
        present = [key for key in self.keys if (key.name, key.key_id) in lines]
        return {key.name for key in verified_by(parsed, present)} if present else set()


def by_name(keys: Sequence[VerifierKey], names: Sequence[str], quorum: int) -> WitnessPolicy:
    """The policy that names some of these witnesses. Raises MalformedNote for an unknown name, or a policy that cannot
    be."""
    known = {key.name: key for key in keys}
    missing = [name for name in names if name not in known]
    if missing:
        raise MalformedNote(f"there is no witness {missing[0]!r}")
    if len(names) > MOST_WITNESSES:
        raise MalformedNote(f"a log has at most {MOST_WITNESSES} witnesses")
    if names and not quorum:
        raise MalformedNote("of the witnesses that a log names at least one must cosign")
    return WitnessPolicy(tuple(known[name] for name in names), quorum)
