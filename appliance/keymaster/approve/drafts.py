"""What a draft of a letter's event says, in both languages, for whoever is about to sign it.

The keymaster opens no letters: the page brings the text, whose digest it has made itself, and its disclosures. What
tells it in words is here, apart from the workers that judge and seal (control QUORUM). Nothing is kept or decided.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

import msgspec

from appliance.box.home import Home
from appliance.box.kinds import kinds_of
from appliance.box.management_front import management_origin
from appliance.box.settings import BoxSettings
from appliance.errors import InvalidMember
from appliance.letters.draft_words import read_approval_text, tell
from appliance.letters.errors import DisclosureRefused, EventDamaged, KindRefused
from appliance.letters.kind import LoadedKind, read_kind


class DraftAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A draft as the page got it."""

    text: Annotated[str, msgspec.Meta(max_length=200_000)]
    disclosures: dict[str, str] = {}


class DraftWords:
    """Tells drafts by the tenants' installed kinds."""

    def __init__(self, home: Home, settings: BoxSettings) -> None:
        self._home = home
        self._settings = settings

    async def words(self, asked: DraftAsked) -> dict[str, object]:
        """Lines in both languages. Raises InvalidMember for what no approver should sign."""
        return await asyncio.to_thread(self._words, asked)

    def _words(self, asked: DraftAsked) -> dict[str, object]:
        text = asked.text.encode()
        try:
            _, event = read_approval_text(text)
            if event.actor.box != self._settings.box_id:
                raise InvalidMember("It is a draft of another box.")
            tenants = {tenant.name for tenant in self._settings.tenants}
            loaded = self._kind(event.actor.tenant, event.kind.digest) if event.actor.tenant in tenants else None
            return {
                "en": tell(text, "en", loaded, asked.disclosures),
                "zh-Hans": tell(text, "zh", loaded, asked.disclosures),
                "rehearsal": self._settings.rehearsal,
                "management": f"{management_origin(self._home, self._settings)}/approvals/{event.actor.tenant}",
            }
        except (EventDamaged, DisclosureRefused) as error:
            raise InvalidMember(f"{error}.") from None

    def _kind(self, tenant: str, digest: str) -> LoadedKind | None:
        for text in kinds_of(self._home, tenant):
            try:
                loaded = read_kind(text)
            except KindRefused:
                continue
            if loaded.digest == digest:
                return loaded
        return None
