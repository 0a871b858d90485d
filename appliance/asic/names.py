"""Where things stand in the evidence file of a letter (docs/letter-evidence.md).

A letter that was split off begins with an event of its parent, so one file holds events of several letters. The names
of the first letter's events carry their number alone; those of a letter that was split off carry its id as well. So
all chains of a family stand in one flat container without two entries of one name, and every manifest in it refers to
entries by the names that they have.
"""

from __future__ import annotations

from typing import NamedTuple

MIMETYPE = "mimetype"
ASIC_E = "application/vnd.etsi.asic-e+zip"
"""EN 319 162-1, clause 4.4.2."""
META = "META-INF/"
JSON_TYPE = "application/json"
SEAL_TYPE = "application/pkcs7-signature"
"""RFC 8551, section 5.1."""


class EventNames(NamedTuple):
    """The entries of one event."""

    event: str
    """The event itself, canonical JSON."""
    beside: str
    """Folder of what travels beside it, with its slash."""
    manifest: str
    """The ASiCManifest (EN 319 162-1, annex A.4) that names the event and what is beside it."""
    seal: str
    """The CAdES signature over the manifest."""
    opening: str
    """The event's record with its salt."""
    proof: str
    """Log proof of that record, C2SP .tlog-proof."""


def event_names(number: int, split_off: str | None = None) -> EventNames:
    """The entries of a letter's event. `split_off`: the letter's id where it was split off from another one, which
    tells its events from those of its parents; None for every other letter."""
    tail = f"{number:04d}" if split_off is None else f"{split_off}-{number:04d}"
    return EventNames(
        f"event-{tail}.json",
        f"event-{tail}/",
        f"{META}ASiCManifest-{tail}.xml",
        f"{META}signature-{tail}.p7s",
        f"{META}opening-{tail}.json",
        f"{META}proof-{tail}.tlog-proof",
    )
