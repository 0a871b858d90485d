"""Following a tenant's chain of commitments beside its log and the box's log, both of which are watched themselves."""

from __future__ import annotations

from typing import Final

import msgspec

from appliance.log.checkpoint import open_checkpoint
from appliance.monitor.chain import LARGEST_ANSWER, check_head_of, check_opening, opening_origin
from appliance.monitor.errors import Alarming, NotPublished, TilesWrong
from appliance.monitor.extending import SignedHead, extension_proof
from appliance.monitor.published import PublishedLog, PublishedTiles
from appliance.monitor.watching import LogWatcher
from appliance.tree_hash import hash_of

MOST_A_LOOK: Final = 1_000
"""Openings that are checked at one look; the next goes on."""


class ChainWatcher:
    """See the module. `own` and `box` have looked just before."""

    def __init__(self, own: LogWatcher, box: LogWatcher, api: PublishedLog) -> None:
        self._own = own
        self._box = box
        self._api = api

    def look(self) -> bool:
        """Check what is new of the chain; whether it could be read."""
        try:
            self._look()
        except (NotPublished, TilesWrong) as error:  # what the tiles should show cannot be seen now
            self._own.unreachable(error)
            return False
        except Alarming as error:
            self._own.note(error)
        return True

    def _look(self) -> None:
        tiles: PublishedTiles | None = None
        self._api.begin_look()
        for _ in range(MOST_A_LOOK):
            if self._api.look_over:
                return
            before = self._own.state.chain
            answer = self._fetch(0 if before is None else before.index + 1)
            if answer is None:
                return
            box = self._box.watched
            ended = self._box.state.goes_on
            if ended is not None and opening_origin(answer) == ended.origin:
                return  # all that the ended log of the box holds of it was followed
            checked = check_opening(answer, before, self._own.watched.origin, box.origin, box.keys)
            self._hold_box(checked.box_head)
            head = self._own.head
            if head is None or checked.point.size > head.checkpoint.size:
                # The log has grown since it was looked at: this opening is for the next look.
                return
            if before is None or checked.point.size > before.size:
                if tiles is None:
                    tiles = PublishedTiles(self._own.published, head.checkpoint.size, hash_of(self._own.watched.origin))
                check_head_of(checked.point, head, tiles, answer)
            self._own.keep(msgspec.structs.replace(self._own.state, chain=checked.point))

    def _hold_box(self, note: bytes) -> None:
        """The head that the opening was shown under is on the history of the box's log as we watch it."""
        watched = self._box.watched
        found = SignedHead(open_checkpoint(note, watched.origin, watched.keys), note)
        head = self._box.head
        if head is None or head.note == note:
            return
        smaller, larger = sorted((found, head), key=lambda one: one.checkpoint.size)
        try:
            tiles = PublishedTiles(self._box.published, larger.checkpoint.size, hash_of(watched.origin))
            extension_proof(smaller, larger, tiles)
        except TilesWrong:
            raise
        except Alarming as error:
            self._box.note(error)

    def _fetch(self, first: int) -> bytes | None:
        return self._api.fetch_if_there(f"v1/log/openings?from={first}", LARGEST_ANSWER)
