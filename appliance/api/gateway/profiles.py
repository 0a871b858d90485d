"""Profiles of partners as officers last decided them, looked at afresh for each message."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from appliance.api.callers import Caller
from appliance.box.partners import newest_profile
from appliance.errors import NotFound
from appliance.gateway import PartnerProfile, PartnerRefused

if TYPE_CHECKING:
    from appliance.api.worker import Worker

log = structlog.get_logger("api")


def profile_for(worker: Worker, caller: Caller, partner: str) -> PartnerProfile:
    """The profile by which a caller is a partner. Raises NotFound: for another partner, of any tenant, alike."""
    if partner in caller.partners:
        try:
            found = newest_profile(worker.home, caller.tenant, partner)
        except (OSError, PartnerRefused) as error:
            log.error("partner-unreadable", control="QUORUM", tenant=caller.tenant, error=type(error).__name__)
            found = None
        if found is not None:
            return found
    raise NotFound("There is no such partner.")
