"""Profiles of tenants' partners in the home: HOME/partners/TENANT/PARTNER/VERSION.json, written by the keymaster."""

from __future__ import annotations

from pathlib import Path

from appliance.box.home import Home
from appliance.ceremonies import DocumentRefused, decode
from appliance.gateway import PartnerProfile, PartnerRefused


def profile_files(home: Home, tenant: str, partner: str) -> list[Path]:
    """Every version of a profile, the oldest first. Blocks."""
    directory = home.partners / tenant / partner
    return sorted((path for path in directory.glob("*.json") if path.stem.isdigit()), key=lambda path: int(path.stem))


def newest_profile(home: Home, tenant: str, partner: str) -> PartnerProfile | None:
    """The profile in force; None: there is none. Blocks. Raises PartnerRefused, OSError."""
    files = profile_files(home, tenant, partner)
    if not files:
        return None
    try:
        profile = decode(files[-1].read_bytes(), PartnerProfile)
    except DocumentRefused as error:
        raise PartnerRefused(str(error)) from None
    if (profile.tenant, profile.partner) != (tenant, partner):
        raise PartnerRefused("it stands where another one's should")
    return profile


def partner_names(home: Home, tenant: str) -> list[str]:
    """Of a tenant's partners, sorted. Blocks."""
    directory = home.partners / tenant
    return sorted(path.name for path in directory.iterdir() if path.is_dir()) if directory.is_dir() else []
