"""Cosignatures under a log's head by the trust bundle: who counts, whether they are enough, what time they show.

A bundle with policies counts, for each log, the witnesses that the policy for the head's size names, each once by its
name, however many keys it has had; the k-th earliest of their times is shown, k being the policy's quorum. A bundle
without any counts all its witnesses for every log, `time.witnesses` of them. Cosignatures of unknown and revoked keys,
of witnesses that are not the log's, and such as fail, count for nothing; each is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.evidence.certificates import spoken
from appliance.evidence.findings import Journal, SubIndication
from appliance.evidence.trust import CosigningRule, TrustBundle
from appliance.log.note import Note, NoteSignature
from appliance.log.witnesses import cosigned_at, cosigned_times
from appliance.quoting import quote

_SECOND_US = 1_000_000
_MOST_TOLD = 8


@dataclass(frozen=True)
class Uncounted:
    """A line under a head that counts for nothing."""

    name: str
    why: str
    """unknown, revoked, foreign or failing."""
    revoked_us: int | None = None


@dataclass(frozen=True)
class Cosigned:
    """What a head's cosignatures come to."""

    needed: int
    """How many the policy for this size asks for; 0: none."""
    count: int
    """Of the witnesses that it names."""
    enough: bool
    shown: tuple[int, str] | None
    """Microseconds since the epoch by which enough of them had seen the head, and who they are, in words."""
    uncounted: tuple[Uncounted, ...]


def judge_cosignatures(note: Note, origin: str, size: int, trust: TrustBundle) -> Cosigned:
    """Of a head whose own signature was verified."""
    times = cosigned_times(note, trust.witnesses)
    rules = _rules(origin, size, trust)
    own = None if trust.cosigning is None else frozenset(name for rule in rules for name in rule.witnesses)
    uncounted = tuple(_uncounted(note, origin, own, trust))
    if trust.cosigning is None:
        needed = trust.document.time.witnesses
        return Cosigned(0, 0, enough=True, shown=_shown(times, needed), uncounted=uncounted)
    fulfilled = [rule for rule in rules if sum(name in times for name in rule.witnesses) >= rule.quorum]
    shown = [
        found
        for rule in fulfilled
        if (found := _shown({name: times[name] for name in rule.witnesses if name in times}, rule.quorum)) is not None
    ]
    last = rules[-1] if rules else None
    return Cosigned(
        needed=0 if last is None else last.quorum,
        count=0 if last is None else sum(name in times for name in last.witnesses),
        enough=bool(fulfilled) or last is None,
        shown=min(shown, default=None),
        uncounted=uncounted,
    )


def _rules(origin: str, size: int, trust: TrustBundle) -> Sequence[CosigningRule]:
    """Those that hold at this size, the newest last."""
    found = () if trust.cosigning is None else trust.cosigning.get(origin, ())
    return [rule for rule in found if rule.last_size is None or size <= rule.last_size]


def _shown(times: dict[str, int], needed: int) -> tuple[int, str] | None:
    if not 0 < needed <= len(times):
        return None
    first = sorted((at, name) for name, at in times.items())[:needed]
    names = ", ".join(quote(name) for _, name in first)
    # A cosignature's time is in whole seconds, so the entry is shown by the end of that second.
    return (first[-1][0] + 1) * _SECOND_US, f"{needed} witness(es) of the log: {names}"


def _uncounted(note: Note, origin: str, own: frozenset[str] | None, trust: TrustBundle) -> list[Uncounted]:
    """`own`: the log's witnesses by name; None: all are every log's."""
    logs = {(key.verifier.name, key.verifier.key_id) for key in trust.logs.get(origin, ())}
    known = {(key.name, key.key_id): key for key in trust.witnesses}
    found: dict[Uncounted, None] = {}
    for line in note.signatures:
        who = (line.name, line.key_id)
        if who in logs:
            continue
        if who in trust.revoked_witnesses:
            found[Uncounted(line.name, "revoked", trust.revoked_witnesses[who])] = None
        elif who not in known:
            found[Uncounted(line.name, "unknown")] = None
        elif cosigned_at(_alone(note, line), known[who]) is None:
            found[Uncounted(line.name, "failing")] = None
        elif own is not None and line.name not in own:
            found[Uncounted(line.name, "foreign")] = None
    return list(found)


def _alone(note: Note, line: NoteSignature) -> Note:
    return Note(note.text, (line,))


def tell(journal: Journal, cosigned: Cosigned, *, needed: bool) -> None:
    """Enter what the cosignatures come to. `needed`: whether the record depends on this head's policy."""
    for one in cosigned.uncounted[:_MOST_TOLD]:
        name = quote(one.name)
        if one.why == "revoked" and one.revoked_us is not None:
            at = spoken(one.revoked_us)
            journal.note(
                "witnesses",
                f"The cosignature of {name} counts for nothing: the trust bundle declares its key revoked since {at}.",
            )
        elif one.why == "failing":
            journal.note("witnesses", f"The cosignature of {name} counts for nothing: it does not hold.")
        elif one.why == "foreign":
            journal.note("witnesses", f"The cosignature of {name} counts for nothing: it is no witness of this log.")
        else:
            journal.note(
                "witnesses", f"The signature of {name} counts for nothing: the trust bundle does not name its key."
            )
    more = len(cosigned.uncounted) - _MOST_TOLD
    if more > 0:
        journal.note("witnesses", f"So do {more} further signature(s) under the log's head.")
    if not cosigned.enough:
        count, asked = cosigned.count, cosigned.needed
        if needed:
            journal.refuse(
                "witnesses",
                SubIndication.NO_POE,
                f"{count} of the {asked} witnesses that the trust bundle asks for have cosigned the log's head: ask "
                "the box for a proof under a cosigned one.",
            )
        else:
            journal.note("witnesses", f"{count} of {asked} witnesses have cosigned this head: it shows no time.")
    if cosigned.shown is not None:
        time_us, names = cosigned.shown
        journal.passed("witnesses", f"Seen no later than {spoken(time_us)} by {names}.")
