"""What box.json says of witnesses, checked as a whole: who they are, and which of them each log needs."""

from __future__ import annotations

import re
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from appliance.box.settings import BoxSettings, WitnessSettings
from appliance.errors import BadRequest
from appliance.log.errors import MalformedNote
from appliance.log.note import COSIGNATURE_V1, VerifierKey
from appliance.log.witnesses import WitnessPolicy, by_name

_URL: Final = re.compile(r"https?://[^@?#\s]{1,400}")
_HERE: Final = re.compile(r"localhost|127(?:\.[0-9]{1,3}){3}|::1")


class WitnessesRefused(BadRequest):
    """The witnesses in the settings are none that a log could have; the message has everything that is wrong."""

    code = "witnesses-refused"
    title = "The witnesses of the settings cannot be"

    def __init__(self, message: str, member: str = "") -> None:
        super().__init__(message)
        self.member = member
        """Of one witness, what is wrong: key, url or ca."""


@dataclass(frozen=True)
class Witness:
    """A witness as logs ask it."""

    key: VerifierKey
    url: str
    """Submission prefix, without a slash at its end."""
    ca: str | None
    """PEM; None: the system's."""

    @property
    def name(self) -> str:
        return self.key.name


@dataclass(frozen=True)
class Witnesses:
    """Those of a box, and the policy of each log that has any."""

    known: tuple[Witness, ...]
    policies: dict[str, WitnessPolicy]
    """By the log's origin."""


def read_witnesses(settings: BoxSettings) -> Witnesses:
    """Raises WitnessesRefused, with everything that is wrong."""
    known, wrong = _known(settings.witnesses)
    policies: dict[str, WitnessPolicy] = {}
    for log in settings.logs:
        try:
            policy = by_name([witness.key for witness in known], log.witnesses, log.witness_quorum)
        except MalformedNote as error:
            wrong.append(f"log {log.origin}: {error}")
        else:
            if policy.keys:
                policies[log.origin] = policy
    if wrong:
        raise WitnessesRefused("; ".join(wrong))
    return Witnesses(tuple(known), policies)


def known_witnesses(entries: Sequence[WitnessSettings]) -> list[Witness]:
    """Those of a box, whoever names them. Raises WitnessesRefused, with everything that is wrong."""
    known, wrong = _known(entries)
    if wrong:
        raise WitnessesRefused("; ".join(wrong))
    return known


def _known(entries: Sequence[WitnessSettings]) -> tuple[list[Witness], list[str]]:
    wrong: list[str] = []
    known: list[Witness] = []
    for number, entry in enumerate(entries, 1):
        try:
            known.append(read_witness(entry))
        except WitnessesRefused as error:
            wrong.append(f"witness {number}: {error}")
    names = Counter(witness.name for witness in known)
    wrong += [f"two witnesses have the name {name}" for name, times in names.items() if times > 1]
    keys = Counter(witness.key.public for witness in known)
    wrong += [f"{witness.name} has the key of another witness" for witness in known if keys[witness.key.public] > 1]
    return known, wrong


def read_witness(entry: WitnessSettings) -> Witness:
    """One witness by itself. Raises WitnessesRefused."""
    try:
        key = VerifierKey.parse(entry.key)
    except MalformedNote as error:
        raise WitnessesRefused(f"its key cannot be read: {error}", "key") from None
    if key.type != COSIGNATURE_V1:
        raise WitnessesRefused(f"the key of {key.name} is none for cosignatures", "key")
    if not _URL.fullmatch(entry.url):
        raise WitnessesRefused(f"the address of {key.name} is https://HOST[:PORT][/PATH]", "url")
    try:
        parts = urlsplit(entry.url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        raise WitnessesRefused(f"the address of {key.name} cannot be read", "url") from None
    if not host or (parts.scheme == "http" and not _HERE.fullmatch(host)):
        raise WitnessesRefused(f"{key.name} is on another machine: its address begins with https", "url")
    if entry.ca is not None:
        try:
            ssl.create_default_context(cadata=entry.ca)
        except (ssl.SSLError, ValueError):
            raise WitnessesRefused(f"the CA certificates of {key.name} cannot be read", "ca") from None
    return Witness(key, entry.url.rstrip("/"), entry.ca)
