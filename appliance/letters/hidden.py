"""Hidden fields: salted hashes in the event, disclosures beside it (RFC 9901, sections 4.2 and 7.1). Pure.

    disclosure = base64url(JSON [salt, name, value])             salt: base64url of 16 random bytes
    digest     = base64url(SHA-256(the disclosure's ASCII))      section 4.2.3

An event's members `_sd` (digests in sorted order, which tells nothing of the order of the fields) and `_sd_alg`
("sha-256") stand where the RFC has them, so that its libraries read them. Who holds a disclosure proves one field; from
the digests alone nobody learns a value, nor, with decoys, how many there are. Our own disclosures are canonical JSON; a
disclosure is hashed as it stands, so that others' spellings verify too.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import rfc8785

from appliance.base64url import from_base64url, to_base64url
from appliance.letters.errors import DisclosureRefused

ALGORITHM: Final = "sha-256"
SALT_BYTES: Final = 16
DIGESTS: Final = "_sd"
ALGORITHM_MEMBER: Final = "_sd_alg"
LARGEST_DISCLOSURE: Final = 256 * 1024
MOST_DIGESTS: Final = 256
_RESERVED: Final = frozenset({"_sd", "...", "_sd_alg"})
_DIGEST: Final = re.compile(r"\A[A-Za-z0-9_-]{43}\Z")


@dataclass(frozen=True)
class Disclosure:
    """One field, disclosed. `name` is None for an element of a list."""

    text: str
    """As it stands: base64url."""
    salt: str
    name: str | None
    value: Any

    @property
    def digest(self) -> str:
        return digest_of(self.text)


@dataclass(frozen=True)
class Hidden:
    """What an event carries, and what it keeps to itself."""

    digests: tuple[str, ...]
    """Sorted; decoys among them."""
    disclosures: tuple[str, ...]
    """In the order of the values."""

    def members(self) -> dict[str, Any]:
        """`_sd` and `_sd_alg` of the event."""
        return {DIGESTS: list(self.digests), ALGORITHM_MEMBER: ALGORITHM}


def hide(values: Mapping[str, Any], *, decoys: int = 0) -> Hidden:
    """Hide each value behind a digest of its own, with so many digests of nothing among them (section 4.2.5).

    Raises DisclosureRefused for names that the RFC keeps to itself and values that JSON cannot say."""
    disclosures = tuple(disclosure_of(secrets.token_urlsafe(SALT_BYTES), name, value) for name, value in values.items())
    nothing = [digest_of(secrets.token_urlsafe(32)) for _ in range(decoys)]
    digests = sorted([*(digest_of(one) for one in disclosures), *nothing])
    if len(digests) > MOST_DIGESTS:
        raise DisclosureRefused(f"an event hides at most {MOST_DIGESTS} fields")
    return Hidden(tuple(digests), disclosures)


def disclosure_of(salt: str, name: str, value: Any) -> str:
    """A disclosure in canonical JSON. Raises DisclosureRefused."""
    if name in _RESERVED:
        raise DisclosureRefused(f"no field may be called {name}")
    try:
        encoded = rfc8785.dumps([salt, name, value])
    except (rfc8785.CanonicalizationError, ValueError, TypeError, RecursionError):
        raise DisclosureRefused(f"{name}: not a value of JSON") from None
    text = to_base64url(encoded)
    if len(text) > LARGEST_DISCLOSURE:
        raise DisclosureRefused(f"{name}: a disclosure has at most {LARGEST_DISCLOSURE} characters")
    return text


def digest_of(disclosure: str) -> str:
    """The digest of a disclosure, 43 characters. Raises DisclosureRefused if it is not ASCII."""
    try:
        return to_base64url(hashlib.sha256(disclosure.encode("ascii")).digest())
    except UnicodeEncodeError:
        raise DisclosureRefused("a disclosure is base64url") from None


def read_disclosure(text: str) -> Disclosure:
    """Read a disclosure of anybody's making. Raises DisclosureRefused."""
    if len(text) > LARGEST_DISCLOSURE:
        raise DisclosureRefused(f"a disclosure has at most {LARGEST_DISCLOSURE} characters")
    try:
        parsed = json.loads(from_base64url(text).decode(), object_pairs_hook=_members, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise DisclosureRefused("a disclosure is base64url, without padding, of a JSON array") from None
    if not isinstance(parsed, list) or len(parsed) not in (2, 3) or not isinstance(parsed[0], str):
        raise DisclosureRefused("a disclosure holds a salt, a name and a value, or a salt and a value")
    name = parsed[1] if len(parsed) == 3 else None
    if len(parsed) == 3 and (not isinstance(name, str) or name in _RESERVED):
        raise DisclosureRefused("a disclosure's name is a text that the RFC does not keep to itself")
    return Disclosure(text, parsed[0], name, parsed[-1])


def check_digests(digests: Sequence[str]) -> None:
    """Whether a list is one that an event may carry: digests, sorted, none twice. Raises DisclosureRefused."""
    if len(digests) > MOST_DIGESTS or not all(isinstance(one, str) and _DIGEST.match(one) for one in digests):
        raise DisclosureRefused(f"{DIGESTS}: at most {MOST_DIGESTS} digests of SHA-256, base64url")
    if list(digests) != sorted(set(digests)):
        raise DisclosureRefused(f"{DIGESTS}: digests are sorted, and none stands twice")


def reveal(
    digests: Sequence[str], disclosures: Sequence[str], *, clear: Sequence[str] = (), algorithm: str = ALGORITHM
) -> dict[str, Any]:
    """The values that these disclosures prove, by name; the others stay hidden. `clear`: names that stand in the event
    as they are.

    Raises DisclosureRefused where one is not of this event, is there twice, or says what the event says already."""
    if algorithm != ALGORITHM:
        raise DisclosureRefused(f"{ALGORITHM_MEMBER}: digests are {ALGORITHM}")
    if len(set(digests)) != len(digests):
        raise DisclosureRefused(f"{DIGESTS}: a digest stands twice")
    unused = set(digests)
    revealed: dict[str, Any] = {}
    for text in disclosures:
        disclosure = read_disclosure(text)
        if disclosure.digest not in unused:
            raise DisclosureRefused("a disclosure is not one of this event, or is there twice")
        unused.remove(disclosure.digest)
        if disclosure.name is None:
            raise DisclosureRefused("a field's disclosure has a name")
        if disclosure.name in revealed or disclosure.name in clear:
            raise DisclosureRefused(f"{disclosure.name}: disclosed, and there already")
        revealed[disclosure.name] = disclosure.value
    return revealed


def select(disclosures: Sequence[str], names: Sequence[str]) -> list[str]:
    """Of all disclosures those of the named fields, in the names' order: what one reader is to see.

    Raises DisclosureRefused where there is none of a name."""
    by_name = {read_disclosure(one).name: one for one in disclosures}
    missing = [name for name in names if name not in by_name]
    if missing:
        raise DisclosureRefused(f"{missing[0]}: not a hidden field of this event")
    return [by_name[name] for name in names]


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
