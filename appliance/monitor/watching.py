"""One log, looked at once: its head, its consistency with what was seen before, its witnesses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from appliance.errors import CinnabarError
from appliance.log.checkpoint import LogKey, open_checkpoint
from appliance.log.errors import MalformedNote, MalformedProof, SignatureInvalid
from appliance.log.note import VerifierKey, parse_note
from appliance.log.reader import SubtreeSource
from appliance.log.successor import LARGEST_CONTINUATION
from appliance.log.tiles import LENGTH_BYTES, WIDTH, Tile, decode_bundle
from appliance.log.witnesses import cosigned_times
from appliance.monitor.alarms import Telling, cleared, raised, retold, saved
from appliance.monitor.ending import check_ending
from appliance.monitor.errors import (
    Alarming,
    HeadNotSigned,
    NotCosigned,
    NotPublished,
    Rewound,
    Silent,
    SuccessorWrong,
    TilesWrong,
)
from appliance.monitor.extending import SignedHead, extension_proof
from appliance.monitor.published import PublishedLog, PublishedTiles
from appliance.monitor.state import LogState, MonitorState
from appliance.tree_hash import hash_of

CHECKPOINT: Final = "checkpoint"
COSIGNED: Final = "cosigned-checkpoint"
CONTINUATION: Final = "continuation"
"""How the log's first entry goes on, where the log was renewed (appliance.log.successor)."""
_OF_HEAD: Final = {TilesWrong.code, Rewound.code}
"""What a look at the head finds, and finds right again."""


@dataclass(frozen=True)
class Watched:
    """A log, and what is expected of it."""

    origin: str
    keys: tuple[LogKey, ...]
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0
    """How many of the witnesses must have cosigned a head."""
    silent_after_s: float = 3_600.0
    idle_after_s: float | None = None
    """How long it may show nothing new; None: for ever."""


