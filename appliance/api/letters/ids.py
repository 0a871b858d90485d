"""Ids of letters that an application brings: such as a draft gave this tenant, and no others (control CHANNEL).

Ids of letters are the box's, of all tenants: whether one that somebody chose is free would tell of another tenant's
letters. So a draft answers its ids with a tag, a keyed hash under the tenant's content key, which is the same in every
worker and after every start; ids without their tag are refused before anybody looks whether they exist.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from appliance.letters.errors import IdsNotGiven

if TYPE_CHECKING:
    from appliance.api.worker import Worker

_CONTEXT: Final = b"ids of letters that a draft gave"


def ids_tag(worker: Worker, tenant: str, letter: str, parts: Sequence[str]) -> str:
    """The tag of a letter's id and of those of letters that its event makes, hexadecimal. Raises TokenUnavailable."""
    text = b"|".join([_CONTEXT, letter.encode(), *(one.encode() for one in parts)])
    return worker.cipher_of(tenant).keyed_hash(text).hex()


def check_ids(worker: Worker, tenant: str, letter: str, parts: Sequence[str], tag: str | None) -> None:
    """Raises IdsNotGiven, TokenUnavailable."""
    if tag is None or not hmac.compare_digest(tag, ids_tag(worker, tenant, letter, parts)):
        raise IdsNotGiven("ids come with the ids_tag of the draft that gave them; left out, the box makes them")
