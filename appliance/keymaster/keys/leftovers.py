"""Wrapping keys that a killed backup left in a token: taken away as soon as the keymaster lives again.

No session could misuse one: it is trusted to wrap and can do nothing else, and nobody has its value. But it is to be
there only while a backup runs.
"""

from __future__ import annotations

import asyncio

import structlog

import hsm
from appliance.errors import CinnabarError
from appliance.keymaster.context import Room, token_settings
from appliance.keymaster.keys.wrapping import WRAPPING_PREFIX
from hsm.backup import remove_wrapping_keys, remove_wrapping_keys_as_officer

log = structlog.get_logger("keymaster")


class Leftovers:
    """What is left to look through in this life: every token once, before anything is executed in it."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._unseen = {token.name for token in room.settings.tokens}
        self._first = True

    async def clear(self) -> None:
        """Look through the tokens that answer; the next call takes the others. What a ceremony has put into one by then
        is not touched. Raises nothing."""
        if not self._unseen or (not self._first and self._room.journal.proposals(("executing",))):
            return
        self._first = False
        for name in sorted(self._unseen):
            try:
                removed = await asyncio.to_thread(self._clear, name)
            except (hsm.HsmError, CinnabarError) as error:
                log.warning("token-not-searched", token=name, error=type(error).__name__, detail=str(error))
                continue
            self._unseen.discard(name)
            if removed:
                log.warning("wrapping-key-removed", token=name, removed=removed)

    def _clear(self, name: str) -> int:
        token = self._room.user_token(name)
        try:
            return remove_wrapping_keys(token, WRAPPING_PREFIX)
        except hsm.CryptokiError:
            pass
        # Some tokens let their security officer alone destroy what he made.
        officer = hsm.PinFile(self._room.home.secrets / f"{name}.so-pin")
        self._room.tokens.put_away(name)
        uri = hsm.Pkcs11Uri.parse(token_settings(self._room.settings, name).uri)
        return remove_wrapping_keys_as_officer(uri, officer, WRAPPING_PREFIX)
