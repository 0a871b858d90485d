"""What a token holds, held against the ledger (control QUORUM). Pure: no token, no clock.

A user PIN is more than "use": whoever has it can make objects, change those that can be changed, and destroy. So what
is found and not explained stops the token's owner, whoever it was.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hsm.inventory import TokenObject

VALUE_DIFFERS = "the public key or value is another one"
Kind = Literal["new", "changed", "missing", "key-differs"]


@dataclass(frozen=True)
class Difference:
    """One thing that nobody explains."""

    what: Kind
    kind: str
    """Of the object: private-key, data and so on."""
    label: str
    id: str
    fingerprint: str
    """Of what is found; of what was there, where it is missing. Hexadecimal."""
    details: tuple[str, ...] = ()
    """What changed."""


@dataclass(frozen=True)
class Comparison:
    """The outcome for one token."""

    differences: tuple[Difference, ...]
    explained: tuple[TokenObject, ...]
    """Found, not in the ledger, and explained by a rule or by a ceremony that runs."""


def compare(
    known: Mapping[bytes, Mapping[str, Any]],
    found: Sequence[TokenObject],
    explains: Callable[[TokenObject], bool],
    may_be_missing: Callable[[Mapping[str, Any]], bool],
) -> Comparison:
    """`known`: the ledger's objects by fingerprint. An object that is there twice is once too many."""
    seen: Counter[bytes] = Counter()
    surplus: list[TokenObject] = []
    explained: list[TokenObject] = []
    for one in found:
        seen[one.fingerprint] += 1
        if one.fingerprint in known and seen[one.fingerprint] == 1:
            continue
        (explained if one.fingerprint not in known and explains(one) else surplus).append(one)
    missing = {
        fingerprint: told for fingerprint, told in known.items() if not seen[fingerprint] and not may_be_missing(told)
    }
    differences: list[Difference] = []
    for one in surplus:
        before = next((key for key, told in missing.items() if _is_same(told, one)), None)
        if before is None:
            differences.append(_difference("new", one.described(), one.fingerprint))
        else:
            details = _details(missing.pop(before), one.described())
            differences.append(_difference("changed", one.described(), one.fingerprint, details))
    differences += [_difference("missing", told, fingerprint) for fingerprint, told in missing.items()]
    return Comparison(tuple(differences), tuple(explained))


def _is_same(told: Mapping[str, Any], one: TokenObject) -> bool:
    return (told["kind"], told["label"], told["id"]) == (one.kind, one.label, one.id.hex())


def _details(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    details = [f"{name} is now true" for name in after["flags"] if name not in before["flags"]]
    details += [f"{name} is no longer true" for name in before["flags"] if name not in after["flags"]]
    if before["value"] != after["value"] or before["key_type"] != after["key_type"]:
        details.append(VALUE_DIFFERS)
    return tuple(details)


def _difference(what: Kind, told: Mapping[str, Any], fingerprint: bytes, details: tuple[str, ...] = ()) -> Difference:
    return Difference(what, told["kind"], told["label"][:128], told["id"][:128], fingerprint.hex(), details)


def data_value(application: bytes, value: bytes) -> str:
    """`TokenObject.value` of a data object: SHA-256 over its application and value."""
    parts = ((0x010, application), (0x011, value))
    text = b"".join(number.to_bytes(4, "big") + len(part).to_bytes(4, "big") + part for number, part in parts if part)
    return hashlib.sha256(text).hexdigest()
