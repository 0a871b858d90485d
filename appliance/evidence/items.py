"""A file under judgement: what its parts concluded, what it speaks about, and which times it says or shows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar, runtime_checkable

from appliance.evidence.bundle import TimeClass
from appliance.evidence.findings import Indication, Journal, worst
from appliance.evidence.recognise import Kind

_K = TypeVar("_K")


@dataclass(frozen=True)
class Shown:
    """Something is shown to have existed no later than a time."""

    target: int
    """Index of the file or digest."""
    time_us: int
    time_class: TimeClass
    by: str
    """Who says so, in words, escaped."""
    signature: str | None = None
    """Fingerprint of the one signature in the target that is shown, and with it what it covers; None: all of its bytes.
    """


class JudgedAlone(Protocol):
    """What was found of a file that neither needs nor gives help: an audit export, a ceremony's record bundle."""

    parts: list[tuple[str, Journal]]
    table: str | None
    """SHA-256 of a document that it speaks about."""
    missing: str | None
    """Title of the part that is about that document, where the document is not among the files."""
    claimed_us: int | None
    claimed_by: str


@runtime_checkable
class JudgedFiles(JudgedAlone, Protocol):
    """What was found of a container with files of its own: evidence of a letter."""

    digests: frozenset[str]
    """SHA-256 of the files that its seals cover, hexadecimal."""
    shown: tuple[int, TimeClass, str] | None
    """By when all of it existed, in microseconds, by whose word."""


def fingerprint(signature: bytes) -> str:
    """Names a signature value, as records do: SHA-256 in hexadecimal."""
    return hashlib.sha256(signature).hexdigest()


@dataclass
class Item:
    """One file or digest."""

    index: int
    kind: Kind
    parts: list[tuple[str, Journal]] = field(default_factory=list)
    covers: list[int] = field(default_factory=list)
    """Indexes of the files or digests whose bytes it binds. What it covers, each of its signatures covers."""
    signatures: list[str] = field(default_factory=list)
    """Fingerprints of the signatures that stand in it, or that its record names."""
    binds: list[tuple[int, str]] = field(default_factory=list)
    """Signatures in other files, by index and fingerprint, that it binds without the rest of those files."""
    missing: list[Journal] = field(default_factory=list)
    """Journals of parts whose subject is not among the files."""
    claimed: list[tuple[int, str]] = field(default_factory=list)
    """Times that the box states, in microseconds, and in which words."""
    shown: list[Shown] = field(default_factory=list)

    @property
    def indication(self) -> Indication:
        """The worst of its parts."""
        return worst([journal.indication for _, journal in self.parts])

    @property
    def speaks_about(self) -> list[int]:
        """Indexes of the files of which it binds all or a signature."""
        return list(dict.fromkeys((*self.covers, *(index for index, _ in self.binds))))

    def cover(self, indexes: Sequence[int]) -> None:
        """Note what it binds, itself excepted."""
        self.covers += [index for index in indexes if index != self.index and index not in self.covers]

    def bind(self, index: int, signature: str) -> None:
        """Note one signature in another file that it binds."""
        if index != self.index and (index, signature) not in self.binds:
            self.binds.append((index, signature))


@dataclass
class Earliest:
    """The earliest times shown: of files as wholes, and of single signatures in them."""

    files: dict[int, Shown] = field(default_factory=dict)
    whole: dict[int, Shown] = field(default_factory=dict)
    """Of files whose every byte is shown. A file all of whose signatures are shown is not among them: what hangs on a
    signature unsigned, as its time-stamp does, may have come later."""
    signatures: dict[tuple[int, str], Shown] = field(default_factory=dict)

    def of(self, index: int, signature: str) -> Shown | None:
        """When this signature in this file is shown to have existed: by itself, or with all of the file."""
        found = [one for one in (self.signatures.get((index, signature)), self.files.get(index)) if one is not None]
        return min(found, key=_time, default=None)

    def keep(self, shown: Shown, *, whole: bool = True) -> bool:
        """Enter it if nothing earlier is known. Gives whether it was entered. `whole`: where no signature is named,
        whether every byte is shown."""
        if shown.signature is not None:
            return _enter(self.signatures, (shown.target, shown.signature), shown)
        entered = _enter(self.files, shown.target, shown)
        return (whole and _enter(self.whole, shown.target, shown)) or entered


def _enter(known: dict[_K, Shown], key: _K, shown: Shown) -> bool:
    held = known.get(key)
    if held is not None and held.time_us <= shown.time_us:
        return False
    known[key] = shown
    return True


def earliest(items: Sequence[Item], accepted: frozenset[str]) -> Earliest:
    """What an accepted class shows, also through files that bind others. Only files that passed count."""
    passed = [item for item in items if item.indication is Indication.PASSED]
    known = Earliest()
    for item in passed:
        for shown in item.shown:
            if shown.time_class in accepted:
                known.keep(shown)
    changed = True
    while changed:
        changed = any([known.keep(shown, whole=whole) for item in passed for shown, whole in _following(item, known)])
    return known


def _following(item: Item, known: Earliest) -> list[tuple[Shown, bool]]:
    """What follows from the times known of one file and of its signatures, each with whether every byte is shown."""
    following: list[tuple[Shown, bool]] = []
    own = [known.of(item.index, signature) for signature in item.signatures]
    times = [one for one in (known.files.get(item.index), *own) if one is not None]
    if own and None not in own:
        # Several signatures are all there only when the last of them is.
        last = max((one for one in own if one), key=_time)
        following.append((replace(last, target=item.index, signature=None), False))
    if times:
        # If one of its signatures existed then, so did the document whose digest that signature holds.
        first = min(times, key=_time)
        following += [(replace(first, target=target, signature=None), True) for target in item.covers]
    for target, signature in item.binds:
        shown = known.of(item.index, signature)
        if shown is not None:
            following.append((replace(shown, target=target, signature=signature), True))
    return following


def _time(shown: Shown) -> int:
    return shown.time_us
