"""The seal objects of a worker's tenants, read from the home at each use: what officers took back seals no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from appliance.api.callers import Caller
from appliance.box.home import Home
from appliance.box.seal_objects import newest_seal_object
from appliance.ceremonies import DocumentRefused
from appliance.documents import SEAL_PICTURE, SealPictureRequest
from appliance.letters.errors import SealObjectRefused
from appliance.letters.seal_object import SealObject, check_usable, read_seal_object
from appliance.pdf import SealPicture

if TYPE_CHECKING:
    from appliance.api.units import SealingKey
    from appliance.api.worker import Worker

_MOST_KEPT: Final = 64
"""Pictures that are kept ready."""


@dataclass(frozen=True)
class SeenSeal:
    """A seal object that may be used now, and its picture."""

    text: bytes
    """Canonical JSON."""
    digest: str
    found: SealObject
    picture: SealPicture


class SealObjects:
    """By tenant and name; pictures by the digest of what they are made from."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._pictures: dict[str, SealPicture] = {}

    async def use(self, worker: Worker, caller: Caller, key: SealingKey, name: str, now_us: int) -> SeenSeal:
        """The seal object for a seal with this key now. Raises SealObjectRefused, and what document workers refuse
        with."""
        text, digest = newest_seal_object(self._home, caller.tenant, name)
        try:
            found = read_seal_object(text)
        except DocumentRefused:
            raise SealObjectRefused(f"the seal object {name} cannot be read") from None
        if (found.tenant, found.seal) != (caller.tenant, name):
            raise SealObjectRefused(f"the seal object {name} is another one's")
        check_usable(found, key.profile.certificates[0], now_us)
        picture = self._pictures.get(digest)
        if picture is None:
            request = SealPictureRequest(image=found.png(), side_mm=float(found.side_mm), only_png=True)
            picture = await worker.documents.call(SEAL_PICTURE, caller.tenant, request)
            if len(self._pictures) >= _MOST_KEPT:
                self._pictures.clear()
            self._pictures[digest] = picture
        return SeenSeal(text, digest, found, picture)
