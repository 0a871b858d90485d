"""The revocation lists that a token's certificates name, so that its receipt can be judged without a network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from appliance.evidence.certificates import Certificate

MOST_LISTS: Final = 8


def list_addresses(certificates: Iterable[Certificate], more: Sequence[str]) -> list[str]:
    """Addresses of plain HTTP or HTTPS where these certificates say that their issuers' lists are (RFC 5280, section
    4.2.1.13), after those given by hand; each once, at most eight."""
    found = list(more)
    for certificate in certificates:
        points = certificate.parsed.crl_distribution_points_value
        for point in points or ():
            name = point["distribution_point"]
            if name.name != "full_name":
                continue
            found += [one.native for one in name.chosen if one.name == "uniform_resource_identifier"]
    wanted = [one for one in dict.fromkeys(found) if one.startswith(("http://", "https://"))]
    return wanted[:MOST_LISTS]
