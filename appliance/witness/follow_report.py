"""What following found of a log: what the follower writes and the pages show."""

from __future__ import annotations

from typing import Literal

import msgspec

Found = Literal["cosigned", "behind", "forked", "refused", "unreachable", "malformed", "tiles-wrong"]
"""cosigned: the published head is the one that the witness cosigned. behind: it is smaller (the log was rewound, or its
server is). forked: it shows another history. refused: the witness does not cosign it. tiles-wrong: the published tiles
do not have the root of the published head."""


class FollowedLog(msgspec.Struct, frozen=True, kw_only=True):
    found: Found
    time: str
    """When it was looked at."""
    size: int | None = None
    """Of the published head."""
    detail: str = ""
    """For people, English."""
    evidence: str | None = None
    """Where it forked: evidence of it (docs/witness.md), JSON."""
