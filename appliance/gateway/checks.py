"""Is a message this partner's, to this tenant, now? Decided before any key of the box opens anything. Pure."""

from __future__ import annotations

from appliance.gateway.errors import MessageOutOfTime, MessageRefused
from appliance.gateway.formats import read_message
from appliance.gateway.keys import verifies
from appliance.gateway.messages import Parties, ReadMessage
from appliance.gateway.profile import PartnerProfile, signers_of


def receive(profile: PartnerProfile, raw: bytes, parties: Parties, now_ms: int) -> ReadMessage:
    """A message that the partner signed, at whatever time. `now_ms`: the certificate must be valid then.

    Raises MessageRefused."""
    read = read_message(profile.format, raw, parties)
    if read.algorithm not in (None, profile.sign):
        raise MessageRefused("signed by another algorithm than the profile's")
    for signer in signers_of(profile):
        if read.certificate not in (None, signer.digest):
            continue
        if not signer.not_before <= now_ms // 1000 <= signer.not_after:
            continue
        if verifies(profile.sign, signer.key, read.signature, read.signed):
            return read
    raise MessageRefused("no certificate of the profile verifies it")


def check_time(profile: PartnerProfile, read: ReadMessage, now_ms: int) -> None:
    """Whether a message's time is near the clock. Raises MessageOutOfTime."""
    if abs(read.head.time_ms - now_ms) > profile.window_s * 1_000:
        raise MessageOutOfTime(f"A message is taken for {profile.window_s} s around its time.")
