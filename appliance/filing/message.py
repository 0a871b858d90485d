"""What is filed: a JWS (RFC 7515, compact) over canonical JSON (RFC 8785), signed by the tenant's seal key. Pure.

Its number is the SHA-256 of the event that put the letter into the outbox: the same filing always has the same number,
and another one, such as a resubmission, never.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from appliance.base64url import to_base64url
from appliance.filing.adapter import Adapter, Text
from appliance.gateway.jose import jose_form
from appliance.gateway.keys import Signing

TYPE = "cinnabar-filing"


@dataclass(frozen=True)
class PreparedFiling:
    """A filing that lacks its signature."""

    payload: bytes
    to_be_signed: bytes
    complete: Callable[[bytes], bytes]
    """The JWS, from a signature in X.509 form."""


def prepare_filing(
    adapter: Adapter, fields: Mapping[str, Any], number: str, algorithm: Signing, certificate: bytes
) -> PreparedFiling:
    """`fields`: the letter's; `certificate`: SHA-256 of the signer's. What the letter has not is null."""
    members = {
        name: one.text if isinstance(one, Text) else _value(fields, one) for name, one in adapter.message.items()
    }
    payload = rfc8785.dumps(members | {adapter.number: number})
    header = {"alg": algorithm, "jti": number, "typ": TYPE, "x5t#S256": to_base64url(certificate)}
    text = f"{to_base64url(rfc8785.dumps(header))}.{to_base64url(payload)}".encode()

    def complete(signature: bytes) -> bytes:
        return text + b"." + to_base64url(jose_form(algorithm, signature)).encode()

    return PreparedFiling(payload, text, complete)


def _value(fields: Mapping[str, Any], path: str) -> Any:
    name, _, member = path.partition(".")
    value = fields.get(name)
    if not member:
        return value
    return value.get(member) if isinstance(value, Mapping) else None