class LogWatcher:
    """Looks at one log, and remembers."""

    def __init__(
        self,
        watched: Watched,
        published: PublishedLog,
        store: MonitorState,
        telling: Telling,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises MonitorStateUnusable."""
        self.watched = watched
        self.published = published
        self._store = store
        self._telling = telling
        self._clock = clock
        self.state = store.read(watched.origin)
        if self.state.looked == 0.0:
            self.state = msgspec.structs.replace(self.state, looked=clock())
        self.head = None if self.state.head is None else self._opened(self.state.head.encode())

    def look(self) -> bool:
        """Look once; whether the log could be read. What is wrong is told and remembered."""
        self.published.begin_look()
        self.state = retold(self.state, self._store, self._telling)
        try:
            of_head = self._step(self._look_at_head)
            of_witnesses = self._step(self._look_at_witnesses)
            of_ending = self._step(self._look_at_ending)
        except NotPublished as error:
            self.unreachable(error)
            return False
        right = {HeadNotSigned.code} | (_OF_HEAD if of_head is None else set())
        right |= {NotCosigned.code} if of_witnesses is None else set()
        right |= {SuccessorWrong.code} if of_ending is None else set()
        self.state = cleared(self.state, sorted(right - {of_head, of_witnesses, of_ending}), self._telling)
        self._replace(looked=self._clock())
        self._check_silence()
        self._save()
        return True

    def unreachable(self, error: CinnabarError) -> None:
        """Something of the log could not be read."""
        self._telling.say("unreachable", self.watched.origin, problem=str(error))
        self._check_silence()
        self._save()

    def note(self, error: Alarming) -> None:
        """Tell and remember what another look found wrong with this log."""
        self.state = raised(self.state, error, self._store, self._telling)

    def keep(self, state: LogState) -> None:
        self.state = state
        self._save()

    def _step(self, step: Callable[[], None]) -> str | None:
        """The alarm that it came to, if any."""
        try:
            step()
        except Alarming as error:
            self.note(error)
            return error.code
        return None

    def _look_at_head(self) -> None:
        found = self._fetched(CHECKPOINT)
        if self.head is None:
            tiles = self._tiles(found)
            if found.checkpoint.size and tiles.root() != found.checkpoint.root:
                raise TilesWrong(f"the tiles of {found.checkpoint.size} entries do not have the signed root")
            self._grown(found)
            return
        if found.checkpoint.size < self.head.checkpoint.size:
            self._look_back(found, self.head)
            return
        extension_proof(self.head, found, self._tiles(found))
        if found.checkpoint.size > self.head.checkpoint.size:
            self._grown(found)

    def _look_back(self, found: SignedHead, known: SignedHead) -> None:
        """The head is smaller than one that was seen: whether it is before that one, the tiles of that one tell."""
        text = f"a head of {found.checkpoint.size} entries is published after one of {known.checkpoint.size}"
        try:
            extension_proof(found, known, self._tiles(known))
        except (NotPublished, TilesWrong):
            raise Rewound(f"{text}, whose tiles are not there any more") from None
        raise Rewound(text)

    def _look_at_witnesses(self) -> None:
        """The largest head that has its witnesses: on the same history, and not left behind."""
        watched, head = self.watched, self.head
        if not watched.quorum or head is None:
            return
        try:
            found = self._fetched(COSIGNED)
        except NotPublished as error:
            raise NotCosigned(f"no cosigned head is published ({error})") from None
        except HeadNotSigned as error:
            raise NotCosigned(str(error)) from None
        cosigners = cosigned_times(parse_note(found.note), watched.witnesses)
        if len(cosigners) < watched.quorum:
            names = ", ".join(sorted(cosigners)) or "nobody"
            raise NotCosigned(f"the cosigned head has {len(cosigners)} of {watched.quorum} witnesses: {names}")
        if found.checkpoint.size > head.checkpoint.size:
            extension_proof(head, found, self._tiles(found))
            self._grown(found)
        else:
            extension_proof(found, head, self._tiles(head))
        before = self.state.cosigned_size
        size = found.checkpoint.size
        if before is not None and size < before:
            raise NotCosigned(f"the cosigned head has {size} entries, after one of {before}")
        behind = self.state.uncosigned
        newest = self.head.checkpoint.size if self.head is not None else 0
        self._replace(cosigned_size=size, uncosigned=None if size >= newest else newest)
        if behind is not None and size < behind:
            raise NotCosigned(f"the head of {behind} entries, seen a look ago, still lacks its witnesses")

    def _look_at_ending(self) -> None:
        """Whether it has ended, and where it goes on."""
        if self.head is None or self.head.checkpoint.size == 0:
            return
        published = self.published.fetch_if_there(CONTINUATION, LARGEST_CONTINUATION)
        before = self.state.goes_on
        if published is None:
            if before is not None:
                raise SuccessorWrong(f"it went on in {before.origin}, and does not say so any more")
            return
        hashing = hash_of(self.watched.origin)
        width = min(WIDTH, self.head.checkpoint.size)
        bundle = self.published.fetch(Tile("entries", 0, width).path(), WIDTH * (LENGTH_BYTES + hashing.size))
        try:
            entry = decode_bundle(bundle)[0]
        except (MalformedProof, IndexError):
            raise TilesWrong("the first bundle of entries cannot be read") from None
        found = check_ending(published, entry, self.watched.origin, self.watched.keys, self.head, before)
        if before is None:
            self._telling.say("ended", self.watched.origin, size=found.size, goes_on=found.origin)
            self._replace(goes_on=found)
            self._save()

    def _fetched(self, name: str) -> SignedHead:
        data = self.published.checkpoint(name)
        try:
            return self._opened(data)
        except (MalformedNote, SignatureInvalid) as error:
            raise HeadNotSigned(f"{name}: {error}") from None

    def _opened(self, data: bytes) -> SignedHead:
        return SignedHead(open_checkpoint(data, self.watched.origin, self.watched.keys), data)

    def _tiles(self, head: SignedHead) -> SubtreeSource:
        return PublishedTiles(self.published, head.checkpoint.size, hash_of(head.checkpoint.origin))

    def _grown(self, found: SignedHead) -> None:
        """It extends what was seen: from here on it is held to this head."""
        self.head = found
        self._replace(head=found.note.decode(), grown=self._clock())
        self._save()
        checkpoint = found.checkpoint
        self._telling.say("head", self.watched.origin, size=checkpoint.size, root=checkpoint.root.hex())

    def _check_silence(self) -> None:
        now, watched = self._clock(), self.watched
        # A clock that was set back puts no alarm off: silence counts from then on.
        self._replace(looked=min(self.state.looked, now), grown=min(self.state.grown, now))
        if now - self.state.looked > watched.silent_after_s:
            self.note(Silent(f"it could not be read for {watched.silent_after_s:g} s"))
        elif (
            watched.idle_after_s is not None
            and self.state.goes_on is None
            and self.state.grown
            and now - self.state.grown > watched.idle_after_s
        ):
            self.note(Silent(f"it has shown nothing new for {watched.idle_after_s:g} s"))
        else:
            self.state = cleared(self.state, [Silent.code], self._telling)

    def _replace(self, **values: object) -> None:
        self.state = msgspec.structs.replace(self.state, **values)

    def _save(self) -> None:
        saved(self.state, self._store, self._telling)
