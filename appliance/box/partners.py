"""Profiles of tenants' partners in the home: HOME/partners/TENANT/PARTNER/VERSION.json, written by the keymaster."""

from __future__ import annotations

from appliance.box.home import Home
from appliance.box.versions import version_files
from appliance.ceremonies import DocumentRefused, decode
from appliance.gateway import PartnerProfile, PartnerRefused


def newest_profile(home: Home, tenant: str, partner: str) -> PartnerProfile | None:
    """The profile in force; None: there is none. Blocks. Raises PartnerRefused, OSError."""
    files = version_files(home.partners, tenant, partner)
    if not files:
        return None
    try:
        profile = decode(files[-1].read_bytes(), PartnerProfile)
    except DocumentRefused as error:
        raise PartnerRefused(str(error)) from None
    if (profile.tenant, profile.partner) != (tenant, partner):
        raise PartnerRefused("it stands where another one's should")
    return profile
